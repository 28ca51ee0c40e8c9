//! Each check of the broker contract fails on a broker that breaks the promise: the embedded log with
//! one fault planted.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where a promise is broken"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "each fault is planted in one place only")]

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use events::{Offset, Outgoing, Partition, Place, Record, Topic, Topics, partition_of};
use local::{
    Durability, Local, LocalFeed, LocalFollow, LocalLog, LocalOutlet, LocalSnapshots, Options,
};
use stream::{
    Broker, Created, EachState, Entry, Fed, Feed, Follow, Inventory, Key, LaneId, Log, LogError,
    Outlet, Purpose, SendError, Settled, Share, Snapshots, Source, Start, SystemClock, Then,
    Ticket,
};
use tests::contract::{LANES, Stand, checks};

/// What a broker does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    OffsetsAreOneTooHigh,
    EntriesAreReversed,
    OffsetsAreCountedByTheWriter,
    GoneIsSkipped,
    PastEndIsEmpty,
    TooLargeIsRefusedInPart,
    ACrashTakesAll,
    AnEarlierHolderWrites,
    HalfASnapshotIsWritten,
    KeysGoToTheNextPartition,
    PartitionsAreOverlooked,
    TicketsAreSettledTwice,
    FailuresAreHidden,
    AnotherPlaceIsTold,
    NullHeadersAreDropped,
    RecordsComeTwice,
    CommitsAreForgotten,
    StartsAreOverlooked,
    RewindGoesTooFar,
    LateCommitsCount,
    ANewShareBeginsAnew,
    GenerationsStandStill,
    FollowersSeeDouble,
    FollowersBeginAtTheFirst,
    OneTooManyIsKept,
    AllAreRead,
    TopicsAreAlwaysNew,
    NobodyWaits,
}

/// Which check finds which fault, and what it says.
const FOUND: [(&str, Fault, &str); 31] = {
    use Fault::*;
    [
        ("offsets_returned_are_offsets_read", OffsetsAreOneTooHigh, "left == right"),
        ("one_writers_order_is_kept", EntriesAreReversed, "left == right"),
        ("two_writers_see_each_others_gaps", OffsetsAreCountedByTheWriter, "left == right"),
        ("a_dropped_offset_is_gone", GoneIsSkipped, "Err(Gone"),
        ("an_offset_past_the_end_is_said", PastEndIsEmpty, "PastEnd"),
        ("an_entry_that_is_too_large_is_refused_whole", TooLargeIsRefusedInPart, "left == right"),
        ("an_acknowledged_append_survives_a_crash", ACrashTakesAll, "left == right"),
        ("nothing_of_an_earlier_holder_becomes_visible", AnEarlierHolderWrites, "Err(Fenced)"),
        ("a_snapshot_is_visible_whole_or_not_at_all", HalfASnapshotIsWritten, "left == right"),
        ("a_snapshot_survives_a_crash", ACrashTakesAll, "left == right"),
        (
            "a_keys_records_keep_their_order_and_murmur2_places_them",
            KeysGoToTheNextPartition,
            "of key",
        ),
        ("a_record_goes_to_the_partition_that_it_names", PartitionsAreOverlooked, "left == right"),
        ("a_lane_reads_what_lanes_send_to_the_inbox", KeysGoToTheNextPartition, "of lane"),
        ("each_ticket_is_settled_once", TicketsAreSettledTwice, "is settled twice"),
        ("a_record_that_can_not_be_sent_is_said_once", FailuresAreHidden, "Sent(Ticket(7))"),
        ("a_single_record_is_told_its_place_once", AnotherPlaceIsTold, "left == right"),
        ("bytes_come_back_as_they_were", NullHeadersAreDropped, "left == right"),
        ("a_group_shares_every_record_exactly_once", RecordsComeTwice, "a record came twice"),
        ("a_group_goes_on_from_its_commit", CommitsAreForgotten, "more came"),
        (
            "a_group_goes_on_from_its_commit_at_the_latest_after_a_crash",
            CommitsAreForgotten,
            "more came",
        ),
        ("a_group_begins_where_it_is_told", StartsAreOverlooked, "more came"),
        ("a_feed_reads_again_from_where_it_is_rewound_to", RewindGoesTooFar, "more came"),
        ("a_late_commit_moves_no_group_back", LateCommitsCount, "more came"),
        ("a_feed_with_a_new_share_keeps_its_place", ANewShareBeginsAnew, "more came"),
        ("every_lane_has_one_holder", GenerationsStandStill, "the generation rises"),
        ("a_follower_sees_everything", FollowersSeeDouble, "more came"),
        ("a_follower_begins_where_it_is_told", FollowersBeginAtTheFirst, "more came"),
        ("what_is_kept_is_said", OneTooManyIsKept, "left == right"),
        ("what_there_is_is_told", AllAreRead, "nobody reads it yet"),
        ("a_topic_is_made_once", TopicsAreAlwaysNew, "left == right"),
        ("a_wait_ends_when_something_arrives", NobodyWaits, "ended with nothing"),
    ]
};

