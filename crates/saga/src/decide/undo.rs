//! One task being undone.

use events::{By, Json};

use super::Draft;
use super::task::error;
use crate::event::Body;
use crate::input::Failure;
use crate::limits::UNDO_BYTES_MAX;
use crate::phase::{Command, Phase, TaskError};
use crate::plan::{OnBlocked, Slot, UndoPlan};
use crate::retry::chance;
use crate::scope::WorkflowScope;
use crate::workflow::Stage;

/// Why an undo is sent.
pub(super) enum Why {
    /// Its turn has come, or that of its next attempt.
    Turn,
    /// A success was reported after the end, with this output.
    Late(Json),
    /// An operator ordered it: its attempts count anew.
    ByHand(By),
}

impl Draft<'_> {
    /// Whether the undo of this task is still to be sent.
    fn is_owed(&self, slot: Slot) -> bool {
        match self.task(slot).phase {
            Phase::Done => self.task_plan(slot).undo.is_some(),
            Phase::Doubtful => true,
            Phase::Pending
            | Phase::Running { .. }
            | Phase::Retrying { .. }
            | Phase::Asking { .. }
            | Phase::AskAgain { .. }
            | Phase::Held
            | Phase::Stopping { .. }
            | Phase::Skipped { .. }
            | Phase::Failed { .. }
            | Phase::Cancelled
            | Phase::Undoing { .. }
            | Phase::UndoRetrying { .. }
            | Phase::UndoBlocked
            | Phase::Undone
            | Phase::Kept => false,
        }
    }

    /// Whether the undo of what this task depends on need not wait for it any longer.
    fn is_clear(&self, slot: Slot) -> bool {
        match self.task(slot).phase {
            Phase::Pending
            | Phase::Skipped { .. }
            | Phase::Failed { .. }
            | Phase::Cancelled
            | Phase::Undone
            | Phase::Kept => true,
            Phase::Done => self.task_plan(slot).undo.is_none(),
            Phase::UndoBlocked => self.plan.compensation.on_blocked == OnBlocked::GoOn,
            Phase::Running { .. }
            | Phase::Retrying { .. }
            | Phase::Asking { .. }
            | Phase::AskAgain { .. }
            | Phase::Held
            | Phase::Stopping { .. }
            | Phase::Doubtful
            | Phase::Undoing { .. }
            | Phase::UndoRetrying { .. } => false,
        }
    }

    /// Whether nothing of this task keeps the workflow from its end.
    pub(super) fn is_over(&self, slot: Slot) -> bool {
        self.is_clear(slot) && self.task(slot).phase != Phase::UndoBlocked
    }

    /// For each task, whether something that depends on it, directly or not, is not clear yet.
    fn waiting(&self) -> Vec<bool> {
        let mut waits = vec![false; self.plan.tasks.len()];
        let mut open: Vec<Slot> = self.slots().filter(|slot| !self.is_clear(*slot)).collect();
        while let Some(slot) = open.pop() {
            for &before in &self.task_plan(slot).depends_on {
                if let Some(wait) = waits.get_mut(before).filter(|wait| !**wait) {
                    *wait = true;
                    open.push(before);
                }
            }
        }
        waits
    }

    /// Sends every undo whose turn has come: reverse of the graph, the last of the file first.
    pub(super) fn undo_ready(&mut self) {
        loop {
            let decided = self.len();
            let waits = self.waiting();
            for slot in self.slots().rev() {
                let waits = waits.get(slot).copied().unwrap_or(true);
                if self.is_owed(slot) && !waits && self.undos_out() < self.plan.max_parallel.max(1)
                {
                    self.schedule_undo(slot, Why::Turn);
                }
            }
            // An undo that fails at once may, with `on_blocked: go_on`, free others.
            if self.len() == decided {
                return;
            }
        }
    }

    fn undos_out(&self) -> usize {
        let is_out = |slot: &Slot| {
            matches!(self.task(*slot).phase, Phase::Undoing { .. } | Phase::UndoRetrying { .. })
        };
        self.slots().filter(is_out).count()
    }

    /// Sends the task's undo, or its next attempt.
    pub(super) fn schedule_undo(&mut self, slot: Slot, why: Why) {
        let Some(undo) = self.task_plan(slot).undo.as_ref() else { return };
        assert!(
            self.head.epoch > 0 && !self.head.past_pivot && self.task(slot).attempt > 0,
            "undo-order: `{}` of {} would be undone",
            self.task_plan(slot).id,
            self.head.id
        );
        let (late_output, by) = match why {
            Why::Turn => (None, None),
            Why::Late(output) => (Some(output), None),
            Why::ByHand(by) => (None, Some(by)),
        };
        let n = self.task(slot).undos.saturating_add(1);
        let value = match self.undo_value(slot, undo, late_output.as_ref()) {
            Ok(value) => value,
            Err(why) => return self.undo_dead(slot, n, why, None),
        };
        let command = Command {
            task: self.task_plan(slot).id.clone(),
            n,
            agent: undo.action.agent().0,
            task_type: undo.action.agent().1,
            value,
            deadline: self.in_time(undo.timeout),
            time: self.now,
            epoch: self.head.epoch,
        };
        self.push(Body::UndoScheduled { task: self.name(slot), command, late_output, by });
    }

    fn undo_value(
        &self,
        slot: Slot,
        undo: &UndoPlan,
        late_output: Option<&Json>,
    ) -> Result<Json, TaskError> {
        let scope = WorkflowScope { draft: self, original: Some((slot, late_output)) };
        let value = match &undo.inputs {
            Some(template) => Json::from_value(
                &template.eval(&scope).map_err(|failed| error("expression", failed.to_string()))?,
            ),
            None => Json::from_value(&scope.original_with_key(slot, late_output)),
        };
        match value.as_str().len() {
            bytes if bytes > UNDO_BYTES_MAX => {
                let message = format!("an undo of {bytes} bytes exceeds {UNDO_BYTES_MAX}");
                Err(error("too_large", message))
            }
            _ => Ok(value),
        }
    }

    /// An undo has failed: it is repeated, or an operator must choose.
    pub(super) fn undo_failed(&mut self, slot: Slot, failure: &Failure) {
        let Some(undo) = self.task_plan(slot).undo.as_ref() else { return };
        let task = self.task(slot);
        let (n, made) = (task.undos, task.undos.saturating_sub(task.undos_from));
        let why = error(&failure.code, failure.message.as_str());
        let repeats = failure.retryable && undo.retry.allows(&failure.code);
        if !repeats || made >= undo.retry.max_attempts {
            let dead = task.undo.clone();
            return self.undo_dead(slot, n, why, dead);
        }
        let id = &self.task_plan(slot).id;
        let chance = chance(&self.head.id, self.head.run, id, "undo", n);
        let retry_at = Some(self.in_time(undo.retry.wait(made, chance)));
        self.push(Body::UndoFailed { task: self.name(slot), n, error: why, retry_at, dead: None });
    }

    /// An undo has failed for good. `dead`: the command, where one was sent.
    fn undo_dead(&mut self, slot: Slot, n: u32, error: TaskError, dead: Option<Command>) {
        self.push(Body::UndoFailed { task: self.name(slot), n, error, retry_at: None, dead });
        // At rest the workflow's end is told, and only undo events may follow it.
        if !matches!(self.head.stage, Stage::Ended { .. }) {
            self.push(Body::CompensationBlocked { problem: self.problem(slot) });
        }
    }

    /// The task is undone.
    pub(super) fn undone(&mut self, slot: Slot, n: u32, nothing: bool, by: Option<By>) {
        self.push(Body::UndoCompleted { task: self.name(slot), n, nothing, by });
    }

    /// Whether an operator must choose about an undo.
    pub(super) fn is_blocked(&self) -> bool {
        self.slots().any(|slot| self.task(slot).phase == Phase::UndoBlocked)
    }
}
