//! `pavane bench`: a system of its own on what is named, a load on it, and the same load on what it stands on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka::floor::Floor;
use kafka::topics::create_all;
use serde_json::{Value, json};
use stream::{Broker, Clock, LogError, Stop, SystemClock};

use crate::api::Api;
use crate::bench::{
    self, Driver, FloorRoad, Measured, Pace, Pair, Participants, READY, Road, SagaRoad, rounded,
    saga_file, saga_name, stop_when_orphaned, sync_times,
};
use crate::cli::{BenchParticipants, BenchSaga};
use crate::config::Config;
use crate::crew::Crew;
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::{connect, lost, open};
use crate::system::{Parts, System};
use crate::verbs::up::{ALL, Process};

/// Warm-up runs at most so many workflows.
const WARM_UP_MAX: u32 = 1_000;

/// The gateway may take so long to read what earlier runs have left.
const VIEW_WITHIN: Duration = Duration::from_secs(300);

/// What a system is measured on, and against.
struct Ground {
    on: &'static str,
    participants: &'static str,
    floor: Option<FloorRoad>,
    /// Where the disk is timed.
    folder: Option<PathBuf>,
    /// Processes whose time is counted.
    processes: Vec<u32>,
}

/// `bench saga`
pub(crate) fn saga(
    given: &BenchSaga,
    config: &Config,
    filter: &str,
    output: Output,
) -> Result<(), Failure> {
    let process = Process::begin(config, filter)?;
    let own = std::process::id();
    if let Some(bootstrap) = &given.kafka {
        let kafka = Arc::new(connect(config)?);
        let made = create_all(&kafka, config.kafka.partitions);
        made.map_err(|error| lost("the topics can not be made", &error))?;
        let floor = Floor::new(&kafka, given.steps);
        floor.create().map_err(|error| lost("the floor's topics can not be made", &error))?;
        let mut participants = Participants::spawn(given.steps, bootstrap)?;
        let mut crew = Crew::default();
        let ground = Ground {
            on: "kafka",
            participants: "in a process of their own",
            floor: (!given.no_floor).then(|| FloorRoad::new(&floor, &mut crew)).transpose()?,
            folder: None,
            processes: vec![own, participants.id()],
        };
        let alive = || !participants.has_ended() && !crew.has_lost_one();
        return measure(&kafka, given, &process, ground, output, alive);
    }
    let fresh = tempfile::tempdir()
        .map_err(|error| Failure::from_error("no folder for the embedded log", &error))?;
    let folder: &Path = given.data.as_deref().unwrap_or(fresh.path());
    let local = Arc::new(open(folder, config)?);
    let mut crew = Crew::default();
    let (broker, steps) = (Arc::clone(&local), given.steps);
    crew.start("participants", move |stop| {
        bench::serve(&*broker, steps, stop).map_err(|error| error.to_string())
    })?;
    let ground = Ground {
        on: "embedded log",
        participants: "linked in",
        floor: None,
        folder: (!given.no_floor).then(|| folder.to_owned()),
        processes: vec![own],
    };
    measure(&local, given, &process, ground, output, || !crew.has_lost_one())
}

/// Runs a system on the broker, deploys the saga, drives the load and prints the figures.
fn measure<B: Broker>(
    broker: &Arc<B>,
    given: &BenchSaga,
    process: &Process,
    mut ground: Ground,
    output: Output,
    mut alive: impl FnMut() -> bool,
) -> Result<(), Failure> {
    let wish = &process.wish;
    let (mut system, api) = begin(broker, process)?;
    api.post_yaml("/v1/sagas", saga_file(given.steps))?.map_err(Failure::from)?;
    await_view(&api, wish)?;
    let saga = saga_name(given.steps);
    let prefix = format!("{saga}:{}-", SystemClock.now().as_millis());
    let mut road =
        SagaRoad::new(&**broker, saga.clone(), prefix.clone(), "pavane.WorkflowCompleted")?;
    let processes = ground.processes.clone();
    let cpu = move || bench::spent(&processes);
    let mut goes_on = || !wish.requested() && alive() && !system.crew.has_lost_one();
    let mut driver = Driver::new(prefix, &cpu, &mut goes_on);
    let mut disk = Vec::new();
    let mut time_disk = || -> Result<(), Failure> {
        disk.extend(ground.folder.as_deref().map(sync_times).transpose()?);
        Ok(())
    };
    time_disk()?;
    let mut floor = ground.floor.as_mut();
    let closed =
        compare(&mut driver, &mut road, &mut floor, given, Pace::Closed(given.concurrency))?;
    let open = given.rate.map(Pace::Open);
    let open = open.map(|pace| compare(&mut driver, &mut road, &mut floor, given, pace));
    let open = open.transpose()?;
    time_disk()?;
    print(given, &ground, (&closed, open.as_ref()), &disk, output)?;
    system.crew.stop()
}

