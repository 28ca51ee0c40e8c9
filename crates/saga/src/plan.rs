//! A checked saga, ready to be run: what the definition says, with every name resolved and every
//! default filled in.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use events::{AgentName, SagaName, TaskId, Topic, Version};

use crate::expr::{Expr, Template};
use crate::types::Type;

/// A task's place in [`Plan::tasks`].
pub type Slot = usize;

/// One version of one saga.
#[derive(Debug)]
pub struct Plan {
    /// Identity.
    pub name: SagaName,
    /// Of the content hash.
    pub version: Version,
    /// Shown and searchable.
    pub description: Option<String>,
    /// The business key, from `inputs` only.
    pub key: Option<Template>,
    /// What becomes of a second start with the same key.
    pub on_duplicate: OnDuplicate,
    /// Absent: any object is taken, unchecked.
    pub inputs: Option<Vec<InputPlan>>,
    /// Events that start it.
    pub triggers: Vec<TriggerPlan>,
    /// What the file says of topics, each topic once.
    pub topics: Vec<TopicPlan>,
    /// The events that its tasks wait for, each pair of topic and name once for each way to correlate it.
    pub listens: Vec<ListenPlan>,
    /// Tasks, groups and all that stands in them. The first [`Plan::fixed`] stand once in a workflow, in
    /// the order of the file; behind them the bodies of `for_each`, each a range, once for each element.
    /// A group stands before what is in it.
    pub tasks: Vec<TaskPlan>,
    /// How many tasks stand outside of every `for_each`.
    pub fixed: usize,
    /// What a completed workflow gives.
    pub outputs: Vec<OutputPlan>,
    /// For the forward work of the whole run.
    pub timeout: Duration,
    /// Tasks of one workflow in flight at once.
    pub max_parallel: usize,
    /// What follows when a task fails for good.
    pub on_failure: FailurePlan,
    /// How undos are done.
    pub compensation: CompensationPlan,
    /// How long an event is kept that comes before its workflow or its task.
    pub keep_early: Duration,
}

/// What becomes of a start whose key exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDuplicate {
    /// It finds the workflow that there is.
    Ignore,
    /// It is refused.
    Reject,
}

/// A declared input.
#[derive(Debug)]
pub struct InputPlan {
    /// Its name.
    pub name: String,
    /// What it may be.
    pub of: Type,
    /// `None`: required.
    pub default: Option<serde_json::Value>,
    /// Required inputs must be given; one that is not required and has no default is `null`.
    pub required: bool,
}

/// An event on a user's topic that starts a workflow.
#[derive(Debug)]
pub struct TriggerPlan {
    /// The whole topic name.
    pub topic: Topic,
    /// The event's name.
    pub event: String,
    /// Only those for which this is true.
    pub filter: Option<Expr>,
    /// The workflow's inputs, from `event`. Of a whole map the declared names are taken.
    pub inputs: Template,
}

/// A topic of the user's.
#[derive(Debug)]
pub struct TopicPlan {
    /// The whole topic name.
    pub topic: Topic,
    /// How a record of it tells its event's name, where the file says so.
    pub event_name: Option<Template>,
    /// The business key that an event is about; `None`: the record's key.
    pub correlate: Option<Template>,
}

/// An event that a task waits for: what intake passes on to the workflow that it is about.
#[derive(Debug)]
pub struct ListenPlan {
    /// The event.
    pub event: EventName,
    /// The business key that it is about, where the task says another than its topic.
    pub correlate: Option<Template>,
}

/// An event on a topic: `TOPIC/Event`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventName {
    /// The whole topic name, aliases resolved.
    pub topic: Topic,
    /// The event's name.
    pub name: String,
}

impl fmt::Display for EventName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.topic, self.name)
    }
}

