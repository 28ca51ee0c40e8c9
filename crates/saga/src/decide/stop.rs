//! What is stopped, and what is undone while the workflow goes on.

use super::Draft;
use crate::event::Body;
use crate::phase::{After, Command, Cover, Loss, Phase, Via};
use crate::plan::{Action, Kind, Slot};
use crate::workflow::Stage;

impl Draft<'_> {
    /// Tells a task that it is no longer wanted.
    pub(super) fn stop(&mut self, slot: Slot) {
        let task = self.task(slot);
        let may_have_worked = self.may_be_in_doubt(slot) && !self.is_closing(slot);
        let attempt = task.attempt;
        if task.cover == Cover::Working {
            return self.give_up_fallback(slot);
        }
        let (reason, is_out) = match task.phase {
            Phase::Pending => ("not started", false),
            Phase::Retrying { doubt: false, .. } => ("not repeated", false),
            Phase::Running { .. } | Phase::Retrying { doubt: true, .. } if may_have_worked => {
                return self.order_stop(slot);
            }
            Phase::Running { .. } | Phase::Retrying { doubt: true, .. } => {
                ("changes nothing", true)
            }
            Phase::Open { .. } | Phase::Waiting { .. } | Phase::Racing { .. } => ("stopped", false),
            // Where nothing is undone nobody asks any longer: it is left in doubt.
            Phase::Asking { .. } | Phase::AskAgain { .. }
                if matches!(self.head.stage, Stage::Failing(_)) && !self.resolves_doubt() =>
            {
                let why = task.error.clone().unwrap_or_else(Self::silence);
                return self.hold(slot, why);
            }
            Phase::Asking { .. }
            | Phase::AskAgain { .. }
            | Phase::Held
            | Phase::Stopping { .. }
            | Phase::Doubtful
            | Phase::Done
            | Phase::Skipped(_)
            | Phase::Failed { .. }
            | Phase::Cancelled
            | Phase::Undoing { .. }
            | Phase::UndoRetrying { .. }
            | Phase::UndoBlocked
            | Phase::Undone
            | Phase::Kept => return,
        };
        let has_begun = task.phase != Phase::Pending;
        let stop = if is_out { self.stop_command(slot) } else { None };
        let (task, reason) = (self.name(slot), reason.to_owned());
        self.push(Body::TaskCancelled { task, attempt, reason, stop });
        // What would have begun in it does not either.
        if !has_begun && self.is_group(slot) {
            let children: Vec<Slot> = self.children(slot).collect();
            children.into_iter().for_each(|child| self.stop(child));
        }
    }

    /// A task whose fallback is stopped: what it did itself, or was undone of it, stays so.
    fn give_up_fallback(&mut self, slot: Slot) {
        let (task, attempt) = (self.name(slot), self.task(slot).attempt);
        if matches!(self.task(slot).phase, Phase::Failed { .. }) {
            let reason = "stopped".to_owned();
            self.push(Body::TaskCancelled { task, attempt, reason, stop: None });
        } else {
            self.push(Body::Fallback { task, cover: Cover::Spent });
        }
    }

    fn order_stop(&mut self, slot: Slot) {
        let (task, stop) = (self.name(slot), self.stop_command(slot));
        // A child that is told answers when it is undone.
        let waits = matches!(self.task(slot).via, Via::Child { .. });
        let grace = self.in_time(self.plan.compensation.grace);
        self.push(Body::StopOrdered { task, stop, until: (!waits).then_some(grace) });
    }

    /// The order to stop the task's attempt; `None` where there is nobody to tell.
    fn stop_command(&self, slot: Slot) -> Option<Command> {
        let task = self.task(slot);
        let (agent, task_type) = match (&self.task_plan(slot).action, &task.via) {
            (Action::Agent { agent, task_type }, _) => (agent.clone(), task_type.clone()),
            (Action::Saga { saga, .. }, Via::Child { .. }) => {
                (self.child_of(slot)?.as_str().into(), saga.to_string())
            }
            (
                Action::Emit(_)
                | Action::Await(_)
                | Action::Request(..)
                | Action::Wait(_)
                | Action::Choice { .. }
                | Action::Race { .. }
                | Action::Group { .. }
                | Action::Saga { .. }
                | Action::ForEach(_),
                _,
            ) => return None,
        };
        Some(Command {
            task: self.name(slot).id,
            n: task.attempt,
            agent,
            task_type,
            value: events::Json::null(),
            deadline: self.in_time(self.plan.compensation.grace),
            time: self.now,
            epoch: self.head.epoch,
            key: self.key(slot),
            via: task.via.clone(),
            endless: false,
        })
    }

    /// Whether its outcome can be unknown: whether something may stand that nobody has told of.
    pub(super) fn may_be_in_doubt(&self, slot: Slot) -> bool {
        let plan = self.task_plan(slot);
        match plan.action {
            Action::Agent { .. } => plan.kind != Kind::ReadOnly,
            Action::Saga { .. } => true,
            Action::Emit(_) | Action::Await(_) | Action::Request(..) => {
                plan.undo.is_some() || plan.kind == Kind::Pivot
            }
            Action::Wait(_)
            | Action::Choice { .. }
            | Action::Race { .. }
            | Action::Group { .. }
            | Action::ForEach(_) => false,
        }
    }

    /// An operator has gone on without a group: what is still at work in it is stopped, and what is in doubt undone.
    pub(super) fn leave_behind(&mut self) {
        if self.is_plain() {
            return;
        }
        for slot in self.slots() {
            let is_pending = self.task(slot).phase == Phase::Pending;
            if is_pending || self.is_settled(slot) || !self.is_left_behind(slot) {
                continue;
            }
            let task = self.task(slot);
            if task.phase == Phase::Doubtful && task.after == After::Nothing {
                let (task, after) = (self.name(slot), After::Fail);
                self.push(Body::Reverting { task, after, error: None });
            } else if task.cover != Cover::Working {
                self.stop(slot);
            }
        }
    }

    fn is_left_behind(&self, slot: Slot) -> bool {
        self.around_placed(slot).any(|(group, takes_its_place)| {
            let is_over = match self.task(group).phase {
                Phase::Failed { loss } => loss != Loss::Open,
                Phase::Skipped(_) | Phase::Done => true,
                Phase::Pending
                | Phase::Running { .. }
                | Phase::Retrying { .. }
                | Phase::Asking { .. }
                | Phase::AskAgain { .. }
                | Phase::Held
                | Phase::Stopping { .. }
                | Phase::Doubtful
                | Phase::Cancelled
                | Phase::Undoing { .. }
                | Phase::UndoRetrying { .. }
                | Phase::UndoBlocked
                | Phase::Undone
                | Phase::Kept
                | Phase::Open { .. }
                | Phase::Waiting { .. }
                | Phase::Racing { .. } => false,
            };
            is_over && !takes_its_place
        })
    }

    /// Goes on with whatever is undone while the workflow goes on: groups that have failed, and what a join
    /// waits for no longer.
    pub(super) fn revert(&mut self) {
        while !self.is_plain() {
            let decided = self.len();
            self.resolve_dropped();
            for slot in self.slots() {
                let is_root = self.is_reverting(slot) || self.task(slot).cover == Cover::Working;
                let is_told = matches!(self.task(slot).after, After::Fail | After::Cancel);
                let within = self.is_in_reverting(slot);
                if (is_told && !is_root || within) && !self.is_closing(slot) {
                    self.stop(slot);
                }
            }
            self.undo_ready();
            for slot in self.slots().rev() {
                if self.is_reverting(slot) && self.is_reverted_whole(slot) {
                    self.close_group(slot);
                }
            }
            if self.len() == decided {
                return;
            }
        }
    }

    /// What a group that fails fast leaves in doubt is undone first, as its task says, where the run goes on without
    /// the group: only a run that fails fast as a whole may leave it so.
    fn resolve_dropped(&mut self) {
        let is_left = |slot: &Slot| {
            let task = self.task(*slot);
            let group = self.around(*slot).find(|group| self.is_reverting(*group));
            task.phase == Phase::Doubtful
                && task.after == After::Nothing
                && group.is_some_and(|group| self.resolves_in(group))
        };
        let left: Vec<Slot> = self.slots().filter(is_left).collect();
        for slot in left {
            let (task, after) = (self.name(slot), After::Fail);
            self.push(Body::Reverting { task, after, error: None });
        }
    }

    /// Whether a group is dropped, and what is in doubt in it must be known before it has failed.
    fn resolves_in(&self, group: Slot) -> bool {
        self.task(group).after == After::Drop && !self.fails_all(group)
    }

    /// Whether nothing in the group, or of it, is left to be undone.
    pub(super) fn is_reverted_whole(&self, group: Slot) -> bool {
        let (drops, resolves) = (self.task(group).after == After::Drop, self.resolves_in(group));
        self.slots().all(|slot| {
            slot == group
                || !self.is_within(slot, group)
                || self.is_closing_of(slot, group)
                || self.is_over(slot)
                || drops
                    && self.is_at_rest(slot)
                    && !(resolves && self.task(slot).phase != Phase::Done)
        })
    }

    /// In doubt, and left so.
    pub(super) fn is_at_rest(&self, slot: Slot) -> bool {
        matches!(
            self.task(slot).phase,
            Phase::Doubtful
                | Phase::Held
                | Phase::Asking { .. }
                | Phase::AskAgain { .. }
                | Phase::Done
        )
    }

    /// A group has been undone: what is under its `then` runs, and then it has failed or is cancelled.
    fn close_group(&mut self, group: Slot) {
        let task = self.task(group);
        let (after, attempt) = (task.after, task.attempt);
        if task.cover == Cover::Working {
            return self.give_up_fallback(group);
        }
        if after == After::Cancel {
            let (task, reason) = (self.name(group), "stopped".to_owned());
            return self.push(Body::TaskCancelled { task, attempt, reason, stop: None });
        }
        if self.closings_of(group).all(|slot| self.is_settled(slot)) {
            let why = task.error.clone().unwrap_or_else(Self::silence);
            self.fail(group, why);
        }
    }
}