#[test]
fn each_check_fails_where_its_promise_is_broken() {
    let checks = checks::<Faults>();
    let names: Vec<&str> = checks.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, FOUND.map(|(name, ..)| name), "every check has a fault that it finds");
    std::thread::scope(|scope| {
        for ((name, check), (_, fault, says)) in checks.into_iter().zip(FOUND) {
            scope.spawn(move || finds(name, check, fault, says));
        }
    });
}

fn finds(name: &str, check: fn(&Faults), fault: Fault, says: &str) {
    let stand = Faults { fault, folders: tempfile::tempdir().unwrap(), made: AtomicUsize::new(0) };
    let panic = catch_unwind(AssertUnwindSafe(|| check(&stand)));
    let Err(panic) = panic else { panic!("{name} does not find {fault:?}") };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default();
    assert!(text.contains(says), "{name} fails on {fault:?} for another reason: {text}");
}

/// Where faulty brokers come from.
struct Faults {
    fault: Fault,
    folders: tempfile::TempDir,
    made: AtomicUsize,
}

impl Stand for Faults {
    type Broker = Faulty;

    fn fresh(&self) -> Faulty {
        let folder = self.folders.path().join(self.made.fetch_add(1, Ordering::SeqCst).to_string());
        let options = Options {
            durability: Durability::Os,
            lanes: LANES,
            topics: Topics::default(),
            clock: Arc::new(SystemClock),
            schema_ids: Arc::new(|_| None),
            record_bytes_max: local::RECORD_BYTES_MAX,
        };
        let local = Local::open(&folder, options).unwrap();
        Faulty { fault: self.fault, local }
    }

    fn crashed(&self, broker: Faulty) -> Option<Faulty> {
        (self.fault == Fault::ACrashTakesAll).then(|| {
            drop(broker);
            self.fresh()
        })
    }
}

/// The embedded log, with a fault.
struct Faulty {
    fault: Fault,
    local: Local,
}

/// A handle of the embedded log, with the same fault.
struct With<T> {
    fault: Fault,
    inner: T,
    /// Calls so far.
    calls: Offset,
}

impl Faulty {
    fn with<T>(&self, inner: Result<T, LogError>) -> Result<With<T>, LogError> {
        Ok(With { fault: self.fault, inner: inner?, calls: 0 })
    }
}

impl Broker for Faulty {
    type Log = With<LocalLog>;
    type Snapshots = With<Held>;
    type Feed = With<LocalFeed>;
    type Follow = With<LocalFollow>;
    type Outlet = With<LocalOutlet>;

    fn topics(&self) -> &Topics {
        self.local.topics()
    }

    fn lanes(&self) -> Result<u32, LogError> {
        self.local.lanes()
    }

    fn open(&self, lane: LaneId) -> Result<Self::Log, LogError> {
        self.with(self.local.open(lane))
    }

    fn fence(&self, lane: LaneId) -> Result<Self::Snapshots, LogError> {
        let held =
            self.local.fence(lane).map(|inner| Held { local: self.local.clone(), lane, inner });
        self.with(held)
    }