/// A task, a group, or what stands in one.
#[derive(Debug)]
pub struct TaskPlan {
    /// Unique in the file, but for a `for_each` and the root of its body, which share theirs. A fallback's
    /// is its task's with `~fallback` behind.
    pub id: TaskId,
    /// The group, choice or `for_each` that it stands in; a fallback stands where its task does.
    pub parent: Option<Slot>,
    /// What it is to that.
    pub role: Role,
    /// What it does.
    pub action: Action,
    /// What is sent, or what a group is given.
    pub inputs: Inputs,
    /// The shape of the output; `None`: unchecked.
    pub returns: Option<Type>,
    /// What of `depends_on` must have happened.
    pub join: Join,
    /// Siblings only.
    pub depends_on: Vec<Slot>,
    /// Those that depend on this one.
    pub dependents: Vec<Slot>,
    /// Asked once, when the join is satisfied; false: skipped.
    pub when: Option<Expr>,
    /// `parallel: false`: never at the same time as another such sibling.
    pub alone: bool,
    /// One attempt; `None`: without end.
    pub timeout: Option<Duration>,
    /// All attempts and waits together, from ready.
    pub deadline: Option<Deadline>,
    /// Attempts and waits between them.
    pub retry: RetryPlan,
    /// What may be said of undoing it.
    pub kind: Kind,
    /// What follows when the outcome is unknown.
    pub in_doubt: InDoubt,
    /// `Some` for `compensatable` alone. Never on a group.
    pub undo: Option<UndoPlan>,
    /// What makes its key.
    pub idempotency: Idempotency,
    /// It may fail: the run goes on.
    pub optional: bool,
    /// Runs after the last attempt; its output becomes the task's.
    pub fallback: Option<Slot>,
    /// Overrides the file's, for it and what stands in it.
    pub on_failure: Option<FailurePlan>,
}

/// What a task is to the one that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs with it; at the top, with the workflow.
    Child,
    /// Runs if that case of the choice is taken, counted from 0.
    Case(usize),
    /// The root of a `for_each`'s body: runs once for each element.
    Item,
    /// Runs if that task has failed.
    Fallback(Slot),
    /// Under `then` of `on_failure`: runs once the failure is dealt with.
    Closing,
}

impl Action {
    /// The body and its list, where it is a `for_each`.
    #[must_use]
    pub fn for_each(&self) -> Option<&ForEachPlan> {
        if let Self::ForEach(each) = self { Some(each) } else { None }
    }

    /// The agent, where it is done by one.
    #[must_use]
    pub fn agent(&self) -> Option<&AgentName> {
        if let Self::Agent { agent, .. } = self { Some(agent) } else { None }
    }

    /// The event that goes out.
    #[must_use]
    pub fn emits(&self) -> Option<&EmitPlan> {
        if let Self::Emit(emit) | Self::Request(emit, _) = self { Some(emit) } else { None }
    }

    /// What is waited for.
    #[must_use]
    pub fn awaits(&self) -> Option<&AwaitPlan> {
        if let Self::Await(waits) | Self::Request(_, waits) = self { Some(waits) } else { None }
    }
}

impl Role {
    /// Whether the one that it stands in is done only with it.
    pub(crate) const fn is_child(self) -> bool {
        match self {
            Self::Child | Self::Case(_) | Self::Item => true,
            Self::Fallback(_) | Self::Closing => false,
        }
    }
}

/// What a task does.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a plan holds few, for long, and is never copied")]
pub enum Action {
    /// A command goes to an agent, which answers.
    Agent {
        /// Who does it.
        agent: AgentName,
        /// The operation; the id where the file has none.
        task_type: String,
    },
    /// An event goes out; done when the broker has acknowledged it.
    Emit(EmitPlan),
    /// Waits for an event or a signal.
    Await(AwaitPlan),
    /// An event goes out, and another is waited for.
    Request(EmitPlan, AwaitPlan),
    /// Waits for a time.
    Wait(WaitPlan),
    /// On data: the first case that is true, or every one that is.
    Choice {
        /// In the order of the file.
        cases: Vec<CasePlan>,
        /// `pick: many`
        many: bool,
    },
    /// On events and time: the case that happens first.
    Race {
        /// In the order of the file.
        cases: Vec<RacePlan>,
    },
    /// All that stands in it.
    Group {
        /// `None`: its output is that of its children, by id.
        outputs: Option<Vec<OutputPlan>>,
    },
    /// Another saga, as a child.
    Saga {
        /// Its identity.
        saga: SagaName,
        /// `None`: the newest.
        version: Option<Version>,
        /// How deep children may stand below the workflow that nobody has started as a child.
        max_depth: u32,
    },
    /// Its body, once for each element of a list.
    ForEach(ForEachPlan),
}

