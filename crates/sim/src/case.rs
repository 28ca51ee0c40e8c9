//! One run of one seed: the roles are started, the storm comes and goes, and when nothing moves any more it is
//! judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use coordinator::Coordinator;
use events::{AgentName, plant};
use saga::State;
use stream::{Board, Clock, Host, Limits, Spill, Stop};

use crate::agents::{self, Mood};
use crate::book::Book;
use crate::broker::SimBroker;
use crate::dice::Dice;
use crate::faults::{self, Fault, STORM};
use crate::fibers::Fibers;
use crate::fold::Fold;
use crate::judge;
use crate::sagas::{self, Deployed};
use crate::seams::Seams;
use crate::store::{Held, Store};
use crate::user::{self, Asked};
use crate::world::{Micros, Role, SECOND, World};

/// When all that has gone wrong is over.
const CALM: Micros = STORM + 45 * SECOND;
/// Nothing has moved when this is seen so often in a row, ten seconds apart: what was sent is settled by then.
const QUIET: u32 = 4;
/// How often operators see to what asks for them; what is left then stays as it is.
const ROUNDS: u32 = 20;
/// How long everything may take.
const PATIENCE: Micros = 3 * 3600 * SECOND;

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// Which faults of the seed's schedule happen, by their places in it; `None`: all.
    pub only: Option<BTreeSet<usize>>,
    /// Whether the story is kept as text.
    pub tells: bool,
    /// A mistake to plant, by its name in [`crate::MISTAKES`]; only where the tests' feature `planted` of
    /// `pavane-events` is on.
    pub planted: Option<&'static str>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of everything that was stored, and when. Two runs of a case have the same.
    pub hash: u64,
    /// Promises that were broken.
    pub broken: Vec<String>,
    /// The whole schedule.
    pub faults: Vec<Fault>,
    /// The story, where it was asked for.
    pub story: Vec<String>,
    /// How much happened.
    pub counts: Counts,
    /// Each lane's journal and a snapshot of it, where the story was asked for.
    pub lanes: Vec<Kept>,
}

/// What is kept of a lane.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The journal, by offset.
    pub journal: Vec<(i64, Bytes)>,
    /// The marker of the last snapshot but one, which has a tail of the journal behind it.
    pub marker: Option<Bytes>,
    /// That snapshot's states.
    pub states: Vec<(String, Bytes)>,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Workflows that were asked for.
    pub workflows: usize,
    /// Records stored, in all topics.
    pub records: usize,
    /// Processes that were started.
    pub processes: usize,
    /// Journal records that hold.
    pub decisions: usize,
    /// Virtual milliseconds.
    pub virtual_ms: i64,
}

/// What a role is.
#[derive(Clone)]
enum Part {
    Coordinator,
    Intake,
    Agent(AgentName, Book),
}

struct Stage {
    world: World,
    fibers: Fibers,
    parts: Vec<Part>,
    sagas: Vec<Deployed>,
    limits: Limits,
    mood: Mood,
}

/// Runs a case.
#[must_use]
pub fn run(case: &Case) -> Outcome {
    plant(case.planted);
    let mut dice = Dice::new(case.seed, 2);
    let lanes = *dice.of(&[1, 2, 3]);
    let world = World::new(case.seed, lanes);
    if case.tells {
        world.lock().trace.listen();
    }
    let mut stage = Stage::draw(&world, &mut dice);
    let workflows = dice.scale(2, 10);
    let (errands, asked) = user::draw(&mut dice, &stage.sagas, workflows);
    let coordinators = stage.parts.iter().filter(|part| matches!(part, Part::Coordinator)).count();
    let roles = (stage.parts.len(), coordinators);
    let faults = faults::draw(&mut Dice::new(case.seed, 3), roles, lanes);
    let is_kept = |at: &usize| case.only.as_ref().is_none_or(|only| only.contains(at));
    let kept =
        faults.iter().enumerate().map(|(at, fault)| is_kept(&at).then_some(*fault)).collect();
    world.lock().expect(kept);
    let asked = Arc::new(Mutex::new(asked));
    stage.start_users(errands, &asked);
    for role in 0..stage.parts.len() {
        stage.boot(role);
    }
    stage.run_until(STORM);
    world.lock().end_storm();
    stage.run_until(CALM);
    let stuck = stage.settle();
    stage.fibers.end();
    let asked = std::mem::take(&mut *asked.lock().unwrap_or_else(PoisonError::into_inner));
    // What is planted is planted in the judge as well: nobody who breaks the code breaks it for one side alone.
    let outcome = stage.sum_up(faults, &asked, stuck);
    plant(None);
    outcome
}

