//! The embedded log keeps what it acknowledged, whatever is done to its process, its files and its disk.
// shows: L1
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where a promise is broken"
)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{Destination, Offset, Outgoing, Payload, Timestamp, Topics};
use local::{Durability, Local, LocalError, Options, RECORD_BYTES_MAX};
use stream::{
    Broker, Clock, Entry, Follow, LaneId, Log, LogError, Outlet, Settled, Snapshots, Source, Start,
    SystemClock, Ticket,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_append_until_killed");
const LANES: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(60);

fn options() -> Options {
    Options {
        durability: Durability::Disk,
        lanes: LANES,
        topics: Topics::default(),
        clock: Arc::new(SystemClock),
        schema_ids: Arc::new(|_| None),
        record_bytes_max: RECORD_BYTES_MAX,
    }
}

fn open(folder: &Path) -> Local {
    Local::open(folder, options()).unwrap()
}

fn refused(folder: &Path) -> LocalError {
    Local::open(folder, options()).err().unwrap()
}

fn entry(n: impl std::fmt::Display) -> Entry {
    Entry(Bytes::from(format!("entry {n} {}", "x".repeat(200))))
}

fn journal(broker: &Local, lane: u32) -> Result<Vec<(Offset, Bytes)>, LogError> {
    let mut log = broker.open(LaneId(lane)).unwrap();
    let kept = log.kept(Source::Journal).unwrap();
    let (mut next, mut found) = (kept.start, Vec::new());
    while next < kept.end {
        for record in log.read(Source::Journal, next, PATIENCE)? {
            assert_eq!(record.place.offset, next);
            found.push((next, record.value.unwrap()));
            next += 1;
        }
    }
    Ok(found)
}

/// What a program said that it was told.
#[derive(Default)]
struct Acknowledged {
    appended: BTreeSet<(u32, Offset)>,
    sent: BTreeSet<String>,
    snapshot: u64,
    refusals: Vec<String>,
}

impl Acknowledged {
    fn hear(&mut self, line: &str) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["appended", lane, offset] => {
                let place = (lane.parse().unwrap(), offset.parse().unwrap());
                assert!(self.appended.insert(place), "{place:?} was given twice");
            }
            ["sent", text] => assert!(self.sent.insert(text.to_owned())),
            ["snapshot", number] => self.snapshot = number.parse().unwrap(),
            ["refused", ..] => self.refusals.push(line.to_owned()),
            ["open"] => {}
            _ => panic!("{line}"),
        }
    }

    /// Everything that was acknowledged is there, as it was written.
    fn check(&self, folder: &Path) {
        let broker = open(folder);
        for lane in 0..LANES {
            let found = journal(&broker, lane).unwrap();
            for (offset, bytes) in &found {
                assert!(bytes.starts_with(format!("{lane}/{offset} ").as_bytes()));
            }
            let found: BTreeSet<Offset> = found.into_iter().map(|(offset, _)| offset).collect();
            let appended =
                self.appended.iter().filter(|(at, _)| *at == lane).map(|(_, offset)| offset);
            let lost: Vec<_> = appended.filter(|offset| !found.contains(offset)).collect();
            assert!(lost.is_empty(), "lost of lane {lane}: {lost:?}");
        }
        let mut follow = broker.follow(vec![(broker.topics().inbox(), Start::Earliest)]).unwrap();
        let mut found = BTreeSet::new();
        let count = broker.kept(&broker.topics().inbox()).unwrap().unwrap();
        let count: Offset = count.iter().map(|range| range.end).sum();
        while i64::try_from(found.len()).unwrap() < count {
            for record in follow.next(PATIENCE).unwrap() {
                let text = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                assert!(found.insert(text), "a record stands twice");
            }
        }
        assert!(found.is_superset(&self.sent), "sent records are lost");
        let snapshot = broker.fence(LaneId(0)).unwrap().load().unwrap();
        if self.snapshot > 0 {
            let marker = snapshot.marker.unwrap();
            assert_eq!(snapshot.states, [("state".into(), marker.clone())]);
            assert!(std::str::from_utf8(&marker).unwrap().parse::<u64>().unwrap() >= self.snapshot);
        }
    }
}

