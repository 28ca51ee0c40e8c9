//! How long a lane stands still when the coordinator that holds it is killed, or asked to stop.
//!
//! Two coordinators share the lanes while workflows run without a pause. What is measured begins when the
//! signal is sent and ends with the successor's first new decision on each lane that it takes over: the first
//! command whose `pavane_fence` names a higher epoch of the lane than any before the signal, by the time at
//! which the broker appended it. What a successor only sends again has the old epoch, and does not count.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use client::{Answer, Asked, Command, Http, Reply};
use events::{Topic, header};
use hdrhistogram::Histogram;
use kafka::{Config, Kafka};
use serde_json::{Value, json};
use stream::{Broker, Clock as _, Follow as _, Purpose, Start, Stop, SystemClock};
use tokio::runtime::Runtime;

use crate::fleet::{Answers, Process, Serving, Signal, pavane, serve_over_broker};

const AGENT: &str = "walker";
const SAGA: &str = "walk";
const STEPS: usize = 10;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Nothing may change for so long before a coordinator is struck.
const CALM: Duration = Duration::from_secs(1);

/// What is measured, on what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The brokers.
    pub kafka: String,
    /// `kafka.session_timeout_ms` of the coordinators.
    pub session_timeout_ms: u32,
    /// Lanes.
    pub lanes: u32,
    /// Workflows under way at any time.
    pub in_flight: usize,
    /// How often a coordinator is killed, and how often one is asked to stop.
    pub times: usize,
    /// Where logs are written.
    pub folder: PathBuf,
}

/// How a coordinator is made to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// `kill -9`.
    Killed,
    /// `SIGTERM`.
    AskedToStop,
}

/// Milliseconds, one for each lane that was taken over.
pub type Measured = BTreeMap<End, Histogram<u64>>;

/// By lane, when the first command of each epoch was appended, milliseconds.
type Epochs = BTreeMap<u32, BTreeMap<u64, i64>>;

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Epochs>>);

impl Seen {
    fn note(&self, lane: u32, epoch: u64, at: i64) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(lane).or_default().entry(epoch).or_insert(at);
    }

    fn all(&self) -> Epochs {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn newest(&self) -> BTreeMap<u32, u64> {
        let newest =
            |(lane, epochs): (u32, BTreeMap<u64, i64>)| Some((lane, *epochs.keys().max()?));
        self.all().into_iter().filter_map(newest).collect()
    }
}

/// Everything that runs while it is measured.
struct Ground<'a> {
    plan: &'a Plan,
    prefix: String,
    seen: Seen,
    coordinators: Vec<Process>,
    stop: Stop,
    watch: Option<JoinHandle<()>>,
    _others: Vec<Process>,
    _serving: Serving,
}

/// Measures.
///
/// # Panics
/// Where something does not come about in time: the logs are in the plan's folder.
#[must_use]
pub fn measure(plan: &Plan) -> Measured {
    let mut ground = Ground::start(plan);
    let empty = || Histogram::new_with_bounds(1, 3_600_000, 3).unwrap();
    let mut measured: Measured =
        [End::Killed, End::AskedToStop].into_iter().map(|end| (end, empty())).collect();
    for round in 0..plan.times {
        for (end, histogram) in &mut measured {
            let took = ground.strike(round % 2, *end);
            eprintln!("{}/{} {end:?}: {took:?} ms", round + 1, plan.times);
            for took in took {
                histogram.record(took.max(1)).unwrap();
            }
        }
    }
    measured
}

impl<'a> Ground<'a> {
    fn start(plan: &'a Plan) -> Self {
        std::fs::create_dir_all(&plan.folder).unwrap();
        let prefix = format!("takeover-{}.", SystemClock.now().as_millis());
        let mut config = Config::at(&plan.kafka);
        config.prefix.clone_from(&prefix);
        let broker = Arc::new(Kafka::connect(config, &[]).unwrap());
        kafka::topics::create_all(&broker, plan.lanes).unwrap();
        let tasks = broker.topics().tasks(&AGENT.into());
        broker.create(&tasks, Purpose::Tasks).unwrap();
        let mut gateway = run(plan, &prefix, "gateway", "gateway");
        let url = gateway.url().expect("the gateway is up");
        let coordinators =
            (0..2).map(|n| run(plan, &prefix, "coordinator", &format!("coordinator-{n}")));
        let coordinators = coordinators.collect();
        let (seen, stop) = (Seen::default(), Stop::default());
        let watch = Some(watch(&broker, tasks, &seen, &stop));
        let starts = Starts::begin(&url, plan.in_flight, &stop);
        let group = broker.topics().group("walkers");
        let answers: Answers = Arc::new(move |_, command| starts.answer(command));
        let pause = Duration::from_millis(50);
        let serving = serve_over_broker(broker, &group, &[AGENT.into()], pause, answers);
        let others = vec![gateway];
        Self { plan, prefix, seen, coordinators, stop, watch, _others: others, _serving: serving }
    }

    /// Makes one of the two go and measures; then starts it again.
    fn strike(&mut self, which: usize, end: End) -> Vec<u64> {
        let (before, held) = self.calm(which);
        let (victim, began) = (&mut self.coordinators[which], SystemClock.now().as_millis());
        match end {
            End::Killed => victim.kill(),
            End::AskedToStop => victim.signal(Signal::Terminate),
        }
        let deadline = Instant::now() + PATIENCE;
        let took = loop {
            let taken: Vec<i64> = self
                .seen
                .all()
                .iter()
                .filter_map(|(lane, epochs)| {
                    let known = before.get(lane).copied().unwrap_or_default();
                    let (_, at) = epochs.range(known + 1..).next()?;
                    Some(at - began)
                })
                .collect();
            if taken.len() >= held {
                break taken;
            }
            assert!(
                Instant::now() < deadline,
                "{} of {held} lanes: {:?}",
                taken.len(),
                self.plan.folder
            );
            std::thread::park_timeout(Duration::from_millis(20));
        };
        victim.wait();
        let name = format!("coordinator-{which}");
        *victim = run(self.plan, &self.prefix, "coordinator", &name);
        took.into_iter().map(|took| u64::try_from(took).unwrap_or_default()).collect()
    }

