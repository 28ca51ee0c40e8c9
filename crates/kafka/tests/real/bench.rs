use std::time::{Duration, Instant};

use bytes::Bytes;
use events::partition_of;
use stream::{
    Broker as _, Entry, Fed, Feed as _, LaneId, Log as _, Outlet as _, Share, Snapshots as _,
    Source, Ticket,
};

use crate::ground::{fresh, to, until};

const TIMES: u64 = 300;
const SECOND: Duration = Duration::from_secs(1);

/// Each of librdkafka's polling intervals and back-offs that we know of is 100 ms or longer. Where one
/// is waited for, it is waited for every time: so the fastest of many times shows that none is, on a
/// busy machine too.
#[track_caller]
fn waits_for_no_interval(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    eprintln!("{what}: p50 {:?}, p99 {:?}, max {:?}", at(50), at(99), at(100));
    assert!(at(0) < Duration::from_millis(50), "{what}: {:?} at best", at(0));
}

#[test]
fn an_append_is_acknowledged_and_read_back_without_waiting_for_an_interval() {
    let kafka = fresh("append");
    let mut log = kafka.open(LaneId(0)).unwrap();
    let (mut appends, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let begun = Instant::now();
        let offset = log.append(&[Entry(Bytes::from(vec![7; 300]))]).unwrap()[0].unwrap();
        appends.push(begun.elapsed());
        let begun = Instant::now();
        let records = log.read(Source::Journal, offset, SECOND).unwrap();
        reads.push(begun.elapsed());
        assert_eq!(records[0].place.offset, offset);
    }
    waits_for_no_interval("append", appends);
    waits_for_no_interval("read back", reads);
}

#[test]
fn a_first_append_to_a_fresh_topic_takes_no_half_second() {
    let kafka = fresh("first");
    let first = |lane| {
        let mut log = kafka.open(LaneId(lane)).unwrap();
        let begun = Instant::now();
        log.append(&[Entry(Bytes::from_static(b"first"))]).unwrap();
        begun.elapsed()
    };
    waits_for_no_interval("first append", vec![first(0), first(1)]);
}

#[test]
fn what_is_sent_is_read_without_waiting_for_an_interval() {
    let kafka = fresh("feed");
    let inbox = kafka.topics().inbox();
    let share = Share::Records { topics: vec![inbox.clone()], starts: Vec::new() };
    let mut feed = kafka.join(&kafka.topics().group("bench"), share).unwrap();
    let mut log = kafka.open(LaneId(partition_of(b"k", 2))).unwrap();
    let mut outlet = kafka.outlet().unwrap();
    let (mut feeds, mut lanes) = (Vec::new(), Vec::new());
    let mut next = 0;
    for ticket in 0..TIMES {
        let begun = Instant::now();
        outlet.send(Ticket(ticket), vec![to(&inbox, "k", "v")]).unwrap();
        next = until("the lane has it", || {
            let records = log.read(Source::Inbox, next, SECOND).unwrap();
            records.last().map(|record| record.place.offset + 1)
        });
        lanes.push(begun.elapsed());
        until("the feed has it", || match feed.next(SECOND).unwrap() {
            Fed::Records(_) => Some(()),
            Fed::Idle | Fed::Lanes { .. } => None,
        });
        feeds.push(begun.elapsed());
    }
    waits_for_no_interval("send to lane", lanes);
    waits_for_no_interval("send to feed", feeds);
}

#[test]
fn a_snapshot_is_written_without_waiting_for_an_interval() {
    let kafka = fresh("snapshot");
    let mut snapshots = kafka.fence(LaneId(0)).unwrap();
    let marker = Bytes::from_static(b"marker");
    let times = (0..20).map(|_| {
        let begun = Instant::now();
        snapshots.write(&[("a:1".into(), Some(marker.clone()))], &marker).unwrap();
        begun.elapsed()
    });
    waits_for_no_interval("snapshot", times.collect());
}
