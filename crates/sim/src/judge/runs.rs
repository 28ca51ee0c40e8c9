//! The public events, run by run, as any client would read them.

use std::collections::{BTreeMap, BTreeSet};

use events::{How, Lifecycle, Run, TaskId, What, WorkflowId, header};
use saga::{Kind, OnBlocked, Plan};

use crate::sagas::{Deployed, of_version};
use crate::store::Store;
use crate::user::Asked;

/// The events of one run, in their order.
pub(super) type Runs = BTreeMap<(WorkflowId, Run), Vec<Lifecycle>>;

/// Reads the topic; a reader that has seen (run, n) skips n and below.
pub(super) fn read(store: &Store, broken: &mut Vec<String>) -> Runs {
    let mut runs = Runs::new();
    let Some(topic) = store.topic(&store.topics.events()) else { return runs };
    for record in store.logs[topic].parts.iter().flat_map(|part| &part.records) {
        let name = record.header_text(header::TYPE).unwrap_or_default();
        let value = record.value.as_deref().unwrap_or_default();
        let event = events::unframe(value).and_then(|(_, datum)| Lifecycle::decode(name, datum));
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                broken.push(format!("{} can not be read: {error}", record.place));
                continue;
            }
        };
        let run = runs.entry((event.workflow.clone(), event.run)).or_default();
        let next = u64::try_from(run.len()).unwrap_or(u64::MAX) + 1;
        if event.sequence == next {
            run.push(event);
        } else if event.sequence > next {
            broken.push(format!(
                "a gap: {} run {:?} goes from {} to {}",
                event.workflow,
                event.run,
                next - 1,
                event.sequence
            ));
        } else if run.get(usize::try_from(event.sequence).unwrap_or(0).wrapping_sub(1))
            != Some(&event)
        {
            broken.push(format!(
                "same-again: {} run {:?}, event {} has two bodies",
                event.workflow, event.run, event.sequence
            ));
        }
    }
    runs
}

/// The saga of a run, in the version that its first event names.
pub(super) fn saga_of<'s>(sagas: &'s [Deployed], events: &[Lifecycle]) -> Option<&'s Deployed> {
    let first = events.first()?;
    of_version(sagas, first.saga.as_str(), first.version.as_str())
}

/// Whether a run has ended with it.
pub(super) fn is_end(what: &What) -> bool {
    matches!(
        what,
        What::WorkflowCompleted { .. }
            | What::WorkflowFailed { .. }
            | What::WorkflowCancelled { .. }
    )
}

/// The status that a run ends with, where it does by this.
pub(super) fn end_of(what: &What) -> Option<&'static str> {
    if let What::WorkflowFailed { how, .. } = what {
        return Some(match how {
            How::Failed => "failed",
            How::Compensated => "compensated",
            How::Partial => "partial",
        });
    }
    if matches!(what, What::WorkflowCancelled { .. }) {
        return Some("cancelled");
    }
    matches!(what, What::WorkflowCompleted { .. }).then_some("completed")
}

pub(super) fn judge(runs: &Runs, sagas: &[Deployed], asked: &Asked, broken: &mut Vec<String>) {
    for workflow in &asked.workflows {
        let count = runs.keys().filter(|(id, _)| id == workflow).count();
        if count != 1 {
            broken.push(format!("{workflow} was asked for once, and has {count} runs"));
        }
    }
    for ((workflow, run), events) in runs {
        let Some(saga) = saga_of(sagas, events) else {
            broken.push(format!("{workflow} is of no saga"));
            continue;
        };
        let mut say = |what: String| broken.push(format!("{workflow} run {}: {what}", run.0));
        if !matches!(events.first().map(|first| &first.what), Some(What::WorkflowStarted { .. })) {
            say("does not begin with its start".to_owned());
        }
        let whats: Vec<&What> = events.iter().map(|event| &event.what).collect();
        ends(&whats, &mut say);
        once(&whats, &mut say);
        forward_before_back(&whats, &saga.plan, &mut say);
        undo_order(&whats, &saga.plan, &mut say);
    }
}

