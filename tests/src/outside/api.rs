//! The gateway's API for code that is not asynchronous, and participants behind either door.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use client::{Command, Http, Publish, Reply, Workflow};
use events::AgentName;
use serde_json::Value;
use stream::{
    Broker, Clock as _, Fed, Feed as _, Outlet as _, Purpose, Settled, Share, Stop, Ticket,
};
use tokio::runtime::Runtime;

use crate::outside::books::Books;
use crate::outside::event::Event;

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How long one call waits.
const CALL: Duration = Duration::from_secs(1);

/// The gateway.
pub struct Api {
    http: Http,
    runtime: Runtime,
}

impl Api {
    /// The one at that address.
    #[must_use]
    pub fn at(url: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Self { http: Http::new(url).unwrap(), runtime: runtime.unwrap() }
    }

    /// Deploys a saga file.
    pub fn deploy(&self, yaml: &str) {
        if let Err(error) = self.runtime.block_on(self.http.deploy(yaml.to_owned())) {
            panic!("{error:?}\n{yaml}");
        }
    }

    /// Starts a workflow; gives its id.
    pub fn start(&self, saga: &str, inputs: &Value) -> String {
        self.runtime.block_on(self.http.start(saga, None, inputs)).unwrap().id
    }

    /// Publishes an event.
    pub fn publish(&self, topic: &str, event: &Publish) {
        self.runtime.block_on(self.http.publish(topic, event)).unwrap();
    }

    /// The workflow at its end; `Err` where it has none in time.
    ///
    /// # Errors
    /// The workflow as it stands.
    pub fn ended(&self, id: &str) -> Result<Workflow, Box<Workflow>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.runtime.block_on(self.http.wait_for(id, PATIENCE / 8)).unwrap();
            if found.status.is_at_rest() {
                return Ok(found);
            }
            if Instant::now() > deadline || found.status == client::WorkflowStatus::Paused {
                return Err(Box::new(found));
            }
        }
    }

    /// Answers: those of one workflow in their order.
    fn answer(&self, agent: &str, replies: BTreeMap<String, Vec<Reply>>) {
        let send = |replies: Vec<Reply>| {
            let (http, agent) = (self.http.clone(), agent.to_owned());
            self.runtime.spawn(async move {
                for reply in replies {
                    http.answer(&agent, &reply).await.unwrap();
                }
            })
        };
        for sent in replies.into_values().map(send).collect::<Vec<_>>() {
            self.runtime.block_on(sent).unwrap();
        }
    }

    /// A workflow's history, as the gateway shows it.
    #[must_use]
    pub fn history(&self, id: &str) -> Vec<Event> {
        let page = self.runtime.block_on(self.http.history(id)).unwrap();
        page.items.iter().map(|event| Event::shown(id, event)).collect()
    }
}

/// Participants at work; they stop when this is dropped.
pub struct Serving {
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.request();
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a participant has panicked");
        }
    }
}

/// Serves agents over HTTP.
pub fn serve_over_http(url: &str, agents: &[AgentName], books: &Arc<Books>) -> Serving {
    let stop = Stop::default();
    let serve = |agent: &AgentName| {
        let (api, agent) = (Api::at(url), agent.to_string());
        let (books, stop) = (Arc::clone(books), stop.clone());
        spawn(move || {
            while !stop.requested() {
                let asked = api.runtime.block_on(api.http.commands(&agent, CALL, 100)).unwrap();
                let mut replies: BTreeMap<String, Vec<Reply>> = BTreeMap::new();
                for handed in asked.items {
                    let at = handed.timestamp.parse().unwrap();
                    let command = Command::from_parts(&handed.headers, handed.value, at).unwrap();
                    let of = replies.entry(command.subject.workflow.to_string()).or_default();
                    of.extend(books.answer(&command));
                }
                api.answer(&agent, replies);
            }
        })
    };
    Serving { threads: agents.iter().map(serve).collect(), stop }
}

/// Serves agents straight on a broker, all of them in one group.
pub fn serve_over_broker<B: Broker>(
    broker: Arc<B>,
    group: &str,
    agents: &[AgentName],
    books: &Arc<Books>,
) -> Serving {
    let topics: Vec<_> = agents.iter().map(|agent| broker.topics().tasks(agent)).collect();
    for topic in &topics {
        broker.create(topic, Purpose::Tasks).unwrap();
    }
    let (stop, group, books) = (Stop::default(), group.to_owned(), Arc::clone(books));
    let until = stop.clone();
    let thread = spawn(move || {
        let share = Share::Records { topics, starts: Vec::new() };
        let mut feed = broker.join(&group, share).unwrap();
        let mut sent = BTreeMap::new();
        let mut tickets = 0;
        while !until.requested() {
            if let Fed::Records(records) = feed.next(Duration::from_millis(50)).unwrap() {
                for record in &records {
                    let command = Command::from_record(record).unwrap();
                    let now = stream::SystemClock.now();
                    let replies = books.answer(&command).into_iter();
                    let answers: Vec<_> =
                        replies.map(|reply| reply.to_record("/tests", now)).collect();
                    for answer in answers {
                        tickets += 1;
                        sent.insert(Ticket(tickets), answer.clone());
                        feed.send(Ticket(tickets), vec![answer]).unwrap();
                    }
                }
            }
            for settled in feed.settled(Duration::ZERO).unwrap() {
                match settled {
                    Settled::Sent(ticket) => _ = sent.remove(&ticket),
                    Settled::Failed { error, .. } => panic!("an answer is not sent: {error}"),
                }
            }
        }
    });
    Serving { stop, threads: vec![thread] }
}
