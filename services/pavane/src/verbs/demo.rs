//! `pavane demo orders`: a system of its own, in a fresh folder and on a free port unless told where.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use kafka::topics::create_all;
use stream::{Broker, Clock, SystemClock};

use crate::api::Api;
use crate::cli::Orders;
use crate::config::Config;
use crate::demo::{Stage, play};
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::{connect, lost, open};
use crate::system::{Parts, System};
use crate::verbs::up::{ALL, Process};

/// `demo orders`
pub(crate) fn orders(
    given: &Orders,
    config: &Config,
    filter: &str,
    output: Output,
) -> Result<(), Failure> {
    let process = Process::begin(config, filter)?;
    let fresh = tempfile::tempdir()
        .map_err(|error| Failure::from_error("no folder for the books", &error))?;
    // Only a flag leads out of the fresh folder: what stands in a file or in the environment may name a
    // system in which nobody wants to play.
    if given.place.kafka.is_some() {
        let kafka = Arc::new(connect(config)?);
        let made = create_all(&kafka, config.kafka.partitions);
        made.map_err(|error| lost("the topics can not be made", &error))?;
        return perform(&kafka, given, config, &process, &fresh.path().join("books"), output);
    }
    let folder = given.place.data.as_deref().unwrap_or(fresh.path());
    let local = Arc::new(open(&folder.join("log"), config)?);
    perform(&local, given, config, &process, &folder.join("books"), output)
}

fn perform<B: Broker>(
    broker: &Arc<B>,
    given: &Orders,
    config: &Config,
    process: &Process,
    books: &Path,
    output: Output,
) -> Result<(), Failure> {
    let Process { runtime, metrics, wish, spill } = process;
    let listen = match given.place.listen {
        Some(_) => config.gateway.listen,
        None => SocketAddr::from(([127, 0, 0, 1], 0)),
    };
    let parts =
        Parts { broker, roles: &ALL, listen, metrics, runtime, spill, serves_schemas: true };
    let mut system = System::start(&parts)?;
    system.await_ready(wish)?;
    system.serve(&parts)?;
    let is_fresh = given.place.data.is_none() && given.place.kafka.is_none();
    let tag = match is_fresh {
        true => String::new(),
        false => format!("{}-", SystemClock.now().as_millis() / 100 % 100_000_000),
    };
    let stage = Stage {
        broker,
        api: &Api::new(&system.url())?,
        books,
        count: given.count,
        tag,
        stop: wish,
        output,
    };
    play(&stage)?;
    system.crew.stop()
}
