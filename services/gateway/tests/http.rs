//! The HTTP API as its users see it, over an embedded log, with a scripted coordinator.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where a promise is broken"
)]

mod world;

use std::time::Duration;

use bytes::Bytes;
use events::{
    Deployment, Destination, Header, How, Json, Outgoing, Payload, Problem, TaskId, Topic, What,
    header,
};
use gateway::Settings;
use serde_json::{Value, json};
use stream::{Broker, Purpose};
use world::{LANES, SAGA, World};

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_reaches_every_lane_before_it_is_known() {
    let mut world = World::new(Settings::default()).await;
    let (status, refused) =
        world.post_text("/v1/sagas", &SAGA.replace("[reserve]", "[resrve]")).await;
    assert_eq!(status, 422, "{refused}");
    let found = refused["diagnostics"].as_array().unwrap();
    let found = found.iter().find(|found| found["code"] == "E203").unwrap();
    assert_eq!(found["line"], 8);
    assert!(world.records("pavane.inbox").is_empty());

    let (status, first) = world.post_text("/v1/sagas", SAGA).await;
    assert_eq!(status, 201, "{first}");
    assert_eq!((&first["name"], &first["revision"]), (&json!("orders"), &json!(1)));
    let deployed = world.records("pavane.inbox");
    let mut lanes: Vec<u32> = deployed.iter().map(|record| record.place.partition).collect();
    lanes.sort_unstable();
    assert_eq!(lanes, (0..LANES).collect::<Vec<_>>());
    for record in &deployed {
        assert_eq!(record.header_text(header::TYPE), Some("pavane.DeploySaga"));
        assert_eq!(record.header_text(header::SAGA), Some("orders"));
        assert_eq!(record.header_text(header::REVISION), Some("1"));
        assert_eq!(record.value.as_deref(), Some(SAGA.as_bytes()));
    }
    for topic in ["shop.orders", "shop.orders.dlq", "pavane.tasks.stock", "pavane.tasks.stock.dlq"]
    {
        assert!(world.broker.kept(&Topic::from(topic)).unwrap().is_some(), "{topic}");
    }

    // Redeployed, even by another gateway: the same answer, nothing written.
    world.restart(Settings::default()).await;
    let (status, again) = world.post_text("/v1/sagas", SAGA).await;
    assert_eq!((status, &again["revision"]), (200, &json!(1)));
    assert_eq!(world.records("pavane.inbox").len(), deployed.len());

    let (status, published) =
        world.post("/v1/topics/shop.orders/records", json!({"key": "k", "value": {}})).await;
    assert_eq!(status, 200, "{published}");
    let changed = SAGA.replace("default: 1", "default: 2");
    let (status, second) = world.post_text("/v1/sagas", &changed).await;
    assert_eq!((status, &second["revision"]), (201, &json!(2)));
    let definitions = world.records("pavane.definitions");
    let starts: Vec<_> = definitions
        .iter()
        .map(|record| Deployment::decode(record.value.as_deref().unwrap()).unwrap().starts_at)
        .collect();
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[0], starts[1], "what was published before version 2 is still to be judged");

    let (_, sagas) = world.get("/v1/sagas").await;
    assert_eq!(sagas["items"][0]["version"], second["version"]);
    let (_, saga) = world.get("/v1/sagas/orders").await;
    assert_eq!(saga["definition"], changed);
    assert_eq!(world.get("/v1/sagas/nothing").await.0, 404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_answers_when_the_coordinator_has() {
    let mut world = World::new(Settings::default()).await;
    let start = |body: Value| world.post("/v1/workflows", body);
    let (status, unknown) = start(json!({"saga": "orders", "inputs": {}})).await;
    assert_eq!(status, 404);
    assert_eq!(unknown["code"], "unknown_saga");
    world.deploy().await;
    let coordinator = world.accept_starts();

    let wish = json!({"saga": "orders", "inputs": {"order": "eu/17:ä"}});
    let (status, started) = start(wish.clone()).await;
    assert_eq!(status, 201, "{started}");
    assert_eq!(started["id"], "orders:eu/17:ä");
    assert_eq!(started["status"], "running");
    assert_eq!(started["inputs"], json!({"order": "eu/17:ä", "total": 1}));
    let (status, again) = start(wish).await;
    assert_eq!((status, &again["run"]), (200, &started["run"]));

    let other = json!({"saga": "orders", "inputs": {"order": "eu/17:ä", "total": 9}});
    let (status, conflict) = start(other).await;
    assert_eq!(status, 409);
    let detail = text(&conflict["detail"]);
    assert!(detail.contains("\"total\":1") && detail.contains("\"total\":9"), "{detail}");

    for (body, code) in [
        (json!({"saga": "orders", "inputs": {}}), "bad_start"),
        (json!({"saga": "orders", "inputs": {"order": 7}}), "bad_start"),
        (json!({"saga": "orders", "inputs": {"order": ""}}), "bad_key"),
        (json!({"saga": "orders", "key": "x", "inputs": {"order": "y"}}), "key_mismatch"),
    ] {
        let (status, refused) = start(body.clone()).await;
        assert_eq!((status, &refused["code"]), (422, &json!(code)), "{body} {refused}");
    }
    let (status, _) = start(json!({"saga": "orders", "imputs": {}})).await;
    assert_eq!(status, 400);

    let (status, shown) = world.get("/v1/workflows/orders%3Aeu%2F17%3A%C3%A4").await;
    assert_eq!((status, &shown["id"]), (200, &started["id"]));
    let starts = world.records("pavane.inbox");
    let starts = starts
        .iter()
        .filter(|record| record.header_text(header::TYPE) == Some("pavane.StartWorkflow"));
    assert_eq!(starts.count(), 1, "what is refused or known is never sent");
    drop(coordinator);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_coordinator_is_said_and_not_waited_for_forever() {
    let settings = Settings { answer_within: Duration::from_millis(300), ..Settings::default() };
    let mut world = World::new(settings).await;
    world.deploy().await;
    let body = json!({"saga": "orders", "inputs": {"order": "1"}});
    let (status, problem) = world.post("/v1/workflows", body).await;
    assert_eq!((status, &problem["code"]), (504, &json!("no_answer")), "{problem}");
    world.stop().await;
}

fn started(order: &str) -> What {
    let inputs = Json::from_value(&json!({"order": order}));
    What::WorkflowStarted { start_id: "s".into(), inputs }
}

fn completed() -> What {
    What::WorkflowCompleted { outputs: Json::from_value(&json!({"tracking": "t"})) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_tells_a_workflow_as_its_events_do() {
    let mut world = World::new(Settings::default()).await;
    let id = "orders:1";
    let task = || TaskId::from("reserve");
    let done = || What::TaskCompleted {
        task: task(),
        attempt: 1,
        output: Json::from_value(&json!({"n": 1})),
        by: None,
    };
    let problem = || Problem { task: Some("ship".into()), code: "no".into(), message: "m".into() };
    world.event(id, 7, 1, started("1"));
    world.event(id, 7, 2, done());
    // Again, as after a crash, and once more of an earlier run.
    world.event(id, 7, 1, started("wrong"));
    world.event(id, 3, 9, completed());
    world.event(id, 7, 3, What::CompensationStarted { epoch: 1, problem: problem() });
    let what = "the compensation is seen";
    world
        .until(what, async || {
            (world.get("/v1/workflows/orders:1").await.1["status"] == "compensating").then_some(())
        })
        .await;
    let waiting = {
        let (http, url) = (world.http.clone(), world.url.clone());
        tokio::spawn(async move {
            let url = format!("{url}/v1/workflows/orders:1?wait=20s");
            http.get(url).send().await.unwrap().json::<Value>().await.unwrap()
        })
    };
    world.event(id, 7, 4, What::UndoCompleted { task: task(), n: 1, nothing: false, by: None });
    world.event(
        id,
        7,
        5,
        What::WorkflowFailed {
            how: How::Compensated,
            problem: problem(),
            outputs: None,
            stands: vec![],
            undone: vec![task()],
            in_doubt: vec![],
        },
    );
    let ended = waiting.await.unwrap();
    assert_eq!(ended["status"], "compensated", "{ended}");
    assert_eq!(ended["error"], json!({"task": "ship", "code": "no", "message": "m"}));
    assert_eq!(ended["inputs"], json!({"order": "1"}));
    assert_eq!(ended["tasks"][0]["status"], "undone");
    assert_eq!(ended["tasks"][0]["output"], json!({"n": 1}));
    let (_, history) = world.get("/v1/workflows/orders:1/history").await;
    let lines = history["items"].as_array().unwrap();
    let told: Vec<(u64, &str)> = lines
        .iter()
        .map(|line| (line["sequence"].as_u64().unwrap(), text(&line["type"])))
        .collect();
    let types = [
        "WorkflowStarted",
        "TaskCompleted",
        "CompensationStarted",
        "UndoCompleted",
        "WorkflowFailed",
    ];
    assert_eq!(told, (1..).zip(types).collect::<Vec<_>>());
    assert_eq!(lines[1]["task"], "reserve");
    assert_eq!(lines[1]["data"]["output"], json!({"n": 1}));

    assert_streamed_whole(&world).await;
    world.stop().await;
}

/// The stream of one workflow begins at its beginning, so that a late watcher sees its end too.
async fn assert_streamed_whole(world: &World) {
    let mut stream =
        world.http.get(format!("{}/v1/stream?workflow=orders:1", world.url)).send().await.unwrap();
    let mut said = String::new();
    while !said.contains("event: WorkflowFailed") {
        said.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(said.contains("event: WorkflowStarted"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_are_listed_newest_first_and_old_ones_are_let_go_of_aloud() {
    let settings = Settings { ended_max: 3, ..Settings::default() };
    let mut world = World::new(settings).await;
    for run in 0..6 {
        let id = format!("orders:{run}");
        world.event(&id, run, 1, started("x"));
        if run < 5 {
            world.event(&id, run, 2, completed());
        }
    }
    world
        .until("all are read", async || {
            let (_, gone) = world.get("/v1/workflows/orders:1").await;
            let is_last = world.get("/v1/workflows/orders:5").await.0 == 200;
            (gone["status"] == 404 && is_last).then_some(())
        })
        .await;
    let mut seen = Vec::new();
    let mut path = "/v1/workflows?saga=orders&limit=2".to_owned();
    loop {
        let (status, page) = world.get(&path).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|item| text(&item["id"]).to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/workflows?saga=orders&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["orders:5", "orders:4", "orders:3", "orders:2"]);
    let (_, running) = world.get("/v1/workflows?status=running").await;
    assert_eq!(running["items"].as_array().unwrap().len(), 1);
    let (_, gone) = world.get("/v1/workflows/orders:0").await;
    assert!(text(&gone["detail"]).contains("not in view"), "{gone}");
    assert_eq!(world.get("/v1/workflows?status=x").await.0, 400);
    assert_eq!(world.get("/v1/workflows?cursor=x").await.0, 400);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_verb_goes_to_the_inbox_with_who_and_why() {
    let mut world = World::new(Settings::default()).await;
    world.event("orders:a/b", 1, 1, started("a/b"));
    world.event("orders:a/b", 1, 2, in_doubt("ship"));
    let path = "/v1/workflows/orders%3Aa%2Fb";
    world
        .until("the task is seen", async || {
            (world.get(path).await.1["tasks"][0]["id"] == "ship").then_some(())
        })
        .await;
    let (status, said) = world.post(&format!("{path}/cancel"), json!({"reason": "late"})).await;
    assert_eq!(status, 202, "{said}");
    let stored = world.records("pavane.inbox").remove(0).place;
    let place = json!({
        "topic": "pavane.inbox", "partition": stored.partition, "offset": stored.offset,
    });
    assert_eq!((&said["record"], &said["after"]), (&place, &json!(2)), "where its fate is told");
    let resolve = json!({"reason": "seen", "actor": "ann", "outcome": "done", "output": {"n": 2}});
    let (status, said) = world.post(&format!("{path}/tasks/ship/resolve"), resolve).await;
    assert_eq!(status, 202, "{said}");
    let why = || json!({"reason": "seen"});
    let (status, said) = world.post(&format!("{path}/tasks/ship/resolve"), why()).await;
    assert_eq!((status, said["code"].as_str()), (422, Some("no_outcome")), "{said}");
    let strange = json!({"reason": "seen", "outcome": "perhaps"});
    let (status, said) = world.post(&format!("{path}/tasks/ship/resolve"), strange).await;
    assert_eq!((status, said["code"].as_str()), (422, Some("bad_outcome")), "{said}");
    assert_eq!(world.post(&format!("{path}/tasks/sip/retry"), why()).await.0, 404);
    assert_eq!(world.post(&format!("{path}/tasks/ship/undo"), why()).await.0, 404);
    assert_eq!(world.post("/v1/workflows/orders:z/cancel", why()).await.0, 404);
    let orders = world.records("pavane.inbox");
    let told: Vec<_> = orders
        .iter()
        .map(|record| {
            let header = |name| record.header_text(name).unwrap();
            (header(header::TYPE), header(header::SUBJECT), header(header::ACTOR))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("pavane.CancelWorkflow", "orders:a/b", "http"),
            ("pavane.ResolveTask", "orders:a/b/ship", "ann")
        ]
    );
    let value: Value = serde_json::from_slice(orders[1].value.as_deref().unwrap()).unwrap();
    assert_eq!(value, json!({"reason": "seen", "outcome": "done", "output": {"n": 2}}));
    world.event("orders:a/b", 1, 3, completed());
    world
        .until("its end is seen", async || {
            (world.get(path).await.1["status"] == "completed").then_some(())
        })
        .await;
    for verb in ["cancel", "continue", "tasks/ship/retry", "tasks/ship/skip"] {
        let (status, said) = world.post(&format!("{path}/{verb}"), why()).await;
        assert_eq!((status, said["code"].as_str()), (409, Some("at_rest")), "{verb}: {said}");
    }
    world.stop().await;
}

fn in_doubt(task: &str) -> What {
    let (policy, code, message) = ("hold".into(), "timeout".into(), "m".into());
    What::TaskInDoubt { task: task.into(), attempt: 1, policy, code, message }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_element_and_a_fallback_are_named_in_a_path() {
    let mut world = World::new(Settings::default()).await;
    world.event("orders:1", 1, 1, started("1"));
    for (n, task) in (2..).zip(["research[2]", "payment~fallback"]) {
        world.event("orders:1", 1, n, in_doubt(task));
    }
    let path = "/v1/workflows/orders:1";
    world
        .until("the tasks are seen", async || {
            let tasks = world.get(path).await.1["tasks"].as_array()?.len();
            (tasks == 2).then_some(())
        })
        .await;
    let why = || json!({"reason": "seen"});
    for task in ["research%5B2%5D", "payment~fallback", "payment%7Efallback"] {
        let (status, said) = world.post(&format!("{path}/tasks/{task}/retry"), why()).await;
        assert_eq!(status, 202, "{task}: {said}");
    }
    assert_eq!(world.post(&format!("{path}/tasks/research%5B3%5D/retry"), why()).await.0, 404);
    let orders = world.records("pavane.inbox");
    let subjects = orders.iter().map(|record| record.header_text(header::SUBJECT).unwrap());
    let expected =
        ["orders:1/research[2]", "orders:1/payment~fallback", "orders:1/payment~fallback"];
    assert_eq!(subjects.collect::<Vec<_>>(), expected);
    world.stop().await;
}

/// Sends an event, waits for one on another topic and for a signal.
const LISTENING: &str = r#"version: "2.0"
name: listening
key: ${inputs.order}
inputs: [{name: order, type: string}]
tasks:
  - {id: ask, emit: shop.asked/Asked}
  - {id: answered, await: shop.answers/Answered, depends_on: [ask]}
  - {id: approved, await: signal/approve, depends_on: [ask]}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_tasks_send_to_and_listen_to_are_made_and_noted() {
    let mut world = World::new(Settings::default()).await;
    let (status, said) = world.post_text("/v1/sagas", LISTENING).await;
    assert_eq!(status, 201, "{said}");
    for topic in ["shop.asked", "shop.answers", "shop.answers.dlq"] {
        assert!(world.broker.kept(&Topic::from(topic)).unwrap().is_some(), "{topic}");
    }
    assert!(world.broker.kept(&Topic::from("shop.asked.dlq")).unwrap().is_none());
    let definitions = world.records("pavane.definitions");
    let deployed = Deployment::decode(definitions[0].value.as_deref().unwrap()).unwrap();
    assert_eq!(deployed.topics(), ["shop.answers"]);
    let (_, saga) = world.get("/v1/sagas/listening").await;
    assert_eq!(saga["topics"], json!(["shop.answers"]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_goes_to_the_inbox_with_its_name_and_what_it_says() {
    let mut world = World::new(Settings::default()).await;
    let (status, said) = world.post_text("/v1/sagas", LISTENING).await;
    assert_eq!(status, 201, "{said}");
    let version = said["version"].as_str().unwrap().to_owned();
    world.event_of("listening:a/b", &version, 1, 1, started("a/b"));
    let path = "/v1/workflows/listening%3Aa%2Fb";
    world.until("it is seen", async || (world.get(path).await.0 == 200).then_some(())).await;
    let signal = |name: &str| format!("{path}/signals/{name}");
    let (status, said) = world.post(&signal("approve"), json!({"by": "ann"})).await;
    assert_eq!(status, 202, "{said}");
    let expected = json!({
        "ordered": "pavane.Signal", "subject": "listening:a/b", "signal": "approve", "actor": "http",
        "record": said["record"], "after": 1,
    });
    assert_eq!(said, expected);
    assert_eq!(world.post_text(&signal("approve"), "").await.0, 202);
    assert_eq!(world.post_text(&signal("approve"), "{").await.0, 400);
    let (status, said) = world.post(&signal("aprove"), json!(1)).await;
    assert_eq!((status, &said["code"]), (404, &json!("unknown_signal")), "{said}");
    let unknown = world.post("/v1/workflows/listening:z/signals/approve", json!(1)).await;
    assert_eq!((unknown.0, &unknown.1["code"]), (404, &json!("unknown_workflow")));
    let mut sent = world.records("pavane.inbox");
    sent.retain(|record| record.header_text(header::TYPE) == Some("pavane.Signal"));
    let told = sent.iter().map(saga::parse).map(|parsed| match parsed {
        Ok(saga::Input::Signal { workflow, signal }) => {
            format!("{workflow} {} {}", signal.name, signal.data)
        }
        other => panic!("{other:?}"),
    });
    let expected = [r#"listening:a/b approve {"by":"ann"}"#, "listening:a/b approve null"];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    world.event_of("listening:a/b", &version, 1, 2, completed());
    world
        .until("its end is seen", async || {
            (world.get(path).await.1["status"] == "completed").then_some(())
        })
        .await;
    assert_eq!(world.post(&signal("approve"), json!(1)).await.0, 409);
    world.stop().await;
}

fn command(subject: &str, value: &'static [u8]) -> Outgoing {
    let headers = vec![
        Header::text(header::TYPE, "pavane.DoTask"),
        Header::text(header::ID, subject),
        Header::text(header::SUBJECT, subject),
    ];
    Outgoing {
        to: Destination::Tasks("stock".into()),
        partition: Some(0),
        key: Some(Bytes::from_static(b"orders:1")),
        value: Payload::Bytes(Bytes::from_static(value)),
        headers,
    }
}

fn subjects(polled: &Value) -> Vec<&str> {
    let items = polled["items"].as_array().unwrap();
    items.iter().map(|item| text(&item["headers"]["ce_subject"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_leased_come_again_and_are_done_when_answered() {
    let mut world = World::new(Settings::default()).await;
    world.deploy().await;
    let path = "/v1/agents/stock";
    let put = |record| world.broker.put(record).unwrap();
    put(command("orders:1/reserve/4.do1", b"{\"order\":\"1\"}"));
    put(command("orders:1/reserve/4.do2", b"{not json"));
    put(command("orders:1/reserve/4.do3", b"{}"));
    let (status, polled) = world.get(&format!("{path}/commands?wait=20s&lease=200ms&max=1")).await;
    assert_eq!(status, 200, "{polled}");
    let first = &polled["items"][0];
    assert_eq!(first["value"], json!({"order": "1"}));
    assert_eq!(first["headers"]["pavane_appended"], first["timestamp"]);
    assert_eq!(subjects(&polled), ["orders:1/reserve/4.do1"]);

    // The first is leased, the second is poison: so the third. Then the first again, unanswered.
    let (_, polled) = world.get(&format!("{path}/commands?wait=20s&max=1")).await;
    assert_eq!(subjects(&polled), ["orders:1/reserve/4.do3"]);
    let (_, polled) = world.get(&format!("{path}/commands?wait=20s")).await;
    assert_eq!(subjects(&polled), ["orders:1/reserve/4.do1"]);
    let letters = world.records("pavane.tasks.stock.dlq");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value.as_deref(), Some(b"{not json".as_slice()));
    assert_eq!(letters[0].header_text("pavane_error_class"), Some("undecodable"));

    let answers = format!("{path}/answers");
    for (body, code) in [
        (json!({"type": "TaskDone", "subject": "orders:1/reserve/4.do1"}), "unknown_type"),
        (json!({"type": "TaskCompleted", "subject": "orders:1"}), "bad_subject"),
    ] {
        let (status, refused) = world.post(&answers, body).await;
        assert_eq!((status, &refused["code"]), (422, &json!(code)));
    }
    for n in [1, 3] {
        let subject = format!("orders:1/reserve/4.do{n}");
        let body = json!({"type": "TaskCompleted", "subject": subject, "value": {"n": n}});
        assert_eq!(world.post(&answers, body).await.0, 202);
    }
    let inbox = world.records("pavane.inbox");
    let answered: Vec<_> = inbox
        .iter()
        .filter(|record| record.header_text(header::TYPE) == Some("pavane.TaskCompleted"))
        .map(|record| (record.key.as_deref().unwrap(), record.value.as_deref().unwrap()))
        .collect();
    let of = b"orders:1".as_slice();
    assert_eq!(answered, [(of, b"{\"n\":1}".as_slice()), (of, b"{\"n\":3}".as_slice())]);

    // What was answered is committed: another gateway begins behind it.
    world.restart(Settings::default()).await;
    world.broker.put(command("orders:1/reserve/4.do4", b"")).unwrap();
    let (_, polled) = world.get(&format!("{path}/commands?wait=20s")).await;
    assert_eq!(subjects(&polled), ["orders:1/reserve/4.do4"]);
    assert_eq!(polled["items"][0]["value"], Value::Null);
    // What was not, comes again from another gateway.
    world.restart(Settings::default()).await;
    let (_, polled) = world.get(&format!("{path}/commands?wait=20s")).await;
    assert_eq!(subjects(&polled), ["orders:1/reserve/4.do4"]);
    assert_eq!(world.get("/v1/agents/a%2Fb/commands").await.0, 400);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_coordinator_would_refuse_as_too_large_is_refused_at_the_door() {
    let mut world = World::new(Settings::default()).await;
    let keyless = SAGA.replace("key: ${inputs.order}\n", "");
    assert_eq!(world.post_text("/v1/sagas", &keyless).await.0, 201);
    let before = world.records("pavane.inbox").len();
    let large = "x".repeat(saga::INBOX_BYTES_MAX);
    let start = json!({"saga": "orders", "inputs": {"order": large}});
    let answer =
        json!({"type": "TaskCompleted", "subject": "orders:1/reserve/4.do1", "value": large});
    for (path, body) in [("/v1/workflows", start), ("/v1/agents/stock/answers", answer)] {
        let (status, refused) = world.post(path, body).await;
        assert_eq!((status, &refused["code"]), (413, &json!("too_large")), "{path}: {refused}");
    }
    assert_eq!(world.records("pavane.inbox").len(), before);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_published_as_the_table_says() {
    let mut world = World::new(Settings::default()).await;
    let path = "/v1/topics/shop.orders/records";
    for (body, stored) in [
        (json!({"value": "te\"xt"}), Some(b"te\"xt".as_slice())),
        (json!({"key": "k", "value": {"a": [1, null]}}), Some(b"{\"a\":[1,null]}".as_slice())),
        (json!({"key": null, "value_base64": "/wA="}), Some(b"\xff\x00".as_slice())),
        (json!({"key": "k", "value": null, "headers": {"ce_type": "X"}}), None),
    ] {
        let (status, place) = world.post(path, body.clone()).await;
        assert_eq!(status, 200, "{place}");
        let records = world.records("shop.orders");
        let record = records
            .iter()
            .find(|record| {
                (json!(record.place.partition), json!(record.place.offset))
                    == (place["partition"].clone(), place["offset"].clone())
            })
            .unwrap();
        assert_eq!(record.value.as_deref(), stored, "{body}");
        assert_eq!(record.key.as_deref(), body["key"].as_str().map(str::as_bytes));
        assert_eq!(record.header_text("ce_type"), body["headers"]["ce_type"].as_str());
    }
    for body in [
        json!({"key": "k"}),
        json!({"value": 1, "value_base64": ""}),
        json!({"value_base64": "!"}),
        json!({"value": 1, "headers": {"a": 1}}),
    ] {
        assert_eq!(world.post(path, body).await.0, 400);
    }
    let forbidden = world.post("/v1/topics/pavane.journal/records", json!({"value": 1})).await;
    assert_eq!(forbidden.0, 403);
    assert_eq!(world.post("/v1/topics/a%20b/records", json!({"value": 1})).await.0, 400);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_shown_with_their_bytes() {
    let mut world = World::new(Settings::default()).await;
    world.deploy().await;
    let source = world.records("pavane.inbox").remove(0);
    let source = events::Record {
        place: events::Place { topic: "shop.orders".into(), partition: 2, offset: 9 },
        value: Some(Bytes::from_static(b"\xffpoison")),
        ..source
    };
    let refusal = events::Refusal::new(events::Class::Undecodable, "utf8", "broken");
    let seen = events::Timestamp::from_millis(1_795_341_600_000);
    let letter = events::dead_letter(&source, &refusal, "intake", seen);
    world.broker.create(&"shop.orders.dlq".into(), Purpose::DeadLetters).unwrap();
    let place = world.broker.put(letter).unwrap();
    let list = world
        .until("the letter is listed", async || {
            let (_, list) = world.get("/v1/dead-letters?class=undecodable&topic=shop.orders").await;
            (!list["items"].as_array()?.is_empty()).then_some(list)
        })
        .await;
    let item = &list["items"][0];
    assert_eq!(item["source"], json!({"topic": "shop.orders", "partition": 2, "offset": 9}));
    assert_eq!(item["code"], "utf8");
    let id = text(&item["id"]);
    assert_eq!(id, format!("shop.orders.dlq~{}~{}", place.partition, place.offset));
    let (status, shown) = world.get(&format!("/v1/dead-letters/{id}")).await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!((&shown["value"], &shown["value_base64"]), (&Value::Null, &json!("/3BvaXNvbg==")));
    for wrong in ["x", "shop.orders.dlq~0~99", "nothing.dlq~0~0", "pavane.inbox~0~0"] {
        assert_eq!(world.get(&format!("/v1/dead-letters/{wrong}")).await.0, 404, "{wrong}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_refused_is_a_problem_document() {
    let mut world = World::new(Settings::default()).await;
    let large = format!("{{\"value\": \"{}\"}}", "x".repeat(1 << 20));
    let url = |path: &str| format!("{}{path}", world.url);
    let http = &world.http;
    for (request, status) in [
        (http.get(url("/nowhere")), 404),
        (http.post(url("/v1/workflows/x/signals/y")), 404),
        (http.delete(url("/v1/sagas")), 405),
        (http.post(url("/v1/workflows")).body("{"), 400),
        (http.post(url("/v1/topics/t/records")).body(large), 413),
        (http.post(url("/v1/sagas")).body("x".repeat(300 << 10)), 413),
        (http.post(url("/v1/sagas")).body(vec![0xff, 0xfe]), 400),
        (http.get(url("/v1/workflows?limit=x")), 400),
        (http.get(url("/v1/workflows?limt=1")), 400),
        (http.get(url("/v1/workflows/%ff")), 400),
    ] {
        let response = request.send().await.unwrap();
        let what = response.url().to_string();
        assert_eq!(response.status().as_u16(), status, "{what}");
        let media = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(media, "application/problem+json", "{what}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["status"], status);
        assert!(!text(&problem["detail"]).is_empty(), "{what}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_products_schemas_are_served_as_confluents_registry_does() {
    let mut world = World::new(Settings::default()).await;
    let (_, subjects) = world.get("/subjects").await;
    assert_eq!(subjects.as_array().unwrap().len(), events::schemas().len());
    let (_, latest) = world.get("/subjects/pavane.TaskCompleted/versions/latest").await;
    let (_, by_id) = world.get(&format!("/schemas/ids/{}", latest["id"])).await;
    assert_eq!(by_id["schema"], latest["schema"]);
    let schema: Value = serde_json::from_str(text(&by_id["schema"])).unwrap();
    assert_eq!(schema["name"], "TaskCompleted");
    let (status, missing) = world.get("/schemas/ids/999").await;
    assert_eq!((status, &missing["error_code"]), (404, &json!(40403)));
    world.restart(Settings { serves_schemas: false, ..Settings::default() }).await;
    assert_eq!(world.get("/subjects").await.0, 404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_openapi_document_exists() {
    let mut world = World::new(Settings::default()).await;
    assert_eq!(world.get("/healthz").await.0, 200);
    let metrics = world.http.get(format!("{}/metrics", world.url)).send().await.unwrap();
    assert_eq!(metrics.text().await.unwrap(), "pavane_test 1\n");
    let (_, openapi) = world.get("/openapi.json").await;
    let paths = openapi["paths"].as_object().unwrap();
    assert!(paths.len() > 20);
    for (path, methods) in paths {
        let concrete = path.replace("{verb}", "retry").replace(['{', '}'], "");
        for method in methods.as_object().unwrap().keys() {
            let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = world.http.request(method.clone(), format!("{}{concrete}", world.url));
            let response = request.send().await.unwrap();
            assert_ne!(response.status().as_u16(), 405, "{method} {path}");
            if response.status().as_u16() == 404 {
                let problem: Value = response.json().await.unwrap();
                assert_ne!(problem["code"], "no_route", "{method} {path}");
            }
        }
    }
    world.stop().await;
}
