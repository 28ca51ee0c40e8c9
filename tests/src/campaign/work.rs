//! What runs while faults are done: workflows of drawn sagas in which anything may happen, and orders that an
//! event starts. Nothing is forgotten: a start that was not acknowledged is sent again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use client::{Http, HttpError, Publish, Which};
use serde_json::json;
use stream::Stop;
use tokio::runtime::Runtime;

use crate::outside::drawn::{AGENTS, draw};

/// Where orders are published, behind a prefix.
pub(super) const ORDERS: &str = "campaign.orders";
/// Drawn sagas that are deployed, and tasks of each at most.
const SAGAS: usize = 5;
const TASKS_MAX: usize = 16;
/// What is not at rest by then has stood still: so long after the last workflow has ended.
const STILL: Duration = Duration::from_secs(180);
/// How many starts may be under way.
const STARTING_MAX: usize = 100;

/// Starts workflows in the background.
pub(super) struct Work {
    http: Http,
    runtime: Runtime,
    topic: String,
    sagas: Vec<String>,
    pub(super) started: usize,
    told: Arc<AtomicUsize>,
    wrong: Arc<Mutex<Vec<String>>>,
    pause: Stop,
}

impl Work {
    /// Deploys the sagas of that seed.
    pub(super) fn begin(url: &str, topic: &str, seed: u64) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let (http, runtime) = (Http::new(url).unwrap(), runtime.unwrap());
        let drawn = (seed.wrapping_mul(1_000)..).map(draw);
        let drawn: Vec<_> = drawn.filter(|it| it.leaves.len() <= TASKS_MAX).take(SAGAS).collect();
        let files = drawn.iter().map(|it| it.yaml.clone()).chain([order(topic)]);
        for file in files {
            runtime.block_on(http.deploy(file)).expect("a saga is deployed");
        }
        Self {
            http,
            runtime,
            topic: topic.to_owned(),
            sagas: drawn.iter().map(|it| it.name.clone()).collect(),
            started: 0,
            told: Arc::default(),
            wrong: Arc::default(),
            pause: Stop::default(),
        }
    }

    /// Starts one more, unless too many starts are under way: whether it did.
    pub(super) fn start(&mut self) -> bool {
        if self.started >= self.told.load(Ordering::Relaxed) + STARTING_MAX {
            return false;
        }
        let number = self.started;
        self.started += 1;
        let key = format!("draw-{number}");
        let (http, told, wrong) =
            (self.http.clone(), Arc::clone(&self.told), Arc::clone(&self.wrong));
        let saga = self.sagas.get(number % (SAGAS + 1)).cloned();
        let topic = self.topic.clone();
        drop(self.runtime.spawn(async move {
            let inputs = json!({"k": key});
            loop {
                let said = match &saga {
                    Some(saga) => http.start(saga, None, &inputs).await.map(|_| ()),
                    None => http.publish(&topic, &placed(&key)).await.map(|_| ()),
                };
                match said {
                    Ok(()) => break,
                    Err(error) if may_pass(&error) => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    Err(error) => {
                        let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                        wrong.push(format!("the start of {key} was refused: {error}"));
                        break;
                    }
                }
            }
            told.fetch_add(1, Ordering::Relaxed);
        }));
        true
    }

    /// Waits until every workflow has ended; gives how many there are of each end, and what is wrong.
    pub(super) fn rest(&self, mut tend: impl FnMut()) -> (BTreeMap<String, usize>, Vec<String>) {
        let mut moved = Instant::now();
        let mut last = BTreeMap::new();
        let mut wrong = Vec::new();
        loop {
            tend();
            let ends = self.statuses();
            if ends != last {
                (moved, last) = (Instant::now(), ends.clone());
            }
            let all: usize = ends.values().sum();
            let live = ["running", "compensating", "paused", "blocked"];
            let is_over = !live.iter().any(|status| ends.contains_key(*status));
            let told = self.told.load(Ordering::Relaxed);
            if is_over && told == self.started && all == self.started {
                wrong.extend(self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone());
                return (ends, wrong);
            }
            if moved.elapsed() > STILL {
                wrong.push(format!(
                    "no rest: {} were started, {told} acknowledged: {ends:?}",
                    self.started
                ));
                return (ends, wrong);
            }
            let _never = self.pause.wait(Duration::from_secs(1));
        }
    }

    /// How many workflows there are of each status; empty where nobody answers.
    fn statuses(&self) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        let mut which = Which { limit: Some(1_000), ..Which::default() };
        loop {
            let Ok(page) = self.runtime.block_on(self.http.workflows(&which)) else {
                return BTreeMap::new();
            };
            for workflow in &page.items {
                *found.entry(workflow.status.to_string()).or_default() += 1;
            }
            which.cursor = page.next_cursor;
            if which.cursor.is_none() {
                return found;
            }
        }
    }
}

/// Whether the same call may be answered otherwise later on: nobody is there, or not yet whole.
fn may_pass(error: &HttpError) -> bool {
    match error {
        HttpError::Unreachable { .. } | HttpError::Form { .. } => true,
        HttpError::Problem(problem) => matches!(problem.status, 404 | 408 | 429 | 500..),
        HttpError::Tls(_) => false,
    }
}

fn placed(key: &str) -> Publish {
    Publish {
        key: Some(key.to_owned()),
        value: json!({"k": key}),
        headers: BTreeMap::from([("ce_type".to_owned(), "OrderPlaced".to_owned())]),
    }
}

/// An order: reserved and charged, and undone where the charge fails; shipped once the pivot is done.
fn order(topic: &str) -> String {
    let [a, b, c] = [AGENTS[0], AGENTS[1], AGENTS[2]];
    let quick = "retry: {max_attempts: 3, backoff: 20ms, max_backoff: 200ms}";
    format!(
        "version: \"2.0\"
name: campaign-order
key: ${{inputs.k}}
inputs: [{{name: k, type: string}}]
triggers: [{{event: {topic}/OrderPlaced}}]
compensation: {{retry: {{max_attempts: 30, backoff: 20ms, max_backoff: 200ms}}}}
tasks:
  - {{id: reserve, agent: {a}, type: may_be_silent, compensate: undo, in_doubt: query, timeout: 1s, {quick}, inputs: {{}}}}
  - {{id: price, agent: {b}, type: may_fail, kind: readonly, {quick}, inputs: {{}}}}
  - {{id: charge, agent: {c}, type: may_fail, compensate: undo, depends_on: [reserve, price], {quick}, inputs: {{}}}}
  - {{id: ship, agent: {a}, type: sure, kind: retriable, retry: {{backoff: 20ms, max_backoff: 200ms}}, depends_on: [charge], inputs: {{}}}}
"
    )
}
