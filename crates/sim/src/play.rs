//! Saga files of somebody's own, as the world runs them: what they are started with, and what users do beside.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use events::{Destination, Header, Outgoing, Payload, Topic, WorkflowId, ce_type, header};
use saga::{Action, Awaited, Begin, EventName, Plan, Props, Publishable, RaceOn};
use serde_json::{Map, Value};

use crate::dice::Dice;
use crate::faults::STORM;
use crate::orders;
use crate::sagas::Deployed;
use crate::user::{Asked, Errand, What, nonsense, start};
use crate::world::MS;

/// Sagas that are run, the first of which is started.
#[derive(Clone)]
pub struct Play {
    pub(crate) sagas: Vec<Deployed>,
    given: Map<String, Value>,
    /// Participants keep no books: what comes again they do again.
    pub(crate) forgetful: bool,
}

/// Why files can not be run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unplayable {
    /// A child whose file is not there.
    NoChild {
        /// The file, by its place.
        file: usize,
        /// The task that is it.
        task: String,
        /// The saga.
        saga: String,
        /// The version that it must be, where a file of the saga is there in another.
        version: Option<String>,
    },
    /// No event could be made that is about a workflow.
    NoEvent {
        /// The file, by its place.
        file: usize,
        /// The task that awaits it.
        task: String,
        /// `topic/Name`
        event: String,
    },
    /// The inputs are not taken.
    Inputs(String),
    /// Two files are of one saga.
    Twice {
        /// The second of them, by its place.
        file: usize,
        /// The saga.
        saga: String,
    },
}

impl Unplayable {
    /// The file that it is about, by its place.
    #[must_use]
    pub const fn file(&self) -> usize {
        match self {
            Self::NoChild { file, .. } | Self::NoEvent { file, .. } | Self::Twice { file, .. } => {
                *file
            }
            Self::Inputs(_) => 0,
        }
    }
}

impl fmt::Display for Unplayable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoChild { task, saga, version: None, .. } => {
                write!(out, "task `{task}` is the saga `{saga}`, whose file is not given")
            }
            Self::NoChild { task, saga, version: Some(version), .. } => write!(
                out,
                "task `{task}` is version {version} of the saga `{saga}`, and its file is of another"
            ),
            Self::NoEvent { task, event, .. } => write!(
                out,
                "task `{task}` awaits {event}, and no event can be made that its `correlate` (or `event_name`) \
                 takes to a workflow"
            ),
            Self::Inputs(why) => write!(out, "no workflow can be started: {why}"),
            Self::Twice { saga, .. } => write!(out, "the saga `{saga}` is given twice"),
        }
    }
}

impl fmt::Debug for Play {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.sagas.iter().map(|saga| saga.plan.name.as_str());
        out.debug_tuple("Play").field(&names.collect::<Vec<_>>()).finish()
    }
}

impl Play {
    /// Of files that are sound, with what they import put in. Workflows of the first are started; `given` are
    /// inputs that are not to be drawn.
    ///
    /// # Errors
    /// What can not be run, and where.
    ///
    /// # Panics
    /// A file is not sound.
    pub fn of(texts: &[String], given: Map<String, Value>) -> Result<Self, Unplayable> {
        let sagas: Vec<Deployed> = texts.iter().map(|text| Deployed::of_file(text)).collect();
        let names = |saga: &Deployed| saga.plan.name.clone();
        for (file, saga) in sagas.iter().enumerate() {
            if sagas[..file].iter().any(|other| names(other) == names(saga)) {
                return Err(Unplayable::Twice { file, saga: names(saga).to_string() });
            }
            children(file, &saga.plan, &sagas)?;
            events(file, saga)?;
        }
        let play = Self { sagas, given, forgetful: false };
        for kind in 0..play.props().starts() {
            play.begin(kind, 0).map_err(Unplayable::Inputs)?;
        }
        Ok(play)
    }

    /// The same with participants that keep no books: a judge that can not fail shows nothing.
    #[must_use]
    pub fn forgetful(mut self) -> Self {
        self.forgetful = true;
        self
    }

    /// The saga that is started.
    #[must_use]
    pub fn name(&self) -> String {
        self.plan().name.to_string()
    }

