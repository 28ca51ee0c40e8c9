//! One workflow and everything around it: the coordinator's memory, what is on its way, the participants'
//! books. A step is one thing that happens; the real functions decide what follows.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use events::{
    Destination, Json, Offset, Outgoing, Subject, Timestamp, What, WorkflowId, ce_type, header,
};
use serde_json::Value;

use super::judge::Judge;
use super::law::Law;
use super::participant::{Asks, Book, Given, Order};
use super::places::Places;
use super::samples::Samples;
use super::{Found, Gravity, waiting};
use crate::decide::{Cause, Decision, Held, decide};
use crate::event::{Event, wants_ack};
use crate::input::{Input, Start};
use crate::plan::Plan;
use crate::state::{State, definition_key};
use crate::{evolve, react};

/// The offset of the record that starts the run.
const RUN: Offset = 1;

/// What never changes while a file is explored.
pub(super) struct Setting {
    pub(super) plan: Arc<Plan>,
    pub(super) definitions: BTreeMap<String, State>,
    pub(super) places: Places,
    pub(super) samples: Samples,
}

/// An emitted event whose acknowledgement is to come.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) task: String,
    pub(super) is_undo: bool,
    pub(super) event: Arc<Event>,
}

/// Everything at one moment.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) id: WorkflowId,
    pub(super) now: Timestamp,
    pub(super) state: Option<State>,
    /// Commands on their way, by task: those of one task come in their order.
    pub(super) orders: BTreeMap<String, Vec<Order>>,
    pub(super) books: BTreeMap<String, Book>,
    pub(super) given: Vec<Given>,
    pub(super) pending: Vec<Pending>,
    /// How many events of each name, and of signals, have come.
    pub(super) came: BTreeMap<String, u32>,
    pub(super) was_cancelled: bool,
    pub(super) judge: Judge,
}

/// What a step has brought about.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) events: Vec<Event>,
    pub(super) found: Vec<Found>,
    /// Nothing has come of it.
    pub(super) ignored: Option<&'static str>,
    /// The core has panicked: nothing can follow.
    pub(super) is_broken: bool,
}

struct View<'a> {
    setting: &'a Setting,
    id: &'a WorkflowId,
    state: Option<&'a State>,
}

impl Held for View<'_> {
    fn state(&self, key: &str) -> Option<&State> {
        if key == self.id.as_str() { self.state } else { self.setting.definitions.get(key) }
    }
}

impl Setting {
    pub(super) fn law(&self) -> Law<'_> {
        Law { plan: &self.plan, places: &self.places, samples: &self.samples }
    }
}

/// What `run` gives, or the text of its panic.
fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "it panics".to_owned())
    })
}

impl World {
    /// Before anything has happened.
    pub(super) fn new(setting: &Setting) -> Self {
        Self {
            id: WorkflowId::of(&setting.plan.name, "x"),
            now: Timestamp::from_millis(1_767_225_600_000),
            state: None,
            orders: BTreeMap::new(),
            books: BTreeMap::new(),
            given: Vec::new(),
            pending: Vec::new(),
            came: BTreeMap::new(),
            was_cancelled: false,
            judge: Judge::default(),
        }
    }

    /// The workflow begins.
    pub(super) fn start(&mut self, setting: &Setting, inputs: &Json) -> Told {
        let plan = &setting.plan;
        let admitted = plan.admit(&inputs.value()).unwrap_or(Value::Null);
        if let Ok(Some(key)) = plan.key_of(&admitted) {
            self.id = WorkflowId::of(&plan.name, &key);
        }
        let start = Start {
            workflow: self.id.clone(),
            saga: plan.name.clone(),
            version: Some(plan.version.clone()),
            inputs: inputs.clone(),
            start_id: "start".to_owned(),
            offset: RUN,
            trace: None,
            parent: None,
        };
        self.feed(setting, Cause::Input(&Input::Start(start)))
    }

