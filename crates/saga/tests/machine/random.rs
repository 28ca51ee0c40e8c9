//! Random sagas under random schedules: answers lost, doubled, late and out of order, participants
//! that die in the middle, commands that can not be sent, operators. What comes out is judged by an
//! oracle that knows the public events, the commands and the participants' books, and nothing of the
//! machine's inside.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use events::{CommandKind, Destination, Json, Outgoing, Subject, What, ce_type, header};
use proptest::prelude::*;
use saga::{
    Action, Answer, Cause, CompensationPlan, Deadline, Decision, Effects, Failure, FailurePlan,
    Idempotency, InDoubt, Inputs, Join, Kind, Known, OnBlocked, OnDuplicate, Outcome, Plan,
    RetryPlan, Role, TaskPlan, Type, UndoPlan, Unsent, Verb,
};

use crate::world::{World, text};

/// A task as it is drawn: edges to tasks before it, and numbers that choose the rest.
#[derive(Clone, Debug)]
struct Drawn {
    edges: u8,
    kind: u8,
    doubt: u8,
    attempts: u32,
    deadline: bool,
    returns: bool,
}

#[derive(Clone, Debug)]
struct Saga {
    tasks: Vec<Drawn>,
    pivot: usize,
    max_parallel: usize,
    go_on: bool,
    reverse: bool,
}

fn sagas() -> impl Strategy<Value = Saga> {
    let task = (any::<u8>(), any::<u8>(), any::<u8>(), 1..4_u32, any::<bool>(), any::<bool>());
    let task = task.prop_map(|(edges, kind, doubt, attempts, deadline, returns)| Drawn {
        edges,
        kind,
        doubt,
        attempts,
        deadline,
        returns,
    });
    let tasks = prop::collection::vec(task, 1..7);
    (tasks, 0..9_usize, 1..5_usize, any::<bool>(), any::<bool>()).prop_map(
        |(tasks, pivot, max_parallel, go_on, reverse)| Saga {
            tasks,
            pivot,
            max_parallel,
            go_on,
            reverse,
        },
    )
}

fn retry(max_attempts: u32) -> RetryPlan {
    RetryPlan {
        max_attempts,
        backoff: Duration::from_secs(1),
        factor: 2.0,
        max_backoff: Duration::from_secs(60),
        jitter: 0.5,
        only: None,
        never: vec!["never".to_owned()],
    }
}

impl Saga {
    /// The tasks before this one, by their numbers as drawn.
    fn before(&self, task: usize) -> Vec<usize> {
        (0..task).filter(|other| self.tasks[task].edges >> other & 1 == 1).collect()
    }

    fn leads_to(&self, from: usize, to: usize) -> bool {
        self.before(to).into_iter().any(|step| step == from || self.leads_to(from, step))
    }

    /// What a checked file could say: before the pivot anything, beside it and after it nothing that
    /// would have to be undone.
    fn kind(&self, task: usize) -> Kind {
        let has_pivot = self.pivot < self.tasks.len();
        let drawn = self.tasks[task].kind;
        if has_pivot && task == self.pivot {
            Kind::Pivot
        } else if !has_pivot || self.leads_to(task, self.pivot) {
            match drawn % 4 {
                0 => Kind::ReadOnly,
                1 => Kind::Retriable,
                _ => Kind::Compensatable,
            }
        } else if drawn.is_multiple_of(2) {
            Kind::ReadOnly
        } else {
            Kind::Retriable
        }
    }

