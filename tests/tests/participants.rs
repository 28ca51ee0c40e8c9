//! Participants on a broker: commands from `tasks.<agent>`, answers to the inbox, poison to the dead
//! letters, and nothing committed that is not answered.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where a promise is broken"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::{Agent, Answer, Command, LedgerError, ServeError, Serving, serve};
use events::{AgentName, Destination, Header, Outgoing, Payload, Record, Topics, WorkflowId};
use local::{Durability, Local, Options};
use orders::{OverBroker, Service, Shop};
use serde_json::{Value, json};
use stream::{Broker, Fed, Feed, Follow, Purpose, Share, Start, Stop, SystemClock};

const DEADLINE: Duration = Duration::from_secs(60);

fn open(folder: &std::path::Path) -> Arc<Local> {
    let options = Options {
        durability: Durability::Os,
        lanes: 3,
        topics: Topics::default(),
        clock: Arc::new(SystemClock),
        schema_ids: Arc::new(|_| None),
        record_bytes_max: local::RECORD_BYTES_MAX,
    };
    Arc::new(Local::open(folder, options).unwrap())
}

/// A command to `agent` about the workflow `orders:o-<order>`.
fn command(agent: &str, (verb, kind, operation): (&str, &str, &str), order: usize) -> Outgoing {
    let workflow = WorkflowId::from(format!("orders:o-{order}"));
    let value = json!({"order_id": order.to_string(), "lines": [{"sku": "tea", "quantity": 1}]});
    Outgoing {
        to: Destination::Tasks(AgentName::from(agent)),
        partition: None,
        key: Some(Bytes::from(&workflow)),
        value: Payload::Bytes(Bytes::from(value.to_string())),
        headers: [
            ("ce_type", kind),
            ("ce_subject", &format!("{workflow}/{agent}/1.{verb}1")),
            ("pavane_saga", "orders"),
            ("pavane_type", operation),
            ("pavane_idempotency_key", &format!("{workflow}/{agent}")),
            ("pavane_epoch", "0"),
            ("pavane_deadline", "2100-01-01T00:00:00.000Z"),
        ]
        .map(|(name, value)| Header::text(name, value))
        .to_vec(),
    }
}

fn reserve(order: usize) -> Outgoing {
    command("inventory", ("do", "pavane.DoTask", "reserve_stock"), order)
}

fn release(order: usize) -> Outgoing {
    command("inventory", ("undo", "pavane.UndoTask", "release_stock"), order)
}

/// The first `count` records of a topic that differ in what `name` gives.
fn read<B: Broker>(
    broker: &B,
    topic: events::Topic,
    count: usize,
    name: impl Fn(&Record) -> String,
) -> BTreeMap<String, Record> {
    let mut follow = broker.follow(vec![(topic, Start::Earliest)]).unwrap();
    let mut read = BTreeMap::new();
    let until = Instant::now() + DEADLINE;
    while read.len() < count {
        assert!(Instant::now() < until, "{} of {count} came: {:?}", read.len(), read.keys());
        for record in follow.next(Duration::from_millis(100)).unwrap() {
            read.entry(name(&record)).or_insert(record);
        }
    }
    read
}

/// By subject, the first answer's type and value.
fn answers<B: Broker>(broker: &B, count: usize) -> BTreeMap<String, (String, Value)> {
    let subject = |record: &Record| record.header_text("ce_subject").unwrap().to_owned();
    read(broker, broker.topics().inbox(), count, subject)
        .into_iter()
        .map(|(subject, record)| {
            let kind = record.header_text("ce_type").unwrap().to_owned();
            let value = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
            (subject, (kind, value))
        })
        .collect()
}

fn answered_in_order<B: Broker>(broker: &Arc<B>) {
    const ORDERS: usize = 60;
    let topic = broker.topics().tasks(&AgentName::from("inventory"));
    broker.create(&topic, Purpose::Tasks).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let door = OverBroker { broker: Arc::clone(broker), serving: Serving::default() };
    let mut shop = Shop::open(folder.path(), Arc::new(door)).unwrap();
    shop.start(Service::Inventory);

    let bytes = Bytes::from_static(b"\xffno command");
    for order in 0..ORDERS {
        broker.put(reserve(order)).unwrap();
        if order == 7 {
            let value = Payload::Bytes(bytes.clone());
            broker
                .put(Outgoing { value: value.clone(), headers: Vec::new(), ..reserve(8) })
                .unwrap();
            let about = command("inventory", ("do", "pavane.DoTask", "reserve_stock"), 1_000);
            broker.put(Outgoing { value, ..about }).unwrap();
        }
        // A service that is down for a while, in the middle.
        if order == ORDERS / 3 {
            shop.stop(Service::Inventory);
        }
        if order == ORDERS / 2 {
            shop.start(Service::Inventory);
        }
        if order % 2 == 0 {
            broker.put(release(order)).unwrap();
        }
    }

    let answers = answers(&**broker, ORDERS + ORDERS / 2 + 1);
    for order in 0..ORDERS {
        let subject = |verb| format!("orders:o-{order}/inventory/1.{verb}1");
        assert_eq!(answers[&subject("do")].0, "pavane.TaskCompleted");
        if order % 2 == 0 {
            assert_eq!(answers[&subject("undo")].0, "pavane.TaskCompleted", "undone before done");
        }
    }
    let (kind, why) = &answers["orders:o-1000/inventory/1.do1"];
    assert_eq!((kind.as_str(), &why["code"]), ("pavane.TaskFailed", &json!("json")));
    let dead = broker.topics().dead_letters(&topic);
    let letters = read(&**broker, dead, 1, |record| record.place.to_string());
    let letter = letters.values().next().unwrap();
    assert_eq!(letter.value.as_ref(), Some(&bytes));
    assert_eq!(letter.header_text("pavane_error_code"), Some("no_subject"));

    shop.stop_all();
    let totals = shop.totals().unwrap().inventory;
    assert_eq!((totals.reserved, totals.reservations), (ORDERS as u64 / 2, ORDERS as u64 / 2));
    assert_eq!(left(&**broker, "inventory"), 0, "what was answered is committed");
}

