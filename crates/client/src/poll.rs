//! The door for participants without a Kafka client, and for every participant on the embedded log:
//! commands and answers through the gateway.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::{Class, Refusal, Subject, Timestamp, header, partition_of};
use stream::Stop;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tracing::{info, warn};

use crate::answer::Reply;
use crate::command::{Command, Unreadable};
use crate::door::Serving;
use crate::http::{Http, HttpError};
use crate::ledger::LedgerError;
use crate::model::HandedOut;
use crate::participant::{Agent, refuse_unreadable};

/// Why serving over HTTP has ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The gateway refuses for good: another API, or another address.
    #[error("agent `{agent}` can not go on")]
    Refused {
        /// Who was served.
        agent: String,
        /// What it said.
        #[source]
        source: HttpError,
    },
    /// The participant's store failed.
    #[error("agent `{agent}` can not go on")]
    Ledger {
        /// Who was served.
        agent: String,
        /// What it said.
        #[source]
        source: LedgerError,
    },
}

/// How long the gateway may hold a request open for the first command.
const LONG_POLL: Duration = Duration::from_secs(20);
/// Commands held at once; the gateway leases them for 30 s, and what is not answered comes again.
const HELD_MAX: usize = 100;
/// Waits between tries while the gateway is away: from, doubling, to.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long what is already leased is worked on after the wish to stop.
const WORK_OFF: Duration = Duration::from_secs(2);
/// How soon a wish to stop is heard.
const HEED: Duration = Duration::from_millis(50);

/// Serves an agent's commands over HTTP until asked to stop. The agent's functions run on tokio's
/// blocking threads, `serving.threads` at once; those of one workflow in their order. While the gateway
/// is away, answers are kept and tried again; where the process ends before, the command is leased anew
/// and answered from the ledger.
///
/// # Errors
/// [`PollError`]; nothing is lost by it, and the caller may serve anew.
pub async fn serve_http(
    http: &Http,
    agent: Arc<dyn Agent>,
    serving: &Serving,
    stop: &Stop,
) -> Result<(), PollError> {
    let desk = Arc::new(Desk {
        http: http.clone(),
        agent,
        held: Mutex::default(),
        stop: stop.clone(),
        over: Stop::default(),
    });
    info!(agent = %desk.agent.name(), url = http.url(), "serving commands over HTTP");
    let mut workers = JoinSet::new();
    let queues: Vec<Sender<Command>> = (0..serving.threads.get())
        .map(|_| {
            let (sender, receiver) = channel(HELD_MAX);
            workers.spawn(Arc::clone(&desk).work_off(receiver));
            sender
        })
        .collect();
    let mut result = desk.read(&queues).await;
    drop(queues);
    // What is leased is worked off, or it would have to wait for its lease to run out; but not for long.
    let end_of_patience = tokio::time::sleep(WORK_OFF);
    tokio::pin!(end_of_patience);
    loop {
        tokio::select! {
            ended = workers.join_next() => match ended {
                Some(ended) => result = ended.unwrap_or_else(resume).and(result),
                None => break,
            },
            () = &mut end_of_patience, if !desk.over.requested() => desk.over.request(),
        }
    }
    info!(agent = %desk.agent.name(), "serving ended");
    result
}

/// A panic out here is a broken promise of this kit: those of a participant are caught in it.
fn resume<T>(error: JoinError) -> T {
    std::panic::resume_unwind(error.into_panic())
}

