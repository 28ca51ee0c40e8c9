//! What was decided. Each event holds all that its records need, and changes the state of one key.

use std::sync::Arc;

use events::{By, How, Json, Problem, Run, SagaName, Timestamp, Version, WorkflowId};
use minicbor::{Decode, Encode};

use crate::phase::{After, Command, Loss, TaskError, TaskRef, Via};
use crate::state::{Newest, Source, definition_key, newest_key};
use crate::workflow::{End, Expansion, Kept, Owners, ParentRef, Trouble};

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
    /// An event came for a workflow that there is not yet.
    #[n(3)]
    Early {
        #[n(0)]
        workflow: WorkflowId,
        #[n(1)]
        kept: Kept,
    },
    /// It did not come in time: it goes to the dead letters.
    #[n(4)]
    Unmatched {
        #[n(0)]
        workflow: WorkflowId,
        #[n(1)]
        kept: Kept,
        #[n(2)]
        time: Timestamp,
    },
    /// A parent is told what became of a child that there is not, or that is at rest.
    #[n(5)]
    Told {
        #[n(0)]
        workflow: WorkflowId,
        #[n(1)]
        time: Timestamp,
        #[n(2)]
        reply: Reply,
    },
}

/// A child's answer to its parent's command.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Reply {
    /// The command's subject.
    #[n(0)]
    pub(crate) command: String,
    #[n(1)]
    pub(crate) said: Said,
}

/// What a child says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Said {
    #[n(0)]
    Completed {
        #[n(0)]
        output: Json,
    },
    /// `effects`: something may stand.
    #[n(1)]
    Failed {
        #[n(0)]
        error: TaskError,
        #[n(1)]
        effects: bool,
    },
    #[n(2)]
    NothingToUndo,
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
        #[n(3)]
        parent: Option<ParentRef>,
    },
    /// `replies`: to its parent's commands.
    #[n(1)]
    WorkflowCompleted {
        #[n(0)]
        outputs: Json,
        #[n(1)]
        replies: Vec<Reply>,
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
        #[n(4)]
        replies: Vec<Reply>,
    },
    #[n(3)]
    WorkflowCancelled {
        #[n(0)]
        by: By,
        #[n(1)]
        rest: Rest,
        #[n(2)]
        replies: Vec<Reply>,
    },
    /// `timed_out`: its time is over.
    #[n(4)]
    WorkflowPaused {
        #[n(0)]
        problem: Problem,
        #[n(1)]
        timed_out: bool,
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
        /// For all attempts together.
        #[n(2)]
        until: Option<Timestamp>,
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
        /// `None`: there is nobody to tell.
        #[n(1)]
        stop: Option<Command>,
        /// `None`: it is waited for without end.
        #[n(2)]
        until: Option<Timestamp>,
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
    /// A group, a choice or a wait begins. Public, as TaskStarted.
    #[n(29)]
    TaskBegun {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        inputs: Json,
        #[n(2)]
        begun: Begun,
        /// For all of it.
        #[n(3)]
        until: Option<Timestamp>,
    },
    /// Public.
    #[n(30)]
    TimerFired {
        #[n(0)]
        task: TaskRef,
    },
    /// Public.
    #[n(31)]
    SignalReceived {
        #[n(0)]
        signal: String,
        #[n(1)]
        data: Json,
        #[n(2)]
        task: Option<TaskRef>,
    },
    // Not public.
    /// These cases of a choice are taken, and no others.
    #[n(32)]
    CasesTaken {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        cases: Vec<u32>,
    },
    /// A `for_each` has its elements.
    #[n(33)]
    Expanded {
        #[n(0)]
        expansion: Expansion,
    },
    /// What stands in it, or it itself, is stopped and undone; then it has failed or is cancelled.
    #[n(34)]
    Reverting {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        after: After,
        #[n(2)]
        error: Option<TaskError>,
    },
    /// A failure is dealt with.
    #[n(35)]
    FailureTaken {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        loss: Loss,
    },
    /// The task's fallback takes its place.
    #[n(36)]
    FellBack {
        #[n(0)]
        task: TaskRef,
    },
    /// An event is known from here on; `kept`: nothing waits for it yet.
    #[n(37)]
    EventSeen {
        #[n(0)]
        record: String,
        #[n(1)]
        is_signal: bool,
        #[n(2)]
        kept: Option<Kept>,
    },
    /// A kept event is kept no longer: it was waited for, or it goes to the dead letters.
    #[n(38)]
    EventLeft {
        #[n(0)]
        kept: Kept,
        #[n(1)]
        unmatched: bool,
    },
    /// Something has failed, and nothing is undone for it.
    #[n(39)]
    FailingStarted {
        #[n(0)]
        trouble: Trouble,
    },
    /// The failure is dealt with: `then` runs, and then it ends so.
    #[n(40)]
    ClosingStarted {
        #[n(0)]
        trouble: Trouble,
        #[n(1)]
        end: End,
        #[n(2)]
        owners: Owners,
    },
    /// At rest, it is undone for its parent.
    #[n(41)]
    UnwindStarted {
        #[n(0)]
        command: String,
    },
    /// It is, and the parent is told.
    #[n(42)]
    Unwound {
        #[n(0)]
        replies: Vec<Reply>,
    },
    /// The parent's command is answered by the end of the run.
    #[n(43)]
    ParentAsks {
        #[n(0)]
        command: String,
    },
}

/// What a task that has no command begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Begun {
    /// What stands in it is under way.
    #[n(0)]
    Group {
        #[n(0)]
        due: Option<Timestamp>,
    },
    /// An event is waited for.
    #[n(1)]
    Await {
        #[n(0)]
        due: Option<Timestamp>,
    },
    /// A time is waited for.
    #[n(2)]
    Wait {
        #[n(0)]
        until: Timestamp,
    },
    /// What happens first.
    #[n(3)]
    Race {
        #[n(0)]
        until: Option<Timestamp>,
    },
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
    /// Its `when` is false.
    #[n(3)]
    When,
    /// Its case is not taken.
    #[n(4)]
    Case,
    /// What it waits for has failed, and the rest goes on.
    #[n(5)]
    Failed,
}

impl Skip {
    /// The reason in the public event.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Operator => "operator",
            Self::Undo => "undo",
            Self::When => "when",
            Self::Case => "case",
            Self::Failed => "failed",
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
/// acknowledged: what is emitted is done only then.
#[must_use]
pub fn wants_ack(event: &Event) -> bool {
    let About::Workflow(event) = &event.0 else { return false };
    matches!(
        &event.body,
        Body::TaskScheduled { command, .. } | Body::UndoScheduled { command, .. }
            if matches!(command.via, Via::Event { alone: true, .. })
    )
}

impl Event {
    /// The key whose state it changes.
    #[must_use]
    pub fn key(&self) -> Arc<str> {
        match &self.0 {
            About::Workflow(event) => event.workflow.as_str().into(),
            About::Defined(source) => definition_key(&source.saga, &source.version),
            About::Newest(newest) => newest_key(&newest.saga),
            About::Early { workflow, .. }
            | About::Unmatched { workflow, .. }
            | About::Told { workflow, .. } => workflow.as_str().into(),
        }
    }
}