fn program(folder: &Path) -> Child {
    Command::new(PROGRAM).arg(folder).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn kill_9_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::default();
    for round in 0..5 {
        let mut child = program(folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref().take(200 + 130 * round) {
            acknowledged.hear(&line.unwrap());
        }
        child.kill().unwrap();
        // What it had said and nobody had read yet counts as well; a last line may be cut off.
        let mut rest: Vec<String> = lines.map(Result::unwrap).collect();
        rest.pop();
        rest.iter().for_each(|line| acknowledged.hear(line));
        child.wait().unwrap();
        acknowledged.check(folder.path());
    }
    assert!(acknowledged.sent.len() > 50 && acknowledged.appended.len() > 50);
}

#[test]
fn a_full_disk_stops_the_log_and_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    // The first run makes the files; reopened, they are no longer than what they hold.
    drop(open(folder.path()));
    drop(open(folder.path()));
    // A limit on the length of files is what a test can set without being root; the signal that goes
    // with it is ignored, so that writes fail as they do on a full disk.
    let script = "trap '' XFSZ; ulimit -f 400; exec \"$0\" \"$1\"";
    let output =
        Command::new("sh").args(["-c", script, PROGRAM]).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut acknowledged = Acknowledged::default();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        acknowledged.hear(line);
    }
    assert!(acknowledged.appended.len() > 10, "it wrote before the disk was full");
    let (again, first): (Vec<_>, Vec<_>) =
        acknowledged.refusals.iter().partition(|line| line.starts_with("refused again"));
    assert_eq!((first.len(), again.len()), (2, 2));
    for line in first.iter().chain(&again) {
        assert!(line.contains("see that the disk has room"), "{line}");
    }
    assert!(again.iter().all(|line| line.contains("Lost")), "after a failed write none is taken");
    acknowledged.check(folder.path());
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = program(folder.path());
    let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert_eq!(line, "open");
    let error = refused(folder.path()).to_string();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(error.contains(&folder.path().display().to_string()), "{error}");
    assert!(error.contains(&format!("process {}", child.id())), "{error}");
    assert!(error.contains("stop that one, or name another folder"), "{error}");
    let ours = open(folder.path());
    assert!(matches!(refused(folder.path()), LocalError::InUse { .. }), "nor twice in one process");
    drop(ours);
    open(folder.path());
}

#[test]
fn another_number_of_lanes_is_refused_unless_the_folder_may_say() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let as_made = Local::open_as_made(folder.path(), Options { lanes: 3, ..options() }).unwrap();
    assert_eq!(as_made.lanes(), Ok(2));
    drop(as_made);
    let error = Local::open(folder.path(), Options { lanes: 3, ..options() }).err().unwrap();
    assert!(matches!(error, LocalError::Lanes { made: 2, asked: 3, .. }), "{error}");
    assert!(error.to_string().contains("with 2 lanes and can not be opened with 3"), "{error}");
}

/// The newest journal file of the storage library, and how much of it is written.
fn newest_journal(folder: &Path) -> (PathBuf, Vec<u8>) {
    let files = std::fs::read_dir(folder.join("log")).unwrap().map(|entry| entry.unwrap().path());
    let newest = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .max_by_key(|path| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap())
        .unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1);
    (newest, bytes)
}

/// A folder with twenty entries in the journal of lane 0, each a batch of its own.
fn twenty() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let mut log = broker.open(LaneId(0)).unwrap();
    for n in 0..20 {
        assert_eq!(log.append(&[entry(n)]).unwrap(), [Some(n)]);
    }
    folder
}

/// What a crash of the machine does to the end of a file.
type Tear = fn(&mut Vec<u8>);

