//! What is remembered: one workflow, one version of a definition, or which version is the newest.

use std::fmt;
use std::sync::Arc;

use events::{AgentName, By, Json, Problem, Run, SagaName, TaskId, Timestamp, Version, WorkflowId};
use minicbor::{Decode, Encode};

use crate::limits::{LATE_UNDO, REMEMBERED};
use crate::plan::{Plan, Slot};

/// What stands under one key. A workflow stands under its id; what begins with `:saga/` is a
/// definition, since no workflow id can begin with a colon.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// A live or remembered workflow.
    Workflow(Box<Workflow>),
    /// One version of a saga.
    Definition(Definition),
    /// Which version of a saga is the newest.
    Newest(Newest),
}

/// One version of a saga, compiled.
#[derive(Clone)]
pub struct Definition {
    pub(crate) source: Source,
    /// `None`: this build can not compile the text that an earlier one took.
    pub(crate) plan: Option<Arc<Plan>>,
}

/// What a definition is made of.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Source {
    #[n(0)]
    pub(crate) saga: SagaName,
    #[n(1)]
    pub(crate) version: Version,
    #[n(2)]
    pub(crate) text: String,
}

/// The newest version of a saga.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Newest {
    #[n(0)]
    pub(crate) saga: SagaName,
    #[n(1)]
    pub(crate) version: Version,
    #[n(2)]
    pub(crate) revision: u64,
    /// The deployment's. Of two with the same revision the greater id counts as the newer, so that
    /// all partitions choose alike.
    #[n(3)]
    pub(crate) ce_id: String,
}

impl Definition {
    /// Compiles a definition's text. A pure function of it, so that replay gives the same.
    pub(crate) fn compile(source: Source) -> Self {
        let plan = crate::definition::check(&source.text).plan.map(Plan::shared);
        Self { source, plan }
    }

    /// A definition whose plan is known.
    #[must_use]
    pub fn of(plan: Arc<Plan>) -> Self {
        let (saga, version) = (plan.name.clone(), plan.version.clone());
        Self { source: Source { saga, version, text: String::new() }, plan: Some(plan) }
    }

    /// The plan; `None` where this build can not compile the text that an earlier one took.
    #[must_use]
    pub fn plan(&self) -> Option<&Arc<Plan>> {
        self.plan.as_ref()
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Definition({} {})", self.source.saga, self.source.version)
    }
}

/// The plan follows from the source.
impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// The key of one version of a saga.
#[must_use]
pub fn definition_key(saga: &SagaName, version: &Version) -> Arc<str> {
    format!(":saga/{saga}/{version}").into()
}

/// The key under which stands which version of a saga is the newest.
#[must_use]
pub fn newest_key(saga: &SagaName) -> Arc<str> {
    format!(":saga/{saga}").into()
}

/// One run of one workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    pub(crate) head: Head,
    /// By slot; those behind the last are pending.
    pub(crate) tasks: Vec<Task>,
}

/// Everything of a workflow but its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Head {
    #[n(0)]
    pub(crate) id: WorkflowId,
    #[n(1)]
    pub(crate) run: Run,
    #[n(2)]
    pub(crate) saga: SagaName,
    #[n(3)]
    pub(crate) version: Version,
    #[n(4)]
    pub(crate) start_id: String,
    /// As admitted.
    #[n(5)]
    pub(crate) inputs: Json,
    #[n(6)]
    pub(crate) started_at: Timestamp,
    #[n(7)]
    pub(crate) trace: Option<String>,
    /// Of the last public event.
    #[n(8)]
    pub(crate) sequence: u64,
    /// Rises only when the whole workflow turns to compensating.
    #[n(9)]
    pub(crate) epoch: u32,
    #[n(10)]
    pub(crate) stage: Stage,
    /// Since when nothing new starts.
    #[n(11)]
    pub(crate) paused_at: Option<Timestamp>,
    /// When the forward work must be over. Stands still while paused.
    #[n(12)]
    pub(crate) timeout_at: Timestamp,
    /// A pivot is done: forward only.
    #[n(13)]
    pub(crate) past_pivot: bool,
    /// Timers do not count before this.
    #[n(14)]
    pub(crate) not_before: Option<Timestamp>,
}

/// Where a workflow is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Stage {
    /// Doing.
    #[n(0)]
    Forward,
    /// Something has failed while a pivot is in flight: its outcome decides. Nothing new starts.
    #[n(1)]
    Deferred(#[n(0)] Trouble),
    /// Undoing.
    #[n(2)]
    Compensating(#[n(0)] Trouble),
    /// At rest.
    #[n(3)]
    Ended {
        #[n(0)]
        at: Timestamp,
        #[n(1)]
        end: End,
        /// Tasks that may still report a success, which must then be undone.
        #[n(2)]
        late: Vec<TaskRef>,
        /// Whether the tasks have been dropped.
        #[n(3)]
        shrunk: bool,
    },
}

/// How a workflow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum End {
    #[n(0)]
    Completed,
    #[n(1)]
    Partial,
    #[n(2)]
    Compensated,
    #[n(3)]
    Cancelled,
    #[n(4)]
    Failed,
}

