//! What every broker owes, as one list of checks. A stand gives brokers to check; a check panics where
//! the broker breaks its promise. Nothing here knows which broker it is.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a check panics where a promise is broken"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{
    Destination, Header, Offset, Outgoing, Partition, Payload, Record, Topic, partition_of,
};
use stream::{
    Broker, Created, Entry, Fed, Feed, Follow, LaneId, Log, LogError, Outlet, Purpose, SendError,
    Settled, Share, Snapshots, Source, Start, Ticket,
};

/// How many lanes each broker of a stand has.
pub const LANES: u32 = 4;

/// The longest that anything may take; a group of Kafka needs seconds to agree.
const PATIENCE: Duration = Duration::from_secs(60);
/// A wait that is repeated until the patience is over.
const GLANCE: Duration = Duration::from_millis(50);
/// What a waiting call must end well before.
const LONG: Duration = Duration::from_secs(50);
/// More than any broker takes in one record.
const TOO_LARGE: usize = 32 * 1024 * 1024;

/// Where brokers to check come from.
pub trait Stand {
    /// The kind of broker.
    type Broker: Broker;

    /// A broker with [`LANES`] lanes, whose topics nobody has used before.
    fn fresh(&self) -> Self::Broker;

    /// The same broker after its process was killed: what was not acknowledged may be gone, what was
    /// is there, and no goodbye was said. `None` where the stand can not do that.
    fn crashed(&self, broker: Self::Broker) -> Option<Self::Broker>;
}

/// A check, by its name.
pub type Check<S> = (&'static str, fn(&S));

/// Every check.
#[must_use]
pub fn checks<S: Stand>() -> Vec<Check<S>> {
    macro_rules! list {
        ($($name:ident)*) => { vec![$((stringify!($name), $name as fn(&S))),*] };
    }
    list! {
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
}

/// Runs every check on a stand, one after the other.
pub fn contract<S: Stand>(stand: &S) {
    for (_, check) in checks() {
        check(stand);
    }
}

// ---- journals

/// `append` says where each entry stands, and there it is read.
pub fn offsets_returned_are_offsets_read<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let mut log = broker.open(LaneId(1)).unwrap();
    let mut written = Vec::new();
    for batch in [1, 3, 2] {
        let entries: Vec<Entry> = (0..batch).map(|n| entry(written.len() + n)).collect();
        let offsets = log.append(&entries).unwrap();
        assert_eq!(offsets.len(), entries.len());
        written.extend(
            offsets.into_iter().zip(entries).map(|(at, Entry(bytes))| (at.unwrap(), bytes)),
        );
    }
    assert_eq!(journal(&mut log), written);
    let middle = written[2].0;
    let records = log.read(Source::Journal, middle, PATIENCE).unwrap();
    assert_eq!(records[0].place.offset, middle);
    assert_eq!(records[0].place.topic, broker.topics().journal());
    assert_eq!(records[0].place.partition, 1);
    let mut other = broker.open(LaneId(0)).unwrap();
    assert!(other.kept(Source::Journal).unwrap().is_empty(), "lanes do not share a journal");
}

/// What one writer appends stands in the order of its calls, contiguous.
pub fn one_writers_order_is_kept<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let mut log = broker.open(LaneId(0)).unwrap();
    let mut count = 0;
    for batch in (0..30).map(|round| 1 + round % 7) {
        let entries: Vec<Entry> = (count..count + batch).map(entry).collect();
        log.append(&entries).unwrap();
        count += batch;
    }
    let found = journal(&mut log);
    let expected: Vec<Bytes> = (0..count).map(|n| entry(n).0).collect();
    assert_eq!(found.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(), expected);
    for pair in found.windows(2) {
        assert_eq!(pair[0].0 + 1, pair[1].0, "a journal's offsets are contiguous");
    }
}

/// Two writers on a journal: neither is stopped, and each sees by its offsets that the other wrote.
pub fn two_writers_see_each_others_gaps<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let mut one = broker.open(LaneId(2)).unwrap();
    let mut other = broker.open(LaneId(2)).unwrap();
    let mut append = |first: bool, n| {
        let log = if first { &mut one } else { &mut other };
        log.append(&[entry(n)]).unwrap()[0].unwrap()
    };
    let (a, b, c) = (append(true, 0), append(false, 1), append(true, 2));
    assert_eq!((b, c), (a + 1, a + 2));
    let expected: Vec<_> = (a..).zip((0..3).map(|n| entry(n).0)).collect();
    assert_eq!(journal(&mut one), expected);
    assert_eq!(journal(&mut other), expected);
}

/// What was let go of is said to be gone, with where reading can go on; it is never skipped.
pub fn a_dropped_offset_is_gone<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let mut log = broker.open(LaneId(0)).unwrap();
    let entries: Vec<Entry> = (0..10).map(entry).collect();
    let offsets = log.append(&entries).unwrap();
    let (first, below) = (offsets[0].unwrap(), offsets[5].unwrap());
    log.trim(below).unwrap();
    until("the trimmed journal begins later", || log.kept(Source::Journal).unwrap().start > first);
    let kept = log.kept(Source::Journal).unwrap();
    assert!(kept.start <= below, "nothing at or above the offset is let go of");
    let gone = log.read(Source::Journal, first, Duration::ZERO);
    assert_eq!(gone, Err(LogError::Gone { kept_from: kept.start }));
    assert_eq!(journal(&mut log).len(), usize::try_from(kept.end - kept.start).unwrap());
    let next = log.append(&[entry(10)]).unwrap()[0].unwrap();
    assert_eq!(next, kept.end, "offsets go on");
    // All of it may go; the offsets still go on.
    log.trim(next + 1).unwrap();
    until("all of the journal is gone", || {
        log.kept(Source::Journal).unwrap() == (next + 1..next + 1)
    });
    assert_eq!(log.append(&[entry(11)]).unwrap(), [Some(next + 1)]);
}

