//! Bodies of the HTTP API, as `docs/reference` lists them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins; `None` on the last.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// What became of a definition that was deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The saga's name.
    pub name: String,
    /// The content's version.
    pub version: String,
    /// The deployment's number; the highest is the newest.
    pub revision: u64,
}

/// How a workflow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowStatus {
    /// Going forward.
    Running,
    /// Waits for an operator.
    Paused,
    /// Undoing.
    Compensating,
    /// An undo has failed for good; an operator must choose.
    Blocked,
    /// Ended: all was done.
    Completed,
    /// Ended: a part was done, as its definition allows.
    Partial,
    /// Ended: what was done is undone.
    Compensated,
    /// Ended: it was cancelled, and undone.
    Cancelled,
    /// Ended without undo.
    Failed,
}

impl WorkflowStatus {
    /// Whether it has ended.
    #[must_use]
    pub const fn is_at_rest(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::Compensating | Self::Blocked => false,
            Self::Completed
            | Self::Partial
            | Self::Compensated
            | Self::Cancelled
            | Self::Failed => true,
        }
    }

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Compensating => "compensating",
            Self::Blocked => "blocked",
            Self::Completed => "completed",
            Self::Partial => "partial",
            Self::Compensated => "compensated",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for WorkflowStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

/// A workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workflow {
    /// Saga name `:` business key.
    pub id: String,
    /// Which life of that id.
    pub run: i64,
    /// The saga.
    pub saga: String,
    /// The version of its definition that this run began with.
    pub version: String,
    /// How it stands.
    pub status: WorkflowStatus,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339; `None` until it has ended.
    #[serde(default)]
    pub ended_at: Option<String>,
    /// What it was started with.
    #[serde(default)]
    pub inputs: Value,
    /// What it gave.
    #[serde(default)]
    pub outputs: Value,
    /// Why it failed, if it did.
    #[serde(default)]
    pub error: Option<WorkflowError>,
    /// Its tasks, in the order of the definition.
    #[serde(default)]
    pub tasks: Vec<Task>,
}

/// Why a workflow failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowError {
    /// The task that failed; `None` where it was no task, for example a cancellation.
    #[serde(default)]
    pub task: Option<String>,
    /// The failure's code.
    pub code: String,
    /// For people.
    #[serde(default)]
    pub message: String,
}

/// A task of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// `pending`, `ready`, `running`, `retrying`, `in_doubt`, `undoing`, `undo_blocked`; at rest `done`,
    /// `skipped`, `failed`, `cancelled`, `undone`.
    pub status: String,
    /// How many attempts there were.
    #[serde(default)]
    pub attempts: u32,
    /// RFC 3339.
    #[serde(default)]
    pub started_at: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    pub ended_at: Option<String>,
    /// What it gave.
    #[serde(default)]
    pub output: Value,
    /// Why its last attempt failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<WorkflowError>,
}

/// One line of a workflow's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryEvent {
    /// Counts 1, 2, 3... in each run.
    pub sequence: u64,
    /// The event's type, for example `TaskCompleted`.
    #[serde(rename = "type")]
    pub kind: String,
    /// RFC 3339.
    pub time: String,
    /// The task that it is about.
    #[serde(default)]
    pub task: Option<String>,
    /// The attempt that it is about.
    #[serde(default)]
    pub attempt: Option<u32>,
    /// The rest of the event.
    #[serde(default)]
    pub data: Value,
}

/// A record to publish on a user's topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Publish {
    /// The record's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// A string goes out as text, other JSON as JSON, null as a tombstone.
    pub value: Value,
    /// Headers, as text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// Where a published record stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: i64,
}

/// A command as the gateway hands it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandedOut {
    /// The record's headers.
    pub headers: BTreeMap<String, String>,
    /// The record's value.
    #[serde(default)]
    pub value: Value,
    /// When the record was appended, RFC 3339.
    pub timestamp: String,
}

/// An RFC 9457 problem document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What kind of problem.
    #[serde(default)]
    pub title: String,
    /// What happened here, and what to do.
    #[serde(default)]
    pub detail: String,
    /// Further members, for example `diagnostics`.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}
