//! End to end on a real Apache Kafka, named by `PAVANE_TEST_KAFKA`: the services are processes of their own,
//! clients and participants are foreign. `cargo xtask test` sets up all that this needs.
#![cfg(feature = "real-kafka")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test, that is an assertion")]

#[allow(dead_code, reason = "the tests on Kafka share it; none of them uses all of it")]
mod system;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stream::Broker as _;
use system::System;

const ORDERS: &str = include_str!("../../sagas/order-processing.yaml");
const GREETING: &str = r#"
version: "2.0"
name: greeting
key: ${inputs.name}
inputs: [{name: name, type: string}, {name: fail, type: any, required: false}]
tasks:
  - {id: prepare, agent: python-one, inputs: [name], compensate: take_back}
  - {id: greet, agent: python-two, kind: readonly, depends_on: [prepare], inputs: [name, fail]}
outputs: [{name: by, from: greet.output.by}]
"#;

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

fn statuses(workflows: &[Value]) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    workflows.iter().map(|workflow| (text(&workflow["id"]), text(&workflow["status"]))).collect()
}

/// shows: A1, A2, A3, L1, N1, P3
#[test]
fn orders_from_a_foreign_client_end_as_the_saga_says_and_poison_blocks_nothing() {
    let system = System::start("orders");
    let topic = system.topic("shop.orders");
    let _shop = system.shop();
    system.deploy(&ORDERS.replace("shop.orders", &topic));
    let mut lines = vec![
        order("o-1", "c-1", "book"),
        json!({"key": "x", "type": "OrderPlaced", "raw": "ew=="}),
        order("o-2", "declined-2", "book"),
        json!({"key": "x", "type": "OrderPlaced", "raw": "//4A"}),
        order("o-3", "fraud-3", "book"),
        // Without a name of its own, a record is the event of the topic's only trigger.
        json!({"key": "x", "value": {"what": "no event name"}}),
        order("o-4", "c-4", "sold-out"),
        json!({"key": "x", "type": "OrderPlaced", "value": {"order_id": "o-9"}}),
        order("o-5", "c-5", "book"),
    ];
    lines.push(json!({"key": "x", "type": "SomethingElse", "value": {"passed": "over"}}));
    system.publish(&topic, &lines);
    let ended = system.wait_for_ended("order-processing", 5);
    let expected = [
        ("order-processing:o-1", "completed"),
        ("order-processing:o-2", "compensated"),
        ("order-processing:o-3", "compensated"),
        ("order-processing:o-4", "compensated"),
        ("order-processing:o-5", "completed"),
    ];
    let expected = expected.map(|(id, status)| (id.to_owned(), status.to_owned()));
    assert_eq!(statuses(&ended), BTreeMap::from(expected));

    let letters = system.dead_letters(&format!("{topic}.dlq"), 4);
    let found: BTreeSet<(String, String)> = letters
        .iter()
        .map(|letter| {
            let text = |name: &str| letter[name].as_str().unwrap_or_default().to_owned();
            (text("class"), text("code"))
        })
        .collect();
    assert_eq!(found.len(), 3, "three kinds of poison: {found:?}");

    let events = system.history(5);
    let of = |id: &str| -> Vec<&str> {
        let mine = events.iter().filter(|event| event["workflow"] == id);
        mine.map(|event| event["type"].as_str().unwrap()).collect()
    };
    let good = of("order-processing:o-1");
    assert_eq!(good.first(), Some(&"pavane.WorkflowStarted"));
    assert_eq!(good.last(), Some(&"pavane.WorkflowCompleted"));
    assert_eq!(good.iter().filter(|kind| **kind == "pavane.TaskCompleted").count(), 5);
    let declined = of("order-processing:o-2");
    let at = |kind: &str| declined.iter().position(|one| *one == kind).unwrap();
    assert!(at("pavane.TaskFailed") < at("pavane.CompensationStarted"));
    assert!(at("pavane.CompensationStarted") < at("pavane.WorkflowFailed"));
    let judged = system.judged();
    for (name, expect) in [("runs", 5), ("ended", 5), ("dead_letters", 4), ("unjudged", 0)] {
        assert_eq!(judged[name], expect, "{name}: {judged}");
    }
}