    fn join(&self, group: &str, share: Share) -> Result<Self::Feed, LogError> {
        let share = match (self.fault, share) {
            (Fault::StartsAreOverlooked, Share::Records { topics, .. }) => {
                Share::Records { topics, starts: Vec::new() }
            }
            (_, share) => share,
        };
        self.with(self.local.join(group, share))
    }

    fn follow(&self, mut from: Vec<(Topic, Start)>) -> Result<Self::Follow, LogError> {
        if self.fault == Fault::FollowersBeginAtTheFirst {
            from.iter_mut().for_each(|(_, start)| *start = Start::Earliest);
        }
        self.with(self.local.follow(from))
    }

    fn outlet(&self) -> Result<Self::Outlet, LogError> {
        self.with(self.local.outlet())
    }

    fn put(&self, record: Outgoing) -> Result<Place, SendError> {
        self.local.put(record)
    }

    fn put_then(&self, record: Outgoing, then: Then) {
        let one_further = Offset::from(self.fault == Fault::AnotherPlaceIsTold);
        let moved = move |place: Place| Place { offset: place.offset + one_further, ..place };
        self.local.put_then(record, Box::new(move |stored| then(stored.map(moved))));
    }

    fn kept(&self, topic: &Topic) -> Result<Option<Vec<Range<Offset>>>, LogError> {
        let mut kept = self.local.kept(topic)?;
        if let (Fault::OneTooManyIsKept, Some(kept)) = (self.fault, &mut kept) {
            kept.iter_mut().for_each(|range| range.end += 1);
        }
        Ok(kept)
    }

    fn create(&self, topic: &Topic, purpose: Purpose) -> Result<Created, LogError> {
        let created = self.local.create(topic, purpose)?;
        Ok(if self.fault == Fault::TopicsAreAlwaysNew { Created::Now } else { created })
    }

    fn inventory(&self) -> Result<Inventory, LogError> {
        let mut inventory = self.local.inventory()?;
        if self.fault == Fault::AllAreRead {
            inventory.read = inventory.topics.clone();
        }
        Ok(inventory)
    }
}

impl Log for With<LocalLog> {
    fn kept(&mut self, source: Source) -> Result<Range<Offset>, LogError> {
        self.inner.kept(source)
    }

    fn read(
        &mut self,
        source: Source,
        from: Offset,
        wait: Duration,
    ) -> Result<Vec<Record>, LogError> {
        let wait = if self.fault == Fault::NobodyWaits { Duration::ZERO } else { wait };
        match (self.fault, self.inner.read(source, from, wait)) {
            (Fault::GoneIsSkipped, Err(LogError::Gone { kept_from })) => {
                self.inner.read(source, kept_from, wait)
            }
            (Fault::PastEndIsEmpty, Err(LogError::PastEnd { .. })) => Ok(Vec::new()),
            (_, read) => read,
        }
    }

    fn entry_bytes_max(&self) -> usize {
        self.inner.entry_bytes_max()
    }

    fn append(&mut self, entries: &[Entry]) -> Result<Vec<Option<Offset>>, LogError> {
        if self.fault == Fault::EntriesAreReversed {
            let reversed: Vec<Entry> = entries.iter().rev().cloned().collect();
            return self.inner.append(&reversed);
        }
        let mut appended = self.inner.append(entries);
        if let (Fault::TooLargeIsRefusedInPart, Err(LogError::TooLarge { .. })) =
            (self.fault, &appended)
        {
            self.inner.append(&entries[..1])?;
        }
        for offset in appended.iter_mut().flatten().flatten() {
            match self.fault {
                Fault::OffsetsAreOneTooHigh => *offset += 1,
                Fault::OffsetsAreCountedByTheWriter => *offset = self.calls,
                _ => {}
            }
            self.calls += 1;
        }
        appended
    }

    fn trim(&mut self, below: Offset) -> Result<(), LogError> {
        self.inner.trim(below)
    }
}

