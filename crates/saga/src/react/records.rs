//! What goes out beside public events: commands, events of the user's, what workflows tell each other.

use bytes::Bytes;
use events::{
    Class, CommandKind, Destination, Header, HeaderWriter, Outgoing, Payload, Refusal, Subject,
    Timestamp, Version, WorkflowId, ce_type, dead_command, header,
};

use super::SOURCE;
use crate::event::{Body, Reply, Said, WorkflowEvent};
use crate::phase::{Command, Pair, TaskError, Via};
use crate::workflow::Kept;

/// What goes out to whoever does the work.
#[allow(clippy::wildcard_enum_match_arm, reason = "few of many have a command")]
pub(super) fn commands(event: &WorkflowEvent) -> Option<Outgoing> {
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
    let mut headers = cloud_event(event, command.time, &[&subject, behind], ce_type, &[&subject]);
    headers.text(header::SAGA, &[saga.as_str()]);
    headers.text(header::TASK_TYPE, &[&command.task_type]);
    headers.shown(header::RUN, run);
    headers.text(header::IDEMPOTENCY_KEY, &[&command.key]);
    headers.shown(header::EPOCH, command.epoch);
    headers.shown(header::DEADLINE, command.deadline);
    let value = match order {
        Order::Cancel => Bytes::new(),
        Order::Do | Order::Undo | Order::Query => {
            headers.text(header::CONTENT_TYPE, &[header::JSON]);
            Bytes::copy_from_slice(command.value.as_str().as_bytes())
        }
    };
    Outgoing {
        to: Destination::Tasks(command.agent.clone()),
        partition: None,
        key: Some(workflow.into()),
        value: Payload::Bytes(value),
        headers: headers.finish(),
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
    let subject = [event.workflow.as_str(), "/", command.task.as_str()];
    let mut headers = cloud_event(event, command.time, &[id], &command.task_type, &subject);
    headers.text(header::CONTENT_TYPE, &[header::JSON]);
    for pair in more {
        headers.text(pair.name.clone(), &[&pair.text]);
    }
    Outgoing {
        to: Destination::Named(command.agent.as_str().into()),
        partition: None,
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Payload::Bytes(Bytes::copy_from_slice(command.value.as_str().as_bytes())),
        headers: headers.finish(),
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
    let (id, time) = ([subject.as_str(), behind], command.time);
    let headers = match order {
        Order::Do => {
            let child = [command.agent.as_str()];
            let mut headers = cloud_event(event, time, &id, ce_type::START_WORKFLOW, &child);
            headers.text(header::SAGA, &[&command.task_type]);
            headers.text(header::VERSION, &[version.as_str()]);
            headers.text(header::PARENT, &[&subject]);
            headers.shown(header::DEPTH, depth);
            headers.text(header::CONTENT_TYPE, &[header::JSON]);
            headers
        }
        Order::Undo | Order::Query | Order::Cancel => {
            cloud_event(event, time, &id, ce_type::UNWIND_WORKFLOW, &[&subject])
        }
    };
    let value = match order {
        Order::Do => Bytes::copy_from_slice(command.value.as_str().as_bytes()),
        Order::Undo | Order::Query | Order::Cancel => Bytes::new(),
    };
    Outgoing {
        to: Destination::Inbox,
        partition: None,
        key: Some(Bytes::copy_from_slice(command.agent.as_str().as_bytes())),
        value: Payload::Bytes(value),
        headers: headers.finish(),
    }
}

/// What a child answers to its parent.
#[allow(clippy::wildcard_enum_match_arm, reason = "few of many answer")]
pub(super) fn replies(event: &WorkflowEvent) -> Vec<Outgoing> {
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

pub(super) fn told(child: &WorkflowId, time: Timestamp, reply: &Reply) -> Outgoing {
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
pub(super) fn unmatched(
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

/// CloudEvents' headers, with room for ours. `id` and `subject` in pieces.
pub(super) fn cloud_event(
    event: &WorkflowEvent,
    time: Timestamp,
    id: &[&str],
    of: &str,
    subject: &[&str],
) -> HeaderWriter {
    let mut headers = HeaderWriter::with_capacity(16, 512);
    headers.text(header::SPECVERSION, &["1.0"]);
    headers.text(header::ID, id);
    headers.text(header::SOURCE, &[SOURCE]);
    headers.text(header::TYPE, &[of]);
    headers.text(header::SUBJECT, subject);
    headers.shown(header::TIME, time);
    if let Some(trace) = event.trace.as_deref() {
        headers.text(header::TRACEPARENT, &[trace]);
    }
    headers
}
