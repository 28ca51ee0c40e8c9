//! Sending records anywhere.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};
use events::{Destination, Outgoing, Payload, Place, Topic};
use stream::{LogError, Outlet, SendError, Settled, Then, Ticket};

use crate::Shared;
use crate::deliveries::{
    Delivery, Desk, Native, SharedProducer, Told, hand_over, native_headers, send_error,
};
use crate::settings;

/// Sends through the process's dispatch producer.
pub struct KafkaOutlet {
    shared: Arc<Shared>,
    desk: Arc<Desk>,
}

impl KafkaOutlet {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, desk: Arc::default() }
    }
}

/// Stores one record and waits for its place.
pub(crate) fn put(shared: &Shared, record: Outgoing) -> Result<Place, SendError> {
    let (said, hear) = sync_channel(1);
    // Whoever asked may have given up; then nobody needs the answer.
    let told = Told::new(Box::new(move |stored| drop(said.send(stored))));
    let (topic, record) = shared.topics.address(record);
    store(shared, topic, &record, told, settings::QUEUE_FULL_WAIT);
    hear.recv_timeout(settings::PUT_WAIT)
        .unwrap_or_else(|_| Err(SendError::InDoubt("no delivery report in time".to_owned())))
}

/// Stores one record and says its place, without waiting.
pub(crate) fn put_then(shared: &Arc<Shared>, record: Outgoing, then: Then) {
    let told = Told::new(then);
    let (topic, record) = shared.topics.address(record);
    if producer(shared, &record.to).has_met(&topic) {
        return store(shared, topic, &record, told, Duration::ZERO);
    }
    // Learning about a topic waits for a broker, so it has a thread of its own.
    let (there, asked) = (Arc::clone(shared), Arc::clone(&told));
    let learning = move || store(&there, topic, &record, asked, settings::QUEUE_FULL_WAIT);
    if let Err(error) = std::thread::Builder::new().name("meeting".to_owned()).spawn(learning) {
        told.tell(Err(SendError::InDoubt(format!("never tried, for want of a thread: {error}"))));
    }
}

fn store(shared: &Shared, topic: Topic, record: &Outgoing, told: Arc<Told>, full_wait: Duration) {
    let delivery = Delivery::Put { topic: topic.clone(), told: Arc::clone(&told) };
    if let Err(error) = hand(shared, &topic, record, delivery, full_wait) {
        told.tell(Err(error));
    }
}

fn producer<'a>(shared: &'a Shared, to: &Destination) -> &'a SharedProducer {
    match to {
        Destination::Events => &shared.events,
        Destination::Inbox
        | Destination::Tasks(_)
        | Destination::Definitions
        | Destination::Named(_)
        | Destination::DeadLetters(_) => &shared.dispatch,
    }
}

fn hand(
    shared: &Shared,
    topic: &Topic,
    record: &Outgoing,
    delivery: Delivery,
    full_wait: Duration,
) -> Result<(), SendError> {
    let value = framed(shared, &record.value)?;
    let producer = producer(shared, &record.to);
    let sender = producer.meet(topic).map_err(|error| SendError::Never(error.to_string()))?;
    let mut native = Native::with_opaque_to(topic.as_str(), Box::new(delivery));
    native.headers = native_headers(&record.headers);
    native.key = record.key.as_deref();
    native.payload = value.as_deref();
    native.partition = match record.partition.map(i32::try_from) {
        None => None,
        Some(Ok(partition)) => Some(partition),
        Some(Err(_)) => return Err(SendError::Never("no such partition".to_owned())),
    };
    hand_over(&sender, native, Instant::now() + full_wait).map_err(|error| send_error(&error, true))
}

/// The value's bytes, an Avro datum with Confluent's five bytes before it: zero, then the schema's id,
/// big end first.
fn framed(shared: &Shared, value: &Payload) -> Result<Option<Bytes>, SendError> {
    match value {
        Payload::Null => Ok(None),
        Payload::Bytes(bytes) => Ok(Some(bytes.clone())),
        Payload::Avro { schema, datum } => {
            let id = shared.schema_ids.get(*schema).ok_or_else(|| {
                SendError::Never(format!("no schema `{schema}` is known to this process"))
            })?;
            let mut framed = BytesMut::with_capacity(datum.len() + 5);
            framed.put_u8(0);
            framed.put_u32(*id);
            framed.extend_from_slice(datum);
            Ok(Some(framed.freeze()))
        }
    }
}

impl Outlet for KafkaOutlet {
    fn send(&mut self, ticket: Ticket, records: Vec<Outgoing>) -> Result<(), LogError> {
        self.shared.dispatch.sender()?;
        self.shared.events.sender()?;
        self.desk.open(ticket, records.len());
        for (index, record) in records.into_iter().enumerate() {
            let (topic, record) = self.shared.topics.address(record);
            let delivery = Delivery::Send { desk: Arc::clone(&self.desk), ticket, index };
            if let Err(error) =
                hand(&self.shared, &topic, &record, delivery, settings::QUEUE_FULL_WAIT)
            {
                self.desk.report(ticket, index, Err(error));
            }
        }
        Ok(())
    }

    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError> {
        Ok(self.desk.settled(wait))
    }
}
