//! What was decided. Each event holds all that its records need, and changes the state of one key.

use std::sync::Arc;

use events::{By, How, Json, Problem, Run, SagaName, Timestamp, Version, WorkflowId};
use minicbor::{Decode, Encode};

use crate::phase::{Command, TaskError, TaskRef};
use crate::state::{Newest, Source, definition_key, newest_key};
use crate::workflow::Trouble;

/// One journalled event.
///
/// The fields are numbered: a later build may add optional ones. An unknown variant is an error,
/// which is why no `Option` holds an enum of ours: minicbor would read an unknown one as absent.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Event(#[n(0)] pub(crate) About);

/// Whose event.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) enum About {
    #[n(0)]
    Workflow(#[n(0)] Box<WorkflowEvent>),
    /// A version of a saga is known from here on.
    #[n(1)]
    Defined(#[n(0)] Source),
    /// It is the newest.
    #[n(2)]
    Newest(#[n(0)] Newest),
}

/// An event of one workflow.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct WorkflowEvent {
    #[n(0)]
    pub(crate) workflow: WorkflowId,
    #[n(1)]
    pub(crate) run: Run,
    /// Of this event if it is public, else of the last public one.
    #[n(2)]
    pub(crate) sequence: u64,
    #[n(3)]
    pub(crate) time: Timestamp,
    #[n(4)]
    pub(crate) saga: SagaName,
    #[n(5)]
    pub(crate) version: Version,
    #[n(6)]
    pub(crate) epoch: u32,
    #[n(7)]
    pub(crate) trace: Option<String>,
    #[n(8)]
    pub(crate) body: Body,
}

/// What follows from doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Doubt {
    #[n(0)]
    Undo,
    #[n(1)]
    Query {
        #[n(0)]
        until: Timestamp,
    },
    #[n(2)]
    Hold,
}

