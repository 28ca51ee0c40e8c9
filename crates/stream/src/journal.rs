//! What stands in a journal partition.

use bytes::Bytes;
use events::{
    Destination, Header, Offset, Outgoing, Partition, Place, Record, Refusal, Timestamp, Topic,
    dead_letter, header,
};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::broker::LaneId;
use crate::forward::{KEYED, as_it_came, forwarded};
use crate::service::{Journaled, Service};

/// The number of this build's journal format. A reader that meets a higher one refuses.
pub const FORMAT: u32 = 1;

/// 128 random bits, new for each attempt to take a lane over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Owner(
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub [u8; 16],
);

/// A record of the journal.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[allow(clippy::large_enum_variant, reason = "one is held at a time, while it is read or judged")]
pub enum Written {
    /// Somebody takes the lane over.
    #[n(0)]
    Announce(#[n(0)] Announce),
    /// A decision.
    #[n(1)]
    Decide(#[n(0)] Decide),
}

/// The same by reference, for writing.
#[derive(Encode)]
enum Writing<'a> {
    #[n(0)]
    Announce(#[n(0)] &'a Announce),
    #[n(1)]
    Decide(#[n(0)] &'a Decide),
}

/// Takes effect if its epoch is greater than the current one.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Announce {
    /// One past the newest that the announcer has seen.
    #[n(0)]
    pub epoch: u64,
    /// Who.
    #[n(1)]
    pub owner: Owner,
    /// The format that it will write.
    #[n(2)]
    pub format: u32,
}

/// One accepted input, refused input or fired timer.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Decide {
    /// The epoch of the announcement that it stands under.
    #[n(0)]
    pub epoch: u64,
    /// Whose announcement that was.
    #[n(1)]
    pub owner: Owner,
    /// 1, 2, 3... since the announcement.
    #[n(2)]
    pub seq: u64,
    /// The inbox offset to read next.
    #[n(3)]
    pub position: Offset,
    /// Below it, all that follows from every valid record has been acknowledged.
    #[n(4)]
    pub cursor: Offset,
    /// The later of the clock and the last record's time.
    #[n(5)]
    pub time: Timestamp,
    /// What it was decided on.
    #[n(6)]
    pub source: Origin,
    /// What was decided.
    #[n(7)]
    pub body: Body,
}

/// What a decision was made on.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Origin {
    /// The inbox record at this offset.
    #[n(0)]
    Input(#[n(0)] Offset),
    /// A state's time has come.
    #[n(1)]
    Timer(#[n(0)] String),
    /// Record `index` of what follows from the journal record at this offset can not be sent.
    #[n(2)]
    Parked(#[n(0)] Offset, #[n(1)] u32),
    /// Nothing: position and cursor are written down.
    #[n(3)]
    Skip,
    /// All that follows from event `index` of the journal record at this offset is acknowledged.
    #[n(4)]
    Acked(#[n(0)] Offset, #[n(1)] u32),
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Body {
    /// Events of the service, each as it encodes itself.
    #[n(0)]
    Events(#[n(0)] Vec<ByteVec>),
    /// The input can never work.
    #[n(1)]
    Refused(#[n(0)] Kept, #[n(1)] Refusal),
    /// The input belongs to another partition.
    #[n(2)]
    Forwarded(#[n(0)] Kept),
    /// Nothing.
    #[n(3)]
    Nothing,
}

/// A record kept whole, bytes unchanged.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Kept {
    #[n(0)]
    topic: Topic,
    #[n(1)]
    partition: Partition,
    #[n(2)]
    offset: Offset,
    #[n(3)]
    timestamp: Timestamp,
    #[n(4)]
    key: Option<ByteVec>,
    #[n(5)]
    value: Option<ByteVec>,
    #[n(6)]
    headers: Vec<(String, Option<ByteVec>)>,
}

impl From<&Record> for Kept {
    fn from(record: &Record) -> Self {
        let bytes = |bytes: &Bytes| ByteVec::from(bytes.to_vec());
        Self {
            topic: record.place.topic.clone(),
            partition: record.place.partition,
            offset: record.place.offset,
            timestamp: record.timestamp,
            key: record.key.as_ref().map(bytes),
            value: record.value.as_ref().map(bytes),
            headers: record
                .headers
                .iter()
                .map(|header| (header.name.to_string(), header.value.as_ref().map(bytes)))
                .collect(),
        }
    }
}

impl Kept {
    /// At most how many bytes it takes in a journal record.
    pub(crate) fn bytes(&self) -> usize {
        /// Of what CBOR puts before a text, and before the two of a header.
        const HEAD: usize = 9;
        let of = |bytes: &Option<ByteVec>| HEAD + bytes.as_ref().map_or(0, |bytes| bytes.len());
        let headers = self.headers.iter().map(|(name, value)| 2 * HEAD + name.len() + of(value));
        let place = self.topic.as_str().len() + 8 * HEAD;
        place + of(&self.key) + of(&self.value) + headers.sum::<usize>()
    }

    /// Its place alone: of a record that does not fit into the journal.
    pub(crate) fn place_alone(self) -> Self {
        Self { key: None, value: None, headers: Vec::new(), ..self }
    }

    /// The same with this key, where it has none.
    #[must_use]
    pub fn keyed(mut self, key: &str) -> Self {
        if self.key.is_none() {
            self.key = Some(ByteVec::from(key.as_bytes().to_vec()));
            self.headers.push((KEYED.to_owned(), None));
        }
        self
    }

    /// The record as it was read.
    #[must_use]
    pub fn record(&self) -> Record {
        let bytes = |bytes: &ByteVec| Bytes::copy_from_slice(bytes);
        Record {
            place: Place {
                topic: self.topic.clone(),
                partition: self.partition,
                offset: self.offset,
            },
            timestamp: self.timestamp,
            key: self.key.as_ref().map(bytes),
            value: self.value.as_ref().map(bytes),
            headers: self
                .headers
                .iter()
                .map(|(name, value)| Header {
                    name: name.clone().into(),
                    value: value.as_ref().map(bytes),
                })
                .collect(),
        }
    }
}

impl Written {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Announce(announce) => Writing::Announce(announce).encode(),
            Self::Decide(decide) => Writing::Decide(decide).encode(),
        }
    }

    /// Reads a record of this or any released format.
    ///
    /// # Errors
    /// What is unknown or broken.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        minicbor::decode(bytes).map_err(|error| error.to_string())
    }
}

impl Decide {
    /// Its bytes as a journal record.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        Writing::Decide(self).encode()
    }
}

impl Writing<'_> {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize {
        /// Of all fields but the body's.
        const BESIDE: usize = 96;
        let body = match self {
            Self::Announce(_) | Self::Decide(Decide { body: Body::Nothing, .. }) => 0,
            Self::Decide(Decide { body: Body::Events(events), .. }) => {
                events.iter().map(|event| event.len() + 8).sum()
            }
            Self::Decide(Decide {
                body: Body::Refused(kept, _) | Body::Forwarded(kept), ..
            }) => kept.bytes(),
        };
        BESIDE + body
    }

    fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.bytes());
        // Writing to a vector can not fail; a field that could not be encoded would be our own bug, and
        // the empty record that it leaves is refused by every reader.
        if minicbor::encode(self, &mut out).is_err() {
            out.clear();
        }
        Bytes::from(out)
    }
}