    /// What it is started by: an event, where one can be made, or by name.
    #[must_use]
    pub fn starts_by(&self) -> Vec<String> {
        let Ok(begin) = self.begin(0, 0) else { return Vec::new() };
        let triggers = self.plan().triggers.iter().map(|trigger| {
            let event = format!("{}/{}", trigger.topic, trigger.event);
            let by = (self.plan(), trigger);
            match self.props().trigger(by, &begin, &self.given) {
                Some(_) => event,
                None => format!("its name (no event was found that the trigger {event} takes)"),
            }
        });
        let mut all: Vec<String> = triggers.collect();
        if all.is_empty() {
            all.push("its name".to_owned());
        }
        all
    }

    fn plan(&self) -> &Plan {
        &self.sagas[0].plan
    }

    fn props(&self) -> &Props {
        self.sagas[0].props.as_deref().unwrap_or_else(|| unreachable!("it is of a file"))
    }

    fn begin(&self, kind: usize, number: u32) -> Result<Begin, String> {
        let begin = self.props().begin(self.plan(), (kind, number), &self.given);
        begin.map_err(|error| error.to_string())
    }

    /// Draws what users will do.
    pub(crate) fn draw(&self, dice: &mut Dice, count: i64) -> (Vec<Errand>, Asked) {
        let mut errands = Vec::new();
        let mut asked = BTreeSet::new();
        let mut push = |at, what| errands.push(Errand { at, what });
        let kinds = i64::try_from(self.props().starts()).unwrap_or(1);
        for number in 0..u32::try_from(count).unwrap_or(1) {
            let kind = usize::try_from(dice.range(0, kinds)).unwrap_or(0);
            let Ok(begin) = self.begin(kind, number) else { continue };
            let key = begin.key.clone().unwrap_or_else(|| format!("k{number}"));
            let id = WorkflowId::of(&self.plan().name, &key);
            let at = dice.range(0, STORM * 2 / 3);
            let record = self.start(&begin, &key, dice);
            let by_event = matches!(record.to, Destination::Named(_));
            if dice.one_in(4) {
                let again = at + dice.scale(1, 30_000) * MS;
                push(again, What::Again(record.clone()));
            }
            push(at, What::Send(record));
            // Without a key it is named by where the event lies.
            if by_event && begin.key.is_none() {
                continue;
            }
            if dice.one_in(8) {
                let wait = dice.scale(10, 40_000) * MS;
                push(at + wait, What::Cancel(orders::of_workflow(&id, ce_type::CANCEL_WORKFLOW)));
            }
            if let Some(early) = early(&self.sagas[0], &key, dice) {
                push(at + dice.scale(1, 20_000) * MS, What::Early(early));
            }
            asked.insert(id);
        }
        let topics: Vec<Topic> =
            self.sagas.iter().flat_map(|saga| saga.plan.reads_from()).collect();
        for _ in 0..dice.range(0, 4) {
            let at = dice.range(0, STORM * 2 / 3);
            push(at, What::Nonsense(nonsense(dice, &topics)));
        }
        errands.sort_by_key(|errand| errand.at);
        (errands, Asked { workflows: asked.into_iter().collect(), nonsense: Vec::new() })
    }

    fn start(&self, begin: &Begin, key: &str, dice: &mut Dice) -> Outgoing {
        let triggers = &self.plan().triggers;
        if !triggers.is_empty() {
            let trigger = dice.of(triggers);
            let by = (self.plan(), trigger);
            if let Some(made) = self.props().trigger(by, begin, &self.given) {
                return publish(&trigger.topic, made);
            }
        }
        start(self.plan(), key, &begin.inputs, dice)
    }
}

/// An event or a signal that nobody waits for yet, one in so many times.
fn early(saga: &Deployed, key: &str, dice: &mut Dice) -> Option<Outgoing> {
    let all = awaits(&saga.plan);
    if all.is_empty() || !dice.one_in(4) {
        return None;
    }
    let chosen = dice.of(&all);
    said(saga, (&chosen.what, chosen.slot), key, dice)
}

