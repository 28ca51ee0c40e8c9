//! What the API refuses at once, with a code and in words, instead of taking it and failing later.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where a promise is broken"
)]

mod world;

use std::sync::Arc;
use std::time::Duration;

use events::{Json, Problem, What};
use gateway::{Process, Settings};
use serde_json::{Value, json};
use world::World;

const SAGA: &str = r#"version: "2.0"
name: trip
key: ${inputs.id}
inputs: [{name: id, type: string}, {name: n, type: number, default: 1}]
tasks:
  - {id: hotel, agent: hotels, inputs: {}, returns: {room: string}, compensate: {agent: refunds}}
  - {id: flight, agent: flights, inputs: {}, kind: readonly}
  - {id: approved, await: signal/approve, timeout: 5m, kind: readonly}
"#;

fn started() -> What {
    let inputs = Json::from_value(&json!({"id": "1", "n": 1}));
    What::WorkflowStarted { start_id: "s".into(), inputs }
}

fn scheduled(task: &str) -> What {
    What::TaskStarted { task: task.into(), attempt: 1, percent: None, note: None }
}

fn failed(task: &str) -> What {
    let (code, message) = ("no".into(), "m".into());
    What::TaskFailed { task: task.into(), attempt: 1, code, message, by: None }
}

fn problem() -> Problem {
    Problem { task: Some("flight".into()), code: "no".into(), message: "m".into() }
}

fn undo_failed(task: &str) -> What {
    let (code, message) = ("no".into(), "m".into());
    What::UndoFailed { task: task.into(), n: 1, code, message, retry_at: None }
}

/// A workflow of the saga that has seen this.
async fn trip(world: &World, key: &str, seen: Vec<What>) -> String {
    let (status, said) = world.post_text("/v1/sagas", SAGA).await;
    assert!([200, 201].contains(&status), "{said}");
    let (id, version) = (format!("trip:{key}"), said["version"].as_str().unwrap().to_owned());
    let count = seen.len() + 1;
    for (sequence, what) in (1..).zip(std::iter::once(started()).chain(seen)) {
        world.event_of(&id, &version, 7, sequence, what);
    }
    let path = format!("/v1/workflows/{id}");
    let history = format!("{path}/history");
    world
        .until("all is seen", async || {
            (world.get(&history).await.1["items"].as_array()?.len() == count).then_some(())
        })
        .await;
    path
}

