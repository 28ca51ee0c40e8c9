//! The services of one process, wired to a broker. One function for every broker: they differ in how
//! they are opened, and in nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coordinator::Coordinator;
use stream::{Board, Broker, Clock, Host, LaneStatus, Limits, Stop, SystemChance, SystemClock};
use telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::cli::Role;
use crate::crew::Crew;
use crate::failure::{Failure, chain};

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
}

/// Services that run. Dropped, they are stopped in order.
pub(crate) struct System {
    pub(crate) crew: Crew,
    /// Where HTTP is served.
    pub(crate) address: SocketAddr,
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
            for (lane, status) in lanes {
                match status {
                    LaneStatus::Active => {}
                    LaneStatus::TakingOver => {
                        return Some(format!("lane {} is being taken over", lane.0));
                    }
                    LaneStatus::Refused(why) => {
                        return Some(format!("lane {} is refused: {why}", lane.0));
                    }
                }
            }
        }
        match &self.intake {
            Some(ready) if !ready.load(Ordering::Relaxed) => {
                Some("intake has not read all definitions yet".to_owned())
            }
            Some(_) | None => None,
        }
    }
}

impl System {
    /// Starts the services that were asked for.
    pub(crate) fn start<B: Broker>(parts: &Parts<'_, B>) -> Result<Self, Failure> {
        let ready = Readiness::of(parts.roles);
        let mut crew = Crew::default();
        if let Some(board) = &ready.coordinator {
            start_coordinator(&mut crew, parts.broker, board.clone())?;
        }
        if let Some(flag) = &ready.intake {
            start_intake(&mut crew, parts.broker, Arc::clone(flag))?;
        }
        let mut address = parts.listen;
        if parts.roles.contains(&Role::Gateway) {
            address = start_gateway(&mut crew, parts)?;
        }
        Ok(Self { crew, address, ready })
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
    broker: &Arc<B>,
    board: Board,
) -> Result<(), Failure> {
    let host = Host {
        service: Arc::new(Coordinator),
        broker: Arc::clone(broker),
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance),
        limits: Limits::default(),
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

/// Binds at once, so that an address that is taken is known before anything else is done with it, and
/// gives the address.
fn start_gateway<B: Broker>(crew: &mut Crew, parts: &Parts<'_, B>) -> Result<SocketAddr, Failure> {
    let wanted = parts.listen;
    let unbound = |error: std::io::Error| {
        Failure::from_error(&format!("{wanted} can not be listened on"), &error)
            .next("--listen 127.0.0.1:0, which takes a free port")
    };
    let listener = parts.runtime.block_on(TcpListener::bind(wanted)).map_err(unbound)?;
    let address = listener.local_addr().map_err(unbound)?;
    let settings = gateway::Settings { serves_schemas: parts.serves_schemas, ..Default::default() };
    let metrics = parts.metrics.clone();
    let (broker, runtime) = (Arc::clone(parts.broker), Arc::clone(parts.runtime));
    crew.start("gateway", move |stop| {
        let render: gateway::RenderMetrics = Arc::new(move || metrics.render());
        let clock = Arc::new(SystemClock);
        let served = gateway::serve(broker, clock, settings, render, listener, stop.clone());
        runtime.block_on(served).map_err(|error| chain(&error))
    })?;
    Ok(address)
}
