//! One task being undone.

use events::{AgentName, By, Json, planted};

use super::Draft;
use super::schedule::{evaluated, is_true};
use super::task::error;
use crate::event::Body;
use crate::input::Failure;
use crate::limits::UNDO_BYTES_MAX;
use crate::phase::{After, Command, Phase, TaskError, Via};
use crate::plan::{Action, Awaited, EmitPlan, OnBlocked, Slot, UndoPlan};
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
    /// Whether what was done here is to be undone: the whole workflow is, or the group around it.
    fn is_in_scope(&self, slot: Slot) -> bool {
        if self.is_closing(slot) {
            return false;
        }
        match &self.head.stage {
            Stage::Compensating(_) | Stage::Ended { unwinding: Some(_), .. } => true,
            Stage::Forward | Stage::Deferred(_) => {
                let dropped = self.around(slot).find(|group| self.is_reverting(*group));
                let dropped = dropped.is_some_and(|group| self.task(group).after == After::Drop);
                let is_told = self.task(slot).after == After::Fail;
                if dropped { is_told } else { self.is_reverted(slot) }
            }
            Stage::Failing(_) if self.resolves_doubt() => self.is_reverted(slot),
            Stage::Failing(_) => self.is_undone_once_more(slot),
            Stage::Closing { .. } | Stage::Ended { .. } => false,
        }
    }

    /// Whether it was undone without the output that a late success has told since.
    fn is_undone_once_more(&self, slot: Slot) -> bool {
        let task = self.task(slot);
        let is_alone = matches!(task.after, After::Fail | After::Tolerated | After::Accepted);
        is_alone && task.phase == Phase::Done && task.undo_went_out()
    }

    /// Whether the undo of this task is still to be sent.
    pub(super) fn is_owed(&self, slot: Slot) -> bool {
        let may_stand = match self.task(slot).phase {
            Phase::Doubtful if planted("doubtful-not-undone") => false,
            Phase::Done | Phase::Doubtful => true,
            Phase::Pending
            | Phase::Running { .. }
            | Phase::Retrying { .. }
            | Phase::Asking { .. }
            | Phase::AskAgain { .. }
            | Phase::Held
            | Phase::Stopping { .. }
            | Phase::Skipped(_)
            | Phase::Failed { .. }
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
        may_stand && self.is_undoable(slot) && self.is_in_scope(slot)
    }

    /// Whether there is something to undo: what an operator says is done of a task that was never begun is theirs.
    fn is_undoable(&self, slot: Slot) -> bool {
        self.task_plan(slot).undo.is_some() && self.task(slot).attempt > 0
    }

    /// Whether the undo of what this task depends on need not wait for it any longer.
    fn is_clear(&self, slot: Slot) -> bool {
        match self.task(slot).phase {
            Phase::Pending
            | Phase::Skipped(_)
            | Phase::Failed { .. }
            | Phase::Cancelled
            | Phase::Undone
            | Phase::Kept
            // Groups: by what stands in them.
            | Phase::Open { .. }
            | Phase::Racing { .. } => true,
            Phase::Done => !self.is_undoable(slot) || !self.is_in_scope(slot),
            Phase::UndoBlocked => self.plan.compensation.on_blocked == OnBlocked::GoOn,
            Phase::Running { .. }
            | Phase::Retrying { .. }
            | Phase::Asking { .. }
            | Phase::AskAgain { .. }
            | Phase::Held
            | Phase::Stopping { .. }
            | Phase::Doubtful
            | Phase::Undoing { .. }
            | Phase::UndoRetrying { .. }
            | Phase::Waiting { .. } => false,
        }
    }

    /// Whether nothing of this task keeps the workflow, or the group around it, from its end.
    pub(super) fn is_over(&self, slot: Slot) -> bool {
        self.is_clear(slot) && self.task(slot).phase != Phase::UndoBlocked
    }

    /// For each task, whether something that comes after it, directly or not, is to be undone as well and is not
    /// clear yet. What stands in a group comes after all that the group depends on, and before all that depends on the group.
    fn waiting(&self) -> Vec<bool> {
        let mut waits = vec![false; self.slots().end];
        if planted("undo-order-forward") {
            return waits;
        }
        let counts = |slot: &Slot| !self.is_clear(*slot) && self.is_in_scope(*slot);
        let mut open: Vec<Slot> = self.slots().filter(counts).collect();
        let mut seen = vec![false; waits.len()];
        while let Some(slot) = open.pop() {
            for node in std::iter::once(slot).chain(self.around(slot)) {
                let Some(seen) = seen.get_mut(node).filter(|seen| !**seen) else { continue };
                *seen = true;
                for before in self.before(node) {
                    let holds = self.is_group(before) || self.fallback(before).is_some();
                    let range = if holds { self.slots() } else { before..before + 1 };
                    let within = range.filter(|other| !holds || self.is_within(*other, before));
                    for other in within {
                        if let Some(wait) = waits.get_mut(other).filter(|wait| !**wait) {
                            *wait = true;
                            open.push(other);
                        }
                    }
                }
            }
        }
        waits
    }

    /// Sends every undo whose turn has come: reverse of the graph, the last of the file first.
    pub(super) fn undo_ready(&mut self) {
        loop {
            let decided = self.len();
            let owed: Vec<Slot> = self.slots().rev().filter(|slot| self.is_owed(*slot)).collect();
            if owed.is_empty() {
                return;
            }
            let waits = self.waiting();
            let strict = self.plan.compensation.strict;
            // What the graph lets through, of that the last: a join need not have waited for what it depends on.
            let free = |slot: &Slot| !waits.get(*slot).copied().unwrap_or(true);
            let last = owed.iter().copied().filter(free).max_by_key(|slot| self.finished(*slot));
            let bound = if strict { 1 } else { self.plan.max_parallel.max(1) };
            for slot in owed {
                let waits = waits.get(slot).copied().unwrap_or(true);
                let is_next = !strict || Some(slot) == last && self.is_quiet();
                if !waits && is_next && self.undos_out() < bound {
                    self.schedule_undo(slot, Why::Turn);
                }
            }
            // An undo that fails at once may, with `on_blocked: go_on`, free others.
            if self.len() == decided {
                return;
            }
        }
    }

    /// When a task was done, among the others; what is in doubt may have been done last. First of all comes what
    /// a late success has made worthless an undo of: that may still be out.
    fn finished(&self, slot: Slot) -> (bool, u64) {
        let task = self.task(slot);
        let is_done = task.phase == Phase::Done;
        (is_done && task.undo_went_out(), if is_done { task.finished } else { u64::MAX })
    }

    /// Whether no outcome is still to come that might have to be undone first.
    fn is_quiet(&self) -> bool {
        self.slots().all(|slot| !(self.task(slot).phase.in_flight() && self.is_in_scope(slot)))
    }

    /// Whether an undo is under way while the workflow goes on.
    pub(super) fn has_undo_out(&self) -> bool {
        let is_out = || {
            self.undos_out() > 0 || self.is_blocked() || self.slots().any(|slot| self.is_owed(slot))
        };
        !self.is_plain() && is_out()
    }

    pub(super) fn undos_out(&self) -> usize {
        let is_out = |slot: &Slot| {
            matches!(self.task(*slot).phase, Phase::Undoing { .. } | Phase::UndoRetrying { .. })
        };
        self.slots().filter(is_out).count()
    }

    /// Sends the task's undo, or its next attempt.
    pub(super) fn schedule_undo(&mut self, slot: Slot, why: Why) {
        let Some(undo) = self.task_plan(slot).undo.as_ref() else { return };
        let is_whole = self.head.epoch > 0 || matches!(self.head.stage, Stage::Ended { .. });
        assert!(
            (is_whole || self.is_reverted(slot)) && self.task(slot).attempt > 0,
            "undo-order: `{}` of {} would be undone",
            self.name(slot).id,
            self.head.id
        );
        let (late_output, by) = match why {
            Why::Turn => (None, None),
            Why::Late(output) => (Some(output), None),
            Why::ByHand(by) => (None, Some(by)),
        };
        let n = self.task(slot).undos.saturating_add(1);
        match self.undo_command(slot, undo, n, late_output.as_ref()) {
            Ok(Some(command)) => {
                let task = self.name(slot);
                self.push(Body::UndoScheduled { task, command, late_output, by });
            }
            // Its `when` says that there is nothing to undo.
            Ok(None) => self.undone(slot, n, true, None),
            Err(why) => self.undo_dead(slot, n, why, None),
        }
    }

    fn undo_command(
        &self,
        slot: Slot,
        undo: &UndoPlan,
        n: u32,
        late_output: Option<&Json>,
    ) -> Result<Option<Command>, TaskError> {
        let scope = WorkflowScope { original: Some(late_output), ..WorkflowScope::at(self, slot) };
        if let Some(when) = &undo.when
            && !is_true(when, &scope)?
        {
            return Ok(None);
        }
        let value = match &undo.inputs {
            Some(template) => Json::from_value(&evaluated(template, &scope)?),
            None => Json::from_value(&scope.original_with_key(slot, late_output)),
        };
        let Some((agent, task_type, via)) = self.undo_target(slot, undo, &scope)? else {
            return Ok(None);
        };
        let value = match &undo.action {
            Action::Emit(EmitPlan { value: Some(template), .. })
            | Action::Request(EmitPlan { value: Some(template), .. }, _) => {
                Json::from_value(&evaluated(template, &scope)?)
            }
            Action::Agent { .. }
            | Action::Emit(_)
            | Action::Await(_)
            | Action::Request(..)
            | Action::Wait(_)
            | Action::Choice { .. }
            | Action::Race { .. }
            | Action::Group { .. }
            | Action::Saga { .. }
            | Action::ForEach(_) => value,
        };
        if value.as_str().len() > UNDO_BYTES_MAX {
            let bytes = value.as_str().len();
            let message = format!("an undo of {bytes} bytes exceeds {UNDO_BYTES_MAX}");
            return Err(error("too_large", message));
        }
        Ok(Some(Command {
            task: self.name(slot).id,
            n,
            agent,
            task_type,
            value,
            deadline: self.in_time(undo.timeout),
            time: self.now,
            epoch: self.head.epoch,
            key: self.key(slot),
            // A child says so itself once it is undone.
            endless: matches!(via, Via::Child { .. }),
            via,
        }))
    }

    /// Who undoes it, and how it is told; `None`: nobody ever did it.
    fn undo_target(
        &self,
        slot: Slot,
        undo: &UndoPlan,
        scope: &WorkflowScope<'_, '_>,
    ) -> Result<Option<(AgentName, String, Via)>, TaskError> {
        Ok(Some(match &undo.action {
            Action::Agent { agent, task_type } => (agent.clone(), task_type.clone(), Via::Agent),
            Action::Emit(emit) | Action::Request(emit, _) => {
                let alone = matches!(undo.action, Action::Emit(_));
                // Another one where it is undone again, with what has become known.
                // A success that has just been told is not folded in yet.
                let void = match scope.original {
                    Some(Some(_)) => self.task(slot).undos,
                    Some(None) | None => self.task(slot).undos_void,
                };
                let id = match void {
                    0 => format!("{}/undo", self.key(slot)),
                    before => format!("{}/undo{}", self.key(slot), before + 1),
                };
                let via = self.event_via(emit, id, alone, scope)?;
                (emit.event.topic.as_str().into(), emit.event.name.clone(), via)
            }
            Action::Await(waits) => {
                let of = waits.awaited.iter().find_map(|awaited| match awaited {
                    Awaited::Event(event) => Some((event.topic.to_string(), event.name.clone())),
                    Awaited::Signal(_) => None,
                });
                let (topic, name) = of.unwrap_or_default();
                (topic.into(), name, Via::Nothing)
            }
            Action::Saga { saga, .. } => {
                let Some(child) = self.child_of(slot) else { return Ok(None) };
                (child.as_str().into(), saga.to_string(), self.task(slot).via.clone())
            }
            Action::Wait(_)
            | Action::Choice { .. }
            | Action::Race { .. }
            | Action::Group { .. }
            | Action::ForEach(_) => {
                return Err(error("unknown_undo", "this can not be an undo"));
            }
        }))
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
        let id = self.name(slot).id;
        let chance = chance(&self.head.id, self.head.run, &id, "undo", n);
        let retry_at = Some(self.in_time(undo.retry.wait(made, chance)));
        self.push(Body::UndoFailed { task: self.name(slot), n, error: why, retry_at, dead: None });
    }

    /// An undo has failed for good. `dead`: the command, where one was sent.
    fn undo_dead(&mut self, slot: Slot, n: u32, error: TaskError, dead: Option<Command>) {
        let task = self.name(slot);
        let why = error.clone();
        self.push(Body::UndoFailed { task, n, error, retry_at: None, dead });
        match &self.head.stage {
            // At rest the workflow's end is told, and only undo events may follow it. Who waits for the undo is told.
            Stage::Ended { unwinding: Some(command), .. } => {
                let command = command.clone();
                self.tell_blocked(slot, command, n, why);
            }
            Stage::Ended { unwinding: None, .. } => {}
            Stage::Forward
            | Stage::Deferred(_)
            | Stage::Compensating(_)
            | Stage::Failing(_)
            | Stage::Closing { .. } => {
                self.push(Body::CompensationBlocked { problem: self.problem(slot) });
            }
        }
    }

    /// The task is undone.
    pub(super) fn undone(&mut self, slot: Slot, n: u32, nothing: bool, by: Option<By>) {
        let (task, place) = (self.name(slot), Some(self.head.sequence.saturating_add(1)));
        self.push(Body::UndoCompleted { task, n, nothing, by, place });
    }

    /// Whether an operator must choose about an undo.
    pub(super) fn is_blocked(&self) -> bool {
        self.tally.is_blocked()
    }
}
