//! Lifecycle events as the API shows them.

use events::{By, How, Lifecycle, Problem, TaskId, What, ce_type};
use serde::Serialize;
use serde_json::{Value, json};

/// One line of a history.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) sequence: u64,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) time: String,
    pub(crate) task: Option<String>,
    pub(crate) attempt: Option<u32>,
    pub(crate) data: Value,
}

impl Line {
    pub(crate) fn of(event: &Lifecycle) -> Self {
        let (task, attempt) = subject(&event.what);
        let schema = event.schema();
        Self {
            sequence: event.sequence,
            kind: schema.strip_prefix(ce_type::PREFIX).unwrap_or(schema),
            time: event.time.to_string(),
            task: task.map(TaskId::to_string),
            attempt,
            data: data(&event.what),
        }
    }
}

/// One event of the stream.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Streamed {
    pub(crate) workflow: String,
    pub(crate) run: i64,
    pub(crate) saga: String,
    pub(crate) version: String,
    #[serde(flatten)]
    pub(crate) line: Line,
}

impl Streamed {
    pub(crate) fn of(event: &Lifecycle) -> Self {
        Self {
            workflow: event.workflow.to_string(),
            run: event.run.0,
            saga: event.saga.to_string(),
            version: event.version.to_string(),
            line: Line::of(event),
        }
    }
}

/// The task that an event is about, and the attempt at doing it.
pub(crate) fn subject(what: &What) -> (Option<&TaskId>, Option<u32>) {
    match what {
        What::TaskScheduled { task, attempt, .. }
        | What::TaskStarted { task, attempt, .. }
        | What::TaskCompleted { task, attempt, .. }
        | What::TaskFailed { task, attempt, .. }
        | What::TaskRetried { task, attempt, .. }
        | What::TaskTimedOut { task, attempt, .. }
        | What::TaskInDoubt { task, attempt, .. }
        | What::TaskCancelled { task, attempt, .. } => (Some(task), Some(*attempt)),
        What::TaskSkipped { task, .. }
        | What::UndoScheduled { task, .. }
        | What::UndoCompleted { task, .. }
        | What::UndoFailed { task, .. }
        | What::TimerFired { task } => (Some(task), None),
        What::SignalReceived { task, .. } => (task.as_ref(), None),
        What::WorkflowStarted { .. }
        | What::WorkflowCompleted { .. }
        | What::WorkflowFailed { .. }
        | What::WorkflowCancelled { .. }
        | What::WorkflowPaused { .. }
        | What::WorkflowResumed { .. }
        | What::CompensationStarted { .. }
        | What::CompensationCompleted { .. }
        | What::CompensationBlocked { .. } => (None, None),
    }
}

fn ids(tasks: &[TaskId]) -> Vec<&str> {
    tasks.iter().map(TaskId::as_str).collect()
}

fn by_whom(by: &By) -> Value {
    json!({"actor": by.actor, "reason": by.reason})
}

fn by_hand(by: Option<&By>) -> Value {
    by.map_or(Value::Null, by_whom)
}

fn trouble(problem: &Problem) -> Value {
    let task = problem.task.as_ref().map(TaskId::as_str);
    json!({"task": task, "code": problem.code, "message": problem.message})
}

const fn how_word(how: How) -> &'static str {
    match how {
        How::Failed => "failed",
        How::Compensated => "compensated",
        How::Partial => "partial",
    }
}

