//! What comes in at the inbox, decoded.

use events::{By, Json, Offset, SagaName, Subject, TaskId, Timestamp, Version, WorkflowId};

/// A decoded inbox record.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Begin a workflow.
    Start(Start),
    /// A definition.
    Deploy(Deploy),
    /// What a participant says.
    Answer {
        /// The command's.
        subject: Subject,
        /// What it says.
        answer: Answer,
    },
    /// What a person orders.
    Operator {
        /// Whose.
        workflow: WorkflowId,
        /// What.
        verb: Verb,
        /// Who, and why.
        by: By,
    },
    /// What intake saw on a user's topic.
    Seen {
        /// Whose.
        workflow: WorkflowId,
        /// What.
        event: DomainEvent,
    },
    /// What a person or a program tells a workflow.
    Signal {
        /// Whose.
        workflow: WorkflowId,
        /// What.
        signal: Signal,
    },
    /// A parent wants its child undone, or stopped and undone.
    Unwind {
        /// The child.
        workflow: WorkflowId,
        /// The parent's command, which is answered once it is done.
        command: Subject,
    },
}

/// An event on a user's topic, as the workflow that it is about gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainEvent {
    /// `topic/Name`
    pub name: String,
    /// `topic/partition/offset`: of two with the same topic and partition, the later is the newer, and one
    /// that is not newer than the newest seen is a duplicate.
    pub record: String,
    /// The user's value.
    pub value: Json,
    /// The user's key, where it is text.
    pub key: Option<String>,
    /// The user's headers that are text: a map.
    pub headers: Json,
    /// The user's record's.
    pub time: Timestamp,
}

/// What a person or a program tells a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Its name.
    pub name: String,
    /// What it says.
    pub data: Json,
    /// The record's `ce_id`: a second one with the same is a duplicate.
    pub id: String,
}

/// The workflow that has started another as its child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The command that the child answers when it has ended.
    pub command: Subject,
    /// How many stand above the child: 1 for the child of one that has no parent.
    pub depth: u32,
}

/// Begin a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its id.
    pub workflow: WorkflowId,
    /// The saga.
    pub saga: SagaName,
    /// Absent: the newest.
    pub version: Option<Version>,
    /// The inputs, unchecked.
    pub inputs: Json,
    /// The record's `ce_id`: a second start with the same one is a duplicate.
    pub start_id: String,
    /// The record's place in the inbox, which becomes the run.
    pub offset: Offset,
    /// W3C Trace Context.
    pub trace: Option<String>,
    /// Who has started it as a child.
    pub parent: Option<Parent>,
}

/// A definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploy {
    /// The saga.
    pub saga: SagaName,
    /// Of the text's hash.
    pub version: Version,
    /// The highest is the newest.
    pub revision: u64,
    /// The file.
    pub text: String,
    /// Of the deployment.
    pub ce_id: String,
}

/// What a participant says of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It has worked; the output.
    Completed(Json),
    /// It has not.
    Failed(Failure),
    /// The undo came for something never done.
    NothingToUndo,
    /// What is known of a do.
    Status {
        /// Whether it was done.
        status: Known,
        /// The output, where it was done.
        output: Json,
    },
    /// A sign of life.
    Progress {
        /// 0 to 100.
        percent: Option<f64>,
        /// In words.
        note: Option<String>,
    },
}

/// Why a command has not worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For machines.
    pub code: String,
    /// For people.
    pub message: String,
    /// Whether another attempt may work.
    pub retryable: bool,
    /// What it may have left behind.
    pub effects: Effects,
}

/// What a failed attempt may have left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effects {
    /// Nothing.
    None,
    /// Perhaps something.
    Unknown,
}

/// An agent's answer to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It was done.
    Done,
    /// It was not.
    NotDone,
    /// The agent can not say.
    Unknown,
}

/// What an operator orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Undo everything, and end as cancelled.
    Cancel,
    /// Try the task, or its undo, again.
    Retry(TaskId),
    /// Go on without the task, or without its undo.
    Skip {
        /// The task.
        task: TaskId,
        /// What stands for its output.
        output: Option<Json>,
    },
    /// State by hand how it ended.
    Resolve {
        /// The task.
        task: TaskId,
        /// How.
        outcome: Outcome,
        /// Its output, where it was done.
        output: Option<Json>,
    },
    /// Go on without what has failed.
    Continue,
}

/// How a task ended, as an operator states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not.
    NotDone,
    /// It was undone.
    Undone,
}
