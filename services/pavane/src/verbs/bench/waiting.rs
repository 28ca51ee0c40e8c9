//! `pavane bench restore` and `bench timers`: many workflows that wait. What each takes in memory, how long a
//! coordinator that starts anew needs for them, and what a timer costs beside them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka::topics::create_all;
use serde_json::{Value, json};
use stream::{Broker, Clock, Limits, SystemClock};

use crate::api::Api;
use crate::bench::{
    Driver, Measured, Pace, SagaRoad, TIMER, WAITING, resident, rounded, spent, timer_file,
    waiting_file,
};
use crate::cli::{BenchRestore, BenchRestored, BenchTimers, Role};
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::settings::{connect, lost, open};
use crate::system::{Parts, System};
use crate::verbs::bench::saga::begin;
use crate::verbs::up::Process;

/// Starts under way at once.
const AT_ONCE: u32 = 1_000;

/// `bench restore`
pub(crate) fn waiting(
    given: &BenchRestore,
    config: &Config,
    filter: &str,
    output: Output,
) -> Result<(), Failure> {
    let process = Process::begin(config, filter)?;
    let fresh = tempfile::tempdir()
        .map_err(|error| Failure::from_error("no folder for the embedded log", &error))?;
    let (on, place, filled) = if let Some(bootstrap) = &given.kafka {
        let kafka = Arc::new(connect(config)?);
        let made = create_all(&kafka, config.kafka.partitions);
        made.map_err(|error| lost("the topics can not be made", &error))?;
        let filled = fill(&kafka, given.count, &process)?;
        ("kafka", ["--kafka".to_owned(), bootstrap.clone()], filled)
    } else {
        let folder: PathBuf = given.data.clone().unwrap_or_else(|| fresh.path().to_owned());
        let filled = fill(&Arc::new(open(&folder, config)?), given.count, &process)?;
        ("embedded log", ["--data".to_owned(), folder.display().to_string()], filled)
    };
    let restored = restored_by_another(&place)?;
    let figure = |name: &str| restored.get(name).and_then(Value::as_f64).unwrap_or_default();
    let each = (figure("bytes_after") - figure("bytes_before")) / f64::from(given.count);
    let value = json!({
        "on": on,
        "count": given.count,
        "started_per_second": rounded(filled.per_second()),
        "restored_seconds": restored.get("seconds"),
        "bytes_before": restored.get("bytes_before"),
        "bytes_after": restored.get("bytes_after"),
        "bytes_each": rounded(each),
        "bytes_spilled": restored.get("bytes_spilled"),
    });
    output.either(&value, || {
        table(
            [
                "WAITING ON",
                "COUNT",
                "STARTED PER SECOND",
                "RESTORED IN SECONDS",
                "BYTES EACH",
                "SPILLED",
            ],
            [[
                on.to_owned(),
                given.count.to_string(),
                format!("{:.0}", filled.per_second()),
                format!("{:.2}", figure("seconds")),
                format!("{each:.0}"),
                format!("{:.0}", figure("bytes_spilled") / f64::from(given.count)),
            ]],
        )
    })
}

/// Starts so many, and waits until all are in a snapshot.
fn fill<B: Broker>(broker: &Arc<B>, count: u32, process: &Process) -> Result<Measured, Failure> {
    let (mut system, api) = begin(broker, process)?;
    let filled = drive(&**broker, &system, &api, process, Waiting::Long, count)?;
    let _stopping = process.wish.wait(Limits::default().snapshot_every.saturating_mul(3));
    system.crew.stop()?;
    Ok(filled)
}

#[derive(Clone, Copy)]
enum Waiting {
    /// For a month; driven until each has begun.
    Long,
    /// For a moment; driven until each is over.
    Briefly,
}

