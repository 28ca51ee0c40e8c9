//! What follows from the graph: what may start, what must be undone, when it is over.

use events::{How, Json, Problem, TaskId};
use serde_json::{Map, Value};

use super::Draft;
use super::task::error;
use crate::event::{Body, Rest, Skip};
use crate::limits::COMMAND_BYTES_MAX;
use crate::phase::{Phase, TaskError};
use crate::plan::{Kind, Slot};
use crate::react::by_itself;
use crate::scope::WorkflowScope;
use crate::workflow::{Origin, Stage, Trouble};

impl Draft<'_> {
    /// Draws what follows, until nothing more does.
    pub(super) fn advance(&mut self) {
        loop {
            let decided = self.len();
            match self.head.stage.clone() {
                Stage::Forward => self.go_forward(),
                Stage::Deferred(trouble) => self.wait_for_pivot(trouble),
                Stage::Compensating(trouble) => self.go_back(&trouble),
                Stage::Ended { .. } => return,
            }
            if self.len() == decided {
                return;
            }
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
        if self.head.past_pivot {
            // There is no way back to undo it on.
            for slot in self.slots() {
                if self.task(slot).phase == Phase::Doubtful {
                    let why = self.task(slot).error.clone();
                    self.hold(slot, why.unwrap_or_else(|| error("timeout", "no answer in time")));
                }
            }
        } else if let Some(slot) = self.slots().find(|slot| self.is_lost(*slot)) {
            let problem = self.problem(slot);
            return self.trouble(Trouble { origin: Origin::Failure, problem });
        }
        self.settle_pause();
        if self.head.paused_at.is_none() {
            self.start_ready();
            if self.slots().all(|slot| self.is_settled(slot)) {
                self.complete();
            }
        }
    }

    /// Failed, and nobody has accepted it; or in doubt, and to be undone.
    fn is_lost(&self, slot: Slot) -> bool {
        let phase = self.task(slot).phase;
        phase == Phase::Failed { accepted: false } || phase == Phase::Doubtful
    }

    fn is_settled(&self, slot: Slot) -> bool {
        match self.task(slot).phase {
            Phase::Done
            | Phase::Skipped { .. }
            | Phase::Failed { accepted: true }
            | Phase::Cancelled
            | Phase::Undone
            | Phase::Kept => true,
            Phase::Failed { accepted: false }
            | Phase::Pending
            | Phase::Running { .. }
            | Phase::Retrying { .. }
            | Phase::Asking { .. }
            | Phase::AskAgain { .. }
            | Phase::Held
            | Phase::Stopping { .. }
            | Phase::Doubtful
            | Phase::Undoing { .. }
            | Phase::UndoRetrying { .. }
            | Phase::UndoBlocked => false,
        }
    }

    /// Starts what may start, and passes over what need not run, until nothing changes.
    fn start_ready(&mut self) {
        let mut room =
            self.plan.max_parallel.max(1).saturating_sub(
                self.slots().filter(|slot| self.task(*slot).phase.in_flight()).count(),
            );
        loop {
            let decided = self.len();
            for slot in self.slots() {
                if self.task(slot).phase != Phase::Pending {
                    continue;
                }
                match self.join(slot) {
                    Join::Waits => {}
                    Join::Skips => self.push(Body::TaskSkipped {
                        task: self.name(slot),
                        why: Skip::Upstream,
                        output: None,
                        by: None,
                    }),
                    Join::Starts if room == 0 => {}
                    Join::Starts => {
                        room -= 1;
                        self.schedule(slot);
                        if self.is_lost(slot) {
                            return;
                        }
                    }
                }
            }
            if self.len() == decided {
                return;
            }
        }
    }

    /// What the tasks before this one say: docs/reference/saga-file.md.
    fn join(&self, slot: Slot) -> Join {
        let before = &self.task_plan(slot).depends_on;
        let phase = |slot: &Slot| self.task(*slot).phase;
        if !before.iter().all(|before| self.is_settled(*before)) {
            Join::Waits
        } else if before.iter().any(|before| phase(before) == Phase::Failed { accepted: true })
            || !before.is_empty()
                && before.iter().all(|before| phase(before) == Phase::Skipped { spreads: true })
        {
            Join::Skips
        } else {
            Join::Starts
        }
    }

    /// Paused while a person must say something; resumed when nothing is left to say.
    fn settle_pause(&mut self) {
        let is_forward = matches!(self.head.stage, Stage::Forward);
        let past_pivot = is_forward && self.head.past_pivot;
        let waits = self.slots().find(|slot| match self.task(*slot).phase {
            Phase::Held => true,
            Phase::Failed { accepted: false } => past_pivot,
            Phase::Failed { accepted: true }
            | Phase::Pending
            | Phase::Running { .. }
            | Phase::Retrying { .. }
            | Phase::Asking { .. }
            | Phase::AskAgain { .. }
            | Phase::Stopping { .. }
            | Phase::Doubtful
            | Phase::Done
            | Phase::Skipped { .. }
            | Phase::Cancelled
            | Phase::Undoing { .. }
            | Phase::UndoRetrying { .. }
            | Phase::UndoBlocked
            | Phase::Undone
            | Phase::Kept => false,
        });
        match (waits, self.head.paused_at) {
            (Some(slot), None) => {
                let problem = self.problem(slot);
                self.push(Body::WorkflowPaused { problem });
            }
            (None, Some(_)) => {
                let by = self.by.clone().unwrap_or_else(by_itself);
                self.push(Body::WorkflowResumed { by, accepted: Vec::new() });
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    fn wait_for_pivot(&mut self, trouble: Trouble) {
        if self.head.past_pivot {
            self.push(Body::DeferralDropped);
        } else if self.pivot_in_flight() {
            self.settle_pause();
        } else {
            self.turn(trouble);
        }
    }

    /// The turn to compensating: one decision, so that no crash falls between failure and undo.
    fn turn(&mut self, trouble: Trouble) {
        let grace = self.in_time(self.plan.compensation.grace);
        self.push(Body::CompensationStarted { trouble });
        for slot in self.slots() {
            let attempt = self.task(slot).attempt;
            let is_readonly = self.task_plan(slot).kind == Kind::ReadOnly;
            let (reason, stop) = match self.task(slot).phase {
                Phase::Pending => ("not started", None),
                Phase::Retrying { doubt: false, .. } => ("not repeated", None),
                Phase::Running { .. } | Phase::Retrying { doubt: true, .. } if !is_readonly => {
                    let stop = self.stop_command(slot, grace);
                    self.push(Body::StopOrdered { task: self.name(slot), stop });
                    continue;
                }
                Phase::Running { .. } | Phase::Retrying { doubt: true, .. } => {
                    ("changes nothing", Some(self.stop_command(slot, grace)))
                }
                Phase::Asking { .. }
                | Phase::AskAgain { .. }
                | Phase::Held
                | Phase::Stopping { .. }
                | Phase::Doubtful
                | Phase::Done
                | Phase::Skipped { .. }
                | Phase::Failed { .. }
                | Phase::Cancelled
                | Phase::Undoing { .. }
                | Phase::UndoRetrying { .. }
                | Phase::UndoBlocked
                | Phase::Undone
                | Phase::Kept => continue,
            };
            let reason = reason.to_owned();
            self.push(Body::TaskCancelled { task: self.name(slot), attempt, reason, stop });
        }
    }

    fn go_back(&mut self, trouble: &Trouble) {
        self.undo_ready();
        self.settle_pause();
        if !self.slots().all(|slot| self.is_over(slot)) {
            return;
        }
        let rest = self.rest();
        self.push(Body::CompensationCompleted { undone: rest.undone.clone() });
        let gave_up = self.slots().any(|slot| self.task(slot).phase == Phase::Kept);
        let how = if gave_up { How::Partial } else { How::Compensated };
        let problem = trouble.problem.clone();
        self.push(match trouble.origin.clone() {
            Origin::Cancel(by) => Body::WorkflowCancelled { by, rest },
            Origin::Failure | Origin::Timeout => {
                Body::WorkflowFailed { how, problem, outputs: None, rest }
            }
        });
    }

    /// What is left behind. What changes nothing does not stand.
    fn rest(&self) -> Rest {
        let ids = |is: &dyn Fn(Slot) -> bool| -> Vec<TaskId> {
            self.slots().filter(|slot| is(*slot)).map(|slot| self.name(slot).id).collect()
        };
        let phase = |slot: Slot| self.task(slot).phase;
        let may_be_late = |slot: &Slot| {
            let task = self.task(*slot);
            let undone =
                matches!(task.phase, Phase::Undone | Phase::Failed { .. } | Phase::Cancelled);
            let has_undo = self.task_plan(*slot).undo.is_some();
            self.head.epoch > 0 && has_undo && undone && task.attempt > 0 && task.output.is_none()
        };
        Rest {
            stands: ids(&|slot| {
                matches!(phase(slot), Phase::Done | Phase::Kept)
                    && self.task_plan(slot).kind != Kind::ReadOnly
            }),
            undone: ids(&|slot| phase(slot) == Phase::Undone),
            in_doubt: Vec::new(),
            late: self.slots().filter(may_be_late).map(|slot| self.name(slot)).collect(),
        }
    }

    /// The forward work is over.
    fn complete(&mut self) {
        let phase = |slot: &Slot| self.task(*slot).phase;
        let failed = self.slots().find(|slot| matches!(phase(slot), Phase::Failed { .. }));
        let passed = self.slots().find(|slot| phase(slot) == Phase::Skipped { spreads: true });
        let missing = failed.or(passed);
        let outputs = self.outputs();
        let problem = match (missing, &outputs) {
            (None, Ok(outputs)) => {
                return self.push(Body::WorkflowCompleted { outputs: outputs.clone() });
            }
            (Some(slot), _) => self.problem(slot),
            (None, Err(TaskError { code, message })) => {
                Problem { task: None, code: code.clone(), message: message.clone() }
            }
        };
        let (outputs, rest) = (outputs.ok(), self.rest());
        self.push(Body::WorkflowFailed { how: How::Partial, problem, outputs, rest });
    }

    fn outputs(&self) -> Result<Json, TaskError> {
        let scope = WorkflowScope { draft: self, original: None };
        let mut outputs = Map::new();
        for output in &self.plan.outputs {
            let value = output.from.eval(&scope);
            let value = value.map_err(|failed| error("expression", failed.to_string()))?;
            outputs.insert(output.name.clone(), value);
        }
        let outputs = Json::from_value(&Value::Object(outputs));
        match outputs.as_str().len() {
            bytes if bytes > COMMAND_BYTES_MAX => Err(error(
                "too_large",
                format!("outputs of {bytes} bytes exceed {COMMAND_BYTES_MAX}"),
            )),
            _ => Ok(outputs),
        }
    }
}

enum Join {
    Waits,
    Skips,
    Starts,
}
