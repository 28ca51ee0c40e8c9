//! The broker in a seeded world keeps the contract of a broker, so that no run is kinder than a real one.
#![allow(clippy::unwrap_used, reason = "a test panics where a promise is broken")]
#![allow(clippy::print_stdout, reason = "what was measured is told to whoever asks by --nocapture")]

#[allow(
    dead_code,
    unreachable_pub,
    reason = "it is the tests' crate's, which runs it over other brokers"
)]
#[path = "../../../tests/src/contract.rs"]
mod contract;

use std::sync::atomic::{AtomicU64, Ordering};

use contract::{LANES, Stand};
use sim::SimBroker;

/// A world for each broker.
#[derive(Default)]
struct Worlds(AtomicU64);

impl Stand for Worlds {
    type Broker = SimBroker;

    fn fresh(&self) -> SimBroker {
        SimBroker::alone(self.0.fetch_add(1, Ordering::Relaxed), LANES)
    }

    /// All that is stored outlives whoever stored it.
    fn crashed(&self, broker: SimBroker) -> Option<SimBroker> {
        Some(broker)
    }
}

/// Here inboxes have offsets at which nothing stands, as where a transaction has ended.
const WITH_HOLES: &str = "a_lane_reads_what_lanes_send_to_the_inbox";
/// A thread of the machine's own waits for another, and time here is that of the world alone.
const IN_REAL_TIME: &str = "a_wait_ends_when_something_arrives";

#[test]
fn the_simulated_broker_keeps_the_contract() {
    let checks = contract::checks::<Worlds>();
    let left_out = [WITH_HOLES, IN_REAL_TIME];
    assert!(left_out.iter().all(|name| checks.iter().any(|(known, _)| known == name)));
    for (name, check) in checks.iter().filter(|(name, _)| !left_out.contains(name)) {
        println!("{name}");
        check(&Worlds::default());
    }
}
