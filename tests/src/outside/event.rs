//! Lifecycle events as any reader sees them.

use client::HistoryEvent;
use events::{Lifecycle, Record, TaskId, What, ce_type, header, unframe};
use serde_json::{Value, json};

/// One event of a workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Whose.
    pub workflow: String,
    /// 1, 2, 3... in each run.
    pub sequence: u64,
    /// Its name, without `pavane.`.
    pub kind: String,
    /// The task that it is about.
    pub task: Option<String>,
    /// Of `WorkflowFailed`: `{"how", "stands", "undone", "in_doubt"}`.
    pub end: Value,
}

impl Event {
    /// As the gateway shows it.
    #[must_use]
    pub fn shown(workflow: &str, event: &HistoryEvent) -> Self {
        Self {
            workflow: workflow.to_owned(),
            sequence: event.sequence,
            kind: event.kind.clone(),
            task: event.task.clone(),
            end: event.data.clone(),
        }
    }

    /// As it stands on the topic `events`.
    #[must_use]
    pub fn read(record: &Record) -> Self {
        let name = record.header_text(header::TYPE).expect("an event has a type");
        let subject = record.header_text(header::SUBJECT).expect("an event has a subject");
        let (_, datum) = unframe(record.value.as_deref().expect("an event has a value")).unwrap();
        let event = Lifecycle::decode(name, datum).unwrap();
        let task = subject.strip_prefix(event.workflow.as_str()).expect("its workflow's subject");
        let ids = |tasks: &[TaskId]| tasks.iter().map(TaskId::to_string).collect::<Vec<_>>();
        let end = if let What::WorkflowFailed { how, stands, undone, in_doubt, .. } = &event.what {
            let how = format!("{how:?}").to_lowercase();
            let (stands, undone, in_doubt) = (ids(stands), ids(undone), ids(in_doubt));
            json!({"how": how, "stands": stands, "undone": undone, "in_doubt": in_doubt})
        } else {
            Value::Null
        };
        Self {
            workflow: event.workflow.to_string(),
            sequence: event.sequence,
            kind: name.trim_start_matches(ce_type::PREFIX).to_owned(),
            task: task.strip_prefix('/').map(str::to_owned),
            end,
        }
    }

    /// Whether it ends the run.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(&*self.kind, "WorkflowCompleted" | "WorkflowFailed" | "WorkflowCancelled")
    }
}
