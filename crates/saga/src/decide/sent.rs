//! The broker has acknowledged what followed from an event: what was emitted is done.

use super::{Draft, Stop};
use crate::event::{Body, WorkflowEvent};
use crate::phase::Phase;

pub(super) fn sent(draft: &mut Draft<'_>, event: &WorkflowEvent) -> Result<(), Stop> {
    if event.run != draft.head.run {
        return Err(Stop::Ignored("old_run"));
    }
    #[allow(clippy::wildcard_enum_match_arm, reason = "only these want to be told")]
    match &event.body {
        Body::TaskScheduled { task, command, .. } => {
            let slot = task.index();
            match draft.task(slot).phase {
                Phase::Running { .. }
                | Phase::Retrying { .. }
                | Phase::Stopping { .. }
                | Phase::Held
                | Phase::Doubtful
                    if draft.task(slot).attempt >= command.n =>
                {
                    draft.succeed(slot, events::Json::null(), None);
                    Ok(())
                }
                _ => Err(Stop::Ignored("late_ack")),
            }
        }
        Body::UndoScheduled { task, command, .. } => {
            super::answer::undone(draft, task.index(), command.n, false)
        }
        _ => Err(Stop::Ignored("no_ack_wanted")),
    }
}
