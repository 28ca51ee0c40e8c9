//! Participants that outlive whatever happens to what they stand on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use client::{Command, Reply};
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

/// Answers commands.
pub type Answers = Arc<dyn Fn(&Command) -> Vec<Reply> + Send + Sync>;

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
    let topics: Vec<Topic> = agents.iter().map(|agent| broker.topics().tasks(agent)).collect();
    let (stop, group) = (Stop::default(), group.to_owned());
    let until = stop.clone();
    let thread = spawn(move || {
        while !until.requested() {
            let share = Share::Records { topics: topics.clone(), starts: Vec::new() };
            let served =
                broker.join(&group, share).and_then(|feed| serve(feed, &until, pause, &answers));
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
    answers: &Answers,
) -> Result<(), LogError> {
    let mut tickets = 0;
    while !until.requested() {
        let Fed::Records(records) = feed.next(Duration::from_millis(50))? else { continue };
        let mut open: BTreeMap<Ticket, Outgoing> = BTreeMap::new();
        for record in &records {
            for answer in answered(record, answers) {
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
fn answered(record: &Record, answers: &Answers) -> Vec<Outgoing> {
    let command = Command::from_record(record).expect("a command");
    let now = SystemClock.now();
    answers(&command).iter().map(|reply| reply.to_record("/tests", now)).collect()
}

fn done(records: &[Record]) -> Vec<(Topic, Partition, Offset)> {
    let mut done = BTreeMap::new();
    for record in records {
        done.insert((record.place.topic.clone(), record.place.partition), record.place.offset + 1);
    }
    done.into_iter().map(|((topic, partition), next)| (topic, partition, next)).collect()
}
