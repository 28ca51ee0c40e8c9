//! The ten workflow patterns of `sagas/patterns`, each run on the embedded log: as its comment tells it, and
//! with a failure.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test, that is an assertion")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{
    Agent, Answer, Asked, Command, Failure, Http, LedgerError, Publish, Serving, Workflow,
};
use events::AgentName;
use serde_json::{Value, json};
use support::{Place, repository};

/// An agent that answers each task as its business key says: `fail-TASK` fails that task for good.
struct Scripted {
    name: AgentName,
}

impl Agent for Scripted {
    fn name(&self) -> &AgentName {
        &self.name
    }

    fn answer(&self, command: &Command) -> Result<Answer, LedgerError> {
        let task = command.subject.task.as_str();
        let fails = command.subject.workflow.as_str().ends_with(&format!(":fail-{task}"));
        Ok(match command.asked {
            Asked::Do if fails => Answer::Failed(Failure::refused("no", "as the key says")),
            Asked::Do => Answer::Completed(output(task)),
            Asked::Undo | Asked::Query | Asked::Cancel => Answer::Completed(Value::Null),
        })
    }
}

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

struct System {
    http: Http,
    runtime: tokio::runtime::Runtime,
}

impl System {
    fn start(&self, saga: &str, inputs: &Value) -> Workflow {
        self.runtime.block_on(self.http.start(saga, None, inputs)).unwrap()
    }

    fn ended(&self, id: &str) -> Workflow {
        self.runtime.block_on(self.http.wait_for(id, Duration::from_secs(30))).unwrap()
    }

    /// Deploys a pattern and serves its agents.
    fn deploy(&self, pattern: &str) {
        let text = std::fs::read_to_string(repository(&format!("sagas/patterns/{pattern}.yaml")));
        let plan = saga::check(text.as_ref().unwrap()).plan.unwrap();
        self.runtime.block_on(self.http.deploy(text.unwrap())).unwrap();
        for name in plan.agents() {
            let (http, agent) = (self.http.clone(), Arc::new(Scripted { name }));
            self.runtime.spawn(async move {
                let (serving, stop) = (Serving::default(), stream::Stop::default());
                client::serve_http(&http, agent, &serving, &stop).await.unwrap();
            });
        }
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

#[test]
fn each_pattern_runs_as_it_says() {
    let place = Place::new();
    let mut up = place.up("data");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let system = System { http: Http::new(&up.url).unwrap(), runtime: runtime.unwrap() };
    let mut deployed = Vec::new();
    let mut started = Vec::new();
    for (pattern, inputs, key, status, tasks) in RUNS {
        if !deployed.contains(&pattern) {
            system.deploy(pattern);
            deployed.push(pattern);
        }
        let inputs = serde_json::from_str(&inputs.replace("KEY", key)).unwrap();
        started.push((system.start(pattern, &inputs).id, status, tasks));
    }
    for (id, status, tasks) in started {
        let workflow = system.ended(&id);
        if tasks.is_empty() {
            assert_eq!(told(&workflow).0, status, "{workflow:#?}");
        } else {
            ends(&workflow, status, tasks);
        }
    }
    the_first_answer_wins(&system);
    the_world_decides(&system);
    system.runtime.shutdown_background();
    assert!(up.interrupt().success());
    let judged = place.run(&["verify", "--data", "data", "--json"]).exits(0).json();
    let count = |name: &str| judged["counts"][name].as_u64().unwrap();
    assert_eq!((count("runs"), count("ended")), (RUNS.len() as u64 + 2, RUNS.len() as u64 + 2));
    assert_eq!((count("definitions_unread"), count("unjudged")), (0, 0));
}

/// shows: G7
fn the_first_answer_wins(system: &System) {
    let id = system.start("g07-discriminator", &json!({"parcel": "race", "kilograms": 1})).id;
    let (status, tasks) = told(&system.ended(&id));
    assert_eq!((status.as_str(), tasks["book"].as_str()), ("completed", "done"));
    let of = |task: &str| tasks[task].as_str();
    let lost = if of("north") == "done" { of("south") } else { of("north") };
    assert!(matches!(lost, "undone" | "cancelled"), "{tasks:?}");
}

/// shows: G9
fn the_world_decides(system: &System) {
    system.deploy("g09-deferred-choice");
    let inputs = json!({"quote": "q1", "machine": "m", "price": 3});
    let id = system.start("g09-deferred-choice", &inputs).id;
    let event = Publish {
        key: Some("q1".to_owned()),
        value: json!({"quote": "q1"}),
        headers: BTreeMap::from([("ce_type".to_owned(), "QuoteAccepted".to_owned())]),
    };
    system.runtime.block_on(system.http.publish("shop.quotes", &event)).unwrap();
    let workflow = system.ended(&id);
    ends(&workflow, "completed", "send=done reply=done book=done note=skipped");
    assert_eq!(workflow.outputs, json!({"reply": "accepted"}));
}