/// Nothing to read at the end; past the end, the log was cut off, and that is said.
pub fn an_offset_past_the_end_is_said<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let mut log = broker.open(LaneId(0)).unwrap();
    let last = log.append(&[entry(0), entry(1)]).unwrap()[1].unwrap();
    assert_eq!(log.read(Source::Journal, last + 1, Duration::ZERO), Ok(Vec::new()));
    let past = log.read(Source::Journal, last + 2, PATIENCE);
    assert_eq!(past, Err(LogError::PastEnd { end: last + 1 }));
}

/// One entry that is too large: nothing of the call is stored.
pub fn an_entry_that_is_too_large_is_refused_whole<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let mut log = broker.open(LaneId(0)).unwrap();
    let large = Entry(Bytes::from(vec![7; TOO_LARGE]));
    let refused = log.append(&[entry(0), large]);
    assert!(
        matches!(refused, Err(LogError::TooLarge { bytes }) if bytes >= TOO_LARGE),
        "{refused:?}"
    );
    let after = log.append(&[entry(1)]).unwrap()[0].unwrap();
    assert_eq!(journal(&mut log), [(after, entry(1).0)]);
}

/// What was acknowledged is there after the process was killed, and offsets go on behind it.
pub fn an_acknowledged_append_survives_a_crash<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let mut log = broker.open(LaneId(3)).unwrap();
    let mut outlet = broker.outlet().unwrap();
    log.append(&(0..20).map(entry).collect::<Vec<_>>()).unwrap();
    log.trim(5).unwrap();
    send_all(&mut outlet, (0..20).map(|n| to(Destination::Inbox, &n.to_string(), n)).collect());
    let kept = log.kept(Source::Journal).unwrap();
    let (stood, inbox) = (journal(&mut log), broker.kept(&broker.topics().inbox()).unwrap());
    drop((log, outlet));
    let Some(broker) = stand.crashed(broker) else { return };
    let mut log = broker.open(LaneId(3)).unwrap();
    assert_eq!(journal(&mut log), stood);
    assert_eq!(log.kept(Source::Journal).unwrap(), kept);
    assert_eq!(broker.kept(&broker.topics().inbox()).unwrap(), inbox);
    assert_eq!(log.append(&[entry(20)]).unwrap(), [Some(20)]);
}

// ---- snapshots

/// From the return of `fence` on, no earlier holder can write or claim.
pub fn nothing_of_an_earlier_holder_becomes_visible<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let lane = LaneId(1);
    let mut first = broker.fence(lane).unwrap();
    assert_eq!(first.load().unwrap(), stream::Snapshot::default());
    first.claim(&text("first")).unwrap();
    first.write(&[("a".into(), Some(text("1")))], &text("of first")).unwrap();
    let mut second = broker.fence(lane).unwrap();
    assert_eq!(second.load().unwrap().marker, Some(text("of first")));
    let late = first.write(&[("a".into(), Some(text("late")))], &text("late"));
    assert_eq!(late, Err(LogError::Fenced));
    second.claim(&text("second")).unwrap();
    let mut third = broker.fence(lane).unwrap();
    assert_eq!(second.claim(&text("late")), Err(LogError::Fenced));
    let loaded = third.load().unwrap();
    assert_eq!(loaded.marker, Some(text("of first")));
    assert_eq!(loaded.states, [("a".into(), text("1"))]);
    // Another lane's holder is nobody's rival.
    broker.fence(LaneId(2)).unwrap();
    third.claim(&text("third")).unwrap();
    third.write(&[("a".into(), None)], &text("of third")).unwrap();
    let loaded = broker.fence(lane).unwrap().load().unwrap();
    assert_eq!((loaded.marker, loaded.states), (Some(text("of third")), Vec::new()));
}

/// Whoever loads finds states and marker of one write, whenever the writer was stopped.
pub fn a_snapshot_is_visible_whole_or_not_at_all<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let lane = LaneId(0);
    let keys: Vec<stream::Key> = (0..50).map(|n| format!("key {n}").into()).collect();
    for round in 0_u64..5 {
        let mut writer = broker.fence(lane).unwrap();
        writer.load().unwrap();
        let (wrote, written) = mpsc::channel();
        let keys_there = keys.clone();
        let thread = std::thread::spawn(move || {
            for n in 0_u64.. {
                let number = Bytes::from((round * 1_000_000 + n).to_string());
                let changed: Vec<_> =
                    keys_there.iter().map(|key| (key.clone(), Some(number.clone()))).collect();
                match writer.write(&changed, &number) {
                    Ok(()) => wrote.send(n).unwrap_or(()),
                    Err(error) => return error,
                }
            }
            unreachable!("it writes until it is fenced")
        });
        while written.recv_timeout(PATIENCE).unwrap() < 2 {}
        let mut next = broker.fence(lane).unwrap();
        let loaded = next.load().unwrap();
        let marker = loaded.marker.unwrap();
        assert_eq!(loaded.states.len(), keys.len());
        for (key, state) in loaded.states {
            assert_eq!(state, marker, "{key} is of another write than the marker");
        }
        // Fenced, or whatever else a broker says of a write that it broke off: not stored.
        thread.join().unwrap();
        assert_eq!(next.load().unwrap().marker, Some(marker), "a fenced write became visible");
    }
}

