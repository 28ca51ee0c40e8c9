//! Records are stored in blocks, and the last ones are read from memory: neither can be told from outside.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where a promise is broken"
)]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{Destination, Offset, Outgoing, Payload, Topics};
use local::{Durability, Local, Options, RECORD_BYTES_MAX};
use stream::{
    Broker, Entry, Follow, LaneId, Log, LogError, Outlet, Settled, Source, Start, SystemClock,
    Ticket,
};

const PATIENCE: Duration = Duration::from_secs(60);

fn open(folder: &Path) -> Local {
    open_with(folder, Durability::Os)
}

fn open_with(folder: &Path, durability: Durability) -> Local {
    let options = Options {
        durability,
        lanes: 2,
        topics: Topics::default(),
        clock: Arc::new(SystemClock),
        schema_ids: Arc::new(|_| None),
        record_bytes_max: RECORD_BYTES_MAX,
    };
    Local::open(folder, options).unwrap()
}

fn entries(numbers: std::ops::Range<u32>) -> Vec<Entry> {
    numbers.map(|n| Entry(Bytes::from(format!("entry {n}")))).collect()
}

fn values(log: &mut impl Log, from: Offset) -> Vec<Bytes> {
    let end = log.kept(Source::Journal).unwrap().end;
    let (mut next, mut found) = (from, Vec::new());
    while next < end {
        for record in log.read(Source::Journal, next, PATIENCE).unwrap() {
            assert_eq!(record.place.offset, next);
            found.push(record.value.unwrap());
            next += 1;
        }
    }
    found
}

fn expected(numbers: std::ops::Range<u32>) -> Vec<Bytes> {
    entries(numbers).into_iter().map(|Entry(bytes)| bytes).collect()
}

/// A record for partition 0 of the inbox.
fn sent(key: String, bytes: usize) -> Outgoing {
    Outgoing {
        to: Destination::Inbox,
        partition: Some(0),
        key: Some(Bytes::from(key)),
        value: Payload::Bytes(Bytes::from(vec![b'x'; bytes])),
        headers: Vec::new(),
    }
}

#[test]
fn a_block_is_read_from_any_of_its_records() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let broker = open(folder.path());
        let mut log = broker.open(LaneId(0)).unwrap();
        if round == 0 {
            // More than a block holds.
            let offsets = log.append(&entries(0..5_000)).unwrap();
            assert_eq!(offsets, (0..5_000).map(Some).collect::<Vec<_>>());
            log.append(&entries(5_000..5_003)).unwrap();
        }
        for from in [0, 1, 999, 2_500, 4_999, 5_000, 5_002] {
            let first = u32::try_from(from).unwrap();
            assert_eq!(values(&mut log, from), expected(first..5_003), "from {from}");
        }
    }
}

#[test]
fn a_block_that_is_let_go_of_in_part_stays_until_all_of_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let mut log = broker.open(LaneId(0)).unwrap();
    log.append(&entries(0..10)).unwrap();
    log.append(&entries(10..20)).unwrap();
    log.append(&entries(20..30)).unwrap();
    let check = |log: &mut local::LocalLog, first: Offset| {
        assert_eq!(log.kept(Source::Journal).unwrap(), first..30);
        assert_eq!(values(log, first), expected(u32::try_from(first).unwrap()..30));
        let gone = log.read(Source::Journal, first - 1, Duration::ZERO);
        assert_eq!(gone, Err(LogError::Gone { kept_from: first }));
    };
    log.trim(15).unwrap();
    check(&mut log, 15);
    drop((log, broker));
    // An opening sweeps.
    let broker = open(folder.path());
    let mut log = broker.open(LaneId(0)).unwrap();
    check(&mut log, 15);
    log.trim(20).unwrap();
    check(&mut log, 20);
    drop((log, broker));
    let broker = open(folder.path());
    let mut log = broker.open(LaneId(0)).unwrap();
    check(&mut log, 20);
    log.trim(30).unwrap();
    drop((log, broker));
    let broker = open(folder.path());
    let mut log = broker.open(LaneId(0)).unwrap();
    assert_eq!(log.append(&entries(30..31)).unwrap(), [Some(30)], "no offset is used twice");
    assert_eq!(values(&mut log, 30), expected(30..31));
}

#[test]
fn whoever_is_far_behind_reads_the_same_as_whoever_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let inbox = || vec![(broker.topics().inbox(), Start::Earliest)];
    let mut close = broker.follow(inbox()).unwrap();
    let mut outlet = broker.outlet().unwrap();
    let mut read_close = Vec::new();
    // More than the ends of partitions that are in memory.
    for ticket in 0..400 {
        let records = (0..10).map(|n| sent(format!("{ticket}.{n}"), 6_000)).collect();
        outlet.send(Ticket(ticket), records).unwrap();
        if ticket % 3 == 0 {
            read_close.append(&mut close.next(PATIENCE).unwrap());
        }
    }
    let mut far = broker.follow(inbox()).unwrap();
    let mut read_far = Vec::new();
    for (reader, read) in [(&mut close, &mut read_close), (&mut far, &mut read_far)] {
        let deadline = Instant::now() + PATIENCE;
        while read.len() < 4_000 {
            assert!(Instant::now() < deadline);
            read.append(&mut reader.next(PATIENCE).unwrap());
        }
    }
    assert_eq!(read_close, read_far);
    for (at, record) in read_far.iter().enumerate() {
        assert_eq!(record.place.offset, Offset::try_from(at).unwrap());
        assert_eq!(record.key, Some(Bytes::from(format!("{}.{}", at / 10, at % 10))));
    }
}