/// A record that tells a workflow what it waits for, or will.
pub(crate) fn said(
    saga: &Deployed,
    (what, slot): (&Awaited, usize),
    key: &str,
    dice: &mut Dice,
) -> Option<Outgoing> {
    let props = saga.props.as_deref()?;
    let outputs = props.outputs(slot);
    let value = if outputs.is_empty() { Value::Null } else { dice.of(outputs).value() };
    match what {
        Awaited::Event(event) => {
            let made = props.event(&saga.plan, (event, &value), key)?;
            Some(publish(&event.topic, made))
        }
        Awaited::Signal(name) => {
            let id = WorkflowId::of(&saga.plan.name, key);
            Some(orders::named_signal(&id, name, &value, dice))
        }
    }
}

fn publish(topic: &Topic, made: Publishable) -> Outgoing {
    let Publishable { key, value, headers } = made;
    Outgoing {
        to: Destination::Named(topic.clone()),
        partition: None,
        key: Some(Bytes::from(key)),
        value: Payload::Bytes(Bytes::from(value.to_string())),
        headers: headers.into_iter().map(|(name, value)| Header::text(name, value)).collect(),
    }
}

/// Something that a task waits for.
struct Await {
    what: Awaited,
    slot: usize,
}

fn awaits(plan: &Plan) -> Vec<Await> {
    let mut all = Vec::new();
    for (slot, task) in plan.tasks.iter().enumerate() {
        let undo = task.undo.as_ref().map(|undo| &undo.action);
        for action in std::iter::once(&task.action).chain(undo) {
            let (good, bad) = awaited(action);
            let whats = good.into_iter().chain(bad.into_iter().map(Awaited::Event));
            all.extend(whats.map(|what| Await { what, slot }));
        }
    }
    all
}

/// What ends an action well, and what as failed.
pub(crate) fn awaited(action: &Action) -> (Vec<Awaited>, Vec<EventName>) {
    match action {
        Action::Await(wait) | Action::Request(_, wait) => {
            (wait.awaited.clone(), wait.failed.clone())
        }
        Action::Race { cases } => {
            let on = cases.iter().filter_map(|case| match &case.on {
                RaceOn::Event { awaited, .. } => Some(awaited.clone()),
                RaceOn::After(_) => None,
            });
            (on.collect(), Vec::new())
        }
        Action::Agent { .. }
        | Action::Emit(_)
        | Action::Wait(_)
        | Action::Choice { .. }
        | Action::Group { .. }
        | Action::Saga { .. }
        | Action::ForEach(_) => (Vec::new(), Vec::new()),
    }
}

fn children(file: usize, plan: &Plan, sagas: &[Deployed]) -> Result<(), Unplayable> {
    for task in &plan.tasks {
        let Action::Saga { saga, version, .. } = &task.action else { continue };
        let is_it = |other: &Deployed| {
            other.plan.name == *saga
                && version.as_ref().is_none_or(|version| *version == other.plan.version)
        };
        if !sagas.iter().any(is_it) {
            let is_named = sagas.iter().any(|other| other.plan.name == *saga);
            let version = version.as_ref().filter(|_| is_named).map(ToString::to_string);
            let (task, saga) = (task.id.to_string(), saga.to_string());
            return Err(Unplayable::NoChild { file, task, saga, version });
        }
    }
    Ok(())
}

fn events(file: usize, saga: &Deployed) -> Result<(), Unplayable> {
    let Some(props) = saga.props.as_deref() else { return Ok(()) };
    for Await { what, slot } in awaits(&saga.plan) {
        let Awaited::Event(event) = what else { continue };
        let value = props.outputs(slot).first().map_or(Value::Null, |output| output.value());
        if props.event(&saga.plan, (&event, &value), "k0").is_none() {
            let task = saga.plan.tasks.get(slot).map_or_else(String::new, |it| it.id.to_string());
            return Err(Unplayable::NoEvent { file, task, event: event.to_string() });
        }
    }
    Ok(())
}

/// The business key in a workflow's id.
pub(crate) fn key_of(id: &WorkflowId) -> &str {
    id.as_str().split_once(':').map_or("", |(_, key)| key)
}

/// The header that says what a record is.
pub(crate) fn kind_of(record: &events::Record) -> &str {
    record.header_text(header::TYPE).unwrap_or_default()
}
