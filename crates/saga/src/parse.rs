//! From an inbox record to what it says: the table of docs/reference/records.md.

mod event;

use events::{
    By, Class, CommandKind, Json, Record, Refusal, SagaName, Subject, TaskId, Version, WorkflowId,
    ce_type, header, nesting,
};
use serde_json::Value;

use crate::input::{Answer, Deploy, Effects, Failure, Input, Known, Outcome, Start, Verb};
use crate::limits::{INBOX_BYTES_MAX, JSON_DEPTH_MAX, WORD_BYTES_MAX, WORKFLOW_ID_BYTES_MAX, cut};

/// Decodes an inbox record. Only `ce_type` is required of its headers.
///
/// # Errors
/// The refusal, where the record can never work.
pub fn parse(record: &Record) -> Result<Input, Refusal> {
    let Some(ce_type) = word(record, header::TYPE)? else {
        return Err(invalid("no_type", "the record has no header ce_type, which says what it is"));
    };
    let bytes = record.value.as_ref().map_or(0, |value| value.len());
    if bytes > INBOX_BYTES_MAX {
        let message =
            format!("a value of {bytes} bytes exceeds {INBOX_BYTES_MAX}; send a reference");
        return Err(Refusal::new(Class::TooLarge, "value", message));
    }
    match ce_type {
        ce_type::START_WORKFLOW => start(record),
        ce_type::DEPLOY_SAGA => deploy(record),
        ce_type::TASK_COMPLETED => answer(record, |value| Ok(Answer::Completed(json(&value)))),
        ce_type::TASK_FAILED => answer(record, failed),
        ce_type::NOTHING_TO_UNDO => answer(record, |_| Ok(Answer::NothingToUndo)),
        ce_type::TASK_STATUS => answer(record, status),
        ce_type::TASK_PROGRESS => answer(record, progress),
        ce_type::CANCEL_WORKFLOW => operator(record, |_, _| Ok(Verb::Cancel)),
        ce_type::CONTINUE_WORKFLOW => operator(record, |_, _| Ok(Verb::Continue)),
        ce_type::RETRY_TASK => operator(record, |task, _| Ok(Verb::Retry(named(task)?))),
        ce_type::SKIP_TASK => operator(record, |task, value| {
            Ok(Verb::Skip { task: named(task)?, output: value.get("output").map(Json::from_value) })
        }),
        ce_type::RESOLVE_TASK => operator(record, resolve),
        ce_type::DOMAIN_EVENT => event::seen(record),
        ce_type::SIGNAL => event::signal(record),
        ce_type::UNWIND_WORKFLOW => event::unwind(record),
        other => Err(invalid(
            "unknown_type",
            format!("`{}` is not a type that this build takes at the inbox", cut(other)),
        )),
    }
}

fn invalid(code: &str, message: impl Into<String>) -> Refusal {
    Refusal::new(Class::Invalid, code, message)
}

fn json(value: &Value) -> Json {
    Json::from_value(value)
}

/// A header as text, as long as a word.
fn word<'a>(record: &'a Record, name: &str) -> Result<Option<&'a str>, Refusal> {
    text(record, name, WORD_BYTES_MAX)
}

/// A header as text, bounded.
fn text<'a>(record: &'a Record, name: &str, bytes_max: usize) -> Result<Option<&'a str>, Refusal> {
    let Some(bytes) = record.header(name) else { return Ok(None) };
    if bytes.len() > bytes_max {
        let message = format!("the header {name} exceeds {bytes_max} bytes");
        return Err(Refusal::new(Class::TooLarge, "header", message));
    }
    std::str::from_utf8(bytes).map(Some).map_err(|error| {
        Refusal::new(Class::Undecodable, "utf8", format!("the header {name} is not UTF-8: {error}"))
    })
}

/// The value as JSON; one that is null or empty is `null`.
fn value(record: &Record) -> Result<Value, Refusal> {
    match record.value.as_deref() {
        None | Some([]) => Ok(Value::Null),
        Some(bytes) if nesting(bytes) > JSON_DEPTH_MAX => {
            let message = format!("the value is nested more than {JSON_DEPTH_MAX} deep");
            Err(invalid("too_deep", message))
        }
        Some(bytes) => serde_json::from_slice(bytes).map_err(|error| {
            Refusal::new(Class::Undecodable, "json", format!("the value is not JSON: {error}"))
        }),
    }
}

fn key(record: &Record) -> Result<Option<WorkflowId>, Refusal> {
    let Some(bytes) = record.key.as_deref() else { return Ok(None) };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Refusal::new(Class::Undecodable, "utf8", format!("the key is not UTF-8: {error}"))
    })?;
    workflow_id(text).map(Some)
}

