//! What a person orders. An order that does not fit is refused with a code that says why.

use events::{By, Json, Problem, TaskId};

use super::undo::Why;
use super::{Draft, Stop, invalid};
use crate::event::{Body, Skip};
use crate::input::{Outcome, Verb};
use crate::phase::{Loss, Phase, TaskRef};
use crate::plan::Slot;
use crate::workflow::{Origin, Stage, Trouble};

pub(super) fn operator(draft: &mut Draft<'_>, verb: &Verb, by: &By) -> Result<(), Stop> {
    draft.by = Some(by.clone());
    match verb {
        Verb::Cancel => cancel(draft, by),
        Verb::Continue => go_on(draft, by),
        Verb::Retry(task) => {
            let slot = open(draft, task)?;
            retry(draft, slot, by)
        }
        Verb::Skip { task, output } => {
            let slot = open(draft, task)?;
            skip(draft, slot, output.clone(), by)
        }
        Verb::Resolve { task, outcome, output } => {
            let slot = open(draft, task)?;
            resolve(draft, slot, *outcome, output.clone().unwrap_or_else(Json::null), by)
        }
    }
}

/// The task; at rest only an undo that is blocked waits for anybody.
fn open(draft: &Draft<'_>, task: &TaskId) -> Result<Slot, Stop> {
    let slot = draft.find(task)?;
    let is_at_rest = matches!(draft.head.stage, Stage::Ended { .. });
    if is_at_rest && draft.task(slot).phase != Phase::UndoBlocked {
        let message = format!("{} has ended; `{task}` waits for no operator", draft.head.id);
        return invalid("ended", message);
    }
    Ok(slot)
}

fn cancel(draft: &mut Draft<'_>, by: &By) -> Result<(), Stop> {
    match &draft.head.stage {
        Stage::Ended { .. } => return Err(Stop::Ignored("ended")),
        Stage::Compensating(_) | Stage::Failing(_) | Stage::Closing { .. } => {
            return Err(Stop::Ignored("compensating"));
        }
        Stage::Deferred(_) => return Err(Stop::Ignored("already_failing")),
        Stage::Forward => {}
    }
    if draft.head.past_pivot {
        let message = format!("{} is past its pivot and only goes forward", draft.head.id);
        return invalid("past_pivot", message);
    }
    let problem = Problem { task: None, code: "cancelled".to_owned(), message: by.reason.clone() };
    let origin = Origin::Cancel(by.clone());
    draft.trouble(Trouble { origin, problem, decided_by: None });
    Ok(())
}

fn go_on(draft: &mut Draft<'_>, by: &By) -> Result<(), Stop> {
    let phase = |slot: &Slot| draft.task(*slot).phase;
    if draft.head.paused_at.is_none() {
        return invalid("not_paused", format!("{} is not paused", draft.head.id));
    }
    if let Some(slot) = draft.slots().find(|slot| phase(slot) == Phase::Held) {
        let message = format!("`{}` is in doubt; resolve or retry it", draft.name(slot).id);
        return invalid("in_doubt", message);
    }
    let accepted: Vec<TaskRef> = draft
        .slots()
        .filter(|slot| draft.waits_for_a_person(*slot))
        .map(|slot| draft.name(slot))
        .collect();
    draft.push(Body::WorkflowResumed { by: by.clone(), accepted });
    Ok(())
}

/// Whether the workflow waits for an operator because this task has failed.
fn is_paused_on(draft: &Draft<'_>, slot: Slot) -> bool {
    draft.head.paused_at.is_some()
        && draft.loss(slot) == Some(Loss::Open)
        && draft.waits_for_a_person(slot)
}

fn not_waiting<T>(draft: &Draft<'_>, slot: Slot) -> Result<T, Stop> {
    let (task, word) = (&draft.task_plan(slot).id, draft.task(slot).word());
    let message = format!("`{task}` is {word}; no operator is waited for");
    let code = match &draft.head.stage {
        Stage::Compensating(_)
        | Stage::Failing(_)
        | Stage::Closing { .. }
        | Stage::Ended { .. } => "not_blocked",
        Stage::Forward | Stage::Deferred(_) => "not_paused",
    };
    invalid(code, message)
}