    /// What is decided about it, and folded as a replay would read it.
    pub(super) fn feed(&mut self, setting: &Setting, cause: Cause<'_>) -> Told {
        let mut told = Told::default();
        let view = View { setting, id: &self.id, state: self.state.as_ref() };
        let decision = caught(|| decide(&view, cause, self.now));
        match decision {
            Err(panic) => told.breaks(panic),
            Ok(Decision::Ignored(why)) => told.ignored = Some(why),
            Ok(Decision::DeadLetter(refusal)) => {
                told.ignored = Some("refused");
                if let Cause::Input(Input::Answer { subject, .. }) = cause {
                    let message = format!("an answer to `{subject}` is refused: {}", refusal.code);
                    told.found.push(Found::of_ours("one-verdict", subject.task.as_str(), message));
                }
            }
            Ok(Decision::Accepted(events)) => {
                for event in events {
                    if let Err(panic) = self.fold(setting, event, &mut told) {
                        told.breaks(panic);
                        break;
                    }
                }
            }
        }
        told
    }

    /// One event: folded from its bytes, as after a restart, acted upon and judged.
    fn fold(&mut self, setting: &Setting, event: Event, told: &mut Told) -> Result<(), String> {
        let mut bytes = Vec::new();
        let read = caught(|| {
            event.encode(&mut bytes);
            Event::decode(&bytes)
        })?;
        if !read.is_ok_and(|read| read == event) {
            return Err("fold-only: an event is not read as it was written".to_owned());
        }
        let state = self.state.take();
        self.state = caught(|| {
            let mut state = state;
            evolve(&mut state, &event);
            state
        })?;
        for record in caught(|| react(&event))? {
            self.sent(&record);
        }
        if let Some(of) = event.lifecycle() {
            self.awaits_broker(&event, &of.what);
            told.found.extend(self.judge.hear(&of.what, self.now, &setting.law()));
        }
        told.events.push(event);
        Ok(())
    }

    fn awaits_broker(&mut self, event: &Event, what: &What) {
        if !wants_ack(event) {
            return;
        }
        if let What::UndoScheduled { task, .. } | What::TaskScheduled { task, .. } = what {
            let is_undo = matches!(what, What::UndoScheduled { .. });
            let (task, event) = (task.to_string(), Arc::new(event.clone()));
            self.pending.push(Pending { task, is_undo, event });
        }
    }

    /// A record that is sent: a command is on its way.
    fn sent(&mut self, record: &Outgoing) {
        let text = |name: &str| {
            let header = record.headers.iter().find(|header| &*header.name == name)?;
            std::str::from_utf8(header.value.as_deref()?).ok()
        };
        let (subject, is_child) = match &record.to {
            Destination::Tasks(_) => (text(header::SUBJECT), false),
            Destination::Inbox => (text(header::PARENT).or_else(|| text(header::SUBJECT)), true),
            Destination::Events
            | Destination::Definitions
            | Destination::Named(_)
            | Destination::DeadLetters(_) => return,
        };
        let Some(subject) = subject.and_then(|text| text.parse::<Subject>().ok()) else { return };
        let asks = match (text(header::TYPE), subject.kind) {
            (Some(ce_type::CANCEL_TASK), _) => Asks::Stop,
            (Some(ce_type::UNWIND_WORKFLOW), events::CommandKind::Do) => Asks::Stop,
            (_, events::CommandKind::Do) => Asks::Do,
            (_, events::CommandKind::Undo) => Asks::Undo,
            (_, events::CommandKind::Query) => Asks::Query,
        };
        let queue = self.orders.entry(subject.task.to_string()).or_default();
        queue.push(Order { subject, asks, is_child });
    }

