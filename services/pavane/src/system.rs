//! The services of one process, wired to a broker. One function for every broker: they differ in how
//! they are opened, and in nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coordinator::Coordinator;
use deadletter::{Filter, Index};
use events::Partition;
use stream::{
    Board, Broker, Clock, Host, LaneId, LaneStatus, Limits, Spill, Stop, SystemChance, SystemClock,
    SystemThreads,
};
use telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::cli::Role;
use crate::crew::Crew;
use crate::failure::{Failure, chain};
use crate::operations;

/// Dead letters that are counted at most; older ones stay in their topics.
const LETTERS_MAX: usize = 100_000;
/// How long a system may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What a system is made of.
pub(crate) struct Parts<'a, B> {
    pub(crate) broker: &'a Arc<B>,
    pub(crate) roles: &'a [Role],
    pub(crate) listen: SocketAddr,
    pub(crate) metrics: &'a Metrics,
    pub(crate) runtime: &'a Arc<Runtime>,
    /// Whether the gateway serves the product's schemas, which it does where there is no registry.
    pub(crate) serves_schemas: bool,
    /// Where states at rest lie.
    pub(crate) spill: &'a Spill,
}

/// Services that run. Dropped, they are stopped in order.
pub(crate) struct System {
    pub(crate) crew: Crew,
    /// Where HTTP is served.
    pub(crate) address: SocketAddr,
    listener: Option<TcpListener>,
    ready: Readiness,
}

/// Whether each service of this process does its work. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Readiness {
    coordinator: Option<Board>,
    intake: Option<Arc<AtomicBool>>,
}

impl Readiness {
    fn of(roles: &[Role]) -> Self {
        Self {
            coordinator: roles.contains(&Role::Coordinator).then(Board::default),
            intake: roles.contains(&Role::Intake).then(Arc::default),
        }
    }

    /// What is missing, in words; `None`: nothing.
    pub(crate) fn missing(&self) -> Option<String> {
        if let Some(board) = &self.coordinator {
            let lanes = board.lanes();
            if lanes.is_empty() {
                return Some("the coordinator has been given no lane yet".to_owned());
            }
            let wanting: Vec<String> = lanes
                .into_iter()
                .filter_map(|(lane, status)| match status {
                    LaneStatus::Active => None,
                    LaneStatus::TakingOver => Some(format!("lane {} is being taken over", lane.0)),
                    LaneStatus::Refused(why) => Some(format!("lane {} is refused: {why}", lane.0)),
                })
                .collect();
            if !wanting.is_empty() {
                return Some(wanting.join("; "));
            }
        }
        match &self.intake {
            Some(ready) if !ready.load(Ordering::Relaxed) => {
                Some("intake has not read all definitions yet".to_owned())
            }
            Some(_) | None => None,
        }
    }

    /// Why a lane of this process is refused.
    fn refused(&self, lane: Partition) -> Option<String> {
        match self.coordinator.as_ref()?.lanes().remove(&LaneId(lane))? {
            LaneStatus::Refused(why) => Some(why),
            LaneStatus::Active | LaneStatus::TakingOver => None,
        }
    }

    /// What the gateway asks of this process.
    fn process(&self, metrics: gateway::RenderMetrics) -> gateway::Process {
        let (missing, refused) = (self.clone(), self.clone());
        gateway::Process {
            metrics,
            missing: Arc::new(move || missing.missing()),
            refused: Arc::new(move |lane| refused.refused(lane)),
        }
    }
}

impl System {
    /// Starts the services that were asked for, and binds the address; see [`System::serve`].
    pub(crate) fn start<B: Broker>(parts: &Parts<'_, B>) -> Result<Self, Failure> {
        let ready = Readiness::of(parts.roles);
        let mut crew = Crew::default();
        if let Some(board) = &ready.coordinator {
            start_coordinator(&mut crew, parts, board.clone())?;
        }
        if let Some(flag) = &ready.intake {
            start_intake(&mut crew, parts.broker, Arc::clone(flag))?;
        }
        let (listener, address) = bind(parts)?;
        Ok(Self { crew, address, listener: Some(listener), ready })
    }

