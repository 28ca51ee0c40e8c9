//! The saga over services that know nothing of sagas, on a real Apache Kafka, with the services of
//! `examples/choreography` as processes of their own. `cargo xtask test` sets up all that this needs.
#![cfg(feature = "real-kafka")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test, that is an assertion")]

#[allow(dead_code, reason = "the tests on Kafka share it; none of them uses all of it")]
mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use events::Record;
use serde_json::{Value, json};
use system::{Process, System};
use tempfile::TempDir;

const SAGA: &str = include_str!("../../sagas/order-choreography.yaml");
const NAME: &str = "order-choreography";

/// The shop's services and topics, under a prefix of this test's own.
struct Shop<'a> {
    system: &'a System,
    prefix: String,
    books: TempDir,
}

fn example(program: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/choreography").join(program)
}

impl<'a> Shop<'a> {
    /// Makes its topics and deploys its saga; no service runs yet.
    fn open(system: &'a System) -> Self {
        let orders = system.topic("shop.orders");
        for other in ["stock", "payments", "risk", "shipping"] {
            system.topic(&format!("shop.{other}"));
        }
        let prefix = orders.strip_suffix("orders").unwrap().to_owned();
        system.deploy(&SAGA.replace("shop.", &prefix));
        Self { system, prefix, books: tempfile::tempdir().unwrap() }
    }

    fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Starts a service that is told `more`.
    fn service(&self, name: &str, more: &[&str]) -> Process {
        let books = self.books.path().to_str().unwrap();
        let arguments = ["--kafka", self.system.kafka(), "--data", books, "--prefix", &self.prefix];
        System::program(&example(&format!("{name}.py")), &[&arguments[..], more].concat())
    }

    /// By service, what its book says of each order.
    fn books(&self) -> Value {
        System::printed(&example("books.py"), &[self.books.path().to_str().unwrap()])
    }

    /// The values of all events of that name on a topic of the shop, by order.
    fn events(&self, topic: &str, name: &str) -> BTreeMap<String, Vec<Value>> {
        let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for record in self.system.records(&self.topic(topic)) {
            let value: Value = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
            let header = record.header_text("ce_type");
            if header == Some(name) || header.is_none() && value["type"] == name {
                let order = value["order_id"].as_str().unwrap().to_owned();
                found.entry(order).or_default().push(value);
            }
        }
        found
    }

    /// What it is asked to undo: the orders.
    fn asked(&self, topic: &str, name: &str) -> BTreeSet<String> {
        self.events(topic, name).into_keys().collect()
    }
}

/// An order as the shop's web site would publish it.
fn order(id: &str, customer: &str, sku: &str) -> Value {
    json!({
        "key": id,
        "type": "OrderPlaced",
        "value": {
            "order_id": id,
            "customer_id": customer,
            "lines": [{"sku": sku, "quantity": 1}],
            "total": 20.0,
        }
    })
}

/// Tasks and their statuses.
fn tasks(workflow: &Value) -> BTreeMap<&str, &str> {
    let tasks = workflow["tasks"].as_array().unwrap().iter();
    tasks.map(|task| (task["id"].as_str().unwrap(), task["status"].as_str().unwrap())).collect()
}

fn set<const N: usize>(orders: [&str; N]) -> BTreeSet<String> {
    orders.map(str::to_owned).into()
}

