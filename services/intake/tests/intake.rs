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

/// Started by an order, waits for its confirmation, and for its payment on another topic, which says in its
/// value whose it is.
fn waiting(name: &str) -> String {
    format!(
        r#"version: "2.0"
name: {name}
key: ${{inputs.order}}
inputs: [{{name: order, type: string}}]
topics: {{payments: {{topic: shop.payments, correlate: "${{event.value.order_id}}"}}}}
triggers: [{{event: shop.orders/OrderPlaced, inputs: "${{event.value}}"}}]
tasks:
  - {{id: paid, await: payments/Paid}}
  - {{id: confirmed, await: shop.orders/OrderConfirmed}}
  - {{id: placed, await: {{event: shop.orders/OrderPlaced, correlate: "${{event.value.order}}"}}}}
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
            (Topic::from("shop.payments"), Purpose::User),
        ] {
            broker.create(&topic, purpose).unwrap();
        }
        Self { broker, _dir: dir, running: None }
    }

    fn ends(&self) -> Vec<StartsAt> {
        let ends = ["shop.orders", "shop.payments"].map(|topic| {
            let kept = self.broker.kept(&topic.into()).unwrap().unwrap();
            (0..).zip(kept).map(move |(partition, range)| StartsAt {
                topic: topic.into(),
                partition,
                offset: range.end,
            })
        });
        ends.into_iter().flatten().collect()
    }

    /// As the gateway does it, at the end.
    fn deploy(&self, name: &str, event: &str, revision: u64, starts_at: Vec<StartsAt>) {
        self.deploy_text(name, saga(name, event), revision, starts_at);
    }

    fn deploy_text(&self, name: &str, text: String, revision: u64, starts_at: Vec<StartsAt>) {
        let deployment = Deployment {
            name: name.into(),
            version: format!("{revision:012}"),
            revision,
            deployed_at: String::new(),
            text,
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

    /// An event with a key.
    fn tell(&self, topic: &str, event: &str, key: Option<&str>, value: &str) {
        let record = Outgoing {
            to: Destination::Named(topic.into()),
            partition: Some(0),
            key: key.map(|key| Bytes::from(key.to_owned())),
            value: Payload::Bytes(Bytes::from(value.to_owned())),
            headers: vec![Header::text(header::TYPE, event), Header::text("source", "shop")],
        };
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

    /// What stands in the inbox for a workflow, in order: type, event and place.
    fn told(&self, workflow: &str) -> Vec<String> {
        let mut records = self.records("pavane.inbox");
        records.retain(|record| record.key.as_deref() == Some(workflow.as_bytes()));
        let text = |record: &Record, name| record.header_text(name).unwrap_or("-").to_owned();
        let told = records.iter().map(|record| {
            let names = [header::TYPE, header::EVENT, header::EVENT_RECORD];
            names.map(|name| text(record, name)).join(" ")
        });
        told.collect()
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

#[test]
fn an_awaited_event_is_passed_on_to_the_workflow_that_it_is_about() {
    let mut world = World::new();
    world.deploy_text("orders", waiting("orders"), 1, world.ends());
    world.deploy_text("second", waiting("second"), 1, world.ends());
    world.run();
    let paid = r#"{"order_id": 17,  "amount": 1.50}"#;
    world.tell("shop.orders", "OrderPlaced", None, r#"{"order":"17"}"#);
    world.tell("shop.payments", "Paid", Some("p-1"), paid);
    world.tell("shop.orders", "OrderConfirmed", Some("17"), "null");
    world.tell("shop.orders", "OrderShipped", None, "{}");
    let expected = [
        "pavane.StartWorkflow - -",
        "pavane.DomainEvent shop.orders/OrderPlaced shop.orders/0/0",
        "pavane.DomainEvent shop.orders/OrderConfirmed shop.orders/0/1",
        "pavane.DomainEvent shop.payments/Paid shop.payments/0/0",
    ];
    for saga in ["orders:17", "second:17"] {
        world.until("all is passed on", |world| world.told(saga).len() == 4);
        let mut told = world.told(saga);
        // The two topics are read side by side; each in its order.
        told.sort_by_key(|line| line.contains("payments"));
        assert_eq!(told, expected);
    }
    let inbox = world.records("pavane.inbox");
    let of_payment =
        |record: &&Record| record.header_text(header::EVENT) == Some("shop.payments/Paid");
    let payment = inbox.iter().find(of_payment).unwrap();
    assert_eq!(payment.value.as_deref(), Some(paid.as_bytes()), "byte for byte");
    assert_eq!(payment.header_text(header::EVENT_KEY), Some("p-1"));
    let headers = payment.header_text(header::EVENT_HEADERS).unwrap();
    assert_eq!(headers, r#"{"ce_type":"Paid","source":"shop"}"#);
    assert!(matches!(saga::parse(payment), Ok(saga::Input::Seen { .. })));
    assert!(world.records("shop.orders.dlq").is_empty());
    world.stop();
}

#[test]
fn an_event_of_which_nobody_can_say_whom_it_is_about_is_a_dead_letter() {
    let mut world = World::new();
    world.deploy_text("orders", waiting("orders"), 1, world.ends());
    world.run();
    for value in ["{}", r#"{"order_id":[1]}"#, r#"{"order_id":""}"#, "7"] {
        world.tell("shop.payments", "Paid", Some("o-1"), value);
    }
    world.tell("shop.orders", "OrderConfirmed", None, "{}");
    // It starts its saga all the same.
    world.tell("shop.orders", "OrderPlaced", None, r#"{"order":"o-2"}"#);
    world.tell("shop.payments", "Paid", None, r#"{"order_id":"o-2"}"#);
    world.until("the good ones pass", |world| world.told("orders:o-2").len() == 3);
    world.until("payments are refused", |world| world.records("shop.payments.dlq").len() == 4);
    world.until("the order is refused", |world| world.records("shop.orders.dlq").len() == 1);
    let why = |topic: &str| -> Vec<String> {
        let of = |letter: &Record| {
            let text = |name: &str| letter.header_text(name).unwrap().to_owned();
            format!("{} {}", text("pavane_error_class"), text("pavane_error_code"))
        };
        world.records(topic).iter().map(of).collect()
    };
    assert_eq!(why("shop.payments.dlq"), ["invalid correlate"; 4]);
    assert_eq!(why("shop.orders.dlq"), ["invalid no_key"]);
    world.stop();
}

#[test]
fn events_are_heard_from_the_deployment_that_awaits_them_on() {
    let mut world = World::new();
    world.tell("shop.payments", "Paid", None, r#"{"order_id":"before"}"#);
    world.deploy("orders", "OrderPlaced", 1, world.ends());
    world.run();
    world.tell("shop.payments", "Paid", None, r#"{"order_id":"unheard"}"#);
    world.deploy_text("orders", waiting("orders"), 2, world.ends());
    world.tell("shop.payments", "Paid", None, r#"{"order_id":"after"}"#);
    world.until("it is heard", |world| world.told("orders:after").len() == 1);
    assert_eq!(world.starts(), ["orders:after"]);
    // The newest definition alone says what is listened for.
    world.deploy("orders", "OrderPlaced", 3, world.ends());
    world.tell("shop.payments", "Paid", None, r#"{"order_id":"late"}"#);
    world.order("last");
    world.until("the last starts", |world| world.starts().contains(&"orders:last".to_owned()));
    assert_eq!(world.starts(), ["orders:after", "orders:last"]);
    world.stop();
}