impl Stage {
    fn draw(world: &World, dice: &mut Dice) -> Self {
        let files = sagas::draw(dice);
        let agents: BTreeSet<AgentName> =
            files.iter().flat_map(|saga| saga.plan.agents()).collect();
        let mut parts = vec![Part::Coordinator; usize::try_from(dice.range(1, 4)).unwrap_or(1)];
        parts.extend(vec![Part::Intake; usize::try_from(dice.range(1, 3)).unwrap_or(1)]);
        parts.extend(agents.into_iter().map(|agent| Part::Agent(agent, Book::default())));
        let nasty = *dice.of(&[3, 8, 30]);
        let mood = Mood {
            refuses: nasty * 3,
            fails: nasty,
            unsure: nasty * 2,
            slow: nasty * 2,
            doubles: 6,
            undo_fails: nasty,
        };
        let day = Duration::from_secs(24 * 3600);
        let journal_kept_for = *dice.of(&[day, day, Duration::ZERO, Duration::from_secs(2)]);
        let (snapshot_every, proposal_records_max) = (
            *dice.of(&[Duration::from_millis(300), Duration::from_secs(5)]),
            *dice.of(&[1, 2, 1_000]),
        );
        let limits = Limits {
            wait_max: Duration::from_secs(2),
            group_wait: Duration::from_millis(100),
            snapshot_every,
            journal_kept_for,
            skip_after: Duration::from_secs(10),
            proposal_records_max,
            // As small, so that states rest and wake all the time, some of them in a file.
            awake_max: proposal_records_max - 1,
            spill: Spill::past((proposal_records_max - 1) * 1_000, std::env::temp_dir()),
            ..Limits::default()
        };
        let roles = parts.iter().map(|_| Role::default()).collect();
        world.lock().roles = roles;
        world.lock().weather.trims = journal_kept_for < day;
        Self { world: world.clone(), fibers: Fibers::new(world), parts, sagas: files, limits, mood }
    }

    fn start_users(&mut self, errands: Vec<user::Errand>, asked: &Arc<Mutex<Asked>>) {
        let (world, sagas, asked) = (self.world.clone(), self.sagas.clone(), Arc::clone(asked));
        let body = move || match user::run(&world, &sagas, errands) {
            Ok(nonsense) => {
                asked.lock().unwrap_or_else(PoisonError::into_inner).nonsense = nonsense;
            }
            Err(error) => world.lock().broken.push(format!("users: {error}")),
        };
        self.world.lock().start(None, Box::new(body));
    }

    fn boot(&mut self, role: usize) {
        let (world, limits, mood) = (self.world.clone(), self.limits.clone(), self.mood);
        let (part, sagas) = (self.parts[role].clone(), self.sagas.clone());
        self.fibers.boot(role, move |process| {
            let broker = SimBroker::of(&world, Some(process));
            let seams = Seams { world: world.clone(), process };
            let stop = world.lock().processes[process].stop.clone();
            match part {
                Part::Coordinator => coordinator(broker, seams, limits, stop),
                Part::Intake => Box::new(move || {
                    let clock: Arc<dyn Clock> = Arc::new(seams);
                    // Whoever ends is started anew.
                    let _ended = intake::run(&Arc::new(broker), &clock, &stop, || {});
                }),
                Part::Agent(name, book) => Box::new(move || {
                    let kit = agents::participant(&name, &sagas, (&book, mood), &world);
                    let _ended = agents::serve(&broker, &Arc::new(kit), seams, mood);
                }),
            }
        });
    }

    fn run_until(&mut self, until: Micros) {
        while let Some(role) = self.fibers.run_until(until) {
            self.boot(role);
        }
    }

    /// Goes on until nothing moves any more; says what still does when patience ends.
    fn settle(&mut self) -> Option<String> {
        let mut quiet = 0;
        let mut rounds = 0;
        while quiet < QUIET {
            let now = self.world.lock().now;
            self.run_until(now + 10 * SECOND);
            let moving = self.moving();
            let at_last = rounds > ROUNDS / 2;
            if rounds < ROUNDS && self.world.lock().see_to(at_last) > 0 {
                rounds += 1;
                quiet = 0;
                continue;
            }
            match moving {
                None => quiet += 1,
                Some(moving) if self.world.lock().now > PATIENCE => return Some(moving),
                Some(_) => quiet = 0,
            }
        }
        None
    }

