//! The records that follow from an event: pure formatting of what it holds, so that what is sent
//! again is the same.

mod records;

use events::{
    By, Class, CommandKind, Destination, Header, Lifecycle, Outgoing, Payload, Run, Subject,
    TaskId, What, WorkflowId, header,
};

use crate::event::{About, Body, Doubt, Event, WorkflowEvent};
use crate::phase::{TaskError, TaskRef};
use crate::plan::InDoubt;
use records::{cloud_event, commands, replies, told, unmatched};

/// `ce_source` of everything that a workflow says.
const SOURCE: &str = "pavane/coordinator";

/// The records that follow from one event, in the order in which they are sent.
#[must_use]
pub fn react(event: &Event) -> Vec<Outgoing> {
    match &event.0 {
        About::Workflow(event) => {
            public(event).into_iter().chain(commands(event)).chain(replies(event)).collect()
        }
        About::Unmatched { workflow, kept, time } => {
            let class = Class::UnknownWorkflow;
            let why = format!("`{workflow}` has not begun in time");
            vec![unmatched(workflow, kept, class, why, *time)]
        }
        About::Told { workflow, time, reply } => vec![told(workflow, *time, reply)],
        About::Defined(_) | About::Newest(_) | About::Early { .. } => Vec::new(),
    }
}

/// The key under which all attempts of a task, its undo, its queries and its cancel stand. The last
/// number is the incarnation: a task is done once in a run.
pub(crate) fn idempotency_key(workflow: &WorkflowId, run: Run, task: &TaskId) -> String {
    format!("{workflow}/{task}/{run}.1")
}

impl Event {
    /// The public event, where it is one.
    #[must_use]
    pub fn lifecycle(&self) -> Option<Lifecycle> {
        match &self.0 {
            About::Workflow(event) => event.lifecycle(),
            About::Defined(_)
            | About::Newest(_)
            | About::Early { .. }
            | About::Unmatched { .. }
            | About::Told { .. } => None,
        }
    }
}

impl WorkflowEvent {
    fn lifecycle(&self) -> Option<Lifecycle> {
        Some(Lifecycle {
            workflow: self.workflow.clone(),
            run: self.run,
            sequence: self.sequence,
            time: self.time,
            saga: self.saga.clone(),
            version: self.version.clone(),
            what: self.what()?,
        })
    }

    fn subject(&self, kind: CommandKind, task: &TaskId, n: u32) -> String {
        let (workflow, run) = (self.workflow.clone(), self.run);
        Subject { workflow, task: task.clone(), run, kind, n }.to_string()
    }