#[test]
fn a_torn_tail_is_cut_off() {
    let tears: [(&str, Tear); 4] = [
        ("one byte is missing", |bytes| bytes.truncate(bytes.len() - 1)),
        ("half a batch is missing", |bytes| bytes.truncate(bytes.len() - 150)),
        ("the end never reached the disk", |bytes| {
            let end = bytes.len();
            bytes[end - 100..].fill(0);
        }),
        ("the middle of the last batch never reached the disk", |bytes| {
            let end = bytes.len();
            bytes[end - 150..end - 50].fill(0);
        }),
    ];
    for (what, tear) in tears {
        let folder = twenty();
        let (path, mut bytes) = newest_journal(folder.path());
        tear(&mut bytes);
        std::fs::write(path, bytes).unwrap();
        for end in 19..22 {
            let broker = open(folder.path());
            let expected: Vec<_> = (0..end).map(|n| (n, entry(n).0)).collect();
            assert_eq!(journal(&broker, 0).unwrap(), expected, "{what}");
            let mut log = broker.open(LaneId(0)).unwrap();
            assert_eq!(log.append(&[entry(end)]).unwrap(), [Some(end)], "{what}");
        }
    }
}

#[test]
fn a_flipped_byte_is_said_with_its_file_and_nothing_is_changed() {
    let folder = twenty();
    let (path, bytes) = newest_journal(folder.path());
    // From the first byte to the middle, every kind of place within a batch.
    for at in (0..bytes.len() / 2).step_by(7) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        std::fs::write(&path, &flipped).unwrap();
        let error = refused(folder.path());
        let LocalError::Damaged { file, .. } = &error else { panic!("flipped at {at}: {error}") };
        assert_eq!(file, &path);
        assert!(error.to_string().contains("put the folder back from a copy"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), flipped, "the evidence is kept");
    }
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(journal(&open(folder.path()), 0).unwrap().len(), 20);
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

/// All tables of the storage library, the largest last.
fn tables(folder: &Path) -> Vec<PathBuf> {
    let keyspaces = std::fs::read_dir(folder.join("log/keyspaces")).unwrap();
    let mut tables: Vec<PathBuf> = keyspaces
        .filter_map(|keyspace| std::fs::read_dir(keyspace.unwrap().path().join("tables")).ok())
        .flat_map(|tables| tables.map(|table| table.unwrap().path()))
        .collect();
    tables.sort_by_key(|table| std::fs::metadata(table).unwrap().len());
    tables
}

#[test]
fn a_damaged_table_is_said_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path());
    let mut log = broker.open(LaneId(0)).unwrap();
    // More than the library keeps in memory, so that it writes a table.
    let large = Entry(Bytes::from(vec![b'x'; 2_000_000]));
    for _ in 0..40 {
        log.append(std::slice::from_ref(&large)).unwrap();
    }
    until("a table is written", || !tables(folder.path()).is_empty());
    drop((log, broker));
    assert_eq!(journal(&open(folder.path()), 0).unwrap().len(), 40);
    let table = tables(folder.path()).pop().unwrap();
    let bytes = std::fs::read(&table).unwrap();
    let mut said = 0;
    for at in [10, 1_000, bytes.len() / 2, bytes.len() - 300, bytes.len() - 20] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        std::fs::write(&table, flipped).unwrap();
        let read = Local::open(folder.path(), options()).map(|broker| journal(&broker, 0));
        let error = match read {
            // Not every byte of a table is needed to read it; then what is read is what was written.
            Ok(Ok(found)) => {
                assert!(found.iter().map(|(_, bytes)| bytes).eq([&large.0; 40]), "flipped at {at}");
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        said += usize::from(error.contains(&table.display().to_string()));
        assert!(error.contains("put the folder"), "flipped at {at}: {error}");
    }
    assert!(said >= 3, "a broken block is said with its file");
}

/// A clock that a test sets.
struct Set(AtomicI64);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

const DAY: i64 = 24 * 60 * 60 * 1000;

