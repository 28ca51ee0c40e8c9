//! Single letters are read from their places, over an embedded log.
#![allow(clippy::unwrap_used, reason = "a test panics where a promise is broken")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use events::{Destination, Outgoing, Payload, Place, Topic, Topics};
use local::{Durability, Local, Options};
use stream::{Broker, Purpose, SystemClock};

const WAIT: Duration = Duration::from_secs(20);

#[test]
fn a_letter_is_read_from_its_place_and_from_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        durability: Durability::Os,
        lanes: 2,
        topics: Topics::default(),
        clock: Arc::new(SystemClock),
        schema_ids: Arc::new(|_| None),
        record_bytes_max: local::RECORD_BYTES_MAX,
    };
    let broker = Local::open(dir.path(), options).unwrap();
    let topic = Topic::from("shop.orders.dlq");
    let read = |partition, offset| {
        deadletter::read(&broker, &Place { topic: topic.clone(), partition, offset }, WAIT).unwrap()
    };
    assert_eq!(read(0, 0), None, "there is no such topic");
    broker.create(&topic, Purpose::DeadLetters).unwrap();
    for value in ["first", "second"] {
        let letter = Outgoing {
            to: Destination::Named(topic.clone()),
            partition: Some(0),
            key: None,
            value: Payload::Bytes(Bytes::from_static(value.as_bytes())),
            headers: Vec::new(),
        };
        broker.put(letter).unwrap();
    }
    let value = |offset| read(0, offset).and_then(|record| record.value);
    assert_eq!(value(0), Some(Bytes::from_static(b"first")));
    assert_eq!(value(1), Some(Bytes::from_static(b"second")));
    // Nothing is waited for that is not there.
    assert_eq!((read(0, 2), read(0, -1), read(9, 0)), (None, None, None));
}
