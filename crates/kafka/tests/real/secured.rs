use std::time::Duration;

use bytes::Bytes;
use kafka::{Config, Kafka};
use stream::{Broker as _, Entry, Fed, Feed as _, LaneId, Log as _, Share, Snapshots as _, Source};

use crate::ground::{fresh_config, to, until};

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: use `cargo xtask test`"))
}

fn config(password: &str) -> Config {
    let mut config = fresh_config("secured");
    config.bootstrap = variable("PAVANE_TEST_KAFKA_SECURED");
    let authority = variable("PAVANE_TEST_KAFKA_AUTHORITY");
    for (name, value) in [
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", &authority),
        ("sasl.mechanisms", "SCRAM-SHA-512"),
        ("sasl.username", "pavane"),
        ("sasl.password", password),
    ] {
        config.properties.0.insert(name.to_owned(), value.to_owned());
    }
    config
}

#[test]
fn everything_works_over_tls_with_a_password() {
    let kafka = Kafka::connect(config("pavane-secret"), &[]).unwrap();
    kafka::topics::create_all(&kafka, 2).unwrap();
    let mut log = kafka.open(LaneId(0)).unwrap();
    let entry = Entry(Bytes::from_static(b"decided"));
    assert_eq!(log.append(&[entry]).unwrap(), [Some(0)]);
    let read = log.read(Source::Journal, 0, Duration::from_secs(20)).unwrap();
    assert_eq!(read[0].value, Some(Bytes::from_static(b"decided")));
    let mut snapshots = kafka.fence(LaneId(0)).unwrap();
    snapshots.claim(&Bytes::from_static(b"owner")).unwrap();

    let inbox = kafka.topics().inbox();
    kafka.put(to(&inbox, "k", "v")).unwrap();
    let share = Share::Records { topics: vec![inbox], starts: Vec::new() };
    let mut feed = kafka.join(&kafka.topics().group("secured"), share).unwrap();
    until("the record", || match feed.next(Duration::from_secs(1)).unwrap() {
        Fed::Records(records) => Some(records),
        Fed::Idle | Fed::Lanes { .. } => None,
    });
}

#[test]
fn a_wrong_password_is_no_connection() {
    assert!(Kafka::connect(config("wrong"), &[]).is_err());
}

#[test]
fn a_broker_whose_certificate_nobody_vouches_for_is_no_connection() {
    let mut config = config("pavane-secret");
    config.properties.0.remove("ssl.ca.location");
    assert!(Kafka::connect(config, &[]).is_err());
}