/// Why a workflow turns, or will turn, to compensating.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Trouble {
    #[n(0)]
    pub(crate) origin: Origin,
    #[n(1)]
    pub(crate) problem: Problem,
}

/// What began it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Origin {
    /// A task failed, or is in doubt and will be undone.
    #[n(0)]
    Failure,
    /// The workflow's timeout.
    #[n(1)]
    Timeout,
    /// An operator.
    #[n(2)]
    Cancel(#[n(0)] By),
}

/// A task by its place in the plan, and its id for whoever reads.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct TaskRef {
    #[n(0)]
    pub(crate) slot: u32,
    #[n(1)]
    pub(crate) id: TaskId,
}

impl TaskRef {
    pub(crate) fn index(&self) -> Slot {
        // Lossless on the 32 and 64 bit targets that there are.
        self.slot as Slot
    }
}

/// One task of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Task {
    #[n(0)]
    pub(crate) phase: Phase,
    /// The last attempt's number; 0: never sent.
    #[n(1)]
    pub(crate) attempt: u32,
    /// Attempts up to this one do not count against the plan's bound: an operator ordered more.
    #[n(2)]
    pub(crate) attempts_from: u32,
    /// The last query's number.
    #[n(3)]
    pub(crate) queries: u32,
    /// The last undo's number.
    #[n(4)]
    pub(crate) undos: u32,
    /// Undos up to this one do not count against the plan's bound.
    #[n(5)]
    pub(crate) undos_from: u32,
    /// Answers to undos up to this one say nothing: they went out before a late success was known.
    #[n(6)]
    pub(crate) undos_void: u32,
    /// When it became ready, from where its deadline counts.
    #[n(7)]
    pub(crate) ready_at: Option<Timestamp>,
    /// As sent.
    #[n(8)]
    pub(crate) inputs: Option<Json>,
    /// As the participant or an operator said.
    #[n(9)]
    pub(crate) output: Option<Json>,
    /// The last one.
    #[n(10)]
    pub(crate) error: Option<TaskError>,
    /// The last undo, for the dead letters.
    #[n(11)]
    pub(crate) undo: Option<Command>,
    /// An attempt before the last one may have worked.
    #[n(12)]
    pub(crate) unsure: bool,
}

/// Why a task's last attempt, or its undo's, has failed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct TaskError {
    #[n(0)]
    pub(crate) code: String,
    #[n(1)]
    pub(crate) message: String,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Phase {
    #[n(0)]
    Pending,
    /// An attempt is out. `heard`: the participant has given a sign of life.
    #[n(1)]
    Running {
        #[n(0)]
        deadline: Timestamp,
        #[n(1)]
        heard: bool,
    },
    /// The next attempt is due at `at`. `doubt`: the last one may have worked.
    #[n(2)]
    Retrying {
        #[n(0)]
        at: Timestamp,
        #[n(1)]
        doubt: bool,
    },
    /// In doubt: a query is out.
    #[n(3)]
    Asking {
        #[n(0)]
        deadline: Timestamp,
        #[n(1)]
        until: Timestamp,
    },
    /// In doubt: the next query is due at `at`.
    #[n(4)]
    AskAgain {
        #[n(0)]
        at: Timestamp,
        #[n(1)]
        until: Timestamp,
    },
    /// In doubt: an operator must say.
    #[n(5)]
    Held,
    /// Asked to stop; silence until then is doubt.
    #[n(6)]
    Stopping {
        #[n(0)]
        until: Timestamp,
    },
    /// In doubt, and to be undone.
    #[n(7)]
    Doubtful,
    /// While compensating: to be undone, if it can be.
    #[n(8)]
    Done,
    /// `spreads`: what depends on nothing else is skipped too.
    #[n(9)]
    Skipped {
        #[n(0)]
        spreads: bool,
    },
    /// `accepted`: an operator goes on without it.
    #[n(10)]
    Failed {
        #[n(0)]
        accepted: bool,
    },
    #[n(11)]
    Cancelled,
    /// An undo is out.
    #[n(12)]
    Undoing {
        #[n(0)]
        deadline: Timestamp,
    },
    /// The next undo is due at `at`.
    #[n(13)]
    UndoRetrying {
        #[n(0)]
        at: Timestamp,
    },
    /// The undo has failed for good: an operator must choose.
    #[n(14)]
    UndoBlocked,
    #[n(15)]
    Undone,
    /// It stands, since an operator gave up its undo.
    #[n(16)]
    Kept,
}

/// A command, with all that its record needs beside the workflow's own names.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Command {
    #[n(0)]
    pub(crate) task: TaskId,
    #[n(1)]
    pub(crate) n: u32,
    #[n(2)]
    pub(crate) agent: AgentName,
    #[n(3)]
    pub(crate) task_type: String,
    #[n(4)]
    pub(crate) value: Json,
    #[n(5)]
    pub(crate) deadline: Timestamp,
    #[n(6)]
    pub(crate) time: Timestamp,
    #[n(7)]
    pub(crate) epoch: u32,
}

