use std::time::Duration;

use bytes::Bytes;
use kafka::Kafka;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use stream::{Broker as _, LaneId, Log as _, LogError, Snapshots as _, Source};

use crate::ground::{foreign, fresh, fresh_config, to, until};

const STEP: Duration = Duration::from_secs(20);

/// Somebody's transactional producer.
fn transactional(id: &str) -> BaseProducer {
    let producer: BaseProducer = foreign().set("transactional.id", id).create().unwrap();
    producer.init_transactions(STEP).unwrap();
    producer
}

/// Produces in a transaction that stays open.
fn begin(producer: &BaseProducer, topic: &str, key: &str, value: &str) {
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::to(topic).partition(0).key(key).payload(value)).unwrap();
    producer.flush(STEP).unwrap();
}

// shows: A2
#[test]
fn an_inbox_record_that_was_rolled_back_is_never_read() {
    let kafka = fresh("rolled");
    let inbox = kafka.topics().inbox();
    let mut log = kafka.open(LaneId(0)).unwrap();
    let somebody = transactional(inbox.as_str());
    begin(&somebody, inbox.as_str(), "k", "rolled back");
    assert_eq!(log.read(Source::Inbox, 0, Duration::from_millis(300)).unwrap(), []);
    assert_eq!(log.kept(Source::Inbox).unwrap(), 0..0, "an open transaction hides what follows");
    somebody.abort_transaction(STEP).unwrap();
    begin(&somebody, inbox.as_str(), "k", "kept");
    somebody.commit_transaction(STEP).unwrap();

    let records = until("the committed record", || {
        let records = log.read(Source::Inbox, 0, STEP).unwrap();
        (!records.is_empty()).then_some(records)
    });
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].value, Some(Bytes::from_static(b"kept")));
    let next = records[0].place.offset + 1;
    assert_eq!(log.read(Source::Inbox, next, Duration::ZERO).unwrap(), [], "a marker is nothing");
    // Transactions leave markers in the offsets; reading goes on behind them.
    begin(&somebody, inbox.as_str(), "k", "next");
    somebody.commit_transaction(STEP).unwrap();
    let records = until("the next record", || {
        let records = log.read(Source::Inbox, next, STEP).unwrap();
        (!records.is_empty()).then_some(records)
    });
    assert_eq!(records[0].value, Some(Bytes::from_static(b"next")));
}

/// A lane fires its timers once a read has come back empty.
#[test]
fn an_empty_answer_means_that_there_is_nothing_even_without_a_wait() {
    let kafka = fresh("empty");
    let inbox = kafka.topics().inbox();
    for round in 0..20 {
        let mut record = to(&inbox, "k", "v");
        record.partition = Some(0);
        let place = kafka.put(record).unwrap();
        // Opened anew, nothing has been fetched yet.
        let mut log = kafka.open(LaneId(0)).unwrap();
        let found = log.read(Source::Inbox, place.offset, Duration::ZERO).unwrap();
        assert_eq!(found.len(), 1, "round {round}");
        let next = place.offset + 1;
        assert_eq!(log.read(Source::Inbox, next, Duration::ZERO).unwrap(), []);
        let mut record = to(&inbox, "k", "w");
        record.partition = Some(0);
        kafka.put(record).unwrap();
        assert_eq!(log.read(Source::Inbox, next, Duration::ZERO).unwrap().len(), 1);
    }
}

#[test]
fn a_holder_in_another_process_is_fenced_and_its_open_transaction_is_undone() {
    let config = fresh_config("fence");
    let kafka = Kafka::connect(config.clone(), &[]).unwrap();
    kafka::topics::create_all(&kafka, 2).unwrap();
    let snapshots = kafka.topics().snapshots();
    let marker = |text: &'static str| Bytes::from_static(text.as_bytes());

    // A holder that died in the middle of a write: its transaction is open.
    let id = format!("{}-0", config.prefix.trim_end_matches('.'));
    let dead = transactional(&id);
    begin(&dead, snapshots.as_str(), "a:1", "half");
    let mut first = kafka.fence(LaneId(0)).unwrap();
    assert_eq!(first.load().unwrap(), stream::Snapshot::default());
    first.write(&[("a:1".into(), Some(marker("one")))], &marker("m1")).unwrap();
    assert!(dead.commit_transaction(STEP).is_err(), "the dead holder comes back, too late");

    // The same as another process would do it: its own connection, nothing shared.
    let other = Kafka::connect(config, &[]).unwrap();
    let mut second = other.fence(LaneId(0)).unwrap();
    assert_eq!(first.claim(&marker("owner")), Err(LogError::Fenced));
    let loaded = second.load().unwrap();
    assert_eq!(loaded.marker, Some(marker("m1")));
    assert_eq!(loaded.states, [("a:1".into(), marker("one"))]);
    second.claim(&marker("owner")).unwrap();
}

#[test]
fn lanes_topics_of_different_counts_are_named_with_their_counts() {
    let mut config = fresh_config("counts");
    let kafka = Kafka::connect(config.clone(), &[]).unwrap();
    let missing = kafka.lanes().unwrap_err().to_string();
    assert!(missing.contains("inbox") && missing.contains("topics create"), "{missing}");
    kafka.create(&kafka.topics().journal(), stream::Purpose::Journal).unwrap();
    config.partitions = 3;
    let other = Kafka::connect(config, &[]).unwrap();
    for (topic, purpose) in [
        (other.topics().inbox(), stream::Purpose::Inbox),
        (other.topics().snapshots(), stream::Purpose::Snapshots),
    ] {
        other.create(&topic, purpose).unwrap();
    }
    let error = other.lanes().unwrap_err().to_string();
    assert!(error.contains("inbox has 3") && error.contains("journal has 2"), "{error}");
}