/// A snapshot that was written is there after the process was killed, and its holder is fenced.
pub fn a_snapshot_survives_a_crash<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let mut holder = broker.fence(LaneId(0)).unwrap();
    holder.load().unwrap();
    holder.write(&[("a".into(), Some(text("1"))), ("b".into(), None)], &text("m")).unwrap();
    drop(holder);
    let Some(broker) = stand.crashed(broker) else { return };
    let loaded = broker.fence(LaneId(0)).unwrap().load().unwrap();
    assert_eq!((loaded.marker, loaded.states), (Some(text("m")), vec![("a".into(), text("1"))]));
}

// ---- sending

/// Records of one key stand in the order in which they were sent, on the partition that Java's client
/// would choose; their times do not fall.
pub fn a_keys_records_keep_their_order_and_murmur2_places_them<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let (topic, count) = user_topic(&broker, "orders");
    let mut outlet = broker.outlet().unwrap();
    let mut follow = broker.follow(vec![(topic.clone(), Start::Earliest)]).unwrap();
    let mut tickets = 0;
    for n in (0..300).step_by(3) {
        let records = (n..n + 3).map(|n| named(&topic, &format!("o-{}", n % 11), n)).collect();
        outlet.send(Ticket(tickets), records).unwrap();
        tickets += 1;
    }
    settle(&mut outlet, tickets);
    let mut last: BTreeMap<Bytes, usize> = BTreeMap::new();
    let mut times = BTreeMap::new();
    for record in follow_for(&mut follow, 300) {
        let key = record.key.clone().unwrap();
        assert_eq!(record.place.partition, partition_of(&key, count), "of key {key:?}");
        let number = number_in(&record);
        assert!(last.insert(key, number) < Some(number), "{record:?} is out of order");
        let time = times.insert(record.place.partition, record.timestamp);
        assert!(time <= Some(record.timestamp), "time falls at {}", record.place);
    }
}

/// A record that names a partition stands there, whatever its key.
pub fn a_record_goes_to_the_partition_that_it_names<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let inbox = broker.topics().inbox();
    let mut outlet = broker.outlet().unwrap();
    let mut follow = broker.follow(vec![(inbox, Start::Earliest)]).unwrap();
    let all = (0..LANES).map(|lane| Outgoing {
        partition: Some(lane),
        ..to(Destination::Inbox, "same", usize::try_from(lane).unwrap())
    });
    send_all(&mut outlet, all.collect());
    for record in follow_for(&mut follow, usize::try_from(LANES).unwrap()) {
        assert_eq!(usize::try_from(record.place.partition).unwrap(), number_in(&record));
    }
}

/// Lanes write to the inbox too, and each reads its share of it, itself included.
pub fn a_lane_reads_what_lanes_send_to_the_inbox<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let mut lane = broker.open(LaneId(1)).unwrap();
    let keys: Vec<String> = (0..20).map(|n| format!("child:{n}")).collect();
    let home = |key: &str| partition_of(key.as_bytes(), LANES);
    send_all(&mut lane, (0..).zip(&keys).map(|(n, key)| to(Destination::Inbox, key, n)).collect());
    let kept = broker.kept(&broker.topics().inbox()).unwrap().unwrap();
    for (n, range) in (0..).zip(kept) {
        let expected: Vec<&String> = keys.iter().filter(|key| home(key) == n).collect();
        assert_eq!(range, 0..Offset::try_from(expected.len()).unwrap(), "of lane {n}");
        let mut other = (n != 1).then(|| broker.open(LaneId(n)).unwrap());
        let log = other.as_mut().unwrap_or(&mut lane);
        let mut read = Vec::new();
        while read.len() < expected.len() {
            let next = Offset::try_from(read.len()).unwrap();
            read.extend(log.read(Source::Inbox, next, PATIENCE).unwrap());
        }
        let found: Vec<_> = read.iter().map(|record| record.key.clone().unwrap()).collect();
        assert_eq!(found, expected.iter().map(|key| text(key)).collect::<Vec<_>>());
    }
}

/// Each ticket is reported once, and never again.
pub fn each_ticket_is_settled_once<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let (topic, _) = user_topic(&broker, "orders");
    let mut outlet = broker.outlet().unwrap();
    for n in 0..100_usize {
        let records = (0..n % 4).map(|_| named(&topic, &n.to_string(), n)).collect();
        outlet.send(Ticket(u64::try_from(n).unwrap()), records).unwrap();
    }
    let mut seen = BTreeSet::new();
    until("all tickets are settled", || {
        for settled in outlet.settled(GLANCE).unwrap() {
            let Settled::Sent(ticket) = settled else { panic!("{settled:?}") };
            assert!(seen.insert(ticket), "{ticket:?} is settled twice");
        }
        seen.len() == 100
    });
    assert_eq!(outlet.settled(GLANCE), Ok(Vec::new()));
}