fn retry(draft: &mut Draft<'_>, slot: Slot, by: &By) -> Result<(), Stop> {
    let phase = draft.task(slot).phase;
    if phase == Phase::UndoBlocked {
        draft.schedule_undo(slot, Why::ByHand(by.clone()));
        unblock(draft, by);
        return Ok(());
    }
    let is_held = phase == Phase::Held;
    if is_held && !draft.is_forward() {
        let id = draft.name(slot).id;
        let message = format!("`{id}` is not started again while compensating; resolve it");
        return invalid("compensating", message);
    }
    if !is_held && !is_paused_on(draft, slot) {
        return not_waiting(draft, slot);
    }
    if draft.is_group(slot) {
        let id = draft.name(slot).id;
        let message =
            format!("`{id}` is a group, which is not begun again; skip it or go on without it");
        return invalid("group", message);
    }
    do_again(draft, slot, is_held);
    Ok(())
}

fn do_again(draft: &mut Draft<'_>, slot: Slot, doubt: bool) {
    let task = draft.task(slot);
    let error = task.error.clone().unwrap_or_else(|| super::task::error("retry", "by hand"));
    let (attempt, retry_at, by) = (task.attempt, draft.now, draft.by.clone());
    draft.push(Body::TaskRetried { task: draft.name(slot), attempt, error, retry_at, doubt, by });
    draft.schedule(slot);
}

fn skip(draft: &mut Draft<'_>, slot: Slot, output: Option<Json>, by: &By) -> Result<(), Stop> {
    let phase = draft.task(slot).phase;
    let why = if phase == Phase::UndoBlocked {
        Skip::Undo
    } else if is_paused_on(draft, slot) {
        Skip::Operator
    } else if phase == Phase::Held {
        let message = format!("`{}` is in doubt; resolve or retry it", draft.name(slot).id);
        return invalid("in_doubt", message);
    } else {
        return not_waiting(draft, slot);
    };
    let output = output.filter(|_| why == Skip::Operator);
    if let Some(output) = &output {
        fits(draft, slot, output)?;
    }
    if why == Skip::Undo && matches!(draft.head.stage, Stage::Ended { .. }) {
        // Only undo events may follow the end, and none says this.
        return invalid("ended", "the run has ended; retry the undo or resolve it as undone");
    }
    let by_whom = Some(by.clone());
    draft.push(Body::TaskSkipped { task: draft.name(slot), why, output, by: by_whom });
    if why == Skip::Undo {
        unblock(draft, by);
    }
    Ok(())
}

fn resolve(
    draft: &mut Draft<'_>,
    slot: Slot,
    outcome: Outcome,
    output: Json,
    by: &By,
) -> Result<(), Stop> {
    let phase = draft.task(slot).phase;
    let is_doubt = matches!(phase, Phase::Held | Phase::Asking { .. } | Phase::AskAgain { .. })
        && !matches!(draft.head.stage, Stage::Ended { .. });
    match (outcome, phase) {
        (Outcome::Undone, Phase::UndoBlocked) => {
            let n = draft.task(slot).undos;
            draft.undone(slot, n, false, Some(by.clone()));
            unblock(draft, by);
        }
        (Outcome::Done, _) if is_doubt || is_paused_on(draft, slot) => {
            if !matches!(draft.head.stage, Stage::Compensating(_)) {
                fits(draft, slot, &output)?;
            }
            draft.succeed(slot, output, Some(by.clone()));
        }
        (Outcome::NotDone, _) if is_doubt => draft.not_done(slot, Some(by.clone())),
        (Outcome::Undone, _) => {
            let word = draft.task(slot).word();
            let message = format!("`{}` is {word}; no undo of it is blocked", draft.name(slot).id);
            return invalid("not_blocked", message);
        }
        (Outcome::Done | Outcome::NotDone, _) => {
            let word = draft.task(slot).word();
            let message = format!("`{}` is {word}, not in doubt", draft.name(slot).id);
            return invalid("not_in_doubt", message);
        }
    }
    Ok(())
}

/// What a person states must have the shape that the file declares.
fn fits(draft: &Draft<'_>, slot: Slot, output: &Json) -> Result<(), Stop> {
    match draft.broken(slot, output) {
        Some(error) => invalid(&error.code, error.message),
        None => Ok(()),
    }
}

/// Says that the operator has chosen, once nothing is blocked any more.
fn unblock(draft: &mut Draft<'_>, by: &By) {
    let is_live = !matches!(draft.head.stage, Stage::Ended { .. });
    if is_live && !draft.is_blocked() && draft.head.paused_at.is_none() {
        draft.push(Body::WorkflowResumed { by: by.clone(), accepted: Vec::new() });
    }
}
