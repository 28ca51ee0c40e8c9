//! What every call shares.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use deadletter::Index;
use events::{Destination, Outgoing, Payload, Place, nesting};
use saga::{INBOX_BYTES_MAX, JSON_DEPTH_MAX};
use stream::{Broker, Clock, Stop};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::Process;
use crate::agents::Agents;
use crate::problem::Problem;
use crate::reader::Reading;
use crate::sagas::Sagas;
use crate::view::{Bounds, View};

/// Calls into the broker at once; more wait.
const CALLS_MAX: usize = 128;

/// Single records on their way to the broker at once; more wait.
const PUTS_MAX: usize = 1_024;

/// The gateway's settings. The defaults hold in production.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long the coordinator has to answer a start, and the broker any call. Default 30 s.
    pub answer_within: Duration,
    /// How long a command is leased where the poll does not say. Default 30 s.
    pub lease: Duration,
    /// An agent that nobody has polled for so long is left to other members of its group. Default 120 s.
    pub agent_idle: Duration,
    /// Ended workflows in view; older ones are let go of. Default 100,000.
    pub ended_max: usize,
    /// Bytes of the histories of ended workflows in view. Default 512 MiB.
    pub ended_bytes_max: usize,
    /// Dead letters that are listed; older ones lie in their topics alone. Default 100,000.
    pub letters_max: usize,
    /// Whether `/subjects` and `/schemas` serve the product's schemas; not where there is a schema
    /// registry, whose ids are others. Default true.
    pub serves_schemas: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            answer_within: Duration::from_secs(30),
            lease: Duration::from_secs(30),
            agent_idle: Duration::from_secs(120),
            ended_max: 100_000,
            ended_bytes_max: 512 << 20,
            letters_max: 100_000,
            serves_schemas: true,
        }
    }
}

/// What every call shares.
pub(crate) struct Api<B: Broker> {
    pub(crate) broker: Arc<B>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) view: View,
    pub(crate) sagas: Sagas,
    pub(crate) letters: Index,
    pub(crate) agents: Agents,
    pub(crate) deploying: Mutex<()>,
    pub(crate) process: Process,
    pub(crate) reading: watch::Receiver<Reading>,
    /// True when the gateway ends.
    pub(crate) over: watch::Receiver<bool>,
    calls: Arc<Semaphore>,
    puts: Arc<Semaphore>,
}

impl<B: Broker> Api<B> {
    pub(crate) fn new(
        broker: Arc<B>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        process: Process,
        reading: watch::Receiver<Reading>,
        over: watch::Receiver<bool>,
        stop: Stop,
    ) -> Self {
        let bounds =
            Bounds { ended_max: settings.ended_max, ended_bytes_max: settings.ended_bytes_max };
        Self {
            broker,
            clock,
            view: View::new(bounds),
            sagas: Sagas::default(),
            letters: Index::new(settings.letters_max),
            agents: Agents::new(settings.agent_idle, stop),
            deploying: Mutex::default(),
            process,
            reading,
            over,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
            puts: Arc::new(Semaphore::new(PUTS_MAX)),
            settings,
        }
    }

    /// Is done when the gateway ends.
    pub(crate) async fn ending(&self) {
        let mut over = self.over.clone();
        // An error: the sender is gone, so it is over too.
        let _ended = over.wait_for(|over| *over).await;
    }

    /// Runs what blocks on one of tokio's threads for that; gives up waiting after `answer_within`.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let calls = Arc::clone(&self.calls);
        let call = async move {
            // The permit goes with the work, which goes on when nobody waits any more.
            let permit = calls.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let _held = permit;
                work()
            })
            .await
        };
        match tokio::time::timeout(self.settings.answer_within, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                let what = "the call has crashed; see the log of the gateway";
                Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "crashed", what))
            }
            Err(_) => Err(self.silent()),
        }
    }

    fn silent(&self) -> Problem {
        let within = self.settings.answer_within;
        Problem::unavailable("broker", format!("the broker did not answer within {within:?}"))
    }

    /// Stores a record and says where. What the coordinator would refuse for its size is refused here,
    /// where the caller still hears of it.
    pub(crate) async fn put(&self, record: Outgoing) -> Result<Place, Problem> {
        if let (Destination::Inbox, Payload::Bytes(value)) = (&record.to, &record.value) {
            is_taken(value)?;
        }
        let stored = async {
            // The permit goes with the record, which may be stored when nobody waits any more.
            let permit = Arc::clone(&self.puts).acquire_owned().await;
            let (say, hear) = oneshot::channel();
            let then = move |stored| {
                let _held = permit;
                let _gone = say.send(stored);
            };
            self.broker.put_then(record, Box::new(then));
            hear.await
        };
        match tokio::time::timeout(self.settings.answer_within, stored).await {
            Ok(Ok(stored)) => stored.map_err(Problem::from),
            Ok(Err(_)) => Err(Problem::unavailable("broker", "the broker has been closed")),
            Err(_) => Err(self.silent()),
        }
    }

    /// Refuses what only an up-to-date view can answer.
    pub(crate) fn is_current(&self) -> Result<(), Problem> {
        match &*self.reading.borrow() {
            Reading::Following => Ok(()),
            Reading::CatchingUp => Err(Problem::unavailable(
                "catching_up",
                "the gateway is still reading what has happened; /readyz says when it is done",
            )),
            Reading::Stuck(why) => Err(Problem::unavailable(
                "stuck",
                format!("the gateway can not read what happens: {why}"),
            )),
        }
    }
}

/// Whether the coordinator would take this value.
fn is_taken(value: &[u8]) -> Result<(), Problem> {
    let bytes = value.len();
    if bytes > INBOX_BYTES_MAX {
        let what = format!(
            "the value has {bytes} bytes, {INBOX_BYTES_MAX} at most: store it elsewhere and send a reference"
        );
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", what));
    }
    if nesting(value) > JSON_DEPTH_MAX {
        let what = format!("the value is nested more than {JSON_DEPTH_MAX} deep");
        return Err(Problem::bad("too_deep", what));
    }
    Ok(())
}
