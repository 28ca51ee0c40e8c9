//! A run told in plain words.

use events::What;

use super::Step;
use super::choice::{Choice, happen};
use super::participant::{Asks, Given, Way};
use super::waiting::Comes;
use super::words;
use super::world::{Setting, World};
use crate::input::{Answer, Known};
use crate::plan::{Action, Role};

/// Runs it once more, and writes down what happens.
pub(super) fn tell(setting: &Setting, run: &[Choice]) -> Vec<Step> {
    let mut world = World::new(setting);
    let mut steps = Vec::new();
    for choice in run {
        let told_before = told_by(&world, setting, choice);
        let due = world.due();
        let now = world.now;
        let told = happen(&mut world, setting, choice);
        let lifecycle = told.events.iter().filter_map(crate::Event::lifecycle);
        let told_events: Vec<What> = lifecycle.map(|event| event.what).collect();
        let what = match choice {
            Choice::Time => waited(&world, &told_events, due.map(|at| at.since(now))),
            Choice::Start(_)
            | Choice::Command(..)
            | Choice::Bare(_)
            | Choice::Late(_)
            | Choice::Again(_)
            | Choice::Acknowledged(_)
            | Choice::Comes(_)
            | Choice::Cancel
            | Choice::Continue
            | Choice::Retry(_)
            | Choice::Skip(_)
            | Choice::Resolve(_) => told_before,
        };
        let mut events: Vec<String> = told_events.iter().map(words::event).collect();
        if told.is_broken {
            events.push("pavane itself fails".to_owned());
        }
        steps.push(Step { what, events });
    }
    steps
}

/// Time has passed: for whom too much of it.
fn waited(world: &World, events: &[What], waited: Option<std::time::Duration>) -> String {
    let span = waited.map(words::span).unwrap_or_default();
    let mut silent: Vec<String> = Vec::new();
    for what in events {
        if let What::TaskTimedOut { task, .. } = what {
            silent.push(format!("`{task}` times out"));
        } else if let What::UndoFailed { task, code, .. } = what
            && code == "timeout"
        {
            silent.push(format!("the undo of `{task}` times out"));
        }
    }
    if silent.is_empty() {
        let rest = if world.judge.ended_at.is_some() { ", after the end" } else { "" };
        return format!("{span} pass{rest}");
    }
    format!("{span} pass: {}", silent.join(", "))
}

fn told_by(world: &World, setting: &Setting, choice: &Choice) -> String {
    match choice {
        Choice::Start(number) => {
            let inputs = setting.samples.starts.get(*number);
            format!("it starts with {}", inputs.map_or("{}", |inputs| inputs.as_str()))
        }
        Choice::Command(task, way) => command(world, setting, task, *way),
        Choice::Bare(task) => {
            format!("{}: done, with an output that lacks what is read of it", who(setting, task))
        }
        Choice::Late(at) => late(world, *at, "a late answer comes"),
        Choice::Again(at) => late(world, *at, "an answer comes once more"),
        Choice::Acknowledged(at) => {
            let task = world.pending.get(*at).map(|pending| {
                let undo = if pending.is_undo { "the undo of " } else { "" };
                format!("{undo}`{}`", pending.task)
            });
            format!("the event of {} is on its topic", task.unwrap_or_default())
        }
        Choice::Comes(comes) => event(setting, comes),
        Choice::Time => String::new(),
        Choice::Cancel => "an operator cancels".to_owned(),
        Choice::Continue => "an operator says: go on without what has failed".to_owned(),
        Choice::Retry(task) => format!("an operator says: try `{task}` again"),
        Choice::Skip(task) => format!("an operator says: pass `{task}` over"),
        Choice::Resolve(task) => format!("an operator looks how `{task}` stands, and says so"),
    }
}

