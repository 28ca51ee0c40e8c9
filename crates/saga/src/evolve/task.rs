//! How events of a task going forward change it.

use events::Timestamp;

use super::Fold;
use crate::event::{Begun, Body, Doubt, Skip, WorkflowEvent};
use crate::phase::{After, Cover, Loss, Passed, Phase, Task, TaskError, TaskRef, Via};
use crate::workflow::Changing;

pub(super) fn fold(into: &mut impl Fold, event: &WorkflowEvent) {
    let time = event.time;
    #[allow(clippy::wildcard_enum_match_arm, reason = "`fold` has chosen among all events")]
    match &event.body {
        Body::TaskScheduled { .. } | Body::TaskBegun { .. } | Body::CasesTaken { .. } => {
            fold_begin(into, event.time, &event.body);
        }
        Body::TaskStarted { task, .. } => {
            if let Phase::Running { heard, .. } = &mut into.task(task.index()).phase {
                *heard = true;
            }
        }
        Body::TaskCompleted { task, output, pivot, by, .. } => {
            into.head().past_pivot |= *pivot;
            let mut task = into.task(task.index());
            if task.cover == Cover::Working {
                // Its fallback has done it; what it gives is the fallback's.
                task.cover = Cover::Worked;
            } else {
                if by.is_some() {
                    stand_again(&mut task);
                }
                adopt(&mut task, output, event.sequence);
            }
        }
        Body::TaskFailed { task, error, .. } => {
            let mut task = into.task(task.index());
            task.error = Some(error.clone());
            if task.cover == Cover::Working {
                task.cover = Cover::Spent;
            }
            // What was undone before its fallback began stays undone.
            if task.after != After::Fail || !was_undone(task.phase) {
                task.phase = Phase::Failed { loss: Loss::Open };
            }
        }
        Body::FailureTaken { task, loss } => taken(&mut into.task(task.index()), *loss),
        Body::Fallback { task, cover } => into.task(task.index()).cover = *cover,
        Body::Reverting { task, after, error } => {
            let mut task = into.task(task.index());
            task.after = *after;
            if error.is_some() {
                task.error.clone_from(error);
            }
        }
        Body::TaskTimedOut { task, .. } => {
            // A group whose time is over while the outcome of a pivot in it is still to come: that decides.
            if let Phase::Open { due } = &mut into.task(task.index()).phase {
                *due = None;
            }
        }
        Body::TaskRetried { task, error, retry_at, doubt, by, .. } => {
            let phase = Phase::Retrying { at: *retry_at, doubt: *doubt };
            let is_undone = was_undone(into.task(task.index()).phase);
            let mut task = settle(into, task, phase, Some(error));
            task.unsure = *doubt;
            if by.is_some() {
                if is_undone {
                    task.begin_anew();
                }
                task.after = After::Nothing;
                task.attempts_from = task.attempt;
                task.ready_at = Some(time);
            }
        }
        Body::TaskInDoubt { .. }
        | Body::TaskSkipped { .. }
        | Body::TaskCancelled { .. }
        | Body::StopOrdered { .. }
        | Body::QueryScheduled { .. }
        | Body::QueryRepeats { .. } => fold_end(into, event.time, &event.body),
        other => panic!("fold-only: {other:?} is no event of a task"),
    }
}

/// How a task begins, or its next attempt.
fn fold_begin(into: &mut impl Fold, time: Timestamp, body: &Body) {
    #[allow(clippy::wildcard_enum_match_arm, reason = "`fold` has chosen among all events")]
    match body {
        Body::TaskScheduled { task, command, until } => {
            let mut task = into.task(task.index());
            task.phase = Phase::Running { deadline: command.due(), heard: false };
            task.attempt = command.n;
            task.ready_at = task.ready_at.or(Some(time));
            task.inputs = Some(command.value.clone());
            task.deadline = *until;
            task.key = Some(command.key.clone());
            task.via = command.via.clone();
        }
        Body::TaskBegun { task, inputs, begun, until, attempt } => {
            let mut task = into.task(task.index());
            task.attempt = *attempt;
            task.ready_at = task.ready_at.or(Some(time));
            task.inputs = Some(inputs.clone());
            task.deadline = *until;
            task.via = Via::Nothing;
            task.phase = match begun {
                Begun::Group { due } => Phase::Open { due: *due },
                Begun::Await { due } => Phase::Running { deadline: *due, heard: true },
                Begun::Wait { until } => Phase::Waiting { until: *until },
                Begun::Race { until } => Phase::Racing { until: *until },
            };
        }
        Body::CasesTaken { task, cases } => {
            let mut task = into.task(task.index());
            task.cases.clone_from(cases);
            if matches!(task.phase, Phase::Racing { .. }) {
                task.phase = Phase::Open { due: task.deadline };
            }
        }
        other => panic!("fold-only: {other:?} begins no task"),
    }
}