fn workflow_id(text: &str) -> Result<WorkflowId, Refusal> {
    if text.len() > WORKFLOW_ID_BYTES_MAX {
        let message = format!("a workflow id of {} bytes exceeds the bound", text.len());
        return Err(invalid("bad_workflow_id", message));
    }
    let id = WorkflowId::from(text);
    if id.parts().is_none() {
        let message = format!("`{text}` is no workflow id, which reads <saga>:<business key>");
        return Err(invalid("bad_workflow_id", message));
    }
    Ok(id)
}

/// The workflow that a record is for: its key, else its subject.
fn target(record: &Record, what: &str) -> Result<WorkflowId, Refusal> {
    match (key(record)?, word(record, header::SUBJECT)?) {
        (Some(key), _) => Ok(key),
        (None, Some(subject)) => workflow_id(subject),
        (None, None) => {
            Err(invalid("no_key", format!("{what} needs the workflow's id as the record's key")))
        }
    }
}

fn ce_id(record: &Record) -> Result<String, Refusal> {
    Ok(word(record, header::ID)?.map_or_else(|| record.place.to_string(), str::to_owned))
}

fn start(record: &Record) -> Result<Input, Refusal> {
    let workflow = target(record, "a start")?;
    let in_id = workflow.parts().map(|(saga, _)| SagaName::from(saga));
    let saga = word(record, header::SAGA)?.map(SagaName::from).or(in_id).ok_or_else(|| {
        invalid("no_saga", "a start needs the header pavane_saga").about(&workflow)
    })?;
    let inputs = match record.value.as_deref() {
        None | Some([]) => Json::from_value(&Value::Object(serde_json::Map::new())),
        Some(_) => json(&value(record).map_err(|refusal| refusal.about(&workflow))?),
    };
    Ok(Input::Start(Start {
        version: word(record, header::VERSION)?.map(Version::from),
        start_id: ce_id(record)?,
        offset: record.place.offset,
        trace: word(record, header::TRACEPARENT)?.map(str::to_owned),
        parent: event::parent(record, &workflow)?,
        workflow,
        saga,
        inputs,
    }))
}

fn deploy(record: &Record) -> Result<Input, Refusal> {
    let required = |name: &str| {
        word(record, name)?
            .ok_or_else(|| invalid("bad_deploy", format!("a deployment needs the header {name}")))
    };
    let revision = required(header::REVISION)?;
    let text =
        std::str::from_utf8(record.value.as_deref().unwrap_or_default()).map_err(|error| {
            let message = format!("the definition is not UTF-8: {error}");
            Refusal::new(Class::Undecodable, "utf8", message)
        })?;
    Ok(Input::Deploy(Deploy {
        saga: SagaName::from(required(header::SAGA)?),
        version: Version::from(required(header::VERSION)?),
        revision: revision.parse().map_err(|_| {
            invalid("bad_deploy", format!("the revision `{}` is no number", cut(revision)))
        })?,
        text: text.to_owned(),
        ce_id: ce_id(record)?,
    }))
}

fn answer(
    record: &Record,
    read: impl FnOnce(Value) -> Result<Answer, Refusal>,
) -> Result<Input, Refusal> {
    let text = record
        .header(header::SUBJECT)
        .ok_or_else(|| invalid("no_subject", "an answer needs the command's ce_subject, copied"))?;
    // Longer than a word: a workflow's id and a task's.
    let text = std::str::from_utf8(text).map_err(|error| {
        let message = format!("the header ce_subject is not UTF-8: {error}");
        Refusal::new(Class::Undecodable, "utf8", message)
    })?;
    let subject: Subject = cut(text)
        .parse()
        .map_err(|error: events::SubjectError| invalid("bad_subject", error.to_string()))?;
    workflow_id(subject.workflow.as_str())?;
    let about = |refusal: Refusal| refusal.about(&subject.workflow);
    if let Some(key) = key(record)?
        && key != subject.workflow
    {
        let message =
            format!("the key is `{key}`, but the subject is about `{}`", subject.workflow);
        return Err(about(invalid("key_mismatch", message)));
    }
    let answer = read(value(record).map_err(about)?).map_err(about)?;
    let fits = match (&answer, subject.kind) {
        (Answer::Completed(_) | Answer::Failed(_), CommandKind::Do | CommandKind::Undo)
        | (Answer::NothingToUndo, CommandKind::Undo)
        | (Answer::Status { .. }, CommandKind::Query)
        | (Answer::Progress { .. }, _) => true,
        (Answer::Completed(_) | Answer::Failed(_), CommandKind::Query)
        | (Answer::NothingToUndo, CommandKind::Do | CommandKind::Query)
        | (Answer::Status { .. }, CommandKind::Do | CommandKind::Undo) => false,
    };
    if !fits {
        let message = format!("`{subject}` is not answered so; see the table of commands");
        return Err(about(invalid("wrong_answer", message)));
    }
    Ok(Input::Answer { subject, answer })
}

