//! A gateway over an embedded log in a fresh folder, and what stands beside it in a test.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    dead_code,
    reason = "a test panics where a promise is broken; not every test needs every part"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{
    Destination, Header, Json, Lifecycle, Outgoing, Payload, Record, Run, SagaName, Timestamp,
    Topic, Topics, Version, What, WorkflowId, header, schemas,
};
use gateway::{Process, Settings};
use local::{Durability, Local, Options};
use serde_json::Value;
use stream::{Broker, Follow, Purpose, Start, Stop, SystemClock};
use tokio::task::JoinHandle;

pub(crate) const LANES: u32 = 3;
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const SAGA: &str = r#"version: "2.0"
name: orders
key: ${inputs.order}
inputs: [{name: order, type: string}, {name: total, type: number, default: 1}]
triggers: [{event: shop.orders/OrderPlaced, inputs: "${event.value}"}]
tasks:
  - {id: reserve, agent: stock, inputs: [order], compensate: release}
  - {id: ship, agent: stock, kind: pivot, depends_on: [reserve], inputs: [order]}
"#;

pub(crate) struct World {
    pub(crate) broker: Arc<Local>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    pub(crate) process: Process,
    stop: Stop,
    served: Option<JoinHandle<Result<(), gateway::GatewayError>>>,
}

fn open(dir: &std::path::Path) -> Arc<Local> {
    let id = |name: &str| schemas().iter().find(|schema| schema.name == name).map(|of| of.id);
    let options = Options {
        durability: Durability::Os,
        lanes: LANES,
        topics: Topics::default(),
        clock: Arc::new(SystemClock),
        schema_ids: Arc::new(id),
        record_bytes_max: local::RECORD_BYTES_MAX,
    };
    Arc::new(Local::open(dir, options).unwrap())
}

impl World {
    pub(crate) async fn new(settings: Settings) -> Self {
        let process = Process::alone(Arc::new(|| "pavane_test 1\n".to_owned()));
        let mut world = Self::unserved(process);
        world.serve(settings).await;
        world
    }

    /// One in such a process, whose gateway need not be ready.
    pub(crate) async fn beside(settings: Settings, process: Process) -> Self {
        let mut world = Self::unserved(process);
        world.listen(settings).await;
        world
    }

    fn unserved(process: Process) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let broker = open(dir.path());
        let topics = Topics::default();
        for (topic, purpose) in [
            (topics.inbox(), Purpose::Inbox),
            (topics.events(), Purpose::Events),
            (topics.definitions(), Purpose::Definitions),
        ] {
            broker.create(&topic, purpose).unwrap();
        }
        let http = reqwest::Client::new();
        let (url, stop) = (String::new(), Stop::default());
        Self { broker, dir, url, http, process, stop, served: None }
    }

    async fn serve(&mut self, settings: Settings) {
        self.listen(settings).await;
        let until = Instant::now() + PATIENCE;
        while self.get("/readyz").await.0 != 200 {
            assert!(Instant::now() < until, "the gateway is not ready");
            tokio::task::yield_now().await;
        }
    }

    async fn listen(&mut self, settings: Settings) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.url = format!("http://{}", listener.local_addr().unwrap());
        self.stop = Stop::default();
        let served = gateway::serve(
            Arc::clone(&self.broker),
            Arc::new(SystemClock),
            settings,
            self.process.clone(),
            listener,
            self.stop.clone(),
        );
        self.served = Some(tokio::spawn(served));
    }

    /// Stops the gateway, which must end well.
    pub(crate) async fn stop(&mut self) {
        self.stop.request();
        self.served.take().unwrap().await.unwrap().unwrap();
    }

    pub(crate) async fn restart(&mut self, settings: Settings) {
        self.stop().await;
        self.serve(settings).await;
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        read(self.http.get(format!("{}{path}", self.url))).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        read(self.http.post(format!("{}{path}", self.url)).json(&body)).await
    }

    pub(crate) async fn post_text(&self, path: &str, body: &str) -> (u16, Value) {
        read(self.http.post(format!("{}{path}", self.url)).body(body.to_owned())).await
    }

    pub(crate) async fn deploy(&self) {
        let (status, said) = self.post_text("/v1/sagas", SAGA).await;
        assert_eq!(status, 201, "{said}");
    }

    /// All records of a topic, as they stand now.
    pub(crate) fn records(&self, topic: &str) -> Vec<Record> {
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

    /// Waits until `what` gives something.
    pub(crate) async fn until<T>(&self, name: &str, mut what: impl AsyncFnMut() -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = what().await {
                return found;
            }
            assert!(Instant::now() < until, "waited in vain: {name}");
            tokio::task::yield_now().await;
        }
    }

    /// Publishes a lifecycle event, as the coordinator does.
    pub(crate) fn event(&self, id: &str, run: i64, sequence: u64, what: What) {
        publish_event(&self.broker, id, run, sequence, what);
    }

    /// The same, of a workflow of this version.
    pub(crate) fn event_of(&self, id: &str, version: &str, run: i64, sequence: u64, what: What) {
        publish_event_of(&self.broker, id, Version::from(version), run, sequence, what);
    }

    /// Accepts starts like a coordinator does, in a thread that ends with the test.
    pub(crate) fn accept_starts(&self) -> Coordinator {
        let stop = Stop::default();
        let (broker, heeded) = (Arc::clone(&self.broker), stop.clone());
        let thread = std::thread::spawn(move || accept(&broker, &heeded));
        Coordinator { stop, thread: Some(thread) }
    }
}

pub(crate) struct Coordinator {
    stop: Stop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.stop.request();
        self.thread.take().unwrap().join().unwrap();
    }
}

async fn read(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

pub(crate) fn publish_event(broker: &Local, id: &str, run: i64, sequence: u64, what: What) {
    publish_event_of(broker, id, Version::from("000000000000"), run, sequence, what);
}

fn publish_event_of(
    broker: &Local,
    id: &str,
    version: Version,
    run: i64,
    sequence: u64,
    what: What,
) {
    let workflow = WorkflowId::from(id);
    let saga = SagaName::from(workflow.parts().unwrap().0);
    let time =
        Timestamp::from_millis(1_795_341_600_000 + run * 1_000 + i64::try_from(sequence).unwrap());
    let event = Lifecycle { workflow, run: Run(run), sequence, time, saga, version, what };
    let record = Outgoing {
        to: Destination::Events,
        partition: None,
        key: Some(Bytes::from(id.to_owned())),
        value: Payload::Avro { schema: event.schema(), datum: event.encode() },
        headers: vec![Header::text(header::TYPE, event.schema())],
    };
    broker.put(record).unwrap();
}

/// The first start of an id is accepted; a run's number is the start's offset, plus its partition so that
/// runs differ.
fn accept(broker: &Local, stop: &Stop) {
    let inbox = Topics::default().inbox();
    let mut follow = broker.follow(vec![(inbox, Start::Earliest)]).unwrap();
    let mut known = std::collections::BTreeSet::new();
    while !stop.requested() {
        for record in follow.next(Duration::from_millis(20)).unwrap() {
            let id = String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap();
            let is_start = record.header_text(header::TYPE) == Some("pavane.StartWorkflow");
            if is_start && known.insert(id.clone()) {
                let inputs = Json::parse(record.value.as_deref().unwrap()).unwrap();
                let start_id = record.header_text(header::ID).unwrap().to_owned();
                let run =
                    record.place.offset * i64::from(LANES) + i64::from(record.place.partition);
                publish_event(broker, &id, run, 1, What::WorkflowStarted { start_id, inputs });
            }
        }
    }
}
