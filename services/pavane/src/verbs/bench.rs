//! `pavane bench`: a system of its own on what is named, and a load on it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use kafka::topics::create_all;
use stream::{Broker, Clock, SystemClock};

use crate::api::Api;
use crate::bench::{self, Load, Participants, drive, saga_file, saga_name, serve_until_orphaned};
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

/// `bench saga`
pub(crate) fn saga(
    given: &BenchSaga,
    config: &Config,
    filter: &str,
    output: Output,
) -> Result<(), Failure> {
    let process = Process::begin(config, filter)?;
    if let Some(bootstrap) = &given.kafka {
        let kafka = Arc::new(connect(config)?);
        let made = create_all(&kafka, config.kafka.partitions);
        made.map_err(|error| lost("the topics can not be made", &error))?;
        let mut participants = Participants::spawn(given.steps, bootstrap)?;
        let on = ["kafka", "in a process of their own"];
        let alive = move || !participants.has_ended();
        return measure(&kafka, given, &process, on, output, alive);
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
    let on = ["embedded log", "linked in"];
    measure(&local, given, &process, on, output, || !crew.has_lost_one())
}

/// Runs a system on the broker, deploys the saga, drives the load and prints the figures.
fn measure<B: Broker>(
    broker: &Arc<B>,
    given: &BenchSaga,
    process: &Process,
    [on, participants]: [&str; 2],
    output: Output,
    mut alive: impl FnMut() -> bool,
) -> Result<(), Failure> {
    let Process { runtime, metrics, wish } = process;
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let parts = Parts { broker, roles: &ALL, listen, metrics, runtime, serves_schemas: true };
    let mut system = System::start(&parts)?;
    system.await_ready(wish)?;
    system.serve(&parts)?;
    let api = Api::new(&system.url())?;
    api.post_yaml("/v1/sagas", saga_file(given.steps))?.map_err(Failure::from)?;
    let load = Load {
        saga: saga_name(given.steps),
        tag: SystemClock.now().as_millis().to_string(),
        warm_up: given.count.div_ceil(10).max(given.concurrency).min(WARM_UP_MAX),
        count: given.count,
        concurrency: given.concurrency,
    };
    let report = drive(&**broker, &load, &mut || {
        !wish.requested() && alive() && !system.crew.has_lost_one()
    })?;
    let mut value = report.value();
    if let Some(value) = value.as_object_mut() {
        value.insert("on".to_owned(), on.into());
        value.insert("participants".to_owned(), participants.into());
    }
    output.either(&value, || {
        let Load { saga, warm_up, concurrency, .. } = &load;
        format!(
            "{saga} on {on}, participants {participants}, {concurrency} at once, after {warm_up} to \
             warm up\n{}",
            report.text()
        )
    })?;
    system.crew.stop()
}

/// `bench participants`: the other process of `bench saga --kafka`.
pub(crate) fn participants(given: &BenchParticipants, config: &Config) -> Result<(), Failure> {
    let kafka = connect(config)?;
    serve_until_orphaned(&kafka, given.steps)
        .map_err(|error| lost("the participants can not go on", &error))
}