    fn what(&self) -> Option<What> {
        Some(match self.body.clone() {
            Body::WorkflowStarted { start_id, inputs, .. } => {
                What::WorkflowStarted { start_id, inputs }
            }
            Body::WorkflowCompleted { outputs, .. } => What::WorkflowCompleted { outputs },
            Body::WorkflowFailed { how, problem, outputs, rest, .. } => What::WorkflowFailed {
                how,
                problem,
                outputs,
                stands: rest.stands,
                undone: rest.undone,
                in_doubt: rest.in_doubt,
            },
            Body::WorkflowCancelled { by, rest, .. } => What::WorkflowCancelled {
                by,
                stands: rest.stands,
                undone: rest.undone,
                in_doubt: rest.in_doubt,
            },
            Body::WorkflowPaused { problem, .. } => What::WorkflowPaused { problem },
            Body::WorkflowResumed { by, .. } => What::WorkflowResumed { by },
            Body::CompensationStarted { trouble } => {
                What::CompensationStarted { epoch: self.epoch, problem: trouble.problem }
            }
            Body::CompensationCompleted { undone } => What::CompensationCompleted { undone },
            Body::CompensationBlocked { problem } => What::CompensationBlocked { problem },
            Body::TaskScheduled { .. }
            | Body::TaskStarted { .. }
            | Body::TaskCompleted { .. }
            | Body::TaskFailed { .. }
            | Body::TaskRetried { .. }
            | Body::TaskTimedOut { .. }
            | Body::TaskInDoubt { .. }
            | Body::TaskSkipped { .. }
            | Body::TaskCancelled { .. }
            | Body::TaskBegun { .. }
            | Body::TimerFired { .. } => self.of_task()?,
            Body::SignalReceived { signal, data, task } => {
                What::SignalReceived { signal, data, task: task.map(|task| task.id) }
            }
            Body::UndoScheduled { .. } | Body::UndoCompleted { .. } | Body::UndoFailed { .. } => {
                self.of_undo()?
            }
            Body::Deferred { .. }
            | Body::DeferralDropped
            | Body::StopOrdered { .. }
            | Body::QueryScheduled { .. }
            | Body::QueryRepeats { .. }
            | Body::Postponed { .. }
            | Body::Shrunk
            | Body::CasesTaken { .. }
            | Body::Expanded(_)
            | Body::Reverting { .. }
            | Body::FailureTaken { .. }
            | Body::Fallback { .. }
            | Body::EventSeen { .. }
            | Body::EventLeft { .. }
            | Body::FailingStarted { .. }
            | Body::ClosingStarted { .. }
            | Body::UnwindStarted(_)
            | Body::Unwound { .. }
            | Body::ParentAsks { .. }
            | Body::Forgotten => return None,
        })
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "`what` has chosen among all events")]
    fn of_task(&self) -> Option<What> {
        Some(match self.body.clone() {
            Body::TaskScheduled { task, command, .. } => What::TaskScheduled {
                command: self.subject(CommandKind::Do, &task.id, command.n),
                task: task.id,
                attempt: command.n,
                agent: command.agent,
                task_type: command.task_type,
                inputs: command.value,
                deadline: command.deadline,
            },
            Body::TaskBegun { task, attempt, .. } => {
                What::TaskStarted { task: task.id, attempt, percent: None, note: None }
            }
            Body::TimerFired { task } => What::TimerFired { task: task.id },
            Body::TaskStarted { task, percent, note, attempt } => {
                What::TaskStarted { task: task.id, attempt, percent, note }
            }
            Body::TaskCompleted { task, attempt, output, by, .. } => {
                What::TaskCompleted { task: task.id, attempt, output, by }
            }
            Body::TaskFailed { task, attempt, error: TaskError { code, message }, by } => {
                What::TaskFailed { task: task.id, attempt, code, message, by }
            }
            Body::TaskRetried { task, attempt, error, retry_at, by, .. } => {
                let TaskError { code, message } = error;
                What::TaskRetried { task: task.id, attempt, code, message, retry_at, by }
            }
            Body::TaskTimedOut { task, attempt, deadline } => {
                What::TaskTimedOut { task: task.id, attempt, deadline }
            }
            Body::TaskInDoubt { task, attempt, doubt, error: TaskError { code, message } } => {
                let policy = match doubt {
                    Doubt::Undo => InDoubt::Undo,
                    Doubt::Query { .. } => InDoubt::Query,
                    Doubt::Hold => InDoubt::Hold,
                };
                let policy = policy.word().to_owned();
                What::TaskInDoubt { task: task.id, attempt, policy, code, message }
            }
            Body::TaskSkipped { task, why, output, by } => {
                What::TaskSkipped { task: task.id, reason: why.word().to_owned(), output, by }
            }
            Body::TaskCancelled { task, attempt, reason, .. } => {
                What::TaskCancelled { task: task.id, attempt, reason }
            }
            _ => return None,
        })
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "`what` has chosen among all events")]
    fn of_undo(&self) -> Option<What> {
        Some(match self.body.clone() {
            Body::UndoScheduled { task, command, .. } => What::UndoScheduled {
                command: self.subject(CommandKind::Undo, &task.id, command.n),
                task: task.id,
                n: command.n,
                agent: command.agent,
                task_type: command.task_type,
                inputs: command.value,
                deadline: command.deadline,
            },
            Body::UndoCompleted { task: TaskRef { id: task, .. }, n, nothing, by } => {
                What::UndoCompleted { task, n, nothing, by }
            }
            Body::UndoFailed { task, n, error: TaskError { code, message }, retry_at, .. } => {
                What::UndoFailed { task: task.id, n, code, message, retry_at }
            }
            _ => return None,
        })
    }

    /// Whether it takes a number in the public sequence.
    pub(crate) fn is_public(body: &Body) -> bool {
        match body {
            Body::WorkflowStarted { .. }
            | Body::WorkflowCompleted { .. }
            | Body::WorkflowFailed { .. }
            | Body::WorkflowCancelled { .. }
            | Body::WorkflowPaused { .. }
            | Body::WorkflowResumed { .. }
            | Body::CompensationStarted { .. }
            | Body::CompensationCompleted { .. }
            | Body::CompensationBlocked { .. }
            | Body::TaskScheduled { .. }
            | Body::TaskStarted { .. }
            | Body::TaskCompleted { .. }
            | Body::TaskFailed { .. }
            | Body::TaskRetried { .. }
            | Body::TaskTimedOut { .. }
            | Body::TaskInDoubt { .. }
            | Body::TaskSkipped { .. }
            | Body::TaskCancelled { .. }
            | Body::UndoScheduled { .. }
            | Body::UndoCompleted { .. }
            | Body::UndoFailed { .. }
            | Body::TaskBegun { .. }
            | Body::TimerFired { .. }
            | Body::SignalReceived { .. } => true,
            Body::Deferred { .. }
            | Body::DeferralDropped
            | Body::StopOrdered { .. }
            | Body::QueryScheduled { .. }
            | Body::QueryRepeats { .. }
            | Body::Postponed { .. }
            | Body::Shrunk
            | Body::CasesTaken { .. }
            | Body::Expanded(_)
            | Body::Reverting { .. }
            | Body::FailureTaken { .. }
            | Body::Fallback { .. }
            | Body::EventSeen { .. }
            | Body::EventLeft { .. }
            | Body::FailingStarted { .. }
            | Body::ClosingStarted { .. }
            | Body::UnwindStarted(_)
            | Body::Unwound { .. }
            | Body::ParentAsks { .. }
            | Body::Forgotten => false,
        }
    }
}