/// How many commands the agent's group has not committed, up to now.
fn left<B: Broker>(broker: &B, agent: &str) -> usize {
    static MARKS: AtomicU32 = AtomicU32::new(0);
    let mark = format!("mark {}", MARKS.fetch_add(1, Ordering::SeqCst));
    let topic = broker.topics().tasks(&AgentName::from(agent));
    let partitions = u32::try_from(broker.kept(&topic).unwrap().unwrap().len()).unwrap();
    for partition in 0..partitions {
        broker
            .put(Outgoing {
                to: Destination::Named(topic.clone()),
                partition: Some(partition),
                key: None,
                value: Payload::Bytes(Bytes::from(mark.clone())),
                headers: Vec::new(),
            })
            .unwrap();
    }
    let share = Share::Records { topics: vec![topic], starts: Vec::new() };
    let group = broker.topics().group(&format!("agent.{agent}"));
    let mut feed = broker.join(&group, share).unwrap();
    let mut left = BTreeSet::new();
    let mut marked = BTreeSet::new();
    let until = Instant::now() + DEADLINE;
    while marked.len() < partitions as usize {
        assert!(Instant::now() < until, "the group got no share of {} partitions", partitions);
        let Fed::Records(records) = feed.next(Duration::from_millis(100)).unwrap() else {
            continue;
        };
        for record in records {
            if record.value.as_deref() == Some(mark.as_bytes()) {
                marked.insert(record.place.partition);
            } else if record.header("ce_subject").is_some() {
                left.insert(record.place);
            }
        }
    }
    left.len()
}

/// Its store fails at one order, as often as it says.
struct Unlucky {
    name: AgentName,
    failures_left: AtomicU32,
    answered: AtomicU32,
}

impl Agent for Unlucky {
    fn name(&self) -> &AgentName {
        &self.name
    }

    fn answer(&self, command: &Command) -> Result<Answer, LedgerError> {
        let is_hit = command.subject.workflow.as_str() == "orders:o-3";
        let take_one = |left: u32| left.checked_sub(1);
        let failures = &self.failures_left;
        if is_hit && failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one).is_ok() {
            return Err(LedgerError::new("commit", "no space"));
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        Ok(Answer::Completed(Value::Null))
    }
}

fn comes_again<B: Broker>(broker: &B) {
    const ORDERS: usize = 10;
    let topic = broker.topics().tasks(&AgentName::from("unlucky"));
    broker.create(&topic, Purpose::Tasks).unwrap();
    let agent = Unlucky {
        name: AgentName::from("unlucky"),
        failures_left: AtomicU32::new(2),
        answered: AtomicU32::new(0),
    };
    for order in 0..ORDERS {
        broker.put(command("unlucky", ("do", "pavane.DoTask", "try"), order)).unwrap();
    }
    let (stop, serving) = (Stop::default(), Serving::default());
    let mut open = 0;
    for _ in 0..2 {
        let ended = serve(broker, &agent, &SystemClock, &serving, &stop);
        assert!(matches!(ended, Err(ServeError::Ledger { .. })), "{ended:?}");
        open = left(broker, "unlucky");
        assert!(open > 0, "an unanswered command was committed");
    }
    let answered = || agent.answered.load(Ordering::SeqCst) as usize;
    let all = answered() + open;
    std::thread::scope(|scope| {
        let served = scope.spawn(|| serve(broker, &agent, &SystemClock, &serving, &stop));
        let answers = answers(broker, ORDERS);
        assert!(answers.values().all(|(kind, _)| kind == "pavane.TaskCompleted"));
        // What is read and not begun is left for others: those answered before come again as well.
        let until = Instant::now() + DEADLINE;
        while answered() < all {
            assert!(Instant::now() < until, "{} of {all} were answered", answered());
            std::thread::yield_now();
        }
        stop.request();
        served.join().unwrap().unwrap();
    });
    assert_eq!(left(broker, "unlucky"), 0);
}

#[test]
fn commands_of_a_workflow_are_answered_in_order_and_poison_stands_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    answered_in_order(&open(folder.path()));
}

#[test]
fn a_command_whose_store_failed_is_not_answered_and_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    comes_again(&*open(folder.path()));
}

#[cfg(feature = "real-kafka")]
mod real_kafka {
    use kafka::{Config, Kafka};

    use super::*;

    fn connect() -> Kafka {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let bootstrap = std::env::var("PAVANE_TEST_KAFKA").unwrap();
        let mut config = Config::at(&bootstrap);
        config.prefix = format!("participants{now}.");
        let kafka = Kafka::connect(config, &[]).unwrap();
        kafka::topics::create_all(&kafka, 3).unwrap();
        kafka
    }

    #[test]
    fn commands_of_a_workflow_are_answered_in_order_and_poison_stands_in_nobodys_way() {
        answered_in_order(&Arc::new(connect()));
    }

    #[test]
    fn a_command_whose_store_failed_is_not_answered_and_comes_again() {
        comes_again(&connect());
    }
}
