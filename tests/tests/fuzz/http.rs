//! Bodies of the HTTP API: every request is answered, and what is refused is a problem document that says why.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::{Topics, schemas};
use gateway::Settings;
use local::{Durability, Local, Options, RECORD_BYTES_MAX};
use serde_json::Value;
use stream::{Broker, Purpose, Stop, SystemClock};

use crate::corpus::{Target, turn};

const PATIENCE: Duration = Duration::from_secs(60);
const SAGA: &str = include_str!("../../corpus/http/deploy");

/// A gateway over an embedded log, on a thread of its own.
struct Gateway {
    at: SocketAddr,
    stop: Stop,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Gateway {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let id = |name: &str| schemas().iter().find(|schema| schema.name == name).map(|of| of.id);
        let options = Options {
            durability: Durability::Os,
            lanes: 1,
            topics: Topics::default(),
            clock: Arc::new(SystemClock),
            schema_ids: Arc::new(id),
            record_bytes_max: RECORD_BYTES_MAX,
        };
        let broker = Arc::new(Local::open(folder.path(), options).unwrap());
        let topics = Topics::default();
        for (topic, purpose) in [
            (topics.inbox(), Purpose::Inbox),
            (topics.events(), Purpose::Events),
            (topics.definitions(), Purpose::Definitions),
        ] {
            broker.create(&topic, purpose).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let at = listener.local_addr().unwrap();
        let stop = Stop::default();
        let heeded = stop.clone();
        // Nobody answers starts here.
        let settings =
            Settings { answer_within: Duration::from_millis(200), ..Settings::default() };
        let process = gateway::Process::alone(Arc::new(String::new));
        let thread = std::thread::spawn(move || {
            let served =
                gateway::serve(broker, Arc::new(SystemClock), settings, process, listener, heeded);
            runtime.block_on(served).unwrap();
        });
        let gateway = Self { at, stop, thread: Some(thread), _folder: folder };
        let until = Instant::now() + PATIENCE;
        while gateway.ask("GET", b"/readyz", b"").is_none_or(|(status, _)| status != 200) {
            assert!(Instant::now() < until, "the gateway is not ready");
            std::thread::yield_now();
        }
        gateway
    }

    /// Status and body; `None` where the connection was closed without an answer.
    fn ask(&self, method: &str, path: &[u8], body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("{method} ").into_bytes();
        request.extend(path);
        let length = body.len();
        request.extend(
            format!(
                " HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            )
            .into_bytes(),
        );
        request.extend(body);
        // It may answer, and close, before it has read everything.
        let _ = stream.write_all(&request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
        let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        Some((status, answer[head + 4..].to_vec()))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.request();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The first line is the path, the rest the body. `deploy` is a body alone.
fn read(input: &[u8]) -> (&[u8], &[u8]) {
    if !input.starts_with(b"/") {
        return (b"/v1/sagas", input);
    }
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}

#[test]
fn http_bodies_from_any_bytes() {
    let _turn = turn();
    let gateway = Gateway::new();
    let until = Instant::now() + PATIENCE;
    // Where the machine is busy, the broker may not answer as soon as the gateway is told to expect here.
    while gateway.ask("POST", b"/v1/sagas", SAGA.as_bytes()).unwrap().0 >= 300 {
        assert!(Instant::now() < until, "the saga can not be deployed");
    }
    let target = Target {
        name: "http",
        made: Vec::new(),
        words: &[
            b"/v1/workflows\n",
            b"/v1/topics/shop.orders/records\n",
            b"/v1/agents/stock/answers\n",
            b"/v1/sagas\n",
            b"%2F",
            b"%ff",
            b"..",
            b"null",
            b"1e999",
            b"\"\\ud800\"",
            b"\"value_base64\":\"AAA\"",
            b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
            b"{\"a\":{\"a\":{\"a\":{\"a\":",
            b",\"inputs\":{}",
            b",\"key\":\"\"",
        ],
        inputs: 800,
        bytes_max: 64 << 20,
        bytes_for_each: 2_000,
    };
    let (mut taken, mut refused) = (0, 0);
    target.run(|input| {
        let (path, body) = read(input);
        let Some((status, said)) = gateway.ask("POST", path, body) else {
            let is_path = path.iter().all(u8::is_ascii_graphic);
            panic!("no answer, though the path {}", if is_path { "is one" } else { "is none" });
        };
        // Nobody answers starts; anything else is the caller's fault, and says which.
        assert!(
            status < 500 || matches!(status, 503 | 504),
            "{status}: {}",
            String::from_utf8_lossy(&said)
        );
        if status < 300 {
            taken += 1;
            return;
        }
        refused += 1;
        // What is no HTTP at all is refused before it comes to the API.
        let is_http = path.iter().all(u8::is_ascii_graphic);
        if is_http && !said.is_empty() {
            let problem: Value = serde_json::from_slice(&said).unwrap();
            assert_eq!(problem["status"], status);
            assert!(!problem["detail"].as_str().unwrap().is_empty(), "{problem}");
        }
    });
    assert!(taken > 10 && refused > 100, "{taken} taken, {refused} refused");
    let (status, _) = gateway.ask("GET", b"/v1/sagas/orders", b"").unwrap();
    assert_eq!(status, 200, "it still answers");
}
