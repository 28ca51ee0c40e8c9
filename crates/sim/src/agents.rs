//! Participants: the kit's, over a door of the simulator's own, which is slow, answers late, twice and out of order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Agent, Command, Failure, Participant, Reply, Status, Undo};
use events::{AgentName, Json, Offset, Outgoing, Partition, Topic};
use saga::{Action, Props, Type};
use serde_json::Value;
use stream::{Broker, Clock, Fed, Feed, LogError, Outlet, Purpose, Settled, Share, Stop, Ticket};

use crate::book::{Book, Change, Effect};
use crate::broker::SimBroker;
use crate::dice::Dice;
use crate::sagas::{Deployed, value_of};
use crate::seams::Seams;
use crate::world::{Inner, MS, Micros, World};

/// How participants behave: one in so many times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mood {
    pub(crate) refuses: u64,
    pub(crate) fails: u64,
    pub(crate) unsure: u64,
    pub(crate) slow: u64,
    pub(crate) doubles: u64,
    pub(crate) undo_fails: u64,
    /// A command is overheard, or answered when nobody waits any more; `None`: everybody is answered.
    pub(crate) silent: Option<u64>,
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

/// What is done, or undone, with the command.
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
    let is_play = sagas.iter().any(|saga| saga.props.is_some());
    let sagas: Arc<[Deployed]> = sagas.into();
    for ((operation, is_undo), returns) in operations(agent, &sagas) {
        let world = world.clone();
        let gives = is_play.then(|| Arc::clone(&sagas));
        kit = if is_undo {
            kit.on_undo(&operation, move |change: &mut Change, command, _| {
                let inner = &mut *world.lock();
                if inner.dice.one_in(mood.undo_fails) {
                    inner.tally.count("undos that fail for now");
                    return Err(Failure::retryable("busy", "not now"));
                }
                note(change, command, true);
                inner.stands.remove(&stands(command));
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
                let gives = gives.as_ref().map_or_else(
                    || Gives::Typed(returns.as_ref()),
                    |sagas| Gives::of_files(sagas, command),
                );
                let answer = work(change, command, (mood, &gives), &world);
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

/// As what it stands that a command was done, for whoever looks into it.
fn stands(command: &Command) -> String {
    format!("{}/{}", command.subject.workflow, command.subject.task)
}

/// What a participant can answer.
enum Gives<'s> {
    /// Any value of that type.
    Typed(Option<&'s Type>),
    /// What the file can take.
    Of { outputs: &'s [Json], codes: &'s [String] },
}

impl<'s> Gives<'s> {
    fn of_files(sagas: &'s [Deployed], command: &Command) -> Self {
        let saga = sagas.iter().find(|saga| saga.plan.name == command.saga);
        let props = saga.and_then(|saga| saga.props.as_deref());
        let slot = props.and_then(|props| props.slot(command.subject.task.as_str()));
        let outputs = props.zip(slot).map_or(&[][..], |(props, slot)| props.outputs(slot));
        Self::Of { outputs, codes: props.map_or(&[], Props::codes) }
    }

    fn output(&self, dice: &mut Dice) -> Value {
        match self {
            Self::Typed(returns) => returns.map_or(Value::Null, |of| value_of(of, dice)),
            Self::Of { outputs: [], .. } => Value::Null,
            Self::Of { outputs, .. } => dice.of(outputs).value(),
        }
    }

    fn code(&self, plain: &'static str, dice: &mut Dice) -> &'s str {
        match self {
            Self::Typed(_) | Self::Of { codes: [], .. } => plain,
            Self::Of { codes, .. } => match dice.one_in(3) {
                true => plain,
                false => dice.of(codes).as_str(),
            },
        }
    }
}

fn work(
    change: &mut Change,
    command: &Command,
    (mood, gives): (Mood, &Gives<'_>),
    world: &World,
) -> Result<Value, Failure> {
    let Inner { dice, tally, stands: all, .. } = &mut *world.lock();
    if dice.one_in(mood.refuses) {
        tally.count("tasks refused");
        return Err(Failure::refused(gives.code("declined", dice), "no"));
    }
    if dice.one_in(mood.fails) {
        tally.count("tasks that fail for now");
        return Err(Failure::retryable(gives.code("busy", dice), "not now"));
    }
    if dice.one_in(mood.unsure) {
        // Nothing was done, but it does not know that.
        tally.count("tasks that fail without knowing whether they worked");
        return Err(Failure::retryable("broken", "who knows").with_unknown_effects());
    }
    note(change, command, false);
    let output = gives.output(dice);
    all.insert(stands(command), output.clone());
    Ok(output)
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

impl Inner {
    /// A command is lost on somebody who is silent, or worked on nevertheless.
    fn overhears(&mut self) -> bool {
        let is_lost = self.dice.one_in(2);
        if is_lost {
            self.tally.count("commands that nobody hears");
        }
        is_lost
    }
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
            self.clock.world.lock().tally.count("participants that are slow");
            let pause = Duration::from_millis(pause.cast_unsigned());
            let _stopping = self.clock.wait(&Stop::default(), pause);
        }
        let is_silent = {
            let inner = &mut *self.clock.world.lock();
            self.mood.silent.is_some_and(|silent| inner.dice.one_in(silent))
        };
        if is_silent && self.clock.world.lock().overhears() {
            return;
        }
        let Ok(answer) = agent.answer(&command) else { return };
        let Command { subject_text: subject, traceparent, .. } = command;
        let reply = Reply { subject, traceparent, answer };
        let reply = reply.to_record("/agents/sim", self.clock.now());
        let now = self.now();
        let mut inner = self.clock.world.lock();
        if is_silent {
            // What was done is told some time, as by whoever starts such a participant again.
            inner.tally.count("answers that come when nobody waits any more");
            let late = inner.dice.scale(30_000, 7_200_000) * MS;
            inner.put_later(reply, late);
            return;
        }
        let due = if inner.dice.one_in(4) { inner.dice.scale(1, 2_000) * MS } else { 0 };
        self.replies.push((now + due, reply.clone()));
        if inner.dice.one_in(self.mood.doubles) {
            inner.tally.count("answers that come twice");
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