/// Snapshots that can be taken again.
struct Held {
    local: Local,
    lane: LaneId,
    inner: LocalSnapshots,
}

impl Snapshots for With<Held> {
    fn read(&mut self, each: EachState<'_>) -> Result<Option<Bytes>, LogError> {
        self.inner.inner.read(each)
    }

    fn write(&mut self, changed: &[(Key, Option<Bytes>)], marker: &Bytes) -> Result<(), LogError> {
        self.calls += 1;
        let changed = match self.fault {
            Fault::HalfASnapshotIsWritten if self.calls > 1 => &changed[..changed.len() / 2],
            _ => changed,
        };
        match self.inner.inner.write(changed, marker) {
            Err(LogError::Fenced) if self.fault == Fault::AnEarlierHolderWrites => {
                self.inner.inner = self.inner.local.fence(self.inner.lane)?;
                self.inner.inner.write(changed, marker)
            }
            other => other,
        }
    }

    fn claim(&mut self, owner: &Bytes) -> Result<(), LogError> {
        self.inner.inner.claim(owner)
    }
}

impl Feed for With<LocalFeed> {
    fn next(&mut self, wait: Duration) -> Result<Fed, LogError> {
        let fed = self.inner.next(wait)?;
        Ok(match (self.fault, fed) {
            (Fault::GenerationsStandStill, Fed::Lanes { held, .. }) => {
                Fed::Lanes { generation: 1, held }
            }
            (Fault::RecordsComeTwice, Fed::Records(records)) => {
                Fed::Records(records.iter().chain(&records).cloned().collect())
            }
            (_, fed) => fed,
        })
    }

    fn commit(&mut self, done: &[(Topic, Partition, Offset)]) -> Result<(), LogError> {
        match self.fault {
            Fault::CommitsAreForgotten => Ok(()),
            Fault::LateCommitsCount => {
                for (topic, partition, offset) in done {
                    self.inner.rewind(topic, *partition, *offset)?;
                }
                self.inner.commit(done)
            }
            _ => self.inner.commit(done),
        }
    }

    fn reshare(&mut self, share: Share) -> Result<(), LogError> {
        if let (Fault::ANewShareBeginsAnew, Share::Records { topics, .. }) = (self.fault, &share) {
            for topic in topics {
                self.inner.rewind(topic, 0, 0)?;
            }
        }
        self.inner.reshare(share)
    }

    fn rewind(&mut self, topic: &Topic, at: Partition, offset: Offset) -> Result<(), LogError> {
        let too_far = Offset::from(self.fault == Fault::RewindGoesTooFar);
        self.inner.rewind(topic, at, offset - too_far)
    }
}

impl Follow for With<LocalFollow> {
    fn next(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        let mut records = self.inner.next(wait)?;
        if self.fault == Fault::FollowersSeeDouble {
            records.extend(records.last().cloned());
        }
        Ok(records)
    }
}

impl<O: Outlet> Outlet for With<O> {
    fn send(&mut self, ticket: Ticket, mut records: Vec<Outgoing>) -> Result<(), LogError> {
        for record in &mut records {
            match (self.fault, &record.key) {
                (Fault::KeysGoToTheNextPartition, Some(key)) => {
                    record.partition = Some((partition_of(key, LANES) + 1) % LANES);
                }
                (Fault::PartitionsAreOverlooked, _) => record.partition = None,
                (Fault::NullHeadersAreDropped, _) => {
                    record.headers.retain(|header| header.value.is_some());
                }
                _ => {}
            }
        }
        self.inner.send(ticket, records)
    }

    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError> {
        let settled = self.inner.settled(wait)?;
        Ok(match self.fault {
            Fault::TicketsAreSettledTwice => settled.iter().chain(&settled).cloned().collect(),
            Fault::FailuresAreHidden => settled
                .into_iter()
                .map(|settled| match settled {
                    Settled::Sent(ticket) | Settled::Failed { ticket, .. } => Settled::Sent(ticket),
                })
                .collect(),
            _ => settled,
        })
    }
}