    /// Begins to answer HTTP: the whole API where the gateway was asked for, else health and metrics.
    /// Calls that have come in since the start have waited. After [`System::await_ready`], `/readyz`
    /// speaks for all services.
    pub(crate) fn serve<B: Broker>(&mut self, parts: &Parts<'_, B>) -> Result<(), Failure> {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        let metrics = parts.metrics.clone();
        let mut render: gateway::RenderMetrics = Arc::new(move || metrics.render());
        if parts.roles.contains(&Role::Gateway) {
            return start_gateway(&mut self.crew, parts, self.ready.process(render), listener);
        }
        if parts.roles.contains(&Role::DeadLetter) {
            render = start_dead_letters(&mut self.crew, parts.broker, render)?;
        }
        let (ready, runtime) = (self.ready.clone(), Arc::clone(parts.runtime));
        self.crew.start("operations", move |stop| {
            let served = operations::serve(listener, ready, render, stop.clone());
            runtime.block_on(served).map_err(|error| error.to_string())
        })
    }

    /// The address for a client on this machine.
    pub(crate) fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        format!("http://{address}")
    }

    /// Waits until every service does its work.
    pub(crate) fn await_ready(&self, wish: &Stop) -> Result<(), Failure> {
        let begun = Instant::now();
        while let Some(missing) = self.ready.missing() {
            if self.crew.has_lost_one() || wish.wait(Duration::from_millis(10)) {
                return Ok(());
            }
            if begun.elapsed() > READY_WITHIN {
                return Err(Failure::failed(format!(
                    "not ready after {} s: {missing}",
                    READY_WITHIN.as_secs()
                ))
                .next("PAVANE_LOG=debug with the same command"));
            }
        }
        Ok(())
    }
}

fn start_coordinator<B: Broker>(
    crew: &mut Crew,
    parts: &Parts<'_, B>,
    board: Board,
) -> Result<(), Failure> {
    let host = Host {
        service: Arc::new(Coordinator),
        broker: Arc::clone(parts.broker),
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance),
        threads: Arc::new(SystemThreads),
        limits: Limits { spill: parts.spill.clone(), ..Limits::default() },
        board,
    };
    crew.start("coordinator", move |stop| host.run(stop).map_err(|error| error.to_string()))
}

fn start_intake<B: Broker>(
    crew: &mut Crew,
    broker: &Arc<B>,
    ready: Arc<AtomicBool>,
) -> Result<(), Failure> {
    let broker = Arc::clone(broker);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    crew.start("intake", move |stop| {
        intake::run(&broker, &clock, stop, || ready.store(true, Ordering::Relaxed))
            .map_err(|error| error.to_string())
    })
}

/// Follows the dead letters and shows at `/metrics` how many there are of each class. With a gateway in
/// the same process this is the gateway's, which lists them too.
fn start_dead_letters<B: Broker>(
    crew: &mut Crew,
    broker: &Arc<B>,
    render: gateway::RenderMetrics,
) -> Result<gateway::RenderMetrics, Failure> {
    let index = Arc::new(Index::new(LETTERS_MAX));
    let (broker, filled) = (Arc::clone(broker), Arc::clone(&index));
    crew.start("dead-letter", move |stop| {
        deadletter::run(&*broker, &SystemClock, &filled, stop);
        Ok(())
    })?;
    Ok(Arc::new(move || {
        for class in events::Class::ALL.map(events::Class::as_str) {
            let filter =
                Filter { class: Some(class.to_owned()), limit: LETTERS_MAX, ..Filter::default() };
            let count = index.list(&filter).map_or(0, |page| page.items.len());
            let count = u32::try_from(count).map_or(f64::MAX, f64::from);
            metrics::gauge!("pavane_dead_letters_listed", "class" => class).set(count);
        }
        render()
    }))
}

/// Binds before anything is served, so that an address that is taken is known at once.
fn bind<B>(parts: &Parts<'_, B>) -> Result<(TcpListener, SocketAddr), Failure> {
    let wanted = parts.listen;
    let unbound = |error: std::io::Error| {
        Failure::from_error(&format!("{wanted} can not be listened on"), &error)
            .next("--listen 127.0.0.1:0, which takes a free port")
    };
    let listener = parts.runtime.block_on(TcpListener::bind(wanted)).map_err(unbound)?;
    let address = listener.local_addr().map_err(unbound)?;
    Ok((listener, address))
}

fn start_gateway<B: Broker>(
    crew: &mut Crew,
    parts: &Parts<'_, B>,
    process: gateway::Process,
    listener: TcpListener,
) -> Result<(), Failure> {
    let settings =
        gateway::Settings { serves_schemas: parts.serves_schemas, ..gateway::Settings::default() };
    let (broker, runtime) = (Arc::clone(parts.broker), Arc::clone(parts.runtime));
    let clock = Arc::new(SystemClock);
    crew.start("gateway", move |stop| {
        let served = gateway::serve(broker, clock, settings, process, listener, stop.clone());
        runtime.block_on(served).map_err(|error| chain(&error))
    })
}