impl Body {
    /// Of these events.
    #[must_use]
    pub fn of<E: Journaled>(events: &[E]) -> Self {
        // One buffer that has grown already, and for each event what it takes.
        let mut out = Vec::new();
        let encoded = events.iter().map(|event| {
            out.clear();
            event.encode(&mut out);
            ByteVec::from(out.as_slice().to_vec())
        });
        Self::Events(encoded.collect())
    }

    /// The events in it.
    ///
    /// # Errors
    /// An event that this build does not know.
    pub fn events<E: Journaled>(&self) -> Result<Vec<E>, String> {
        match self {
            Self::Events(events) => events.iter().map(|event| E::decode(event)).collect(),
            Self::Refused(..) | Self::Forwarded(_) | Self::Nothing => Ok(Vec::new()),
        }
    }
}

/// Where a decision stands.
#[derive(Clone, Copy, Debug)]
pub struct Stand {
    /// The lane.
    pub lane: LaneId,
    /// Of how many.
    pub lanes: u32,
    /// The journal offset.
    pub offset: Offset,
}

/// The records that follow from a decision: pure formatting of it and of where it stands, so that what is
/// sent again after a takeover is the same (`same-again`).
#[must_use]
pub fn reactions<S: Service>(decide: &Decide, events: &[S::Event], stand: Stand) -> Vec<Outgoing> {
    match &decide.body {
        Body::Events(_) => {
            let mut records: Vec<Outgoing> = events.iter().flat_map(S::react).collect();
            let commands =
                records.iter_mut().filter(|record| matches!(record.to, Destination::Tasks(_)));
            let mut fence = None;
            for command in commands {
                let fence = fence.get_or_insert_with(|| {
                    Bytes::from(format!("{}/{}/{}", stand.lane.0, decide.epoch, stand.offset))
                });
                command.headers.push(Header::of(header::FENCE, fence.clone()));
            }
            records
        }
        Body::Refused(record, refusal) => {
            vec![Outgoing {
                to: Destination::Inbox.dead_letters(),
                ..dead_letter(&as_it_came(record.record()), refusal, "coordinator", decide.time)
            }]
        }
        Body::Forwarded(record) => vec![forwarded(record.record(), stand.lanes)],
        Body::Nothing => Vec::new(),
    }
}
