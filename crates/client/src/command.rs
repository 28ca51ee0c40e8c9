//! A command, as a participant reads it.

use std::collections::BTreeMap;

use events::{Class, CommandKind, Record, Refusal, SagaName, Subject, Timestamp, ce_type, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::answer::Failure;

/// What a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Do the task.
    Do,
    /// Undo it.
    Undo,
    /// Was it done?
    Query,
    /// Stop the do if you still can.
    Cancel,
}

impl Asked {
    /// One word: `do`, `undo`, `query`, `cancel`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Do => "do",
            Self::Undo => "undo",
            Self::Query => "query",
            Self::Cancel => "cancel",
        }
    }
}

/// A command from `tasks.<agent>`.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What is asked.
    pub asked: Asked,
    /// Which workflow, task, run and attempt.
    pub subject: Subject,
    /// The subject as it was written; an answer copies it.
    pub subject_text: String,
    /// The saga.
    pub saga: SagaName,
    /// The operation: the task's `type`, else its id; of an undo, the undo's.
    pub operation: String,
    /// The same in every attempt, and in the undo, query and cancel that are about it.
    pub idempotency_key: String,
    /// The workflow's compensation epoch; counts per run.
    pub epoch: u64,
    /// A do whose record was appended later than this is refused.
    pub deadline: Option<Timestamp>,
    /// When the record was appended.
    pub appended_at: Timestamp,
    /// W3C Trace Context; an answer copies it.
    pub traceparent: Option<String>,
    /// The inputs; of an undo or a query `{"inputs", "output", "status", "key"}` of the do, or the
    /// inputs that the undo declares.
    pub value: Value,
}

/// Bytes on a tasks topic that are no command.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// The command's subject as it was written, where that much could be read: then the coordinator
    /// can be told.
    pub subject: Option<String>,
    /// Why.
    pub refusal: Refusal,
}

impl Command {
    /// Reads a record of a tasks topic.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_record(record: &Record) -> Result<Self, Box<Unreadable>> {
        let empty = record.value.as_ref().is_none_or(|value| value.is_empty());
        let value = if empty {
            Ok(Value::Null)
        } else {
            serde_json::from_slice(record.value.as_deref().unwrap_or_default())
        };
        Self::read(|name| record.header_text(name), value, record.timestamp)
    }

    /// Reads a command as the gateway hands it out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_parts(
        headers: &BTreeMap<String, String>,
        value: Value,
        appended_at: Timestamp,
    ) -> Result<Self, Box<Unreadable>> {
        Self::read(|name| headers.get(name).map(String::as_str), Ok(value), appended_at)
    }

    fn read<'a>(
        header: impl Fn(&str) -> Option<&'a str>,
        value: Result<Value, serde_json::Error>,
        appended_at: Timestamp,
    ) -> Result<Self, Box<Unreadable>> {
        let subject_text = header(header::SUBJECT).unwrap_or_default();
        let subject: Subject = subject_text.parse().map_err(|error| {
            unreadable(None, Class::Invalid, "no_subject", format!("no command: {error}"))
        })?;
        let invalid = |code: &str, message: String| {
            unreadable(Some((subject_text, &subject)), Class::Invalid, code, message)
        };
        let lacks = |name: &str| {
            invalid("missing_header", format!("command `{subject_text}` lacks the header {name}"))
        };
        let required = |name: &str| header(name).ok_or_else(|| lacks(name));
        let asked = asked_of(required(header::TYPE)?, subject.kind).ok_or_else(|| {
            let ce_type = header(header::TYPE).unwrap_or_default();
            invalid("unknown_type", format!("`{ce_type}` is no command about `{subject_text}`"))
        })?;
        let epoch = required(header::EPOCH)?;
        let epoch = epoch.parse().map_err(|_| {
            invalid(
                "bad_header",
                format!("pavane_epoch of `{subject_text}` is `{epoch}`, no number"),
            )
        })?;
        let deadline = match header(header::DEADLINE) {
            Some(text) => Some(text.parse::<Timestamp>().map_err(|error| {
                invalid("bad_header", format!("pavane_deadline of `{subject_text}`: {error}"))
            })?),
            None => None,
        };
        let value = value.map_err(|error| {
            let message = format!("value of command `{subject_text}` is not JSON: {error}");
            unreadable(Some((subject_text, &subject)), Class::Undecodable, "json", message)
        })?;
        Ok(Self {
            asked,
            saga: SagaName::from(required(header::SAGA)?),
            operation: header(header::TASK_TYPE).unwrap_or(subject.task.as_str()).to_owned(),
            idempotency_key: required(header::IDEMPOTENCY_KEY)?.to_owned(),
            epoch,
            deadline,
            appended_at,
            traceparent: header(header::TRACEPARENT).map(str::to_owned),
            value,
            subject_text: subject_text.to_owned(),
            subject,
        })
    }

    /// The value as a type of your own.
    ///
    /// # Errors
    /// A failure with the code `inputs`, not retryable: give it back with `?`.
    pub fn inputs<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(&self.value).map_err(|error| {
            let message = format!("inputs of `{}` do not fit: {error}", self.operation);
            Failure::refused("inputs", message)
        })
    }
}

