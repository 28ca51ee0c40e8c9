//! One task going forward: attempts, failures, doubt.

use events::{By, Json, Timestamp};
use serde_json::{Map, Value};

use super::Draft;
use crate::event::{Body, Doubt};
use crate::input::{Effects, Failure};
use crate::limits::{COMMAND_BYTES_MAX, QUERY_FOR, UNDO_BYTES_MAX, WORKFLOW_BYTES_MAX};
use crate::phase::{Command, Phase, TaskError};
use crate::plan::{InDoubt, Inputs, Kind, Slot};
use crate::retry::chance;
use crate::scope::WorkflowScope;
use crate::workflow::Stage;

/// An error with its code and its text.
pub(super) fn error(code: &str, message: impl Into<String>) -> TaskError {
    TaskError { code: code.to_owned(), message: crate::limits::cut(&message.into()) }
}

impl Draft<'_> {
    /// Begins a task, or its next attempt. Inputs that were computed once stay.
    pub(super) fn schedule(&mut self, slot: Slot) {
        assert!(
            self.head.epoch == 0 && matches!(self.head.stage, Stage::Forward | Stage::Deferred(_)),
            "undo-order: a task of {} would start after compensation began",
            self.head.id
        );
        let inputs = match self.task(slot).inputs.clone() {
            Some(inputs) => Ok(inputs),
            None => self.inputs(slot),
        };
        let inputs = match inputs {
            Ok(inputs) => inputs,
            Err(error) => return self.fail(slot, error),
        };
        let plan = self.task_plan(slot);
        let attempt_ends = self.in_time(plan.timeout.unwrap_or_default());
        let deadline = match self.task_deadline(slot) {
            Some(all) => attempt_ends.min(all.max(self.in_time(std::time::Duration::ZERO))),
            None => attempt_ends,
        };
        let command = Command {
            task: plan.id.clone(),
            n: self.task(slot).attempt.saturating_add(1),
            agent: plan.action.agent().0,
            task_type: plan.action.agent().1,
            value: inputs,
            deadline,
            time: self.now,
            epoch: self.head.epoch,
        };
        self.push(Body::TaskScheduled { task: self.name(slot), command });
    }

    fn inputs(&self, slot: Slot) -> Result<Json, TaskError> {
        let plan = self.task_plan(slot);
        let inputs = match &plan.inputs {
            Inputs::Computed(template) => Json::from_value(
                &template
                    .eval(&WorkflowScope { draft: self, original: None })
                    .map_err(|failed| error("expression", failed.to_string()))?,
            ),
            Inputs::Upstream => {
                let of = |&upstream: &Slot| {
                    let output =
                        self.task(upstream).output.as_ref().map_or(Value::Null, Json::value);
                    (self.task_plan(upstream).id.as_str().to_owned(), output)
                };
                Json::from_value(&Value::Object(
                    plan.depends_on.iter().map(of).collect::<Map<_, _>>(),
                ))
            }
            Inputs::Enclosing | Inputs::Item => self.head.inputs.clone(),
        };
        let bytes = inputs.as_str().len();
        if bytes > COMMAND_BYTES_MAX {
            let message =
                format!("inputs of {bytes} bytes exceed {COMMAND_BYTES_MAX}; pass a reference");
            return Err(error("too_large", message));
        }
        if let Some(too_large) = self.overflow("inputs", bytes) {
            return Err(too_large);
        }
        Ok(inputs)
    }

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
        let is_forward = matches!(self.head.stage, Stage::Forward | Stage::Deferred(_));
        let pivot = is_forward && self.task_plan(slot).kind == Kind::Pivot;
        self.push(Body::TaskCompleted { task: self.name(slot), attempt, output, by, pivot });
    }

    /// The inputs and outputs that the workflow holds, bytes.
    fn held_bytes(&self) -> usize {
        let bytes = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.as_str().len());
        let of_tasks = self.slots().map(|slot| {
            let task = self.task(slot);
            bytes(&task.inputs) + bytes(&task.output)
        });
        self.head.inputs.as_str().len() + of_tasks.sum::<usize>()
    }

    /// Why so many more bytes are too many for the workflow to hold.
    fn overflow(&self, what: &str, bytes: usize) -> Option<TaskError> {
        let all = self.held_bytes() + bytes;
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
        let known = failure.effects == Effects::None || plan.kind == Kind::ReadOnly;
        let why = error(&failure.code, failure.message.as_str());
        let repeats = failure.retryable && plan.retry.allows(&failure.code);
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
        let repeats = plan.kind == Kind::Retriable || plan.retry.allows(&why.code);
        match self.next_attempt(slot).filter(|_| repeats) {
            Some(retry_at) => self.retry(slot, why, retry_at, plan.kind != Kind::ReadOnly),
            None if plan.kind == Kind::ReadOnly => self.fail(slot, why),
            None => self.doubt(slot, why),
        }
    }

    fn retry(&mut self, slot: Slot, error: TaskError, retry_at: Timestamp, doubt: bool) {
        let (task, attempt) = (self.name(slot), self.task(slot).attempt);
        self.push(Body::TaskRetried { task, attempt, error, retry_at, doubt, by: None });
    }

    /// When the next attempt may be made; `None` where none may.
    fn next_attempt(&self, slot: Slot) -> Option<Timestamp> {
        let (plan, task) = (self.task_plan(slot), self.task(slot));
        let made = task.attempt.saturating_sub(task.attempts_from);
        if plan.kind != Kind::Retriable && made >= plan.retry.max_attempts {
            return None;
        }
        let chance = chance(&self.head.id, self.head.run, &plan.id, "do", task.attempt);
        let at = self.in_time(plan.retry.wait(made, chance));
        self.task_deadline(slot).is_none_or(|deadline| at < deadline).then_some(at)
    }

    /// What follows from doubt about this task, as things stand.
    fn policy(&self, slot: Slot) -> InDoubt {
        let plan = self.task_plan(slot);
        match plan.in_doubt {
            InDoubt::Undo
                if plan.undo.is_some() && plan.kind != Kind::Pivot && !self.head.past_pivot =>
            {
                InDoubt::Undo
            }
            InDoubt::Undo | InDoubt::Hold => InDoubt::Hold,
            InDoubt::Query => InDoubt::Query,
        }
    }

    /// Attempts are used up, and whether it was done is unknown.
    pub(super) fn doubt(&mut self, slot: Slot, error: TaskError) {
        match self.policy(slot) {
            InDoubt::Undo => self.in_doubt(slot, Doubt::Undo, error),
            InDoubt::Hold => self.hold(slot, error),
            InDoubt::Query => {
                // A deadline that is over is no time to ask in.
                let deadline = self.task_deadline(slot).filter(|at| *at > self.now);
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
        let scope = WorkflowScope { draft: self, original: None };
        let value = Json::from_value(&scope.original_with_key(slot, None));
        if value.as_str().len() > UNDO_BYTES_MAX {
            return self
                .hold(slot, error("too_large", "the query exceeds what a command can hold"));
        }
        let command = Command {
            task: plan.id.clone(),
            n: self.task(slot).queries.saturating_add(1),
            agent: plan.action.agent().0,
            task_type: plan.action.agent().1,
            value,
            deadline: self.in_time(plan.timeout.unwrap_or_default()),
            time: self.now,
            epoch: self.head.epoch,
        };
        self.push(Body::QueryScheduled { task: self.name(slot), command, until });
    }

    /// The agent does not know, or does not answer: it is asked again, or an operator is.
    pub(super) fn query_unknown(&mut self, slot: Slot, until: Timestamp) {
        let (plan, task) = (self.task_plan(slot), self.task(slot));
        let chance = chance(&self.head.id, self.head.run, &plan.id, "query", task.queries);
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

    /// Whether a pivot's outcome is still to come. One that waits for its next attempt after a
    /// definite failure is not out: in trouble it is not sent again.
    pub(super) fn pivot_in_flight(&self) -> bool {
        self.slots().any(|slot| {
            let phase = self.task(slot).phase;
            let waits = matches!(phase, Phase::Retrying { doubt: false, .. });
            self.task_plan(slot).kind == Kind::Pivot && phase.in_flight() && !waits
        })
    }
}