/// What an event says besides its task and attempt.
fn data(what: &What) -> Value {
    match what {
        What::WorkflowStarted { start_id, inputs } => {
            json!({"start_id": start_id, "inputs": inputs.value()})
        }
        What::WorkflowCompleted { outputs } => json!({"outputs": outputs.value()}),
        What::WorkflowFailed { how, problem, outputs, stands, undone, in_doubt } => json!({
            "how": how_word(*how),
            "problem": trouble(problem),
            "outputs": outputs.as_ref().map(events::Json::value),
            "stands": ids(stands), "undone": ids(undone), "in_doubt": ids(in_doubt),
        }),
        What::WorkflowCancelled { by, stands, undone, in_doubt } => json!({
            "by": by_whom(by),
            "stands": ids(stands), "undone": ids(undone), "in_doubt": ids(in_doubt),
        }),
        What::WorkflowPaused { problem } | What::CompensationBlocked { problem } => {
            json!({"problem": trouble(problem)})
        }
        What::WorkflowResumed { by } => json!({"by": by_whom(by)}),
        What::CompensationStarted { epoch, problem } => {
            json!({"epoch": epoch, "problem": trouble(problem)})
        }
        What::CompensationCompleted { undone } => json!({"undone": ids(undone)}),
        What::TaskScheduled { .. }
        | What::TaskStarted { .. }
        | What::TaskCompleted { .. }
        | What::TaskFailed { .. }
        | What::TaskRetried { .. }
        | What::TaskTimedOut { .. }
        | What::TaskInDoubt { .. }
        | What::TaskSkipped { .. }
        | What::TaskCancelled { .. }
        | What::UndoScheduled { .. }
        | What::UndoCompleted { .. }
        | What::UndoFailed { .. } => data_of_task(what).unwrap_or(Value::Null),
        What::TimerFired { .. } => json!({}),
        What::SignalReceived { signal, data, .. } => {
            json!({"signal": signal, "data": data.value()})
        }
    }
}

fn data_of_task(what: &What) -> Option<Value> {
    Some(match what {
        What::TaskScheduled { agent, task_type, command, inputs, deadline, .. } => json!({
            "agent": agent.as_str(), "task_type": task_type, "command": command,
            "inputs": inputs.value(), "deadline": deadline.to_string(),
        }),
        What::TaskStarted { percent, note, .. } => json!({"percent": percent, "note": note}),
        What::TaskCompleted { output, by, .. } => {
            json!({"output": output.value(), "by": by_hand(by.as_ref())})
        }
        What::TaskFailed { code, message, by, .. } => {
            json!({"code": code, "message": message, "by": by_hand(by.as_ref())})
        }
        What::TaskRetried { code, message, retry_at, by, .. } => json!({
            "code": code, "message": message, "retry_at": retry_at.to_string(),
            "by": by_hand(by.as_ref()),
        }),
        What::TaskTimedOut { deadline, .. } => json!({"deadline": deadline.to_string()}),
        What::TaskInDoubt { policy, code, message, .. } => {
            json!({"policy": policy, "code": code, "message": message})
        }
        What::TaskSkipped { reason, output, by, .. } => json!({
            "reason": reason, "output": output.as_ref().map(events::Json::value),
            "by": by_hand(by.as_ref()),
        }),
        What::TaskCancelled { reason, .. } => json!({"reason": reason}),
        What::UndoScheduled { n, agent, task_type, command, inputs, deadline, .. } => json!({
            "n": n, "agent": agent.as_str(), "task_type": task_type, "command": command,
            "inputs": inputs.value(), "deadline": deadline.to_string(),
        }),
        What::UndoCompleted { n, nothing, by, .. } => {
            json!({"n": n, "nothing": nothing, "by": by_hand(by.as_ref())})
        }
        What::UndoFailed { n, code, message, retry_at, .. } => json!({
            "n": n, "code": code, "message": message,
            "retry_at": retry_at.map(|at| at.to_string()),
        }),
        What::TimerFired { .. }
        | What::SignalReceived { .. }
        | What::WorkflowStarted { .. }
        | What::WorkflowCompleted { .. }
        | What::WorkflowFailed { .. }
        | What::WorkflowCancelled { .. }
        | What::WorkflowPaused { .. }
        | What::WorkflowResumed { .. }
        | What::CompensationStarted { .. }
        | What::CompensationCompleted { .. }
        | What::CompensationBlocked { .. } => return None,
    })
}
