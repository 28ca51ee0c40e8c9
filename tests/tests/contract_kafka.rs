//! A real Kafka keeps the contract of a broker.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test panics where a promise is broken"
)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use kafka::{Config, Kafka};
use tests::contract::{self, LANES, Stand};

/// Connections to the Kafka that `PAVANE_TEST_KAFKA` names, each with topics of its own.
struct Prefixes;

impl Stand for Prefixes {
    type Broker = Kafka;

    fn fresh(&self) -> Kafka {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let bootstrap = std::env::var("PAVANE_TEST_KAFKA").expect(
            "PAVANE_TEST_KAFKA=host:port must name a running Kafka: use `cargo xtask test`",
        );
        let mut config = Config::at(&bootstrap);
        config.prefix = format!("contract{now}x{count}.");
        let kafka = Kafka::connect(config, &[]).unwrap();
        kafka::topics::create_all(&kafka, LANES).unwrap();
        kafka
    }

    /// A Kafka that others use too is not ours to kill.
    fn crashed(&self, _: Kafka) -> Option<Kafka> {
        None
    }
}

macro_rules! tests {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                contract::$name(&Prefixes);
            }
        )*

        #[test]
        fn no_check_is_left_out() {
            let names: Vec<&str> =
                contract::checks::<Prefixes>().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

tests! {
    offsets_returned_are_offsets_read
    one_writers_order_is_kept
    two_writers_see_each_others_gaps
    a_dropped_offset_is_gone
    an_offset_past_the_end_is_said
    an_entry_that_is_too_large_is_refused_whole
    an_acknowledged_append_survives_a_crash
    nothing_of_an_earlier_holder_becomes_visible
    a_snapshot_is_visible_whole_or_not_at_all
    a_snapshot_survives_a_crash
    a_keys_records_keep_their_order_and_murmur2_places_them
    a_record_goes_to_the_partition_that_it_names
    a_lane_reads_what_lanes_send_to_the_inbox
    each_ticket_is_settled_once
    a_record_that_can_not_be_sent_is_said_once
    a_single_record_is_told_its_place_once
    bytes_come_back_as_they_were
    a_group_shares_every_record_exactly_once
    a_group_goes_on_from_its_commit
    a_group_goes_on_from_its_commit_at_the_latest_after_a_crash
    a_group_begins_where_it_is_told
    a_feed_reads_again_from_where_it_is_rewound_to
    a_late_commit_moves_no_group_back
    a_feed_with_a_new_share_keeps_its_place
    every_lane_has_one_holder
    a_follower_sees_everything
    a_follower_begins_where_it_is_told
    what_is_kept_is_said
    what_there_is_is_told
    a_topic_is_made_once
    a_wait_ends_when_something_arrives
}
