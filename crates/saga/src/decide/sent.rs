//! The broker has acknowledged what followed from an event: what was emitted is done.

use super::{Draft, Stop};
use crate::event::{Body, WorkflowEvent};

pub(super) fn sent(draft: &mut Draft<'_>, event: &WorkflowEvent) -> Result<(), Stop> {
    if event.run != draft.head.run {
        return Err(Stop::Ignored("old_run"));
    }
    #[allow(clippy::wildcard_enum_match_arm, reason = "only these want to be told")]
    match &event.body {
        Body::TaskScheduled { task, command, .. } => {
            let slot = task.index();
            let task = draft.task(slot);
            let is_earlier = task.earlier.is_some_and(|earlier| command.n <= earlier.attempts);
            if is_earlier || task.attempt < command.n {
                return Err(Stop::Ignored("late_ack"));
            }
            super::answer::completed(draft, slot, &events::Json::null())
        }
        Body::UndoScheduled { task, command, .. } => {
            super::answer::undone(draft, task.index(), command.n, false)
        }
        _ => Err(Stop::Ignored("no_ack_wanted")),
    }
}
