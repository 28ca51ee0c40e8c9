//! The thread that reads one agent's commands, and what it shares with those who poll.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::{
    AgentName, Class, Offset, Partition, Record, Refusal, Subject, Timestamp, dead_letter, header,
};
use serde_json::Value;
use stream::{Broker, Clock, Fed, Feed, LogError, Purpose, SendError, Share, Stop};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::leases::{Command, Leases};

/// Commands held for one agent; beyond it nothing more is read.
const HELD_MAX: usize = 2_000;
/// One wait for commands; bounds how late an offset is committed.
const STEP: Duration = Duration::from_millis(100);
/// The pause after trouble with the broker.
const BACK_OFF: Duration = Duration::from_secs(1);
/// The header in which participants by HTTP learn when a command was appended.
pub(super) const APPENDED: &str = "pavane_appended";

/// One agent's commands.
pub(super) struct Desk {
    agent: AgentName,
    state: Mutex<State>,
    /// Rung when there may be something to hand out.
    pub(super) changed: Notify,
}

struct State {
    leases: Leases,
    polled: Timestamp,
    /// Why nothing can be read just now.
    trouble: Option<String>,
    is_closed: bool,
}

impl Desk {
    pub(super) fn new(agent: AgentName, now: Timestamp) -> Self {
        let leases = Leases::default();
        let state = State { leases, polled: now, trouble: None, is_closed: false };
        Self { agent, state: Mutex::new(state), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its thread has left the group.
    pub(super) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Notes that somebody polls; false: too late, it is closed.
    pub(super) fn keep_open(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        state.polled = now;
        !state.is_closed
    }

    /// Hands out commands. Where there are none: when the next lease ends.
    pub(super) fn take(
        &self,
        now: Timestamp,
        lease: Duration,
        max: usize,
    ) -> Result<Vec<Command>, Option<Timestamp>> {
        let mut state = self.state();
        state.polled = now;
        let commands = state.leases.take(now, lease, max);
        if commands.is_empty() { Err(state.leases.next_end()) } else { Ok(commands) }
    }

    /// Why nothing can be read just now.
    pub(super) fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    /// What is about this subject is done.
    pub(super) fn answered(&self, subject: &str) {
        self.state().leases.answered(subject);
    }

    /// What is about this subject is being worked on.
    pub(super) fn alive(&self, subject: &str, until: Timestamp) {
        self.state().leases.alive(subject, until);
    }

    /// Closes where nobody has polled for `idle`.
    fn close_if_idle(&self, now: Timestamp, idle: Duration) -> bool {
        let mut state = self.state();
        state.is_closed |= now.since(state.polled) >= idle;
        state.is_closed
    }

    fn commits(&self) -> Vec<(Partition, Offset)> {
        self.state().leases.commits()
    }
}

/// Reads an agent's commands until nobody polls any more, or until asked to stop. Blocks.
pub(super) fn tend<B: Broker>(
    desk: &Desk,
    broker: &B,
    clock: &dyn Clock,
    idle: Duration,
    stop: &Stop,
) {
    while !stop.requested() {
        match read(desk, broker, clock, idle, stop) {
            Ok(()) => break,
            Err(error) => {
                warn!(agent = %desk.agent, %error, "an agent's commands can not be read");
                // What was held is read again from what is committed.
                let mut state = desk.state();
                state.leases = Leases::default();
                state.trouble = Some(error.to_string());
                drop(state);
                if stop.wait(BACK_OFF) || desk.close_if_idle(clock.now(), idle) {
                    break;
                }
            }
        }
    }
    desk.state().is_closed = true;
    desk.changed.notify_waiters();
    debug!(agent = %desk.agent, "nobody polls any more");
}

fn read<B: Broker>(
    desk: &Desk,
    broker: &B,
    clock: &dyn Clock,
    idle: Duration,
    stop: &Stop,
) -> Result<(), LogError> {
    let topic = broker.topics().tasks(&desk.agent);
    // A participant may come before the first saga that needs it.
    broker.create(&topic, Purpose::Tasks)?;
    let group = broker.topics().group(&format!("agent.{}", desk.agent));
    let share = Share::Records { topics: vec![topic.clone()], starts: Vec::new() };
    let mut feed = broker.join(&group, share)?;
    desk.state().trouble = None;
    while !stop.requested() && !desk.close_if_idle(clock.now(), idle) {
        let is_full = desk.state().leases.len() >= HELD_MAX;
        if is_full {
            let _stopped = stop.wait(STEP);
        } else if let Fed::Records(records) = feed.next(STEP)? {
            for record in &records {
                take_in(desk, broker, clock, &group, record)?;
            }
            desk.changed.notify_waiters();
        }
        commit(desk, &mut feed, &topic)?;
    }
    commit(desk, &mut feed, &topic)
}

fn commit<F: Feed>(desk: &Desk, feed: &mut F, topic: &events::Topic) -> Result<(), LogError> {
    let place = |(partition, offset)| (topic.clone(), partition, offset);
    let done: Vec<_> = desk.commits().into_iter().map(place).collect();
    if done.is_empty() { Ok(()) } else { feed.commit(&done) }
}

/// Takes a command in; what is none becomes a dead letter, and is done once that is stored.
fn take_in<B: Broker>(
    desk: &Desk,
    broker: &B,
    clock: &dyn Clock,
    group: &str,
    record: &Record,
) -> Result<(), LogError> {
    let (partition, offset) = (record.place.partition, record.place.offset);
    if !desk.state().leases.is_new(partition, offset) {
        return Ok(());
    }
    match command(record) {
        Ok(command) => desk.state().leases.add(partition, offset, command),
        Err(refusal) => {
            warn!(place = %record.place, code = refusal.code, "a record is no command");
            let letters = broker.topics().dead_letters(&record.place.topic);
            broker.create(&letters, Purpose::DeadLetters)?;
            broker.put(dead_letter(record, &refusal, group, clock.now())).map_err(
                |why: SendError| {
                    LogError::Lost(format!("a dead letter of {}: {why}", record.place))
                },
            )?;
            desk.state().leases.pass(partition, offset);
        }
    }
    Ok(())
}

fn command(record: &Record) -> Result<Command, Refusal> {
    let text = |name: &str| {
        record.header_text(name).ok_or_else(|| {
            let what = format!("the record has no header {name}, so it is no command");
            Refusal::new(Class::Invalid, "no_command", what)
        })
    };
    let ce_type = text(header::TYPE)?.to_owned();
    let subject = text(header::SUBJECT)?;
    let parsed: Subject = subject.parse().map_err(|error: events::SubjectError| {
        Refusal::new(Class::Invalid, "bad_subject", error.to_string())
    })?;
    let value = match record.value.as_deref() {
        None | Some([]) => Value::Null,
        Some(bytes) => serde_json::from_slice(bytes).map_err(|error| {
            let what = format!("the command's value is not JSON: {error}");
            Refusal::new(Class::Undecodable, "json", what).about(&parsed.workflow)
        })?,
    };
    let timestamp = record.timestamp.to_string();
    let text_of = |header: &events::Header| {
        let text = std::str::from_utf8(header.value.as_deref()?).ok()?;
        Some((header.name.to_string(), text.to_owned()))
    };
    let mut headers: BTreeMap<String, String> = record.headers.iter().filter_map(text_of).collect();
    headers.insert(APPENDED.to_owned(), timestamp.clone());
    Ok(Command { headers, value, timestamp, subject: subject.to_owned(), ce_type })
}
