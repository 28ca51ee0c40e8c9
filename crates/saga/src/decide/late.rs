//! Successes that come late, or broken: docs/reference/compensation.md.

use events::{Json, planted};

use super::undo::Why;
use super::{Draft, Stop, invalid};
use crate::event::Body;
use crate::limits::LATE_UNDO;
use crate::phase::{After, Cover, Phase, TaskError};
use crate::plan::{Role, Slot};
use crate::workflow::Stage;

/// A success of what is undone, or was: it counts once, and where there is something to undo.
pub(super) fn undone_late(draft: &Draft<'_>, slot: Slot) -> Result<(), Stop> {
    let task = draft.task(slot);
    if task.output.is_some() {
        return Err(Stop::Ignored("duplicate"));
    }
    let is_nobodys = draft.task_plan(slot).undo.is_none() && draft.is_forward();
    if is_nobodys && !task.phase.in_flight() {
        return Err(Stop::Ignored("late_success"));
    }
    Ok(())
}

/// A success whose output is not what the file declares, or too large.
pub(super) fn broken(draft: &mut Draft<'_>, slot: Slot, why: TaskError) -> Result<(), Stop> {
    let phase = draft.task(slot).phase;
    if !draft.may_be_in_doubt(slot) && phase.in_flight() {
        draft.fail(slot, why);
    } else if matches!(phase, Phase::Running { .. } | Phase::Retrying { .. }) {
        draft.doubt(slot, why);
    } else if matches!(phase, Phase::Asking { .. } | Phase::AskAgain { .. }) {
        draft.hold(slot, why);
    } else {
        // An operator, or the undo, has it in hand already.
        return Err(Stop::Ignored("broken_output"));
    }
    Ok(())
}

/// Whether it is in doubt because its output was not what the file declares.
pub(super) fn was_broken(draft: &Draft<'_>, slot: Slot) -> bool {
    let error = draft.task(slot).error.as_ref();
    error.is_some_and(|error| matches!(error.code.as_str(), "schema" | "too_large"))
}

/// A success of what its fallback does, or has done: it is undone, and the fallback's counts.
pub(super) fn covered_late(draft: &mut Draft<'_>, slot: Slot, output: &Json) -> Result<(), Stop> {
    let task = draft.task(slot);
    if draft.task_plan(slot).undo.is_none() {
        return Err(Stop::Ignored("late_success"));
    }
    if task.output.is_some() {
        return Err(Stop::Ignored("duplicate"));
    }
    if task.after == After::Nothing {
        let (task, after) = (draft.name(slot), After::Fail);
        draft.push(Body::Reverting { task, after, error: None });
    }
    draft.schedule_undo(slot, Why::Late(output.clone()));
    Ok(())
}

impl Draft<'_> {
    /// A fallback that was said to have failed has worked all the same: while the run goes on, the task is done by
    /// it, as it would be by a late success of its own.
    pub(super) fn cover_again(&mut self, fallback: Slot) {
        let Role::Fallback(of) = self.task_plan(fallback).role else { return };
        let of = self.seen_from(fallback, of);
        // A late success of the task itself may be on its way back yet.
        let is_spent = self.task(of).cover == Cover::Spent && self.is_undoing(of);
        let has_failed = (is_spent || self.loss(of).is_some()) && self.counts(of);
        if has_failed && self.is_forward() && self.is_done(fallback) {
            let (task, cover) = (self.name(of), Cover::Working);
            self.push(Body::Fallback { task, cover });
        }
    }
}

/// A success after the end: the undo is still sent, once, with the real output.
pub(super) fn after_end(draft: &mut Draft<'_>, slot: Slot, output: &Json) -> Result<(), Stop> {
    let Stage::Ended { at, late, .. } = &draft.head.stage else {
        return Err(Stop::Ignored("late_success"));
    };
    let is_late = late.iter().any(|task| task.index() == slot);
    if !is_late || draft.task(slot).output.is_some() || planted("late-result-dropped") {
        return Err(Stop::Ignored("duplicate"));
    }
    if draft.now > at.after(LATE_UNDO) {
        return too_late(draft, draft.task(slot).attempt);
    }
    if draft.is_left_in_doubt(slot) {
        let message = format!(
            "`{}` is reported done after {} ended with it in doubt: it stands, for nothing was undone",
            draft.name(slot).id,
            draft.head.id
        );
        return invalid("late_success", message);
    }
    // What else is listed as late had failed, was cancelled or undone, and stays so until its success is known.
    draft.schedule_undo(slot, Why::Late(output.clone()));
    Ok(())
}

pub(super) fn too_late(draft: &Draft<'_>, attempt: u32) -> Result<(), Stop> {
    let message = format!(
        "attempt {attempt} is reported done too long after {} ended; undo it by hand",
        draft.head.id
    );
    invalid("late_success", message)
}

/// A success while nothing is undone any more, of what was undone without it: it is undone once more, with the
/// output.
pub(super) fn undo_again(draft: &mut Draft<'_>, slot: Slot, output: &Json) -> Result<(), Stop> {
    let task = draft.task(slot);
    let was_undone = draft.head.epoch > 0 || task.undo_went_out();
    let has_undo = draft.task_plan(slot).undo.is_some();
    if task.output.is_some() || !(was_undone && has_undo) || task.attempt == 0 {
        return Err(Stop::Ignored("late_success"));
    }
    draft.schedule_undo(slot, Why::Late(output.clone()));
    Ok(())
}
