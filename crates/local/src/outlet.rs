//! Sending records to any topic.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use events::{Destination, Outgoing, Payload, Place, Topic, Topics};
use stream::{LogError, Outlet, SendError, Settled, Then, Ticket, Ticketed};

use crate::codec;
use crate::limits::UNSETTLED_MAX;
use crate::open::Shared;
use crate::request::{Request, Sending, Stamped};
use crate::view::{Bell, deadline, lock};

/// A sender of records.
pub struct LocalOutlet {
    shared: Arc<Shared>,
    tray: Arc<Tray>,
    known: Known,
}

/// The topics of destinations that were sent to: a topic's name is put together of parts.
#[derive(Default)]
struct Known(BTreeMap<Destination, Topic>);

/// Of destinations that one sender remembers.
const KNOWN_MAX: usize = 256;

impl Known {
    fn address(&mut self, topics: &Topics, record: Outgoing) -> (Topic, Outgoing) {
        if let Some(topic) = self.0.get(&record.to) {
            return (topic.clone(), record);
        }
        let (topic, record) = topics.address(record);
        // A dead letter may get a header as well.
        if !matches!(record.to, Destination::DeadLetters(_)) && self.0.len() < KNOWN_MAX {
            self.0.insert(record.to.clone(), topic.clone());
        }
        (topic, record)
    }
}

/// What has become of tickets, until it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Tray {
    settled: Mutex<Vec<Settled>>,
    bell: Bell,
}

impl Tray {
    pub(crate) fn put(&self, mut settled: Vec<Settled>) {
        lock(&self.settled).append(&mut settled);
        self.bell.ring();
    }

    fn take(&self) -> Vec<Settled> {
        std::mem::take(&mut lock(&self.settled))
    }
}

impl LocalOutlet {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tray: Arc::default(), known: Known::default() }
    }
}

impl Outlet for LocalOutlet {
    fn send(&mut self, ticket: Ticket, records: Vec<Outgoing>) -> Result<(), LogError> {
        self.send_first(&mut VecDeque::from([(ticket, records)]))
    }

    /// All of it.
    fn send_first(&mut self, waiting: &mut VecDeque<Ticketed>) -> Result<(), LogError> {
        let unsettled = lock(&self.tray.settled).len();
        if unsettled > UNSETTLED_MAX {
            return Err(LogError::Lost(format!(
                "nobody has asked what has become of {unsettled} tickets; call settled"
            )));
        }
        let Self { shared, known, .. } = self;
        let mut written = |record| {
            let (topic, record) = known.address(&shared.options.topics, record);
            shared.sending(topic, record)
        };
        let sends = waiting
            .drain(..)
            .map(|(ticket, records)| (ticket, records.into_iter().map(&mut written).collect()))
            .collect();
        let tray = Arc::clone(&self.tray);
        self.shared.hand(Request::Send { sends, tray })
    }

    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError> {
        let deadline = deadline(wait);
        loop {
            let settled = self.tray.take();
            if !settled.is_empty() || !self.tray.bell.wait_until(deadline) {
                return Ok(settled);
            }
        }
    }
}

impl Shared {
    /// Stores one record and says where.
    pub(crate) fn put(&self, record: Outgoing) -> Result<Place, SendError> {
        let (topic, record) = self.options.topics.address(record);
        let record = self.sending(topic, record);
        self.ask(|reply| {
            // Whoever asked may have gone; then nobody needs the answer.
            let then: Then = Box::new(move |stored| drop(reply.send(Ok(stored))));
            Request::Put { record, then }
        })
        .unwrap_or_else(|error| Err(SendError::InDoubt(error.to_string())))
    }

    /// Has the writer's thread store one record.
    pub(crate) fn put_then(&self, record: Outgoing, then: Then) {
        let (topic, record) = self.options.topics.address(record);
        let record = self.sending(topic, record);
        self.queue.push_unbounded(Request::Put { record, then });
        self.queue.call();
    }

    /// Writes a record out as it will be stored.
    fn sending(&self, topic: Topic, record: Outgoing) -> Sending {
        let Outgoing { to: _, partition, key, value, headers } = record;
        let write = |value: Option<&[&[u8]]>| Stamped {
            bytes: codec::size(key.as_deref(), value, &headers),
            stored: codec::encode(key.as_deref(), value, &headers),
        };
        let record = match &value {
            Payload::Null => Ok(write(None)),
            Payload::Bytes(bytes) => Ok(write(Some(&[bytes]))),
            Payload::Avro { schema, datum } => match (self.options.schema_ids)(schema) {
                // Confluent's framing: a zero, the schema's id, the datum.
                Some(id) => Ok(write(Some(&[&[0], &id.to_be_bytes(), datum]))),
                None => Err(SendError::Never(format!("the schema {schema} has no id"))),
            },
        };
        Sending { topic, partition, key, record }
    }
}
