use std::time::{Duration, Instant};

use bytes::Bytes;
use stream::{
    Broker as _, Entry, Fed, Feed as _, LaneId, Log as _, Outlet as _, Share, Snapshots as _,
    Source, Ticket,
};

use crate::ground::{fresh, to, until};

fn report(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    eprintln!("{what}: p50 {:?}, p99 {:?}, max {:?}", at(50), at(99), at(100));
    at(50)
}

/// Each of librdkafka's polling intervals and back-offs is 100 ms or more: a median far below shows
/// that nobody waits for one.
const FAR_BELOW: Duration = Duration::from_millis(50);

#[test]
fn an_append_is_acknowledged_without_waiting_for_a_polling_interval() {
    let kafka = fresh("append");
    let t = Instant::now();
    let mut log = kafka.open(LaneId(0)).unwrap();
    eprintln!("open {:?}", t.elapsed());
    let t = Instant::now();
    log.append(&[Entry(Bytes::from_static(b"first"))]).unwrap();
    eprintln!("first append {:?}", t.elapsed());
    let mut appends = Vec::new();
    for _ in 0..500 {
        let begun = Instant::now();
        log.append(&[Entry(Bytes::from(vec![7; 300]))]).unwrap();
        appends.push(begun.elapsed());
    }
    assert!(report("append", appends) < FAR_BELOW);
    let mut reads = Vec::new();
    for offset in 501..600 {
        log.append(&[Entry(Bytes::from(vec![7; 300]))]).unwrap();
        let begun = Instant::now();
        let records = until("read", || {
            let records = log.read(Source::Journal, offset, Duration::from_secs(1)).unwrap();
            (!records.is_empty()).then_some(records)
        });
        assert_eq!(records[0].place.offset, offset);
        reads.push(begun.elapsed());
    }
    report("read back", reads);
    let t = Instant::now();
    log.read(Source::Inbox, 0, Duration::ZERO).unwrap();
    eprintln!("inbox read (assign, rest) {:?}", t.elapsed());
    let t = Instant::now();
    let r = log.read(Source::Journal, 0, Duration::from_secs(5)).unwrap();
    eprintln!("journal reassign {:?} {}", t.elapsed(), r.len());
    let t = Instant::now();
    drop(log);
    eprintln!("drop log {:?}", t.elapsed());
}

#[test]
fn a_record_sent_is_read_without_waiting_for_a_polling_interval() {
    let kafka = fresh("feed");
    let inbox = kafka.topics().inbox();
    let mut outlet = kafka.outlet().unwrap();
    let t = Instant::now();
    outlet.send(Ticket(0), vec![to(&inbox, "k", "0")]).unwrap();
    until("sent", || outlet.settled(Duration::from_secs(1)).unwrap().pop());
    eprintln!("first send {:?}", t.elapsed());
    let t = Instant::now();
    let mut feed = kafka
        .join(
            &kafka.topics().group("g"),
            Share::Records { topics: vec![inbox.clone()], starts: vec![] },
        )
        .unwrap();
    let mut get = |n: usize| {
        until("records", || match feed.next(Duration::from_secs(1)).unwrap() {
            Fed::Records(records) => {
                assert_eq!(records.len(), n);
                Some(records)
            }
            Fed::Idle | Fed::Lanes { .. } => None,
        })
    };
    get(1);
    eprintln!("join to first record {:?}", t.elapsed());
    let mut trips = Vec::new();
    for ticket in 1..500 {
        let begun = Instant::now();
        outlet.send(Ticket(ticket), vec![to(&inbox, "k", "0")]).unwrap();
        get(1);
        trips.push(begun.elapsed());
    }
    assert!(report("send to feed", trips) < FAR_BELOW);
    let t = Instant::now();
    drop(feed);
    eprintln!("leave {:?}", t.elapsed());
    let mut log = kafka.open(LaneId(events::partition_of(b"k", 2))).unwrap();
    let mut next = 0;
    let t = Instant::now();
    while next < 500 {
        for r in log.read(Source::Inbox, next, Duration::from_secs(1)).unwrap() {
            next = r.place.offset + 1;
        }
    }
    eprintln!("lane reads 500 {:?}", t.elapsed());
    let mut trips = Vec::new();
    for ticket in 500..1000 {
        let begun = Instant::now();
        outlet.send(Ticket(ticket), vec![to(&inbox, "k", "0")]).unwrap();
        let r = log.read(Source::Inbox, next, Duration::from_secs(1)).unwrap();
        next = r.last().unwrap().place.offset + 1;
        trips.push(begun.elapsed());
    }
    assert!(report("send to lane", trips) < FAR_BELOW);
}

#[test]
fn a_snapshot_is_written_without_waiting_for_a_polling_interval() {
    let kafka = fresh("snap");
    let t = Instant::now();
    let mut snapshots = kafka.fence(LaneId(0)).unwrap();
    eprintln!("fence {:?}", t.elapsed());
    let t = Instant::now();
    snapshots.load().unwrap();
    eprintln!("load {:?}", t.elapsed());
    let mut times = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        snapshots
            .write(&[("a:1".into(), Some(Bytes::from_static(b"x")))], &Bytes::from_static(b"m"))
            .unwrap();
        times.push(begun.elapsed());
    }
    assert!(report("snapshot", times) < FAR_BELOW);
    let t = Instant::now();
    drop(snapshots);
    eprintln!("drop {:?}", t.elapsed());
    let t = Instant::now();
    let mut snapshots = kafka.fence(LaneId(0)).unwrap();
    eprintln!("fence again {:?}", t.elapsed());
    let t = Instant::now();
    let s = snapshots.load().unwrap();
    eprintln!("load {:?} {s:?}", t.elapsed());
}
