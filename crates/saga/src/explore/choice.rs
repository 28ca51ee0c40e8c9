//! What may happen next, and making it happen.

use events::{By, Json, TaskId};

use super::judge::Status;
use super::participant::{self, Book, Way};
use super::waiting::{self, Comes};
use super::world::{Setting, Told, World};
use crate::decide::Cause;
use crate::input::{Input, Known, Outcome, Verb};
use crate::plan::Slot;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Choice {
    /// It is started with the inputs of that number.
    Start(usize),
    /// The first command on its way for that task arrives.
    Command(String, Way),
    /// A participant answers without what the file reads of it.
    Bare(String),
    /// A late answer comes.
    Late(usize),
    /// An answer comes once more.
    Again(usize),
    /// The broker acknowledges an emitted event.
    Acknowledged(usize),
    /// An event or a signal.
    Comes(Comes),
    /// Nothing until the coordinator wakes.
    Time,
    Cancel,
    Continue,
    Retry(String),
    Skip(String),
    /// An operator says what is true.
    Resolve(String),
}

/// All that may happen, with how much of it is trouble.
pub(super) fn choices(world: &World, setting: &Setting) -> Vec<(Choice, u32)> {
    if world.state.is_none() {
        return (0..setting.samples.starts.len()).map(|start| (Choice::Start(start), 0)).collect();
    }
    let mut all = Vec::new();
    commands(world, setting, &mut all);
    for (at, given) in world.given.iter().enumerate() {
        match given.is_late {
            true => all.push((Choice::Late(at), 0)),
            false => all.push((Choice::Again(at), 1)),
        }
    }
    all.extend((0..world.pending.len()).map(|at| (Choice::Acknowledged(at), 0)));
    let events = waiting::events(world, setting);
    all.extend(events.into_iter().map(|(comes, trouble)| (Choice::Comes(comes), trouble)));
    operator(world, &mut all);
    if world.due().is_some() {
        // Where anything else can go on by itself, waiting so long is a trouble of its own.
        let is_trouble = all.iter().any(|(_, trouble)| *trouble == 0);
        all.push((Choice::Time, u32::from(is_trouble)));
    }
    let is_open = world.judge.ended_at.is_none() && !world.judge.is_compensating;
    if is_open && !world.was_cancelled {
        all.push((Choice::Cancel, 1));
    }
    all
}

fn commands(world: &World, setting: &Setting, all: &mut Vec<(Choice, u32)>) {
    for (task, orders) in &world.orders {
        let Some(order) = orders.first() else { continue };
        let book = world.books.get(task).copied().unwrap_or_default();
        let slot = setting.places.find(task).map(|place| place.slot);
        let outputs = outputs(setting, slot);
        for (way, trouble) in participant::ways(order, book, outputs.len()) {
            all.push((Choice::Command(task.clone(), way), trouble));
        }
        let may_be_bare =
            slot.and_then(|slot| setting.samples.may_be_bare.get(slot)).copied().unwrap_or(false);
        if may_be_bare && order.asks == participant::Asks::Do && book == Book::Nothing {
            all.push((Choice::Bare(task.clone()), 1));
        }
    }
}

fn operator(world: &World, all: &mut Vec<(Choice, u32)>) {
    let judge = &world.judge;
    for (task, status) in &judge.statuses {
        let is_blocked = *status == Status::UndoBlocked;
        let is_asked = judge.is_paused && matches!(status, Status::InDoubt | Status::Failed);
        if is_blocked || is_asked {
            all.push((Choice::Retry(task.clone()), 0));
            all.push((Choice::Resolve(task.clone()), 0));
        }
        if is_blocked || is_asked && *status == Status::Failed {
            all.push((Choice::Skip(task.clone()), 0));
        }
    }
    if judge.is_paused {
        all.push((Choice::Continue, 0));
    }
}

fn outputs(setting: &Setting, slot: Option<Slot>) -> &[Json] {
    slot.and_then(|slot| setting.samples.outputs.get(slot)).map_or(&[], Vec::as_slice)
}

