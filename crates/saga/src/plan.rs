//! A checked saga, ready to be run: what the definition says, with every name resolved and every
//! default filled in.

mod action;
mod index;
mod task;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use events::{AgentName, SagaName, Topic, Version};

use crate::expr::{Expr, Template};
use crate::types::Type;

pub use action::{
    Action, AtLeast, AwaitPlan, Awaited, CasePlan, EmitPlan, ForEachPlan, RaceOn, RacePlan,
    WaitPlan,
};
pub(crate) use index::Index;
pub use task::{
    Deadline, Idempotency, InDoubt, Inputs, Join, Kind, Rest, RetryPlan, Role, TaskPlan, UndoPlan,
};

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