fn asked_of(name: &str, kind: CommandKind) -> Option<Asked> {
    match (name, kind) {
        (ce_type::DO_TASK, CommandKind::Do) => Some(Asked::Do),
        (ce_type::UNDO_TASK, CommandKind::Undo) => Some(Asked::Undo),
        (ce_type::QUERY_TASK, CommandKind::Query) => Some(Asked::Query),
        (ce_type::CANCEL_TASK, CommandKind::Do) => Some(Asked::Cancel),
        _ => None,
    }
}

fn unreadable(
    subject: Option<(&str, &Subject)>,
    class: Class,
    code: &str,
    message: String,
) -> Box<Unreadable> {
    let mut refusal = Refusal::new(class, code, message);
    refusal.workflow = subject.map(|(_, subject)| subject.workflow.clone());
    Box::new(Unreadable { subject: subject.map(|(text, _)| text.to_owned()), refusal })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn headers() -> BTreeMap<String, String> {
        [
            (header::TYPE, ce_type::DO_TASK),
            (header::SUBJECT, "orders:eu/17/reserve/1042.do1"),
            (header::SAGA, "orders"),
            (header::TASK_TYPE, "reserve_stock"),
            (header::IDEMPOTENCY_KEY, "orders:eu/17/1042/reserve"),
            (header::EPOCH, "2"),
            (header::DEADLINE, "2026-11-22T10:00:00.000Z"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    #[test]
    fn a_command_is_read_whole() {
        let read = Command::from_parts(&headers(), json!({"n": 3}), Timestamp::from_millis(7));
        let command = read.unwrap();
        assert_eq!(command.asked, Asked::Do);
        assert_eq!(command.subject.workflow.as_str(), "orders:eu/17");
        assert_eq!((command.operation.as_str(), command.epoch), ("reserve_stock", 2));
        assert_eq!(command.deadline, Some("2026-11-22T10:00:00.000Z".parse().unwrap()));
        #[derive(serde::Deserialize)]
        struct Inputs {
            n: u8,
        }
        assert_eq!(command.inputs::<Inputs>().unwrap().n, 3);
        assert_eq!(command.inputs::<Vec<u8>>().unwrap_err().code, "inputs");
    }

    #[test]
    fn what_is_no_command_is_refused_and_says_whom_it_was_about() {
        let refused = |change: fn(&mut BTreeMap<String, String>)| {
            let mut headers = headers();
            change(&mut headers);
            let read = Command::from_parts(&headers, Value::Null, Timestamp::default());
            let unreadable = *read.unwrap_err();
            (unreadable.refusal.code, unreadable.subject.is_some())
        };
        assert_eq!(refused(|h| h.clear()), ("no_subject".to_owned(), false));
        for name in [header::TYPE, header::SAGA, header::IDEMPOTENCY_KEY, header::EPOCH] {
            let mut headers = headers();
            headers.remove(name);
            let read = Command::from_parts(&headers, Value::Null, Timestamp::default());
            assert_eq!(read.unwrap_err().refusal.code, "missing_header", "{name}");
        }
        let undo = |h: &mut BTreeMap<String, String>| {
            h.insert(header::TYPE.to_owned(), ce_type::UNDO_TASK.to_owned());
        };
        assert_eq!(refused(undo), ("unknown_type".to_owned(), true));
        let epoch = |h: &mut BTreeMap<String, String>| {
            h.insert(header::EPOCH.to_owned(), "-1".to_owned());
        };
        assert_eq!(refused(epoch), ("bad_header".to_owned(), true));
    }
}