/// Orders, each as `verb code`; `202` where it is taken.
async fn orders(world: &World, path: &str, verbs: &[(&str, Value, &str)]) {
    for (verb, more, expected) in verbs {
        let mut body = json!({"reason": "because"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, said) = world.post(&format!("{path}/{verb}"), body).await;
        let found = said["code"].as_str().map_or_else(|| status.to_string(), str::to_owned);
        assert_eq!(found, *expected, "{path} {verb} {more}: {said}");
        assert!(status == 202 || status == 409 || status == 422, "{verb}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_can_not_take_effect_is_refused_at_once() {
    let mut world = World::new(Settings::default()).await;
    let [done, not_done, undone] =
        ["done", "not_done", "undone"].map(|outcome| json!({"outcome": outcome}));
    let room = json!({"outcome": "done", "output": {"room": "7"}});

    let path = trip(&world, "runs", vec![scheduled("hotel"), scheduled("flight")]).await;
    let runs = [
        ("continue", json!({}), "not_paused"),
        ("tasks/hotel/retry", json!({}), "not_paused"),
        ("tasks/hotel/skip", json!({}), "not_paused"),
        ("tasks/hotel/resolve", done.clone(), "not_in_doubt"),
        ("tasks/hotel/resolve", not_done.clone(), "not_in_doubt"),
        ("tasks/hotel/resolve", undone.clone(), "not_blocked"),
    ];
    orders(&world, &path, &runs).await;

    let paused = vec![
        scheduled("hotel"),
        failed("flight"),
        failed("hotel"),
        What::WorkflowPaused { problem: problem() },
    ];
    let path = trip(&world, "paused", paused).await;
    let waits = [
        ("continue", json!({}), "202"),
        ("tasks/flight/retry", json!({}), "202"),
        ("tasks/hotel/resolve", done.clone(), "schema"),
        ("tasks/hotel/resolve", room.clone(), "202"),
        ("tasks/hotel/skip", json!({"output": {"room": 7}}), "schema"),
        ("tasks/hotel/skip", json!({}), "202"),
        ("tasks/approved/retry", json!({}), "not_paused"),
    ];
    orders(&world, &path, &waits).await;

    let blocked = vec![
        failed("flight"),
        What::CompensationStarted { epoch: 1, problem: problem() },
        undo_failed("hotel"),
        What::CompensationBlocked { problem: problem() },
    ];
    let path = trip(&world, "blocked", blocked).await;
    let waits = [
        ("continue", json!({}), "not_paused"),
        ("tasks/flight/retry", json!({}), "not_blocked"),
        ("tasks/hotel/retry", json!({}), "202"),
        ("tasks/hotel/resolve", done, "not_in_doubt"),
        ("tasks/hotel/resolve", undone, "202"),
    ];
    orders(&world, &path, &waits).await;

    let compensating = vec![What::CompensationStarted { epoch: 1, problem: problem() }];
    let path = trip(&world, "undone", compensating).await;
    orders(&world, &path, &[("cancel", json!({}), "compensating")]).await;
    let by_hand = Problem { task: None, code: "cancelled".into(), message: "m".into() };
    let cancelled = vec![What::CompensationStarted { epoch: 1, problem: by_hand }];
    let path = trip(&world, "cancelled", cancelled).await;
    orders(&world, &path, &[("cancel", json!({}), "202")]).await;

    let output = Json::null();
    let over = What::TaskCompleted { task: "approved".into(), attempt: 1, output, by: None };
    let path = trip(&world, "approved", vec![over]).await;
    let (status, said) = world.post(&format!("{path}/signals/approve"), json!(1)).await;
    assert_eq!((status, &said["code"]), (409, &json!("not_awaited")), "{said}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_is_paused_stays_so_when_its_blocked_undo_is_settled() {
    let mut world = World::new(Settings::default()).await;
    let seen = vec![
        undo_failed("hotel"),
        What::WorkflowPaused { problem: problem() },
        What::UndoCompleted { task: "hotel".into(), n: 2, nothing: false, by: None },
    ];
    let path = trip(&world, "1", seen).await;
    assert_eq!(world.get(&path).await.1["status"], "paused");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_with_a_reason() {
    let mut world = World::new(Settings::default()).await;
    let path = trip(&world, "1", vec![scheduled("hotel")]).await;
    for verb in ["cancel", "continue", "tasks/hotel/retry", "tasks/hotel/skip"] {
        for (body, status, code) in [
            ("", 422, "no_reason"),
            ("{}", 422, "no_reason"),
            (r#"{"reason":""}"#, 422, "no_reason"),
            (r#"{"reason":" "}"#, 422, "no_reason"),
            (r#"{"reason":null}"#, 422, "no_reason"),
            ("[]", 400, "body"),
            (r#"["why"]"#, 400, "body"),
        ] {
            let (found, said) = world.post_text(&format!("{path}/{verb}"), body).await;
            assert_eq!(
                (found, said["code"].as_str()),
                (status, Some(code)),
                "{verb} {body} {said}"
            );
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_read_as_the_truth_is_not_for_users_to_write() {
    let mut world = World::new(Settings::default()).await;
    world.deploy().await;
    let deployed = world.records("pavane.definitions").len();
    for topic in [
        "pavane.journal",
        "pavane.snapshots",
        "pavane.events",
        "pavane.definitions",
        "pavane.redrives",
        "pavane.tasks.stock",
        "pavane.tasks.stock.dlq",
        "pavane.inbox.dlq",
        "shop.orders.dlq",
    ] {
        let path = format!("/v1/topics/{topic}/records");
        let (status, said) = world.post(&path, json!({"key": "orders", "value": null})).await;
        assert_eq!((status, said["code"].as_str()), (403, Some("private")), "{topic}: {said}");
    }
    let deploy = json!({
        "key": "orders", "value": "x", "headers": {"ce_type": "pavane.DeploySaga"},
    });
    assert_eq!(world.post("/v1/topics/pavane.inbox/records", deploy).await.0, 403);
    assert_eq!(world.records("pavane.definitions").len(), deployed);
    for topic in ["pavane.inbox", "shop.orders", "pavane.of-mine"] {
        let path = format!("/v1/topics/{topic}/records");
        assert_eq!(world.post(&path, json!({"key": "k", "value": {}})).await.0, 200, "{topic}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_lane_is_said_by_readyz_and_to_who_starts_a_workflow() {
    let process = Process {
        missing: Arc::new(|| Some("lane 0 is refused: why".to_owned())),
        refused: Arc::new(|lane| Some(format!("why of {lane}"))),
        ..Process::alone(Arc::new(String::new))
    };
    let settings = Settings { answer_within: Duration::from_secs(600), ..Settings::default() };
    let mut world = World::beside(settings, process).await;
    let unready = world
        .until("the view is there", async || {
            let (status, said) = world.get("/readyz").await;
            assert_eq!(status, 503, "{said}");
            (said["code"] == "not_ready").then_some(said)
        })
        .await;
    assert_eq!(unready["detail"], "lane 0 is refused: why");
    world.deploy().await;
    let wish = json!({"saga": "orders", "inputs": {"order": "1"}});
    let (status, said) = world.post("/v1/workflows", wish).await;
    assert_eq!((status, said["code"].as_str()), (503, Some("lane_refused")), "{said}");
    assert!(said["detail"].as_str().unwrap().contains("why of"), "{said}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_an_object_and_a_parameter_one_that_there_is() {
    let mut world = World::new(Settings::default()).await;
    let path = trip(&world, "1", vec![]).await;
    for (to, body, says) in [
        ("/v1/workflows", r#"["trip", "2", {"id": "2"}]"#, "is a list"),
        ("/v1/workflows", "[]", "is a list"),
        ("/v1/workflows", " null", "is null"),
        ("/v1/workflows", "", "is nothing"),
        ("/v1/topics/u.t/records", r#"["k", 1]"#, "is a list"),
        ("/v1/agents/hotels/answers", r#""x""#, "is a text"),
        ("/v1/workflows", r#"{"saga": 7}"#, "expected a string"),
        ("/v1/workflows", r#"{"saga": "trip", "imputs": {}}"#, "`imputs`"),
    ] {
        let (status, said) = world.post_text(to, body).await;
        assert_eq!((status, said["code"].as_str()), (400, Some("body")), "{to} {body}: {said}");
        let detail = said["detail"].as_str().unwrap();
        assert!(detail.contains(says) && !detail.contains("struct"), "{detail}");
    }
    let deep = format!(r#"{{"saga":"trip","inputs":{}{}}}"#, "[".repeat(126), "]".repeat(126));
    let (status, said) = world.post_text("/v1/workflows", &deep).await;
    assert_eq!((status, said["code"].as_str()), (400, Some("too_deep")), "{said}");
    let history = format!("{path}/history?cursor=x");
    for (call, says) in [
        ("/v1/sagas?limit=abc", "`limit` is no parameter of GET /v1/sagas; it takes none"),
        (&*history, "`cursor` is no parameter of GET /v1/workflows/{id}/history"),
        ("/v1/workflows?limt=1", "`limt` is no parameter of GET /v1/workflows; there are `saga`"),
        ("/v1/workflows?limit=abc", "`limit` must be a whole number of 1 or more, not `abc`"),
        ("/v1/workflows?limit=0", "`limit` must be a whole number of 1 or more"),
        ("/v1/workflows?status=odd", "`odd` is no status; there are running"),
        ("/v1/dead-letters?class=bogus", "`class` can not be `bogus`; there are undecodable"),
        ("/v1/dead-letters?source=x", "`source` is a record's place"),
        ("/v1/agents/a/commands?max=-1", "`max` must be a whole number"),
        ("/v1/agents/a/commands?wait=5", "`wait` must be a duration"),
    ] {
        let (status, said) = world.get(call).await;
        assert_eq!((status, said["code"].as_str()), (400, Some("query")), "{call}: {said}");
        let detail = said["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{call}: {detail}");
    }
    assert_eq!(world.get("/v1/stream?workflow=trip:none").await.0, 404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_its_agents_own_and_of_the_right_form() {
    let mut world = World::new(Settings::default()).await;
    trip(&world, "1", vec![]).await;
    let answer = async |agent: &str, kind: &str, subject: &str, value: Value| {
        let body = json!({"type": kind, "subject": subject, "value": value});
        let (status, said) = world.post(&format!("/v1/agents/{agent}/answers"), body).await;
        said["code"].as_str().map_or_else(|| status.to_string(), |code| format!("{status} {code}"))
    };
    let (does, undoes) = ("trip:1/hotel/7.do1", "trip:1/hotel/7.undo1");
    for (agent, kind, subject, value, expected) in [
        ("flights", "TaskCompleted", does, json!({}), "403 other_agent"),
        ("hotels", "TaskCompleted", undoes, json!(null), "403 other_agent"),
        ("hotels", "TaskCompleted", does, json!({"room": "7"}), "202"),
        ("refunds", "TaskCompleted", undoes, json!(null), "202"),
        ("hotels", "TaskFailed", does, json!({"code": 7}), "422 bad_answer"),
        ("hotels", "TaskFailed", does, json!("no"), "422 bad_answer"),
        ("hotels", "TaskFailed", does, json!({"effects": "some"}), "422 bad_answer"),
        ("hotels", "TaskStatus", does, json!({"status": "done"}), "422 wrong_answer"),
        ("hotels", "TaskFailed", does, json!({"code": "full", "retryable": false}), "202"),
        ("any", "TaskCompleted", "trip:unseen/hotel/7.do1", json!({}), "202"),
    ] {
        let what = format!("{agent} {kind} {subject} {value}");
        assert_eq!(answer(agent, kind, subject, value).await, expected, "{what}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_is_judged_by_what_its_inputs_are_worth() {
    let mut world = World::new(Settings::default()).await;
    let _coordinator = world.accept_starts();
    let (status, said) = world.post_text("/v1/sagas", SAGA).await;
    assert_eq!(status, 201, "{said}");
    let once = SAGA.replace("name: trip", "name: once\non_duplicate: reject");
    let (status, said) = world.post_text("/v1/sagas", &once).await;
    assert_eq!(status, 201, "{said}");
    let start = async |saga: &str, n: &str| {
        let body = format!(r#"{{"saga":"{saga}","inputs":{{"id":"1","n":{n}}}}}"#);
        let (status, said) = world.post_text("/v1/workflows", &body).await;
        (status, said["detail"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(start("trip", "2").await.0, 201);
    assert_eq!(start("trip", "2.0").await.0, 200, "2 and 2.0 are one number");
    let (status, detail) = start("trip", "2.5").await;
    assert!(status == 409 && detail.contains("other inputs"), "{status} {detail}");
    assert_eq!(start("once", "2").await.0, 201);
    let (status, detail) = start("once", "2").await;
    assert!(status == 409 && detail.contains("on_duplicate: reject"), "{status} {detail}");
    world.stop().await;
}
