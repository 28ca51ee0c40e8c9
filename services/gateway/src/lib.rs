//! The HTTP API and its view of the lifecycle events.
//!
//! The gateway has no private door: it reads `events` and `definitions`, writes to `inbox`, and keeps
//! nothing that it could not read again. Several may run side by side.

mod agents;
mod api;
mod applies;
mod deploy;
mod fold;
mod history;
mod letters;
mod operate;
mod operations;
mod problem;
mod publish;
mod query;
mod reader;
mod registry;
mod routes;
mod sagas;
mod sse;
mod standing;
mod start;
mod topics;
mod view;
mod workflows;

use std::future::IntoFuture;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use events::Partition;
use stream::{Broker, Clock, Stop};
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use api::Settings;

use crate::api::Api;

/// CloudEvents' source of what the gateway writes.
pub(crate) const SOURCE: &str = "/pavane/gateway";
/// How long requests under way are waited for at the end.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Gives the metrics of this process as Prometheus reads them.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What the gateway asks of the process that it runs in. Its answers must not block.
#[derive(Clone)]
pub struct Process {
    /// Its metrics.
    pub metrics: RenderMetrics,
    /// What of its other services does not do its work, in words; `None`: nothing.
    pub missing: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// Why it has refused a lane; `None`: it has not, or does not hold it.
    pub refused: Arc<dyn Fn(Partition) -> Option<String> + Send + Sync>,
}

impl Process {
    /// One without other services.
    #[must_use]
    pub fn alone(metrics: RenderMetrics) -> Self {
        Self { metrics, missing: Arc::new(|| None), refused: Arc::new(|_| None) }
    }
}

/// Why the gateway has ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The listener failed.
    #[error("the listener failed; see whether its address is still there")]
    Listener(#[source] std::io::Error),
    /// The system gives no threads.
    #[error("no thread can be started; raise the limit of this process")]
    Thread(#[source] std::io::Error),
    /// A thread of ours has panicked.
    #[error("the thread `{0}` has panicked; see the log")]
    Panicked(String),
}

/// Serves HTTP on `listener` until asked to stop, in the runtime of the caller; the broker is only ever
/// called from threads of its own and from tokio's for blocking work. Answers from the first moment:
/// `/readyz` says when the view has caught up and nothing of the process is missing.
///
/// # Errors
/// [`GatewayError`].
pub async fn serve<B: Broker>(
    broker: Arc<B>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    process: Process,
    listener: TcpListener,
    stop: Stop,
) -> Result<(), GatewayError> {
    let (reading, readings) = watch::channel(reader::Reading::CatchingUp);
    let (ending, over) = watch::channel(false);
    // Ours ends with us, whatever happens to the other.
    let inner = Stop::default();
    let api = Arc::new(Api::new(broker, clock, settings, process, readings, over, inner.clone()));
    let mut threads = Vec::new();
    let started = start_threads(&api, reading, &inner, &mut threads);
    let served = match started {
        Ok(()) => serve_until(&api, listener, &stop, ending).await,
        Err(error) => Err(error),
    };
    inner.request();
    let joined = tokio::task::spawn_blocking(move || {
        api.agents.join();
        join(threads)
    });
    let joined = joined.await.unwrap_or_else(|_| Err(GatewayError::Panicked("join".to_owned())));
    served.and(joined)
}

type Named = (String, JoinHandle<()>);

fn start_threads<B: Broker>(
    api: &Arc<Api<B>>,
    reading: watch::Sender<reader::Reading>,
    stop: &Stop,
    threads: &mut Vec<Named>,
) -> Result<(), GatewayError> {
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        thread.map(|thread| (name.to_owned(), thread)).map_err(GatewayError::Thread)
    };
    let (shared, heeded) = (Arc::clone(api), stop.clone());
    threads.push(spawn(
        "gateway-view",
        Box::new(move || {
            reader::run(&*shared.broker, &shared.view, &shared.sagas, &reading, &heeded);
        }),
    )?);
    let (shared, heeded) = (Arc::clone(api), stop.clone());
    threads.push(spawn(
        "gateway-letters",
        Box::new(move || {
            deadletter::run(&*shared.broker, &*shared.clock, &shared.letters, &heeded);
        }),
    )?);
    Ok(())
}

fn join(threads: Vec<Named>) -> Result<(), GatewayError> {
    let mut result = Ok(());
    for (name, thread) in threads {
        if thread.join().is_err() {
            result = Err(GatewayError::Panicked(name));
        }
    }
    result
}

async fn serve_until<B: Broker>(
    api: &Arc<Api<B>>,
    listener: TcpListener,
    stop: &Stop,
    ending: watch::Sender<bool>,
) -> Result<(), GatewayError> {
    let mut over = api.over.clone();
    let heard = async move {
        // An error: the sender is gone, so it is over too.
        let _ended = over.wait_for(|over| *over).await;
    };
    let server = axum::serve(listener, routes::router(Arc::clone(api)))
        .with_graceful_shutdown(heard)
        .into_future();
    tokio::pin!(server);
    tokio::select! {
        served = &mut server => return served.map_err(GatewayError::Listener),
        () = stop.heard() => {}
    }
    ending.send_replace(true);
    match tokio::time::timeout(LAST_WAIT, server).await {
        Ok(served) => served.map_err(GatewayError::Listener),
        Err(_) => {
            tracing::warn!("requests under way were cut off");
            Ok(())
        }
    }
}
