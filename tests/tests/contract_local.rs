//! The embedded log keeps the contract of a broker.
#![allow(clippy::unwrap_used, reason = "a test panics where a promise is broken")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use local::{Durability, Local, Options};
use stream::Broker;
use stream::SystemClock;
use tests::contract::{self, LANES, Stand};

/// Brokers in folders of their own.
struct Folders {
    all: tempfile::TempDir,
    /// The folder of the broker whose topics have that prefix.
    folders: Mutex<HashMap<String, PathBuf>>,
}

impl Folders {
    fn new() -> Self {
        Self { all: tempfile::tempdir().unwrap(), folders: Mutex::default() }
    }

    fn open(&self, prefix: &str, folder: PathBuf) -> Local {
        let broker = Local::open(&folder, options(prefix)).unwrap();
        self.folders.lock().unwrap().insert(broker.topics().inbox().to_string(), folder);
        broker
    }
}

fn options(prefix: &str) -> Options {
    Options {
        durability: Durability::Disk,
        lanes: LANES,
        topics: events::Topics::with_prefix(prefix),
        clock: Arc::new(SystemClock),
        schema_ids: Arc::new(|_| None),
        record_bytes_max: local::RECORD_BYTES_MAX,
    }
}

impl Stand for Folders {
    type Broker = Local;

    fn fresh(&self) -> Local {
        let number = self.folders.lock().unwrap().len();
        self.open(&format!("p{number}."), self.all.path().join(number.to_string()))
    }

    /// What a killed process leaves is what its files hold while it still runs: a copy, taken before
    /// anything is closed.
    fn crashed(&self, broker: Local) -> Option<Local> {
        let inbox = broker.topics().inbox().to_string();
        let folder = self.folders.lock().unwrap().get(&inbox).unwrap().clone();
        let copy = folder.with_extension("copy");
        copy_all(&folder, &copy);
        drop(broker);
        Some(self.open(inbox.strip_suffix("inbox").unwrap(), copy))
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_all(&entry.path(), &target),
            false => {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }
}

macro_rules! tests {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                contract::$name(&Folders::new());
            }
        )*

        #[test]
        fn no_check_is_left_out() {
            let names: Vec<&str> =
                contract::checks::<Folders>().into_iter().map(|(name, _)| name).collect();
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