    /// Waits until all lanes are held and at work and nothing changes any more; gives each lane's epoch, and
    /// how many lanes this coordinator holds.
    fn calm(&mut self, which: usize) -> (BTreeMap<u32, u64>, usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut since = Instant::now();
        let mut last = (BTreeMap::new(), Vec::new());
        loop {
            let held: Vec<usize> = self.coordinators.iter_mut().map(active).collect();
            let now = (self.seen.newest(), held);
            if now != last {
                (last, since) = (now, Instant::now());
            }
            let lanes = usize::try_from(self.plan.lanes).unwrap();
            let whole = last.1.iter().sum::<usize>() == lanes && last.0.len() == lanes;
            if whole && last.1[which] > 0 && since.elapsed() >= CALM {
                return (last.0, last.1[which]);
            }
            assert!(Instant::now() < deadline, "no calm: {last:?}: see {:?}", self.plan.folder);
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

impl Drop for Ground<'_> {
    fn drop(&mut self) {
        self.stop.request();
        if let Some(watch) = self.watch.take() {
            let ended = watch.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the watch has panicked");
        }
    }
}

fn active(coordinator: &mut Process) -> usize {
    let active = coordinator.metric("pavane_lanes_active").unwrap_or_default();
    (1..).take_while(|n| f64::from(*n) <= active).count()
}

fn run(plan: &Plan, prefix: &str, role: &str, name: &str) -> Process {
    let mut command = pavane(&["run", role, "--json", "--listen", "127.0.0.1:0"]);
    command
        .args(["--kafka", &plan.kafka])
        .env("PAVANE_KAFKA__PREFIX", prefix)
        .env("PAVANE_KAFKA__SESSION_TIMEOUT_MS", plan.session_timeout_ms.to_string());
    Process::spawn(command, &plan.folder.join(format!("{name}.log")))
}

/// Notes the first command of each epoch of each lane.
fn watch(broker: &Arc<Kafka>, tasks: Topic, seen: &Seen, stop: &Stop) -> JoinHandle<()> {
    let mut follow = broker.follow(vec![(tasks, Start::Earliest)]).unwrap();
    let (seen, stop) = (seen.clone(), stop.clone());
    spawn(move || {
        while !stop.requested() {
            for record in follow.next(Duration::from_millis(50)).unwrap() {
                let fence = record.header_text(header::FENCE).expect("a command's fence");
                let mut parts = fence.split('/').map(|part| part.parse::<u64>().unwrap());
                let lane = u32::try_from(parts.next().unwrap()).unwrap();
                seen.note(lane, parts.next().unwrap(), record.timestamp.as_millis());
            }
        }
    })
}

/// Keeps so many workflows under way: whenever one is at its last step, another is started.
struct Starts {
    http: Http,
    runtime: Runtime,
    next: AtomicU64,
    stop: Stop,
}

impl Starts {
    fn begin(url: &str, in_flight: usize, stop: &Stop) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let begun = Self {
            http: Http::new(url).unwrap(),
            runtime: runtime.unwrap(),
            next: AtomicU64::new(0),
            stop: stop.clone(),
        };
        begun.runtime.block_on(begun.http.deploy(saga())).unwrap();
        for _ in 0..in_flight {
            begun.start();
        }
        begun
    }

    fn start(&self) {
        let (http, number) = (self.http.clone(), self.next.fetch_add(1, Ordering::Relaxed));
        let stop = self.stop.clone();
        drop(self.runtime.spawn(async move {
            let inputs = json!({"k": number.to_string()});
            // It waits for a lane that stands still, and may not be told in time: the same start again is
            // the same workflow.
            while !stop.requested()
                && let Err(error) = http.start(SAGA, None, &inputs).await
            {
                eprintln!("starting again: {error}");
            }
        }));
    }

    fn answer(&self, command: &Command) -> Vec<Reply> {
        if command.asked == Asked::Do && command.subject.task.as_str() == format!("step_{STEPS}") {
            self.start();
        }
        let (subject, traceparent) = (command.subject_text.clone(), command.traceparent.clone());
        vec![Reply { subject, traceparent, answer: Answer::Completed(Value::Null) }]
    }
}

fn saga() -> String {
    let steps = (1..=STEPS).map(|step| {
        let after =
            if step == 1 { String::new() } else { format!(", depends_on: [step_{}]", step - 1) };
        format!("  - {{id: step_{step}, agent: {AGENT}, kind: readonly, timeout: 10m{after}}}\n")
    });
    let steps: String = steps.collect();
    format!(
        "version: \"2.0\"\nname: {SAGA}\nkey: ${{inputs.k}}\ninputs: [{{name: k, type: string}}]\ntasks:\n{steps}"
    )
}

/// The figures: `n`, `p50`, `p90`, `p99`, `max`, in milliseconds.
#[must_use]
pub fn figures(of: &Histogram<u64>) -> Value {
    let at = |share: f64| of.value_at_quantile(share);
    json!({"n": of.len(), "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": of.max()})
}
