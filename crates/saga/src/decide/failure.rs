//! What follows when a task has failed for good: docs/reference/compensation.md.

use super::Draft;
use super::task::error;
use crate::event::Body;
use crate::phase::{After, Cover, Loss, Phase, TaskError};
use crate::plan::{AtLeast, Kind, Role, Slot, Strategy};
use crate::workflow::{Origin, Owners, Stage, Trouble};

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its fallback runs.
    FallsBack,
    /// It counts as if it were done without an output.
    Tolerated,
    /// What depends on it is skipped; the rest goes on.
    Accepted,
    /// It is the fallback of this task, which has failed with it.
    Uncovers(Slot),
    /// This group is undone, and has failed then.
    Reverts(Slot),
    /// This group is stopped, and has failed then.
    Drops(Slot),
    /// A person must say.
    Pauses,
    /// The whole workflow is undone.
    Compensates,
    /// The whole workflow is stopped.
    Fails,
}

impl Draft<'_> {
    /// Deals with everything that has failed, or is in doubt and to be undone.
    pub(super) fn take_failures(&mut self) {
        if self.is_plain() {
            return;
        }
        for slot in self.slots() {
            let is_doubtful =
                self.task(slot).phase == Phase::Doubtful && self.task(slot).after == After::Nothing;
            let is_lost = self.loss(slot) == Some(Loss::Open) || is_doubtful;
            if is_lost && self.counts(slot) {
                self.take(slot, is_doubtful);
                if !matches!(self.head.stage, Stage::Forward | Stage::Closing { .. }) {
                    return;
                }
            }
        }
    }

    fn take(&mut self, slot: Slot, is_doubtful: bool) {
        let task = self.name(slot);
        let fate = self.fate(slot);
        let undo_first = Body::Reverting { task: task.clone(), after: After::Fail, error: None };
        match fate {
            Fate::FallsBack | Fate::Tolerated | Fate::Accepted | Fate::Uncovers(_)
                if is_doubtful =>
            {
                self.push(undo_first);
            }
            Fate::FallsBack => self.push(Body::Fallback { task, cover: Cover::Working }),
            Fate::Tolerated => self.push(Body::FailureTaken { task, loss: Loss::Tolerated }),
            Fate::Accepted => self.push(Body::FailureTaken { task, loss: Loss::Accepted }),
            Fate::Uncovers(of) => {
                self.push(Body::FailureTaken { task, loss: Loss::Tolerated });
                self.fail(of, self.why(slot));
            }
            Fate::Reverts(group) => self.revert_group(group, After::Fail, self.why(slot)),
            Fate::Drops(group) => self.revert_group(group, After::Drop, self.why(slot)),
            // There is no way back to undo it on.
            Fate::Pauses if is_doubtful => self.hold(slot, self.why(slot)),
            Fate::Pauses => {}
            Fate::Compensates => self.trouble(self.trouble_of(slot)),
            Fate::Fails => self.fail_fast(self.trouble_of(slot)),
        }
    }

    fn trouble_of(&self, slot: Slot) -> Trouble {
        let decided_by = self.decider(slot).and_then(|slot| u32::try_from(slot).ok());
        Trouble { origin: Origin::Failure, problem: self.problem(slot), decided_by }
    }

    /// Why it has failed.
    fn why(&self, slot: Slot) -> TaskError {
        self.task(slot).error.clone().unwrap_or_else(|| error("failed", String::new()))
    }

    /// A group is stopped and undone, once no pivot in it has an outcome to come.
    fn revert_group(&mut self, group: Slot, after: After, why: TaskError) {
        if !self.has_pivot(group, |draft, slot| draft.is_pivot_out(slot)) {
            let task = self.name(group);
            self.push(Body::Reverting { task, after, error: Some(why) });
        }
    }

    /// A group fails as a whole: what is in it is undone before, unless the whole workflow is. Nothing under `then`
    /// has anything to undo.
    pub(super) fn fail_group(&mut self, group: Slot, why: TaskError) {
        match self.fate(group) {
            _ if self.is_closing(group) => self.fail(group, why),
            Fate::Compensates | Fate::Fails | Fate::Pauses | Fate::Reverts(_) | Fate::Drops(_) => {
                self.fail(group, why);
            }
            Fate::FallsBack | Fate::Tolerated | Fate::Accepted | Fate::Uncovers(_) => {
                self.revert_group(group, After::Fail, why);
            }
        }
    }

    fn fate(&self, slot: Slot) -> Fate {
        let plan = self.task_plan(slot);
        if self.has_fallback_yet(slot) {
            return Fate::FallsBack;
        }
        if let Role::Fallback(of) = plan.role {
            return Fate::Uncovers(self.seen_from(slot, of));
        }
        if plan.optional || self.is_closing(slot) || self.is_spare(slot) {
            return Fate::Tolerated;
        }
        let (strategy, group) = self.strategy(slot);
        match (strategy, group) {
            (Strategy::Continue, _) => Fate::Accepted,
            (Strategy::Pause, _) => Fate::Pauses,
            (Strategy::FailFast, Some(group)) => Fate::Drops(group),
            (Strategy::FailFast, None) => Fate::Fails,
            (Strategy::Compensate, Some(group)) if self.is_behind_pivot(group) => Fate::Pauses,
            (Strategy::Compensate, Some(group)) => Fate::Reverts(group),
            (Strategy::Compensate, None) if self.head.past_pivot => Fate::Pauses,
            (Strategy::Compensate, None) => Fate::Compensates,
        }
    }

    /// Which strategy counts, and the group that it stops at; `None`: the whole workflow.
    fn strategy(&self, slot: Slot) -> (Strategy, Option<Slot>) {
        let mut strategy = self.own_strategy(slot);
        for group in self.around(slot) {
            let said = self.task_plan(group).on_failure.as_ref().map(|said| said.strategy);
            let is_here = strategy.is_none();
            strategy = strategy.or(said);
            match strategy {
                Some(Strategy::Continue | Strategy::Pause) => break,
                Some(Strategy::FailFast) if is_here && said.is_some() => {
                    return (Strategy::FailFast, Some(group));
                }
                Some(Strategy::Compensate) | None
                    if self.catches(group) || said == Some(Strategy::Compensate) =>
                {
                    return (Strategy::Compensate, Some(group));
                }
                Some(Strategy::FailFast | Strategy::Compensate) | None => {}
            }
        }
        (strategy.unwrap_or(self.plan.on_failure.strategy), None)
    }

    /// What a task says of its own failure. A group's `compensate` and `fail_fast` are about what is in it:
    /// once it has failed, what is around it says.
    fn own_strategy(&self, slot: Slot) -> Option<Strategy> {
        let strategy = self.task_plan(slot).on_failure.as_ref()?.strategy;
        let is_inner = matches!(strategy, Strategy::Compensate | Strategy::FailFast);
        (!is_inner || !self.is_group(slot)).then_some(strategy)
    }

    /// Whose `on_failure` counts; `None`: the file's.
    pub(super) fn decider(&self, slot: Slot) -> Option<Slot> {
        let says = |group: &Slot| self.task_plan(*group).on_failure.is_some();
        let own = self.own_strategy(slot).is_some();
        own.then_some(slot).or_else(|| self.around(slot).find(says))
    }

    /// The tasks under `then` of these.
    pub(super) fn closings(&self, owners: &Owners) -> Vec<Slot> {
        let of_file = self.plan.on_failure.then.iter().copied().filter(|_| owners.file);
        let of_tasks = owners.tasks.iter().flat_map(|owner| self.closings_of(*owner as Slot));
        of_file.chain(of_tasks).collect()
    }

    /// The tasks under a task's own `then`.
    pub(super) fn closings_of(&self, owner: Slot) -> impl Iterator<Item = Slot> + '_ {
        let own = self.task_plan(owner).on_failure.iter().flat_map(|said| &said.then);
        own.map(move |closing| self.seen_from(owner, *closing))
    }

    /// Whether it stands under a task's own `then`.
    pub(crate) fn is_closing_of(&self, slot: Slot, owner: Slot) -> bool {
        self.closings_of(owner).any(|closing| self.is_within(slot, closing))
    }

    /// It has a fallback that was not called yet, or that has worked after it was said to have failed.
    fn has_fallback_yet(&self, slot: Slot) -> bool {
        match (self.fallback(slot), self.task(slot).cover) {
            (None, _) | (Some(_), Cover::Working | Cover::Worked) => false,
            (Some(_), Cover::Uncalled) => true,
            (Some(fallback), Cover::Spent) => self.is_done(fallback),
        }
    }

    /// Whether a failure in a group is the group's own: it may fail, or something else takes its place.
    fn catches(&self, group: Slot) -> bool {
        let plan = self.task_plan(group);
        plan.optional
            || self.has_fallback_yet(group)
            || matches!(plan.role, Role::Fallback(_))
            || self.is_spare(group)
    }

    /// One element of a `for_each` that need not have all of them.
    fn is_spare(&self, slot: Slot) -> bool {
        self.task_plan(slot).role == Role::Item
            && self.parent(slot).is_some_and(|of| {
                let each = self.task_plan(of).action.for_each();
                each.is_some_and(|each| each.at_least != AtLeast::All)
            })
    }

    /// Whether a failure of this task stops or undoes the whole workflow, or a group around it.
    pub(super) fn fails_all(&self, slot: Slot) -> bool {
        match self.fate(slot) {
            Fate::Fails | Fate::Compensates | Fate::Reverts(_) | Fate::Drops(_) => true,
            Fate::FallsBack
            | Fate::Tolerated
            | Fate::Accepted
            | Fate::Uncovers(_)
            | Fate::Pauses => false,
        }
    }

    /// Whether a failure of this task waits for a person.
    pub(super) fn pauses(&self, slot: Slot) -> bool {
        self.fate(slot) == Fate::Pauses
    }

    /// Whether a task whose outcome is unknown can be undone while the workflow goes on, or turns.
    pub(super) fn can_turn(&self, slot: Slot) -> bool {
        self.fate(slot) != Fate::Pauses
    }

    /// Whether a failure that nobody has a strategy for goes on.
    pub(super) fn goes_on_by_default(&self) -> bool {
        self.plan.on_failure.strategy == Strategy::Continue
    }

    /// Whether something has failed that is not dealt with: nothing new starts.
    pub(super) fn has_open_failure(&self) -> bool {
        let is_open = |slot| self.loss(slot) == Some(Loss::Open) && self.counts(slot);
        !self.is_plain() && self.slots().any(is_open)
    }

    /// Whether a failure of it is still somebody's matter. Once the failure is dealt with, that of what is under
    /// `then` alone.
    pub(super) fn counts(&self, slot: Slot) -> bool {
        let is_past = matches!(self.head.stage, Stage::Closing { .. });
        (!is_past || self.is_closing(slot)) && !self.is_moot(slot)
    }

    /// Whether a group around it is stopped and undone.
    pub(super) fn is_in_reverting(&self, slot: Slot) -> bool {
        self.around_placed(slot).any(|(group, takes_its_place)| {
            self.is_reverting(group)
                && !(takes_its_place && self.task(group).after != After::Cancel)
        })
    }

    /// Whether a pivot in a group has been done: there is no way back in it.
    fn is_behind_pivot(&self, group: Slot) -> bool {
        self.has_pivot(group, |draft, slot| draft.task(slot).phase == Phase::Done)
    }

    fn has_pivot(&self, group: Slot, is: impl Fn(&Self, Slot) -> bool) -> bool {
        self.slots().any(|slot| {
            self.task_plan(slot).kind == Kind::Pivot
                && self.is_within(slot, group)
                && is(self, slot)
        })
    }

    /// Whether a pivot's outcome is still to come. One that waits for its next attempt after a
    /// definite failure is not out: in trouble it is not sent again.
    pub(super) fn pivot_in_flight(&self) -> bool {
        self.slots().any(|slot| self.task_plan(slot).kind == Kind::Pivot && self.is_pivot_out(slot))
    }

    fn is_pivot_out(&self, slot: Slot) -> bool {
        let phase = self.task(slot).phase;
        phase.in_flight() && !matches!(phase, Phase::Retrying { doubt: false, .. })
    }
}
