//! What a task does.

use std::ops::Range;
use std::time::Duration;

use events::{AgentName, SagaName, Version};

use super::{EventName, OutputPlan, Slot};
use crate::expr::{Expr, Template};

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