/// Who does a task.
fn who(setting: &Setting, task: &str) -> String {
    let place = setting.places.find(task);
    let plan = place.and_then(|place| setting.plan.tasks.get(place.slot));
    let is_plain = plan.is_some_and(|plan| plan.role != Role::Item);
    let doer = plan.and_then(|plan| match &plan.action {
        Action::Agent { agent, .. } => Some(agent.to_string()),
        Action::Saga { saga, .. } => Some(format!("the child saga {saga}")),
        Action::Emit(_)
        | Action::Await(_)
        | Action::Request(..)
        | Action::Wait(_)
        | Action::Choice { .. }
        | Action::Race { .. }
        | Action::Group { .. }
        | Action::ForEach(_) => None,
    });
    match doer {
        Some(doer) if is_plain && doer == task => format!("{task} answers"),
        Some(doer) => format!("{doer} answers for `{task}`"),
        None => format!("`{task}`"),
    }
}

fn command(world: &World, setting: &Setting, task: &str, way: Way) -> String {
    let Some(order) = world.orders.get(task).and_then(|orders| orders.first()) else {
        return String::new();
    };
    let of = match order.asks {
        Asks::Do => "",
        Asks::Undo => " its undo",
        Asks::Query => " whether it was done",
        Asks::Stop => " the cancel",
    };
    let who = who(setting, task);
    let asked = |word: &str| match order.asks {
        Asks::Do => format!("{who}: {word}"),
        Asks::Undo | Asks::Query | Asks::Stop => format!("{who}{of}: {word}"),
    };
    match (way, order.asks) {
        (Way::Works(number), _) => {
            let place = setting.places.find(task);
            let outputs = place.and_then(|place| setting.samples.outputs.get(place.slot));
            match outputs {
                Some(outputs) if outputs.len() > 1 => {
                    let output = outputs.get(usize::from(number));
                    asked(&format!("done, {}", output.map_or("", |output| output.as_str())))
                }
                Some(_) | None => asked("done"),
            }
        }
        (Way::WorksUnheard(_), Asks::Undo) => {
            format!("`{task}` is undone, and no answer comes yet")
        }
        (Way::WorksUnheard(_), _) => format!("`{task}` is done, and no answer comes yet"),
        (Way::Fails, _) => asked("failed, for good"),
        (Way::FailsForNow, _) => asked("failed, another attempt may work"),
        (Way::IsUnsure(true), _) => asked("failed, with unknown effects; it was done"),
        (Way::IsUnsure(false), _) => asked("failed, with unknown effects; it was not done"),
        (Way::AsItStands, Asks::Query) => asked("the truth"),
        (Way::AsItStands, Asks::Undo) => asked("undone"),
        (Way::AsItStands, Asks::Stop) => asked("stopped, if it was not done"),
        (Way::AsItStands, Asks::Do) => asked("as it answered before"),
        (Way::CannotSay, _) => asked("unknown"),
        (Way::Overhears, _) => format!("the cancel of `{task}` is not listened to"),
    }
}

fn late(world: &World, at: usize, how: &str) -> String {
    let Some(Given { subject, answer, .. }) = world.given.get(at) else { return String::new() };
    let said = match answer {
        Answer::Completed(_) => "done",
        Answer::Failed(_) => "failed",
        Answer::NothingToUndo => "nothing to undo",
        Answer::Status { status: Known::Done, .. } => "it was done",
        Answer::Status { status: Known::NotDone, .. } => "it was not done",
        Answer::Status { status: Known::Unknown, .. } => "unknown",
        Answer::Progress { .. } => "working",
    };
    let kind = super::participant::kind_word(subject.kind);
    format!("{how} from `{}`{kind}: {said}", subject.task)
}

fn event(setting: &Setting, comes: &Comes) -> String {
    let what = if comes.is_signal { "the signal" } else { "the event" };
    let values = setting.samples.outputs.get(comes.slot);
    let value = match values {
        Some(values) if values.len() > 1 => {
            values.get(comes.value).map_or_else(String::new, |value| format!(" {value}"))
        }
        Some(_) | None => String::new(),
    };
    let early = if comes.is_early { ", which nothing waits for now" } else { "" };
    format!("{what} {}{value} comes{early}", comes.name)
}
