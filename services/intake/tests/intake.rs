//! Intake over an embedded log: what stands on a user's topic, and what follows from it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where a promise is broken"
)]

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{
    Deployment, Destination, Header, Outgoing, Payload, Record, StartsAt, Topic, Topics, header,
};
use local::{Durability, Local, Options};
use serde_json::{Value, json};
use stream::{Broker, Follow, Purpose, Start, Stop, SystemClock};

const PATIENCE: Duration = Duration::from_secs(20);

fn saga(name: &str, event: &str) -> String {
    format!(
        r#"version: "2.0"
name: {name}
key: ${{inputs.order}}
inputs: [{{name: order, type: string}}]
triggers: [{{event: shop.orders/{event}, where: "${{event.value.order != 'skip'}}", inputs: "${{event.value}}"}}]
tasks: [{{id: work, agent: worker, inputs: [order]}}]
"#
    )
}

struct World {
    broker: Arc<Local>,
    _dir: tempfile::TempDir,
    running: Option<(Stop, JoinHandle<()>)>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some((stop, _)) = &self.running {
            stop.request();
        }
    }
}

fn open(dir: &Path) -> Local {
    let options = Options {
        durability: Durability::Os,
        lanes: 2,
        topics: Topics::default(),
        clock: Arc::new(SystemClock),
        schema_ids: Arc::new(|_| None),
        record_bytes_max: local::RECORD_BYTES_MAX,
    };
    Local::open(dir, options).unwrap()
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let broker = Arc::new(open(dir.path()));
        let topics = Topics::default();
        for (topic, purpose) in [
            (topics.inbox(), Purpose::Inbox),
            (topics.definitions(), Purpose::Definitions),
            (Topic::from("shop.orders"), Purpose::User),
        ] {
            broker.create(&topic, purpose).unwrap();
        }
        Self { broker, _dir: dir, running: None }
    }

    fn ends(&self) -> Vec<StartsAt> {
        let kept = self.broker.kept(&"shop.orders".into()).unwrap().unwrap();
        (0..)
            .zip(kept)
            .map(|(partition, range)| StartsAt {
                topic: "shop.orders".into(),
                partition,
                offset: range.end,
            })
            .collect()
    }

    /// As the gateway does it, at the end.
    fn deploy(&self, name: &str, event: &str, revision: u64, starts_at: Vec<StartsAt>) {
        let deployment = Deployment {
            name: name.into(),
            version: format!("{revision:012}"),
            revision,
            deployed_at: String::new(),
            text: saga(name, event),
            agents: vec!["worker".into()],
            starts_at,
        };
        let record = Outgoing {
            to: Destination::Definitions,
            partition: None,
            key: Some(Bytes::from(name.to_owned())),
            value: Payload::Bytes(deployment.encode().unwrap()),
            headers: Vec::new(),
        };
        self.broker.put(record).unwrap();
    }

    fn publish(&self, event: Option<&[u8]>, value: Option<&[u8]>) {
        let named = |event| Header {
            name: header::TYPE.into(),
            value: Some(Bytes::copy_from_slice(event)),
        };
        let headers = event.map(named).into_iter().collect();
        let value =
            value.map_or(Payload::Null, |value| Payload::Bytes(Bytes::copy_from_slice(value)));
        let to = Destination::Named("shop.orders".into());
        // One partition, so that one record stands behind another.
        let record = Outgoing { to, partition: Some(0), key: None, value, headers };
        self.broker.put(record).unwrap();
    }

    fn order(&self, order: &str) {
        let value = json!({"order": order, "more": 1}).to_string();
        self.publish(Some(b"OrderPlaced"), Some(value.as_bytes()));
    }

    fn run(&mut self) {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let stop = Stop::default();
        let (broker, heeded) = (Arc::clone(&self.broker), stop.clone());
        let thread = std::thread::spawn(move || {
            let clock: Arc<dyn stream::Clock> = Arc::new(SystemClock);
            intake::run(&broker, &clock, &heeded, || ready.send(()).unwrap()).unwrap();
        });
        is_ready.recv_timeout(PATIENCE).unwrap();
        self.running = Some((stop, thread));
    }

    fn stop(&mut self) {
        let (stop, thread) = self.running.take().unwrap();
        stop.request();
        thread.join().unwrap();
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

    /// The keys of all starts, in order of key.
    fn starts(&self) -> Vec<String> {
        let starts = self.records("pavane.inbox");
        let key =
            |record: &Record| String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap();
        let mut keys: Vec<String> = starts.iter().map(key).collect();
        keys.sort();
        keys
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < until, "waited in vain: {what}; starts {:?}", self.starts());
            std::thread::yield_now();
        }
    }
}

/// Event name, value, and the class and code of its dead letter.
type Poison = (&'static [u8], Option<&'static [u8]>, &'static str, &'static str);

