//! `pavane bench topic`: one hop, from a record sent to the same record read, without anything in between.

use std::sync::Arc;

use serde_json::Value;
use stream::{Broker, Clock, SystemClock};

use crate::bench::{self, Driver, Pace, Pair, TopicRoad, spent};
use crate::cli::BenchTopic;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::{connect, open};
use crate::verbs::up::Process;

/// `bench topic`
pub(crate) fn topic(
    given: &BenchTopic,
    config: &Config,
    filter: &str,
    output: Output,
) -> Result<(), Failure> {
    let process = Process::begin(config, filter)?;
    let fresh = tempfile::tempdir()
        .map_err(|error| Failure::from_error("no folder for the embedded log", &error))?;
    match &given.kafka {
        Some(_) => measure(&Arc::new(connect(config)?), "kafka", given, &process, output),
        None => {
            let folder = given.data.as_deref().unwrap_or(fresh.path());
            let local = Arc::new(open(folder, config)?);
            measure(&local, "embedded log", given, &process, output)
        }
    }
}

fn measure<B: Broker>(
    broker: &Arc<B>,
    on: &str,
    given: &BenchTopic,
    process: &Process,
    output: Output,
) -> Result<(), Failure> {
    let prefix = format!("{}-", SystemClock.now().as_millis());
    let mut road = TopicRoad::new(&**broker, usize::try_from(given.bytes).unwrap_or(usize::MAX))?;
    let cpu = || spent(&[std::process::id()]);
    let mut goes_on = || !process.wish.requested();
    let mut driver = Driver::new(prefix, &cpu, &mut goes_on);
    driver.drive(
        &mut road,
        given.concurrency.max(given.count.div_ceil(10)),
        Pace::Closed(given.concurrency),
    )?;
    let mut measure = |pace| -> Result<Pair, Failure> {
        Ok(Pair { pavane: driver.drive(&mut road, given.count, pace)?, floor: None })
    };
    let closed = measure(Pace::Closed(given.concurrency))?;
    let open = given.rate.map(|rate| measure(Pace::Open(rate))).transpose()?;
    let mut value = closed.value();
    value.insert("on".to_owned(), on.into());
    value.insert("bytes".to_owned(), given.bytes.into());
    if let (Some(open), Some(rate)) = (&open, given.rate) {
        let mut open = open.value();
        open.insert("rate".to_owned(), rate.into());
        value.insert("open".to_owned(), open.into());
    }
    output.either(&Value::Object(value), || {
        let mut paces = vec![(format!("{} at once", given.concurrency), &closed)];
        paces.extend(
            given.rate.zip(open.as_ref()).map(|(rate, open)| (format!("{rate} a second"), open)),
        );
        let paces: Vec<_> = paces.iter().map(|(pace, pair)| (pace.as_str(), *pair)).collect();
        format!(
            "a record of {} bytes on {on}, from sent to read\n{}",
            given.bytes,
            bench::text(&paces)
        )
    })
}
