//! Judges a history by the public events, the commands, what the engine was told, and at the end by the
//! participants' books. Knows nothing of the engine's inside. Each rule is a sentence of the specification.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use events::{CommandKind, Json, Outgoing, Subject, TaskId, Timestamp, What, ce_type, header};
use saga::{Answer, Effects, Known, Outcome, Unsent, Verb};
use serde_json::{Value, json};

use crate::participants::Participants;
use crate::reach::Reach;
use crate::tree::{Kind, On, Place, Role, Strategy, Talk, Tree};
use crate::view::{Back, Forward, Seen, View, task_of};
use crate::world::{Entry, agent, text, topic};

/// What the engine was told of the do of one task.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) outputs: Vec<Json>,
    /// The newest attempt whose command was sent.
    pub(crate) sent: u32,
    /// Attempts of which nobody has said that they did nothing.
    pub(crate) open: BTreeSet<u32>,
    pub(crate) key: Option<String>,
    /// When its first attempt was sent.
    pub(crate) ready: Option<Timestamp>,
    /// What its commands carry.
    pub(crate) inputs: Option<Json>,
    /// What those that stand in it are given, as it was when it began.
    pub(crate) given: Option<Value>,
    /// The number of the first undo that knew the output.
    pub(crate) informed: Option<u32>,
    /// Whether it was known to be done when its undo was given up.
    pub(crate) kept: bool,
    /// Its last undo went out for a success that changes nothing else.
    at_once: bool,
    /// The newest query that was sent.
    queries: u32,
    /// Attempts and queries up to these were undone before it began anew.
    undone: (u32, u32),
    /// How often it was.
    anew: u32,
}

pub(crate) struct Judge<'a> {
    pub(crate) tree: &'a Tree<'a>,
    pub(crate) view: View,
    pub(crate) told: BTreeMap<Place, Told>,
    ids: BTreeSet<String>,
    epoch: u32,
    /// What has been hit by a failure inside of it, and will fail.
    pub(crate) falling: BTreeSet<Place>,
    /// Done, but too late for a join that wanted no more: to be undone.
    pub(crate) lost: BTreeSet<Place>,
    /// The same of what fell while the pivot was in flight, with those that made it fall: they may yet be done.
    deferred: BTreeMap<Place, BTreeSet<Place>>,
    /// It is open whether it was hit: what failed in it had all but lost.
    pub(crate) falling_perhaps: BTreeSet<Place>,
    /// What others stand in whose time was over before they were.
    overdue: BTreeSet<Place>,
    /// What was over before a join that it stands in wanted no more.
    spared: BTreeSet<Place>,
    /// Failures that end the forward work of the whole run.
    pub(crate) turned: Vec<Strategy>,
    /// The same, of what failed while the pivot was in flight.
    turned_meanwhile: Vec<(Place, Strategy)>,
    pub(crate) past_pivot: bool,
    /// It has turned back because somebody said so.
    pub(crate) cancelled: bool,
    /// A failure was accepted, even if it has turned out since to be none.
    pub(crate) accepted: bool,
    /// The same, by the file's own strategy.
    pub(crate) accepted_by_file: BTreeSet<Place>,
    /// It is open whether a failure counts: what failed has lost, and the winner had not yet begun.
    pub(crate) accepted_perhaps: bool,
    pub(crate) turned_perhaps: bool,
    pub(crate) orders: Vec<Verb>,
    /// The case of each choice on events and time that came first.
    raced: BTreeMap<Place, usize>,
    /// When it was last woken.
    pub(crate) now: Timestamp,
    /// What the end has left in doubt.
    left: Vec<TaskId>,
    /// What was said last is a success of what the end has left in doubt, or of what was undone before its task
    /// began anew.
    may_be_dead: bool,
    /// The command that must follow the event.
    due: Option<(String, Json)>,
}