impl Task {
    /// What has not been touched yet.
    pub(crate) const PENDING: Self = Self {
        phase: Phase::Pending,
        attempt: 0,
        attempts_from: 0,
        queries: 0,
        undos: 0,
        undos_from: 0,
        undos_void: 0,
        ready_at: None,
        inputs: None,
        output: None,
        error: None,
        undo: None,
        unsure: false,
    };
}

impl Phase {
    /// The public status: docs/saga-file.md section 3.6.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running { .. } | Self::Stopping { .. } => "running",
            Self::Retrying { .. } => "retrying",
            Self::Asking { .. } | Self::AskAgain { .. } | Self::Held | Self::Doubtful => "in_doubt",
            Self::Done | Self::Kept => "done",
            Self::Skipped { .. } => "skipped",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Undoing { .. } | Self::UndoRetrying { .. } => "undoing",
            Self::UndoBlocked => "undo_blocked",
            Self::Undone => "undone",
        }
    }

    /// When it wants to be looked at.
    pub(crate) const fn due(self) -> Option<Timestamp> {
        match self {
            Self::Running { deadline, .. }
            | Self::Asking { deadline, .. }
            | Self::Undoing { deadline } => Some(deadline),
            Self::Retrying { at, .. } | Self::AskAgain { at, .. } | Self::UndoRetrying { at } => {
                Some(at)
            }
            Self::Stopping { until } => Some(until),
            Self::Pending
            | Self::Held
            | Self::Doubtful
            | Self::Done
            | Self::Skipped { .. }
            | Self::Failed { .. }
            | Self::Cancelled
            | Self::UndoBlocked
            | Self::Undone
            | Self::Kept => None,
        }
    }

    /// Started, and not settled.
    pub(crate) const fn in_flight(self) -> bool {
        match self {
            Self::Running { .. }
            | Self::Retrying { .. }
            | Self::Asking { .. }
            | Self::AskAgain { .. }
            | Self::Held
            | Self::Stopping { .. } => true,
            Self::Pending
            | Self::Doubtful
            | Self::Done
            | Self::Skipped { .. }
            | Self::Failed { .. }
            | Self::Cancelled
            | Self::Undoing { .. }
            | Self::UndoRetrying { .. }
            | Self::UndoBlocked
            | Self::Undone
            | Self::Kept => false,
        }
    }
}

impl Head {
    /// The earliest timer of the workflow itself; the tasks have their own.
    fn due(&self, blocked: bool) -> Option<Timestamp> {
        match &self.stage {
            Stage::Forward => {
                (self.paused_at.is_none() && !self.past_pivot).then_some(self.timeout_at)
            }
            Stage::Deferred(_) | Stage::Compensating(_) => None,
            Stage::Ended { at, late, shrunk, .. } => match (blocked, *shrunk || late.is_empty()) {
                (true, _) => None,
                (false, true) => Some(at.after(REMEMBERED)),
                (false, false) => Some(at.after(LATE_UNDO)),
            },
        }
    }

    /// When the run's forward work is out of time, while that counts.
    pub(crate) fn timeout_due(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Forward => self.due(false),
            Stage::Deferred(_) | Stage::Compensating(_) | Stage::Ended { .. } => None,
        }
    }
}

impl Workflow {
    /// When it next wants to be woken.
    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        let blocked = self.tasks.iter().any(|task| task.phase == Phase::UndoBlocked);
        let tasks = self.tasks.iter().filter_map(|task| task.phase.due()).min();
        let own = match (&self.head.stage, tasks) {
            // What is being undone late ends before anything is forgotten.
            (Stage::Ended { .. }, Some(_)) => None,
            (
                Stage::Forward | Stage::Deferred(_) | Stage::Compensating(_) | Stage::Ended { .. },
                _,
            ) => self.head.due(blocked),
        };
        let due = tasks.into_iter().chain(own).min()?;
        Some(self.head.not_before.map_or(due, |at| due.max(at)))
    }

    /// The public status: docs/saga-file.md section 3.6.
    #[must_use]
    pub fn status(&self) -> &'static str {
        let blocked = || self.tasks.iter().any(|task| task.phase == Phase::UndoBlocked);
        match &self.head.stage {
            Stage::Ended { end, .. } => match end {
                End::Completed => "completed",
                End::Partial => "partial",
                End::Compensated => "compensated",
                End::Cancelled => "cancelled",
                End::Failed => "failed",
            },
            Stage::Forward | Stage::Deferred(_) if self.head.paused_at.is_some() => "paused",
            Stage::Forward | Stage::Deferred(_) => "running",
            Stage::Compensating(_) if blocked() => "blocked",
            Stage::Compensating(_) if self.head.paused_at.is_some() => "paused",
            Stage::Compensating(_) => "compensating",
        }
    }
}

/// When the state next wants to be asked with [`crate::Cause::Wake`].
#[must_use]
pub fn wake_at(state: &State) -> Option<Timestamp> {
    match state {
        State::Workflow(workflow) => workflow.wake_at(),
        State::Definition(_) | State::Newest(_) => None,
    }
}