#[test]
fn old_records_go_and_their_offsets_are_never_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = |day: i64| Options { clock: Arc::new(Set(AtomicI64::new(day * DAY))), ..options() };
    let send = |broker: &Local, to: Destination, count: u64| {
        let mut outlet = broker.outlet().unwrap();
        let record = |to| Outgoing {
            to,
            partition: Some(0),
            key: None,
            value: Payload::Null,
            headers: Vec::new(),
        };
        for ticket in 0..count {
            outlet.send(Ticket(ticket), vec![record(to.clone())]).unwrap();
        }
        let mut sent = 0;
        until("all is sent", || {
            for settled in outlet.settled(PATIENCE).unwrap() {
                assert!(matches!(settled, Settled::Sent(_)), "{settled:?}");
                sent += 1;
            }
            sent == count
        });
    };
    let broker = Local::open(folder.path(), at(100)).unwrap();
    let (inbox, events) = (broker.topics().inbox(), broker.topics().events());
    // More than one step of the sweep.
    send(&broker, Destination::Inbox, 1_000);
    send(&broker, Destination::Events, 10);
    broker.open(LaneId(0)).unwrap().append(&[entry(0)]).unwrap();
    drop(broker);
    let broker = Local::open(folder.path(), at(104)).unwrap();
    send(&broker, Destination::Inbox, 10);
    drop(broker);
    let broker = Local::open(folder.path(), at(108)).unwrap();
    let kept = |broker: &Local, topic| broker.kept(topic).unwrap().unwrap()[0].clone();
    until("what is older than a week is gone", || kept(&broker, &inbox) == (1_000..1_010));
    assert_eq!(kept(&broker, &events), 0..10, "events are kept for a month");
    let mut log = broker.open(LaneId(0)).unwrap();
    let gone = log.read(Source::Inbox, 999, Duration::ZERO);
    assert_eq!(gone, Err(LogError::Gone { kept_from: 1_000 }));
    assert_eq!(log.read(Source::Inbox, 1_000, PATIENCE).unwrap().len(), 10);
    drop((log, broker));
    let broker = Local::open(folder.path(), at(200)).unwrap();
    until("all of the inbox is gone", || kept(&broker, &inbox) == (1_010..1_010));
    until("all events are gone", || kept(&broker, &events) == (10..10));
    drop(broker);
    // The clock is set back: offsets go on, and so does the time.
    let broker = Local::open(folder.path(), at(150)).unwrap();
    send(&broker, Destination::Inbox, 1);
    let mut log = broker.open(LaneId(0)).unwrap();
    let record = log.read(Source::Inbox, 1_010, PATIENCE).unwrap().pop().unwrap();
    assert_eq!(record.timestamp, Timestamp::from_millis(150 * DAY));
    assert_eq!(log.kept(Source::Journal).unwrap(), 0..1, "a journal is never swept");
}

#[test]
fn time_does_not_fall_within_a_partition() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Set(AtomicI64::new(5_000)));
    let broker = Local::open(folder.path(), Options { clock: clock.clone(), ..options() }).unwrap();
    let mut log = broker.open(LaneId(0)).unwrap();
    for time in [5_000, 4_000, 6_000, 1_000] {
        clock.0.store(time, Ordering::SeqCst);
        log.append(&[entry(time)]).unwrap();
    }
    let records = log.read(Source::Journal, 0, PATIENCE).unwrap();
    let times: Vec<i64> = records.iter().map(|record| record.timestamp.as_millis()).collect();
    assert_eq!(times, [5_000, 5_000, 6_000, 6_000]);
    drop((log, broker));
    let broker = Local::open(folder.path(), Options { clock, ..options() }).unwrap();
    let mut log = broker.open(LaneId(0)).unwrap();
    log.append(&[entry("after")]).unwrap();
    let last = log.read(Source::Journal, 4, PATIENCE).unwrap().pop().unwrap();
    assert_eq!(last.timestamp.as_millis(), 6_000);
}
