//! `pavane up` and `pavane run`: open the system, and keep it until asked to stop.

use std::path::PathBuf;
use std::sync::Arc;

use kafka::topics::create_all;
use serde_json::json;
use stream::{Broker, Spill, Stop};
use telemetry::{Format, Metrics};
use tokio::runtime::Runtime;

use crate::cli::{Role, Run};
use crate::config::{Config, LogFormat};
use crate::crew::on_signal;
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::{connect, lost, open};
use crate::system::{Parts, System};

/// All services.
pub(crate) const ALL: [Role; 4] =
    [Role::Coordinator, Role::Intake, Role::DeadLetter, Role::Gateway];

/// What a system runs on.
pub(crate) enum Ground {
    /// The Kafka that is configured.
    Kafka,
    /// The embedded log in a folder.
    Folder(PathBuf),
}

/// What a process has once: its runtime, its counters, its wish to stop.
pub(crate) struct Process {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) metrics: Metrics,
    pub(crate) wish: Stop,
    pub(crate) spill: Spill,
}

impl Process {
    /// Sets up logging, counting and signals.
    pub(crate) fn begin(config: &Config, filter: &str) -> Result<Self, Failure> {
        let format = match config.log.format {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        };
        let refused = |error: &dyn std::error::Error| {
            Failure::usage(crate::failure::chain(error)).next("pavane config")
        };
        telemetry::log(filter, format).map_err(|error| refused(&error))?;
        let metrics = Metrics::collect().map_err(|error| refused(&error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| Failure::from_error("no runtime", &error))?;
        let wish = Stop::default();
        on_signal(&runtime, &wish)?;
        let spill = config.state.spill();
        Ok(Self { runtime: Arc::new(runtime), metrics, wish, spill })
    }
}

/// `up`: everything, on Kafka where one is named, else on the embedded log.
pub(crate) fn up(config: &Config, wants_folder: bool, output: Output) -> Result<(), Failure> {
    let process = Process::begin(config, &config.log.filter)?;
    let ground = match &config.kafka.bootstrap {
        Some(_) if !wants_folder => Ground::Kafka,
        Some(_) | None => Ground::Folder(config.local.data.clone()),
    };
    match ground {
        Ground::Kafka => {
            let kafka = Arc::new(connect(config)?);
            let made = create_all(&kafka, config.kafka.partitions);
            made.map_err(|error| lost("the topics can not be made", &error))?;
            let on = format!("Kafka at {}", config.kafka.bootstrap.as_deref().unwrap_or_default());
            keep(&kafka, &ALL, config, &process, &on, output)
        }
        Ground::Folder(folder) => {
            let local = Arc::new(open(&folder, config)?);
            let on = format!("the embedded log in {}", folder.display());
            keep(&local, &ALL, config, &process, &on, output)
        }
    }
}

/// `run`: some services, on Kafka.
pub(crate) fn run(run: &Run, config: &Config, output: Output) -> Result<(), Failure> {
    let mut roles = run.roles.clone();
    roles.sort_unstable();
    roles.dedup();
    let process = Process::begin(config, &config.log.filter)?;
    let kafka = Arc::new(connect(config)?);
    let on = format!("Kafka at {}", config.kafka.bootstrap.as_deref().unwrap_or_default());
    keep(&kafka, &roles, config, &process, &on, output)
}

/// Starts the system, says where it is, and keeps it until somebody wishes it to stop or a part fails.
fn keep<B: Broker>(
    broker: &Arc<B>,
    roles: &[Role],
    config: &Config,
    process: &Process,
    on: &str,
    output: Output,
) -> Result<(), Failure> {
    let Process { runtime, metrics, wish, spill } = process;
    let parts = Parts {
        broker,
        roles,
        listen: config.gateway.listen,
        metrics,
        runtime,
        spill,
        serves_schemas: config.schema_registry.url.is_none(),
    };
    let mut system = System::start(&parts)?;
    if roles == ALL {
        system.await_ready(wish)?;
    }
    system.serve(&parts)?;
    let url = system.url();
    let names: Vec<String> = roles.iter().map(|role| role.name()).collect();
    output.either(&json!({"on": on, "url": url, "services": names}), || {
        let services = names.join(", ");
        if !roles.contains(&Role::Gateway) {
            return format!("{services} on {on}\nhealth and metrics at {url}\nCtrl-C stops it.");
        }
        format!(
            "{services} on {on}\n{url}\n\nnext:\n  pavane deploy sagas/order-processing.yaml --url \
             {url}\n  pavane list --url {url}\nCtrl-C stops it."
        )
    })?;
    system.crew.wait(wish);
    if !wish.requested() {
        tracing::error!("a part of the system has ended by itself; stopping the others");
    }
    system.crew.stop()
}
