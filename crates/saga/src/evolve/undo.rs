//! How events of an undo change its task.

use super::Fold;
use crate::event::Body;
use crate::phase::Phase;

pub(super) fn fold(into: &mut impl Fold, body: &Body) {
    #[allow(clippy::wildcard_enum_match_arm, reason = "`fold` has chosen among all events")]
    match body {
        Body::UndoScheduled { task, command, late_output, by } => {
            let mut task = into.task(task.index());
            if let Some(output) = late_output {
                let finished = task.finished;
                super::task::adopt(&mut task, output, finished);
            }
            if by.is_some() {
                task.undos_from = task.undos;
            }
            task.undos = command.n;
            task.phase = Phase::Undoing { deadline: command.due() };
            task.undo = Some(command.clone());
        }
        Body::UndoCompleted { task, place, .. } => {
            let mut task = into.task(task.index());
            task.finished = place.unwrap_or(task.finished);
            task.phase = Phase::Undone;
            task.undo = None;
        }
        Body::UndoFailed { task, n, error, retry_at, .. } => {
            let mut task = into.task(task.index());
            task.undos = *n;
            task.error = Some(error.clone());
            task.phase = retry_at.map_or(Phase::UndoBlocked, |at| Phase::UndoRetrying { at });
        }
        other => panic!("fold-only: {other:?} is no event of an undo"),
    }
}