/// An event to send.
#[derive(Debug)]
pub struct EmitPlan {
    /// Which.
    pub event: EventName,
    /// `None`: the saga's key.
    pub key: Option<Template>,
    /// `None`: the task's inputs.
    pub value: Option<Template>,
    /// Beside ours.
    pub headers: Vec<(String, Template)>,
}

/// What is waited for.
#[derive(Debug)]
pub struct AwaitPlan {
    /// Any of these ends it well.
    pub awaited: Vec<Awaited>,
    /// Any of these ends it as failed, with the event's name as its code.
    pub failed: Vec<EventName>,
    /// `where`: only those for which this is true.
    pub filter: Option<Expr>,
}

/// An event or a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// On a topic.
    Event(EventName),
    /// `signal/NAME`
    Signal(String),
}

/// A wait.
#[derive(Debug)]
pub enum WaitPlan {
    /// From ready.
    For(Duration),
    /// Gives a timestamp.
    Until(Template),
}

/// A case of a choice on data.
#[derive(Debug)]
pub struct CasePlan {
    /// As said, else its number from 0.
    pub id: String,
    /// `None`: `else`.
    pub when: Option<Expr>,
}

/// A case of a choice on events and time.
#[derive(Debug)]
pub struct RacePlan {
    /// As said, else its number from 0.
    pub id: String,
    /// What makes it the one.
    pub on: RaceOn,
}

/// What makes a case the one that is taken.
#[derive(Debug)]
pub enum RaceOn {
    /// An event or a signal.
    Event {
        /// Which.
        awaited: Awaited,
        /// Only those for which this is true.
        filter: Option<Expr>,
    },
    /// So long after it became ready.
    After(Duration),
}

/// A body for each element of a list.
#[derive(Debug)]
pub struct ForEachPlan {
    /// Gives the list.
    pub list: Template,
    /// The name of an element in its body.
    pub item: String,
    /// Elements in work at once.
    pub concurrency: usize,
    /// How many must succeed.
    pub at_least: AtLeast,
    /// The body among [`Plan::tasks`], its root first. A `for_each` in it has a range of its own behind.
    pub body: Range<Slot>,
}

/// How many elements must succeed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AtLeast {
    /// Every one.
    All,
    /// So many, or all where there are fewer.
    Count(usize),
    /// This share of them, 0 to 1, rounded up.
    Share(f64),
}

/// What of `depends_on` must have happened before a task starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// All are settled, and not all of them skipped.
    All,
    /// The first is done; the rest go on.
    Any,
    /// So many are done.
    NOf {
        /// How many.
        n: usize,
        /// What becomes of the others.
        rest: Rest,
    },
    /// The first is done; the rest are cancelled.
    Discriminator,
}

/// What becomes of those that a join no longer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// They go on.
    Continue,
    /// They are cancelled, and undone if they had begun.
    Cancel,
}

/// The latest time for all attempts of a task together.
#[derive(Debug)]
pub enum Deadline {
    /// From ready.
    Within(Duration),
    /// Gives a timestamp, computed when it is ready.
    At(Template),
}

/// What makes a task's idempotency key.
#[derive(Debug)]
pub enum Idempotency {
    /// One key a task and element, the same in every attempt.
    Key,
    /// The same; repeating is harmless.
    Natural,
    /// The same, but an attempt of unknown outcome is never repeated.
    Never,
    /// This.
    Computed(Template),
}

/// What follows when a task fails for good.
#[derive(Debug)]
pub struct FailurePlan {
    /// What.
    pub strategy: Strategy,
    /// Tasks that run once it is dealt with.
    pub then: Vec<Slot>,
}

/// What follows when a task fails for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// What was done is undone.
    Compensate,
    /// What depends on it is skipped; the rest goes on.
    Continue,
    /// What is in flight is cancelled; nothing is undone.
    FailFast,
    /// Nothing new starts; an operator chooses.
    Pause,
}

