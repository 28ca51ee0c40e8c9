//! The participants' books against the public events: what a run says that it did, was done.

use std::collections::{BTreeMap, BTreeSet};

use events::{AgentName, How, Run, Subject, TaskId, What, WorkflowId};
use saga::{Action, Plan};

use super::runs::{Runs, begins, is_end, saga_of};
use crate::agents::operations;
use crate::book::{Book, Effect};
use crate::sagas::Deployed;

/// What a task has come to, by the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Net {
    done: u32,
    undone: u32,
}

type Nets = BTreeMap<(WorkflowId, Run), BTreeMap<TaskId, Net>>;

pub(super) fn judge(
    runs: &Runs,
    sagas: &[Deployed],
    books: &BTreeMap<AgentName, Book>,
    broken: &mut Vec<String>,
) {
    let mut nets = Nets::new();
    for (agent, book) in books {
        let mut keys: BTreeMap<String, Net> = BTreeMap::new();
        for effect in book.effects() {
            take(agent, &effect, (&mut keys, &mut nets), broken);
            of_its_version(agent, &effect, (runs, sagas), broken);
        }
    }
    for (run, tasks) in &nets {
        if !runs.contains_key(run) {
            broken.push(format!("{run:?} has effects, and no events: {tasks:?}"));
        }
    }
    for (run, events) in runs {
        let Some(saga) = saga_of(sagas, events) else { continue };
        let tasks = nets.get(run).cloned().unwrap_or_default();
        let whats: Vec<&What> = events.iter().map(|event| &event.what).collect();
        let mut say = |what: String| broken.push(format!("{} run {}: {what}", run.0, run.1.0));
        phantoms(&whats, &tasks, &mut say);
        completions(&whats, &saga.plan, &tasks, &mut say);
        ends(&whats, &saga.plan, &tasks, &mut say);
    }
}

fn take(
    agent: &AgentName,
    effect: &Effect,
    (keys, nets): (&mut BTreeMap<String, Net>, &mut Nets),
    broken: &mut Vec<String>,
) {
    let Ok(subject) = effect.subject.parse::<Subject>() else {
        broken.push(format!("{agent} has worked on {effect:?}, which is no subject"));
        return;
    };
    let key = keys.entry(effect.key.clone()).or_default();
    let run = nets.entry((subject.workflow.clone(), subject.run)).or_default();
    let task = run.entry(subject.task.clone()).or_default();
    for net in [&mut *key, task] {
        if effect.is_undo {
            net.undone += 1;
        } else {
            net.done += 1;
        }
    }
    if key.done > 1 || key.undone > 1 {
        broken.push(format!("{agent}: {} has happened twice: {key:?}", effect.key));
    }
}

/// A run does, and undoes, what the version names that it began with.
fn of_its_version(
    agent: &AgentName,
    effect: &Effect,
    (runs, sagas): (&Runs, &[Deployed]),
    broken: &mut Vec<String>,
) {
    let Ok(subject) = effect.subject.parse::<Subject>() else { return };
    let events = runs.get(&(subject.workflow, subject.run));
    let Some(saga) = events.and_then(|events| saga_of(sagas, events)) else { return };
    let known = operations(agent, std::slice::from_ref(saga));
    if !known.contains_key(&(effect.operation.clone(), effect.is_undo)) {
        broken.push(format!("{agent}: {effect:?} is of another version than its run"));
    }
}

/// No effect without a command that the run tells of.
fn phantoms(whats: &[&What], tasks: &BTreeMap<TaskId, Net>, say: &mut impl FnMut(String)) {
    for (task, net) in tasks {
        let begun = whats.iter().any(|what| begins(what, task));
        if !begun {
            say(format!("{task} has effects, and was never begun: {net:?}"));
        }
    }
}

/// What is said to be done was done.
fn completions(
    whats: &[&What],
    plan: &Plan,
    tasks: &BTreeMap<TaskId, Net>,
    say: &mut impl FnMut(String),
) {
    for what in whats {
        let (task, wanted) = if let What::TaskCompleted { task, by: None, .. } = what {
            (task, "done")
        } else if let What::UndoCompleted { task, by: None, nothing: false, .. } = what {
            (task, "undone")
        } else {
            continue;
        };
        let of_agent = plan.slot(task.as_str()).and_then(|slot| plan.tasks.get(slot));
        let of_agent = of_agent.is_some_and(|task| matches!(task.action, Action::Agent { .. }));
        let net = tasks.get(task).copied().unwrap_or_default();
        // What its fallback has done counts as done.
        let covered = TaskId::from(format!("{task}~fallback").as_str());
        let of_agent = of_agent && !whats.iter().any(|what| begins(what, &covered));
        let happened =
            if wanted == "done" { net.done > 0 } else { net.undone > 0 || net.done == 0 };
        if of_agent && !happened {
            say(format!("{task} is said to be {wanted}, and is not: {net:?}"));
        }
    }
}

fn ends(whats: &[&What], plan: &Plan, tasks: &BTreeMap<TaskId, Net>, say: &mut impl FnMut(String)) {
    let Some(end) = whats.iter().find(|what| is_end(what)) else { return };
    let (stands, in_doubt, how) = if let What::WorkflowFailed { how, stands, in_doubt, .. } = end {
        (stands, in_doubt, Some(*how))
    } else if let What::WorkflowCancelled { stands, in_doubt, .. } = end {
        (stands, in_doubt, None)
    } else {
        completed(whats, tasks, say);
        return;
    };
    let told: BTreeSet<&TaskId> = stands.iter().chain(in_doubt).collect();
    let blocked: BTreeSet<&TaskId> = whats
        .iter()
        .filter_map(|what| {
            if let What::UndoFailed { task, retry_at: None, .. } = what { Some(task) } else { None }
        })
        .collect();
    for (task, net) in tasks {
        let has_undo = plan.tasks.iter().any(|one| one.id == *task && one.undo.is_some());
        let remains = net.done > net.undone;
        if remains && has_undo && !told.contains(task) && !blocked.contains(task) {
            say(format!("{task} stands ({net:?}), and the end does not say so: {how:?}"));
        }
    }
    let undoable = |id: &&TaskId| plan.tasks.iter().any(|it| it.id == **id && it.undo.is_some());
    if how == Some(How::Compensated)
        && let Some(stands) = stands.iter().find(undoable)
    {
        say(format!("it is compensated, and {stands} stands"));
    }
}

/// What a completed run has done, and not undone, stands.
fn completed(whats: &[&What], tasks: &BTreeMap<TaskId, Net>, say: &mut impl FnMut(String)) {
    for (task, net) in tasks {
        let was_undone = whats
            .iter()
            .any(|what| matches!(what, What::UndoScheduled { task: of, .. } if of == task));
        if net.undone > 0 && !was_undone {
            say(format!("{task} was undone, and nobody said so: {net:?}"));
        }
    }
}