/// What can never be sent is said, once, by its place in the call; the rest of the call is stored.
pub fn a_record_that_can_not_be_sent_is_said_once<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let (topic, _) = user_topic(&broker, "orders");
    let mut outlet = broker.outlet().unwrap();
    let large = Outgoing {
        value: Payload::Bytes(Bytes::from(vec![7; TOO_LARGE])),
        ..named(&topic, "a", 0)
    };
    outlet.send(Ticket(7), vec![named(&topic, "a", 1), large]).unwrap();
    let mut found = Vec::new();
    until("the ticket is settled", || {
        found.append(&mut outlet.settled(GLANCE).unwrap());
        !found.is_empty()
    });
    found.append(&mut outlet.settled(GLANCE).unwrap());
    let [Settled::Failed { ticket: Ticket(7), index: 1, error: SendError::Never(_) }] = &*found
    else {
        panic!("{found:?}");
    };
    until("the other record is stored", || records_in(&broker, &topic) == 1);
}

/// Who stores single records without waiting is told of each one, once: where it stands, or that it never
/// will. The first are of a topic that the broker has not met.
pub fn a_single_record_is_told_its_place_once<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let (topic, _) = user_topic(&broker, "orders");
    let large = Payload::Bytes(Bytes::from(vec![7; TOO_LARGE]));
    let (said, hear) = mpsc::channel();
    for n in 0..20_usize {
        let said = said.clone();
        let then = move |stored| said.send((n, stored)).unwrap();
        let record = named(&topic, &n.to_string(), n);
        let record = if n == 7 { Outgoing { value: large.clone(), ..record } } else { record };
        broker.put_then(record, Box::new(then));
    }
    let told: Vec<_> = (0..20).map(|_| hear.recv_timeout(PATIENCE).unwrap()).collect();
    drop(said);
    assert_eq!(hear.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));

    let mut follow = broker.follow(vec![(topic, Start::Earliest)]).unwrap();
    let stored: BTreeMap<_, _> = follow_for(&mut follow, 19)
        .into_iter()
        .map(|record| (number_in(&record), record.place))
        .collect();
    for (n, place) in told {
        match place {
            Err(SendError::Never(_)) if n == 7 => {}
            place => assert_eq!(place, Ok(stored[&n].clone())),
        }
    }
}

/// Null and empty, keys, values and headers: all as they were sent.
pub fn bytes_come_back_as_they_were<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let (topic, _) = user_topic(&broker, "orders");
    let header = |name: &'static str, value: Option<&'static [u8]>| Header {
        name: name.into(),
        value: value.map(Bytes::from_static),
    };
    let record = |key: Option<&'static [u8]>, value: Payload, headers| Outgoing {
        to: Destination::Named(topic.clone()),
        partition: Some(0),
        key: key.map(Bytes::from_static),
        value,
        headers,
    };
    let sent = [
        record(None, Payload::Null, vec![]),
        record(Some(b""), Payload::Bytes(Bytes::new()), vec![header("", Some(b""))]),
        record(
            Some(b"\xff\x00"),
            Payload::Bytes(Bytes::from_static(b"{\xfe")),
            vec![
                header("a", Some(b"1")),
                header("b", None),
                header("a", Some(b"2")),
                header("a", Some(b"\xff")),
            ],
        ),
        record(None, Payload::Bytes(Bytes::from_static(b"x")), vec![]),
        record(Some(b"k"), Payload::Null, vec![header("z", None), header("z", None)]),
    ];
    let mut outlet = broker.outlet().unwrap();
    let mut follow = broker.follow(vec![(topic.clone(), Start::Earliest)]).unwrap();
    send_all(&mut outlet, sent.to_vec());
    for (record, sent) in follow_for(&mut follow, sent.len()).iter().zip(&sent) {
        let value = match &sent.value {
            Payload::Bytes(bytes) => Some(bytes.clone()),
            Payload::Null | Payload::Avro { .. } => None,
        };
        assert_eq!((&record.key, &record.value), (&sent.key, &value));
        assert_eq!(record.headers, sent.headers);
    }
}

// ---- groups

/// While its members stay the same, each record comes to one of them, once, in order.
pub fn a_group_shares_every_record_exactly_once<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let (topic, count) = user_topic(&broker, "orders");
    let mut outlet = broker.outlet().unwrap();
    let join = || broker.join(&group(&broker, "pickers"), records_of(&[&topic])).unwrap();
    let mut members = [join(), join()];
    let mut before = Vec::new();
    for round in 0..30 {
        let sent: BTreeSet<usize> = (0..100).map(|n| round * 100 + n).collect();
        let all = sent.iter().map(|n| Outgoing {
            partition: u32::try_from(n % usize::try_from(count).unwrap()).ok(),
            ..named(&topic, "k", *n)
        });
        send_all(&mut outlet, all.collect());
        let mut found: Vec<(usize, Partition, usize)> = Vec::new();
        until("the group has seen every record", || {
            for (member, feed) in members.iter_mut().enumerate() {
                let records = records_from(feed);
                found.extend(
                    records
                        .iter()
                        .map(|record| (member, record.place.partition, number_in(record))),
                );
                let done = records
                    .iter()
                    .map(|record| (topic.clone(), record.place.partition, record.place.offset + 1));
                feed.commit(&done.collect::<Vec<_>>()).unwrap();
            }
            found.iter().map(|(.., n)| *n).collect::<BTreeSet<_>>().is_superset(&sent)
        });
        let owners: BTreeSet<(Partition, usize)> =
            found.iter().map(|(member, partition, _)| (*partition, *member)).collect();
        let both = owners.iter().map(|(_, member)| member).collect::<BTreeSet<_>>().len() == 2;
        let one_each = owners.len() == usize::try_from(count).unwrap();
        before.push(owners.clone());
        // Stable: two rounds in which each partition was one member's, and the same one's.
        if both && one_each && before.len() > 1 && before[before.len() - 2] == owners {
            for feed in &mut members {
                assert_eq!(records_from(feed), [], "nothing is left");
            }
            assert_eq!(found.len(), sent.len(), "a record came twice: {found:?}");
            for partition in 0..count {
                let numbers: Vec<usize> =
                    found.iter().filter(|(_, at, _)| *at == partition).map(|(.., n)| *n).collect();
                assert!(
                    numbers.is_sorted(),
                    "partition {partition} came out of order: {numbers:?}"
                );
            }
            return;
        }
    }
    panic!("the members never shared the partitions: {before:?}");
}

