//! Bad input through the doors that users have, into the whole system over the embedded log: each bad record
//! becomes a dead letter that says why, or the caller hears it; nothing waits behind it; and what it takes of
//! memory is bounded. The bounds: docs/reference/limits.md.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where a promise is broken"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coordinator::Coordinator;
use events::{Destination, Header, Outgoing, Payload, Record, Topic, Topics, schemas};
use gateway::Settings;
use local::{Durability, Local, Options};
use peak_alloc::PeakAlloc;
use serde_json::Value;
use stream::{
    Board, Broker, Clock, Follow, Host, Limits, Purpose, Start, Stop, SystemChance, SystemClock,
    SystemThreads,
};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

static TURN: Mutex<()> = Mutex::new(());

const PATIENCE: Duration = Duration::from_secs(120);
const LARGE: usize = 10 << 20;

const SAGA: &str = r#"version: "2.0"
name: orders
key: ${inputs.order}
inputs: [{name: order, type: string}]
topics: {payments: {topic: shop.payments, correlate: "${event.value.order}"}}
triggers: [{event: shop.orders/OrderPlaced, inputs: "${event.value}"}]
outputs: [{name: paid_at, from: "${tasks.paid.output}"}]
tasks: [{id: paid, await: payments/Paid}]
"#;

/// The whole system: coordinator, intake and gateway over one embedded log, whose topics take large records.
struct System {
    /// Memory is counted for the whole process: one system at a time.
    _turn: MutexGuard<'static, ()>,
    broker: Arc<Local>,
    at: SocketAddr,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl System {
    fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let id = |name: &str| schemas().iter().find(|schema| schema.name == name).map(|of| of.id);
        let options = Options {
            durability: Durability::Os,
            lanes: 1,
            topics: Topics::default(),
            clock: Arc::new(SystemClock),
            schema_ids: Arc::new(id),
            record_bytes_max: LARGE + (1 << 20),
        };
        let broker = Arc::new(Local::open(folder.path(), options).unwrap());
        for topic in ["shop.orders", "shop.payments"] {
            broker.create(&Topic::from(topic), Purpose::User).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let at = listener.local_addr().unwrap();
        let stop = Stop::default();
        let host = Host {
            service: Arc::new(Coordinator),
            broker: Arc::clone(&broker),
            clock: Arc::new(SystemClock),
            chance: Arc::new(SystemChance),
            limits: Limits::default(),
            board: Board::default(),
            threads: Arc::new(SystemThreads),
        };
        let (of_intake, of_gateway) = (Arc::clone(&broker), Arc::clone(&broker));
        let stops = [stop.clone(), stop.clone(), stop.clone()];
        let [of_host, to_intake, to_gateway] = stops;
        let threads = vec![
            std::thread::spawn(move || host.run(&of_host).unwrap()),
            std::thread::spawn(move || {
                let clock: Arc<dyn Clock> = Arc::new(SystemClock);
                intake::run(&of_intake, &clock, &to_intake, || {}).unwrap();
            }),
            std::thread::spawn(move || {
                let clock = Arc::new(SystemClock);
                let settings = Settings::default();
                let process = gateway::Process::alone(Arc::new(String::new));
                let served =
                    gateway::serve(of_gateway, clock, settings, process, listener, to_gateway);
                runtime.block_on(served).unwrap();
            }),
        ];
        let system = Self { _turn: turn, broker, at, stop, threads, _folder: folder };
        system.until("the gateway is ready", || system.ask("GET", "/readyz", "").0 == 200);
        let (status, said) = system.ask("POST", "/v1/sagas", SAGA);
        assert_eq!(status, 201, "{said}");
        system
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        // It may answer, and close, before it has read everything.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
        (status, text)
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < until, "waited in vain: {what}");
            std::thread::yield_now();
        }
    }

    /// Stores a record in partition 0; gives its offset.
    fn put(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<Vec<u8>>,
        of: &[(&str, &str)],
    ) -> i64 {
        let headers =
            of.iter().map(|(name, value)| Header::text((*name).to_owned(), *value)).collect();
        self.put_with(topic, key, value, headers)
    }

    fn put_with(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<Vec<u8>>,
        headers: Vec<Header>,
    ) -> i64 {
        let to = match topic {
            "pavane.inbox" => Destination::Inbox,
            topic => Destination::Named(topic.into()),
        };
        let value = value.map_or(Payload::Null, |value| Payload::Bytes(Bytes::from(value)));
        let key = key.map(Bytes::copy_from_slice);
        let record = Outgoing { to, partition: Some(0), key, value, headers };
        self.broker.put(record).unwrap().offset
    }

    fn records(&self, topic: &str) -> Vec<Record> {
        let topic = Topic::from(topic);
        let Some(kept) = self.broker.kept(&topic).unwrap() else { return Vec::new() };
        let count: i64 = kept.iter().map(|range| range.end - range.start).sum();
        let mut follow = self.broker.follow(vec![(topic, Start::Earliest)]).unwrap();
        let mut records = Vec::new();
        while i64::try_from(records.len()).unwrap() < count {
            records.extend(follow.next(PATIENCE).unwrap());
        }
        records
    }

    /// Offset, class and code of all dead letters of a topic, in order of offset.
    fn letters(&self, topic: &str) -> Vec<(i64, String, String)> {
        let text = |record: &Record, name: &str| record.header_text(name).unwrap().to_owned();
        let letters = self.records(&format!("{topic}.dlq"));
        let mut letters: Vec<_> = letters
            .iter()
            .map(|letter| {
                let offset = text(letter, "__dlq.errors.offset").parse().unwrap();
                (offset, text(letter, "pavane_error_class"), text(letter, "pavane_error_code"))
            })
            .collect();
        letters.sort();
        letters
    }

    /// What the gateway says of a workflow.
    fn workflow(&self, id: &str) -> Value {
        let (status, said) = self.ask("GET", &format!("/v1/workflows/{id}"), "");
        let body = said.split("\r\n\r\n").nth(1).unwrap_or_default();
        if status == 200 { serde_json::from_str(body).unwrap() } else { Value::Null }
    }

    fn starts(&self, key: &str) {
        let value = format!(r#"{{"order":"{key}"}}"#).into_bytes();
        self.put("shop.orders", None, Some(value), &[("ce_type", "OrderPlaced")]);
        let id = format!("orders:{key}");
        self.until("a good record behind bad ones", || !self.workflow(&id).is_null());
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.stop.request();
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

/// JSON of so many bytes that takes as much memory as JSON can.
fn numbers(bytes: usize) -> Vec<u8> {
    let mut json = b"[1".to_vec();
    json.resize(bytes - 2, b',');
    for digit in json.iter_mut().skip(1).step_by(2) {
        *digit = b'1';
    }
    json.extend(b"1]");
    json
}

fn nested(depth: usize) -> Vec<u8> {
    let mut json = br#"{"order":"#.to_vec();
    json.resize(json.len() + depth - 1, b'[');
    json.resize(json.len() + depth - 1, b']');
    json.push(b'}');
    json
}

fn many_headers(first: &str) -> Vec<Header> {
    let many = (0..10_000).map(|n| Header::text(format!("h{n}"), "v"));
    std::iter::once(Header::text("ce_type", first)).chain(many).collect()
}

#[test]
fn bad_records_become_dead_letters_and_nothing_waits_behind_them() {
    let system = System::new();
    system.starts("before");
    let placed = [("ce_type", "OrderPlaced")];
    let topic = "shop.orders";
    let good = |key: &str| Some(format!(r#"{{"order":"{key}"}}"#).into_bytes());
    let mut wanted = vec![
        (system.put(topic, None, Some(numbers(LARGE)), &placed), "too_large", "value"),
        (system.put(topic, None, Some(nested(101)), &placed), "invalid", "too_deep"),
        (system.put(topic, None, Some(nested(100_000)), &placed), "invalid", "too_deep"),
        (system.put(topic, None, Some(vec![b'['; 100_000]), &placed), "invalid", "too_deep"),
        (system.put(topic, None, Some(nested(97)), &placed), "invalid", "expression"),
        (system.put(topic, None, Some(nested(96)), &placed), "invalid", "bad_start"),
        (system.put(topic, None, None, &placed), "invalid", "bad_start"),
        (system.put(topic, None, Some(b"\xff\xff".to_vec()), &placed), "undecodable", "utf8"),
    ];
    // A key that is no text, and headers without number, hinder nobody who does not read them.
    system.put(topic, Some(b"\xff\xfe"), good("odd-key"), &placed);
    system.put_with(topic, None, good("many-headers"), many_headers("OrderPlaced"));
    system.put(topic, None, None, &[]);
    system.starts("after");
    for key in ["odd-key", "many-headers"] {
        assert!(!system.workflow(&format!("orders:{key}")).is_null(), "{key}");
    }
    let told = |letters: &[(i64, String, String)]| format!("{letters:?}");
    system.until("all bad ones are refused", || system.letters(topic).len() >= wanted.len());
    wanted.sort();
    assert_eq!(told(&system.letters(topic)), format!("{wanted:?}"));

    let topic = "pavane.inbox";
    let start = [("ce_type", "pavane.StartWorkflow")];
    let key: Option<&[u8]> = Some(b"orders:bad");
    let wanted = [
        (system.put(topic, Some(b"\xff\xfe"), good("bad"), &start), "undecodable", "utf8"),
        (system.put(topic, None, good("bad"), &start), "invalid", "no_key"),
        (system.put(topic, key, Some(numbers(LARGE)), &start), "too_large", "value"),
        (system.put(topic, key, Some(nested(101)), &start), "invalid", "too_deep"),
        (system.put(topic, key, Some(nested(100)), &start), "invalid", "bad_start"),
        (system.put(topic, key, None, &start), "invalid", "bad_start"),
        (system.put_with(topic, key, None, many_headers("what")), "invalid", "unknown_type"),
    ];
    system.starts("last");
    system.until("all bad ones are refused", || system.letters(topic).len() >= wanted.len());
    assert_eq!(told(&system.letters(topic)), format!("{wanted:?}"));
    let letters = system.records("pavane.inbox.dlq");
    let largest = letters.iter().map(|letter| letter.value.as_ref().map_or(0, Bytes::len)).max();
    assert_eq!(largest, Some(LARGE), "a letter has the bytes as they came");
    assert!(letters.iter().any(|letter| letter.headers.len() > 10_000), "and all headers");
}

#[test]
fn times_of_the_first_and_the_last_year_are_times() {
    let system = System::new();
    for (key, time) in [("first", "0001-01-01T00:00:00Z"), ("last", "9999-12-31T23:59:59.999Z")] {
        system.starts(key);
        let id = format!("orders:{key}");
        let value = format!(r#"{{"order":"{key}"}}"#).into_bytes();
        let headers = [
            ("ce_type", "pavane.DomainEvent"),
            ("pavane_event", "shop.payments/Paid"),
            ("pavane_record", "shop.payments/0/7"),
            ("pavane_event_time", time),
        ];
        system.put("pavane.inbox", Some(id.as_bytes()), Some(value), &headers);
        system.until(time, || system.workflow(&id)["status"] == "completed");
    }
    assert!(system.letters("pavane.inbox").is_empty());
}

#[test]
fn bad_bodies_are_refused_by_name() {
    let system = System::new();
    let bomb = "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b, *b]\n".to_owned();
    let keys: String = (0..3_000).map(|n| format!("k{n}:\n")).collect();
    let deep_start = format!(r#"{{"saga":"orders","inputs":{}}}"#, "[".repeat(50_000));
    let deep_value =
        format!(r#"{{"outcome":"done","output":{}{}}}"#, "[".repeat(110), "]".repeat(110));
    let published = format!(r#"{{"value":"{}"}}"#, "x".repeat(1 << 20));
    system.starts("here");
    for (path, body, status, says) in [
        ("/v1/sagas", bomb, 422, "anchors"),
        ("/v1/sagas", "[".repeat(200_000), 422, "recursion limit"),
        ("/v1/sagas", keys, 422, "more than 2000 keys"),
        ("/v1/sagas", "x".repeat(300_000), 413, "262144 at most"),
        ("/v1/workflows", deep_start, 400, "nested more than 100"),
        ("/v1/workflows/orders:here/tasks/paid/resolve", deep_value, 400, "nested more than 100"),
        ("/v1/topics/shop.orders/records", published, 413, "too large"),
    ] {
        let (found, said) = system.ask("POST", path, &body);
        assert_eq!(found, status, "{path} {:.60}: {said}", body);
        assert!(said.contains(says), "{path} {:.60}: {said}", body);
    }
}

#[test]
fn a_large_record_takes_no_more_memory_than_some_copies_of_it() {
    let system = System::new();
    system.starts("before");
    let large = numbers(LARGE);
    let placed = [("ce_type", "OrderPlaced")];
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    system.put("shop.orders", None, Some(large), &placed);
    system.starts("after");
    system.until("it is refused", || {
        let kept = system.broker.kept(&Topic::from("shop.orders.dlq")).unwrap();
        kept.is_some_and(|kept| kept.iter().any(|range| range.end > 0))
    });
    let took = MEMORY.peak_usage().saturating_sub(before);
    // Read as JSON it would be 160 MiB, and as much again for each copy.
    assert!(took < 12 * LARGE, "{} MiB", took >> 20);
}