fn task_of(body: &Body) -> Option<&TaskId> {
    match body {
        Body::TaskScheduled { task, .. }
        | Body::TaskStarted { task, .. }
        | Body::TaskCompleted { task, .. }
        | Body::TaskFailed { task, .. }
        | Body::TaskRetried { task, .. }
        | Body::TaskTimedOut { task, .. }
        | Body::TaskInDoubt { task, .. }
        | Body::TaskSkipped { task, .. }
        | Body::TaskCancelled { task, .. }
        | Body::UndoScheduled { task, .. }
        | Body::UndoCompleted { task, .. }
        | Body::UndoFailed { task, .. }
        | Body::StopOrdered { task, .. }
        | Body::QueryScheduled { task, .. }
        | Body::QueryRepeats { task, .. }
        | Body::TaskBegun { task, .. }
        | Body::TimerFired { task }
        | Body::SignalReceived { task: Some(task), .. }
        | Body::CasesTaken { task, .. }
        | Body::Reverting { task, .. }
        | Body::FailureTaken { task, .. }
        | Body::Fallback { task, .. } => Some(&task.id),
        Body::WorkflowStarted { .. }
        | Body::WorkflowCompleted { .. }
        | Body::WorkflowFailed { .. }
        | Body::WorkflowCancelled { .. }
        | Body::WorkflowPaused { .. }
        | Body::WorkflowResumed { .. }
        | Body::CompensationStarted { .. }
        | Body::CompensationCompleted { .. }
        | Body::CompensationBlocked { .. }
        | Body::Deferred { .. }
        | Body::DeferralDropped
        | Body::Postponed { .. }
        | Body::Shrunk
        | Body::SignalReceived { task: None, .. }
        | Body::Expanded(_)
        | Body::EventSeen { .. }
        | Body::EventLeft { .. }
        | Body::FailingStarted { .. }
        | Body::ClosingStarted { .. }
        | Body::UnwindStarted(_)
        | Body::Unwound { .. }
        | Body::ParentAsks { .. }
        | Body::Forgotten => None,
    }
}

fn public(event: &WorkflowEvent) -> Option<Outgoing> {
    let lifecycle = event.lifecycle()?;
    let WorkflowEvent { workflow, run, sequence, .. } = event;
    let schema = lifecycle.schema();
    let subject = match task_of(&event.body) {
        Some(task) => format!("{workflow}/{task}"),
        None => workflow.to_string(),
    };
    let mut headers = cloud_event(event, format!("{workflow}/{run}/{sequence}"), schema, subject);
    headers.extend([
        Header::text(header::SEQUENCE, sequence.to_string()),
        Header::text(header::SEQUENCE_TYPE, "Integer"),
        Header::text(header::RUN, run.to_string()),
        Header::text(header::CONTENT_TYPE, header::AVRO),
    ]);
    Some(Outgoing {
        to: Destination::Events,
        partition: None,
        key: Some(workflow.into()),
        value: Payload::Avro { schema, datum: lifecycle.encode() },
        headers,
    })
}

/// Ordered by nobody: what became known ended a pause.
pub(crate) fn by_itself() -> By {
    By { actor: "pavane".to_owned(), reason: "the outcome became known".to_owned() }
}