#[test]
fn tickets_that_go_in_one_step_are_settled_each_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let mut outlet = broker.outlet().unwrap();
    let large = sent("large".to_owned(), RECORD_BYTES_MAX + 1);
    let small = || sent("small".to_owned(), 10);
    let mut waiting = VecDeque::from([
        (Ticket(1), vec![small(), small()]),
        (Ticket(2), vec![small(), large, small()]),
        (Ticket(3), vec![small()]),
    ]);
    outlet.send_first(&mut waiting).unwrap();
    assert!(waiting.is_empty(), "all of it goes in one step");
    let (mut sent, mut failed) = (Vec::new(), Vec::new());
    while sent.len() + failed.len() < 3 {
        for settled in outlet.settled(PATIENCE).unwrap() {
            match settled {
                Settled::Sent(ticket) => sent.push(ticket),
                Settled::Failed { ticket, index, .. } => failed.push((ticket, index)),
            }
        }
    }
    assert_eq!((sent, failed), (vec![Ticket(1), Ticket(3)], vec![(Ticket(2), 1)]));
    assert_eq!(broker.kept(&broker.topics().inbox()).unwrap().unwrap()[0], 0..5);
}

#[test]
fn whoever_appends_at_once_with_others_is_answered_once_it_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open_with(folder.path(), Durability::Disk);
    std::thread::scope(|scope| {
        for lane in 0..2 {
            let broker = &broker;
            scope.spawn(move || {
                let mut log = broker.open(LaneId(lane)).unwrap();
                for n in 0..200 {
                    let offset = Offset::from(n);
                    assert_eq!(log.append(&entries(n..n + 1)).unwrap(), [Some(offset)]);
                }
            });
            scope.spawn(move || {
                let mut outlet = broker.outlet().unwrap();
                for ticket in 0..200 {
                    outlet.send(Ticket(ticket), vec![sent("key".to_owned(), 10)]).unwrap();
                    // One that is refused at once has nothing synced.
                    let large = sent("large".to_owned(), RECORD_BYTES_MAX + 1);
                    assert!(broker.put(large).is_err());
                    assert_eq!(outlet.settled(PATIENCE).unwrap(), [Settled::Sent(Ticket(ticket))]);
                }
            });
        }
    });
    assert_eq!(broker.kept(&broker.topics().inbox()).unwrap().unwrap()[0], 0..400);
}

/// Makes a folder's storage what format 1 of it was: an entry for each record.
fn as_format_1(folder: &Path) -> usize {
    let database = fjall::Database::builder(folder.join("log")).open().unwrap();
    let keyspace = |name| database.keyspace(name, fjall::KeyspaceCreateOptions::default).unwrap();
    let (records, meta) = (keyspace("records"), keyspace("meta"));
    let mut entries = 0;
    for pair in records.iter().map(|pair| pair.into_inner().unwrap()).collect::<Vec<_>>() {
        let (key, block) = (pair.0.to_vec(), pair.1.to_vec());
        let number = |at: &[u8]| u32::from_be_bytes(at[..4].try_into().unwrap());
        let mut rest = &block[5..];
        for n in 0..number(&block[1..]) {
            let (length, behind) = rest.split_at(4);
            let (record, behind) = behind.split_at(number(length) as usize);
            let offset = u64::from_be_bytes(key[8..].try_into().unwrap()) + u64::from(n);
            records.insert([&key[..8], &offset.to_be_bytes()].concat(), record).unwrap();
            entries += 1;
            rest = behind;
        }
    }
    meta.insert("format", 1_u32.to_be_bytes()).unwrap();
    database.persist(fjall::PersistMode::SyncAll).unwrap();
    entries
}

/// What the storage says that it is.
fn format(folder: &Path) -> Vec<u8> {
    let database = fjall::Database::builder(folder.join("log")).open().unwrap();
    let meta = database.keyspace("meta", fjall::KeyspaceCreateOptions::default).unwrap();
    meta.get("format").unwrap().unwrap().to_vec()
}

#[test]
fn a_folder_of_format_1_is_read_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    broker.open(LaneId(0)).unwrap().append(&entries(0..50)).unwrap();
    drop(broker);
    assert_eq!(as_format_1(folder.path()), 50);
    assert_eq!(format(folder.path()), 1_u32.to_be_bytes());
    for round in 0..2 {
        let broker = open(folder.path());
        let mut log = broker.open(LaneId(0)).unwrap();
        let next = 50 + 10 * round;
        assert_eq!(values(&mut log, 0), expected(0..next), "round {round}");
        assert_eq!(values(&mut log, 37), expected(37..next), "round {round}");
        log.append(&entries(next..next + 10)).unwrap();
        drop((log, broker));
        assert_eq!(format(folder.path()), 2_u32.to_be_bytes(), "older builds are to refuse it");
    }
    let broker = open(folder.path());
    let mut log = broker.open(LaneId(0)).unwrap();
    log.trim(55).unwrap();
    assert_eq!(values(&mut log, 55), expected(55..70));
    drop((log, broker));
    let broker = open(folder.path());
    assert_eq!(values(&mut broker.open(LaneId(0)).unwrap(), 55), expected(55..70));
}