/// Where a task's inputs come from.
#[derive(Debug)]
pub enum Inputs {
    /// From a map of constants and expressions, or a list of names turned into one.
    Computed(Template),
    /// The outputs of what it depends on, by id.
    Upstream,
    /// What the enclosing group was given; at the top, the saga's inputs.
    Enclosing,
    /// The element, for the root of a `for_each`'s body.
    Item,
}

/// What may be said of undoing a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Has an undo.
    Compensatable,
    /// Once done, the saga only goes forward.
    Pivot,
    /// Repeated until done.
    Retriable,
    /// Changes nothing.
    ReadOnly,
}

/// What follows when a task's outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDoubt {
    /// It has failed, and its undo runs.
    Undo,
    /// The agent is asked.
    Query,
    /// The saga is paused: an operator says.
    Hold,
}

impl InDoubt {
    /// The word in the file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Undo => "undo",
            Self::Query => "query",
            Self::Hold => "hold",
        }
    }
}

/// Attempts and the waits between them.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPlan {
    /// The first one included. Not looked at for `retriable` tasks.
    pub max_attempts: u32,
    /// The first wait.
    pub backoff: Duration,
    /// From one wait to the next.
    pub factor: f64,
    /// No wait is longer.
    pub max_backoff: Duration,
    /// Share of the wait that is spread, 0 to 1, by a hash of workflow, run, task and attempt.
    pub jitter: f64,
    /// Only these codes; `None`: all. `http.*` style.
    pub only: Option<Vec<String>>,
    /// Never these.
    pub never: Vec<String>,
}

/// An undo.
#[derive(Debug)]
pub struct UndoPlan {
    /// What it does: an agent (the task's own where the file names none), an emit, an await, or both.
    pub action: Action,
    /// Declared inputs; `None`: `original` whole.
    pub inputs: Option<Template>,
    /// False: there is nothing to undo.
    pub when: Option<Expr>,
    /// One attempt of it.
    pub timeout: Duration,
    /// Attempts and waits.
    pub retry: RetryPlan,
}

/// How undos are done.
#[derive(Clone, Debug, PartialEq)]
pub struct CompensationPlan {
    /// `order: strict`: one at a time, the last that was finished first.
    pub strict: bool,
    /// How long a task in flight has to answer a cancel.
    pub grace: Duration,
    /// Whether undos behind a blocked one wait.
    pub on_blocked: OnBlocked,
}

/// What becomes of the undos behind one that has failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBlocked {
    /// They wait.
    Wait,
    /// They go on.
    GoOn,
}

/// An output of the saga.
#[derive(Debug)]
pub struct OutputPlan {
    /// Its name.
    pub name: String,
    /// Its value.
    pub from: Template,
}

impl Plan {
    /// The slot of a task; of a `for_each`, not of its body's root.
    #[must_use]
    pub fn slot(&self, id: &str) -> Option<Slot> {
        self.tasks.iter().position(|task| task.id.as_str() == id)
    }

    /// All agents that are sent commands, undos included, each once, in order of name.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentName> {
        let agents = self.actions().filter_map(|action| action.agent().cloned());
        agents.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The topics that events are sent to, undos included, each once, in order of name.
    #[must_use]
    pub fn emits_to(&self) -> Vec<Topic> {
        let topics = self.actions().filter_map(|action| Some(action.emits()?.event.topic.clone()));
        topics.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The topics that events are read from, of triggers and of tasks, each once, in order of name.
    #[must_use]
    pub fn reads_from(&self) -> Vec<Topic> {
        let triggers = self.triggers.iter().map(|trigger| &trigger.topic);
        let listens = self.listens.iter().map(|listen| &listen.event.topic);
        triggers.chain(listens).cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What the file says of a topic.
    #[must_use]
    pub fn topic(&self, topic: &Topic) -> Option<&TopicPlan> {
        self.topics.iter().find(|known| known.topic == *topic)
    }

    fn actions(&self) -> impl Iterator<Item = &Action> {
        let undos = self.tasks.iter().filter_map(|task| Some(&task.undo.as_ref()?.action));
        self.tasks.iter().map(|task| &task.action).chain(undos)
    }

    /// Shared by everything that runs it.
    #[must_use]
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }
}
