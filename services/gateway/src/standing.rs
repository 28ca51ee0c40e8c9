//! How a workflow stands, as its lifecycle events tell it: pure.

use std::collections::BTreeSet;

use events::{How, TaskId, What};
use serde::Serialize;

/// How a workflow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Running,
    Paused,
    Compensating,
    Blocked,
    Completed,
    Partial,
    Compensated,
    Cancelled,
    Failed,
}

impl Status {
    /// The status of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "running" => Self::Running,
            "paused" => Self::Paused,
            "compensating" => Self::Compensating,
            "blocked" => Self::Blocked,
            "completed" => Self::Completed,
            "partial" => Self::Partial,
            "compensated" => Self::Compensated,
            "cancelled" => Self::Cancelled,
            "failed" => Self::Failed,
            _ => return None,
        })
    }

    pub(crate) const fn is_at_rest(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::Compensating | Self::Blocked => false,
            Self::Completed
            | Self::Partial
            | Self::Compensated
            | Self::Cancelled
            | Self::Failed => true,
        }
    }
}

/// What must be remembered to tell the status from one event to the next.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) status: Status,
    pub(crate) is_compensating: bool,
    /// Until it is said that it goes on; what is blocked beside that may hide it.
    pub(crate) is_paused: bool,
    blocked: BTreeSet<TaskId>,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            status: Status::Running,
            is_compensating: false,
            is_paused: false,
            blocked: BTreeSet::new(),
        }
    }
}

impl Standing {
    /// Takes in the next event.
    pub(crate) fn fold(&mut self, what: &What) {
        match what {
            What::WorkflowStarted { .. } => *self = Self::default(),
            What::WorkflowCompleted { .. } => self.status = Status::Completed,
            What::WorkflowFailed { how, .. } => {
                self.status = match how {
                    How::Failed => Status::Failed,
                    How::Compensated => Status::Compensated,
                    How::Partial => Status::Partial,
                };
            }
            What::WorkflowCancelled { .. } => self.status = Status::Cancelled,
            What::WorkflowPaused { .. } => {
                self.is_paused = true;
                self.go_on();
            }
            What::CompensationStarted { .. } => {
                self.is_compensating = true;
                self.go_on();
            }
            What::UndoFailed { task, retry_at: None, .. } => {
                self.blocked.insert(task.clone());
                self.go_on();
            }
            What::UndoScheduled { task, .. }
            | What::UndoCompleted { task, .. }
            | What::TaskSkipped { task, .. } => {
                if self.blocked.remove(task) {
                    self.go_on();
                }
            }
            What::WorkflowResumed { .. } => {
                self.is_paused = false;
                self.go_on();
            }
            What::CompensationBlocked { problem } => {
                self.blocked.extend(problem.task.clone());
                self.go_on();
            }
            What::CompensationCompleted { .. }
            | What::TaskScheduled { .. }
            | What::TaskStarted { .. }
            | What::TaskCompleted { .. }
            | What::TaskFailed { .. }
            | What::TaskRetried { .. }
            | What::TaskTimedOut { .. }
            | What::TaskInDoubt { .. }
            | What::TaskCancelled { .. }
            | What::UndoFailed { .. }
            | What::TimerFired { .. }
            | What::SignalReceived { .. } => {}
        }
    }

    /// A late undo changes its task and not how the workflow ended.
    fn go(&mut self, status: Status) {
        if !self.status.is_at_rest() {
            self.status = status;
        }
    }

    fn go_on(&mut self) {
        self.go(match (self.is_compensating, self.is_paused, self.blocked.is_empty()) {
            (true, _, false) | (false, false, false) => Status::Blocked,
            (false, true, _) | (true, true, true) => Status::Paused,
            (true, false, true) => Status::Compensating,
            (false, false, true) => Status::Running,
        });
    }
}