/// A member that leaves and comes again goes on from what was committed, not from what was read.
pub fn a_group_goes_on_from_its_commit<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let topic = ten_records(&broker);
    let mut feed = broker.join(&group(&broker, "pickers"), records_of(&[&topic])).unwrap();
    assert_eq!(offsets(&mut feed, 10), (0..10).collect::<Vec<_>>());
    feed.commit(&[(topic.clone(), 0, 6)]).unwrap();
    drop(feed);
    let mut feed = broker.join(&group(&broker, "pickers"), records_of(&[&topic])).unwrap();
    assert_eq!(offsets(&mut feed, 4), [6, 7, 8, 9]);
    let mut feed = broker.join(&group(&broker, "others"), records_of(&[&topic])).unwrap();
    assert_eq!(offsets(&mut feed, 10)[0], 0, "another group has its own place");
}

/// After the process was killed a group goes on from its last commit, or somewhat before, and misses
/// nothing.
pub fn a_group_goes_on_from_its_commit_at_the_latest_after_a_crash<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let topic = ten_records(&broker);
    let mut feed = broker.join(&group(&broker, "pickers"), records_of(&[&topic])).unwrap();
    offsets(&mut feed, 10);
    feed.commit(&[(topic.clone(), 0, 3)]).unwrap();
    drop(feed);
    let mut feed = broker.join(&group(&broker, "pickers"), records_of(&[&topic])).unwrap();
    offsets(&mut feed, 7);
    feed.commit(&[(topic.clone(), 0, 6)]).unwrap();
    drop(feed);
    let Some(broker) = stand.crashed(broker) else { return };
    let mut feed = broker.join(&group(&broker, "pickers"), records_of(&[&topic])).unwrap();
    let found = offsets(&mut feed, 4);
    assert!((3..=6).contains(&found[0]), "{found:?} does not go on from the commit at 3 or 6");
    assert!(found.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{found:?}");
}

/// Where nothing is committed, a partition begins where `starts` says, else at its first record; a
/// commit goes before both.
pub fn a_group_begins_where_it_is_told<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let topic = ten_records(&broker);
    let starts = |offset| Share::Records {
        topics: vec![topic.clone()],
        starts: vec![(topic.clone(), 0, offset)],
    };
    let mut feed = broker.join(&group(&broker, "pickers"), starts(7)).unwrap();
    assert_eq!(offsets(&mut feed, 3), [7, 8, 9]);
    feed.commit(&[(topic.clone(), 0, 9)]).unwrap();
    drop(feed);
    let mut feed = broker.join(&group(&broker, "pickers"), starts(2)).unwrap();
    assert_eq!(offsets(&mut feed, 1), [9]);
    let elsewhere =
        Share::Records { topics: vec![topic.clone()], starts: vec![(topic.clone(), 1, 5)] };
    let mut feed = broker.join(&group(&broker, "others"), elsewhere).unwrap();
    assert_eq!(offsets(&mut feed, 10)[0], 0, "a partition that is not named begins at its first");
}

/// A rewound partition is read again from there, and only where it is further already.
pub fn a_feed_reads_again_from_where_it_is_rewound_to<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let topic = ten_records(&broker);
    let mut feed = broker.join(&group(&broker, "pickers"), records_of(&[&topic])).unwrap();
    offsets(&mut feed, 10);
    feed.rewind(&topic, 0, 4).unwrap();
    assert_eq!(offsets(&mut feed, 6), [4, 5, 6, 7, 8, 9]);
    feed.rewind(&topic, 0, 4).unwrap();
    feed.rewind(&topic, 0, 8).unwrap();
    assert_eq!(offsets(&mut feed, 6), [4, 5, 6, 7, 8, 9], "8 is not behind 4");
}

/// Who has lost a partition and got it back settles something of before only now: what others have done of it
/// meanwhile stays done. Who reads it again may commit lower.
pub fn a_late_commit_moves_no_group_back<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let topic = ten_records(&broker);
    let (other, _) = user_topic(&broker, "more");
    let mut late = broker.join(&group(&broker, "pickers"), records_of(&[&topic])).unwrap();
    offsets(&mut late, 10);
    late.reshare(records_of(&[&other])).unwrap();
    let mut swift = broker.join(&group(&broker, "pickers"), records_of(&[&topic])).unwrap();
    let mut seen = 0;
    until("the swift one has every record", || {
        // A group changes only while each of its members reads.
        assert_eq!(records_from(&mut late), []);
        seen += records_from(&mut swift).len();
        seen >= 10
    });
    swift.commit(&[(topic.clone(), 0, 8)]).unwrap();
    drop(swift);
    late.reshare(records_of(&[&topic])).unwrap();
    assert_eq!(offsets(&mut late, 2), [8, 9]);
    late.commit(&[(topic.clone(), 0, 3)]).unwrap();
    drop(late);
    let mut feed = broker.join(&group(&broker, "pickers"), records_of(&[&topic])).unwrap();
    assert_eq!(offsets(&mut feed, 2), [8, 9], "a late commit has moved the group back");
    feed.rewind(&topic, 0, 4).unwrap();
    assert_eq!(offsets(&mut feed, 6), [4, 5, 6, 7, 8, 9]);
    feed.commit(&[(topic.clone(), 0, 5)]).unwrap();
    drop(feed);
    let mut feed = broker.join(&group(&broker, "pickers"), records_of(&[&topic])).unwrap();
    assert_eq!(offsets(&mut feed, 5), [5, 6, 7, 8, 9]);
}