/// Judges all that was seen.
pub(crate) fn judge(tree: &Tree<'_>, log: &[Entry], participants: &Participants) -> View {
    let mut judge = Judge {
        tree,
        view: View::default(),
        told: BTreeMap::new(),
        ids: BTreeSet::new(),
        epoch: 0,
        falling: BTreeSet::new(),
        lost: BTreeSet::new(),
        deferred: BTreeMap::new(),
        falling_perhaps: BTreeSet::new(),
        overdue: BTreeSet::new(),
        spared: BTreeSet::new(),
        turned: Vec::new(),
        turned_meanwhile: Vec::new(),
        past_pivot: false,
        cancelled: false,
        accepted: false,
        accepted_by_file: BTreeSet::new(),
        accepted_perhaps: false,
        turned_perhaps: false,
        orders: Vec::new(),
        raced: BTreeMap::new(),
        now: Timestamp::default(),
        left: Vec::new(),
        may_be_dead: false,
        due: None,
    };
    for entry in log {
        judge.entry(entry);
    }
    if judge.view.end.is_some() {
        judge.audit(participants);
    }
    judge.view
}

impl Judge<'_> {
    pub(crate) fn seen(&self, place: &Place) -> Seen {
        self.view.of(&self.tree.name(place))
    }

    pub(crate) fn kind(&self, place: &Place) -> Kind {
        self.tree.nodes[place.node].task.kind
    }

    pub(crate) fn is_agent(&self, place: &Place) -> bool {
        self.tree.nodes[place.node].is_agent() && !self.tree.is_for_each(place)
    }

    fn entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Event(sequence, what) => {
                assert!(self.due.is_none(), "no command follows the event before {what:?}");
                assert_eq!(
                    *sequence,
                    self.view.sequence + 1,
                    "public events are numbered: {what:?}"
                );
                self.before(what);
                self.view.fold(*sequence, what);
                self.after(what);
            }
            Entry::Sent(record) => self.command(record),
            Entry::Told(subject, answer) => self.answer(subject, answer),
            Entry::Ordered(verb) => {
                self.orders.push(verb.clone());
                if let Verb::Resolve { task, outcome: Outcome::NotDone, .. } = verb {
                    let place = self.tree.find(task.as_str()).unwrap();
                    self.told.get_mut(&place).unwrap().open.clear();
                }
                if let Verb::Retry(task) = verb
                    && self.view.of(task.as_str()).back == Back::Blocked
                {
                    self.view.tasks.get_mut(task.as_str()).unwrap().repeated = true;
                }
            }
            Entry::Unsent(record, Unsent::Never)
                if text(record, header::TYPE) == ce_type::DO_TASK =>
            {
                let subject: Subject = text(record, header::SUBJECT).parse().unwrap();
                let place = self.tree.find(subject.task.as_str()).unwrap();
                let in_time = self.seen(&place).forward == Forward::Running;
                if in_time {
                    self.told.entry(place).or_default().open.remove(&subject.n);
                }
            }
            Entry::Dead(code) => {
                let fits = self.may_be_dead && code == "late_success";
                assert!(fits, "an answer is a dead letter: {code}");
            }
            Entry::Passed(at) => self.now = *at,
            Entry::Woken(at) => {
                self.now = *at;
                self.wake();
            }
            Entry::Happened(task, case) => {
                let place = self.tree.find(task.as_str()).unwrap();
                if self.seen(&place).forward == Forward::Running {
                    self.raced.entry(place).or_insert(*case);
                }
            }
            Entry::Unsent(..) => {}
        }
    }

    /// What must be so for the event to happen.
    fn before(&mut self, what: &What) {
        if self.view.end.is_some() {
            let is_undo = matches!(
                what,
                What::UndoScheduled { .. } | What::UndoCompleted { .. } | What::UndoFailed { .. }
            ) || matches!(what, What::TaskSkipped { reason, .. } if reason == "undo")
                || matches!(what, What::CompensationBlocked { .. });
            assert!(is_undo, "only undos follow the end, found {what:?}");
        }
        let Some(id) = task_of(what) else { return self.before_run(what) };
        let place = self.tree.find(id).unwrap_or_else(|| panic!("`{id}` is no task: {what:?}"));
        let seen = self.view.of(id);
        match what {
            What::TaskScheduled { attempt, inputs, .. } => {
                assert_eq!(*attempt, seen.attempt + 1, "attempts of `{id}` are counted");
                self.may_run(&place, *attempt);
                if seen.begun.is_none() {
                    self.may_begin(&place);
                }
                let now = self.now;
                let told = self.told.entry(place.clone()).or_default();
                told.ready.get_or_insert(now);
                match told.inputs.clone() {
                    Some(first) => assert_eq!(*inputs, first, "each attempt of `{id}` is the same"),
                    None => {
                        told.inputs = Some(inputs.clone());
                        self.inputs(&place, inputs);
                    }
                }
            }
            What::TaskStarted { .. } if seen.begun.is_none() => self.may_begin(&place),
            What::TaskCompleted { output, by, .. } => {
                let once = seen.successes == 0 || self.is_replaced(&place);
                assert!(once, "`{id}` is done twice");
                self.may_complete(&place, output, by.is_some());
                // An operator may have had it tried again all the same.
                if self.has_lost(&place) && !self.spared.contains(&place) && !seen.by_hand {
                    self.lost.insert(place);
                }
            }
            What::TaskFailed { code, .. } => self.may_fail(&place, code),
            What::TaskSkipped { reason, by, .. } => self.may_skip(&place, reason, by.is_some()),
            What::TaskCancelled { .. } => self.may_cancel(&place),
            What::UndoScheduled { n, inputs, .. } => self.may_undo(&place, *n, inputs.value()),
            What::UndoCompleted { n, by, .. } => {
                assert!(*n <= seen.undo, "`{id}` is undone before its undo");
                let informed = self.told.get(&place).and_then(|told| told.informed);
                let known = informed.is_none_or(|from| *n >= from) || by.is_some();
                assert!(known, "an undo of `{id}` that knew nothing counts for nothing");
            }
            _ => {}
        }
    }

    fn before_run(&mut self, what: &What) {
        match what {
            What::CompensationStarted { epoch, problem } => {
                assert!(!self.past_pivot, "past the pivot nothing is undone");
                assert!(!self.view.compensating, "compensation starts once");
                assert_eq!(*epoch, self.epoch + 1, "the epoch rises by one");
                self.may_compensate(problem);
            }
            What::WorkflowCompleted { outputs } => self.completed(&outputs.value()),
            What::WorkflowFailed { how, problem, stands, undone, in_doubt, .. } => {
                self.failed(*how, problem);
                self.left.clone_from(in_doubt);
                self.lists(stands, undone, in_doubt);
            }
            What::WorkflowCancelled { stands, undone, in_doubt, .. } => {
                assert!(self.cancelled, "cancelled, but it turned back for another reason");
                assert!(self.view.compensated, "cancelled before all is undone");
                self.lists(stands, undone, in_doubt);
            }
            _ => {}
        }
    }

    /// What follows from the event for what may come.
    fn after(&mut self, what: &What) {
        match what {
            What::CompensationStarted { epoch, problem } => {
                self.epoch = *epoch;
                self.cancelled = problem.task.is_none() && problem.code == "cancelled";
            }
            What::WorkflowPaused { .. } => {
                self.turned.retain(|turned| *turned == Strategy::FailFast);
            }
            What::TaskScheduled { command, inputs, .. }
            | What::UndoScheduled { command, inputs, .. } => {
                self.due = Some((command.clone(), inputs.clone()));
            }
            _ => {}
        }
        let Some(place) = task_of(what).and_then(|id| self.tree.find(id)) else { return };
        if matches!(
            what,
            What::TaskScheduled { .. } | What::TaskStarted { .. } | What::TaskSkipped { .. }
        ) {
            self.spare(&place);
        }
        match what {
            What::TaskStarted { attempt, .. } if self.is_awaited(&place) => {
                let (key, given) = (self.key(&place), self.given(&place));
                let told = self.told.entry(place).or_default();
                told.sent = *attempt;
                told.open.insert(*attempt);
                (told.key, told.given) = (Some(key), Some(given));
            }
            What::TaskStarted { .. } if !self.is_agent(&place) => {
                let (given, now) = (self.given(&place), self.now);
                let told = self.told.entry(place).or_default();
                (told.given, told.ready) = (Some(given), Some(now));
            }
            What::TaskCompleted { .. } if self.kind(&place) == Kind::Pivot => {
                self.past_pivot = true;
                self.turned.retain(|turned| *turned == Strategy::FailFast);
            }
            What::TaskCompleted { .. } => self.rose(&place),
            What::TaskRetried { .. } => {
                let anew = self.seen(&place).anew;
                let told = self.told.entry(place).or_default();
                if anew > told.anew {
                    *told = Told {
                        sent: told.sent,
                        inputs: told.inputs.take(),
                        given: told.given.take(),
                        queries: told.queries,
                        undone: (told.sent, told.queries),
                        anew,
                        ..Told::default()
                    };
                }
            }
            What::TaskFailed { .. } => self.fell(&place),
            What::TaskSkipped { reason, .. } if reason == "undo" => {
                let told = self.told.entry(place).or_default();
                told.kept = !told.outputs.is_empty();
            }
            What::TaskInDoubt { policy, .. } if policy == "undo" => self.fell(&place),
            What::UndoScheduled { n, inputs, .. } => self.undo_sent(&place, *n, inputs),
            _ => {}
        }
        self.not_too_many();
    }

    fn undo_sent(&mut self, place: &Place, n: u32, inputs: &Json) {
        let is_informed = self.original(place, inputs.value())["status"] == "done";
        let is_done = self.seen(place).forward == Forward::Done;
        let told = self.told.get_mut(place).unwrap();
        told.at_once = is_informed && !is_done;
        if is_informed {
            told.informed.get_or_insert(n);
        }
    }

    /// `max_parallel`
    fn not_too_many(&self) {
        // What an operator begins anew is not counted.
        let running = self.running(|_, seen| seen.forward == Forward::Running && !seen.ordered);
        assert!(running <= self.tree.saga.max_parallel, "max_parallel: {running} tasks in flight");
        // What an operator repeats is not counted, nor what a late success has made worthless.
        let counts = |seen: &Seen| !seen.repeated && !seen.overtaken;
        // A late success of what its fallback covers is undone at once.
        let is_covered = |place: &Place| {
            let fallback = self.tree.fallback(place);
            // One that is called may wait for room yet.
            let at_once = || self.told.get(place).is_some_and(|told| told.at_once);
            fallback.is_some_and(|fallback| self.seen(&fallback).begun.is_some() || at_once())
        };
        // So is one after the end, and while the run fails fast, or the tasks of `then` run.
        let closing = self.tree.closing.iter().map(|node| Place { node: *node, at: Vec::new() });
        let lets_go = self.turned.contains(&Strategy::FailFast)
            || self.turned_perhaps
            || self.is_out_of_time()
            || self.view.end.is_some()
            || closing.into_iter().any(|place| self.seen(&place).begun.is_some());
        let is_at_once =
            |place: &Place| lets_go && self.told.get(place).is_some_and(|told| told.at_once);
        let undoing = self.running(|place, seen| {
            seen.back == Back::Running && counts(seen) && !is_covered(place) && !is_at_once(place)
        });
        assert!(undoing <= self.tree.saga.max_parallel, "max_parallel: {undoing} undos in flight");
    }

    fn running(&self, is: impl Fn(&Place, &Seen) -> bool) -> usize {
        let places =
            self.view.tasks.iter().filter_map(|(id, seen)| Some((self.tree.find(id)?, seen)));
        places.filter(|(place, seen)| self.is_agent(place) && is(place, seen)).count()
    }

    /// A task has failed; its fallback comes first.
    fn fell(&mut self, place: &Place) {
        // The failure of a fallback is that of its task, which follows.
        let is_fallback = matches!(self.tree.nodes[place.node].role, Role::Fallback(_));
        // What stands in something that is being given up can fail as it likes.
        let line = self.tree.line(place);
        let given_up = line.iter().skip(1).any(|around| self.falling.contains(around));
        // What an operator has tried again is wanted once more.
        let has_lost = self.has_lost(place) && !self.seen(place).ordered;
        if !self.is_last(place) || is_fallback || given_up || has_lost {
            return;
        }
        // Its fallback has failed as well, and a late success of its own is being undone: that comes first.
        let back = self.seen(place).back;
        let is_undone = matches!(back, Back::Running | Back::Retrying | Back::Blocked);
        let is_covered = self.tree.fallback(place).is_some();
        let is_late = line.iter().skip(1).any(|around| self.overdue.contains(around));
        if self.is_loser(place) || is_late || is_undone && is_covered {
            let reach = self.tree.reach(place);
            self.accepted_perhaps |= reach == Reach::Accepted;
            self.turned_perhaps |= reach == Reach::Run(Strategy::FailFast);
            if let Reach::Caught(around) = reach {
                self.falling_perhaps.insert(around);
            }
            return;
        }
        match self.tree.reach(place) {
            Reach::Caught(around) => {
                let waits = self.pivot_in_flight() && !self.falling.contains(&around);
                if waits || self.deferred.contains_key(&around) && self.pivot_in_flight() {
                    self.deferred.entry(around.clone()).or_default().insert(place.clone());
                } else {
                    self.deferred.remove(&around);
                }
                self.falling.insert(around);
            }
            Reach::Run(Strategy::Compensate) if self.past_pivot => {}
            Reach::Accepted => {
                self.accepted = true;
                if self.tree.is_the_files(place) {
                    self.accepted_by_file.insert(place.clone());
                }
            }
            // Too few can still succeed: that is so though some of them do, too late.
            Reach::Element if self.is_short(place) => {
                self.falling_perhaps.extend(self.tree.parent(place));
            }
            Reach::Run(Strategy::Pause) | Reach::Optional | Reach::Element => {}
            Reach::Run(strategy) => {
                self.turned.push(strategy);
                if self.pivot_in_flight() {
                    self.turned_meanwhile.push((place.clone(), strategy));
                }
            }
        }
    }

    /// A late success: what fell by its failure alone, while that waited for the pivot, has not fallen.
    fn rose(&mut self, place: &Place) {
        for (by, strategy) in &self.turned_meanwhile {
            let found = self.turned.iter().position(|turned| by == place && turned == strategy);
            found.map(|at| self.turned.remove(at));
        }
        self.turned_meanwhile.retain(|(by, _)| by != place);
        for (around, causes) in &mut self.deferred {
            if causes.remove(place) && causes.is_empty() {
                self.falling.remove(around);
            }
        }
        self.deferred.retain(|_, causes| !causes.is_empty());
    }

    fn pivot_in_flight(&self) -> bool {
        (0..self.tree.nodes.len()).any(|node| {
            let known = &self.tree.nodes[node];
            let forward = self.seen(&Place { node, at: vec![0; known.depth] }).forward;
            known.task.kind == Kind::Pivot
                && matches!(forward, Forward::Running | Forward::Retrying | Forward::InDoubt)
        })
    }

    /// A join that cancels the rest is over: what had failed before it has not lost by it.
    fn spare(&mut self, winner: &Place) {
        if self.tree.nodes[winner.node].join.cancels() {
            let failed = |dep: &Place| self.seen(dep).forward == Forward::Failed;
            let spared: Vec<Place> = self.tree.deps(winner).into_iter().filter(failed).collect();
            self.spared.extend(spared);
        }
    }

    /// What participants tell its attempts apart by: the same in all of them.
    fn key(&self, place: &Place) -> String {
        format!("drawn:k/{}/1.{}", self.tree.name(place), self.seen(place).anew + 1)
    }

    fn is_awaited(&self, place: &Place) -> bool {
        let talk = self.tree.nodes[place.node].talk();
        self.is_agent(place) && matches!(talk, Talk::Await | Talk::Signal)
    }

    /// What an undo carries, as if it had declared nothing.
    pub(crate) fn original(&self, place: &Place, found: Value) -> Value {
        if !self.tree.nodes[place.node].task.declared {
            return found;
        }
        let key = self.told.get(place).and_then(|told| told.key.clone());
        assert_eq!(found["n"], json!(7), "the undo of `{}`", self.tree.name(place));
        json!({"status": found["was"], "output": found["gave"], "key": key})
    }

    /// What goes out on a topic of the user's: a do or an undo as well.
    fn emitted(&mut self, to: &str, record: &Outgoing) {
        let task = text(record, header::SUBJECT).split_once('/').unwrap().1;
        let place = self.tree.find(task).unwrap_or_else(|| panic!("`{task}` is no task"));
        let node = &self.tree.nodes[place.node];
        assert!(node.is_agent() && node.talk() != Talk::Agent, "`{task}` emits nothing");
        assert_eq!(to, format!("ask.{}", node.task.id), "the topic of `{task}`");
        assert_eq!(record.key.as_deref(), Some(&b"k"[..]), "the key of what `{task}` emits");
        let (key, seen) = (text(record, header::ID), self.seen(&place));
        let told = self.told.entry(place).or_default();
        match text(record, header::TYPE) {
            "Asked" => {
                let first = told.key.get_or_insert_with(|| key.to_owned());
                assert_eq!(key, first, "a repeat of `{task}` can be told");
                told.sent = seen.attempt;
                told.open.insert(seen.attempt);
            }
            "Undo" => {
                assert_eq!(node.task.kind, Kind::Compensatable, "`{task}` has no undo");
                let is_its = told.key.as_ref().is_some_and(|of| {
                    let behind =
                        key.strip_prefix(of.as_str()).and_then(|it| it.strip_prefix("/undo"));
                    behind.is_some_and(|n| n.bytes().all(|byte| byte.is_ascii_digit()))
                });
                assert!(is_its, "the undo of `{task}` has the id {key}");
            }
            other => panic!("`{task}` emits {other}"),
        }
        let events::Payload::Bytes(bytes) = &record.value else { panic!("an event has bytes") };
        let (_, inputs) = self.due.take().expect("what is emitted follows its event");
        assert_eq!(inputs.as_str().as_bytes(), &bytes[..], "what `{task}` emits");
    }

    fn command(&mut self, record: &Outgoing) {
        if let Some(to) = topic(record) {
            return self.emitted(&to, record);
        }
        let Some(to) = agent(record) else { return };
        let id = text(record, header::ID).to_owned();
        let subject: Subject = text(record, header::SUBJECT).parse().unwrap();
        let place = self.tree.find(subject.task.as_str()).unwrap();
        assert!(self.ids.insert(id.clone()), "one id, one command: {id}");
        assert_eq!(to, self.tree.nodes[place.node].task.id, "the agent of `{id}`");
        let epoch: u32 = text(record, header::EPOCH).parse().unwrap();
        assert_eq!(epoch, self.epoch, "the epoch of `{id}` rises with the compensation alone");
        let key = text(record, header::IDEMPOTENCY_KEY).to_owned();
        assert_eq!(key, self.key(&place), "the key of `{id}`");
        let told = self.told.entry(place).or_default();
        told.key = Some(key);
        match text(record, header::TYPE) {
            ce_type::DO_TASK => {
                assert!(subject.kind == CommandKind::Do);
                told.sent = subject.n;
                told.open.insert(subject.n);
            }
            ce_type::UNDO_TASK => assert!(subject.kind == CommandKind::Undo),
            ce_type::QUERY_TASK => {
                told.queries = subject.n;
                return;
            }
            // Only the commands that events speak of must follow them.
            _ => return,
        }
        let events::Payload::Bytes(bytes) = &record.value else { panic!("a command has bytes") };
        let (due, inputs) = self.due.take().expect("a do or an undo follows its event");
        assert_eq!((due.as_str(), inputs.as_str().as_bytes()), (id.as_str(), &bytes[..]));
    }

    fn answer(&mut self, subject: &Subject, answer: &Answer) {
        let place = self.tree.find(subject.task.as_str()).unwrap();
        let is_told = self.tree.nodes[place.node].talk() == Talk::Agent;
        let lost = self.seen(&place).lost;
        let told = self.told.entry(place).or_default();
        let of_earlier = match subject.kind {
            CommandKind::Do => subject.n <= told.undone.0,
            CommandKind::Query => subject.n <= told.undone.1,
            CommandKind::Undo => false,
        };
        let is_success =
            matches!(answer, Answer::Completed(_) | Answer::Status { status: Known::Done, .. });
        self.may_be_dead = is_success && (of_earlier || self.left.contains(&subject.task));
        if of_earlier {
            return;
        }
        match answer {
            Answer::Completed(output) if subject.kind == CommandKind::Do => {
                told.outputs.push(output.clone());
            }
            Answer::Status { status: Known::Done, output } => told.outputs.push(output.clone()),
            // Only the last query's word counts, but for a success.
            Answer::Status { status: Known::NotDone, .. } if subject.n == told.queries => {
                told.open.clear();
            }
            Answer::Failed(failure) if subject.kind == CommandKind::Do => {
                let speaks = !["superseded", "expired"].contains(&failure.code.as_str());
                // An event does not say which attempt it is about.
                let is_last = subject.n == told.sent || !is_told;
                // The last answer speaks for all attempts.
                if speaks && is_last && !lost && failure.effects == Effects::None {
                    told.open.clear();
                }
            }
            _ => {}
        }
    }

    /// Whether it may have left something behind, by all that the engine was told.
    pub(crate) fn possibly_done(&self, place: &Place) -> bool {
        let Some(told) = self.told.get(place) else { return false };
        !told.outputs.is_empty() || !told.open.is_empty()
    }

    /// Whether it has failed, as others see it: what was in doubt and is undone counts, even if it turned
    /// out to be done.
    pub(crate) fn has_failed(&self, place: &Place) -> bool {
        let seen = self.seen(place);
        let undone = seen.lost && seen.back != Back::Nothing && !self.is_replaced(place);
        let failed = matches!(seen.forward, Forward::Failed | Forward::InDoubt) || undone;
        // An operator lets it stand.
        failed && seen.back != Back::GivenUp
    }

    /// Whether its fallback has done it in its place.
    pub(crate) fn is_replaced(&self, place: &Place) -> bool {
        let fallback = self.tree.fallback(place);
        fallback.is_some_and(|fallback| {
            let seen = self.seen(&fallback);
            let worked = seen.forward == Forward::Done || seen.back == Back::GivenUp;
            worked && !self.has_failed(&fallback)
        })
    }

    /// Whether its fallback has done it in its place, and that stands.
    fn gives_way(&self, place: &Place) -> bool {
        let fallback = self.tree.fallback(place);
        let stands = |fallback| matches!(self.seen(&fallback).back, Back::Nothing | Back::GivenUp);
        self.is_replaced(place) && fallback.is_some_and(stands)
    }

    /// Whether there is no fallback that may still make good its failure.
    pub(crate) fn is_last(&self, place: &Place) -> bool {
        self.tree.fallback(place).is_none_or(|fallback| {
            let forward = self.seen(&fallback).forward;
            let passed = matches!(forward, Forward::Cancelled | Forward::Skipped);
            passed || self.has_failed(&fallback)
        })
    }

    /// Whether it is over, so that what waits for it may go on.
    pub(crate) fn is_settled(&self, place: &Place) -> bool {
        let seen = self.seen(place);
        let is_back =
            seen.was_back || !matches!(seen.back, Back::Running | Back::Retrying | Back::Blocked);
        match seen.forward {
            Forward::Done | Forward::Skipped | Forward::Cancelled => is_back,
            Forward::Failed => is_back && (self.is_last(place) || self.is_loser(place)),
            Forward::InDoubt => {
                let over = seen.was_back && (self.is_last(place) || self.is_loser(place));
                over || seen.back == Back::GivenUp
            }
            Forward::Pending | Forward::Running | Forward::Retrying => false,
        }
    }

    /// Whether a failure of it does not stop what depends on it.
    pub(crate) fn is_forgiven(&self, place: &Place) -> bool {
        self.tree.is_optional(place) || is_closing(self.tree, place)
    }

    /// The output that others see.
    pub(crate) fn output(&self, place: &Place) -> Value {
        let seen = self.seen(place);
        // Its undo was given up: it stands, with the output that was told by then.
        let told = self.told.get(place).filter(|told| told.kept);
        let told = told.and_then(|told| told.outputs.first());
        if let (Back::GivenUp, Forward::Failed | Forward::InDoubt, Some(told)) =
            (seen.back, seen.forward, told)
        {
            return told.value();
        }
        match seen.forward {
            Forward::Done | Forward::Skipped
                if seen.back == Back::Nothing
                    || seen.back == Back::GivenUp
                    || seen.forward == Forward::Skipped
                    || self.gives_way(place) =>
            {
                seen.output.map_or(Value::Null, |output| output.value())
            }
            _ => Value::Null,
        }
    }

    /// Time has come: of each choice that waits for it, the case that was due first.
    fn wake(&mut self) {
        self.overdue();
        for node in 0..self.tree.nodes.len() {
            let (place, race) = (Place { node, at: Vec::new() }, self.tree.nodes[node].race());
            let began = self.told.get(&place).and_then(|told| told.ready);
            let (Some(cases), Some(began)) = (race, began) else { continue };
            let due = cases.iter().enumerate().filter_map(|(k, on)| match on {
                On::After(seconds) => Some((began.after(Duration::from_secs(*seconds)), k)),
                On::Event => None,
            });
            let first = due.min().filter(|(at, _)| *at <= self.now);
            if let Some((_, case)) = first.filter(|_| self.seen(&place).forward == Forward::Running)
            {
                self.raced.entry(place).or_insert(case);
            }
        }
    }

    /// What others stand in is given up when its time is over.
    fn overdue(&mut self) {
        let open = |(place, told): (&Place, &Told)| {
            let seconds = self.tree.nodes[place.node].task.deadline?;
            let over = told.ready?.after(Duration::from_secs(seconds)) <= self.now;
            let is_open = self.seen(place).forward == Forward::Running && !self.is_agent(place);
            (over && is_open).then(|| place.clone())
        };
        let open: Vec<Place> = self.told.iter().filter_map(open).collect();
        self.overdue.extend(open.iter().cloned());
        self.falling_perhaps.extend(open);
    }

    /// The cases of that choice that are taken.
    pub(crate) fn cases(&self, choice: &Place) -> Vec<usize> {
        match self.tree.nodes[choice.node].race() {
            Some(_) => self.raced.get(choice).copied().into_iter().collect(),
            None => taken(self.tree, choice.node),
        }
    }

    /// Whether the `n`th case of that choice is taken.
    pub(crate) fn is_taken(&self, choice: &Place, case: usize) -> bool {
        self.cases(choice).contains(&case)
    }

    /// Whether it is certain that it is not.
    pub(crate) fn is_passed_over(&self, choice: &Place, case: usize) -> bool {
        let cases = self.cases(choice);
        let is_open = self.tree.nodes[choice.node].race().is_some() && cases.is_empty();
        !is_open && !cases.contains(&case)
    }
}

/// The cases of a choice that are taken, by its conditions; all of them are constant.
pub(crate) fn taken(tree: &Tree<'_>, choice: usize) -> Vec<usize> {
    let crate::tree::Action::Choice { many, cases } = &tree.nodes[choice].task.action else {
        return Vec::new();
    };
    let fits = (0..cases.len()).filter(|case| cases[*case].when.unwrap_or(true));
    if *many { fits.collect() } else { fits.take(1).collect() }
}

/// A value without the fields that are null: whether something absent is left out or null is open.
pub(crate) fn solid(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        other => other.clone(),
    }
}

/// An empty map, as `inputs: {}` gives it.
pub(crate) fn nothing() -> Value {
    json!({})
}

/// Whether the place is, or stands in, one of `then`.
pub(crate) fn is_closing(tree: &Tree<'_>, place: &Place) -> bool {
    tree.line(place).iter().any(|place| tree.nodes[place.node].role == Role::Closing)
}
