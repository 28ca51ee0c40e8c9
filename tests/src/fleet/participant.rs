//! Participants that outlive whatever happens to what they stand on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use client::{Command, Http, Reply};
use events::{AgentName, Offset, Outgoing, Partition, Record, Topic};
use stream::{Broker, Clock as _, Fed, Feed, LogError, Settled, Share, Stop, SystemClock, Ticket};

/// At work until it is dropped.
#[derive(Debug)]
pub struct Serving {
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl Serving {
    pub(crate) fn of(stop: Stop, threads: Vec<JoinHandle<()>>) -> Self {
        Self { stop, threads }
    }
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

/// Answers an agent's command.
pub type Answers = Arc<dyn Fn(&str, &Command) -> Vec<Reply> + Send + Sync>;

/// Serves agents through a gateway that may be gone for a while.
///
/// # Panics
/// Where the system gives no threads.
#[must_use]
pub fn serve_over_http(url: &str, agents: &[AgentName], answers: &Answers) -> Serving {
    let stop = Stop::default();
    let serve = |agent: &AgentName| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (http, agent) = (Http::new(url).unwrap(), agent.to_string());
        let (answers, until) = (Arc::clone(answers), stop.clone());
        spawn(move || {
            while !until.requested() {
                let asked = http.commands(&agent, Duration::from_millis(500), 100);
                let Ok(asked) = runtime.block_on(asked) else {
                    let _stopping = until.wait(Duration::from_millis(50));
                    continue;
                };
                for handed in asked.items {
                    let at = handed.timestamp.parse().unwrap();
                    let command = Command::from_parts(&handed.headers, handed.value, at).unwrap();
                    for reply in answers(&agent, &command) {
                        while !until.requested()
                            && runtime.block_on(http.answer(&agent, &reply)).is_err()
                        {
                            let _stopping = until.wait(Duration::from_millis(50));
                        }
                    }
                }
            }
        })
    };
    let threads = agents.iter().map(serve).collect();
    Serving::of(stop, threads)
}

/// Serves agents straight on a broker: answers, waits until the answers are stored, and only then commits.
/// After each batch of commands it waits for `pause`. What fails is done again, in a group joined anew.
#[must_use]
pub fn serve_over_broker<B: Broker>(
    broker: Arc<B>,
    group: &str,
    agents: &[AgentName],
    pause: Duration,
    answers: Answers,
) -> Serving {
    let by_topic: BTreeMap<Topic, String> =
        agents.iter().map(|agent| (broker.topics().tasks(agent), agent.to_string())).collect();
    let (stop, group) = (Stop::default(), group.to_owned());
    let until = stop.clone();
    let thread = spawn(move || {
        while !until.requested() {
            let topics = by_topic.keys().cloned().collect();
            let joined = broker.join(&group, Share::Records { topics, starts: Vec::new() });
            let answered = |record: &Record| answered(record, &by_topic, &answers);
            let served = joined.and_then(|feed| serve(feed, &until, pause, answered));
            if let Err(error) = served {
                eprintln!("participants join again: {error}");
                let _stopping = until.wait(Duration::from_millis(500));
            }
        }
    });
    Serving::of(stop, vec![thread])
}

fn serve(
    mut feed: impl Feed,
    until: &Stop,
    pause: Duration,
    answered: impl Fn(&Record) -> Vec<Outgoing>,
) -> Result<(), LogError> {
    let mut tickets = 0;
    while !until.requested() {
        let Fed::Records(records) = feed.next(Duration::from_millis(50))? else { continue };
        let mut open: BTreeMap<Ticket, Outgoing> = BTreeMap::new();
        for record in &records {
            for answer in answered(record) {
                tickets += 1;
                open.insert(Ticket(tickets), answer.clone());
                feed.send(Ticket(tickets), vec![answer])?;
            }
        }
        while !open.is_empty() {
            if until.requested() {
                return Ok(());
            }
            for settled in feed.settled(Duration::from_millis(100))? {
                match settled {
                    Settled::Sent(ticket) => drop(open.remove(&ticket)),
                    Settled::Failed { ticket, .. } => {
                        if let Some(again) = open.get(&ticket) {
                            feed.send(ticket, vec![again.clone()])?;
                        }
                    }
                }
            }
        }
        feed.commit(&done(&records))?;
        let _stopping = until.wait(pause);
    }
    Ok(())
}

/// What is sent in answer. Our own topics hold commands only.
fn answered(
    record: &Record,
    by_topic: &BTreeMap<Topic, String>,
    answers: &Answers,
) -> Vec<Outgoing> {
    let command = Command::from_record(record).expect("a command");
    let now = SystemClock.now();
    answers(&by_topic[&record.place.topic], &command)
        .iter()
        .map(|reply| reply.to_record("/tests", now))
        .collect()
}

fn done(records: &[Record]) -> Vec<(Topic, Partition, Offset)> {
    let mut done = BTreeMap::new();
    for record in records {
        done.insert((record.place.topic.clone(), record.place.partition), record.place.offset + 1);
    }
    done.into_iter().map(|((topic, partition), next)| (topic, partition, next)).collect()
}
