//! Campaigns on a Kafka of their own in their short form; `cargo xtask campaign` runs them for as long as one likes.
#![allow(clippy::unwrap_used, reason = "in a test, that is an assertion")]

use std::time::{Duration, Instant};

use stream::Broker as _;
use tests::campaign::{Kind, Plan, run};
use xtask::kafka::{Cluster, Doors};

/// shows: A1, I4, L1
#[test]
fn coordinators_and_a_broker_are_killed_and_nothing_is_lost() {
    for kind in [Kind::CoordinatorsKilled, Kind::CoordinatorsPaused, Kind::BrokerKilled] {
        let folder = tempfile::tempdir().unwrap();
        let lasts = Duration::from_secs(6);
        let plan = Plan { kind, seed: 1, lasts, workflows: 40, folder: folder.path().to_owned() };
        let outcome = run(&plan).unwrap();
        if !outcome.wrong.is_empty() {
            let kept = folder.keep();
            panic!("{kind}: logs are in {}: {:#}", kept.display(), outcome.json(&plan));
        }
        assert!(!outcome.faults.is_empty(), "{kind}: nothing was done");
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// A client that has seen a partition without a leader believes it for five minutes, unless it is made to ask.
#[test]
fn a_partition_that_has_a_leader_again_is_found_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(folder.path(), 3, Doors::Plain).unwrap();
    let mut config = kafka::Config::at(cluster.bootstrap());
    config.replication = 1;
    let broker = kafka::Kafka::connect(config, &[]).unwrap();
    kafka::topics::create_all(&broker, 3).unwrap();
    let inbox = broker.topics().inbox();
    until("all partitions are led", || broker.kept(&inbox).is_ok());
    let leader = cluster.leader(inbox.as_str()).unwrap();
    cluster.kill(leader).unwrap();
    until("nobody leads partition 0", || broker.kept(&inbox).is_err());
    cluster.restart(leader).unwrap();
    until("all partitions are led again", || broker.kept(&inbox).is_ok());
}