/// shows: A2, A4, L1, P3
#[test]
fn orders_end_as_the_services_say_and_the_books_agree() {
    let system = System::start("choreography");
    let shop = Shop::open(&system);
    let url = system.url();
    let _services = [
        shop.service("stock", &[]),
        shop.service("payments", &[]),
        shop.service("shipping", &[]),
        // This one publishes over HTTP.
        shop.service("risk", &["--publish", &url]),
    ];
    let orders = [
        order("o-1", "c-1", "tea"),
        order("o-2", "declined-2", "tea"),
        order("o-3", "c-3", "twice-tea"),
        order("o-4", "c-4", "sold-out-tea"),
        order("o-5", "fraud-5", "tea"),
    ];
    system.publish(&shop.topic("orders"), &orders);
    system.wait_for_ended(NAME, orders.len());

    let ended = |order: &str| system.workflow(&format!("{NAME}:{order}"));
    for good in ["o-1", "o-3"] {
        let workflow = ended(good);
        assert_eq!(workflow["status"], "completed", "{workflow}");
        assert!(tasks(&workflow).iter().all(|(id, status)| *status == "done" || *id == "tell"));
    }
    for (bad, code, failed, undone) in [
        ("o-2", "PaymentDeclined", "payment", &["inventory"][..]),
        ("o-4", "StockRefused", "inventory", &["payment"][..]),
        ("o-5", "OrderSuspected", "fraud", &["inventory", "payment"][..]),
    ] {
        let workflow = ended(bad);
        assert_eq!(workflow["status"], "compensated", "{workflow}");
        assert_eq!(workflow["error"]["code"], code, "{workflow}");
        let tasks = tasks(&workflow);
        assert_eq!(tasks[failed], "failed", "{workflow}");
        assert!(undone.iter().all(|task| tasks[task] == "undone"), "{workflow}");
    }

    let books = json!({
        "stock": {"o-1": "reserved", "o-2": "released", "o-3": "reserved", "o-4": "refused", "o-5": "released"},
        "payments": {"o-1": "captured", "o-2": "declined", "o-3": "captured", "o-4": "refunded", "o-5": "refunded"},
        "risk": {"o-1": "cleared", "o-2": "cleared", "o-3": "cleared", "o-4": "cleared", "o-5": "suspected"},
        "shipping": {"o-1": "prepared", "o-3": "prepared"},
    });
    assert_eq!(shop.books(), books);
    assert_eq!(shop.asked("stock", "ReleaseRequested"), set(["o-2", "o-5"]));
    let refunds = shop.asked("payments", "RefundRequested");
    assert_eq!(refunds, set(["o-4", "o-5"]), "what was declined is not refunded");
    assert_eq!(shop.asked("orders", "OrderConfirmed"), set(["o-1", "o-3"]));
    let rejected = shop.events("orders", "OrderRejected");
    assert_eq!(rejected.keys().cloned().collect::<BTreeSet<_>>(), set(["o-2", "o-4", "o-5"]));
    assert_eq!(rejected["o-2"][0], json!({"order_id": "o-2", "why": "PaymentDeclined"}));

    let reserved = shop.events("stock", "StockReserved");
    assert_eq!(reserved["o-3"].len(), 2, "the event came twice");
    let history = system.history(orders.len());
    let reservations = history.iter().filter(|event| {
        event["workflow"] == format!("{NAME}:o-3")
            && event["type"] == "pavane.TaskCompleted"
            && event["event"]["task"] == "inventory"
    });
    assert_eq!(reservations.count(), 1, "and counted once");
}

/// What happened to an order before the order itself was seen is kept, and counts.
///
/// shows: A4, I4
#[test]
fn events_that_come_before_their_order_are_kept_for_it() {
    let system = System::start("early");
    let shop = Shop::open(&system);
    let _shipping = shop.service("shipping", &[]);
    for (topic, name) in
        [("stock", "StockReserved"), ("payments", "PaymentCaptured"), ("risk", "OrderCleared")]
    {
        let event = json!({"key": "o-1", "type": name, "value": {"order_id": "o-1"}});
        system.publish(&shop.topic(topic), &[event]);
    }
    let id = format!("{NAME}:o-1");
    let is_early = |record: &Record| {
        record.key.as_deref() == Some(id.as_bytes())
            && record.header_text("ce_type") == Some("pavane.DomainEvent")
    };
    system.wait_for_inbox(3, is_early);

    system.publish(&shop.topic("orders"), &[order("o-1", "c-1", "tea")]);
    system.wait_for_ended(NAME, 1);
    let workflow = system.workflow(&id);
    assert_eq!(workflow["status"], "completed", "{workflow}");
    assert_eq!(shop.books(), json!({"shipping": {"o-1": "prepared"}}));
    assert_eq!(shop.asked("orders", "OrderConfirmed"), set(["o-1"]));
}