/// What happened. Public ones are named as in [`events::What`].
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) enum Body {
    #[n(0)]
    WorkflowStarted {
        #[n(0)]
        start_id: String,
        #[n(1)]
        inputs: Json,
        #[n(2)]
        timeout_at: Timestamp,
    },
    #[n(1)]
    WorkflowCompleted {
        #[n(0)]
        outputs: Json,
    },
    #[n(2)]
    WorkflowFailed {
        #[n(0)]
        how: How,
        #[n(1)]
        problem: Problem,
        #[n(2)]
        outputs: Option<Json>,
        #[n(3)]
        rest: Rest,
    },
    #[n(3)]
    WorkflowCancelled {
        #[n(0)]
        by: By,
        #[n(1)]
        rest: Rest,
    },
    #[n(4)]
    WorkflowPaused {
        #[n(0)]
        problem: Problem,
    },
    /// `accepted`: the failures that an operator goes on without.
    #[n(5)]
    WorkflowResumed {
        #[n(0)]
        by: By,
        #[n(1)]
        accepted: Vec<TaskRef>,
    },
    #[n(6)]
    CompensationStarted {
        #[n(0)]
        trouble: Trouble,
    },
    #[n(7)]
    CompensationCompleted {
        #[n(0)]
        undone: Vec<events::TaskId>,
    },
    #[n(8)]
    CompensationBlocked {
        #[n(0)]
        problem: Problem,
    },
    #[n(9)]
    TaskScheduled {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        command: Command,
    },
    #[n(10)]
    TaskStarted {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        percent: Option<f64>,
        #[n(2)]
        note: Option<String>,
        #[n(3)]
        attempt: u32,
    },
    #[n(11)]
    TaskCompleted {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        attempt: u32,
        #[n(2)]
        output: Json,
        #[n(3)]
        by: Option<By>,
        #[n(4)]
        pivot: bool,
    },
    #[n(12)]
    TaskFailed {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        attempt: u32,
        #[n(2)]
        error: TaskError,
        #[n(3)]
        by: Option<By>,
    },
    /// `doubt`: this attempt may have worked.
    #[n(13)]
    TaskRetried {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        attempt: u32,
        #[n(2)]
        error: TaskError,
        #[n(3)]
        retry_at: Timestamp,
        #[n(4)]
        doubt: bool,
        #[n(5)]
        by: Option<By>,
    },
    #[n(14)]
    TaskTimedOut {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        attempt: u32,
        #[n(2)]
        deadline: Timestamp,
    },
    #[n(15)]
    TaskInDoubt {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        attempt: u32,
        #[n(2)]
        doubt: Doubt,
        #[n(3)]
        error: TaskError,
    },
    #[n(16)]
    TaskSkipped {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        why: Skip,
        #[n(2)]
        output: Option<Json>,
        #[n(3)]
        by: Option<By>,
    },
    /// `stop`: the attempt that its participant is told to stop.
    #[n(17)]
    TaskCancelled {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        attempt: u32,
        #[n(2)]
        reason: String,
        #[n(3)]
        stop: Option<Command>,
    },
    /// `late_output`: a success that was reported after the end. `by`: an operator ordered it.
    #[n(18)]
    UndoScheduled {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        command: Command,
        #[n(2)]
        late_output: Option<Json>,
        #[n(3)]
        by: Option<By>,
    },
    #[n(19)]
    UndoCompleted {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        n: u32,
        #[n(2)]
        nothing: bool,
        #[n(3)]
        by: Option<By>,
    },
    /// No `retry_at`: for good; `dead` then is the command for the dead letters, if one was sent.
    #[n(20)]
    UndoFailed {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        n: u32,
        #[n(2)]
        error: TaskError,
        #[n(3)]
        retry_at: Option<Timestamp>,
        #[n(4)]
        dead: Option<Command>,
    },
    // From here on: not public.
    /// Trouble that waits for a pivot's outcome.
    #[n(21)]
    Deferred {
        #[n(0)]
        trouble: Trouble,
    },
    /// The pivot is done: the trouble that waited no longer turns the workflow.
    #[n(22)]
    DeferralDropped,
    /// The participant is told to stop, and has until then.
    #[n(23)]
    StopOrdered {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        stop: Command,
    },
    /// Was it done?
    #[n(24)]
    QueryScheduled {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        command: Command,
        #[n(2)]
        until: Timestamp,
    },
    /// The agent does not know; it is asked again at `at`.
    #[n(25)]
    QueryRepeats {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        at: Timestamp,
        #[n(2)]
        until: Timestamp,
    },
    /// Timers do not count before `until`.
    #[n(26)]
    Postponed {
        #[n(0)]
        until: Timestamp,
    },
    /// No late success is undone from here on.
    #[n(27)]
    Shrunk,
    /// The workflow is no longer remembered.
    #[n(28)]
    Forgotten,
}

/// Why a task is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Skip {
    /// What it waits for did not run, or has failed.
    #[n(0)]
    Upstream,
    /// An operator goes on without it.
    #[n(1)]
    Operator,
    /// An operator has given up its undo: it stands.
    #[n(2)]
    Undo,
}

impl Skip {
    /// The reason in the public event.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Operator => "operator",
            Self::Undo => "undo",
        }
    }
}

/// What a workflow leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Rest {
    /// Done, and not undone.
    #[n(0)]
    pub(crate) stands: Vec<events::TaskId>,
    #[n(1)]
    pub(crate) undone: Vec<events::TaskId>,
    #[n(2)]
    pub(crate) in_doubt: Vec<events::TaskId>,
    /// May still report a success, which must then be undone. Not public.
    #[n(3)]
    pub(crate) late: Vec<TaskRef>,
}

/// Whether [`crate::Cause::Sent`] is to tell when the records that follow from this event have been
/// acknowledged.
#[must_use]
pub fn wants_ack(event: &Event) -> bool {
    let _ = event;
    false
}

impl Event {
    /// The key whose state it changes.
    #[must_use]
    pub fn key(&self) -> Arc<str> {
        match &self.0 {
            About::Workflow(event) => event.workflow.as_str().into(),
            About::Defined(source) => definition_key(&source.saga, &source.version),
            About::Newest(newest) => newest_key(&newest.saga),
        }
    }
}
