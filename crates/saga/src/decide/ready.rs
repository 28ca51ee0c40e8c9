//! What may start, and what need not run.

use std::ops::Range;

use events::Json;
use serde_json::Value;

use super::Draft;
use super::task::error;
use crate::event::{Body, Skip};
use crate::phase::{After, Cover, Loss, Phase};
use crate::plan::{Join, Rest, Role, Slot};
use crate::workflow::Stage;

/// What those before a task say.
enum Joined {
    Waits,
    Skips(Skip),
    /// It can never be satisfied.
    Impossible,
    Starts,
}

/// What the one that a task stands in says.
enum Called {
    /// Not yet, or never.
    No,
    Skips(Skip),
    Yes,
}

impl Draft<'_> {
    /// Starts what may start, and passes over what need not run, until nothing changes.
    pub(super) fn start_ready(&mut self) {
        loop {
            let decided = self.len();
            // The `for_each` that have no room for another element in this round.
            let mut full = Vec::new();
            let Range { mut start, end } = self.slots();
            while let Some(slot) = self.next_pending(start..end) {
                start = slot + 1;
                let of = self.parent(slot).filter(|_| self.task_plan(slot).role == Role::Item);
                if of.is_some_and(|of| full.contains(&of)) {
                    continue;
                }
                let before = self.len();
                self.consider(slot);
                if self.task(slot).phase == Phase::Pending {
                    full.extend(of);
                }
                if self.len() > before && self.has_open_failure() {
                    return;
                }
            }
            if self.len() == decided {
                return;
            }
        }
    }

    fn consider(&mut self, slot: Slot) {
        match self.called(slot) {
            Called::No => return,
            Called::Skips(why) => return self.skip(slot, why),
            Called::Yes => {}
        }
        match self.joined(slot) {
            Joined::Waits => return,
            Joined::Skips(why) => return self.skip(slot, why),
            Joined::Impossible => {
                let why = "too few of the tasks that it waits for can still be done";
                return self.fail(slot, error("join_impossible", why));
            }
            Joined::Starts => self.cancel_rest(slot),
        }
        match self.is_wanted(slot) {
            Ok(true) if self.has_room(slot) => self.begin(slot),
            // It waits for room, whatever makes it.
            Ok(true) => self.concern_all(),
            Ok(false) => self.skip(slot, Skip::When),
            Err(why) => self.fail(slot, why),
        }
    }

    fn skip(&mut self, slot: Slot, why: Skip) {
        let task = self.name(slot);
        self.push(Body::TaskSkipped { task, why, output: None, by: None });
    }

    fn called(&self, slot: Slot) -> Called {
        let role = self.task_plan(slot).role;
        if role == Role::Closing {
            return if self.is_called_to_close(slot) { Called::Yes } else { Called::No };
        }
        let Some(parent) = self.parent(slot) else {
            let forward = matches!(self.head.stage, Stage::Forward);
            return if forward { Called::Yes } else { Called::No };
        };
        let is_skipped = matches!(self.task(parent).phase, Phase::Skipped(_));
        let is_over = !self.is_plain() && !is_skipped && self.is_moot(slot);
        if (is_over || self.is_in_reverting(slot)) && !self.is_closing(slot) {
            return Called::No;
        }
        if let Role::Fallback(_) = role {
            let is_called = self.task(parent).cover == Cover::Working;
            return if is_called && !self.is_turning_back(parent) {
                Called::Yes
            } else {
                Called::No
            };
        }
        match (self.task(parent).phase, role) {
            (Phase::Open { .. }, Role::Child | Role::Closing) => Called::Yes,
            (Phase::Open { .. }, Role::Case(case)) => {
                let taken = |of: &u32| *of as usize == case;
                match self.task(parent).cases.iter().any(taken) {
                    true => Called::Yes,
                    false => Called::Skips(Skip::Case),
                }
            }
            (Phase::Open { .. }, Role::Item) => self.called_element(parent),
            (Phase::Skipped(_), Role::Child | Role::Case(_)) => Called::Skips(Skip::Upstream),
            (
                Phase::Open { .. }
                | Phase::Skipped(_)
                | Phase::Pending
                | Phase::Running { .. }
                | Phase::Retrying { .. }
                | Phase::Asking { .. }
                | Phase::AskAgain { .. }
                | Phase::Held
                | Phase::Stopping { .. }
                | Phase::Doubtful
                | Phase::Done
                | Phase::Failed { .. }
                | Phase::Cancelled
                | Phase::Undoing { .. }
                | Phase::UndoRetrying { .. }
                | Phase::UndoBlocked
                | Phase::Undone
                | Phase::Kept
                | Phase::Waiting { .. }
                | Phase::Racing { .. },
                _,
            ) => Called::No,
        }
    }

    /// Elements start in their order, so many at once; asked of the next one.
    fn called_element(&self, of: Slot) -> Called {
        let Some(each) = self.task_plan(of).action.for_each() else { return Called::No };
        let begun = |slot: &Slot| self.task(*slot).phase != Phase::Pending;
        let out =
            self.children(of).filter(|other| begun(other) && !self.is_settled(*other)).count();
        let is_lost = self.shortfall(of, each.at_least).is_some();
        if out < each.concurrency && !is_lost { Called::Yes } else { Called::No }
    }

    fn is_called_to_close(&self, slot: Slot) -> bool {
        if let Stage::Closing { owners, .. } = &self.head.stage {
            return self.closings(owners).contains(&slot);
        }
        let reverting = |group: &Slot| self.is_reverting(*group);
        self.slots().filter(reverting).any(|group| {
            self.task(group).after != After::Cancel
                && self.closings_of(group).any(|closing| closing == slot)
                && self.is_reverted_whole(group)
        })
    }

    /// What the tasks before this one say: docs/reference/saga-file.md.
    fn joined(&self, slot: Slot) -> Joined {
        let plan = self.task_plan(slot);
        let before: Vec<Slot> = self.before(slot).collect();
        if before.is_empty() {
            return Joined::Starts;
        }
        if before.iter().all(|before| self.is_skipped(*before)) {
            return Joined::Skips(Skip::Upstream);
        }
        let wanted = match plan.join {
            Join::All => {
                return if !before.iter().all(|before| self.is_settled(*before)) {
                    Joined::Waits
                } else if before.iter().any(|one| self.loss(*one) == Some(Loss::Accepted)) {
                    Joined::Skips(Skip::Failed)
                } else {
                    Joined::Starts
                };
            }
            Join::Any | Join::Discriminator => 1,
            Join::NOf { n, .. } => n,
        };
        let done = before.iter().filter(|before| self.is_done(**before)).count();
        let open = before.iter().filter(|before| !self.is_settled(**before)).count();
        if done >= wanted {
            Joined::Starts
        } else if done + open < wanted && !self.may_all_be_skipped(&before) {
            Joined::Impossible
        } else {
            Joined::Waits
        }
    }

    /// Whether those before a task may yet turn out to be skipped, all of them.
    fn may_all_be_skipped(&self, before: &[Slot]) -> bool {
        before.iter().all(|one| self.is_skipped(*one) || !self.is_settled(*one))
    }

    /// What a join waits for no longer is cancelled, and undone if it had begun.
    fn cancel_rest(&mut self, slot: Slot) {
        match self.task_plan(slot).join {
            Join::Discriminator | Join::NOf { rest: Rest::Cancel, .. } => {}
            Join::All | Join::Any | Join::NOf { rest: Rest::Continue, .. } => return,
        }
        let before: Vec<Slot> = self.before(slot).collect();
        for other in before {
            if !self.is_settled(other) && self.task(other).after != After::Cancel {
                let (task, after) = (self.name(other), After::Cancel);
                self.push(Body::Reverting { task, after, error: None });
            }
        }
    }

    /// Whether its `when` is true.
    fn is_wanted(&self, slot: Slot) -> Result<bool, crate::phase::TaskError> {
        match &self.task_plan(slot).when {
            None => Ok(true),
            Some(when) => self.is_true(when, slot, None),
        }
    }

    /// Whether it may run beside what is running.
    fn has_room(&self, slot: Slot) -> bool {
        // What stays in doubt is in nobody's hands any more.
        let is_out = |slot: &Slot| self.task(*slot).phase.in_flight() && !self.is_at_rest(*slot);
        let out = || match self.leaves_doubt() {
            true => self.slots().filter(is_out).count(),
            false => self.tally.in_flight(),
        };
        let is_full = !self.is_group(slot) && out() >= self.plan.max_parallel.max(1);
        let must_wait = self.task_plan(slot).alone && self.has_company(slot);
        !is_full && !must_wait
    }

    /// Whether another sibling that runs alone is running.
    fn has_company(&self, slot: Slot) -> bool {
        let parent = self.parent(slot);
        self.slots().any(|other| {
            other != slot
                && self.task_plan(other).alone
                && self.parent(other) == parent
                && self.task(other).phase != Phase::Pending
                && !self.is_settled(other)
        })
    }

    /// What an element of a `for_each` is.
    pub(crate) fn element(&self, of: Slot, index: u32) -> Value {
        let list = self.task(of).inputs.as_ref().map_or(Value::Null, Json::value);
        match list {
            Value::Array(mut list) if (index as usize) < list.len() => {
                list.swap_remove(index as usize)
            }
            Value::Array(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => Value::Null,
        }
    }
}
