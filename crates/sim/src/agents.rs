//! Participants: the kit's, over a door of the simulator's own, which is slow, answers late, twice and out of order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Agent, Command, Failure, Participant, Reply, Status, Undo};
use events::{AgentName, Offset, Outgoing, Partition, Topic};
use saga::{Action, Type};
use serde_json::Value;
use stream::{Broker, Clock, Fed, Feed, LogError, Outlet, Purpose, Settled, Share, Stop, Ticket};

use crate::book::{Book, Change, Effect};
use crate::broker::SimBroker;
use crate::sagas::{Deployed, value_of};
use crate::seams::Seams;
use crate::world::{MS, Micros, World};

/// How participants behave: one in so many times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mood {
    pub(crate) refuses: u64,
    pub(crate) fails: u64,
    pub(crate) unsure: u64,
    pub(crate) slow: u64,
    pub(crate) doubles: u64,
    pub(crate) undo_fails: u64,
}

/// The operations of an agent, with what each gives.
pub(crate) fn operations(
    agent: &AgentName,
    sagas: &[Deployed],
) -> BTreeMap<(String, bool), Option<Type>> {
    let mut all = BTreeMap::new();
    for task in sagas.iter().flat_map(|saga| &saga.plan.tasks) {
        if let Action::Agent { agent: of, task_type } = &task.action
            && of == agent
        {
            all.insert((task_type.clone(), false), task.returns.clone());
        }
        if let Some(Action::Agent { agent: of, task_type }) =
            task.undo.as_ref().map(|undo| &undo.action)
            && of == agent
        {
            all.insert((task_type.clone(), true), None);
        }
    }
    all
}

fn note(change: &mut Change, command: &Command, is_undo: bool) {
    let Command { idempotency_key: key, subject_text: subject, operation, .. } = command.clone();
    change.effects.push(Effect { key, subject, operation, is_undo });
}

/// An agent with its books.
pub(crate) fn participant(
    agent: &AgentName,
    sagas: &[Deployed],
    (book, mood): (&Book, Mood),
    world: &World,
) -> Participant<Book> {
    let mut kit = Participant::new(agent.clone(), book.clone());
    let forgiving = sagas.iter().filter(|saga| saga.forgives);
    let forgiving: Vec<String> = forgiving.map(|saga| format!("{}:", saga.plan.name)).collect();
    for ((operation, is_undo), returns) in operations(agent, sagas) {
        let world = world.clone();
        kit = if is_undo {
            kit.on_undo(&operation, move |change: &mut Change, command, _| {
                if world.lock().dice.one_in(mood.undo_fails) {
                    return Err(Failure::retryable("busy", "not now"));
                }
                note(change, command, true);
                Ok(Undo::Undone)
            })
        } else {
            let asked = world.clone();
            let (pages, forgiving) = (book.clone(), forgiving.clone());
            kit.on(&operation, move |change: &mut Change, command| {
                // Of a task without which a run may end well, the same command has the same answer: a success
                // after a failure that was definite would be passed over.
                let about = &command.subject_text;
                let sticks = forgiving.iter().any(|saga| about.starts_with(saga));
                if let Some(failure) = pages.said(about).filter(|_| sticks) {
                    return Err(failure);
                }
                let answer = work(change, command, (mood, returns.as_ref()), &world);
                if let Err(failure) = &answer {
                    pages.says(about, failure);
                }
                answer
            })
            .on_query(&operation, move |_: &mut Change, _| {
                if asked.lock().dice.one_in(3) { Status::Unknown } else { Status::NotDone }
            })
        };
    }
    kit
}

fn work(
    change: &mut Change,
    command: &Command,
    (mood, returns): (Mood, Option<&Type>),
    world: &World,
) -> Result<Value, Failure> {
    let dice = &mut world.lock().dice;
    if dice.one_in(mood.refuses) {
        return Err(Failure::refused("declined", "no"));
    }
    if dice.one_in(mood.fails) {
        return Err(Failure::retryable("busy", "not now"));
    }
    if dice.one_in(mood.unsure) {
        // Nothing was done, but it does not know that.
        return Err(Failure::retryable("broken", "who knows").with_unknown_effects());
    }
    note(change, command, false);
    Ok(returns.map_or(Value::Null, |of| value_of(of, dice)))
}