    #[allow(clippy::too_many_lines, reason = "one line for each of the plan's fields")]
    fn plan(&self) -> Plan {
        let count = self.tasks.len();
        // The order of the file means nothing.
        let slot = |task: usize| if self.reverse { count - 1 - task } else { task };
        let mut tasks: Vec<(usize, TaskPlan)> = (0..count)
            .map(|task| {
                let drawn = &self.tasks[task];
                let kind = self.kind(task);
                let undo = (kind == Kind::Compensatable).then(|| UndoPlan {
                    action: Action::Agent {
                        agent: agent(task).into(),
                        task_type: "undo".to_owned(),
                    },
                    when: None,
                    inputs: None,
                    timeout: Duration::from_secs(10),
                    retry: retry(2),
                });
                let in_doubt = match (drawn.doubt % 3, kind) {
                    (0, Kind::Compensatable) => InDoubt::Undo,
                    (1, _) => InDoubt::Query,
                    _ => InDoubt::Hold,
                };
                let dependents =
                    (0..count).filter(|other| self.before(*other).contains(&task)).map(slot);
                let plan = TaskPlan {
                    id: agent(task).into(),
                    parent: None,
                    role: Role::Child,
                    action: Action::Agent { agent: agent(task).into(), task_type: "do".to_owned() },
                    join: Join::All,
                    when: None,
                    alone: false,
                    idempotency: Idempotency::Key,
                    optional: false,
                    fallback: None,
                    on_failure: None,
                    inputs: if drawn.edges.is_multiple_of(2) {
                        Inputs::Enclosing
                    } else {
                        Inputs::Upstream
                    },
                    returns: drawn.returns.then_some(Type::Object),
                    depends_on: self.before(task).into_iter().map(slot).collect(),
                    dependents: dependents.collect(),
                    timeout: Some(Duration::from_secs(10)),
                    deadline: drawn.deadline.then_some(Deadline::Within(Duration::from_secs(15))),
                    retry: retry(drawn.attempts),
                    kind,
                    in_doubt,
                    undo,
                };
                (slot(task), plan)
            })
            .collect();
        tasks.sort_by_key(|(slot, _)| *slot);
        Plan {
            name: "random".into(),
            version: "0123456789ab".into(),
            description: None,
            key: None,
            on_duplicate: OnDuplicate::Ignore,
            inputs: None,
            triggers: Vec::new(),
            topics: Vec::new(),
            listens: Vec::new(),
            fixed: count,
            on_failure: FailurePlan { strategy: saga::Strategy::Compensate, then: Vec::new() },
            keep_early: Duration::from_secs(600),
            tasks: tasks.into_iter().map(|(_, task)| task).collect(),
            outputs: Vec::new(),
            timeout: Duration::from_secs(120),
            max_parallel: self.max_parallel,
            compensation: CompensationPlan {
                strict: false,
                grace: Duration::from_secs(5),
                on_blocked: if self.go_on { OnBlocked::GoOn } else { OnBlocked::Wait },
            },
        }
    }
}

fn agent(task: usize) -> String {
    format!("t{task}")
}

/// What a participant has in its books for one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Book {
    #[default]
    Nothing,
    Done,
    Undone,
    /// Undone before it was done, or said not to be done: a do is refused from then on.
    Refuses,
}

/// A participant that keeps the four promises, and may die after any step.
#[derive(Default)]
struct Participant {
    queue: VecDeque<Outgoing>,
    book: Book,
    epoch: u32,
    given: BTreeMap<String, Answer>,
    handled: BTreeSet<String>,
}

fn failure(code: &str, retryable: bool, effects: Effects) -> Answer {
    let (code, message) = (code.to_owned(), String::new());
    Answer::Failed(Failure { code, message, retryable, effects })
}