/// How a task is left: in doubt, passed over, stopped.
fn fold_end(into: &mut impl Fold, time: Timestamp, body: &Body) {
    #[allow(clippy::wildcard_enum_match_arm, reason = "`fold` has chosen among all events")]
    match body {
        Body::TaskInDoubt { task, doubt, error, .. } => {
            let phase = match doubt {
                Doubt::Undo => Phase::Doubtful,
                Doubt::Query { until } => Phase::AskAgain { at: time, until: *until },
                Doubt::Hold => Phase::Held,
            };
            settle(into, task, phase, Some(error));
        }
        Body::TaskSkipped { task, why, output, .. } => {
            let phase = match why {
                Skip::Upstream | Skip::When | Skip::Case => Phase::Skipped(Passed::Unneeded),
                Skip::Failed => Phase::Skipped(Passed::Behind),
                Skip::Operator => Phase::Skipped(Passed::ByHand),
                Skip::Undo => Phase::Kept,
            };
            let mut task = into.task(task.index());
            match (why, task.after) {
                // Nobody undoes it, so it counts as done, however its failure was taken.
                (Skip::Undo, After::Fail | After::Tolerated | After::Accepted) => {
                    task.after = After::Nothing;
                }
                // A group is not undone by itself: what stands in it stays undone.
                _ if was_undone(task.phase) => stand_again(&mut task),
                _ => {}
            }
            task.phase = phase;
            // What it gave before it was undone counts for nothing; what stands, for what it is.
            if *why != Skip::Undo {
                task.output.clone_from(output);
            }
        }
        Body::TaskCancelled { task, .. } => {
            let mut task = settle(into, task, Phase::Cancelled, None);
            if task.cover == Cover::Working {
                task.cover = Cover::Spent;
            }
        }
        Body::StopOrdered { task, until, .. } => {
            settle(into, task, Phase::Stopping { until: *until }, None);
        }
        Body::QueryScheduled { task, command, until } => {
            let mut task = into.task(task.index());
            task.queries = command.n;
            task.phase = Phase::Asking { deadline: command.deadline, until: *until };
        }
        Body::QueryRepeats { task, at, until } => {
            settle(into, task, Phase::AskAgain { at: *at, until: *until }, None);
        }
        other => panic!("fold-only: {other:?} leaves no task"),
    }
}

/// A failure is dealt with: where it was undone first, it stays so.
pub(super) fn taken(task: &mut Task, loss: Loss) {
    task.accepted |= loss == Loss::Accepted;
    match (task.phase, loss) {
        (Phase::Failed { .. }, loss) => task.phase = Phase::Failed { loss },
        (_, Loss::Accepted) => task.after = After::Accepted,
        (_, Loss::Tolerated) => task.after = After::Tolerated,
        (_, Loss::Open) => {}
    }
}

/// What had failed for good, undone or not, is done or passed over all the same: an operator says so.
fn stand_again(task: &mut Task) {
    let has_failed = was_undone(task.phase) || matches!(task.phase, Phase::Failed { .. });
    if task.after == After::Fail && has_failed {
        task.after = After::Nothing;
    }
}

/// Whether its undo has gone out, whatever has come of it.
fn was_undone(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Undoing { .. }
            | Phase::UndoRetrying { .. }
            | Phase::UndoBlocked
            | Phase::Undone
            | Phase::Kept
    )
}

/// A success becomes known. What was undone without it counts no longer.
pub(super) fn adopt(task: &mut Task, output: &events::Json, sequence: u64) {
    // What failed before is over; of what was said to have failed for good, it is remembered why.
    if task.phase.in_flight() {
        task.error = None;
    }
    task.phase = Phase::Done;
    task.output = Some(output.clone());
    task.finished = sequence;
    task.undos_void = task.undos;
    task.undos_from = task.undos;
}

fn settle<'a>(
    into: &'a mut impl Fold,
    task: &TaskRef,
    phase: Phase,
    error: Option<&TaskError>,
) -> Changing<'a> {
    let mut task = into.task(task.index());
    task.phase = phase;
    if let Some(error) = error {
        task.error = Some(error.clone());
    }
    task
}