/// A field of an answer, if it is there and not null, read by `as_type`.
fn field<'a, T>(
    value: &'a Value,
    name: &str,
    as_type: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    match value.get(name).filter(|field| !field.is_null()) {
        None => Ok(None),
        Some(field) => as_type(field)
            .map(Some)
            .ok_or_else(|| invalid("bad_answer", format!("`{name}` is of the wrong type"))),
    }
}

/// An answer's value must be an object; an absent one has no fields.
fn fields(value: Value) -> Result<Value, Refusal> {
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(invalid("bad_answer", "the value must be an object"))
        }
    }
}

fn failed(value: Value) -> Result<Answer, Refusal> {
    let value = fields(value)?;
    let code = field(&value, "code", Value::as_str)?.unwrap_or("failed");
    if code.is_empty() || code.len() > WORD_BYTES_MAX {
        return Err(invalid("bad_answer", "`code` must be a short text"));
    }
    let effects = match field(&value, "effects", Value::as_str)? {
        None | Some("none") => Effects::None,
        Some("unknown") => Effects::Unknown,
        Some(other) => {
            let message = format!("`effects` is `none` or `unknown`, found `{}`", cut(other));
            return Err(invalid("bad_answer", message));
        }
    };
    Ok(Answer::Failed(Failure {
        code: code.to_owned(),
        message: cut(field(&value, "message", Value::as_str)?.unwrap_or_default()),
        retryable: field(&value, "retryable", Value::as_bool)?.unwrap_or(true),
        effects,
    }))
}

fn status(value: Value) -> Result<Answer, Refusal> {
    let value = fields(value)?;
    let status = match field(&value, "status", Value::as_str)? {
        Some("done") => Known::Done,
        Some("not_done") => Known::NotDone,
        Some("unknown") => Known::Unknown,
        Some(_) | None => {
            return Err(invalid("bad_answer", "`status` is `done`, `not_done` or `unknown`"));
        }
    };
    Ok(Answer::Status { status, output: json(value.get("output").unwrap_or(&Value::Null)) })
}

fn progress(value: Value) -> Result<Answer, Refusal> {
    let value = fields(value)?;
    let percent = field(&value, "percent", Value::as_f64)?;
    if percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
        return Err(invalid("bad_answer", "`percent` is a number from 0 to 100"));
    }
    let note = field(&value, "note", Value::as_str)?.map(cut);
    Ok(Answer::Progress { percent, note })
}

fn operator(
    record: &Record,
    verb: impl FnOnce(Option<&str>, &Value) -> Result<Verb, Refusal>,
) -> Result<Input, Refusal> {
    let subject = word(record, header::SUBJECT)?;
    let of_workflow = matches!(
        word(record, header::TYPE)?,
        Some(ce_type::CANCEL_WORKFLOW | ce_type::CONTINUE_WORKFLOW)
    );
    let (workflow, task) = match (key(record)?, subject) {
        (Some(key), None) => (key, None),
        (Some(key), Some(subject)) => match subject.strip_prefix(key.as_str()) {
            Some("") => (key, None),
            Some(task) if task.starts_with('/') => (key, task.get(1..)),
            Some(_) | None => {
                let message = format!("the key is `{key}`, but the subject is `{subject}`");
                return Err(invalid("key_mismatch", message).about(&key));
            }
        },
        (None, Some(subject)) if of_workflow => (workflow_id(subject)?, None),
        (None, Some(subject)) => match subject.rsplit_once('/') {
            Some((workflow, task)) => (workflow_id(workflow)?, Some(task)),
            None => (workflow_id(subject)?, None),
        },
        (None, None) => {
            return Err(invalid(
                "no_key",
                "an operator's order needs the workflow's id as its key",
            ));
        }
    };
    let about = |refusal: Refusal| refusal.about(&workflow);
    let value = fields(value(record).map_err(about)?).map_err(about)?;
    let by = By {
        actor: word(record, header::ACTOR)?.unwrap_or("unknown").to_owned(),
        reason: cut(field(&value, "reason", Value::as_str).map_err(about)?.unwrap_or_default()),
    };
    let verb = verb(task, &value).map_err(about)?;
    Ok(Input::Operator { workflow, verb, by })
}

fn named(task: Option<&str>) -> Result<TaskId, Refusal> {
    task.filter(|task| !task.is_empty()).map(TaskId::from).ok_or_else(|| {
        invalid("no_task", "the order is about a task: its subject reads <workflow>/<task>")
    })
}

fn resolve(task: Option<&str>, value: &Value) -> Result<Verb, Refusal> {
    let outcome = match field(value, "outcome", Value::as_str)? {
        Some("done") => Outcome::Done,
        Some("not_done") => Outcome::NotDone,
        Some("undone") => Outcome::Undone,
        Some(_) | None => {
            let message = "`outcome` is `done`, `not_done` or, for an undo, `undone`";
            return Err(invalid("bad_outcome", message));
        }
    };
    let output = value.get("output").map(Json::from_value);
    Ok(Verb::Resolve { task: named(task)?, outcome, output })
}
