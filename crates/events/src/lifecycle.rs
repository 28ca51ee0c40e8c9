//! The public workflow and task lifecycle events: what stands on the topic `events`.

use minicbor::{Decode, Encode};

use crate::{AgentName, Json, Run, SagaName, TaskId, Timestamp, Version, WorkflowId};

pub use crate::codec::CodecError;

/// The full name of an Avro record, which is its registry subject and its `ce_type` too, for example
/// `pavane.TaskCompleted`.
pub type SchemaName = &'static str;

/// One lifecycle event, as any client reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Lifecycle {
    /// Whose event.
    pub workflow: WorkflowId,
    /// Which life of that id.
    pub run: Run,
    /// 1, 2, 3... in each run. A reader that has seen (run, n) skips n and below.
    pub sequence: u64,
    /// When it was decided: the journal's time.
    pub time: Timestamp,
    /// The saga.
    pub saga: SagaName,
    /// Its definition's version.
    pub version: Version,
    /// What happened.
    pub what: What,
}

/// Who ordered it by hand, and why.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct By {
    /// A person or a program.
    #[n(0)]
    pub actor: String,
    /// In their words.
    #[n(1)]
    pub reason: String,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Problem {
    /// The task, where it was one.
    #[n(0)]
    pub task: Option<TaskId>,
    /// The participant's code, or one of ours: `timeout`, `schema`, `expression`, `cancelled`...
    #[n(1)]
    pub code: String,
    /// In words.
    #[n(2)]
    pub message: String,
}

/// How a failed workflow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum How {
    /// Nothing was undone.
    #[n(0)]
    Failed,
    /// All that had happened was undone.
    #[n(1)]
    Compensated,
    /// Some of it stands.
    #[n(2)]
    Partial,
}

/// What happened. The variants' names are the events' names; the field's names are the schemas'.
/// `attempt`, `n`: counted from 1. JSON travels as text.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A start was accepted. `start_id`: the start record's `ce_id`.
    WorkflowStarted { start_id: String, inputs: Json },
    /// All tasks have ended well.
    WorkflowCompleted { outputs: Json },
    /// The run has ended without its goal. `stands`: done and not undone.
    WorkflowFailed {
        how: How,
        problem: Problem,
        outputs: Option<Json>,
        stands: Vec<TaskId>,
        undone: Vec<TaskId>,
        in_doubt: Vec<TaskId>,
    },
    /// The run has ended by an operator's order.
    WorkflowCancelled { by: By, stands: Vec<TaskId>, undone: Vec<TaskId>, in_doubt: Vec<TaskId> },
    /// Nothing new starts until an operator has chosen.
    WorkflowPaused { problem: Problem },
    /// An operator has chosen.
    WorkflowResumed { by: By },
    /// From here on only undos. `epoch`: the workflow's compensation epoch, which has risen.
    CompensationStarted { epoch: u32, problem: Problem },
    /// The last undo has ended.
    CompensationCompleted { undone: Vec<TaskId> },
    /// An undo has failed for good: an operator must choose.
    CompensationBlocked { problem: Problem },
    /// An attempt was decided. `command`: the DoTask's subject.
    TaskScheduled {
        task: TaskId,
        attempt: u32,
        agent: AgentName,
        task_type: String,
        command: String,
        inputs: Json,
        deadline: Timestamp,
    },
    /// The participant's first sign of life. `percent`: 0 to 100, where it said so.
    TaskStarted { task: TaskId, attempt: u32, percent: Option<f64>, note: Option<String> },
    /// Done. `by`: an operator has said so.
    TaskCompleted { task: TaskId, attempt: u32, output: Json, by: Option<By> },
    /// Not done, for good.
    TaskFailed { task: TaskId, attempt: u32, code: String, message: String, by: Option<By> },
    /// This attempt has failed; the next is due at `retry_at`. `by`: an operator ordered the next.
    TaskRetried {
        task: TaskId,
        attempt: u32,
        code: String,
        message: String,
        retry_at: Timestamp,
        by: Option<By>,
    },
    /// No answer in time: the outcome of this attempt is unknown.
    TaskTimedOut { task: TaskId, attempt: u32, deadline: Timestamp },
    /// Attempts are used up and the outcome is unknown. `policy`: `undo`, `query` or `hold`.
    TaskInDoubt { task: TaskId, attempt: u32, policy: String, code: String, message: String },
    /// Passed over. `reason`: `when`, `upstream`, `operator`...
    TaskSkipped { task: TaskId, reason: String, output: Option<Json>, by: Option<By> },
    /// Will not be done: never sent (attempt 0), or stopped.
    TaskCancelled { task: TaskId, attempt: u32, reason: String },
    /// An undo was decided. `command`: the UndoTask's subject.
    UndoScheduled {
        task: TaskId,
        n: u32,
        agent: AgentName,
        task_type: String,
        command: String,
        inputs: Json,
        deadline: Timestamp,
    },
    /// Undone. `nothing`: there was nothing to undo.
    UndoCompleted { task: TaskId, n: u32, nothing: bool, by: Option<By> },
    /// This undo has failed. `retry_at`: the next one; null where it has failed for good.
    UndoFailed { task: TaskId, n: u32, code: String, message: String, retry_at: Option<Timestamp> },
}
