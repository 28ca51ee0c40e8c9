//! What is read from topics and what is sent to them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{AgentName, SchemaName, Timestamp, Topic};

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
}

/// The headers of one record in the making: their texts share one buffer.
#[derive(Debug, Default)]
pub struct HeaderWriter {
    texts: String,
    ends: Vec<(HeaderName, usize)>,
}

impl HeaderWriter {
    /// With room for so many headers and bytes of text.
    #[must_use]
    pub fn with_capacity(headers: usize, bytes: usize) -> Self {
        Self { texts: String::with_capacity(bytes), ends: Vec::with_capacity(headers) }
    }

    /// Adds a header, its value made of these pieces.
    pub fn text(&mut self, name: impl Into<HeaderName>, pieces: &[&str]) {
        for piece in pieces {
            self.texts.push_str(piece);
        }
        self.ends.push((name.into(), self.texts.len()));
    }

    /// Adds a header with the text that `value` is shown as.
    pub fn shown(&mut self, name: impl Into<HeaderName>, value: impl fmt::Display) {
        use fmt::Write as _;
        // A `String` takes whatever is written.
        let _ = write!(self.texts, "{value}");
        self.ends.push((name.into(), self.texts.len()));
    }

    /// The headers, in their order.
    #[must_use]
    pub fn finish(self) -> Vec<Header> {
        let texts = Bytes::from(self.texts);
        let mut from = 0;
        let header = |(name, end)| {
            let value = Some(texts.slice(from..end));
            from = end;
            Header { name, value }
        };
        self.ends.into_iter().map(header).collect()
    }
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
