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

/// What happened. The variants' names are the events' names, the fields' names the schemas'.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A start was accepted.
    WorkflowStarted {
        /// The `ce_id` of the record that asked for the start.
        start_id: String,
        /// The saga's inputs.
        inputs: Json,
    },
    /// All tasks have ended well.
    WorkflowCompleted {
        /// The saga's outputs.
        outputs: Json,
    },
    /// The run has ended without its goal.
    WorkflowFailed {
        /// How it ended.
        how: How,
        /// The failure that decided it.
        problem: Problem,
        /// What there is of the saga's outputs, where some of it stands.
        outputs: Option<Json>,
        /// Tasks that were done and not undone.
        stands: Vec<TaskId>,
        /// Tasks that were undone, in the order in which it happened.
        undone: Vec<TaskId>,
        /// Tasks of which nobody knows whether they were done.
        in_doubt: Vec<TaskId>,
    },
    /// The run has ended by an operator's order.
    WorkflowCancelled {
        /// Who ordered it.
        by: By,
        /// Tasks that were done and not undone.
        stands: Vec<TaskId>,
        /// Tasks that were undone, in the order in which it happened.
        undone: Vec<TaskId>,
        /// Tasks of which nobody knows whether they were done.
        in_doubt: Vec<TaskId>,
    },
    /// Nothing new starts until an operator has chosen.
    WorkflowPaused {
        /// What made it pause.
        problem: Problem,
    },
    /// An operator has chosen, and the workflow goes on.
    WorkflowResumed {
        /// Who ordered it.
        by: By,
    },
    /// From here on there are only undos.
    CompensationStarted {
        /// The workflow's compensation epoch, which has just risen.
        epoch: u32,
        /// What made it turn back.
        problem: Problem,
    },
    /// The last undo has ended.
    CompensationCompleted {
        /// Tasks that were undone, in the order in which it happened.
        undone: Vec<TaskId>,
    },
    /// An undo has failed for good: an operator must choose.
    CompensationBlocked {
        /// The undo that failed.
        problem: Problem,
    },
    /// An attempt was decided.
    TaskScheduled {
        /// The task's id, unique in the workflow.
        task: TaskId,
        /// Which attempt, counted from 1.
        attempt: u32,
        /// Whose command it is: it stands on the topic `tasks.<agent>`.
        agent: AgentName,
        /// The operation that is asked for.
        task_type: String,
        /// The subject of the DoTask, which is its `ce_id` too.
        command: String,
        /// What the command carries.
        inputs: Json,
        /// After this time no answer is waited for.
        deadline: Timestamp,
    },
    /// The participant's first sign of life in this attempt.
    TaskStarted {
        /// The task's id, unique in the workflow.
        task: TaskId,
        /// Which attempt, counted from 1.
        attempt: u32,
        /// How far it is, 0 to 100, where it said so.
        percent: Option<f64>,
        /// What it said.
        note: Option<String>,
    },
    /// The task is done.
    TaskCompleted {
        /// The task's id, unique in the workflow.
        task: TaskId,
        /// Which attempt, counted from 1.
        attempt: u32,
        /// What the participant answered.
        output: Json,
        /// The operator who said that it is done; `None` where the participant did.
        by: Option<By>,
    },
    /// The task has failed for good.
    TaskFailed {
        /// The task's id, unique in the workflow.
        task: TaskId,
        /// Which attempt, counted from 1.
        attempt: u32,
        /// Why: the participant's code, or one of the product's own.
        code: String,
        /// Why, in words.
        message: String,
        /// The operator who said that it failed; `None` where the participant did.
        by: Option<By>,
    },
    /// This attempt has failed, and there will be another.
    TaskRetried {
        /// The task's id, unique in the workflow.
        task: TaskId,
        /// Which attempt, counted from 1.
        attempt: u32,
        /// Why: the participant's code, or one of the product's own.
        code: String,
        /// Why, in words.
        message: String,
        /// When the next attempt is due.
        retry_at: Timestamp,
        /// The operator who ordered the next attempt; `None` where the saga's retry rule did.
        by: Option<By>,
    },
    /// No answer came in time: the outcome of this attempt is unknown.
    TaskTimedOut {
        /// The task's id, unique in the workflow.
        task: TaskId,
        /// Which attempt, counted from 1.
        attempt: u32,
        /// The deadline that has passed.
        deadline: Timestamp,
    },
    /// The attempts are used up and the outcome is unknown.
    TaskInDoubt {
        /// The task's id, unique in the workflow.
        task: TaskId,
        /// Which attempt, counted from 1.
        attempt: u32,
        /// What follows: undo, query or hold.
        policy: String,
        /// Why: the participant's code, or one of the product's own.
        code: String,
        /// Why, in words.
        message: String,
    },
    /// The task was passed over.
    TaskSkipped {
        /// The task's id, unique in the workflow.
        task: TaskId,
        /// Why: when, upstream, operator...
        reason: String,
        /// What stands in for its output, where an operator gave it.
        output: Option<Json>,
        /// The operator who skipped it, where one did.
        by: Option<By>,
    },
    /// The task will not be done: it was never sent, or was stopped.
    TaskCancelled {
        /// The task's id, unique in the workflow.
        task: TaskId,
        /// Which attempt was stopped; 0 where none was sent.
        attempt: u32,
        /// Why.
        reason: String,
    },
    /// An undo was decided.
    UndoScheduled {
        /// The task's id, unique in the workflow.
        task: TaskId,
        /// Which undo of this task, counted from 1.
        n: u32,
        /// Whose command it is: it stands on the topic `tasks.<agent>`.
        agent: AgentName,
        /// The operation that is asked for.
        task_type: String,
        /// The subject of the UndoTask, which is its `ce_id` too.
        command: String,
        /// What the command carries.
        inputs: Json,
        /// After this time no answer is waited for.
        deadline: Timestamp,
    },
    /// The task is undone.
    UndoCompleted {
        /// The task's id, unique in the workflow.
        task: TaskId,
        /// Which undo of this task, counted from 1.
        n: u32,
        /// Whether there was nothing to undo.
        nothing: bool,
        /// The operator who said that it is undone; `None` where the participant did.
        by: Option<By>,
    },
    /// This undo has failed.
    UndoFailed {
        /// The task's id, unique in the workflow.
        task: TaskId,
        /// Which undo of this task, counted from 1.
        n: u32,
        /// Why: the participant's code, or one of the product's own.
        code: String,
        /// Why, in words.
        message: String,
        /// When the next undo is due; `None` where it has failed for good.
        retry_at: Option<Timestamp>,
    },
    /// A time has come that a task waited for.
    TimerFired {
        /// The task's id, unique in the workflow.
        task: TaskId,
    },
    /// A signal has reached a task that waited for it.
    SignalReceived {
        /// The signal's name.
        signal: String,
        /// What came with it.
        data: Json,
        /// The task that took it.
        task: Option<TaskId>,
    },
}
