//! A task: what stands before it, what it does, and what is said of its failure.

use std::time::Duration;

use events::TaskId;

use super::{Action, FailurePlan, Slot};
use crate::expr::{Expr, Template};
use crate::types::Type;

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

impl Role {
    /// Whether the one that it stands in is done only with it.
    pub(crate) const fn is_child(self) -> bool {
        match self {
            Self::Child | Self::Case(_) | Self::Item => true,
            Self::Fallback(_) | Self::Closing => false,
        }
    }
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
