//! What follows from the graph: what may start, what must be undone, when it is over.

use events::{How, Problem};

use super::Draft;
use super::task::error;
use crate::event::{Body, Rest};
use crate::phase::{After, Loss, Passed, Phase, TaskError, TaskRef};
use crate::plan::{Kind, Slot};
use crate::react::by_itself;
use crate::workflow::{End, Origin, Owners, Stage, Trouble};

impl Draft<'_> {
    /// Draws what follows, until nothing more does.
    pub(super) fn advance(&mut self) {
        loop {
            let decided = self.len();
            match self.head.stage.clone() {
                Stage::Forward => self.go_forward(),
                Stage::Deferred(trouble) => self.wait_for_pivot(trouble),
                Stage::Compensating(trouble) => self.go_back(&trouble),
                Stage::Failing(trouble) => self.let_go(trouble),
                Stage::Closing { trouble, end, .. } => self.close(&trouble, end),
                Stage::Ended { unwinding: Some(command), .. } => self.unwind(&command),
                Stage::Ended { .. } => return,
            }
            if self.len() > decided {
                continue;
            }
            if self.concerns_all() {
                return;
            }
            if self.tally.in_flight() > 0 {
                if cfg!(debug_assertions) {
                    self.concern_all();
                    self.go_forward();
                    assert_eq!(self.len(), decided, "never-silent: overlooked in {}", self.head.id);
                }
                return;
            }
            self.concern_all();
        }
    }

    /// Something makes the workflow turn: now, or once a pivot in flight has its outcome.
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        if self.pivot_in_flight() {
            self.push(Body::Deferred { trouble });
        } else {
            self.turn(trouble);
        }
    }

    fn go_forward(&mut self) {
        self.take_failures();
        if !matches!(self.head.stage, Stage::Forward) {
            return;
        }
        self.revert();
        self.settle_pause();
        self.leave_behind();
        if self.head.paused_at.is_none() && !self.has_open_failure() {
            self.start_ready();
        }
        self.complete_groups();
        // Where all goes well, what is in flight is not settled, nor what it stands in.
        let is_on_its_way = self.tally.in_flight() > 0;
        let is_settled = || self.top().all(|slot| self.is_settled(slot));
        let is_over = !is_on_its_way && is_settled() && !self.has_undo_out();
        if self.head.paused_at.is_none() && is_over {
            self.complete();
        }
    }

    /// Paused while a person must say something; resumed when nothing is left to say.
    fn settle_pause(&mut self) {
        let mut unsettled = if self.is_plain() { 0..0 } else { self.slots() };
        let waits = unsettled.find(|slot| self.waits_for_a_person(*slot));
        match (waits, self.head.paused_at) {
            (Some(slot), None) => {
                let problem = self.problem(slot);
                self.push(Body::WorkflowPaused { problem, timed_out: false });
            }
            (None, Some(_)) if !self.is_paused_by_time() => {
                let by = self.by.clone().unwrap_or_else(by_itself);
                self.push(Body::WorkflowResumed { by, accepted: Vec::new() });
            }
            (Some(_), Some(_)) | (None, None | Some(_)) => {}
        }
    }

    /// Its time was over while nobody had failed: only a person ends that pause.
    fn is_paused_by_time(&self) -> bool {
        self.head.timed_out && self.is_forward() && self.by.is_none()
    }

    /// Whether a person must say something about this task.
    pub(super) fn waits_for_a_person(&self, slot: Slot) -> bool {
        let is_lost = self.loss(slot) == Some(Loss::Open) && self.counts(slot);
        let is_held = self.task(slot).phase == Phase::Held && !self.leaves_doubt();
        is_held || is_lost && matches!(self.head.stage, Stage::Forward) && self.pauses(slot)
    }

    /// What is in doubt now stays so.
    pub(super) fn leaves_doubt(&self) -> bool {
        match self.head.stage {
            Stage::Failing(_) => !self.resolves_doubt(),
            Stage::Closing { .. } | Stage::Ended { .. } => true,
            Stage::Forward | Stage::Deferred(_) | Stage::Compensating(_) => false,
        }
    }

    fn wait_for_pivot(&mut self, trouble: Trouble) {
        self.revert();
        if self.head.past_pivot {
            self.push(Body::DeferralDropped);
        } else if self.pivot_in_flight() {
            self.settle_pause();
        } else {
            self.turn(trouble);
        }
    }

    /// The turn to compensating: one decision, so that no crash falls between failure and undo.
    pub(super) fn turn(&mut self, trouble: Trouble) {
        self.push(Body::CompensationStarted { trouble });
        self.stop_all();
    }

    /// Nothing is undone: what is in flight is stopped.
    pub(super) fn fail_fast(&mut self, trouble: Trouble) {
        self.push(Body::FailingStarted { trouble });
        self.stop_all();
    }

    fn stop_all(&mut self) {
        for slot in self.slots() {
            // What is under `then` may yet run, but for what runs already.
            if !self.is_closing(slot) || self.task(slot).phase != Phase::Pending {
                self.stop(slot);
            }
        }
    }

    fn go_back(&mut self, trouble: &Trouble) {
        self.undo_ready();
        self.settle_pause();
        if !self.slots().all(|slot| self.is_over(slot)) {
            return;
        }
        let undone = self.rest().undone;
        self.push(Body::CompensationCompleted { undone });
        // An undo that was given up, or a pivot that has worked after it was said to have failed.
        let stands = self.slots().any(|slot| {
            let phase = self.task(slot).phase;
            let is_pivot = self.task_plan(slot).kind == Kind::Pivot;
            phase == Phase::Kept || phase == Phase::Done && is_pivot
        });
        let end = match &trouble.origin {
            Origin::Cancel(_) => End::Cancelled,
            Origin::Failure | Origin::Timeout if stands => End::Partial,
            Origin::Failure | Origin::Timeout => End::Compensated,
        };
        self.finish_with(trouble.clone(), end);
    }

    fn let_go(&mut self, trouble: Trouble) {
        if self.resolves_doubt() {
            self.undo_doubtful();
        }
        self.undo_ready();
        self.settle_pause();
        let is_still = |slot: Slot| match self.task(slot).phase {
            Phase::Running { .. }
            | Phase::Retrying { .. }
            | Phase::Stopping { .. }
            | Phase::Waiting { .. }
            | Phase::Undoing { .. }
            | Phase::UndoRetrying { .. }
            | Phase::UndoBlocked => false,
            Phase::Asking { .. } | Phase::AskAgain { .. } | Phase::Held | Phase::Doubtful => {
                !self.resolves_doubt()
            }
            Phase::Done => !self.is_owed(slot),
            Phase::Pending
            | Phase::Skipped(_)
            | Phase::Failed { .. }
            | Phase::Cancelled
            | Phase::Undone
            | Phase::Kept
            | Phase::Open { .. }
            | Phase::Racing { .. } => true,
        };
        if self.slots().all(is_still) {
            let end = match trouble.origin {
                Origin::Cancel(_) => End::Cancelled,
                Origin::Timeout if self.resolves_doubt() => End::Partial,
                Origin::Failure | Origin::Timeout => End::Failed,
            };
            self.finish_with(trouble, end);
        }
    }

    /// Out of time under `continue`: nothing starts any more, and what stands stays; but what is in doubt is
    /// resolved, since only `fail_fast` may leave it so.
    pub(super) fn resolves_doubt(&self) -> bool {
        let Stage::Failing(trouble) = &self.head.stage else { return false };
        trouble.origin == Origin::Timeout && self.goes_on_by_default()
    }

    fn undo_doubtful(&mut self) {
        for slot in self.slots() {
            let task = self.task(slot);
            if task.phase == Phase::Doubtful && task.after == After::Nothing {
                let (task, after) = (self.name(slot), After::Fail);
                self.push(Body::Reverting { task, after, error: None });
            }
        }
    }

    /// The failure is dealt with: `then` runs, or it has ended.
    fn finish_with(&mut self, trouble: Trouble, end: End) {
        let owner = trouble.decided_by.map(|slot| slot as Slot);
        let owners = Owners::of(std::iter::once(owner));
        self.close_or_end(trouble, end, owners);
    }

    fn close_or_end(&mut self, trouble: Trouble, end: End, owners: Owners) {
        if self.closings(&owners).is_empty() {
            self.end(&trouble, end);
        } else {
            self.push(Body::ClosingStarted { trouble, end, owners });
        }
    }

    fn close(&mut self, trouble: &Trouble, end: End) {
        self.take_failures();
        self.start_ready();
        self.complete_groups();
        let Stage::Closing { owners, .. } = self.head.stage.clone() else { return };
        let is_late = self.undos_out() > 0 || self.is_blocked();
        if self.closings(&owners).into_iter().all(|slot| self.is_settled(slot)) && !is_late {
            self.end(trouble, end);
        }
    }

    fn end(&mut self, trouble: &Trouble, end: End) {
        let (rest, problem) = (self.rest(), trouble.problem.clone());
        // What has gone on without a task has outputs all the same.
        let went_on = end == End::Partial && self.head.epoch == 0;
        let outputs = if went_on { self.outputs().ok() } else { None };
        let replies = self.replies(end, &problem, &rest, outputs.as_ref());
        let how = match end {
            End::Cancelled => {
                let by = match &trouble.origin {
                    Origin::Cancel(by) => by.clone(),
                    Origin::Failure | Origin::Timeout => by_itself(),
                };
                return self.push(Body::WorkflowCancelled { by, rest, replies });
            }
            End::Partial => How::Partial,
            End::Compensated => How::Compensated,
            End::Failed | End::Completed => How::Failed,
        };
        self.push(Body::WorkflowFailed { how, problem, outputs, rest, replies });
    }

    /// What is left behind. What changes nothing does not stand.
    pub(super) fn rest(&self) -> Rest {
        let ids = |is: &dyn Fn(Slot) -> bool| {
            self.slots().filter(|slot| is(*slot)).map(|slot| self.name(slot).id).collect()
        };
        let phase = |slot: Slot| self.task(slot).phase;
        let is_undone = |slot: &Slot| {
            // An operator may have gone on without it since.
            let is_passed = phase(*slot) == Phase::Skipped(Passed::ByHand);
            phase(*slot) == Phase::Undone || is_passed && self.task(*slot).undo_went_out()
        };
        let mut undone: Vec<Slot> = self.slots().filter(is_undone).collect();
        undone.sort_by_key(|slot| self.task(*slot).finished);
        Rest {
            stands: ids(&|slot| {
                matches!(phase(slot), Phase::Done | Phase::Kept)
                    && !self.is_unknown(slot)
                    && self.task_plan(slot).kind != Kind::ReadOnly
                    && !self.is_closing(slot)
            }),
            undone: undone.into_iter().map(|slot| self.name(slot).id).collect(),
            in_doubt: ids(&|slot| self.is_left_in_doubt(slot) || self.is_unknown(slot)),
            late: self.late(),
        }
    }

    /// What may still report a success, which must then be undone, or, of what is left in doubt, be told.
    fn late(&self) -> Vec<TaskRef> {
        let may_be_late = |slot: &Slot| {
            let task = self.task(*slot);
            if self.is_left_in_doubt(*slot) {
                return true;
            }
            let undone =
                matches!(task.phase, Phase::Undone | Phase::Failed { .. } | Phase::Cancelled);
            let has_undo = self.task_plan(*slot).undo.is_some();
            let was_undone = self.head.epoch > 0 || task.undo_went_out();
            was_undone && has_undo && undone && task.attempt > 0 && task.output.is_none()
        };
        self.slots().filter(may_be_late).map(|slot| self.name(slot)).collect()
    }

    /// It is in doubt, and nobody asks any more.
    pub(super) fn is_left_in_doubt(&self, slot: Slot) -> bool {
        let phase = self.task(slot).phase;
        matches!(
            phase,
            Phase::Doubtful | Phase::Held | Phase::Asking { .. } | Phase::AskAgain { .. }
        )
    }

    /// Its undo was given up before anybody knew whether there was anything to undo.
    fn is_unknown(&self, slot: Slot) -> bool {
        let task = self.task(slot);
        task.phase == Phase::Kept && task.output.is_none()
    }

    /// The task that failed and was gone on without: this one, or what it was skipped behind, whatever became of
    /// that since. What a group that was undone is about is the group's.
    fn went_on_without(&self, slot: Slot) -> Option<Slot> {
        let is_lost = self.loss(slot) == Some(Loss::Accepted);
        let is_behind = self.task(slot).phase == Phase::Skipped(Passed::Behind);
        let is_the_groups =
            || self.around(slot).any(|group| self.task(group).after != After::Nothing);
        if !(is_lost || is_behind) || is_the_groups() {
            return None;
        }
        if is_lost {
            return Some(slot);
        }
        Some(self.before(slot).find(|before| self.task(*before).accepted).unwrap_or(slot))
    }

    /// The forward work is over.
    fn complete(&mut self) {
        let lost: Vec<Slot> = self.slots().filter_map(|slot| self.went_on_without(slot)).collect();
        let outputs = self.outputs();
        let problem = match (lost.first().copied(), &outputs) {
            (None, Ok(outputs)) => {
                let (outputs, late) = (outputs.clone(), self.late());
                let nothing = Problem { task: None, code: String::new(), message: String::new() };
                let rest = Rest::default();
                let replies = self.replies(End::Completed, &nothing, &rest, Some(&outputs));
                return self.push(Body::WorkflowCompleted { outputs, replies, late });
            }
            (Some(slot), _) => self.problem(slot),
            (None, Err(TaskError { code, message })) => {
                Problem { task: None, code: code.clone(), message: message.clone() }
            }
        };
        let owners = Owners::of(lost.iter().map(|slot| self.decider(*slot)));
        let trouble = Trouble { origin: Origin::Failure, problem, decided_by: None };
        self.close_or_end(trouble, End::Partial, owners);
    }

    /// No answer in time.
    pub(super) fn silence() -> TaskError {
        error("timeout", "no answer in time")
    }
}
