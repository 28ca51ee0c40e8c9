//! One run of one seed: the roles are started, the storm comes and goes, and when nothing moves any more it is
//! judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use coordinator::Coordinator;
use events::{AgentName, plant};
use stream::{Board, Clock, Host, Limits, Spill, Stop};

use crate::agents::{self, Mood};
use crate::book::Book;
use crate::broker::SimBroker;
use crate::dice::Dice;
use crate::faults::{self, Fault, STORM};
use crate::fibers::Fibers;
use crate::fold::Fold;
use crate::judge::{self, Judged};
use crate::play::Play;
use crate::rest::End;
use crate::sagas::{self, Deployed};
use crate::seams::Seams;
use crate::shown::{self, Shown};
use crate::store::{Held, Store};
use crate::tally::Struck;
use crate::user::{self, Asked};
use crate::world::{Micros, Role, SECOND, World};

/// When all that has gone wrong is over.
const CALM: Micros = STORM + 45 * SECOND;
/// Moments of what is shown to people.
const TIMELINE_MAX: usize = 60;

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
    /// Files to run; `None`: bundled sagas, and sagas that the seed draws.
    pub play: Option<Arc<Play>>,
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
    /// Whom faults befall: the names of the roles.
    pub roles: Vec<String>,
    /// The story, where it was asked for.
    pub story: Vec<String>,
    /// How much happened.
    pub counts: Counts,
    /// How often each thing went wrong, as it struck.
    pub struck: Struck,
    /// Runs by their status at the end.
    pub statuses: BTreeMap<&'static str, u64>,
    /// What is broken first, with how it came to that, where the story was asked for.
    pub shown: Option<Shown>,
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

impl Part {
    fn name(&self) -> String {
        match self {
            Self::Coordinator => "a coordinator".to_owned(),
            Self::Intake => "an intake".to_owned(),
            Self::Agent(name, _) => format!("agent `{name}`"),
        }
    }
}

pub(crate) struct Stage {
    pub(crate) world: World,
    fibers: Fibers,
    parts: Vec<Part>,
    pub(crate) sagas: Vec<Deployed>,
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
    let play = case.play.as_deref();
    let mut stage = Stage::draw(&world, &mut dice, play);
    let workflows = dice.scale(2, 10);
    let (errands, asked) = match play {
        Some(play) => play.draw(&mut dice, workflows),
        None => user::draw(&mut dice, &stage.sagas, workflows),
    };
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
    let end = stage.settle(play.is_some());
    stage.fibers.end();
    let asked = std::mem::take(&mut *asked.lock().unwrap_or_else(PoisonError::into_inner));
    // What is planted is planted in the judge as well: nobody who breaks the code breaks it for one side alone.
    let outcome = stage.sum_up(faults, &asked, &end);
    plant(None);
    outcome
}

impl Stage {
    fn draw(world: &World, dice: &mut Dice, play: Option<&Play>) -> Self {
        let files = play.map_or_else(|| sagas::draw(dice), |play| play.sagas.clone());
        let agents: BTreeSet<AgentName> =
            files.iter().flat_map(|saga| saga.plan.agents()).collect();
        let mut parts = vec![Part::Coordinator; usize::try_from(dice.range(1, 4)).unwrap_or(1)];
        parts.extend(vec![Part::Intake; usize::try_from(dice.range(1, 3)).unwrap_or(1)]);
        let book = match play {
            Some(play) if play.forgetful => Book::forgetful(),
            Some(_) | None => Book::default(),
        };
        // In a user's file an undo may be another agent's than the do.
        let book_of = || play.map_or_else(Book::default, |_| book.beside());
        parts.extend(agents.into_iter().map(|agent| Part::Agent(agent, book_of())));
        let nasty = match play {
            // Files that are longer than ours are to be seen to their end, too.
            Some(_) => *dice.of(&[3, 8, 30, 100]),
            None => *dice.of(&[3, 8, 30]),
        };
        let mood = Mood {
            refuses: nasty * 3,
            fails: nasty,
            unsure: nasty * 2,
            slow: nasty * 2,
            doubles: 6,
            undo_fails: nasty,
            silent: play.map(|_| nasty * 4),
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
        world.lock().honest = play.is_some();
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

    pub(crate) fn run_until(&mut self, until: Micros) {
        while let Some(role) = self.fibers.run_until(until) {
            self.boot(role);
        }
    }

    fn sum_up(self, faults: Vec<Fault>, asked: &Asked, end: &End) -> Outcome {
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
        if let End::Stuck(what) = end {
            broken.push(format!("never-silent: {what}"));
        }
        let folds: Vec<Fold> =
            std::mem::take(&mut inner.standbys).into_iter().map(|standby| standby.whole).collect();
        let now = inner.wall();
        let was_ahead = faults.iter().any(|it| matches!(it, Fault::Jump { by_ms: 1.., .. }));
        let timeline_max = if inner.trace.is_heard() { TIMELINE_MAX } else { 0 };
        let given = (&books, matches!(end, End::Rest), timeline_max);
        let judged = judge::judge(&inner.store, &folds, &self.sagas, asked, given);
        let Judged { broken: found, violation, statuses } = judged;
        broken.extend(found);
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
        let story: Vec<String> = inner.trace.take().iter().map(|line| shown::at(line)).collect();
        let is_shown = !story.is_empty() && !broken.is_empty();
        let shown = is_shown.then(|| Shown::of(&broken, violation.as_ref(), &story));
        let struck = inner.tally.take();
        let roles = self.parts.iter().map(Part::name).collect();
        let lanes = if story.is_empty() { Vec::new() } else { kept(&inner.store) };
        Outcome { hash, broken, faults, story, counts, lanes, struck, statuses, shown, roles }
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
