//! What a participant answers.

use bytes::Bytes;
use events::{Destination, Header, Outgoing, Payload, Subject, Timestamp, ce_type, header};
use serde::Serialize;
use serde_json::Value;

use crate::ledger::LedgerError;

/// Whether a failed attempt may have changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effects {
    /// Certainly nothing was changed.
    None,
    /// Something may have been: the task will be undone, or asked about.
    Unknown,
}

/// A failure's message is cut here, bytes: it travels in the journal.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// Why a command did not work, as the saga will see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What `retry.only` and `retry.never` of a saga file name, for example `card_declined`.
    pub code: String,
    /// For people.
    pub message: String,
    /// Whether trying again can help.
    pub retryable: bool,
    /// Whether anything may have been changed.
    pub effects: Effects,
}

impl Failure {
    /// A definite no, which trying again will not change; nothing was changed.
    #[must_use]
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        let effects = Effects::None;
        Self { code: code.to_owned(), message: message.into(), retryable: false, effects }
    }

    /// Not now, but perhaps later; nothing was changed.
    #[must_use]
    pub fn retryable(code: &str, message: impl Into<String>) -> Self {
        Self { retryable: true, ..Self::refused(code, message) }
    }

    /// The same, where something outside of the store may have been changed.
    #[must_use]
    pub fn with_unknown_effects(self) -> Self {
        Self { effects: Effects::Unknown, ..self }
    }
}

/// A store that failed inside of a participant's function: the transaction is dropped.
impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::retryable("store", error.to_string())
    }
}

/// What a query is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// It was done, with this output.
    Done(Value),
    /// It was not done.
    NotDone,
    /// It can not be said yet.
    Unknown,
}

/// An answer to a command, for the inbox.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A do or an undo has worked; the output.
    Completed(Value),
    /// It has not.
    Failed(Failure),
    /// The undo came for something never done.
    NothingToUndo,
    /// To a query.
    Status(Status),
}

impl Answer {
    /// The value of its header `ce_type`.
    #[must_use]
    pub const fn ce_type(&self) -> &'static str {
        match self {
            Self::Completed(_) => ce_type::TASK_COMPLETED,
            Self::Failed(_) => ce_type::TASK_FAILED,
            Self::NothingToUndo => ce_type::NOTHING_TO_UNDO,
            Self::Status(_) => ce_type::TASK_STATUS,
        }
    }

    /// Its value on the wire.
    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Completed(output) => output.clone(),
            Self::Failed(failure) => serde_json::json!({
                "code": failure.code,
                "message": failure.message.get(..failure.message.floor_char_boundary(MESSAGE_BYTES_MAX)),
                "retryable": failure.retryable,
                "effects": failure.effects,
            }),
            Self::NothingToUndo => Value::Null,
            Self::Status(Status::Done(output)) => {
                serde_json::json!({"status": "done", "output": output})
            }
            Self::Status(Status::NotDone) => serde_json::json!({"status": "not_done"}),
            Self::Status(Status::Unknown) => serde_json::json!({"status": "unknown"}),
        }
    }
}

/// An answer with the command that it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The command's subject, as it was written.
    pub subject: String,
    /// The command's trace, if it had one.
    pub traceparent: Option<String>,
    /// What is answered.
    pub answer: Answer,
}

impl Reply {
    /// The record for the inbox. `source` names who answers, `now` when.
    #[must_use]
    pub fn to_record(&self, source: &str, now: Timestamp) -> Outgoing {
        let kind = self.answer.ce_type();
        let mut headers = vec![
            Header::text(header::SPECVERSION, "1.0"),
            // Told apart by type: a failure that is retried and the success after it are two answers.
            Header::text(header::ID, format!("{}/{kind}", self.subject)),
            Header::text(header::SOURCE, source),
            Header::text(header::TYPE, kind),
            Header::text(header::SUBJECT, self.subject.as_str()),
            Header::text(header::TIME, now.to_string()),
            Header::text(header::CONTENT_TYPE, header::JSON),
        ];
        if let Some(trace) = &self.traceparent {
            headers.push(Header::text(header::TRACEPARENT, trace.as_str()));
        }
        let subject: Option<Subject> = self.subject.parse().ok();
        Outgoing {
            to: Destination::Inbox,
            partition: None,
            key: subject.map(|subject| Bytes::from(&subject.workflow)),
            value: Payload::Bytes(Bytes::from(self.answer.value().to_string())),
            headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_copies_the_subject_and_goes_to_the_workflows_lane() {
        let failure = Failure::retryable("no_stock", "none left").with_unknown_effects();
        let reply = Reply {
            subject: "orders:a/b/reserve/7.do2".to_owned(),
            traceparent: Some("00-1".to_owned()),
            answer: Answer::Failed(failure),
        };
        let record = reply.to_record("/agents/stock", Timestamp::from_millis(0));
        assert_eq!(record.key, Some(Bytes::from_static(b"orders:a/b")));
        let header = |name: &str| {
            let found = record.headers.iter().find(|header| &*header.name == name);
            found.and_then(|header| header.value.clone()).unwrap()
        };
        assert_eq!(header("ce_type"), "pavane.TaskFailed");
        assert_eq!(header("ce_subject"), "orders:a/b/reserve/7.do2");
        assert_eq!(header("traceparent"), "00-1");
        let Payload::Bytes(value) = record.value else { panic!("an answer has bytes") };
        let value: Value = serde_json::from_slice(&value).unwrap();
        let expect = serde_json::json!({
            "code": "no_stock", "message": "none left", "retryable": true, "effects": "unknown"
        });
        assert_eq!(value, expect);
    }
}