/// A whole system on the broker, at an address of its own, that does its work.
pub(super) fn begin<B: Broker>(
    broker: &Arc<B>,
    process: &Process,
) -> Result<(System, Api), Failure> {
    let Process { runtime, metrics, wish, spill } = process;
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let parts =
        Parts { broker, roles: &ALL, listen, metrics, runtime, spill, serves_schemas: true };
    let mut system = System::start(&parts)?;
    system.await_ready(wish)?;
    system.serve(&parts)?;
    let api = Api::new(&system.url())?;
    Ok((system, api))
}

/// Waits until the gateway has read what had happened before: that is no part of what is measured.
fn await_view(api: &Api, wish: &Stop) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        match api.get("/readyz", &[]) {
            Ok(_) => return Ok(()),
            Err(failure) if begun.elapsed() > VIEW_WITHIN => return Err(failure),
            Err(_) if wish.wait(Duration::from_millis(50)) => return Ok(()),
            Err(_) => {}
        }
    }
}

/// Both roads at one pace: half of the floor, pavane, the other half of the floor, so that what the machine
/// does besides falls on both.
fn compare(
    driver: &mut Driver<'_>,
    road: &mut impl Road,
    floor: &mut Option<&mut FloorRoad>,
    given: &BenchSaga,
    pace: Pace,
) -> Result<Pair, Failure> {
    let warm_up = warm_up(given);
    let half = given.count.div_ceil(2);
    let mut halves: Vec<Measured> = Vec::new();
    if let Some(floor) = floor {
        driver.drive(*floor, warm_up, pace)?;
    }
    driver.drive(road, warm_up, pace)?;
    if let Some(floor) = floor {
        halves.push(driver.drive(*floor, half, pace)?);
    }
    let pavane = driver.drive(road, given.count, pace)?;
    if let Some(floor) = floor {
        halves.push(driver.drive(*floor, half, pace)?);
    }
    Ok(Pair { pavane, floor: halves.into_iter().reduce(|one, other| one.and(&other)) })
}

fn warm_up(given: &BenchSaga) -> u32 {
    given.count.div_ceil(10).max(given.concurrency).min(WARM_UP_MAX)
}

fn print(
    given: &BenchSaga,
    ground: &Ground,
    (closed, open): (&Pair, Option<&Pair>),
    disk: &[hdrhistogram::Histogram<u64>],
    output: Output,
) -> Result<(), Failure> {
    let Ground { on, participants, .. } = ground;
    let mut value = closed.value();
    value.insert("on".to_owned(), (*on).into());
    value.insert("participants".to_owned(), (*participants).into());
    if let Some(open) = open {
        let mut open = open.value();
        open.insert("rate".to_owned(), given.rate.into());
        value.insert("open".to_owned(), open.into());
    }
    let sync = one_sync(disk);
    if let Some(p50) = sync {
        let p50 = p50.as_secs_f64() * 1_000.0;
        value.insert("fdatasync".to_owned(), json!({"p50_ms": rounded(p50)}));
        value.insert("ratio".to_owned(), json!({"p50": rounded(closed.pavane.p50_ms() / p50)}));
    }
    output.either(&Value::Object(value), || {
        let BenchSaga { concurrency, rate, steps, .. } = given;
        let mut paces = vec![(format!("{concurrency} at once"), closed)];
        paces.extend(rate.zip(open).map(|(rate, open)| (format!("{rate} a second"), open)));
        let paces: Vec<_> = paces.iter().map(|(pace, pair)| (pace.as_str(), *pair)).collect();
        let disk = sync.map_or(String::new(), |p50| {
            let times = closed.pavane.p50_ms() / (p50.as_secs_f64() * 1_000.0);
            format!("\none fdatasync: p50 {} us; p50 of a saga {times:.1} x that", p50.as_micros())
        });
        format!(
            "{} on {on}, participants {participants}, after {} to warm up\n{}{disk}",
            saga_name(*steps),
            warm_up(given),
            bench::text(&paces)
        )
    })
}

/// The median of both times that the disk was timed.
fn one_sync(disk: &[hdrhistogram::Histogram<u64>]) -> Option<Duration> {
    let (first, rest) = disk.split_first()?;
    let mut all = first.clone();
    for more in rest {
        // The bounds are the same, so that nothing can be out of them.
        all.add(more).unwrap_or_default();
    }
    Some(Duration::from_micros(all.value_at_quantile(0.5)))
}

/// `bench participants`: the other process of `bench saga --kafka`, for both roads.
pub(crate) fn participants(given: &BenchParticipants, config: &Config) -> Result<(), Failure> {
    let kafka = connect(config)?;
    let stop = Stop::default();
    stop_when_orphaned(&stop);
    let failed = |error: LogError| lost("the participants can not go on", &error);
    let floor = Floor::new(&kafka, given.steps);
    let mut crew = Crew::default();
    let (ready, told) = std::sync::mpsc::sync_channel(1);
    crew.start("floor", move |stop| {
        // Where nobody waits any more, nobody needs to know.
        floor.answer(stop, || ready.send(()).unwrap_or_default()).map_err(|error| error.to_string())
    })?;
    if told.recv().is_ok() {
        Output::new(false).line(READY)?;
    }
    bench::serve(&kafka, given.steps, &stop).map_err(failed)?;
    crew.stop()
}
