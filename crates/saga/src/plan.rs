//! A checked saga, ready to be run: what the definition says, with every name resolved and every
//! default filled in.

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
    /// In the order of the file; the graph is the order of work.
    pub tasks: Vec<TaskPlan>,
    /// What a completed workflow gives.
    pub outputs: Vec<OutputPlan>,
    /// For the forward work of the whole run.
    pub timeout: Duration,
    /// Tasks of one workflow in flight at once.
    pub max_parallel: usize,
    /// How undos are done.
    pub compensation: CompensationPlan,
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
    /// How a record of that topic tells its event's name, where the file says so.
    pub event_name: Option<Template>,
    /// Only those for which this is true.
    pub filter: Option<Expr>,
    /// The workflow's inputs, from `event`. Of a whole map the declared names are taken.
    pub inputs: Template,
}

/// A task.
#[derive(Debug)]
pub struct TaskPlan {
    /// Unique in the file.
    pub id: TaskId,
    /// Who does it.
    pub agent: AgentName,
    /// The operation; the id where the file has none.
    pub task_type: String,
    /// What is sent.
    pub inputs: Inputs,
    /// The shape of the output; `None`: unchecked.
    pub returns: Option<Type>,
    /// Must all be settled before; siblings only.
    pub depends_on: Vec<Slot>,
    /// Those that depend on this one.
    pub dependents: Vec<Slot>,
    /// One attempt.
    pub timeout: Duration,
    /// All attempts and waits together, from ready.
    pub deadline: Option<Duration>,
    /// Attempts and waits between them.
    pub retry: RetryPlan,
    /// What may be said of undoing it.
    pub kind: Kind,
    /// What follows when the outcome is unknown.
    pub in_doubt: InDoubt,
    /// `Some` for `compensatable` alone.
    pub undo: Option<UndoPlan>,
}

/// Where a task's inputs come from.
#[derive(Debug)]
pub enum Inputs {
    /// From a map of constants and expressions, or a list of names turned into one.
    Computed(Template),
    /// The outputs of what it depends on, by id.
    Upstream,
    /// The saga's inputs.
    Saga,
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
    /// Who does it; the task's own agent where the file names none.
    pub agent: AgentName,
    /// The operation.
    pub task_type: String,
    /// Declared inputs; `None`: `original` whole.
    pub inputs: Option<Template>,
    /// One attempt of it.
    pub timeout: Duration,
    /// Attempts and waits.
    pub retry: RetryPlan,
}

/// How undos are done.
#[derive(Clone, Debug, PartialEq)]
pub struct CompensationPlan {
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
    /// The slot of a task.
    #[must_use]
    pub fn slot(&self, id: &str) -> Option<Slot> {
        self.tasks.iter().position(|task| task.id.as_str() == id)
    }

    /// All agents that are sent commands, undos included, each once, in order of name.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentName> {
        let of_tasks = self.tasks.iter().map(|task| &task.agent);
        let of_undos = self.tasks.iter().filter_map(|task| Some(&task.undo.as_ref()?.agent));
        let all: std::collections::BTreeSet<_> = of_tasks.chain(of_undos).cloned().collect();
        all.into_iter().collect()
    }

    /// Shared by everything that runs it.
    #[must_use]
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }
}
