//! The ten workflow patterns of `sagas/patterns`, each run as its comment tells it, and with a failure.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use client::{Publish, Workflow};
use events::AgentName;
use serde_json::{Value, json};

use crate::outside::World;
use crate::outside::books::Books;

/// What the files declare in `returns`.
fn output(task: &str) -> Value {
    match task {
        "reserve" => json!({"slot": "s1"}),
        "typeset" => json!({"pages": 12}),
        "print" => json!({"batch": "b1"}),
        "score" => json!({"points": 700}),
        "value" => json!({"amount": 1.5}),
        "offer" => json!({"rate": 2.5}),
        "ship" => json!({"tracking": "t1"}),
        "decide" => json!({"accepted": true}),
        _ => json!({"by": task}),
    }
}

/// How a workflow ended: its status, and its tasks.
fn told(workflow: &Workflow) -> (String, BTreeMap<String, String>) {
    let status = serde_json::to_value(workflow.status).unwrap().as_str().unwrap().to_owned();
    (status, workflow.tasks.iter().map(|task| (task.id.clone(), task.status.clone())).collect())
}

#[track_caller]
fn ends(workflow: &Workflow, status: &str, tasks: &str) {
    let tasks = tasks.split(' ').map(|task| {
        let (id, status) = task.split_once('=').unwrap();
        (id.to_owned(), status.to_owned())
    });
    assert_eq!(told(workflow), (status.to_owned(), tasks.collect()), "{workflow:#?}");
}

/// A pattern, the inputs but for the key's, and how it ends: once well, and once with a failure.
const RUNS: [(&str, &str, &str, &str, &str); 16] = [
    // shows: G1
    (
        "g01-sequence",
        r#"{"title":"KEY","copies":3}"#,
        "ok",
        "completed",
        "reserve=done typeset=done print=done deliver=done",
    ),
    (
        "g01-sequence",
        r#"{"title":"KEY","copies":3}"#,
        "fail-print",
        "compensated",
        "reserve=undone typeset=done print=failed deliver=cancelled",
    ),
    // shows: G2
    (
        "g02-parallel-split",
        r#"{"person":"KEY","office":"o"}"#,
        "ok",
        "completed",
        "contract=done account=done desk=done badge=done",
    ),
    (
        "g02-parallel-split",
        r#"{"person":"KEY","office":"o"}"#,
        "fail-contract",
        "compensated",
        "contract=failed account=cancelled desk=cancelled badge=cancelled",
    ),
    // shows: G3
    (
        "g03-synchronisation",
        r#"{"application":"KEY","customer":"c","house":"h"}"#,
        "ok",
        "completed",
        "score=done value=done offer=done",
    ),
    // shows: G4
    (
        "g04-exclusive-choice",
        r#"{"claim":"KEY","amount":2000}"#,
        "ok",
        "completed",
        "register=done assess=done expert=done rule=skipped answer=done",
    ),
    (
        "g04-exclusive-choice",
        r#"{"claim":"KEY","amount":2}"#,
        "fail-rule",
        "compensated",
        "register=undone assess=cancelled expert=skipped rule=failed answer=cancelled",
    ),
    // shows: G5
    (
        "g05-simple-merge",
        r#"{"order":"KEY","method":"card","total":3}"#,
        "ok",
        "completed",
        "card=done account=skipped ship=done",
    ),
    (
        "g05-simple-merge",
        r#"{"order":"KEY","method":"invoice","total":3}"#,
        "fail-ship",
        "compensated",
        "card=skipped account=undone ship=failed",
    ),
    // shows: G6
    (
        "g06-multi-choice",
        r#"{"train":"KEY","mail":true}"#,
        "ok",
        "completed",
        "tell=done mails=done texts=skipped close=done",
    ),
    (
        "g06-multi-choice",
        r#"{"train":"KEY"}"#,
        "none",
        "completed",
        "tell=done mails=skipped texts=skipped close=done",
    ),
    // shows: G7
    ("g07-discriminator", r#"{"parcel":"KEY","kilograms":2}"#, "fail-north", "completed", ""),
    ("g08-n-out-of-m", r#"{"paper":"KEY"}"#, "fail-second", "completed", ""),
    // shows: G8
    ("g08-n-out-of-m", r#"{"paper":"KEY"}"#, "fail-decide", "compensated", ""),
    // shows: G10
    (
        "g10-interleaved-routing",
        r#"{"plate":"KEY"}"#,
        "ok",
        "completed",
        "brakes=done lights=done exhaust=done certify=done",
    ),
    ("g10-interleaved-routing", r#"{"plate":"KEY"}"#, "fail-lights", "compensated", ""),
];

fn file(pattern: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/patterns");
    std::fs::read_to_string(folder.join(format!("{pattern}.yaml"))).unwrap()
}

/// The topic of the deferred choice.
const QUOTES: &str = "shop.quotes";

/// Each of the ten patterns does as its file says.
///
/// # Panics
/// Where one does not.
pub fn each_pattern_runs_as_it_says(world: &dyn World) {
    let patterns: Vec<&str> = RUNS.iter().map(|run| run.0).chain(["g09-deferred-choice"]).collect();
    let plans = patterns.iter().map(|pattern| saga::check(&file(pattern)).plan.unwrap());
    let mut agents: Vec<AgentName> = plans.flat_map(|plan| plan.agents()).collect();
    agents.sort();
    agents.dedup();
    world.make_topic(QUOTES);
    let books = Arc::new(Books::new(output));
    let _serving = world.serve(&agents, &books);
    let mut deployed = Vec::new();
    for pattern in patterns {
        if !deployed.contains(&pattern) {
            world.api().deploy(&file(pattern));
            deployed.push(pattern);
        }
    }
    let mut started = Vec::new();
    for (pattern, inputs, key, status, tasks) in RUNS {
        let inputs = serde_json::from_str(&inputs.replace("KEY", key)).unwrap();
        started.push((world.api().start(pattern, &inputs), status, tasks));
    }
    for (id, status, tasks) in started {
        let workflow = world.api().ended(&id).unwrap();
        if tasks.is_empty() {
            assert_eq!(told(&workflow).0, status, "{workflow:#?}");
        } else {
            ends(&workflow, status, tasks);
        }
    }
    the_first_answer_wins(world);
    the_world_decides(world);
    assert_eq!(books.broken_promises(), Vec::<String>::new());
}

/// shows: G7
fn the_first_answer_wins(world: &dyn World) {
    let inputs = json!({"parcel": "race", "kilograms": 1});
    let id = world.api().start("g07-discriminator", &inputs);
    let (status, tasks) = told(&world.api().ended(&id).unwrap());
    assert_eq!((status.as_str(), tasks["book"].as_str()), ("completed", "done"));
    let of = |task: &str| tasks[task].as_str();
    let lost = if of("north") == "done" { of("south") } else { of("north") };
    assert!(matches!(lost, "undone" | "cancelled"), "{tasks:?}");
}

/// shows: G9
fn the_world_decides(world: &dyn World) {
    let inputs = json!({"quote": "q1", "machine": "m", "price": 3});
    let id = world.api().start("g09-deferred-choice", &inputs);
    let event = Publish {
        key: Some("q1".to_owned()),
        value: json!({"quote": "q1"}),
        headers: BTreeMap::from([("ce_type".to_owned(), "QuoteAccepted".to_owned())]),
    };
    world.api().publish(QUOTES, &event);
    let workflow = world.api().ended(&id).unwrap();
    ends(&workflow, "completed", "send=done reply=done book=done note=skipped");
    assert_eq!(workflow.outputs, json!({"reply": "accepted"}));
}