struct Desk {
    http: Http,
    agent: Arc<dyn Agent>,
    /// Subjects and types of the commands that are not answered yet: one whose lease ran out
    /// meanwhile is handed out again, and need not be done twice at once.
    held: Mutex<HashSet<(String, &'static str)>>,
    stop: Stop,
    /// Nothing more is begun: a worker has failed, or there was enough time after the wish to stop.
    over: Stop,
}

impl Desk {
    fn held(&self) -> MutexGuard<'_, HashSet<(String, &'static str)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.stop.requested() || self.over.requested()
    }

    /// Returns when somebody has asked to stop, or after `wait` at the latest.
    async fn heed(&self, wait: Duration) {
        let until = tokio::time::Instant::now() + wait;
        while !self.is_over() && tokio::time::Instant::now() < until {
            tokio::time::sleep(HEED.min(wait)).await;
        }
    }

    async fn read(&self, queues: &[Sender<Command>]) -> Result<(), PollError> {
        let mut backoff = BACKOFF.0;
        while !self.is_over() {
            let free = HELD_MAX.saturating_sub(self.held().len());
            if free == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            let name = self.agent.name().as_str();
            let asked = self.http.commands(name, LONG_POLL, free);
            let answered = tokio::select! {
                answered = asked => answered,
                () = self.heed(LONG_POLL * 2) => continue,
            };
            match answered {
                Ok(page) => {
                    backoff = BACKOFF.0;
                    for item in page.items {
                        self.admit(item, queues).await?;
                    }
                }
                Err(error) => self.wait_out(error, &mut backoff).await?,
            }
        }
        Ok(())
    }

    async fn admit(&self, item: HandedOut, queues: &[Sender<Command>]) -> Result<(), PollError> {
        match parse(item) {
            Ok(command) => {
                if !self.held().insert(held_as(&command)) {
                    return Ok(());
                }
                let count = u32::try_from(queues.len()).unwrap_or(u32::MAX);
                let lane = partition_of(command.subject.workflow.as_str().as_bytes(), count);
                let queue = usize::try_from(lane).ok().and_then(|lane| queues.get(lane));
                if let Some(queue) = queue {
                    // A worker that has failed has closed its queue, and says why when it is joined.
                    let _closed = queue.send(command).await;
                }
                Ok(())
            }
            Err(Unreadable { subject: Some(subject), refusal }) => {
                warn!(subject, code = refusal.code, "command refused");
                self.deliver(&refuse_unreadable(subject, &refusal)).await
            }
            Err(Unreadable { subject: None, refusal }) => {
                // Nobody can be told but the operator: the gateway holds the bytes, and sees to it that
                // such a record becomes a dead letter.
                warn!(
                    code = refusal.code,
                    message = refusal.message,
                    "handed out what is no command"
                );
                Ok(())
            }
        }
    }

    async fn work_off(self: Arc<Self>, mut queue: Receiver<Command>) -> Result<(), PollError> {
        while let Some(command) = queue.recv().await {
            if self.over.requested() {
                return Ok(());
            }
            let done = self.work(command).await;
            if done.is_err() {
                self.over.request();
                return done;
            }
        }
        Ok(())
    }

    async fn work(&self, command: Command) -> Result<(), PollError> {
        let agent = Arc::clone(&self.agent);
        let asked = spawn_blocking(move || (agent.answer(&command), command)).await;
        let (answer, command) = asked.unwrap_or_else(resume);
        let answer = answer.map_err(|source| {
            let agent = self.agent.name().to_string();
            PollError::Ledger { agent, source }
        })?;
        let held = held_as(&command);
        let Command { subject_text: subject, traceparent, .. } = command;
        self.deliver(&Reply { subject, traceparent, answer }).await?;
        self.held().remove(&held);
        Ok(())
    }

    /// Delivers an answer, however long the gateway is away.
    async fn deliver(&self, reply: &Reply) -> Result<(), PollError> {
        let mut backoff = BACKOFF.0;
        loop {
            match self.http.answer(self.agent.name().as_str(), reply).await {
                Ok(()) => return Ok(()),
                Err(error) => self.wait_out(error, &mut backoff).await?,
            }
            if self.is_over() {
                // The command was not acknowledged, so it is leased again and answered from the ledger.
                return Ok(());
            }
        }
    }

    /// Waits where trying again can help.
    async fn wait_out(&self, error: HttpError, backoff: &mut Duration) -> Result<(), PollError> {
        let is_passing = match &error {
            // An address that is none will not become one.
            HttpError::Unreachable { source, .. } => !source.is_builder(),
            HttpError::Problem(problem) => {
                problem.status >= 500 || matches!(problem.status, 408 | 429)
            }
            HttpError::Form { .. } | HttpError::Tls(_) => false,
        };
        if !is_passing {
            let agent = self.agent.name().to_string();
            return Err(PollError::Refused { agent, source: error });
        }
        warn!(agent = %self.agent.name(), %error, wait_ms = backoff.as_millis(), "gateway is away");
        self.heed(*backoff).await;
        *backoff = (*backoff * 2).min(BACKOFF.1);
        Ok(())
    }
}

fn held_as(command: &Command) -> (String, &'static str) {
    (command.subject_text.clone(), command.asked.as_str())
}

fn parse(item: HandedOut) -> Result<Command, Unreadable> {
    let subject = item.headers.get(header::SUBJECT);
    let subject = subject.filter(|subject| subject.parse::<Subject>().is_ok());
    let appended_at: Timestamp = item.timestamp.parse().map_err(|error| Unreadable {
        subject: subject.cloned(),
        refusal: Refusal::new(Class::Invalid, "bad_timestamp", format!("timestamp: {error}")),
    })?;
    Command::from_parts(&item.headers, item.value, appended_at).map_err(|unreadable| *unreadable)
}