/// Makes it happen.
pub(super) fn happen(world: &mut World, setting: &Setting, choice: &Choice) -> Told {
    match choice {
        Choice::Start(number) => match setting.samples.starts.get(*number) {
            Some(inputs) => world.start(setting, inputs),
            None => Told::default(),
        },
        Choice::Command(task, way) => command(world, setting, task, *way),
        Choice::Bare(task) => bare(world, setting, task),
        Choice::Late(at) | Choice::Again(at) => {
            let Some(given) = world.given.get_mut(*at) else { return Told::default() };
            given.is_late = false;
            let (subject, answer) = (given.subject.clone(), given.answer.clone());
            world.feed(setting, Cause::Input(&Input::Answer { subject, answer }))
        }
        Choice::Acknowledged(at) => {
            if *at >= world.pending.len() {
                return Told::default();
            }
            let pending = world.pending.remove(*at);
            world.feed(setting, Cause::Sent(&pending.event))
        }
        Choice::Comes(comes) => waiting::come(world, setting, comes),
        Choice::Time => world.wake(setting),
        Choice::Cancel => {
            world.was_cancelled = true;
            order(world, setting, Verb::Cancel)
        }
        Choice::Continue => order(world, setting, Verb::Continue),
        Choice::Retry(task) => order(world, setting, Verb::Retry(TaskId::from(task.as_str()))),
        Choice::Skip(task) => {
            let task = TaskId::from(task.as_str());
            order(world, setting, Verb::Skip { task, output: None })
        }
        Choice::Resolve(task) => resolve(world, setting, task),
    }
}

fn command(world: &mut World, setting: &Setting, task: &str, way: Way) -> Told {
    let Some(order) = first(world, task) else { return Told::default() };
    let slot = setting.places.find(task).map(|place| place.slot);
    let book = world.books.get(task).copied().unwrap_or_default();
    let (book, given) = participant::take(&order, way, book, outputs(setting, slot));
    world.books.insert(task.to_owned(), book);
    let Some(given) = given else { return Told::default() };
    world.given.push(given.clone());
    match given.is_late {
        true => Told::default(),
        false => {
            let (subject, answer) = (given.subject, given.answer);
            world.feed(setting, Cause::Input(&Input::Answer { subject, answer }))
        }
    }
}

fn bare(world: &mut World, setting: &Setting, task: &str) -> Told {
    let Some(order) = first(world, task) else { return Told::default() };
    world.judge.is_bare = true;
    let nothing = [Json::from_value(&serde_json::json!({}))];
    let (book, given) = participant::take(&order, Way::Works(0), Book::Nothing, &nothing);
    world.books.insert(task.to_owned(), book);
    let Some(given) = given else { return Told::default() };
    world.given.push(given.clone());
    let (subject, answer) = (given.subject, given.answer);
    world.feed(setting, Cause::Input(&Input::Answer { subject, answer }))
}

fn first(world: &mut World, task: &str) -> Option<participant::Order> {
    let orders = world.orders.get_mut(task)?;
    if orders.is_empty() {
        return None;
    }
    let order = orders.remove(0);
    if orders.is_empty() {
        world.orders.remove(task);
    }
    Some(order)
}

fn order(world: &mut World, setting: &Setting, verb: Verb) -> Told {
    let by = By { actor: "operator".to_owned(), reason: "by hand".to_owned() };
    let workflow = world.id.clone();
    world.feed(setting, Cause::Input(&Input::Operator { workflow, verb, by }))
}

/// An operator who asks the participant, and says what is true.
fn resolve(world: &mut World, setting: &Setting, task: &str) -> Told {
    let id = TaskId::from(task);
    if world.judge.statuses.get(task) == Some(&Status::UndoBlocked) {
        let outcome = Outcome::Undone;
        world.books.insert(task.to_owned(), Book::Undone);
        return order(world, setting, Verb::Resolve { task: id, outcome, output: None });
    }
    let slot = setting.places.find(task).map(|place| place.slot);
    let book = world.books.get(task).copied().unwrap_or_default();
    let (book, known, output) = participant::truth(book, outputs(setting, slot));
    world.books.insert(task.to_owned(), book);
    let outcome = match known {
        Known::Done => Outcome::Done,
        Known::NotDone | Known::Unknown => Outcome::NotDone,
    };
    let output = (outcome == Outcome::Done).then_some(output);
    order(world, setting, Verb::Resolve { task: id, outcome, output })
}
