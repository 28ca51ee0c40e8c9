//! A gateway as seen by participants: hands out commands until they are answered, and is unwell now
//! and then. It leases nothing, so what is not answered yet comes again and again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

/// Everything that a test waits for comes long before this.
const DEADLINE: Duration = Duration::from_secs(60);
/// One of so many calls is refused with 503.
const UNWELL: usize = 7;

#[derive(Default)]
struct Desk {
    calls: usize,
    /// By agent.
    waiting: BTreeMap<String, Vec<Value>>,
    /// By subject, in the order in which they came.
    answers: HashMap<String, Vec<Value>>,
}

#[derive(Default)]
struct Shared {
    desk: Mutex<Desk>,
    news: Notify,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap()
    }
}

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) url: String,
    pub(crate) runtime: Runtime,
    shared: Arc<Shared>,
}

/// A command for `agent`: attempt `n` of what `operation` asks about order `order`.
pub(crate) struct Asked<'a> {
    pub(crate) agent: &'a str,
    pub(crate) verb: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) order: usize,
    pub(crate) n: u32,
    pub(crate) value: Value,
}

impl Asked<'_> {
    pub(crate) fn subject(&self) -> String {
        format!("orders:o-{}/{}/1.{}{}", self.order, self.agent, self.verb, self.n)
    }

    fn item(&self) -> Value {
        let ce_type = match self.verb {
            "do" => "pavane.DoTask",
            "undo" => "pavane.UndoTask",
            "query" => "pavane.QueryTask",
            other => panic!("no command: {other}"),
        };
        json!({
            "headers": {
                "ce_type": ce_type,
                "ce_subject": self.subject(),
                "ce_id": self.subject(),
                "pavane_saga": "orders",
                "pavane_type": self.operation,
                "pavane_idempotency_key": format!("o-{}/{}", self.order, self.agent),
                "pavane_epoch": if self.verb == "undo" { "1" } else { "0" },
                "pavane_deadline": "2100-01-01T00:00:00.000Z",
            },
            "value": self.value,
            "timestamp": "2026-11-22T10:00:00.000Z",
        })
    }
}

impl Gateway {
    pub(crate) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let shared = Arc::new(Shared::default());
        let router = Router::new()
            .route("/v1/agents/{agent}/commands", get(commands))
            .route("/v1/agents/{agent}/answers", post(answers))
            .with_state(Arc::clone(&shared));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, runtime, shared }
    }

    pub(crate) fn ask(&self, asked: &Asked<'_>) {
        let mut desk = self.shared.desk();
        desk.waiting.entry(asked.agent.to_owned()).or_default().push(asked.item());
        drop(desk);
        self.shared.news.notify_waiters();
    }

    /// Waits until `count` subjects have been answered, once at least.
    pub(crate) fn wait_for(&self, count: usize) {
        self.wait_until(|desk| desk.answers.len() >= count);
    }

    /// Waits until every command has been answered and the participant knows that it was heard.
    pub(crate) fn wait_for_all(&self) {
        self.wait_until(|desk| desk.waiting.values().all(Vec::is_empty));
    }

    fn wait_until(&self, is_so: impl Fn(&Desk) -> bool) {
        self.runtime.block_on(async {
            let until = Instant::now() + DEADLINE;
            loop {
                let news = self.shared.news.notified();
                if is_so(&self.shared.desk()) {
                    return;
                }
                let come = timeout_at(until, news).await;
                let answered = self.shared.desk().answers.len();
                assert!(come.is_ok(), "only {answered} subjects were answered");
            }
        });
    }

    /// The answer to a command. However often it was answered, it was the same.
    pub(crate) fn answer(&self, asked: &Asked<'_>) -> Value {
        let desk = self.shared.desk();
        let answers = &desk.answers[&asked.subject()];
        for answer in answers {
            assert_eq!(answer, &answers[0], "{} was answered in two ways", asked.subject());
        }
        answers[0].clone()
    }
}

async fn commands(
    State(shared): State<Arc<Shared>>,
    Path(agent): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    let news = shared.news.notified();
    let items = take(&shared, &agent)?;
    if !items.is_empty() {
        return Ok(Json(json!({"items": items, "next_cursor": null})));
    }
    let _nothing_new = timeout(Duration::from_millis(50), news).await;
    Ok(Json(json!({"items": take(&shared, &agent)?, "next_cursor": null})))
}

fn take(shared: &Shared, agent: &str) -> Result<Vec<Value>, StatusCode> {
    let mut desk = shared.desk();
    be_unwell(&mut desk)?;
    Ok(desk
        .waiting
        .get(agent)
        .map(|waiting| waiting.iter().take(20).cloned().collect())
        .unwrap_or_default())
}

/// What is not there when it is too late to take it back: an answer can be stored, and refused.
async fn answers(
    State(shared): State<Arc<Shared>>,
    Path(agent): Path<String>,
    Json(answer): Json<Value>,
) -> Result<StatusCode, StatusCode> {
    let mut desk = shared.desk();
    let subject = answer["subject"].as_str().unwrap().to_owned();
    desk.answers.entry(subject.clone()).or_default().push(answer);
    be_unwell(&mut desk)?;
    if let Some(waiting) = desk.waiting.get_mut(&agent) {
        waiting.retain(|item| item["headers"]["ce_subject"] != subject.as_str());
    }
    drop(desk);
    shared.news.notify_waiters();
    Ok(StatusCode::ACCEPTED)
}

fn be_unwell(desk: &mut Desk) -> Result<(), StatusCode> {
    desk.calls += 1;
    if desk.calls.is_multiple_of(UNWELL) { Err(StatusCode::SERVICE_UNAVAILABLE) } else { Ok(()) }
}