fn ends(whats: &[&What], say: &mut impl FnMut(String)) {
    let ends = whats.iter().filter(|what| is_end(what)).count();
    let blocked = whats
        .iter()
        .any(|what| matches!(what, What::CompensationBlocked { .. } | What::WorkflowPaused { .. }));
    if ends > 1 || ends == 0 && !blocked {
        say(format!("one-end: it has {ends}"));
    }
    let Some(end) = whats.iter().position(|what| is_end(what)) else { return };
    let late = whats[end + 1..].iter().find(|what| {
        !matches!(
            what,
            What::UndoScheduled { .. }
                | What::UndoCompleted { .. }
                | What::UndoFailed { .. }
                | What::CompensationBlocked { .. }
        )
    });
    if let Some(late) = late {
        say(format!("one-end: after the end comes {late:?}"));
    }
}

/// What is behind the id of a task whose fallback this is.
const FALLBACK: &str = "~fallback";

/// An answer counts once; a task whose late success was undone is done anew by its fallback.
fn once(whats: &[&What], say: &mut impl FnMut(String)) {
    let mut completed: BTreeSet<(&TaskId, u32, bool)> = BTreeSet::new();
    for what in whats {
        let What::TaskCompleted { task, attempt, .. } = what else { continue };
        // Of an element it is `task~fallback[2]`.
        let of_it = |id: &str| id.contains(FALLBACK) && id.replace(FALLBACK, "") == task.as_str();
        let by_fallback = completed.iter().any(|(other, ..)| of_it(other.as_str()));
        if !completed.insert((task, *attempt, by_fallback)) {
            say(format!("{task} {attempt} is completed twice"));
        }
    }
}

/// From CompensationStarted on there are only undos.
fn forward_before_back(whats: &[&What], plan: &Plan, say: &mut impl FnMut(String)) {
    if !plan.on_failure.then.is_empty() {
        return;
    }
    let back = whats.iter().position(|what| matches!(what, What::CompensationStarted { .. }));
    let Some(back) = back else { return };
    for what in &whats[back..] {
        if let What::TaskScheduled { task, attempt, .. } = what {
            say(format!("undo-order: {task} {attempt} is begun after compensation has"));
        }
    }
}

/// Where a task's undo begins, and where it is over: done, or given up by an operator.
fn undone_at(whats: &[&What], task: &TaskId) -> (Option<usize>, Option<usize>) {
    let begins = |what: &&What| matches!(what, What::UndoScheduled { task: of, .. } if of == task);
    let begun = whats.iter().position(begins);
    let is_over = |what: &What| matches!(what, What::UndoCompleted { task: of, .. } if of == task);
    let is_given_up =
        |what: &What| matches!(what, What::TaskSkipped { task: of, .. } if of == task);
    let ends = |(at, what): (usize, &&What)| {
        is_over(what) || is_given_up(what) && begun.is_some_and(|begun| at > begun)
    };
    let over = whats.iter().enumerate().position(ends);
    (begun, over)
}

/// Whether a task has begun with it.
pub(super) fn begins(what: &What, task: &TaskId) -> bool {
    matches!(
        what,
        What::TaskScheduled { task: of, .. } | What::TaskStarted { task: of, .. } if of == task
    )
}

/// Whether an undo of a task has failed for good.
fn is_blocked(whats: &[&What], task: &TaskId) -> bool {
    let fails = |what: &&What| matches!(what, What::UndoFailed { task: of, retry_at: None, .. } if of == task);
    whats.iter().any(fails)
}

/// A task is undone after all that depended on it.
fn undo_order(whats: &[&What], plan: &Plan, say: &mut impl FnMut(String)) {
    for task in &plan.tasks {
        let (begun, _) = undone_at(whats, &task.id);
        let Some(begun) = begun else { continue };
        if task.kind == Kind::ReadOnly {
            say(format!("undo-order: {} changes nothing, and is undone", task.id));
        }
        for later in task.dependents.iter().filter_map(|slot| plan.tasks.get(*slot)) {
            let (later_begun, later_over) = undone_at(whats, &later.id);
            // What is blocked may be passed by.
            let goes_on = plan.compensation.on_blocked == OnBlocked::GoOn;
            let passes_by = goes_on && is_blocked(whats, &later.id);
            let before_its_end = later_over.is_none_or(|over| over > begun) && !passes_by;
            // One that was undone only later, after a late answer, was not known to have run.
            if later_begun.is_some_and(|at| at < begun) && before_its_end {
                say(format!("undo-order: {} is undone before {} is", task.id, later.id));
            }
        }
        let began = whats.iter().any(|what| begins(what, &task.id));
        if !began {
            say(format!("undo-order: {} never began, and is undone", task.id));
        }
    }
}
