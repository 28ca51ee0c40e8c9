//! One task going forward: attempts, failures, doubt.

use events::{By, Json, Timestamp};

use super::Draft;
use crate::event::{Body, Doubt};
use crate::input::{Effects, Failure};
use crate::limits::{QUERY_FOR, UNDO_BYTES_MAX, WORKFLOW_BYTES_MAX};
use crate::phase::{Command, TaskError};
use crate::plan::{Action, Idempotency, InDoubt, Kind, Slot};
use crate::retry::chance;
use crate::scope::WorkflowScope;
use crate::workflow::Stage;

/// An error with its code and its text.
pub(super) fn error(code: &str, message: impl Into<String>) -> TaskError {
    TaskError { code: code.to_owned(), message: crate::limits::cut(&message.into()) }
}

impl Draft<'_> {
    /// The task has failed for good.
    pub(super) fn fail(&mut self, slot: Slot, error: TaskError) {
        self.fail_by(slot, error, None);
    }

    fn fail_by(&mut self, slot: Slot, error: TaskError, by: Option<By>) {
        let attempt = self.task(slot).attempt;
        self.push(Body::TaskFailed { task: self.name(slot), attempt, error, by });
    }

    /// The task has worked. `by`: an operator says so. A pivot that turns out to have worked once
    /// undos are under way stands, but does not close the way back.
    pub(super) fn succeed(&mut self, slot: Slot, output: Json, by: Option<By>) {
        let attempt = self.task(slot).attempt;
        let pivot = self.is_forward() && self.task_plan(slot).kind == Kind::Pivot;
        self.push(Body::TaskCompleted { task: self.name(slot), attempt, output, by, pivot });
    }

    /// Why so many more bytes are too many for the workflow to hold.
    pub(super) fn overflow(&self, what: &str, bytes: usize) -> Option<TaskError> {
        let all = self.head.inputs.as_str().len() + self.tally.bytes() + bytes;
        (all > WORKFLOW_BYTES_MAX).then(|| {
            let message = format!(
                "with {what} of {bytes} bytes the workflow would hold {all}, and at most \
                 {WORKFLOW_BYTES_MAX} are allowed; pass a reference"
            );
            error("too_large", message)
        })
    }

    /// What is wrong with an output: its size, or its shape where the file declares one.
    pub(super) fn broken(&self, slot: Slot, output: &Json) -> Option<TaskError> {
        if let Some(too_large) = self.overflow("an output", output.as_str().len()) {
            return Some(too_large);
        }
        let returns = self.task_plan(slot).returns.as_ref()?;
        returns.accept(&output.value(), "output").err().map(|why| error("schema", why))
    }

    /// An attempt has failed: it is repeated, has failed for good, or is in doubt.
    pub(super) fn attempt_failed(&mut self, slot: Slot, failure: &Failure) {
        let plan = self.task_plan(slot);
        let known = failure.effects == Effects::None || !self.may_be_in_doubt(slot);
        let why = error(&failure.code, failure.message.as_str());
        let repeats = failure.retryable
            && plan.retry.allows(&failure.code)
            && (failure.effects == Effects::None || self.may_repeat_unknown(slot));
        match self.next_attempt(slot).filter(|_| repeats) {
            Some(retry_at) => self.retry(slot, why, retry_at, !known),
            None if known => self.fail(slot, why),
            None => self.doubt(slot, why),
        }
    }

    /// Nobody has answered in time.
    pub(super) fn attempt_timed_out(&mut self, slot: Slot, deadline: Timestamp, why: TaskError) {
        let attempt = self.task(slot).attempt;
        self.push(Body::TaskTimedOut { task: self.name(slot), attempt, deadline });
        let plan = self.task_plan(slot);
        let doubt = self.may_be_in_doubt(slot);
        let repeats = (plan.kind == Kind::Retriable || plan.retry.allows(&why.code))
            && self.may_repeat_unknown(slot);
        match self.next_attempt(slot).filter(|_| repeats) {
            Some(retry_at) => self.retry(slot, why, retry_at, doubt),
            None if !doubt => self.fail(slot, why),
            None => self.doubt(slot, why),
        }
    }

    /// Whether an attempt may follow one whose outcome is unknown, even if that changes nothing.
    fn may_repeat_unknown(&self, slot: Slot) -> bool {
        !matches!(self.task_plan(slot).idempotency, Idempotency::Never)
    }

    fn retry(&mut self, slot: Slot, error: TaskError, retry_at: Timestamp, doubt: bool) {
        let (task, attempt) = (self.name(slot), self.task(slot).attempt);
        self.push(Body::TaskRetried { task, attempt, error, retry_at, doubt, by: None });
    }

    /// The time of the next attempt has come. Whoever looks so late that the time for all of them is over makes none.
    pub(super) fn try_again(&mut self, slot: Slot, doubt: bool) {
        let task = self.task(slot);
        if task.deadline.is_none_or(|deadline| deadline > self.now) {
            return self.schedule(slot);
        }
        let why = task.error.clone().unwrap_or_else(Self::silence);
        if doubt { self.doubt(slot, why) } else { self.fail(slot, why) }
    }

    /// When the next attempt may be made; `None` where none may.
    fn next_attempt(&self, slot: Slot) -> Option<Timestamp> {
        let (plan, task) = (self.task_plan(slot), self.task(slot));
        let made = task.attempt.saturating_sub(task.attempts_from);
        if plan.kind != Kind::Retriable && made >= plan.retry.max_attempts {
            return None;
        }
        let chance = chance(&self.head.id, self.head.run, &self.name(slot).id, "do", task.attempt);
        let at = self.in_time(plan.retry.wait(made, chance));
        task.deadline.is_none_or(|deadline| at < deadline).then_some(at)
    }

    /// What follows from doubt about this task, as things stand.
    fn policy(&self, slot: Slot) -> InDoubt {
        let plan = self.task_plan(slot);
        if matches!(self.head.stage, Stage::Failing(_)) && !self.resolves_doubt() {
            return InDoubt::Hold;
        }
        match plan.in_doubt {
            InDoubt::Undo
                if plan.undo.is_some()
                    && plan.kind != Kind::Pivot
                    && (!self.is_forward() || self.is_reverted(slot) || self.can_turn(slot)) =>
            {
                InDoubt::Undo
            }
            InDoubt::Query if matches!(plan.action, Action::Agent { .. }) => InDoubt::Query,
            InDoubt::Undo | InDoubt::Hold | InDoubt::Query => InDoubt::Hold,
        }
    }

    /// Attempts are used up, and whether it was done is unknown.
    pub(super) fn doubt(&mut self, slot: Slot, error: TaskError) {
        match self.policy(slot) {
            InDoubt::Undo => self.in_doubt(slot, Doubt::Undo, error),
            InDoubt::Hold => self.hold(slot, error),
            InDoubt::Query => {
                // A deadline that is over is no time to ask in.
                let deadline = self.task(slot).deadline.filter(|at| *at > self.now);
                let until = deadline.unwrap_or(self.now.after(QUERY_FOR));
                self.in_doubt(slot, Doubt::Query { until }, error);
                self.query(slot, until);
            }
        }
    }

    /// An operator must say whether it was done.
    pub(super) fn hold(&mut self, slot: Slot, error: TaskError) {
        self.in_doubt(slot, Doubt::Hold, error);
    }

    fn in_doubt(&mut self, slot: Slot, doubt: Doubt, error: TaskError) {
        let attempt = self.task(slot).attempt;
        self.push(Body::TaskInDoubt { task: self.name(slot), attempt, doubt, error });
    }

    /// Asks the agent whether it was done.
    pub(super) fn query(&mut self, slot: Slot, until: Timestamp) {
        let plan = self.task_plan(slot);
        let Action::Agent { agent, task_type } = &plan.action else { return };
        let value = Json::from_value(&WorkflowScope::of(self).original_with_key(slot, None));
        if value.as_str().len() > UNDO_BYTES_MAX {
            return self
                .hold(slot, error("too_large", "the query exceeds what a command can hold"));
        }
        let command = Command {
            task: self.name(slot).id,
            n: self.task(slot).queries.saturating_add(1),
            agent: agent.clone(),
            task_type: task_type.clone(),
            value,
            deadline: self.in_time(plan.timeout.unwrap_or(crate::limits::QUERY_TIMEOUT)),
            time: self.now,
            epoch: self.head.epoch,
            key: self.key(slot),
            via: crate::phase::Via::Agent,
            endless: false,
        };
        self.push(Body::QueryScheduled { task: self.name(slot), command, until });
    }

    /// The agent does not know, or does not answer: it is asked again, or an operator is.
    pub(super) fn query_unknown(&mut self, slot: Slot, until: Timestamp) {
        let (plan, task) = (self.task_plan(slot), self.task(slot));
        let id = self.name(slot).id;
        let chance = chance(&self.head.id, self.head.run, &id, "query", task.queries);
        let at = self.in_time(plan.retry.wait(task.queries, chance));
        if at < until {
            self.push(Body::QueryRepeats { task: self.name(slot), at, until });
        } else {
            let why = task.error.clone().unwrap_or_else(|| error("timeout", "no answer"));
            self.hold(slot, why);
        }
    }

    /// Whether it was done is now known: it was not. `by`: an operator says so.
    pub(super) fn not_done(&mut self, slot: Slot, by: Option<By>) {
        let why = self.task(slot).error.clone();
        let why = why.unwrap_or_else(|| error("not_done", "the task was not done"));
        self.fail_by(slot, why, by);
    }
}