/// shows: A1, I4, Q1
#[test]
fn orders_survive_the_coordinators_death_and_the_books_add_up() {
    const ORDERS_PLACED: usize = 500;
    const KILLS: usize = 5;
    let mut system = System::start("killed");
    let topic = system.topic("shop.orders");
    let shop = system.shop();
    system.deploy(&ORDERS.replace("shop.orders", &topic));
    let orders: Vec<Value> = (0..ORDERS_PLACED)
        .map(|n| {
            let customer = if n % 5 == 0 { format!("declined-{n}") } else { format!("c-{n}") };
            order(&format!("o-{n}"), &customer, "book")
        })
        .collect();
    for (killed, some) in orders.chunks(ORDERS_PLACED / KILLS).enumerate() {
        system.publish(&topic, some);
        system.wait_for_ended("order-processing", killed * some.len() + 1);
        system.kill("coordinator");
        system.run("coordinator");
    }
    let ended = statuses(&system.wait_for_ended("order-processing", ORDERS_PLACED));
    for n in 0..ORDERS_PLACED {
        let expected = if n % 5 == 0 { "compensated" } else { "completed" };
        assert_eq!(ended[&format!("order-processing:o-{n}")], expected, "order {n}");
    }
    let sold = ORDERS_PLACED - ORDERS_PLACED / 5;
    system::assert_books(&shop.totals().unwrap(), sold);
    let commands =
        system.commands(&["inventory", "payment", "fraud", "fulfillment", "notification"]);
    for (id, bodies) in commands {
        assert_eq!(bodies.len(), 1, "same-again: {id} came with {} bodies", bodies.len());
    }
    let judged = system.judged();
    assert_eq!(judged["ended"], ORDERS_PLACED, "{judged}");
}

/// shows: A4, Q1
#[test]
fn a_participant_with_a_foreign_client_does_and_undoes() {
    let system = System::start("foreign");
    let _participant = system.participant(&["python-one", "python-two"]);
    system.deploy(GREETING);
    let done = system.start_workflow("greeting", &json!({"name": "ada"}));
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(done["outputs"], json!({"by": "python"}));
    let undone = system.start_workflow("greeting", &json!({"name": "bob", "fail": "rude"}));
    assert_eq!(undone["status"], "compensated", "{undone}");
    assert_eq!(undone["error"]["code"], "rude");
    let again = system.start_workflow("greeting", &json!({"name": "ada"}));
    assert_eq!(again["run"], done["run"], "the same start finds the same workflow");
    let judged = system.judged();
    assert_eq!(judged["ended"], 2, "{judged}");
}

/// Settings of users' topics are their owner's: none is made by the way, though brokers would do so for who asks
/// about one.
///
/// shows: P4
#[test]
fn a_users_topic_that_is_missing_is_said_and_not_made() {
    let system = System::start("missing");
    let missing = system.topic("shop.orders").replace("orders", "stok");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("missing.yaml");
    let saga = format!(
        "name: missing\nkey: ${{inputs.k}}\ninputs: [{{name: k, type: string}}]\ntasks:\n  \
         - {{id: told, await: {missing}/StockReserved, timeout: 1m, kind: readonly}}\n"
    );
    std::fs::write(&file, saga).unwrap();
    let deployed = system.try_pavane(&["deploy", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&deployed.stderr).into_owned();
    assert_eq!(deployed.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("topic `{missing}` does not exist")), "{said}");
    let published = system.try_pavane(&["publish", &missing, "{}"]);
    assert_eq!(published.status.code(), Some(3), "{published:?}");
    // A topic is made a moment after it was asked for: the look for it is itself repeated.
    assert_eq!(system.broker().kept(&missing.as_str().into()).unwrap(), None);
}
