//! The door for participants on a broker: commands from `tasks.<agent>`, answers to the inbox.
//!
//! One thread reads, several work. Commands of one workflow go to the same thread, so they are answered
//! in their order. An offset is committed when it and all below it have been answered and the answers
//! are acknowledged: a crash at any point brings the commands again that may not have been answered.

use std::num::NonZeroU32;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use events::{Outgoing, Place, Record, dead_letter, partition_of};
use stream::{Broker, Clock, Fed, Feed, LogError, Outlet, Purpose, SendError, Share, Stop};
use tracing::{Span, info, warn};

use crate::answer::Reply;
use crate::command::{Command, Unreadable};
use crate::ledger::LedgerError;
use crate::participant::{Agent, refuse_unreadable};
use crate::progress::{Outbox, Overdue};

/// How commands are served.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The consumer group; members share the commands. Default `pavane.agent.<agent>`, with
    /// the prefix of the topics.
    pub group: Option<String>,
    /// How many commands are worked on at once, each of another workflow. Default 4.
    pub threads: NonZeroU32,
    /// How long an answer may stay unacknowledged before the service gives up. Default 60 s.
    pub give_up: Duration,
}

impl Default for Serving {
    fn default() -> Self {
        let threads = NonZeroU32::MIN.saturating_add(3);
        Self { group: None, threads, give_up: Duration::from_secs(60) }
    }
}

/// Why serving has ended before it was asked to. What was not acknowledged comes again.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The broker failed.
    #[error("agent `{agent}` can not go on: {source}")]
    Broker {
        /// Who was served.
        agent: String,
        /// What it said.
        source: LogError,
    },
    /// An answer can not be sent.
    #[error("the answer to {place} can not be sent: {source}")]
    Answer {
        /// The command's place.
        place: Place,
        /// Why.
        source: SendError,
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

/// Commands waiting for one thread. Small: what waits here is worked on late, and read again after a
/// crash.
const QUEUE: usize = 64;
/// How long the reader waits while answers are on their way, whose acknowledgement it wants to see.
const BUSY: Duration = Duration::from_millis(10);
/// How long it waits otherwise; bounds how soon a wish to stop is heard.
const IDLE: Duration = Duration::from_millis(100);
/// How long the last answers are waited for when serving ends.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Serves an agent's commands until asked to stop. Blocks the calling thread, which reads; the threads
/// that work end before it returns. Commands that were read but not begun are left for the next member.
///
/// # Errors
/// [`ServeError`]; nothing is lost by it, and the caller may serve anew.
pub fn serve<B: Broker, A: Agent + ?Sized>(
    broker: &B,
    agent: &A,
    clock: &dyn Clock,
    serving: &Serving,
    stop: &Stop,
) -> Result<(), ServeError> {
    let name = agent.name();
    let failed = |source| ServeError::Broker { agent: name.to_string(), source };
    let topic = broker.topics().tasks(name);
    broker.create(&topic, Purpose::Tasks).map_err(failed)?;
    // Made before the first poison comes: a record that can not be put aside would stand in the way.
    let dead = broker.topics().dead_letters(&topic);
    broker.create(&dead, Purpose::DeadLetters).map_err(failed)?;
    // The gateway joins by the same name: members through either door share the commands.
    let group = serving.group.clone();
    let group = group.unwrap_or_else(|| broker.topics().group(&format!("agent.{name}")));
    let share = Share::Records { topics: vec![topic], starts: Vec::new() };
    let mut feed = broker.join(&group, share).map_err(failed)?;
    let desk = Desk {
        agent,
        clock,
        group: &group,
        outbox: Mutex::new(Outbox::new(broker.outlet().map_err(failed)?, serving.give_up)),
        failure: Mutex::new(None),
        stop,
    };
    info!(agent = %name, group, threads = serving.threads, "serving commands");
    thread::scope(|scope| {
        let queues: Vec<SyncSender<Work>> = (0..serving.threads.get())
            .map(|_| {
                let (sender, receiver) = sync_channel(QUEUE);
                let desk = &desk;
                scope.spawn(move || desk.work_off(&receiver));
                sender
            })
            .collect();
        let read = desk.read(&mut feed, &queues);
        drop(queues);
        if let Err(error) = read {
            desk.fail(error);
        }
    });
    desk.finish(&mut feed)
}

struct Work {
    place: Place,
    command: Command,
    span: Span,
}

/// What the reader and the workers share.
struct Desk<'a, A: ?Sized, O> {
    agent: &'a A,
    clock: &'a dyn Clock,
    group: &'a str,
    outbox: Mutex<Outbox<O>>,
    failure: Mutex<Option<ServeError>>,
    stop: &'a Stop,
}

