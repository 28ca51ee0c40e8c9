//! What goes out beside public events: commands, events of the user's, what workflows tell each other.

use bytes::Bytes;
use events::{
    Class, CommandKind, Destination, Header, Json, Outgoing, Payload, Refusal, Subject, Texts,
    Timestamp, Version, WorkflowId, ce_type, dead_command, header,
};

use super::SOURCE;
use crate::event::{Body, Reply, Said, WorkflowEvent};
use crate::phase::{Command, Pair, TaskError, Via};
use crate::workflow::Kept;

/// What goes out to whoever does the work.
#[allow(clippy::wildcard_enum_match_arm, reason = "few of many have a command")]
pub(super) fn commands(event: &WorkflowEvent, texts: &mut Texts) -> Option<Outgoing> {
    match &event.body {
        Body::TaskScheduled { command, .. } => record(event, texts, Order::Do, command),
        Body::UndoScheduled { command, .. } => record(event, texts, Order::Undo, command),
        Body::QueryScheduled { command, .. } => record(event, texts, Order::Query, command),
        Body::StopOrdered { stop, .. } | Body::TaskCancelled { stop, .. } => {
            stop.as_ref().and_then(|stop| record(event, texts, Order::Cancel, stop))
        }
        Body::UndoFailed { dead, error, .. } => dead.as_ref().and_then(|command| {
            let message = format!(
                "the undo of `{}` has failed for good ({}): {}",
                command.task, error.code, error.message
            );
            let refusal = Refusal::new(Class::TaskFailed, &error.code, message);
            let sent = record(event, texts, Order::Undo, command)?;
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

fn record(
    event: &WorkflowEvent,
    texts: &mut Texts,
    order: Order,
    command: &Command,
) -> Option<Outgoing> {
    match &command.via {
        Via::Agent => Some(to_agent(event, texts, order, command)),
        Via::Nothing => None,
        Via::Event { id, key, headers, .. } => {
            Some(as_event(event, texts, command, id, key, headers))
        }
        Via::Child { version, depth } => {
            Some(to_child(event, texts, order, command, version, *depth))
        }
    }
}

/// Values up to this size are copied beside the headers; a larger one has a buffer of its own.
const BESIDE_BYTES_MAX: usize = 512;

fn value(texts: &mut Texts, json: &Json) -> Bytes {
    match json.as_str() {
        small if small.len() <= BESIDE_BYTES_MAX => texts.text(&[small]),
        large => Bytes::copy_from_slice(large.as_bytes()),
    }
}

/// A command's id and its subject, which differ for a cancel alone.
fn id_and_subject(
    event: &WorkflowEvent,
    texts: &mut Texts,
    (kind, behind): (CommandKind, &str),
    command: &Command,
) -> (Bytes, Bytes) {
    let subject = event.subject(kind, &command.task, command.n);
    match behind {
        "" => {
            let subject = texts.subject(&subject);
            (subject.clone(), subject)
        }
        behind => {
            let id = texts.text(&[&subject.text(), behind]);
            (id.clone(), id.slice(..id.len() - behind.len()))
        }
    }
}

fn to_agent(event: &WorkflowEvent, texts: &mut Texts, order: Order, command: &Command) -> Outgoing {
    let WorkflowEvent { workflow, run, saga, .. } = event;
    let (kind, ce_type, behind) = order.names();
    let (id, subject) = id_and_subject(event, texts, (kind, behind), command);
    let key = subject.slice(..workflow.as_str().len());
    let of = Bytes::from_static(ce_type.as_bytes());
    let mut headers = cloud_event(event, texts, command.time, id, of, subject);
    headers.extend([
        Header::of(header::SAGA, texts.text(&[saga.as_str()])),
        Header::of(header::TASK_TYPE, texts.text(&[&command.task_type])),
        Header::of(header::RUN, texts.run(*run)),
        Header::of(header::IDEMPOTENCY_KEY, texts.text(&[&command.key])),
        Header::of(header::EPOCH, texts.number(u64::from(command.epoch))),
        Header::of(header::DEADLINE, texts.time(command.deadline)),
    ]);
    let value = match order {
        Order::Cancel => Bytes::new(),
        Order::Do | Order::Undo | Order::Query => {
            headers.push(Header::fixed(header::CONTENT_TYPE, header::JSON));
            value(texts, &command.value)
        }
    };
    Outgoing {
        to: Destination::Tasks(command.agent.clone()),
        partition: None,
        key: Some(key),
        value: Payload::Bytes(value),
        headers,
    }
}

/// An event of the user's: nothing in it is ours but CloudEvents' headers. The same id in every attempt.
fn as_event(
    event: &WorkflowEvent,
    texts: &mut Texts,
    command: &Command,
    id: &str,
    key: &str,
    more: &[Pair],
) -> Outgoing {
    let (id, of) = (texts.text(&[id]), texts.text(&[&command.task_type]));
    let subject = texts.text(&[event.workflow.as_str(), "/", command.task.as_str()]);
    let mut headers = cloud_event(event, texts, command.time, id, of, subject);
    headers.push(Header::fixed(header::CONTENT_TYPE, header::JSON));
    for pair in more {
        headers.push(Header::of(pair.name.clone(), texts.text(&[&pair.text])));
    }
    Outgoing {
        to: Destination::Named(command.agent.as_str().into()),
        partition: None,
        key: Some(texts.text(&[key])),
        value: Payload::Bytes(value(texts, &command.value)),
        headers,
    }
}

/// A child's start, or the order to stop or undo it.
fn to_child(
    event: &WorkflowEvent,
    texts: &mut Texts,
    order: Order,
    command: &Command,
    version: &Version,
    depth: u32,
) -> Outgoing {
    let (kind, _, behind) = order.names();
    let (id, parent) = id_and_subject(event, texts, (kind, behind), command);
    let child = texts.text(&[command.agent.as_str()]);
    let (of, subject) = match order {
        Order::Do => (ce_type::START_WORKFLOW, child.clone()),
        Order::Undo | Order::Query | Order::Cancel => (ce_type::UNWIND_WORKFLOW, parent.clone()),
    };
    let of = Bytes::from_static(of.as_bytes());
    let mut headers = cloud_event(event, texts, command.time, id, of, subject);
    let value = match order {
        Order::Do => {
            headers.extend([
                Header::of(header::SAGA, texts.text(&[&command.task_type])),
                Header::of(header::VERSION, texts.text(&[version.as_str()])),
                Header::of(header::PARENT, parent),
                Header::of(header::DEPTH, texts.number(u64::from(depth))),
                Header::fixed(header::CONTENT_TYPE, header::JSON),
            ]);
            value(texts, &command.value)
        }
        Order::Undo | Order::Query | Order::Cancel => Bytes::new(),
    };
    Outgoing {
        to: Destination::Inbox,
        partition: None,
        key: Some(child),
        value: Payload::Bytes(value),
        headers,
    }
}

/// What a child answers to its parent.
#[allow(clippy::wildcard_enum_match_arm, reason = "few of many answer")]
pub(super) fn replies(event: &WorkflowEvent, records: &mut Vec<Outgoing>) {
    match &event.body {
        Body::WorkflowCompleted { replies, .. }
        | Body::WorkflowFailed { replies, .. }
        | Body::WorkflowCancelled { replies, .. }
        | Body::Unwound { replies } => {
            records.extend(replies.iter().map(|reply| told(&event.workflow, event.time, reply)));
        }
        _ => {}
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
        Said::Blocked { error: TaskError { code, message }, undo } => {
            let message = format!("the undo {undo} has failed: {message}");
            let value = serde_json::json!({
                "code": code, "message": message, "retryable": false, "effects": "unknown"
            });
            (ce_type::TASK_FAILED, value.to_string())
        }
    };
    // What comes of the same command later has another id.
    let id = match &reply.said {
        Said::Completed { .. } | Said::NothingToUndo | Said::Failed { .. } => child.to_string(),
        Said::Blocked { undo, .. } => undo.clone(),
    };
    let headers = vec![
        Header::text(header::SPECVERSION, "1.0"),
        Header::text(header::ID, format!("{}/{id}", reply.command)),
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

/// CloudEvents' headers, with room for ours.
pub(super) fn cloud_event(
    event: &WorkflowEvent,
    texts: &mut Texts,
    time: Timestamp,
    id: Bytes,
    of: Bytes,
    subject: Bytes,
) -> Vec<Header> {
    let mut headers = Vec::with_capacity(HEADERS);
    headers.extend([
        Header::fixed(header::SPECVERSION, "1.0"),
        Header::of(header::ID, id),
        Header::fixed(header::SOURCE, SOURCE),
        Header::of(header::TYPE, of),
        Header::of(header::SUBJECT, subject),
        Header::of(header::TIME, texts.time(time)),
    ]);
    if let Some(trace) = event.trace.as_deref() {
        headers.push(Header::of(header::TRACEPARENT, texts.text(&[trace])));
    }
    headers
}

/// As many as a record of ours has.
const HEADERS: usize = 14;