fn output() -> Answer {
    Answer::Completed(Json::parse(br#"{"ok":true}"#).unwrap())
}

impl Participant {
    /// Handles a command; `mood` says what goes wrong. No answer: it died, or has nothing to say.
    fn handle(&mut self, command: &Outgoing, mood: u8) -> Option<Answer> {
        let id = text(command, header::ID).to_owned();
        self.handled.insert(id.clone());
        let epoch: u32 = text(command, header::EPOCH).parse().unwrap();
        let is_old = epoch < self.epoch;
        self.epoch = self.epoch.max(epoch);
        if let Some(given) = self.given.get(&id) {
            return Some(given.clone());
        }
        let answer = match text(command, header::TYPE) {
            ce_type::DO_TASK if self.book == Book::Done => output(),
            ce_type::DO_TASK if is_old => failure("superseded", false, Effects::None),
            ce_type::DO_TASK if self.book != Book::Nothing => {
                failure("already_undone", false, Effects::None)
            }
            ce_type::DO_TASK => match mood % 8 {
                0 => failure("busy", true, Effects::None),
                1 => failure("never", true, Effects::None),
                2 => failure("final", false, Effects::None),
                // It does not know itself; half of the time the work was done.
                3 | 4 => {
                    if mood % 8 == 3 {
                        self.book = Book::Done;
                    }
                    failure("crashed", mood > 100, Effects::Unknown)
                }
                5 => {
                    self.book = Book::Done;
                    Answer::Completed(Json::parse(b"\"broken\"").unwrap())
                }
                _ => {
                    self.book = Book::Done;
                    output()
                }
            },
            ce_type::UNDO_TASK => match self.book {
                _ if mood.is_multiple_of(4) => {
                    failure("locked", mood.is_multiple_of(8), Effects::None)
                }
                Book::Done | Book::Undone => {
                    self.book = Book::Undone;
                    Answer::Completed(Json::null())
                }
                Book::Nothing | Book::Refuses => {
                    self.book = Book::Refuses;
                    Answer::NothingToUndo
                }
            },
            ce_type::QUERY_TASK if mood.is_multiple_of(4) => {
                Answer::Status { status: Known::Unknown, output: Json::null() }
            }
            ce_type::QUERY_TASK => self.status(),
            ce_type::CANCEL_TASK => match self.book {
                Book::Done => return Some(output()),
                Book::Nothing if mood.is_multiple_of(2) => {
                    failure("cancelled", false, Effects::None)
                }
                Book::Nothing | Book::Undone | Book::Refuses => return None,
            },
            other => panic!("{other}"),
        };
        self.given.insert(id, answer.clone());
        // Dead after the work, before the answer: the record comes again, or never.
        (mood < 200).then_some(answer)
    }

    /// The truth. What was not done will not be done afterwards.
    fn status(&mut self) -> Answer {
        let status = match self.book {
            Book::Done => Known::Done,
            Book::Nothing | Book::Undone | Book::Refuses => {
                self.book = Book::Refuses;
                Known::NotDone
            }
        };
        Answer::Status { status, output: Json::parse(br#"{"ok":true}"#).unwrap() }
    }
}

/// What the public events and the commands say, and whether they may.
#[derive(Default)]
struct Oracle {
    seen: usize,
    journalled: usize,
    sequence: u64,
    commands: BTreeMap<String, Outgoing>,
    keys: BTreeMap<String, String>,
    status: BTreeMap<String, &'static str>,
    compensating: bool,
    past_pivot: bool,
    paused: bool,
    end: Option<&'static str>,
    undos_given_up: BTreeSet<String>,
    by_operator: BTreeSet<String>,
    /// The first undo of each task that carried its output.
    informed: BTreeMap<String, u32>,
}

impl Oracle {
    fn watch(&mut self, world: &World, plan: &Plan) {
        for event in &world.journal[self.journalled..] {
            let Some(event) = event.lifecycle() else { continue };
            self.sequence += 1;
            assert_eq!(event.sequence, self.sequence, "public events are numbered without gaps");
            self.one_end(&event.what);
            self.event(&event.what, plan);
        }
        self.journalled = world.journal.len();
        for record in &world.sent[self.seen..] {
            self.command(record);
        }
        self.seen = world.sent.len();
        self.never_silent(world);
        self.max_parallel(plan);
    }

    fn max_parallel(&self, plan: &Plan) {
        let running = self.status.values().filter(|status| **status == "running").count();
        assert!(running <= plan.max_parallel, "max_parallel");
    }

    fn never_silent(&self, world: &World) {
        let is_blocked = self.status.values().any(|status| *status == "undo_blocked");
        assert!(
            self.end.is_some() || self.paused || is_blocked || world.wake_at().is_some(),
            "never-silent: {:?}",
            self.status
        );
    }

    fn command(&mut self, record: &Outgoing) {
        let Destination::Tasks(agent) = &record.to else { return };
        let id = text(record, header::ID).to_owned();
        assert!(!self.commands.contains_key(&id), "{id} was sent before: one id, one command");
        self.commands.insert(id, record.clone());
        let key = text(record, header::IDEMPOTENCY_KEY).to_owned();
        let first = self.keys.entry(agent.to_string()).or_insert_with(|| key.clone());
        assert_eq!(first, &key, "one key for everything about a task");
    }

    fn one_end(&self, what: &What) {
        if self.end.is_some() {
            let is_undo = matches!(
                what,
                What::UndoScheduled { .. } | What::UndoCompleted { .. } | What::UndoFailed { .. }
            );
            assert!(is_undo, "one-end: only undos follow the end, found {what:?}");
        }
    }

    /// A task starts after all that it depends on, and never while undoing.
    fn may_start(&self, task: &events::TaskId, plan: &Plan) {
        assert!(!self.compensating, "undo-order: `{task}` starts after compensation began");
        assert!(!self.paused || self.status.contains_key(task.as_str()));
        for &before in &plan.tasks[plan.slot(task.as_str()).unwrap()].depends_on {
            let before = &plan.tasks[before].id;
            let status = self.status.get(before.as_str()).copied();
            assert!(
                matches!(status, Some("done" | "skipped")),
                "`{task}` starts while `{before}` is {status:?}"
            );
        }
    }

    fn event(&mut self, what: &What, plan: &Plan) {
        let kind = |task: &str| plan.tasks[plan.slot(task).unwrap()].kind;
        let mut set = |task: &events::TaskId, status| self.status.insert(task.to_string(), status);
        match what {
            What::WorkflowStarted { .. }
            | What::CompensationBlocked { .. }
            | What::TaskStarted { .. }
            | What::TaskTimedOut { .. }
            | What::TimerFired { .. }
            | What::SignalReceived { .. } => {}
            What::WorkflowCompleted { .. } => self.end = Some("completed"),
            What::WorkflowFailed { .. } => {
                self.end = Some(if self.compensating { "compensated" } else { "partial" });
            }
            What::WorkflowCancelled { .. } => self.end = Some("cancelled"),
            What::WorkflowPaused { .. } => self.paused = true,
            What::WorkflowResumed { .. } => self.paused = false,
            What::CompensationStarted { epoch, .. } => {
                assert!(!self.past_pivot, "undo-order: past the pivot nothing is undone");
                assert_eq!(*epoch, 1);
                self.compensating = true;
            }
            What::CompensationCompleted { .. } => {}
            What::TaskScheduled { task, .. } => {
                self.may_start(task, plan);
                self.status.insert(task.to_string(), "running");
            }
            What::TaskCompleted { task, by, .. } => {
                if by.is_some() {
                    self.by_operator.insert(task.to_string());
                }
                self.status.insert(task.to_string(), "done");
                self.past_pivot |= kind(task.as_str()) == Kind::Pivot;
            }
            What::TaskFailed { task, .. } => _ = set(task, "failed"),
            What::TaskRetried { task, .. } => _ = set(task, "retrying"),
            What::TaskInDoubt { task, .. } => _ = set(task, "in_doubt"),
            What::TaskCancelled { task, .. } => _ = set(task, "cancelled"),
            What::TaskSkipped { task, reason, .. } => {
                let given_up = reason == "undo";
                set(task, if given_up { "done" } else { "skipped" });
                if given_up {
                    self.undos_given_up.insert(task.to_string());
                }
                self.by_operator.insert(task.to_string());
            }
            What::UndoScheduled { task, n, inputs, .. } => {
                if inputs.value()["status"] == "done" {
                    self.informed.entry(task.to_string()).or_insert(*n);
                }
                self.undo_order(task.as_str(), *n, plan);
                self.status.insert(task.to_string(), "undoing");
            }
            What::UndoCompleted { task, n, by, .. } => {
                let from = self.informed.get(task.as_str()).copied().unwrap_or(0);
                assert!(by.is_some() || *n >= from, "an undo that knew nothing counts for nothing");
                set(task, "undone");
                if by.is_some() {
                    self.by_operator.insert(task.to_string());
                }
            }
            What::UndoFailed { task, retry_at, .. } => {
                set(task, if retry_at.is_some() { "undoing" } else { "undo_blocked" });
            }
        }
    }

    /// A task is undone after all that depended on it, only if it may have run.
    fn undo_order(&self, task: &str, n: u32, plan: &Plan) {
        assert!(self.compensating, "undo-order: `{task}` is undone without compensation");
        assert_eq!(plan.tasks[plan.slot(task).unwrap()].kind, Kind::Compensatable);
        assert!(
            self.keys.contains_key(task) || self.commands.keys().any(|id| id.contains(task)),
            "undo-order: `{task}` never ran"
        );
        let mut open = vec![plan.slot(task).unwrap()];
        let mut behind = BTreeSet::new();
        while let Some(slot) = open.pop() {
            for (later, plan) in plan.tasks.iter().enumerate() {
                if plan.depends_on.contains(&slot) && behind.insert(later) {
                    open.push(later);
                }
            }
        }
        // A later attempt may meet what a late success has brought back.
        for later in behind.into_iter().filter(|_| n == 1) {
            let later = &plan.tasks[later];
            let status = self.status.get(later.id.as_str()).copied().unwrap_or("pending");
            let is_over = match status {
                "done" => later.undo.is_none() || self.undos_given_up.contains(later.id.as_str()),
                "undo_blocked" => plan.compensation.on_blocked == OnBlocked::GoOn,
                _ => ["pending", "skipped", "failed", "cancelled", "undone"].contains(&status),
            };
            assert!(is_over, "undo-order: `{task}` is undone while `{}` is {status}", later.id);
        }
    }
}

struct Play {
    world: World,
    plan: Plan,
    agents: BTreeMap<String, Participant>,
    answers: Vec<(Subject, Answer)>,
    delivered: usize,
    oracle: Oracle,
    /// Tasks whose success the machine was told of.
    told: BTreeSet<String>,
}

impl Play {
    fn new(saga: &Saga) -> Self {
        let mut world = World::of(saga.plan());
        assert!(matches!(world.start("random", "k", "{}"), Decision::Accepted(_)));
        let mut play = Self {
            world,
            plan: saga.plan(),
            agents: BTreeMap::new(),
            answers: Vec::new(),
            delivered: 0,
            oracle: Oracle::default(),
            told: BTreeSet::new(),
        };
        play.settle();
        play
    }

    /// After each step: what was sent is queued, what was said is judged.
    fn settle(&mut self) {
        for record in &self.world.sent[self.delivered..] {
            if let Destination::Tasks(agent) = &record.to {
                let agent = self.agents.entry(agent.to_string()).or_default();
                agent.queue.push_back(record.clone());
            }
        }
        self.delivered = self.world.sent.len();
        self.oracle.watch(&self.world, &self.plan);
    }

    fn deliver(&mut self, which: usize, mood: u8, keep: bool) {
        let count = self.agents.values().filter(|agent| !agent.queue.is_empty()).count();
        if count == 0 {
            return;
        }
        let mut waiting = self.agents.values_mut().filter(|agent| !agent.queue.is_empty());
        let agent = waiting.nth(which % count).unwrap();
        let command = agent.queue.front().unwrap().clone();
        if !keep {
            agent.queue.pop_front();
        }
        let answer = agent.handle(&command, mood);
        let subject: Subject = text(&command, header::SUBJECT).parse().unwrap();
        self.answers.extend(answer.map(|answer| (subject, answer)));
    }

    fn answer(&mut self, which: usize, keep: bool) {
        if self.answers.is_empty() {
            return;
        }
        let at = which % self.answers.len();
        let (subject, answer) =
            if keep { self.answers[at].clone() } else { self.answers.swap_remove(at) };
        if subject.kind == CommandKind::Do && answer == output() {
            self.told.insert(subject.task.to_string());
        }
        let decision = self.world.answer(subject, answer);
        assert!(!matches!(decision, Decision::DeadLetter(_)), "{decision:?}");
    }

    /// The last command of some queue can not be sent; nothing was queued behind it.
    fn unsent(&mut self, which: usize, never: bool) {
        let count = self.agents.values().filter(|agent| !agent.queue.is_empty()).count();
        if count == 0 {
            return;
        }
        let mut waiting = self.agents.values_mut().filter(|agent| !agent.queue.is_empty());
        let agent = waiting.nth(which % count).unwrap();
        let record = agent.queue.back().unwrap().clone();
        // What was read from the topic was certainly stored.
        let never = never && !agent.handled.contains(text(&record, header::ID));
        if never {
            agent.queue.pop_back();
        }
        let unsent = if never { Unsent::Never } else { Unsent::InDoubt };
        let key = self.world.id();
        let cause =
            Cause::Undeliverable { key: key.as_str(), record: &record, unsent, reason: "full" };
        assert!(!matches!(self.world.feed(cause), Decision::DeadLetter(_)));
    }

    fn step(&mut self, (action, which, mood): (u8, u8, u8)) {
        let which = usize::from(which);
        match action % 32 {
            0..=9 => self.deliver(which, mood, false),
            10 => self.deliver(which, mood, true),
            11..=18 => self.answer(which, false),
            19 => self.answer(which, true),
            20 if !self.answers.is_empty() => {
                let at = which % self.answers.len();
                self.answers.remove(at);
            }
            20..=25 => {
                let limit = self.world.now.after(Duration::from_secs(3600));
                if self.world.wake_at().is_some_and(|at| at < limit) {
                    self.world.wake();
                }
            }
            26 => self.unsent(which, mood.is_multiple_of(2)),
            27 if mood < 60 => _ = self.world.order(Verb::Cancel),
            28 => _ = self.world.order(Verb::Retry(self.some_task(which))),
            29 if mood < 60 => {
                let task = self.some_task(which);
                _ = self.world.order(Verb::Skip { task, output: None });
            }
            30 if mood < 60 => _ = self.world.order(Verb::Continue),
            _ => {
                self.world.now = self.world.now.after(Duration::from_millis(u64::from(mood) * 10));
            }
        }
        self.settle();
    }

    fn some_task(&self, which: usize) -> events::TaskId {
        self.plan.tasks[which % self.plan.tasks.len()].id.clone()
    }

    /// From here on everything works, and operators tell the truth: the workflow must come to rest.
    fn drain(&mut self) {
        for _ in 0..400 {
            while self.agents.values().any(|agent| !agent.queue.is_empty()) {
                self.deliver(0, 7, false);
            }
            while !self.answers.is_empty() {
                self.answer(0, false);
                self.settle();
            }
            self.operate();
            self.settle();
            if self.agents.values().any(|agent| !agent.queue.is_empty()) {
                continue;
            }
            let is_blocked = self.oracle.status.values().any(|status| *status == "undo_blocked");
            let is_undoing = self.oracle.status.values().any(|status| *status == "undoing");
            if self.oracle.end.is_some() && !is_blocked && !is_undoing {
                return;
            }
            if self.world.wake().is_some() {
                self.settle();
            }
        }
        panic!("never ends: {:?}", self.oracle.status);
    }

    fn operate(&mut self) {
        for (task, status) in self.oracle.status.clone() {
            let order = match status {
                "undo_blocked" => Verb::Retry(task.as_str().into()),
                "in_doubt" if self.oracle.paused => {
                    let status = self.agents.get_mut(&task).map(Participant::status);
                    let Some(Answer::Status { status, output }) = status else { continue };
                    let outcome =
                        if status == Known::Done { Outcome::Done } else { Outcome::NotDone };
                    Verb::Resolve { task: task.as_str().into(), outcome, output: Some(output) }
                }
                "failed" if self.oracle.paused => Verb::Continue,
                _ => continue,
            };
            _ = self.world.order(order);
            self.settle();
        }
    }

    /// The books agree with the end.
    fn audit(&self) {
        let end = self.oracle.end.unwrap();
        for task in &self.plan.tasks {
            let book =
                self.agents.get(task.id.as_str()).map(|agent| agent.book).unwrap_or_default();
            let by_hand = self.oracle.by_operator.contains(task.id.as_str());
            match end {
                "completed" if !by_hand => {
                    assert_eq!(book, Book::Done, "`{}` of a success", task.id)
                }
                "compensated" | "cancelled"
                    if task.kind == Kind::Compensatable
                        && !self.oracle.undos_given_up.contains(task.id.as_str()) =>
                {
                    assert_ne!(book, Book::Done, "`{}` stands, and nobody knows", task.id);
                    let (id, oracle) = (task.id.as_str(), &self.oracle);
                    assert!(
                        !self.told.contains(id)
                            || oracle.informed.contains_key(id)
                            || oracle.by_operator.contains(id),
                        "the success of `{id}` was never undone"
                    );
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1000), failure_persistence: None, ..Default::default() })]

    // shows: I4, one-end, undo-order, never-silent, fold-only, same-again
    #[test]
    fn any_schedule_of_any_saga_keeps_the_promises(
        saga in sagas(),
        steps in prop::collection::vec(any::<(u8, u8, u8)>(), 0..120),
    ) {
        let mut play = Play::new(&saga);
        for step in steps {
            play.step(step);
        }
        play.drain();
        play.audit();
        play.world.refold();
    }
}