#[test]
fn poison_goes_to_the_dead_letters_and_no_good_record_waits() {
    let mut world = World::new();
    world.deploy("orders", "OrderPlaced", 1, world.ends());
    world.run();
    let named: &[u8] = b"OrderPlaced";
    let poison: [Poison; 7] = [
        (named, Some(b"{\"order\":"), "undecodable", "json"),
        (named, Some(b"\xff\xfe\x00"), "undecodable", "utf8"),
        (named, Some(b"{}"), "invalid", "expression"),
        (named, Some(b"{\"order\":7}"), "invalid", "bad_start"),
        (named, Some(b"{\"order\":\"\"}"), "invalid", "bad_key"),
        (named, None, "invalid", "expression"),
        (b"\xff", Some(b"{\"order\":\"misnamed\"}"), "undecodable", "utf8"),
    ];
    for (n, (event, bytes, ..)) in poison.iter().enumerate() {
        world.order(&format!("o{n}"));
        world.publish(Some(*event), *bytes);
    }
    world.order("skip");
    world.publish(Some(b"OrderShipped"), Some(b"{\"order\":\"x\"}"));
    // A tombstone, as compacted topics have them.
    world.publish(None, None);
    // The topic's only trigger event names what has no name.
    world.publish(None, Some(b"{\"order\":\"unnamed\"}"));
    let wanted =
        ["o0", "o1", "o2", "o3", "o4", "o5", "o6", "unnamed"].map(|key| format!("orders:{key}"));
    world.until("all good orders start", |world| world.starts() == wanted);
    world.until("the poison is refused", |world| world.records("shop.orders.dlq").len() == 7);
    let sources = world.records("shop.orders");
    for letter in world.records("shop.orders.dlq") {
        let text = |name: &str| letter.header_text(name).unwrap().to_owned();
        let offset: i64 = text("__dlq.errors.offset").parse().unwrap();
        let source = sources.iter().find(|of| of.place.offset == offset).unwrap();
        assert_eq!(letter.value, source.value);
        assert_eq!(letter.headers[..source.headers.len()], source.headers[..]);
        let why = poison.iter().find(|(_, bytes, ..)| letter.value.as_deref() == *bytes);
        let (_, _, class, code) = why.unwrap();
        assert_eq!((&*text("pavane_error_class"), &*text("pavane_error_code")), (*class, *code));
    }
    let start = &world.records("pavane.inbox")[0];
    let inputs: Value = serde_json::from_slice(start.value.as_deref().unwrap()).unwrap();
    assert_eq!(inputs.as_object().unwrap().len(), 1, "declared names only");
    assert!(start.header_text(header::ID).unwrap().starts_with("shop.orders/0/"));
    assert_eq!(start.header_text(header::VERSION), Some("000000000001"));

    // What was settled is committed: another life begins behind it.
    world.stop();
    world.run();
    world.order("last");
    world.until("the last starts", |world| world.starts().contains(&"orders:last".to_owned()));
    assert_eq!(world.starts().len(), 9);
    assert_eq!(world.records("shop.orders.dlq").len(), 7);
    world.stop();
}

#[test]
fn a_saga_deployed_later_is_started_by_what_came_since_its_deployment_and_alone() {
    let mut world = World::new();
    world.deploy("orders", "OrderPlaced", 1, world.ends());
    world.run();
    world.order("before");
    world.publish(Some(b"OrderPlaced"), Some(b"poison"));
    world.until("it starts", |world| world.starts().len() == 1);
    world.until("poison is refused", |world| world.records("shop.orders.dlq").len() == 1);
    // Noted, then overtaken by an order and by poison before the definition is written.
    let noted = world.ends();
    world.order("between");
    world.publish(Some(b"OrderPlaced"), Some(b"poison too"));
    world.until("it starts", |world| world.starts().len() == 2);
    world.until("poison is refused", |world| world.records("shop.orders.dlq").len() == 2);
    world.deploy("second", "OrderPlaced", 1, noted);
    world.order("after");
    let wanted =
        ["orders:after", "orders:before", "orders:between", "second:after", "second:between"];
    world.until("both are started", |world| world.starts() == wanted);
    assert_eq!(world.records("shop.orders.dlq").len(), 2, "poison is not refused twice");
    let several: Vec<_> = world
        .records("pavane.inbox")
        .iter()
        .filter(|record| record.key.as_deref().unwrap().ends_with(b":after"))
        .map(|record| {
            record.header_text(header::ID).unwrap().rsplit('/').next().unwrap().to_owned()
        })
        .collect();
    assert!(several.contains(&"orders".to_owned()) && several.contains(&"second".to_owned()));
    world.stop();
}

#[test]
fn a_newer_version_replaces_the_triggers_of_the_older() {
    let mut world = World::new();
    let starts = world.ends();
    world.deploy("orders", "OrderPlaced", 1, starts.clone());
    world.run();
    world.order("one");
    world.until("it starts", |world| world.starts() == ["orders:one"]);
    world.deploy("orders", "OrderConfirmed", 2, starts);
    world.order("two");
    world.publish(Some(b"OrderConfirmed"), Some(b"{\"order\":\"three\"}"));
    world.until("the new event starts", |world| world.starts().len() == 2);
    assert_eq!(world.starts(), ["orders:one", "orders:three"]);
    world.stop();
}

#[test]
fn what_is_published_after_a_deployment_is_never_missed() {
    let mut world = World::new();
    world.deploy("orders", "OrderPlaced", 1, world.ends());
    world.run();
    for round in 0..20 {
        let name = format!("saga{round}");
        world.deploy(&name, "OrderPlaced", 1, world.ends());
        // Confirmed, so from here on nothing may be missed.
        world.order(&format!("r{round}"));
    }
    for round in 0..20 {
        let key = format!("saga{round}:r{round}");
        world.until(&key, |world| world.starts().contains(&key));
    }
    world.stop();
}
