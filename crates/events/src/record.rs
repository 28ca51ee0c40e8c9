//! What is read from topics and what is sent to them.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::{AgentName, Lifecycle, Run, SchemaName, Subject, Timestamp, Topic, WorkflowId};

/// A partition's number.
pub type Partition = u32;
/// A place in a partition. Never negative for a stored record.
pub type Offset = i64;

/// Where a record stands: `topic/partition/offset`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The topic.
    pub topic: Topic,
    /// The partition of it.
    pub partition: Partition,
    /// The offset in that.
    pub offset: Offset,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// A header's name: one that stands in the code, or one that was read.
#[derive(Clone)]
pub enum HeaderName {
    /// Stands in the code.
    Known(&'static str),
    /// Was read.
    Read(Arc<str>),
}

impl HeaderName {
    /// A name that was read. Most are frequent ones of ours: those need no memory of their own.
    #[must_use]
    pub fn read(name: &str) -> Self {
        let known = crate::header::FREQUENT.iter().find(|known| **known == name);
        known.map_or_else(|| Self::Read(Arc::from(name)), |known| Self::Known(known))
    }
}

impl std::ops::Deref for HeaderName {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Read(name) => name,
        }
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for HeaderName {}

impl fmt::Debug for HeaderName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, out)
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self)
    }
}

impl From<&'static str> for HeaderName {
    fn from(name: &'static str) -> Self {
        Self::Known(name)
    }
}

impl From<Arc<str>> for HeaderName {
    fn from(name: Arc<str>) -> Self {
        Self::Read(name)
    }
}

impl From<String> for HeaderName {
    fn from(name: String) -> Self {
        Self::Read(name.into())
    }
}

/// A header: Kafka lets its value be null and its name stand more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: HeaderName,
    /// The bytes, or null.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a text.
    #[must_use]
    pub fn text(name: impl Into<HeaderName>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Some(Bytes::from(value.into())) }
    }

    /// A header with these bytes.
    #[must_use]
    pub fn of(name: impl Into<HeaderName>, value: Bytes) -> Self {
        Self { name: name.into(), value: Some(value) }
    }

    /// A header with a text that stands in the code.
    #[must_use]
    pub const fn fixed(name: &'static str, value: &'static str) -> Self {
        let value = Bytes::from_static(value.as_bytes());
        Self { name: HeaderName::Known(name), value: Some(value) }
    }
}

/// Texts and bytes of records in the making: they share one buffer, which lives as long as one of them does.
#[derive(Debug, Default)]
pub struct Texts(BytesMut);

impl Texts {
    /// With room for so many bytes; more are taken as well.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes))
    }

    /// A text of these pieces.
    #[must_use]
    pub fn text(&mut self, pieces: &[&str]) -> Bytes {
        self.written(|out| pieces.iter().for_each(|piece| out.extend_from_slice(piece.as_bytes())))
    }

    /// A number's text.
    #[must_use]
    pub fn number(&mut self, number: u64) -> Bytes {
        self.written(|out| put_number(number, |digits| out.extend_from_slice(digits.as_bytes())))
    }

    /// A run's text.
    #[must_use]
    pub fn run(&mut self, run: Run) -> Bytes {
        self.written(|out| run.put(&mut |piece| out.extend_from_slice(piece.as_bytes())))
    }

    /// A time's text.
    #[must_use]
    pub fn time(&mut self, time: Timestamp) -> Bytes {
        self.written(|out| out.extend_from_slice(&time.text()))
    }

    /// A public event's id, `<workflow>/<run>/<sequence>`, and its parts.
    #[must_use]
    pub fn event_id(&mut self, workflow: &WorkflowId, run: Run, sequence: u64) -> EventId {
        let (mut run_end, from) = (0, workflow.as_str().len());
        let whole = self.written(|out| {
            out.extend_from_slice(workflow.as_str().as_bytes());
            out.extend_from_slice(b"/");
            run.put(&mut |piece| out.extend_from_slice(piece.as_bytes()));
            run_end = out.len();
            out.extend_from_slice(b"/");
            put_number(sequence, |digits| out.extend_from_slice(digits.as_bytes()));
        });
        EventId {
            workflow: whole.slice(..from),
            run: whole.slice(from + 1..run_end),
            sequence: whole.slice(run_end + 1..),
            whole,
        }
    }

    /// An event's Avro datum.
    #[must_use]
    pub fn datum(&mut self, event: &Lifecycle) -> Bytes {
        self.written(|out| event.put(out))
    }

    /// A command's subject.
    #[must_use]
    pub fn subject(&mut self, subject: &Subject) -> Bytes {
        self.written(|out| subject.put(|piece| out.extend_from_slice(piece.as_bytes())))
    }

    fn written(&mut self, write: impl FnOnce(&mut BytesMut)) -> Bytes {
        write(&mut self.0);
        self.0.split().freeze()
    }
}

