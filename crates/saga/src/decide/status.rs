//! What a task's phase means for those around it.

use super::Draft;
use crate::phase::{After, Cover, Loss, Passed, Phase};
use crate::plan::{Action, Role, Slot};

impl Draft<'_> {
    /// Whether it holds others, or waits for one of them: nothing is sent for it.
    pub(crate) fn is_group(&self, slot: Slot) -> bool {
        match self.task_plan(slot).action {
            Action::Choice { .. }
            | Action::Race { .. }
            | Action::Group { .. }
            | Action::ForEach(_) => true,
            Action::Agent { .. }
            | Action::Emit(_)
            | Action::Await(_)
            | Action::Request(..)
            | Action::Wait(_)
            | Action::Saga { .. } => false,
        }
    }

    /// How it has failed, whether or not it was undone then.
    pub(crate) fn loss(&self, slot: Slot) -> Option<Loss> {
        let task = self.task(slot);
        if matches!(task.cover, Cover::Working | Cover::Worked) {
            return None;
        }
        match (task.phase, task.after) {
            // Nobody wants it any more.
            (_, After::Cancel) => None,
            (_, After::Tolerated) => Some(Loss::Tolerated),
            (_, After::Accepted) => Some(Loss::Accepted),
            (Phase::Failed { loss }, _) => Some(loss),
            (Phase::Undone | Phase::Kept | Phase::Cancelled, After::Fail) => Some(Loss::Open),
            _ => None,
        }
    }

    /// Nothing more will come of it, and nobody need deal with it. What is undone is so once that is over.
    pub(crate) fn is_settled(&self, slot: Slot) -> bool {
        let task = self.task(slot);
        match task.cover {
            Cover::Working => return false,
            Cover::Worked => return !self.is_undoing(slot),
            Cover::Uncalled | Cover::Spent => {}
        }
        if self.loss(slot) == Some(Loss::Open) {
            return false;
        }
        match task.phase {
            Phase::Done => task.after == After::Nothing || self.is_over(slot),
            Phase::Skipped(_)
            | Phase::Failed { .. }
            | Phase::Cancelled
            | Phase::Undone
            | Phase::Kept => true,
            Phase::Pending
            | Phase::Running { .. }
            | Phase::Retrying { .. }
            | Phase::Asking { .. }
            | Phase::AskAgain { .. }
            | Phase::Held
            | Phase::Stopping { .. }
            | Phase::Doubtful
            | Phase::Undoing { .. }
            | Phase::UndoRetrying { .. }
            | Phase::UndoBlocked
            | Phase::Open { .. }
            | Phase::Waiting { .. }
            | Phase::Racing { .. } => false,
        }
    }

    /// It has worked, by itself or by its fallback; then once a late success of its own is undone.
    pub(crate) fn is_done(&self, slot: Slot) -> bool {
        let task = self.task(slot);
        let stands =
            matches!(task.phase, Phase::Done | Phase::Kept) && task.after == After::Nothing;
        stands || task.cover == Cover::Worked && !self.is_undoing(slot)
    }

    /// Its undo has gone out, and is not over.
    pub(super) fn is_undoing(&self, slot: Slot) -> bool {
        let phase = self.task(slot).phase;
        matches!(phase, Phase::Undoing { .. } | Phase::UndoRetrying { .. } | Phase::UndoBlocked)
    }

    /// Whether it, or something in it, is being undone, or is about to be.
    pub(super) fn is_turning_back(&self, around: Slot) -> bool {
        let turns = |slot: Slot| self.is_undoing(slot) || self.is_owed(slot);
        !self.is_plain() && self.slots().any(|slot| self.is_within(slot, around) && turns(slot))
    }

    /// It was passed over, and so is what depends on nothing else.
    pub(crate) fn is_skipped(&self, slot: Slot) -> bool {
        matches!(self.task(slot).phase, Phase::Skipped(Passed::Unneeded | Passed::Behind))
    }

    /// Whether it, or a group around it, is undone, or was, while the workflow goes on.
    pub(crate) fn is_reverted(&self, slot: Slot) -> bool {
        let own = self.task(slot).after != After::Nothing;
        own || self.around_placed(slot).any(|(group, takes_its_place)| {
            match self.task(group).after {
                After::Cancel => true,
                After::Fail => !takes_its_place,
                After::Nothing | After::Tolerated | After::Accepted | After::Drop => false,
            }
        })
    }

    /// Whether a group is being stopped and undone.
    pub(crate) fn is_reverting(&self, group: Slot) -> bool {
        let task = self.task(group);
        let is_open = matches!(task.phase, Phase::Open { .. } | Phase::Racing { .. });
        is_open && matches!(task.after, After::Fail | After::Cancel | After::Drop)
            || task.cover == Cover::Working && task.after == After::Cancel
    }

    /// Whether a group around it is no longer under way: what has failed in it is the group's matter.
    pub(crate) fn is_moot(&self, slot: Slot) -> bool {
        self.around_placed(slot).any(|(group, takes_its_place)| {
            let task = self.task(group);
            let is_open = match takes_its_place {
                true => task.cover == Cover::Working,
                false => matches!(task.phase, Phase::Open { .. } | Phase::Racing { .. }),
            };
            !is_open || self.is_reverting(group)
        })
    }

    /// Whether it stands under `then`.
    pub(crate) fn is_closing(&self, slot: Slot) -> bool {
        let role = |slot: Slot| self.task_plan(slot).role == Role::Closing;
        role(slot) || self.around(slot).any(role)
    }
}