/// Answers that are to be sent, and what was read.
struct Door {
    clock: Seams,
    mood: Mood,
    replies: Vec<(Micros, Outgoing)>,
    read: BTreeMap<(Topic, Partition), Offset>,
    flying: BTreeMap<Ticket, Outgoing>,
    tickets: u64,
}

/// Serves until the broker fails.
pub(crate) fn serve(
    broker: &SimBroker,
    agent: &Arc<Participant<Book>>,
    clock: Seams,
    mood: Mood,
) -> Result<(), LogError> {
    let topic = broker.topics().tasks(agent.name());
    broker.create(&topic, Purpose::Tasks)?;
    let group = group_of(broker, agent.name());
    let share = Share::Records { topics: vec![topic], starts: Vec::new() };
    let mut feed = broker.join(&group, share)?;
    let mut outlet = broker.outlet()?;
    let mut door = Door {
        clock,
        mood,
        replies: Vec::new(),
        read: BTreeMap::new(),
        flying: BTreeMap::new(),
        tickets: 0,
    };
    loop {
        if let Fed::Records(records) = feed.next(door.patience())? {
            for record in records {
                door.take(&record, agent);
            }
        }
        door.send(&mut outlet)?;
        door.settle(&mut outlet)?;
        if door.replies.is_empty() && door.flying.is_empty() && !door.read.is_empty() {
            let done: Vec<(Topic, Partition, Offset)> = std::mem::take(&mut door.read)
                .into_iter()
                .map(|((topic, partition), offset)| (topic, partition, offset))
                .collect();
            feed.commit(&done)?;
        }
    }
}

/// The group of an agent.
pub(crate) fn group_of(broker: &SimBroker, agent: &AgentName) -> String {
    broker.topics().group(&format!("agent.{agent}"))
}

impl Door {
    fn now(&self) -> Micros {
        self.clock.world.lock().now
    }

    fn patience(&self) -> Duration {
        if self.replies.is_empty() && self.flying.is_empty() {
            Duration::from_millis(500)
        } else {
            Duration::from_millis(20)
        }
    }

    fn take(&mut self, record: &events::Record, agent: &Arc<Participant<Book>>) {
        let place = (record.place.topic.clone(), record.place.partition);
        self.read.insert(place, record.place.offset + 1);
        let Ok(command) = Command::from_record(record) else { return };
        let (slow, pause) = {
            let mut inner = self.clock.world.lock();
            (inner.dice.one_in(self.mood.slow), inner.dice.scale(20, 30_000))
        };
        if slow {
            let pause = Duration::from_millis(pause.cast_unsigned());
            let _stopping = self.clock.wait(&Stop::default(), pause);
        }
        let Ok(answer) = agent.answer(&command) else { return };
        let Command { subject_text: subject, traceparent, .. } = command;
        let reply = Reply { subject, traceparent, answer };
        let reply = reply.to_record("/agents/sim", self.clock.now());
        let now = self.now();
        let mut inner = self.clock.world.lock();
        let due = if inner.dice.one_in(4) { inner.dice.scale(1, 2_000) * MS } else { 0 };
        self.replies.push((now + due, reply.clone()));
        if inner.dice.one_in(self.mood.doubles) {
            let later = inner.dice.scale(1, 20_000) * MS;
            self.replies.push((now + later, reply));
        }
    }

    fn send(&mut self, outlet: &mut impl Outlet) -> Result<(), LogError> {
        let now = self.now();
        let mut rest = Vec::new();
        for (due, reply) in std::mem::take(&mut self.replies) {
            if due > now {
                rest.push((due, reply));
                continue;
            }
            self.tickets += 1;
            let ticket = Ticket(self.tickets);
            self.flying.insert(ticket, reply.clone());
            outlet.send(ticket, vec![reply])?;
        }
        self.replies.extend(rest);
        Ok(())
    }

    fn settle(&mut self, outlet: &mut impl Outlet) -> Result<(), LogError> {
        let now = self.now();
        for settled in outlet.settled(Duration::ZERO)? {
            match settled {
                Settled::Sent(ticket) => {
                    self.flying.remove(&ticket);
                }
                Settled::Failed { ticket, .. } => {
                    // In doubt: it is sent again.
                    self.replies.extend(self.flying.remove(&ticket).map(|reply| (now, reply)));
                }
            }
        }
        Ok(())
    }
}