/// A public event's id, and what it is made of.
#[derive(Debug)]
pub struct EventId {
    /// `<workflow>/<run>/<sequence>`
    pub whole: Bytes,
    /// The workflow's.
    pub workflow: Bytes,
    /// The run.
    pub run: Bytes,
    /// The event's number in it.
    pub sequence: Bytes,
}

/// Gives a number's text to `put`.
pub fn put_number<T>(mut number: u64, put: impl FnOnce(&str) -> T) -> T {
    let mut digits = [b'0'; 20];
    let mut from = digits.len();
    for digit in digits.iter_mut().rev() {
        // Of a remainder by ten.
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        from -= 1;
        if number == 0 {
            break;
        }
    }
    let digits = digits.get(from..).unwrap_or_default();
    put(std::str::from_utf8(digits).unwrap_or_default())
}

/// A record as it was read, bytes unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub place: Place,
    /// The broker's time of append, or the producer's, as the topic is set.
    pub timestamp: Timestamp,
    /// The key, or null.
    pub key: Option<Bytes>,
    /// The value, or null (a tombstone).
    pub value: Option<Bytes>,
    /// In their order.
    pub headers: Vec<Header>,
}

impl Record {
    /// The value of the last header of that name that is not null.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().rev().find(|header| &*header.name == name)?.value.as_ref()
    }

    /// That header as text; `None` where it is missing or not UTF-8.
    #[must_use]
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// Where a record is to go. The prefix of our own topics is configuration, which must not reach what
/// is replayed, so it is put in by the sender: [`crate::Topics::resolve`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// `inbox`
    Inbox,
    /// `events`
    Events,
    /// `tasks.<agent>`
    Tasks(AgentName),
    /// `definitions`
    Definitions,
    /// A topic by its whole name.
    Named(Topic),
    /// `<topic>.dlq` of another.
    DeadLetters(Box<Destination>),
}

impl Destination {
    /// The dead letters of this one.
    #[must_use]
    pub fn dead_letters(self) -> Self {
        Self::DeadLetters(Box::new(self))
    }
}

/// A value to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Null: a tombstone on a compacted topic.
    Null,
    /// These bytes.
    Bytes(Bytes),
    /// An Avro datum of one of our schemas. The sender puts the registry's five bytes before it
    /// (Confluent's framing); `same-again` speaks of the datum.
    Avro {
        /// The record's full name, which is the subject too.
        schema: SchemaName,
        /// The datum without framing.
        datum: Bytes,
    },
}

impl Payload {
    /// Length in bytes as it will be sent.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::Avro { datum, .. } => datum.len() + 5,
        }
    }

    /// Whether nothing would be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A record to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub to: Destination,
    /// `None`: by murmur2 over the key, as Java's client places it.
    pub partition: Option<Partition>,
    /// The key, or null.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Payload,
    /// In their order.
    pub headers: Vec<Header>,
}
