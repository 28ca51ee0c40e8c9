//! The whole system in one process on the embedded log, driven by the command line.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test, that is an assertion")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use client::{Http, Serving};
use orders::{OverHttp, Shop};
use serde_json::Value;
use support::{Place, Up, repository, wait_for};

const GREETING: &str = r#"version: "2.0"
name: greeting
key: ${inputs.name}
inputs: [{name: name, type: string}]
tasks:
  - {id: greet, agent: host, kind: readonly, inputs: [name]}
outputs: [{name: words, from: greet.output.words}]
"#;

/// The five services of the order example, through the gateway.
fn shop(folder: &Path, url: &str, runtime: &tokio::runtime::Runtime) -> Shop {
    let http = Http::new(url).unwrap();
    let door = OverHttp { http, runtime: runtime.handle().clone(), serving: Serving::default() };
    let mut shop = Shop::open(folder, Arc::new(door)).unwrap();
    shop.start_all();
    shop
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn order(id: usize, customer: &str) -> String {
    format!(
        r#"{{"order_id":"o-{id}","customer_id":"{customer}-{id}","lines":[{{"sku":"lamp","quantity":1}}],"total":12.5}}"#
    )
}

fn items(place: &Place, arguments: &[&str], up: &Up) -> Vec<Value> {
    let mut all = arguments.to_vec();
    all.extend(["--json", "--url", &up.url]);
    place.run(&all).exits(0).json()["items"].as_array().unwrap().clone()
}

/// shows: A6
#[test]
fn the_demo_ends_with_a_table_that_holds() {
    let said = Place::new().run(&["demo", "orders"]).exits(0);
    for line in ["good order", "card declined", "fulfilment is down", "money taken", "shipments"] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    assert!(!said.out.contains('✘'), "{}", said.out);
    let said = Place::new().run(&["demo", "orders", "--json", "--count", "3"]).exits(0);
    assert_eq!(said.json()["ok"], true);
}

#[test]
fn a_workflow_is_started_waited_for_and_told() {
    let place = Place::new();
    let mut up = place.up("data");
    let url = up.url.clone();
    let run = |arguments: &[&str]| {
        let mut all = arguments.to_vec();
        all.extend(["--url", &url]);
        place.run(&all)
    };
    place.write("greeting.yaml", GREETING);
    let said = run(&["start", "greeting", "--inputs", r#"{"name":"ada"}"#]).exits(3);
    assert!(said.err.contains("try: pavane deploy"), "{}", said.err);
    run(&["deploy", "greeting.yaml"]).exits(0);
    run(&["start", "greeting", "--inputs", r#"{"name":"ada"}"#]).exits(0);
    run(&["start", "greeting", "--inputs", r#"{"name":1}"#]).exits(1);
    let http = place.folder.path().join("answer.json");
    let curl = |arguments: &[&str]| {
        let output = std::process::Command::new("curl")
            .args(["--silent", "--show-error", "--fail-with-body"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or(Value::Null)
    };
    // The participant is `curl` alone.
    let commands = wait_for("the command", || {
        let polled = curl(&[&format!("{url}/v1/agents/host/commands?wait=5s")]);
        polled["items"].as_array().filter(|items| !items.is_empty()).cloned()
    });
    let subject = commands[0]["headers"]["ce_subject"].as_str().unwrap();
    let answer = serde_json::json!({
        "type": "pavane.TaskCompleted", "subject": subject, "value": {"words": "hello ada"},
    });
    std::fs::write(&http, answer.to_string()).unwrap();
    let body = format!("@{}", http.display());
    let json = "content-type: application/json";
    curl(&["--header", json, "--data", &body, &format!("{url}/v1/agents/host/answers")]);

    let inputs = r#"{"name":"ada"}"#;
    let ended = run(&["start", "greeting", "--inputs", inputs, "--wait", "--json"]).exits(0).json();
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["outputs"]["words"], "hello ada");
    let shown = run(&["get", "greeting:ada"]).exits(0);
    assert!(shown.out.contains("completed"), "{}", shown.out);
    let told = run(&["history", "greeting:ada", "--json"]).exits(0).json();
    let kinds: Vec<_> = told["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap().trim_start_matches("pavane.").to_owned())
        .collect();
    assert_eq!(kinds, ["WorkflowStarted", "TaskScheduled", "TaskCompleted", "WorkflowCompleted"]);
    run(&["get", "greeting:bob"]).exits(3);
    run(&["cancel", "greeting:bob", "--reason", "none"]).exits(3);
    run(&["signal", "greeting:bob", "approve"]).exits(3);
    run(&["signal", "greeting:ada", "approve", "--data", "{}"]).exits(1);
    run(&["signal", "greeting:ada", "approve", "--data", "{"]).exits(2);
    assert!(up.interrupt().success());
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let place = Place::new();
    let _up = place.up("data");
    let said = place.run(&["up", "--listen", "127.0.0.1:0", "--data", "data"]).exits(1);
    assert!(said.err.contains("in use by another process"), "{}", said.err);
}

/// shows: A1, I4
#[test]
fn after_kill_9_in_the_middle_all_orders_end_and_the_books_add_up() {
    const ORDERS: usize = 200;
    let place = Place::new();
    let runtime = runtime();
    let books = place.folder.path().join("books");
    let saga = repository("sagas/order-processing.yaml");
    let mut up = place.up("data");
    place.run(&["deploy", saga.to_str().unwrap(), "--url", &up.url]).exits(0);
    let lines: Vec<String> =
        (0..ORDERS).map(|id| order(id, if id % 5 == 0 { "declined" } else { "c" })).collect();
    place.write("orders.ndjson", &lines.join("\n"));
    let header = "ce_type=OrderPlaced";
    let publish = ["publish", "shop.orders", "--header", header, "@orders.ndjson", "--url"];
    place.run(&[&publish[..], &[up.url.as_str()]].concat()).exits(0);

    let list = ["list", "--saga", "order-processing", "--limit", "1000"];
    let ended = |up: &Up| {
        let mut items = items(&place, &list, up);
        items.retain(|workflow| workflow["ended_at"].is_string());
        items
    };
    for part in [ORDERS / 8, ORDERS / 3] {
        let serving = shop(&books, &up.url, &runtime);
        wait_for("some orders to end", || (ended(&up).len() >= part).then_some(()));
        up.kill();
        drop(serving);
        up = place.up("data");
    }
    let serving = shop(&books, &up.url, &runtime);
    let all = wait_for("all orders to end", || {
        let ended = ended(&up);
        (ended.len() == ORDERS).then_some(ended)
    });
    let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
    for workflow in &all {
        *by_status.entry(workflow["status"].as_str().unwrap()).or_default() += 1;
    }
    let declined = ORDERS / 5;
    assert_eq!(
        by_status,
        BTreeMap::from([("compensated", declined), ("completed", ORDERS - declined)])
    );
    let totals = serving.totals().unwrap();
    let sold = u64::try_from(ORDERS - declined).unwrap();
    assert_eq!(totals.inventory.reserved, sold);
    assert_eq!(totals.inventory.reservations, sold);
    assert_eq!(totals.payment.captures, sold);
    assert_eq!(totals.payment.captured_cents, 1_250 * i64::try_from(sold).unwrap());
    assert_eq!(totals.fulfillment.shipments, sold);
    assert_eq!(totals.notification.notices, sold);
    drop(serving);
    assert!(up.interrupt().success());
    let judge = ["verify", "--data", "data", "--quiet-for", "0s", "--json"];
    let judged = place.run(&judge).exits(0).json();
    assert_eq!(judged["counts"]["ended"], ORDERS);
}

/// shows: Q1
#[test]
fn the_judge_counts_what_it_has_judged_and_names_what_does_not_hold() {
    let place = Place::new();
    let mut up = place.up("data");
    let runtime = runtime();
    let serving = shop(&place.folder.path().join("books"), &up.url, &runtime);
    let saga = repository("sagas/order-processing.yaml");
    place.run(&["deploy", saga.to_str().unwrap(), "--url", &up.url]).exits(0);
    place.write(
        "orders.ndjson",
        &[order(1, "c"), order(2, "declined"), "{half".to_owned()].join("\n"),
    );
    let publish =
        ["publish", "shop.orders", "--header", "ce_type=OrderPlaced", "@orders.ndjson", "--url"];
    place.run(&[&publish[..], &[up.url.as_str()]].concat()).exits(0);
    wait_for("the orders to end", || {
        let mut items = items(&place, &["list"], &up);
        items.retain(|workflow| workflow["ended_at"].is_string());
        (items.len() == 2).then_some(())
    });
    let said = place.run(&["verify", "--data", "data"]).exits(1);
    assert!(said.err.contains("in use by another process"), "{}", said.err);
    drop(serving);
    assert!(up.interrupt().success());

    let judge = ["verify", "--data", "data", "--quiet-for", "0s"];
    let said = place.run(&judge).exits(0);
    assert!(
        said.out.contains("no books were given")
            && said.out.contains("nothing that was judged breaks"),
        "{}",
        said.out
    );
    let judged = place.run(&[&judge[..], &["--json"]].concat()).exits(0).json();
    let counts = &judged["counts"];
    for (name, expect) in
        [("runs", 2), ("ended", 2), ("starts", 2), ("dead_letters", 1), ("unjudged", 0)]
    {
        assert_eq!(counts[name], expect, "{name}: {counts}");
    }
    place.write("stock.ndjson", "\n{\"key\": \"nobody's\", \"op\": \"do\"}\n");
    let with_book = [&judge[..], &["--books", "stock.ndjson"]].concat();
    let said = place.run(&with_book).exits(1);
    assert!(said.out.contains("effect-decided: no command has the key nobody's"), "{}", said.out);
    let judged = place.run(&[&with_book[..], &["--json"]].concat()).exits(1).json();
    assert_eq!((&judged["ok"], &judged["violations_total"]), (&false.into(), &1.into()));
    assert_eq!(judged["violations"][0]["invariant"], "effect-decided");
    place.write("stock.ndjson", "{\"key\": \"k\"}");
    let said = place.run(&with_book).exits(2);
    assert!(said.err.contains("stock.ndjson:1"), "{}", said.err);
}

/// shows: A3
#[test]
fn poison_is_listed_and_shown_with_its_bytes() {
    let place = Place::new();
    let up = place.up("data");
    let saga = repository("sagas/order-processing.yaml");
    place.run(&["deploy", saga.to_str().unwrap(), "--url", &up.url]).exits(0);
    let arguments = [
        "publish",
        "shop.orders",
        "--key",
        "x",
        "--header",
        "ce_type=OrderPlaced",
        "{half",
        "--url",
    ];
    place.run(&[&arguments[..], &[up.url.as_str()]].concat()).exits(0);
    let letters = wait_for("the dead letter", || {
        Some(items(&place, &["dlq", "list"], &up)).filter(|letters| !letters.is_empty())
    });
    assert_eq!(letters[0]["class"], "undecodable");
    let id = letters[0]["id"].as_str().unwrap();
    let shown = place.run(&["dlq", "show", id, "--url", &up.url]).exits(0);
    assert!(shown.out.contains("{half"), "{}", shown.out);
    place.run(&["dlq", "show", "shop.orders.dlq~0~99", "--url", &up.url]).exits(3);
}

#[test]
fn the_bench_prints_its_figures() {
    let arguments =
        ["bench", "saga", "--count", "50", "--concurrency", "5", "--rate", "200", "--json"];
    let said = Place::new().run(&arguments).exits(0).json();
    assert_eq!((&said["open"]["rate"], &said["open"]["count"]), (&200.into(), &50.into()));
    assert!(said["fdatasync"]["p50_ms"].as_f64().unwrap() > 0.0, "{said}");
    assert!(said["ratio"]["p50"].as_f64().unwrap() > 0.0, "{said}");
    assert_eq!(said["count"], 50);
    for field in ["seconds", "per_second", "p50_ms", "p95_ms", "p99_ms", "max_ms"] {
        assert!(said[field].as_f64().unwrap() > 0.0, "{field}: {said}");
    }
    assert_eq!(said["participants"], "linked in");
}

#[test]
fn the_benches_of_parts_print_their_figures() {
    let arguments = ["bench", "topic", "--count", "60", "--concurrency", "4", "--rate", "500"];
    let place = Place::new();
    let said =
        place.run(&[&arguments[..], &["--bytes", "1000", "--json"]].concat()).exits(0).json();
    assert_eq!((&said["count"], &said["bytes"]), (&60.into(), &1000.into()));
    assert_eq!(said["open"]["count"], 60);
    assert!(said["p50_ms"].as_f64().unwrap() > 0.0, "{said}");
    let said = place.run(&["bench", "core", "--count", "20", "--json"]).exits(0).json();
    // A start, two events for each of three tasks, and an end; a record for each, and a command a task.
    assert_eq!((&said["events"], &said["records"]), (&160.into(), &220.into()));
    assert!(said["nanoseconds_each"].as_u64().unwrap() > 0, "{said}");
    let said = place.run(&["bench", "start", "--count", "1", "--json"]).exits(0).json();
    for figure in [&said["fresh"]["p50_ms"], &said["used"]["p99_ms"], &said["idle_bytes"]] {
        assert!(figure.as_f64().unwrap() > 0.0, "{said}");
    }
}

#[test]
fn the_benches_of_what_waits_print_their_figures() {
    let arguments = ["bench", "restore", "--count", "40", "--json"];
    let said = Place::new().run(&arguments).exits(0).json();
    assert_eq!((&said["count"], &said["on"]), (&40.into(), &"embedded log".into()));
    for field in ["started_per_second", "restored_seconds", "bytes_before", "bytes_after"] {
        assert!(said[field].as_f64().unwrap() > 0.0, "{field}: {said}");
    }
    assert_eq!(said["bytes_spilled"], 0);
    let tight = Place::new();
    tight.write("pavane.toml", "[state]\nmemory_mib = 0\n");
    let said = tight.run(&arguments).exits(0).json();
    assert!(said["bytes_spilled"].as_f64().unwrap() > 40.0 * 64.0, "{said}");
    let arguments = ["bench", "timers", "--count", "30", "--waiting", "40", "--json"];
    let said = Place::new().run(&arguments).exits(0).json();
    let waiting: Vec<_> = said.as_array().unwrap().iter().map(|run| &run["waiting"]).collect();
    assert_eq!(waiting, [&0, &40]);
    assert_eq!((&said[0]["count"], &said[1]["count"]), (&30.into(), &30.into()));
}