    /// What is not at rest.
    fn moving(&self) -> Option<String> {
        let inner = self.world.lock();
        for (lane, standby) in (0..).zip(&inner.standbys) {
            let fold = &standby.whole;
            let inbox = inner.store.part(Store::INBOX, lane);
            let position = fold.context.position.unwrap_or(0);
            if position < inbox.next {
                return Some(format!("lane {lane} has read to {position} of {}", inbox.next));
            }
            for (key, state) in &fold.states {
                if let State::Workflow(workflow) = &state.0
                    && matches!(workflow.status(), "running" | "compensating")
                {
                    return Some(format!("{key} is {}", workflow.status()));
                }
            }
        }
        let group = inner.store.topics.group("intake");
        for topic in self.sagas.iter().flat_map(|saga| saga.plan.reads_from()) {
            let Some(number) = inner.store.topic(&topic) else { continue };
            for (partition, part) in (0..).zip(&inner.store.logs[number].parts) {
                let done = inner.groups.committed(&group, number, partition);
                if done < part.next {
                    return Some(format!("intake has read {topic}/{partition} to {done}"));
                }
            }
        }
        None
    }

    fn sum_up(self, faults: Vec<Fault>, asked: &Asked, stuck: Option<String>) -> Outcome {
        let books: BTreeMap<AgentName, Book> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Agent(name, book) => Some((name.clone(), book.clone())),
                Part::Coordinator | Part::Intake => None,
            })
            .collect();
        let mut inner = self.world.lock();
        let mut broken = std::mem::take(&mut inner.broken);
        let is_at_rest = stuck.is_none();
        broken.extend(stuck.map(|what| format!("never-silent: {what}")));
        let folds: Vec<Fold> =
            std::mem::take(&mut inner.standbys).into_iter().map(|standby| standby.whole).collect();
        let now = inner.wall();
        let was_ahead = faults.iter().any(|it| matches!(it, Fault::Jump { by_ms: 1.., .. }));
        broken.extend(judge::judge(&inner.store, &folds, &self.sagas, asked, (&books, is_at_rest)));
        for (lane, fold) in (0..).zip(&folds) {
            judge::verdicts(&inner.store, (lane, fold), (now, was_ahead), &mut broken);
        }
        let parts = inner.store.logs.iter().flat_map(|log| &log.parts);
        let counts = Counts {
            workflows: asked.workflows.len(),
            records: parts.map(|part| part.records.len()).sum(),
            processes: inner.processes.len(),
            decisions: folds.iter().map(|fold| fold.valid.len()).sum(),
            virtual_ms: inner.now / 1_000,
        };
        let hash = inner.trace.hash();
        let story = inner.trace.take();
        let lanes = if story.is_empty() { Vec::new() } else { kept(&inner.store) };
        Outcome { hash, broken, faults, story, counts, lanes }
    }
}

fn kept(store: &Store) -> Vec<Kept> {
    let lane = |(number, held): (u32, &Held)| {
        let records = &store.part(Store::JOURNAL, number).records;
        let bytes = |record: &events::Record| record.value.clone().unwrap_or_default();
        let snapshot = held.older.clone().unwrap_or_default();
        let states = snapshot.states.iter().map(|(key, bytes)| (key.to_string(), bytes.clone()));
        Kept {
            journal: records.iter().map(|record| (record.place.offset, bytes(record))).collect(),
            marker: snapshot.marker.clone(),
            states: states.collect(),
        }
    };
    (0..).zip(&store.snapshots).map(lane).collect()
}

fn coordinator(
    broker: SimBroker,
    seams: Seams,
    limits: Limits,
    stop: Stop,
) -> Box<dyn FnOnce() + Send> {
    Box::new(move || {
        let host = Host {
            service: Arc::new(Coordinator),
            broker: Arc::new(broker),
            clock: Arc::new(seams.clone()),
            chance: Arc::new(seams.clone()),
            threads: Arc::new(seams),
            limits,
            board: Board::default(),
        };
        // Whoever ends is started anew.
        let _ended = host.run(&stop);
    })
}