fn drive<B: Broker>(
    broker: &B,
    system: &System,
    api: &Api,
    process: &Process,
    waiting: Waiting,
    count: u32,
) -> Result<Measured, Failure> {
    let (saga, file, last) = match waiting {
        Waiting::Long => (WAITING, waiting_file(), "pavane.WorkflowStarted"),
        Waiting::Briefly => (TIMER, timer_file(), "pavane.WorkflowCompleted"),
    };
    api.post_yaml("/v1/sagas", file)?.map_err(Failure::from)?;
    let prefix = format!("{saga}:{}-", SystemClock.now().as_millis());
    let mut road = SagaRoad::new(broker, saga.to_owned(), prefix.clone(), last)?;
    let mut goes_on = || !process.wish.requested() && !system.crew.has_lost_one();
    let cpu = || spent(&[std::process::id()]);
    Driver::new(prefix, &cpu, &mut goes_on).drive(&mut road, count, Pace::Closed(AT_ONCE))
}

/// `bench timers`
pub(crate) fn timers(
    given: &BenchTimers,
    config: &Config,
    filter: &str,
    output: Output,
) -> Result<(), Failure> {
    let process = Process::begin(config, filter)?;
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::from_error("no folder for the embedded log", &error))?;
    let broker = Arc::new(open(folder.path(), config)?);
    let (mut system, api) = begin(&broker, &process)?;
    let drive = |waiting, count| drive(&*broker, &system, &api, &process, waiting, count);
    drive(Waiting::Briefly, given.count)?;
    let alone = drive(Waiting::Briefly, given.count)?;
    drive(Waiting::Long, given.waiting)?;
    let beside = drive(Waiting::Briefly, given.count)?;
    let runs = [(0, &alone), (given.waiting, &beside)];
    let value = runs.map(|(waiting, measured)| {
        let mut value = measured.value();
        value.insert("waiting".to_owned(), waiting.into());
        Value::Object(value)
    });
    output.either(&Value::from(value.to_vec()), || {
        let figure = |figure: Option<f64>| figure.map_or("-".to_owned(), |it| format!("{it:.3}"));
        table(
            ["NOT DUE", "FIRED", "PER SECOND", "CPU MS EACH"],
            runs.map(|(waiting, measured)| {
                let rate = format!("{:.0}", measured.per_second());
                [waiting.to_string(), given.count.to_string(), rate, figure(measured.cpu_ms())]
            }),
        )
    })?;
    system.crew.stop()
}

/// Lets a process that knows nothing yet restore them.
fn restored_by_another(place: &[String; 2]) -> Result<Value, Failure> {
    let failed = |error: std::io::Error| Failure::from_error("no process to restore them", &error);
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(["bench", "restored", "--json"]).args(place).stderr(Stdio::inherit());
    let said = command.output().map_err(failed)?;
    let value = said.status.success().then(|| serde_json::from_slice(&said.stdout).ok()).flatten();
    value.ok_or_else(|| {
        Failure::failed("the process that was to restore them has failed")
            .next("PAVANE_LOG=info with the same command")
    })
}

/// `bench restored`: the other process of `bench restore`.
pub(crate) fn restored(
    given: &BenchRestored,
    config: &Config,
    filter: &str,
    output: Output,
) -> Result<(), Failure> {
    let process = Process::begin(config, filter)?;
    match &given.kafka {
        Some(_) => restore(&Arc::new(connect(config)?), &process, output),
        None => restore(&Arc::new(open(&config.local.data, config)?), &process, output),
    }
}

fn restore<B: Broker>(broker: &Arc<B>, process: &Process, output: Output) -> Result<(), Failure> {
    let Process { runtime, metrics, wish, spill } = process;
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let roles = &[Role::Coordinator];
    let parts = Parts { broker, roles, listen, metrics, runtime, spill, serves_schemas: false };
    let (before, begun) = (resident()?, Instant::now());
    let mut system = System::start(&parts)?;
    system.await_ready(wish)?;
    let took: Duration = begun.elapsed();
    let value = json!({
        "seconds": rounded(took.as_secs_f64()),
        "bytes_before": before,
        "bytes_after": resident()?,
        "bytes_spilled": spill.bytes().1,
    });
    output.value(&value)?;
    system.crew.stop()
}
