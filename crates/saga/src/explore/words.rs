//! Public events in few words.

use std::time::Duration;

use events::{How, What};

/// The name of a public event.
pub(super) const fn name(what: &What) -> &'static str {
    match what {
        What::WorkflowStarted { .. } => "WorkflowStarted",
        What::WorkflowCompleted { .. } => "WorkflowCompleted",
        What::WorkflowFailed { .. } => "WorkflowFailed",
        What::WorkflowCancelled { .. } => "WorkflowCancelled",
        What::WorkflowPaused { .. } => "WorkflowPaused",
        What::WorkflowResumed { .. } => "WorkflowResumed",
        What::CompensationStarted { .. } => "CompensationStarted",
        What::CompensationCompleted { .. } => "CompensationCompleted",
        What::CompensationBlocked { .. } => "CompensationBlocked",
        What::TaskScheduled { .. } => "TaskScheduled",
        What::TaskStarted { .. } => "TaskStarted",
        What::TaskCompleted { .. } => "TaskCompleted",
        What::TaskFailed { .. } => "TaskFailed",
        What::TaskRetried { .. } => "TaskRetried",
        What::TaskTimedOut { .. } => "TaskTimedOut",
        What::TaskInDoubt { .. } => "TaskInDoubt",
        What::TaskSkipped { .. } => "TaskSkipped",
        What::TaskCancelled { .. } => "TaskCancelled",
        What::UndoScheduled { .. } => "UndoScheduled",
        What::UndoCompleted { .. } => "UndoCompleted",
        What::UndoFailed { .. } => "UndoFailed",
        What::TimerFired { .. } => "TimerFired",
        What::SignalReceived { .. } => "SignalReceived",
    }
}

/// A public event.
pub(super) fn event(what: &What) -> String {
    let name = name(what);
    let list =
        |ids: &[events::TaskId]| ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
    match what {
        What::WorkflowStarted { .. }
        | What::WorkflowResumed { .. }
        | What::WorkflowCancelled { .. } => name.to_owned(),
        What::WorkflowCompleted { outputs } => format!("{name} {outputs}"),
        What::WorkflowFailed { how, problem, .. } => {
            let how = match how {
                How::Failed => "failed",
                How::Compensated => "compensated",
                How::Partial => "partial",
            };
            format!("{name}: {how}, {}", problem.code)
        }
        What::WorkflowPaused { problem }
        | What::CompensationStarted { problem, .. }
        | What::CompensationBlocked { problem } => {
            let task = problem.task.as_ref().map_or(String::new(), |task| format!(" {task}:"));
            format!("{name}{task} {}", problem.code)
        }
        What::CompensationCompleted { undone } => match list(undone) {
            undone if undone.is_empty() => format!("{name}: nothing was to be undone"),
            undone => format!("{name}: {undone}"),
        },
        What::TaskScheduled { task, attempt, .. } if *attempt > 1 => {
            format!("{name} {task}, attempt {attempt}")
        }
        What::TaskScheduled { task, .. }
        | What::TaskStarted { task, .. }
        | What::TaskCompleted { task, .. }
        | What::TaskTimedOut { task, .. }
        | What::TimerFired { task } => format!("{name} {task}"),
        What::TaskFailed { task, code, .. } | What::TaskRetried { task, code, .. } => {
            format!("{name} {task}: {code}")
        }
        What::TaskInDoubt { task, policy, code, .. } => format!("{name} {task}: {code}, {policy}"),
        What::TaskSkipped { task, reason, .. } | What::TaskCancelled { task, reason, .. } => {
            format!("{name} {task}: {reason}")
        }
        What::UndoScheduled { task, .. } => format!("{name} {task}"),
        What::UndoCompleted { task, nothing: true, .. } => {
            format!("{name} {task}: there was nothing to undo")
        }
        What::UndoCompleted { task, .. } => format!("{name} {task}"),
        What::UndoFailed { task, code, retry_at: None, .. } => {
            format!("{name} {task}: {code}, for good")
        }
        What::UndoFailed { task, code, .. } => format!("{name} {task}: {code}"),
        What::SignalReceived { signal, .. } => format!("{name} {signal}"),
    }
}

/// A span of time.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{}ms", span.as_millis()),
        1..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3600),
    }
}