/// A feed whose topics change keeps its place in those that stay, and lets go of the others.
pub fn a_feed_with_a_new_share_keeps_its_place<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let first = ten_records(&broker);
    let (second, _) = user_topic(&broker, "more");
    let mut outlet = broker.outlet().unwrap();
    let mut put = |topic: &Topic, n| {
        send_all(&mut outlet, vec![Outgoing { partition: Some(0), ..named(topic, "k", n) }]);
    };
    put(&second, 20);
    let mut feed = broker.join(&group(&broker, "pickers"), records_of(&[&first])).unwrap();
    offsets(&mut feed, 10);
    feed.reshare(records_of(&[&first, &second])).unwrap();
    put(&first, 10);
    let found = places(&mut feed, 2);
    let expected = BTreeSet::from([(first.clone(), 10), (second.clone(), 0)]);
    assert_eq!(found, expected, "uncommitted records of the topic that stayed came again, or none");
    feed.reshare(records_of(&[&second])).unwrap();
    put(&first, 11);
    put(&second, 21);
    assert_eq!(places(&mut feed, 1), BTreeSet::from([(second, 1)]));
}

/// The lanes are shared among the members; who leaves hands its own on; the generation rises.
pub fn every_lane_has_one_holder<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let all: BTreeSet<LaneId> = (0..LANES).map(LaneId).collect();
    let mut one = broker.join(&group(&broker, "coordinator"), Share::Lanes).unwrap();
    let mut ours = Held::default();
    until("the only member holds every lane", || ours.hear(&mut one) == &all);
    let mut other = broker.join(&group(&broker, "coordinator"), Share::Lanes).unwrap();
    let mut theirs = Held::default();
    until("two members share the lanes", || {
        let mut both = ours.hear(&mut one).clone();
        let apart = both.is_disjoint(theirs.hear(&mut other));
        both.extend(&theirs.lanes);
        apart && both == all && !ours.lanes.is_empty() && !theirs.lanes.is_empty()
    });
    drop(one);
    until("the one who is left holds every lane", || theirs.hear(&mut other) == &all);
}

// ---- topics

/// A follower reads all partitions from the first record, and what comes later too.
pub fn a_follower_sees_everything<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let (topic, count) = user_topic(&broker, "orders");
    let mut outlet = broker.outlet().unwrap();
    let mut put = |numbers: std::ops::Range<usize>| {
        send_all(&mut outlet, numbers.map(|n| named(&topic, &n.to_string(), n)).collect());
    };
    put(0..100);
    let mut follow = broker.follow(vec![(topic.clone(), Start::Earliest)]).unwrap();
    let mut found = follow_for(&mut follow, 100);
    put(100..200);
    found.append(&mut follow_for(&mut follow, 100));
    let mut places: BTreeMap<Partition, Vec<Offset>> = BTreeMap::new();
    for record in &found {
        places.entry(record.place.partition).or_default().push(record.place.offset);
    }
    assert_eq!(places.len(), usize::try_from(count).unwrap(), "every partition is read");
    for (partition, offsets) in places {
        assert!(offsets.is_sorted(), "partition {partition} came out of order: {offsets:?}");
    }
    let numbers: BTreeSet<usize> = found.iter().map(number_in).collect();
    assert_eq!(numbers, (0..200).collect());
    assert_eq!(follow.next(GLANCE), Ok(Vec::new()));
    let none = broker.follow(vec![(Topic::from(format!("{topic}.none")), Start::Earliest)]);
    assert!(
        matches!(none, Err(LogError::Lost(_))),
        "a topic that does not exist can not be followed"
    );
}

/// A follower begins at the end as it is when it is opened, or at the offsets that it is given.
pub fn a_follower_begins_where_it_is_told<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let topic = ten_records(&broker);
    let follow = |start| broker.follow(vec![(topic.clone(), start)]).unwrap();
    let mut end = follow(Start::End);
    let mut named_elsewhere = follow(Start::At(vec![(1, 0)]));
    let mut at = follow(Start::At(vec![(0, 8)]));
    let mut outlet = broker.outlet().unwrap();
    send_all(&mut outlet, vec![Outgoing { partition: Some(0), ..named(&topic, "k", 10) }]);
    let offsets = |follow: &mut <S::Broker as Broker>::Follow, count| {
        follow_for(follow, count).iter().map(|record| record.place.offset).collect::<Vec<_>>()
    };
    assert_eq!(offsets(&mut end, 1), [10]);
    assert_eq!(offsets(&mut at, 3), [8, 9, 10]);
    assert_eq!(offsets(&mut named_elsewhere, 11)[0], 0);
}