impl<A: Agent + ?Sized, O: Outlet + Send> Desk<'_, A, O> {
    fn outbox(&self) -> MutexGuard<'_, Outbox<O>> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: ServeError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn is_over(&self) -> bool {
        self.stop.requested()
            || self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn lost(&self, source: LogError) -> ServeError {
        ServeError::Broker { agent: self.agent.name().to_string(), source }
    }

    fn read<F: Feed>(&self, feed: &mut F, queues: &[SyncSender<Work>]) -> Result<(), ServeError> {
        while !self.is_over() {
            if self.outbox().is_full() {
                self.settle(feed, Duration::ZERO)?;
                let _asked = self.clock.wait(self.stop, BUSY);
                continue;
            }
            let wait = if self.outbox().is_empty() { IDLE } else { BUSY };
            match feed.next(wait).map_err(|error| self.lost(error))? {
                Fed::Records(records) => {
                    for record in &records {
                        self.admit(record, queues)?;
                    }
                }
                Fed::Idle | Fed::Lanes { .. } => {}
            }
            self.settle(feed, Duration::ZERO)?;
        }
        Ok(())
    }

    fn admit(&self, record: &Record, queues: &[SyncSender<Work>]) -> Result<(), ServeError> {
        self.outbox().begin(&record.place);
        match Command::from_record(record) {
            Ok(command) => {
                let span = stream::semconv::process(record, self.agent.name().as_str());
                self.hand_over(Work { place: record.place.clone(), command, span }, queues)
            }
            Err(unreadable) => self.refuse(record, *unreadable),
        }
    }

    fn hand_over(&self, work: Work, queues: &[SyncSender<Work>]) -> Result<(), ServeError> {
        let count = u32::try_from(queues.len()).unwrap_or(u32::MAX);
        let lane = partition_of(work.command.subject.workflow.as_str().as_bytes(), count);
        let Some(queue) = usize::try_from(lane).ok().and_then(|lane| queues.get(lane)) else {
            return Ok(());
        };
        let mut work = work;
        loop {
            match queue.try_send(work) {
                // Disconnected: that worker has failed, and said why.
                Ok(()) | Err(TrySendError::Disconnected(_)) => return Ok(()),
                Err(TrySendError::Full(back)) => work = back,
            }
            if self.is_over() || self.clock.wait(self.stop, Duration::from_millis(1)) {
                return Ok(());
            }
        }
    }

    /// A poison record never blocks: the coordinator is told where the record says whom it is about,
    /// else it goes to the dead letters with its bytes.
    fn refuse(&self, record: &Record, unreadable: Unreadable) -> Result<(), ServeError> {
        let Unreadable { subject, refusal } = unreadable;
        warn!(place = %record.place, class = %refusal.class, code = refusal.code, "command refused");
        let answer = match subject {
            Some(subject) => self.to_record(&refuse_unreadable(subject, &refusal)),
            None => dead_letter(record, &refusal, self.group, self.clock.now()),
        };
        self.send(record.place.clone(), answer)
    }

    fn to_record(&self, reply: &Reply) -> Outgoing {
        reply.to_record(&format!("/agents/{}", self.agent.name()), self.clock.now())
    }

    fn send(&self, place: Place, answer: Outgoing) -> Result<(), ServeError> {
        self.outbox().send(place, answer, self.clock.now()).map_err(|error| self.lost(error))
    }

    fn work_off(&self, queue: &Receiver<Work>) {
        while let Ok(Work { place, command, span }) = queue.recv() {
            if self.is_over() {
                return;
            }
            let _entered = span.enter();
            let done = match self.agent.answer(&command) {
                Ok(answer) => {
                    let Command { subject_text: subject, traceparent, .. } = command;
                    self.send(place, self.to_record(&Reply { subject, traceparent, answer }))
                }
                Err(source) => {
                    let agent = self.agent.name().to_string();
                    Err(ServeError::Ledger { agent, source })
                }
            };
            if let Err(error) = done {
                self.fail(error);
                return;
            }
        }
    }

    /// Learns which answers are acknowledged, sends again what is in doubt, and commits.
    fn settle<F: Feed>(&self, feed: &mut F, wait: Duration) -> Result<(), ServeError> {
        let done = {
            let mut outbox = self.outbox();
            outbox.settle(wait, self.clock.now()).map_err(|overdue| match overdue {
                Overdue::Lost(error) => self.lost(error),
                Overdue::Unsent(place, source) => ServeError::Answer { place, source },
            })?;
            outbox.take_done()
        };
        if done.is_empty() {
            return Ok(());
        }
        feed.commit(&done).map_err(|error| self.lost(error))
    }

    /// Waits for the acknowledgements of what was sent, so that it need not be done twice.
    fn finish<F: Feed>(self, feed: &mut F) -> Result<(), ServeError> {
        let until = self.clock.now().after(LAST_ANSWERS);
        let mut result = Ok(());
        while result.is_ok() && !self.outbox().is_empty() && self.clock.now() < until {
            result = self.settle(feed, IDLE);
        }
        info!(agent = %self.agent.name(), "serving ended");
        let failure = self.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        failure.map_or(result, Err)
    }
}
