//! Events on users' topics and signals: those that a task waits for, and those that come too early, too late
//! or once too often.

use events::Json;

use super::judge::Status;
use super::places::Place;
use super::world::{Setting, Told, World};
use crate::decide::Cause;
use crate::input::{DomainEvent, Input, Signal};
use crate::plan::{Action, AwaitPlan, Awaited, RaceOn, Slot};

/// An event or a signal that comes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Comes {
    /// `topic/Name`, or a signal's name.
    pub(super) name: String,
    pub(super) is_signal: bool,
    /// Whose value it carries, and which of its values.
    pub(super) slot: Slot,
    pub(super) value: usize,
    /// Nothing waits for it now.
    pub(super) is_early: bool,
}

/// What comes while nothing waits for it, of each name.
const UNASKED_MAX: u32 = 1;
/// What comes of each name at all, beside what has been asked for.
const ASKED_MAX: u32 = 6;

/// A name that is waited for.
struct Name {
    name: String,
    is_signal: bool,
    fails: bool,
    slot: Slot,
    in_undo: bool,
}

/// All that may come, with how much of it is trouble.
pub(super) fn events(world: &World, setting: &Setting) -> Vec<(Comes, u32)> {
    let mut all: Vec<(Comes, u32)> = Vec::new();
    for name in names(setting) {
        let came = world.came.get(&name.name).copied().unwrap_or(0);
        let is_awaited = is_awaited(world, setting, &name);
        if !is_awaited && came > UNASKED_MAX || came > ASKED_MAX {
            continue;
        }
        let values = setting.samples.outputs.get(name.slot).map_or(1, |of| of.len().max(1));
        let values = if is_awaited && !name.in_undo { values } else { 1 };
        for value in 0..values {
            let comes = Comes {
                name: name.name.clone(),
                is_signal: name.is_signal,
                slot: name.slot,
                value,
                is_early: !is_awaited,
            };
            let known = all.iter().any(|(other, _)| {
                (&other.name, other.slot, other.value, other.is_signal)
                    == (&comes.name, comes.slot, comes.value, comes.is_signal)
                    || !is_awaited && other.name == comes.name
            });
            if !known {
                all.push((comes, u32::from(!is_awaited || name.fails)));
            }
        }
    }
    all
}

fn is_awaited(world: &World, setting: &Setting, name: &Name) -> bool {
    world.judge.statuses.iter().any(|(task, status)| {
        let wanted = if name.in_undo { Status::Undoing } else { Status::Running };
        *status == wanted
            && setting.places.find(task).is_some_and(|place| {
                place.slot == name.slot && (name.in_undo || !is_decided(world, setting, &place))
            })
    })
}

/// Whether a race is over: what stands in its cases has begun or was passed over.
fn is_decided(world: &World, setting: &Setting, race: &Place) -> bool {
    world.judge.statuses.keys().any(|task| {
        let place = setting.places.find(task);
        place.is_some_and(|place| {
            let parent = setting.plan.tasks.get(place.slot).and_then(|task| task.parent);
            parent == Some(race.slot) && place.elements == race.elements
        })
    })
}

fn names(setting: &Setting) -> Vec<Name> {
    let mut names = Vec::new();
    for (slot, task) in setting.plan.tasks.iter().enumerate() {
        of_action(&task.action, slot, false, &mut names);
        if let Some(undo) = &task.undo {
            of_action(&undo.action, slot, true, &mut names);
        }
    }
    names
}

fn of_action(action: &Action, slot: Slot, in_undo: bool, names: &mut Vec<Name>) {
    let awaited = |awaited: &Awaited| match awaited {
        Awaited::Event(event) => {
            Name { name: event.to_string(), is_signal: false, fails: false, slot, in_undo }
        }
        Awaited::Signal(name) => {
            Name { name: name.clone(), is_signal: true, fails: false, slot, in_undo }
        }
    };
    match action {
        Action::Await(AwaitPlan { awaited: of, failed, .. })
        | Action::Request(_, AwaitPlan { awaited: of, failed, .. }) => {
            names.extend(of.iter().map(awaited));
            names.extend(failed.iter().map(|event| {
                let name = event.to_string();
                Name { name, is_signal: false, fails: true, slot, in_undo }
            }));
        }
        Action::Race { cases } => {
            names.extend(cases.iter().filter_map(|case| match &case.on {
                RaceOn::Event { awaited: of, .. } => Some(awaited(of)),
                RaceOn::After(_) => None,
            }));
        }
        Action::Agent { .. }
        | Action::Emit(_)
        | Action::Wait(_)
        | Action::Choice { .. }
        | Action::Group { .. }
        | Action::Saga { .. }
        | Action::ForEach(_) => {}
    }
}

/// It comes.
pub(super) fn come(world: &mut World, setting: &Setting, comes: &Comes) -> Told {
    let values = setting.samples.outputs.get(comes.slot);
    let value = values.and_then(|values| values.get(comes.value)).cloned();
    let value = value.unwrap_or_else(|| Json::from_value(&serde_json::json!({})));
    let came = world.came.entry(comes.name.clone()).or_default();
    *came += 1;
    let number = *came;
    let workflow = world.id.clone();
    if comes.is_signal {
        let id = format!("{}/{number}", comes.name);
        let signal = Signal { name: comes.name.clone(), data: value, id };
        return world.feed(setting, Cause::Input(&Input::Signal { workflow, signal }));
    }
    let event = DomainEvent {
        name: comes.name.clone(),
        // A partition of its own, so that the order among names is open.
        record: format!("{}/0/{number}", comes.name),
        value,
        key: Some("x".to_owned()),
        headers: Json::from_value(&serde_json::json!({})),
        time: world.now,
    };
    world.feed(setting, Cause::Input(&Input::Seen { workflow, event }))
}
