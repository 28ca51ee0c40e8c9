//! Campaigns on a Kafka of their own in their short form; `cargo xtask campaign` runs them for as long as one likes.

use tests::campaign::{Kind, short};

/// shows: A1, I4, L1
#[test]
fn coordinators_and_a_broker_are_killed_and_nothing_is_lost() {
    for kind in [Kind::CoordinatorsKilled, Kind::CoordinatorsPaused, Kind::BrokerKilled] {
        short(kind);
    }
}
