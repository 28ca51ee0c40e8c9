//! Events on users' topics, signals, and what a parent wants of its child.

use events::{Class, CommandKind, Json, Record, Refusal, Subject, Timestamp, WorkflowId, header};
use serde_json::Value;

use super::{ce_id, invalid, json, target, text, value, word};
use crate::input::{DomainEvent, Input, Parent, Signal};
use crate::limits::{COMMAND_SUBJECT_BYTES_MAX, EVENT_HEADERS_BYTES_MAX, EVENT_KEY_BYTES_MAX};

/// What intake saw on a user's topic.
pub(super) fn seen(record: &Record) -> Result<Input, Refusal> {
    let workflow = target(record, "an event")?;
    let event = domain_event(record).map_err(|refusal| refusal.about(&workflow))?;
    Ok(Input::Seen { workflow, event })
}

fn domain_event(record: &Record) -> Result<DomainEvent, Refusal> {
    let required = |name: &str| {
        word(record, name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| invalid("bad_event", format!("an event needs the header {name}")))
    };
    let name = required(header::EVENT)?;
    let topic = match name.split_once('/') {
        Some((topic, event)) if !topic.is_empty() && !event.is_empty() => topic,
        Some(_) | None => {
            let message = format!("the header pavane_event reads <topic>/<Name>, found `{name}`");
            return Err(invalid("bad_event", message));
        }
    };
    let place = required(header::EVENT_RECORD)?;
    if place_of(place) != Some(topic) {
        let message = format!(
            "the header pavane_record reads <topic>/<partition>/<offset>, with the topic of \
             `{name}`; found `{place}`"
        );
        return Err(invalid("bad_event", message));
    }
    let time = match word(record, header::EVENT_TIME)? {
        None => record.timestamp,
        Some(text) => text.parse::<Timestamp>().map_err(|_| {
            let message = format!("the header pavane_event_time is RFC 3339, found `{text}`");
            invalid("bad_event", message)
        })?,
    };
    Ok(DomainEvent {
        name: name.to_owned(),
        record: place.to_owned(),
        value: json(&value(record)?),
        key: text(record, header::EVENT_KEY, EVENT_KEY_BYTES_MAX)?.map(str::to_owned),
        headers: headers(record)?,
        time,
    })
}

/// The topic of `topic/partition/offset`.
fn place_of(text: &str) -> Option<&str> {
    let (rest, offset) = text.rsplit_once('/')?;
    let (topic, partition) = rest.rsplit_once('/')?;
    let counts = |digits: &str| digits.parse::<i64>().is_ok_and(|number| number >= 0);
    (counts(offset) && counts(partition)).then_some(topic)
}

fn headers(record: &Record) -> Result<Json, Refusal> {
    let Some(text) = text(record, header::EVENT_HEADERS, EVENT_HEADERS_BYTES_MAX)? else {
        return Ok(Json::from_value(&Value::Object(serde_json::Map::new())));
    };
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) if map.values().all(Value::is_string) => {
            Ok(Json::from_value(&Value::Object(map)))
        }
        Ok(_) | Err(_) => {
            Err(invalid("bad_event", "the header pavane_event_headers is a JSON map of text"))
        }
    }
}

/// What a person or a program tells a workflow.
pub(super) fn signal(record: &Record) -> Result<Input, Refusal> {
    let workflow = target(record, "a signal")?;
    let read = || {
        let name = word(record, header::SIGNAL)?
            .filter(|name| !name.is_empty())
            .ok_or_else(|| invalid("bad_signal", "a signal needs its name as pavane_signal"))?;
        Ok(Signal { name: name.to_owned(), data: json(&value(record)?), id: ce_id(record)? })
    };
    let signal = read().map_err(|refusal: Refusal| refusal.about(&workflow))?;
    Ok(Input::Signal { workflow, signal })
}

/// A parent wants its child undone, or stopped and undone. The subject is the parent's command, so that the
/// key alone says which child.
pub(super) fn unwind(record: &Record) -> Result<Input, Refusal> {
    let Some(workflow) = super::key(record)? else {
        return Err(invalid("no_key", "an unwinding needs the child's id as the record's key"));
    };
    let about = |refusal: Refusal| refusal.about(&workflow);
    let command = command(record, header::SUBJECT, "bad_unwind").map_err(about)?;
    let command = command.ok_or_else(|| {
        about(invalid("no_subject", "an unwinding needs the parent's command as ce_subject"))
    })?;
    match command.kind {
        CommandKind::Do | CommandKind::Undo => Ok(Input::Unwind { workflow, command }),
        CommandKind::Query => {
            Err(about(invalid("bad_unwind", format!("`{command}` is no do and no undo"))))
        }
    }
}

/// Who starts a workflow as its child.
pub(super) fn parent(record: &Record, child: &WorkflowId) -> Result<Option<Parent>, Refusal> {
    let refused = |message: String| invalid("bad_parent", message).about(child);
    let depth = word(record, header::DEPTH)?;
    let command = command(record, header::PARENT, "bad_parent").map_err(|it| it.about(child))?;
    let (command, depth) = match (command, depth) {
        (None, None) => return Ok(None),
        (Some(command), Some(depth)) => (command, depth),
        (None, Some(_)) | (Some(_), None) => {
            let message = "pavane_parent and pavane_depth stand together, or neither does";
            return Err(refused(message.to_owned()));
        }
    };
    if command.kind != CommandKind::Do {
        return Err(refused(format!("`{command}` is not the subject of a do")));
    }
    match depth.parse::<u32>() {
        Ok(depth) if depth > 0 => Ok(Some(Parent { command, depth })),
        Ok(_) | Err(_) => Err(refused(format!("pavane_depth counts from 1, found `{depth}`"))),
    }
}

/// A header that is the subject of a command: longer than a word, for it names a workflow and a task.
fn command(record: &Record, name: &str, code: &str) -> Result<Option<Subject>, Refusal> {
    let Some(text) = text(record, name, COMMAND_SUBJECT_BYTES_MAX)? else { return Ok(None) };
    let subject: Subject = text
        .parse()
        .map_err(|error: events::SubjectError| invalid(code, format!("{name}: {error}")))?;
    super::workflow_id(subject.workflow.as_str())
        .map_err(|refusal| Refusal::new(Class::Invalid, code, refusal.message))?;
    Ok(Some(subject))
}
