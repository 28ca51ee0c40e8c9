//! All five services in one process, each of which can be stopped and started by itself.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use client::{Agent, Http, LedgerError, PollError, ServeError, Serving, serve, serve_http};
use serde::{Deserialize, Serialize};
use stream::{Broker, Stop, SystemClock};
use tokio::runtime::Handle;
use tracing::warn;

use crate::books::Books;
use crate::mood::{Mood, Moody};
use crate::{fraud, fulfillment, inventory, notification, payment};

/// One of the five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Stock levels and reservations.
    Inventory,
    /// Balances and captures.
    Payment,
    /// Screenings.
    Fraud,
    /// Shipments.
    Fulfillment,
    /// Notices.
    Notification,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Inventory, Self::Payment, Self::Fraud, Self::Fulfillment, Self::Notification];

    /// The agent's name in the saga, and the folder of its books.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Payment => "payment",
            Self::Fraud => "fraud",
            Self::Fulfillment => "fulfillment",
            Self::Notification => "notification",
        }
    }

    /// The service over its books.
    #[must_use]
    pub fn over(self, books: Books) -> Arc<dyn Agent> {
        match self {
            Self::Inventory => Arc::new(inventory::participant(books)),
            Self::Payment => Arc::new(payment::participant(books)),
            Self::Fraud => Arc::new(fraud::participant(books)),
            Self::Fulfillment => Arc::new(fulfillment::participant(books)),
            Self::Notification => Arc::new(notification::participant(books)),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// Why a service has stopped serving.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// Over a broker.
    #[error(transparent)]
    Broker(#[from] ServeError),
    /// Over HTTP.
    #[error(transparent)]
    Http(#[from] PollError),
}

/// The way by which commands come in and answers go out.
pub trait Door: Send + Sync + 'static {
    /// Serves `agent` until asked to stop. Blocks.
    ///
    /// # Errors
    /// Why it has ended before; nothing is lost, and it may be called again.
    fn serve(&self, agent: Arc<dyn Agent>, stop: &Stop) -> Result<(), DoorError>;
}

/// Straight on a broker.
pub struct OverBroker<B> {
    /// The broker.
    pub broker: Arc<B>,
    /// How commands are served.
    pub serving: Serving,
}

impl<B: Broker> Door for OverBroker<B> {
    fn serve(&self, agent: Arc<dyn Agent>, stop: &Stop) -> Result<(), DoorError> {
        Ok(serve(&*self.broker, &*agent, &SystemClock, &self.serving, stop)?)
    }
}

/// Through the gateway.
pub struct OverHttp {
    /// The gateway.
    pub http: Http,
    /// The runtime that carries the calls; it must have threads of its own.
    pub runtime: Handle,
    /// How commands are served.
    pub serving: Serving,
}

impl Door for OverHttp {
    fn serve(&self, agent: Arc<dyn Agent>, stop: &Stop) -> Result<(), DoorError> {
        Ok(self.runtime.block_on(serve_http(&self.http, agent, &self.serving, stop))?)
    }
}

/// What all books add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Stock.
    pub inventory: inventory::Totals,
    /// Money.
    pub payment: payment::Totals,
    /// Screenings.
    pub fraud: fraud::Totals,
    /// Shipments.
    pub fulfillment: fulfillment::Totals,
    /// Notices.
    pub notification: notification::Totals,
}

/// The five services, hosted. Dropped, it stops them all and waits until they have ended.
pub struct Shop {
    door: Arc<dyn Door>,
    hosted: [Hosted; 5],
}

struct Hosted {
    books: Books,
    agent: Arc<dyn Agent>,
    mood: Arc<Mutex<Mood>>,
    running: Option<(Stop, JoinHandle<()>)>,
}

/// How long a service waits before it serves anew after its door has failed.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

impl Shop {
    /// Opens the books, each in its folder below `folder`. Nothing is served yet.
    ///
    /// # Errors
    /// What the store says.
    pub fn open(folder: &Path, door: Arc<dyn Door>) -> Result<Self, LedgerError> {
        let open = |service: Service| {
            let books = Books::open(&folder.join(service.name()))?;
            let agent = service.over(books.clone());
            Ok(Hosted { books, agent, mood: Arc::default(), running: None })
        };
        let [a, b, c, d, e] = Service::ALL;
        Ok(Self { door, hosted: [open(a)?, open(b)?, open(c)?, open(d)?, open(e)?] })
    }

    /// Starts those that are not running.
    pub fn start_all(&mut self) {
        for service in Service::ALL {
            self.start(service);
        }
    }

    /// Starts one, if it is not running.
    pub fn start(&mut self, service: Service) {
        let door = Arc::clone(&self.door);
        let hosted = self.hosted_mut(service);
        if hosted.running.is_some() {
            return;
        }
        let stop = Stop::default();
        let agent: Arc<dyn Agent> =
            Arc::new(Moody::new(Arc::clone(&hosted.agent), Arc::clone(&hosted.mood), stop.clone()));
        let heeded = stop.clone();
        let thread = thread::spawn(move || host(&*door, &agent, &heeded));
        hosted.running = Some((stop, thread));
    }

    /// Stops one, as if it were down; what is sent to it waits. Returns when it has ended.
    pub fn stop(&mut self, service: Service) {
        self.hosted_mut(service).end();
    }

    /// Stops all. Returns when they have ended.
    pub fn stop_all(&mut self) {
        // Asked all together, so that they end side by side.
        for hosted in &self.hosted {
            if let Some((stop, _)) = &hosted.running {
                stop.request();
            }
        }
        for hosted in &mut self.hosted {
            hosted.end();
        }
    }

    /// Whether it has been started and not stopped.
    #[must_use]
    pub fn is_running(&self, service: Service) -> bool {
        self.hosted(service).running.is_some()
    }

    /// Puts a service into a mood, from its next command on.
    pub fn set_mood(&self, service: Service, mood: Mood) {
        *self.hosted(service).mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Adds all books up. While orders are under way, the five are not of one moment.
    ///
    /// # Errors
    /// What a store says.
    pub fn totals(&self) -> Result<Totals, LedgerError> {
        Ok(Totals {
            inventory: inventory::totals(self.books(Service::Inventory))?,
            payment: payment::totals(self.books(Service::Payment))?,
            fraud: fraud::totals(self.books(Service::Fraud))?,
            fulfillment: fulfillment::totals(self.books(Service::Fulfillment))?,
            notification: notification::totals(self.books(Service::Notification))?,
        })
    }

    fn books(&self, service: Service) -> &Books {
        &self.hosted(service).books
    }

    fn hosted(&self, service: Service) -> &Hosted {
        let [inventory, payment, fraud, fulfillment, notification] = &self.hosted;
        match service {
            Service::Inventory => inventory,
            Service::Payment => payment,
            Service::Fraud => fraud,
            Service::Fulfillment => fulfillment,
            Service::Notification => notification,
        }
    }

    fn hosted_mut(&mut self, service: Service) -> &mut Hosted {
        let [inventory, payment, fraud, fulfillment, notification] = &mut self.hosted;
        match service {
            Service::Inventory => inventory,
            Service::Payment => payment,
            Service::Fraud => fraud,
            Service::Fulfillment => fulfillment,
            Service::Notification => notification,
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop_all();
    }
}

impl Hosted {
    fn end(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            stop.request();
            if thread.join().is_err() {
                warn!(agent = %self.agent.name(), "the service's thread panicked");
            }
        }
    }
}

fn host(door: &dyn Door, agent: &Arc<dyn Agent>, stop: &Stop) {
    while let Err(error) = door.serve(Arc::clone(agent), stop) {
        warn!(agent = %agent.name(), error = &error as &dyn std::error::Error, "serving again soon");
        if stop.wait(AFTER_FAILURE) {
            return;
        }
    }
}
