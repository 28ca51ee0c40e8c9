//! The records that follow from an event: pure formatting of what it holds, so that what is sent
//! again is the same.

use bytes::Bytes;
use events::{
    By, Class, CommandKind, Destination, Header, Lifecycle, Outgoing, Payload, Refusal, Run,
    Subject, TaskId, Timestamp, Version, What, WorkflowId, ce_type, dead_command, header,
};

use crate::event::{About, Body, Doubt, Event, Reply, Said, WorkflowEvent};
use crate::phase::{Command, Pair, TaskError, TaskRef, Via};
use crate::plan::InDoubt;
use crate::workflow::Kept;

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
            | Body::Expanded { .. }
            | Body::Reverting { .. }
            | Body::FailureTaken { .. }
            | Body::FellBack { .. }
            | Body::EventSeen { .. }
            | Body::EventLeft { .. }
            | Body::FailingStarted { .. }
            | Body::ClosingStarted { .. }
            | Body::UnwindStarted { .. }
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
            Body::TaskBegun { task, .. } => {
                What::TaskStarted { task: task.id, attempt: 1, percent: None, note: None }
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
            | Body::Expanded { .. }
            | Body::Reverting { .. }
            | Body::FailureTaken { .. }
            | Body::FellBack { .. }
            | Body::EventSeen { .. }
            | Body::EventLeft { .. }
            | Body::FailingStarted { .. }
            | Body::ClosingStarted { .. }
            | Body::UnwindStarted { .. }
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
        | Body::FellBack { task } => Some(&task.id),
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
        | Body::Expanded { .. }
        | Body::EventSeen { .. }
        | Body::EventLeft { .. }
        | Body::FailingStarted { .. }
        | Body::ClosingStarted { .. }
        | Body::UnwindStarted { .. }
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

fn cloud_event(event: &WorkflowEvent, id: String, of: &str, subject: String) -> Vec<Header> {
    let mut headers = vec![
        Header::text(header::SPECVERSION, "1.0"),
        Header::text(header::ID, id),
        Header::text(header::SOURCE, SOURCE),
        Header::text(header::TYPE, of),
        Header::text(header::SUBJECT, subject),
        Header::text(header::TIME, event.time.to_string()),
    ];
    headers.extend(event.trace.as_deref().map(|trace| Header::text(header::TRACEPARENT, trace)));
    headers
}

/// What goes out to whoever does the work.
#[allow(clippy::wildcard_enum_match_arm, reason = "few of many have a command")]
fn commands(event: &WorkflowEvent) -> Option<Outgoing> {
    match &event.body {
        Body::TaskScheduled { command, .. } => record(event, Order::Do, command),
        Body::UndoScheduled { command, .. } => record(event, Order::Undo, command),
        Body::QueryScheduled { command, .. } => record(event, Order::Query, command),
        Body::StopOrdered { stop, .. } | Body::TaskCancelled { stop, .. } => {
            stop.as_ref().and_then(|stop| record(event, Order::Cancel, stop))
        }
        Body::UndoFailed { dead, error, .. } => dead.as_ref().and_then(|command| {
            let message = format!(
                "the undo of `{}` has failed for good ({}): {}",
                command.task, error.code, error.message
            );
            let refusal = Refusal::new(Class::TaskFailed, &error.code, message);
            let sent = record(event, Order::Undo, command)?;
            Some(dead_command(sent, &refusal.about(&event.workflow), event.time))
        }),
        Body::EventLeft { kept, unmatched: true } => {
            let why = format!("nothing in `{}` has waited for it in time", event.workflow);
            Some(unmatched(&event.workflow, kept, Class::Invalid, why, event.time))
        }
        _ => None,
    }
}

#[derive(Clone, Copy)]
enum Order {
    Do,
    Undo,
    Query,
    Cancel,
}

impl Order {
    const fn names(self) -> (CommandKind, &'static str, &'static str) {
        match self {
            Self::Do => (CommandKind::Do, ce_type::DO_TASK, ""),
            Self::Undo => (CommandKind::Undo, ce_type::UNDO_TASK, ""),
            Self::Query => (CommandKind::Query, ce_type::QUERY_TASK, ""),
            Self::Cancel => (CommandKind::Do, ce_type::CANCEL_TASK, ".cancel"),
        }
    }
}

fn record(event: &WorkflowEvent, order: Order, command: &Command) -> Option<Outgoing> {
    match &command.via {
        Via::Agent => Some(to_agent(event, order, command)),
        Via::Nothing => None,
        Via::Event { id, key, headers, .. } => Some(as_event(event, command, id, key, headers)),
        Via::Child { version, depth } => Some(to_child(event, order, command, version, *depth)),
    }
}

fn to_agent(event: &WorkflowEvent, order: Order, command: &Command) -> Outgoing {
    let WorkflowEvent { workflow, run, saga, .. } = event;
    let (kind, ce_type, behind) = order.names();
    let subject = event.subject(kind, &command.task, command.n);
    let mut headers = cloud_event(event, format!("{subject}{behind}"), ce_type, subject);
    retime(&mut headers, command.time);
    headers.extend([
        Header::text(header::SAGA, saga.as_str()),
        Header::text(header::TASK_TYPE, command.task_type.as_str()),
        Header::text(header::RUN, run.to_string()),
        Header::text(header::IDEMPOTENCY_KEY, command.key.as_str()),
        Header::text(header::EPOCH, command.epoch.to_string()),
        Header::text(header::DEADLINE, command.deadline.to_string()),
    ]);
    let value = match order {
        Order::Cancel => Bytes::new(),
        Order::Do | Order::Undo | Order::Query => {
            headers.push(Header::text(header::CONTENT_TYPE, header::JSON));
            Bytes::copy_from_slice(command.value.as_str().as_bytes())
        }
    };
    Outgoing {
        to: Destination::Tasks(command.agent.clone()),
        partition: None,
        key: Some(workflow.into()),
        value: Payload::Bytes(value),
        headers,
    }
}

fn retime(headers: &mut [Header], time: Timestamp) {
    for header in headers {
        if &*header.name == header::TIME {
            *header = Header::text(header::TIME, time.to_string());
        }
    }
}

/// An event of the user's: nothing in it is ours but CloudEvents' headers. The same id in every attempt.
fn as_event(
    event: &WorkflowEvent,
    command: &Command,
    id: &str,
    key: &str,
    more: &[Pair],
) -> Outgoing {
    let subject = format!("{}/{}", event.workflow, command.task);
    let mut headers = cloud_event(event, id.to_owned(), &command.task_type, subject);
    retime(&mut headers, command.time);
    headers.push(Header::text(header::CONTENT_TYPE, header::JSON));
    headers.extend(more.iter().map(|pair| Header::text(&pair.name, pair.text.as_str())));
    Outgoing {
        to: Destination::Named(command.agent.as_str().into()),
        partition: None,
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Payload::Bytes(Bytes::copy_from_slice(command.value.as_str().as_bytes())),
        headers,
    }
}

/// A child's start, or the order to stop or undo it.
fn to_child(
    event: &WorkflowEvent,
    order: Order,
    command: &Command,
    version: &Version,
    depth: u32,
) -> Outgoing {
    let (kind, _, behind) = order.names();
    let subject = event.subject(kind, &command.task, command.n);
    let id = format!("{subject}{behind}");
    let mut headers = match order {
        Order::Do => {
            let child = command.agent.to_string();
            let mut headers = cloud_event(event, id, ce_type::START_WORKFLOW, child);
            headers.extend([
                Header::text(header::SAGA, command.task_type.as_str()),
                Header::text(header::VERSION, version.as_str()),
                Header::text(header::PARENT, subject),
                Header::text(header::DEPTH, depth.to_string()),
                Header::text(header::CONTENT_TYPE, header::JSON),
            ]);
            headers
        }
        Order::Undo | Order::Query | Order::Cancel => {
            cloud_event(event, id, ce_type::UNWIND_WORKFLOW, subject)
        }
    };
    retime(&mut headers, command.time);
    let value = match order {
        Order::Do => Bytes::copy_from_slice(command.value.as_str().as_bytes()),
        Order::Undo | Order::Query | Order::Cancel => Bytes::new(),
    };
    Outgoing {
        to: Destination::Inbox,
        partition: None,
        key: Some(Bytes::copy_from_slice(command.agent.as_str().as_bytes())),
        value: Payload::Bytes(value),
        headers,
    }
}

/// What a child answers to its parent.
#[allow(clippy::wildcard_enum_match_arm, reason = "few of many answer")]
fn replies(event: &WorkflowEvent) -> Vec<Outgoing> {
    match &event.body {
        Body::WorkflowCompleted { replies, .. }
        | Body::WorkflowFailed { replies, .. }
        | Body::WorkflowCancelled { replies, .. }
        | Body::Unwound { replies } => {
            replies.iter().map(|reply| told(&event.workflow, event.time, reply)).collect()
        }
        _ => Vec::new(),
    }
}

fn told(child: &WorkflowId, time: Timestamp, reply: &Reply) -> Outgoing {
    let parent = reply.command.parse::<Subject>().map(|command| command.workflow);
    let (of, value) = match &reply.said {
        Said::Completed { output } => (ce_type::TASK_COMPLETED, output.as_str().to_owned()),
        Said::NothingToUndo => (ce_type::NOTHING_TO_UNDO, String::new()),
        Said::Failed { error: TaskError { code, message }, effects } => {
            let effects = if *effects { "unknown" } else { "none" };
            let value = serde_json::json!({
                "code": code, "message": message, "retryable": false, "effects": effects
            });
            (ce_type::TASK_FAILED, value.to_string())
        }
    };
    let headers = vec![
        Header::text(header::SPECVERSION, "1.0"),
        Header::text(header::ID, format!("{}/{child}", reply.command)),
        Header::text(header::SOURCE, SOURCE),
        Header::text(header::TYPE, of),
        Header::text(header::SUBJECT, reply.command.as_str()),
        Header::text(header::TIME, time.to_string()),
        Header::text(header::CONTENT_TYPE, header::JSON),
    ];
    Outgoing {
        to: Destination::Inbox,
        partition: None,
        key: parent.ok().map(|parent| Bytes::copy_from_slice(parent.as_str().as_bytes())),
        value: Payload::Bytes(Bytes::from(value)),
        headers,
    }
}

/// An event that nothing has waited for, as a dead letter of the inbox.
fn unmatched(
    workflow: &WorkflowId,
    kept: &Kept,
    class: Class,
    why: String,
    time: Timestamp,
) -> Outgoing {
    let mut headers = vec![
        Header::text(header::SPECVERSION, "1.0"),
        Header::text(header::ID, kept.record.as_str()),
        Header::text(header::SOURCE, SOURCE),
        Header::text(header::TIME, kept.time.to_string()),
        Header::text(header::CONTENT_TYPE, header::JSON),
    ];
    if kept.is_signal {
        headers.extend([
            Header::text(header::TYPE, ce_type::SIGNAL),
            Header::text(header::SIGNAL, kept.name.as_str()),
        ]);
    } else {
        headers.extend([
            Header::text(header::TYPE, ce_type::DOMAIN_EVENT),
            Header::text(header::EVENT, kept.name.as_str()),
            Header::text(header::EVENT_RECORD, kept.record.as_str()),
            Header::text(header::EVENT_TIME, kept.time.to_string()),
            Header::text(header::EVENT_HEADERS, kept.headers.as_str()),
        ]);
        headers.extend(kept.key.as_deref().map(|key| Header::text(header::EVENT_KEY, key)));
    }
    let sent = Outgoing {
        to: Destination::Inbox,
        partition: None,
        key: Some(workflow.into()),
        value: Payload::Bytes(Bytes::copy_from_slice(kept.value.as_str().as_bytes())),
        headers,
    };
    let what = if kept.is_signal { "the signal" } else { "the event" };
    let refusal = Refusal::new(class, "unmatched", format!("{what} `{}`: {why}", kept.name));
    dead_command(sent, &refusal.about(workflow), time)
}

/// Ordered by nobody: what became known ended a pause.
pub(crate) fn by_itself() -> By {
    By { actor: "pavane".to_owned(), reason: "the outcome became known".to_owned() }
}
