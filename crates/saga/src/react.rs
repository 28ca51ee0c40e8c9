//! The records that follow from an event: pure formatting of what it holds, so that what is sent
//! again is the same.

mod records;

use bytes::Bytes;
use events::{
    By, Class, CommandKind, Destination, Header, Lifecycle, Outgoing, Payload, Run, Subject,
    TaskId, Texts, What, WorkflowId, header, put_number,
};

use crate::event::{About, Body, Doubt, Event, Rest, WorkflowEvent};
use crate::phase::TaskError;
use crate::plan::InDoubt;
use records::{cloud_event, commands, replies, told, unmatched};

/// `ce_source` of everything that a workflow says.
const SOURCE: &str = "pavane/coordinator";
/// Room for a key's numbers.
const NUMBERS_BYTES: usize = 24;
/// Room for the texts of an event's records, most of the time.
const TEXTS_BYTES: usize = 1024;

/// The records that follow from one event, in the order in which they are sent.
#[must_use]
pub fn react(event: &Event) -> Vec<Outgoing> {
    match &event.0 {
        About::Workflow(event) => {
            // One buffer for what an event's records say, but for what is large.
            let mut texts = Texts::with_capacity(TEXTS_BYTES);
            let mut records = Vec::with_capacity(2);
            records.extend(public(event, &mut texts));
            records.extend(commands(event, &mut texts));
            replies(event, &mut records);
            records
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
/// number is the incarnation: it rises when what was undone is done again.
pub(crate) fn idempotency_key(
    workflow: &WorkflowId,
    run: Run,
    task: &TaskId,
    incarnation: u32,
) -> String {
    let mut key =
        String::with_capacity(workflow.as_str().len() + task.as_str().len() + NUMBERS_BYTES);
    for piece in [workflow.as_str(), "/", task.as_str(), "/"] {
        key.push_str(piece);
    }
    run.put(&mut |piece| key.push_str(piece));
    key.push('.');
    put_number(u64::from(incarnation), |piece| key.push_str(piece));
    key
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

    fn subject(&self, kind: CommandKind, task: &TaskId, n: u32) -> Subject {
        let (workflow, run) = (self.workflow.clone(), self.run);
        Subject { workflow, task: task.clone(), run, kind, n }
    }

    fn what(&self) -> Option<What> {
        let rest = |rest: &Rest| (rest.stands.clone(), rest.undone.clone(), rest.in_doubt.clone());
        Some(match &self.body {
            Body::WorkflowStarted { start_id, inputs, .. } => {
                What::WorkflowStarted { start_id: start_id.clone(), inputs: inputs.clone() }
            }
            Body::WorkflowCompleted { outputs, .. } => {
                What::WorkflowCompleted { outputs: outputs.clone() }
            }
            Body::WorkflowFailed { how, problem, outputs, rest: left, .. } => {
                let (stands, undone, in_doubt) = rest(left);
                let (how, problem, outputs) = (*how, problem.clone(), outputs.clone());
                What::WorkflowFailed { how, problem, outputs, stands, undone, in_doubt }
            }
            Body::WorkflowCancelled { by, rest: left, .. } => {
                let (stands, undone, in_doubt) = rest(left);
                What::WorkflowCancelled { by: by.clone(), stands, undone, in_doubt }
            }
            Body::WorkflowPaused { problem, .. } => {
                What::WorkflowPaused { problem: problem.clone() }
            }
            Body::WorkflowResumed { by, .. } => What::WorkflowResumed { by: by.clone() },
            Body::CompensationStarted { trouble } => {
                What::CompensationStarted { epoch: self.epoch, problem: trouble.problem.clone() }
            }
            Body::CompensationCompleted { undone } => {
                What::CompensationCompleted { undone: undone.clone() }
            }
            Body::CompensationBlocked { problem } => {
                What::CompensationBlocked { problem: problem.clone() }
            }
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
            | Body::SignalReceived { .. }
            | Body::TimerFired { .. } => self.of_task()?,
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
        Some(match &self.body {
            Body::TaskScheduled { task, command, .. } => What::TaskScheduled {
                command: self.subject(CommandKind::Do, &task.id, command.n).text(),
                task: task.id.clone(),
                attempt: command.n,
                agent: command.agent.clone(),
                task_type: command.task_type.clone(),
                inputs: command.value.clone(),
                deadline: command.deadline,
            },
            Body::TaskBegun { task, attempt, .. } => {
                let (task, attempt) = (task.id.clone(), *attempt);
                What::TaskStarted { task, attempt, percent: None, note: None }
            }
            Body::TimerFired { task } => What::TimerFired { task: task.id.clone() },
            Body::SignalReceived { signal, data, task } => {
                let (signal, data) = (signal.clone(), data.clone());
                What::SignalReceived {
                    signal,
                    data,
                    task: task.as_ref().map(|task| task.id.clone()),
                }
            }
            Body::TaskStarted { task, percent, note, attempt } => {
                let (task, attempt) = (task.id.clone(), *attempt);
                What::TaskStarted { task, attempt, percent: *percent, note: note.clone() }
            }
            Body::TaskCompleted { task, attempt, output, by, .. } => {
                let (task, attempt) = (task.id.clone(), *attempt);
                What::TaskCompleted { task, attempt, output: output.clone(), by: by.clone() }
            }
            Body::TaskFailed { task, attempt, error, by } => {
                let (task, attempt) = (task.id.clone(), *attempt);
                let TaskError { code, message } = error.clone();
                What::TaskFailed { task, attempt, code, message, by: by.clone() }
            }
            Body::TaskRetried { task, attempt, error, retry_at, by, .. } => {
                let (task, attempt, retry_at) = (task.id.clone(), *attempt, *retry_at);
                let TaskError { code, message } = error.clone();
                What::TaskRetried { task, attempt, code, message, retry_at, by: by.clone() }
            }
            Body::TaskTimedOut { task, attempt, deadline } => {
                let (task, attempt) = (task.id.clone(), *attempt);
                What::TaskTimedOut { task, attempt, deadline: *deadline }
            }
            Body::TaskInDoubt { task, attempt, doubt, error } => {
                let policy = match doubt {
                    Doubt::Undo => InDoubt::Undo,
                    Doubt::Query { .. } => InDoubt::Query,
                    Doubt::Hold => InDoubt::Hold,
                };
                let policy = policy.word().to_owned();
                let (task, attempt) = (task.id.clone(), *attempt);
                let TaskError { code, message } = error.clone();
                What::TaskInDoubt { task, attempt, policy, code, message }
            }
            Body::TaskSkipped { task, why, output, by } => {
                let (task, reason) = (task.id.clone(), why.word().to_owned());
                What::TaskSkipped { task, reason, output: output.clone(), by: by.clone() }
            }
            Body::TaskCancelled { task, attempt, reason, .. } => {
                let (task, attempt) = (task.id.clone(), *attempt);
                What::TaskCancelled { task, attempt, reason: reason.clone() }
            }
            _ => return None,
        })
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "`what` has chosen among all events")]
    fn of_undo(&self) -> Option<What> {
        Some(match &self.body {
            Body::UndoScheduled { task, command, .. } => What::UndoScheduled {
                command: self.subject(CommandKind::Undo, &task.id, command.n).text(),
                task: task.id.clone(),
                n: command.n,
                agent: command.agent.clone(),
                task_type: command.task_type.clone(),
                inputs: command.value.clone(),
                deadline: command.deadline,
            },
            Body::UndoCompleted { task, n, nothing, by, .. } => {
                let (task, n, nothing) = (task.id.clone(), *n, *nothing);
                What::UndoCompleted { task, n, nothing, by: by.clone() }
            }
            Body::UndoFailed { task, n, error, retry_at, .. } => {
                let TaskError { code, message } = error.clone();
                let (task, n, retry_at) = (task.id.clone(), *n, *retry_at);
                What::UndoFailed { task, n, code, message, retry_at }
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

fn public(event: &WorkflowEvent, texts: &mut Texts) -> Option<Outgoing> {
    let lifecycle = event.lifecycle()?;
    let workflow = event.workflow.as_str();
    let schema = lifecycle.schema();
    let id = texts.event_id(&event.workflow, event.run, event.sequence);
    let subject = match task_of(&event.body) {
        Some(task) => texts.text(&[workflow, "/", task.as_str()]),
        None => id.workflow.clone(),
    };
    let of = Bytes::from_static(schema.as_bytes());
    let mut headers = cloud_event(event, texts, event.time, id.whole, of, subject);
    headers.extend([
        Header::of(header::SEQUENCE, id.sequence),
        Header::fixed(header::SEQUENCE_TYPE, "Integer"),
        Header::of(header::RUN, id.run),
        Header::fixed(header::CONTENT_TYPE, header::AVRO),
    ]);
    Some(Outgoing {
        to: Destination::Events,
        partition: None,
        key: Some(id.workflow),
        value: Payload::Avro { schema, datum: texts.datum(&lifecycle) },
        headers,
    })
}

/// Ordered by nobody: what became known ended a pause.
pub(crate) fn by_itself() -> By {
    By { actor: "pavane".to_owned(), reason: "the outcome became known".to_owned() }
}