    /// When the coordinator wants to be woken, while that has to do with the run.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let at = crate::wake_at(self.state.as_ref()?)?;
        let forgets = self
            .judge
            .ended_at
            .is_some_and(|end| at >= end.after(crate::LATE_UNDO.min(crate::REMEMBERED)));
        (!forgets).then_some(at)
    }

    /// Time passes until the coordinator wants to be woken.
    pub(super) fn wake(&mut self, setting: &Setting) -> Told {
        let Some(at) = self.due() else { return Told::default() };
        self.now = self.now.max(at);
        let id = self.id.clone();
        let mut told = self.feed(setting, Cause::Wake(id.as_str()));
        if told.is_broken {
            return told;
        }
        if told.ignored.is_some() {
            let message = "the workflow asks to be woken, and nothing comes of it".to_owned();
            told.found.push(Found::of_ours("never-silent", "", message));
        } else if self.due().is_some_and(|at| at <= self.now) {
            let message = "a timer that has fired is not over".to_owned();
            told.found.push(Found::of_ours("never-silent", "", message));
        }
        told
    }

    /// What a restart finds in the journal is what was in memory.
    pub(super) fn restart(&self) -> Option<Found> {
        let state = self.state.as_ref()?;
        let same = caught(|| State::decode(&state.encode()).is_ok_and(|read| read == *state));
        if same == Ok(true) {
            return None;
        }
        Some(Found::of_ours(
            "fold-only",
            "",
            "what is read back is not what was in memory".to_owned(),
        ))
    }

    /// A live workflow waits for somebody, for something or for a time.
    pub(super) fn silence(&self, setting: &Setting) -> Option<Found> {
        let is_waiting = self.judge.ended_at.is_some()
            || self.judge.is_paused
            || self.judge.is_blocked()
            || self.due().is_some()
            || !self.pending.is_empty()
            || self.orders.values().any(|orders| !orders.is_empty())
            || self.given.iter().any(|given| given.is_late)
            || waiting::events(self, setting).iter().any(|(comes, _)| !comes.is_early);
        (!is_waiting).then(|| {
            let message = "it has not ended, and waits for nobody and for no time".to_owned();
            Found::of_ours("never-silent", "", message)
        })
    }
}

impl Told {
    fn breaks(&mut self, panic: String) {
        self.is_broken = true;
        let name = panic.split(':').next().filter(|name| !name.contains(' '));
        let code = match name {
            Some("one-end") => "one-end",
            Some("undo-order") => "undo-order",
            Some("never-silent") => "never-silent",
            Some("all-bounded") => "all-bounded",
            Some("one-verdict") => "one-verdict",
            Some("fold-only") => "fold-only",
            Some(_) | None => "panic",
        };
        let message = format!("pavane itself fails: {panic}");
        self.found.push(Found { code, gravity: Gravity::Error, about: String::new(), message });
    }
}

/// The definitions that a workflow of this plan may ask for: its own, and those of its children. Of a child
/// whose file is not given it is only known that it takes anything.
pub(super) fn definitions(plan: &Arc<Plan>, others: Vec<Plan>) -> BTreeMap<String, State> {
    use crate::plan::Action;
    use crate::state::{Definition, Newest, newest_key};
    let mut states = BTreeMap::new();
    let mut hold = |plan: Arc<Plan>| {
        let newest = Newest {
            saga: plan.name.clone(),
            version: plan.version.clone(),
            revision: 1,
            ce_id: "deployed".to_owned(),
        };
        states.insert(newest_key(&plan.name).to_string(), State::Newest(newest));
        let key = definition_key(&plan.name, &plan.version).to_string();
        states.insert(key, State::Definition(Definition::of(plan)));
    };
    let known: Vec<_> = others.iter().map(|other| other.name.clone()).collect();
    for task in &plan.tasks {
        if let Action::Saga { saga, version, .. } = &task.action
            && !known.contains(saga)
        {
            let text = format!("name: {saga}\ntasks: [{{id: x, agent: x}}]\n");
            let child = crate::definition::plan_in_thought(&text).map(|child| {
                let name = saga.clone();
                Plan { name, version: version.clone().unwrap_or(child.version.clone()), ..child }
            });
            child.into_iter().for_each(|child| hold(child.shared()));
        }
    }
    others.into_iter().for_each(|other| hold(other.shared()));
    hold(Arc::clone(plan));
    states
}
