//! Sending records anywhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};
use events::{Destination, Outgoing, Partition, Payload, Place, Topic};
use stream::{LogError, Outlet, SendError, Settled, Ticket};

use crate::Shared;
use crate::deliveries::{Delivery, Desk, Native, Receipt, hand_over, native_headers, send_error};
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
    let (topic, record) = shared.topics.address(record);
    let receipt = Arc::new(Receipt::default());
    let delivery = Delivery::Put { receipt: Arc::clone(&receipt) };
    hand(shared, &topic, &record, delivery)?;
    let (partition, offset) = receipt.wait(settings::PUT_WAIT)?;
    match Partition::try_from(partition) {
        Ok(partition) if offset >= 0 => Ok(Place { topic, partition, offset }),
        _ => Err(SendError::InDoubt("stored, but kafka did not say where".to_owned())),
    }
}

fn hand(
    shared: &Shared,
    topic: &Topic,
    record: &Outgoing,
    delivery: Delivery,
) -> Result<(), SendError> {
    let value = framed(shared, &record.value)?;
    let producer = match record.to {
        Destination::Events => &shared.events,
        Destination::Inbox
        | Destination::Tasks(_)
        | Destination::Definitions
        | Destination::Named(_)
        | Destination::DeadLetters(_) => &shared.dispatch,
    };
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
    hand_over(&sender, native, Instant::now() + settings::QUEUE_FULL_WAIT)
        .map_err(|error| send_error(&error, true))
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
            if let Err(error) = hand(&self.shared, &topic, &record, delivery) {
                self.desk.report(ticket, index, Err(error));
            }
        }
        Ok(())
    }

    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError> {
        Ok(self.desk.settled(wait))
    }
}
