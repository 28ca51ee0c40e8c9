//! What happens to a workflow, in all its kinds.

use events::{By, How, Json, Problem, Timestamp};
use minicbor::{Decode, Encode};

use super::{Begun, Doubt, Reply, Rest, Skip};
use crate::phase::{After, Command, Cover, Loss, TaskError, TaskRef};
use crate::workflow::{End, Expansion, Kept, Owners, ParentRef, Trouble};

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
    /// `replies`: to its parent's commands. `late`: as in [`Rest`].
    #[n(1)]
    WorkflowCompleted {
        #[n(0)]
        outputs: Json,
        #[n(1)]
        replies: Vec<Reply>,
        #[n(2)]
        late: Vec<TaskRef>,
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
    /// `place`: its number in the public sequence; what was undone is listed in that order.
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
        #[n(4)]
        place: Option<u64>,
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
    /// A group, a choice or a wait begins; `until`: for all of it. Public, as TaskStarted.
    #[n(29)]
    TaskBegun {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        inputs: Json,
        #[n(2)]
        begun: Begun,
        #[n(3)]
        until: Option<Timestamp>,
        #[n(4)]
        attempt: u32,
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
    Expanded(#[n(0)] Expansion),
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
    /// What has become of the task's fallback.
    #[n(36)]
    Fallback {
        #[n(0)]
        task: TaskRef,
        #[n(1)]
        cover: Cover,
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
    UnwindStarted(#[n(0)] String),
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
