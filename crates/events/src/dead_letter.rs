//! What cannot work, and the record that says so.

use std::fmt;

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::{Destination, Header, Outgoing, Payload, Record, Timestamp, WorkflowId, header};

/// Why a record became a dead letter. Its text stands in `pavane_error_class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Class {
    /// Bytes, UTF-8 or JSON are broken.
    #[n(0)]
    Undecodable,
    /// It decodes, but has the wrong shape, type, name or key.
    #[n(1)]
    Invalid,
    /// It is about a workflow that there is not.
    #[n(2)]
    UnknownWorkflow,
    /// It names a saga, or a version of one, that was never deployed.
    #[n(3)]
    UnknownSaga,
    /// Larger than may be stored.
    #[n(4)]
    TooLarge,
    /// Our own code panicked on it.
    #[n(5)]
    Crashed,
    /// It could not be sent where it had to go.
    #[n(6)]
    Undeliverable,
    /// A command whose work has failed for good.
    #[n(7)]
    TaskFailed,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Undecodable,
        Self::Invalid,
        Self::UnknownWorkflow,
        Self::UnknownSaga,
        Self::TooLarge,
        Self::Crashed,
        Self::Undeliverable,
        Self::TaskFailed,
    ];

    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Invalid => "invalid",
            Self::UnknownWorkflow => "unknown_workflow",
            Self::UnknownSaga => "unknown_saga",
            Self::TooLarge => "too_large",
            Self::Crashed => "crashed",
            Self::Undeliverable => "undeliverable",
            Self::TaskFailed => "task_failed",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Why a record can never work.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Refusal {
    /// The kind of trouble.
    #[n(0)]
    pub class: Class,
    /// Finer than the class: `bad_start`, `key_mismatch`, `unknown_type`...
    #[n(1)]
    pub code: String,
    /// What happened, to which thing, what to do.
    #[n(2)]
    pub message: String,
    /// The workflow that it was about, where that is known.
    #[n(3)]
    pub workflow: Option<WorkflowId>,
}

impl Refusal {
    /// A refusal that names no workflow yet.
    #[must_use]
    pub fn new(class: Class, code: &str, message: impl Into<String>) -> Self {
        Self { class, code: code.to_owned(), message: message.into(), workflow: None }
    }

    /// The same, about this workflow.
    #[must_use]
    pub fn about(mut self, workflow: &WorkflowId) -> Self {
        self.workflow = Some(workflow.clone());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({}): {}", self.class, self.code, self.message)
    }
}

/// Text of a dead letter's message header is cut here, bytes.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// The dead letter of `record`: its key, value and headers unchanged, then Apache's KIP-1191 headers as
/// UTF-8 text, then ours. `group` names who refused it; `seen` is the time of the refusal, taken from
/// what is journalled or stored, so that a letter that is sent again is the same.
#[must_use]
pub fn dead_letter(record: &Record, refusal: &Refusal, group: &str, seen: Timestamp) -> Outgoing {
    let place = &record.place;
    let mut headers = record.headers.clone();
    headers.extend([
        Header::text(header::DEAD_TOPIC, place.topic.as_str()),
        Header::text("__dlq.errors.partition", place.partition.to_string()),
        Header::text("__dlq.errors.offset", place.offset.to_string()),
    ]);
    headers.extend(error_headers(refusal, group, record.timestamp, seen));
    Outgoing {
        to: Destination::Named(place.topic.clone()).dead_letters(),
        partition: None,
        key: record.key.clone(),
        value: record.value.clone().map_or(Payload::Null, Payload::Bytes),
        headers,
    }
}

/// The dead letter of a command that was sent as `sent` and whose work has failed for good. The
/// sender never learns the command's offset, so KIP-1191's partition and offset are left out; its
/// topic is put in by [`crate::Topics::address`], which knows the prefix.
#[must_use]
pub fn dead_command(sent: Outgoing, refusal: &Refusal, seen: Timestamp) -> Outgoing {
    let mut headers = sent.headers;
    headers.extend(error_headers(refusal, "coordinator", seen, seen));
    Outgoing { to: sent.to.dead_letters(), headers, ..sent }
}

fn error_headers(
    refusal: &Refusal,
    group: &str,
    source_time: Timestamp,
    seen: Timestamp,
) -> Vec<Header> {
    let end = refusal.message.floor_char_boundary(MESSAGE_BYTES_MAX);
    let message = refusal.message.get(..end).unwrap_or_default();
    let mut headers = vec![
        Header::text("__dlq.errors.group", group),
        Header::text("__dlq.errors.delivery.count", "1"),
        Header::text("__dlq.errors.message", message),
        Header::text("pavane_error_class", refusal.class.as_str()),
        Header::text("pavane_error_code", refusal.code.as_str()),
    ];
    if let Some(workflow) = &refusal.workflow {
        headers.push(Header::text("pavane_error_workflow", workflow.as_str()));
    }
    headers.push(Header::text("pavane_error_timestamp", source_time.to_string()));
    headers.push(Header::text("pavane_error_first_seen", seen.to_string()));
    headers
}

/// A key as the wire carries it.
impl From<&WorkflowId> for Bytes {
    fn from(id: &WorkflowId) -> Self {
        Self::copy_from_slice(id.as_str().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Place, Topic};

    #[test]
    fn a_dead_letter_keeps_the_bytes_and_says_why() {
        let record = Record {
            place: Place { topic: Topic::from("shop.orders"), partition: 3, offset: 17 },
            timestamp: Timestamp::from_millis(1_000),
            key: Some(Bytes::from_static(b"\xff\x00")),
            value: Some(Bytes::from_static(b"{not json")),
            headers: vec![Header { name: "a".into(), value: None }, Header::text("a", "twice")],
        };
        let refusal = Refusal::new(Class::Undecodable, "json", "é".repeat(MESSAGE_BYTES_MAX));
        let letter = dead_letter(&record, &refusal, "intake", Timestamp::from_millis(2_000));
        assert_eq!(letter.to, Destination::Named(Topic::from("shop.orders")).dead_letters());
        assert_eq!(letter.key, record.key);
        assert_eq!(letter.value, Payload::Bytes(record.value.clone().unwrap()));
        assert_eq!(letter.headers.get(..2), Some(record.headers.as_slice()));
        let header = |name: &str| {
            letter
                .headers
                .iter()
                .find(|header| &*header.name == name)
                .unwrap()
                .value
                .clone()
                .unwrap()
        };
        assert_eq!(header("__dlq.errors.offset"), "17");
        assert_eq!(header("pavane_error_class"), "undecodable");
        assert_eq!(header("pavane_error_first_seen"), "1970-01-01T00:00:02.000Z");
        assert_eq!(header("__dlq.errors.message").len(), MESSAGE_BYTES_MAX);
    }
}