/// What is kept is said for each partition; of a topic that does not exist, that there is none.
pub fn what_is_kept_is_said<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    assert_eq!(broker.lanes(), Ok(LANES));
    let topic = ten_records(&broker);
    let kept = broker.kept(&topic).unwrap().unwrap();
    assert_eq!(kept[0], 0..10);
    assert!(kept[1..].iter().all(std::ops::Range::is_empty), "{kept:?}");
    assert_eq!(broker.kept(&Topic::from(format!("{topic}.none"))), Ok(None));
    let inbox = broker.kept(&broker.topics().inbox()).unwrap().unwrap();
    assert_eq!(inbox.len(), usize::try_from(LANES).unwrap());
}

/// Topics that there are, and those that somebody reads, are told.
pub fn what_there_is_is_told<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let (topic, other) = (ten_records(&broker), broker.topics().inbox());
    let before = broker.inventory().unwrap();
    assert!(before.topics.contains(&topic) && before.topics.contains(&other), "{before:?}");
    assert!(!before.read.contains(&topic), "nobody reads it yet");
    let share = Share::Records { topics: vec![topic.clone()], starts: Vec::new() };
    let mut feed = broker.join(&broker.topics().group("told"), share).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !broker.inventory().unwrap().read.contains(&topic) {
        assert!(Instant::now() < deadline, "nobody is told to read {topic}");
        let _ = feed.next(GLANCE).unwrap();
    }
}

/// Making a topic that there is changes nothing, and says so.
pub fn a_topic_is_made_once<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let topic = Topic::from(format!("{}.made", broker.topics().inbox()));
    assert_eq!(broker.kept(&topic), Ok(None));
    assert_eq!(broker.create(&topic, Purpose::Tasks), Ok(Created::Now));
    let mut outlet = broker.outlet().unwrap();
    send_all(&mut outlet, vec![named(&topic, "k", 0)]);
    assert_eq!(broker.create(&topic, Purpose::DeadLetters), Ok(Created::Before));
    assert_eq!(records_in(&broker, &topic), 1);
    assert_eq!(broker.create(&broker.topics().inbox(), Purpose::Inbox), Ok(Created::Before));
}

/// Whoever waits is woken by what it waits for, not by the clock.
pub fn a_wait_ends_when_something_arrives<S: Stand>(stand: &S) {
    let broker = stand.fresh();
    let (topic, _) = user_topic(&broker, "orders");
    let mut outlet = broker.outlet().unwrap();
    let inbox = |n| Outgoing { partition: Some(0), ..to(Destination::Inbox, "k", n) };

    let from = broker.kept(&broker.topics().inbox()).unwrap().unwrap()[0].end;
    let mut log = broker.open(LaneId(0)).unwrap();
    // The first read and the first record set up what a broker sets up once.
    let _ = log.read(Source::Inbox, from, GLANCE).unwrap();
    send_all(&mut outlet, vec![inbox(0)]);
    waits(
        || broker.open(LaneId(0)).unwrap().read(Source::Inbox, from + 1, LONG).unwrap(),
        || {
            later(&mut outlet, inbox(1));
        },
    );

    let mut follow = broker.follow(vec![(topic.clone(), Start::End)]).unwrap();
    assert_eq!(follow.next(GLANCE), Ok(Vec::new()));
    waits(move || follow.next(LONG).unwrap(), || later(&mut outlet, named(&topic, "k", 0)));

    let mut feed = broker.join(&group(&broker, "pickers"), records_of(&[&topic])).unwrap();
    assert_eq!(offsets(&mut feed, 1), [0]);
    waits(
        move || match feed.next(LONG).unwrap() {
            Fed::Records(records) => records,
            other @ (Fed::Idle | Fed::Lanes { .. }) => panic!("{other:?}"),
        },
        || later(&mut outlet, named(&topic, "k", 1)),
    );

    outlet.send(Ticket(1_000_000), vec![named(&topic, "k", 2)]).unwrap();
    waits(move || outlet.settled(LONG).unwrap(), || {});
}

// ---- what the checks are made of

/// Runs `wait` on a thread, then `cause`: the wait gives something long before its time.
fn waits<T: Debug + Send>(wait: impl FnOnce() -> Vec<T> + Send, cause: impl FnOnce()) {
    let (found, took) = std::thread::scope(|scope| {
        let (begin, begun) = mpsc::channel();
        let thread = scope.spawn(move || {
            begin.send(Instant::now()).unwrap();
            (wait(), Instant::now())
        });
        let begun = begun.recv_timeout(PATIENCE).unwrap();
        cause();
        let (found, ended) = thread.join().unwrap();
        (found, ended - begun)
    });
    assert!(!found.is_empty(), "the wait ended with nothing");
    assert!(took < LONG / 2, "the wait ended by the clock, after {took:?}");
}

/// Gives the one who waits time to begin, then sends.
fn later<O: Outlet>(outlet: &mut O, record: Outgoing) {
    assert_eq!(outlet.settled(GLANCE), Ok(Vec::new()));
    send_all(outlet, vec![record]);
}

/// Repeats `done` until it is true.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
    }
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn entry(n: usize) -> Entry {
    Entry(Bytes::from(format!("entry {n}")))
}

fn journal<L: Log>(log: &mut L) -> Vec<(Offset, Bytes)> {
    let kept = log.kept(Source::Journal).unwrap();
    let (mut next, mut found) = (kept.start, Vec::new());
    while next < kept.end {
        let records = log.read(Source::Journal, next, PATIENCE).unwrap();
        assert!(!records.is_empty(), "nothing at {next}, below the end {}", kept.end);
        for record in records {
            assert_eq!(record.place.offset, next, "a journal's offsets are contiguous");
            found.push((record.place.offset, record.value.unwrap()));
            next += 1;
        }
    }
    found
}

fn to(to: Destination, key: &str, n: usize) -> Outgoing {
    Outgoing {
        to,
        partition: None,
        key: Some(text(key)),
        value: Payload::Bytes(text(&n.to_string())),
        headers: vec![Header::text("ce_type", "Test")],
    }
}

fn named(topic: &Topic, key: &str, n: usize) -> Outgoing {
    to(Destination::Named(topic.clone()), key, n)
}

/// The number that [`to`] put in.
fn number_in(record: &Record) -> usize {
    std::str::from_utf8(record.value.as_ref().unwrap()).unwrap().parse().unwrap()
}

/// The name of a group that only this broker's members join, as services name theirs.
fn group<B: Broker>(broker: &B, name: &str) -> String {
    broker.topics().group(name)
}

/// A user's topic that nobody has used, and how many partitions it has.
fn user_topic<B: Broker>(broker: &B, name: &str) -> (Topic, u32) {
    // Behind the prefix of this broker's own topics, so that two brokers on one Kafka do not meet.
    let topic = Topic::from(format!("{}.{name}", broker.topics().inbox()));
    assert_eq!(broker.create(&topic, Purpose::User), Ok(Created::Now));
    let count = broker.kept(&topic).unwrap().unwrap().len();
    assert!(count > 1, "the checks want a topic of several partitions");
    (topic, u32::try_from(count).unwrap())
}

/// A user's topic with the offsets 0 to 9 on partition 0.
fn ten_records<B: Broker>(broker: &B) -> Topic {
    let (topic, _) = user_topic(broker, "ten");
    let mut outlet = broker.outlet().unwrap();
    let all = (0..10).map(|n| Outgoing { partition: Some(0), ..named(&topic, "k", n) });
    send_all(&mut outlet, all.collect());
    topic
}

/// Sends each record under a ticket of its own and waits until all are stored.
fn send_all<O: Outlet>(outlet: &mut O, records: Vec<Outgoing>) {
    let count = u64::try_from(records.len()).unwrap();
    for (ticket, record) in (0..).zip(records) {
        outlet.send(Ticket(ticket), vec![record]).unwrap();
    }
    settle(outlet, count);
}

fn settle<O: Outlet>(outlet: &mut O, count: u64) {
    let mut settled = 0;
    until("all is sent", || {
        for ticket in outlet.settled(GLANCE).unwrap() {
            assert!(matches!(ticket, Settled::Sent(_)), "{ticket:?}");
            settled += 1;
        }
        settled >= count
    });
}

fn records_in<B: Broker>(broker: &B, topic: &Topic) -> Offset {
    let kept = broker.kept(topic).unwrap().unwrap();
    kept.iter().map(|range| range.end - range.start).sum()
}

fn follow_for<F: Follow>(follow: &mut F, count: usize) -> Vec<Record> {
    let mut found = Vec::new();
    until("the follower has seen every record", || {
        found.append(&mut follow.next(GLANCE).unwrap());
        found.len() >= count
    });
    assert_eq!(found.len(), count, "more came than was sent");
    found
}

fn records_of(topics: &[&Topic]) -> Share {
    let topics = topics.iter().map(|topic| (*topic).clone()).collect();
    Share::Records { topics, starts: Vec::new() }
}

fn records_from<F: Feed>(feed: &mut F) -> Vec<Record> {
    match feed.next(GLANCE).unwrap() {
        Fed::Records(records) => records,
        Fed::Idle => Vec::new(),
        lanes @ Fed::Lanes { .. } => panic!("a feed of records gave {lanes:?}"),
    }
}

/// The next `count` records of a feed.
fn fed<F: Feed>(feed: &mut F, count: usize) -> Vec<Record> {
    let mut found = Vec::new();
    until("the feed has given every record", || {
        found.append(&mut records_from(feed));
        found.len() >= count
    });
    assert_eq!(records_from(feed), [], "more came than was to come");
    assert_eq!(found.len(), count, "more came than was to come: {found:?}");
    found
}

fn offsets<F: Feed>(feed: &mut F, count: usize) -> Vec<Offset> {
    fed(feed, count).iter().map(|record| record.place.offset).collect()
}

fn places<F: Feed>(feed: &mut F, count: usize) -> BTreeSet<(Topic, Offset)> {
    fed(feed, count).into_iter().map(|record| (record.place.topic, record.place.offset)).collect()
}

/// What a member was last told to hold.
#[derive(Default)]
struct Held {
    generation: u64,
    lanes: BTreeSet<LaneId>,
}

impl Held {
    fn hear<F: Feed>(&mut self, feed: &mut F) -> &BTreeSet<LaneId> {
        match feed.next(GLANCE).unwrap() {
            Fed::Idle => {}
            Fed::Lanes { generation, held } => {
                assert!(generation > self.generation, "the generation rises with each decision");
                self.generation = generation;
                self.lanes = held.into_iter().collect();
            }
            records @ Fed::Records(_) => panic!("a feed of lanes gave {records:?}"),
        }
        &self.lanes
    }
}
