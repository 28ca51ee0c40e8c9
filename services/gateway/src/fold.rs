//! A workflow as its lifecycle events tell it: pure.

use events::{Lifecycle, Problem, TaskId, Timestamp, What};
use saga::{Plan, Role, Slot};
use serde::Serialize;
use serde_json::{Value, json};

use crate::standing::{Standing, Status};

/// A workflow as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Workflow {
    pub(crate) id: String,
    pub(crate) run: i64,
    pub(crate) saga: String,
    pub(crate) version: String,
    pub(crate) status: Status,
    pub(crate) started_at: String,
    pub(crate) ended_at: Option<String>,
    pub(crate) inputs: Value,
    pub(crate) outputs: Value,
    pub(crate) error: Option<Value>,
    pub(crate) tasks: Vec<Task>,
    /// Whether it goes on only once an operator has said so.
    #[serde(skip)]
    pub(crate) is_paused: bool,
    /// Whether it is being undone, blocked or not.
    #[serde(skip)]
    pub(crate) is_compensating: bool,
    /// The sequence of the last event.
    #[serde(skip)]
    pub(crate) last: u64,
}

/// A task as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) status: &'static str,
    pub(crate) attempts: u32,
    pub(crate) started_at: Option<String>,
    pub(crate) ended_at: Option<String>,
    pub(crate) output: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Value>,
}

impl Task {
    fn pending(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            status: "pending",
            attempts: 0,
            started_at: None,
            ended_at: None,
            output: Value::Null,
            error: None,
        }
    }
}

/// Folds a run's history, which is not empty, into the workflow. `plan`: its definition, where it is
/// known; its tasks stand first, in its order. What stands in it more than once, or only where something has
/// failed, is shown once something has happened to it.
pub(crate) fn workflow(history: &[Lifecycle], plan: Option<&Plan>) -> Option<Workflow> {
    let first = history.first()?;
    let tasks = plan.into_iter().flat_map(|plan| {
        let fixed = plan.tasks.iter().take(plan.fixed).enumerate();
        fixed.filter(|(slot, _)| is_expected(plan, *slot)).map(|(_, task)| task)
    });
    let mut folded = Workflow {
        id: first.workflow.to_string(),
        run: first.run.0,
        saga: first.saga.to_string(),
        version: first.version.to_string(),
        status: Status::Running,
        started_at: first.time.to_string(),
        ended_at: None,
        inputs: Value::Null,
        outputs: Value::Null,
        error: None,
        tasks: tasks.map(|task| Task::pending(task.id.as_str())).collect(),
        is_paused: false,
        is_compensating: false,
        last: 0,
    };
    let mut standing = Standing::default();
    for event in history {
        standing.fold(&event.what);
        folded.status = standing.status;
        folded.is_paused = standing.is_paused;
        folded.is_compensating = standing.is_compensating;
        folded.last = event.sequence;
        folded.take(event);
    }
    Some(folded)
}

/// Whether a task runs, or is skipped, where nothing fails: it, and what it stands in.
fn is_expected(plan: &Plan, slot: Slot) -> bool {
    // A container stands before what is in it, so this ends.
    std::iter::successors(plan.tasks.get(slot), |task| plan.tasks.get(task.parent?)).all(|task| {
        match task.role {
            Role::Child | Role::Case(_) | Role::Item => true,
            Role::Fallback(_) | Role::Closing => false,
        }
    })
}

/// A task's id as the file has it: `research[2]` is one of `research`.
pub(crate) fn without_elements(id: &str) -> &str {
    let of_element = |id: &str| {
        let (before, number) = id.strip_suffix(']')?.rsplit_once('[')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(before.len())
    };
    let mut id = id;
    while let Some(end) = of_element(id) {
        id = id.get(..end).unwrap_or_default();
    }
    id
}

impl Workflow {
    /// Where a task is shown that was not expected: behind its kin, `research[1]` behind `research[0]` and a
    /// fallback behind its task; else last.
    fn place_of(&self, id: &str) -> usize {
        let kin = |id: &str| {
            let id = without_elements(id);
            id.strip_suffix("~fallback").unwrap_or(id).to_owned()
        };
        let same = |task: &Task| kin(&task.id) == kin(id);
        self.tasks.iter().rposition(same).map_or(self.tasks.len(), |last| last + 1)
    }

    fn take(&mut self, event: &Lifecycle) {
        match &event.what {
            What::WorkflowStarted { inputs, .. } => self.inputs = inputs.value(),
            What::WorkflowCompleted { outputs } => {
                self.outputs = outputs.value();
                self.error = None;
                self.end(event.time);
            }
            What::WorkflowFailed { problem, outputs, .. } => {
                self.error = Some(error(problem));
                self.outputs = outputs.as_ref().map_or(Value::Null, events::Json::value);
                self.end(event.time);
            }
            What::WorkflowCancelled { by, .. } => {
                let message = format!("{}: {}", by.actor, by.reason);
                self.error = Some(json!({"task": null, "code": "cancelled", "message": message}));
                self.end(event.time);
            }
            What::WorkflowPaused { problem }
            | What::CompensationStarted { problem, .. }
            | What::CompensationBlocked { problem } => self.error = Some(error(problem)),
            What::WorkflowResumed { .. } => {
                if self.status == Status::Running {
                    self.error = None;
                }
            }
            What::CompensationCompleted { .. } => {}
            What::TaskScheduled { .. }
            | What::TaskStarted { .. }
            | What::TaskCompleted { .. }
            | What::TaskFailed { .. }
            | What::TaskRetried { .. }
            | What::TaskTimedOut { .. }
            | What::TaskInDoubt { .. }
            | What::TaskSkipped { .. }
            | What::TaskCancelled { .. }
            | What::UndoScheduled { .. }
            | What::UndoCompleted { .. }
            | What::UndoFailed { .. }
            | What::TimerFired { .. }
            | What::SignalReceived { .. } => self.take_of_task(event),
        }
    }

    fn end(&mut self, time: Timestamp) {
        self.ended_at = Some(time.to_string());
    }

    fn is_done(&self, id: &str) -> bool {
        self.tasks.iter().any(|task| task.id == id && task.status == "done")
    }

    fn take_of_task(&mut self, event: &Lifecycle) {
        let (Some(id), attempt) = crate::history::subject(&event.what) else { return };
        let index = match self.tasks.iter().position(|task| task.id == id.as_str()) {
            Some(index) => index,
            None => {
                let place = self.place_of(id.as_str());
                self.tasks.insert(place, Task::pending(id.as_str()));
                place
            }
        };
        let is_covered = self.is_done(&format!("{id}~fallback"));
        let Some(task) = self.tasks.get_mut(index) else { return };
        task.attempts = task.attempts.max(attempt.unwrap_or(0));
        task.status = match (&event.what, task.status) {
            // Its fallback has done it, while a late success of its own is yet to be undone.
            (What::TaskCompleted { .. }, "undoing" | "undo_blocked") if is_covered => task.status,
            (What::UndoCompleted { .. }, _) if is_covered => "done",
            (what, before) => task_status(what).unwrap_or(before),
        };
        let at = || Some(event.time.to_string());
        match &event.what {
            What::TaskScheduled { .. } | What::TaskStarted { .. } => {
                task.started_at = task.started_at.take().or_else(at);
            }
            What::TaskCompleted { output, .. } => {
                task.output = output.value();
                task.error = None;
                task.ended_at = at();
            }
            What::TaskSkipped { reason, .. } if reason == "undo" => task.ended_at = at(),
            What::TaskSkipped { output, .. } => {
                task.output = output.as_ref().map_or(Value::Null, events::Json::value);
                task.ended_at = at();
            }
            What::TaskFailed { code, message, .. } | What::UndoFailed { code, message, .. } => {
                task.error = Some(json!({"code": code, "message": message}));
                task.ended_at = at();
            }
            What::TaskRetried { code, message, .. } | What::TaskInDoubt { code, message, .. } => {
                task.error = Some(json!({"code": code, "message": message}));
            }
            What::TaskCancelled { .. } | What::UndoCompleted { .. } => task.ended_at = at(),
            What::UndoScheduled { .. } => task.ended_at = None,
            What::TaskTimedOut { .. }
            | What::TimerFired { .. }
            | What::SignalReceived { .. }
            | What::WorkflowStarted { .. }
            | What::WorkflowCompleted { .. }
            | What::WorkflowFailed { .. }
            | What::WorkflowCancelled { .. }
            | What::WorkflowPaused { .. }
            | What::WorkflowResumed { .. }
            | What::CompensationStarted { .. }
            | What::CompensationCompleted { .. }
            | What::CompensationBlocked { .. } => {}
        }
    }
}

/// The status that an event gives its task.
fn task_status(what: &What) -> Option<&'static str> {
    Some(match what {
        What::TaskScheduled { .. } | What::TaskStarted { .. } => "running",
        What::TaskCompleted { .. } => "done",
        What::TaskFailed { .. } => "failed",
        What::TaskRetried { .. } => "retrying",
        What::TaskTimedOut { .. } | What::TaskInDoubt { .. } => "in_doubt",
        // An undo that is given up leaves what was done.
        What::TaskSkipped { reason, .. } if reason == "undo" => "done",
        What::TaskSkipped { .. } => "skipped",
        What::TaskCancelled { .. } => "cancelled",
        What::UndoScheduled { .. } | What::UndoFailed { retry_at: Some(_), .. } => "undoing",
        What::UndoFailed { retry_at: None, .. } => "undo_blocked",
        What::UndoCompleted { .. } => "undone",
        What::TimerFired { .. }
        | What::SignalReceived { .. }
        | What::WorkflowStarted { .. }
        | What::WorkflowCompleted { .. }
        | What::WorkflowFailed { .. }
        | What::WorkflowCancelled { .. }
        | What::WorkflowPaused { .. }
        | What::WorkflowResumed { .. }
        | What::CompensationStarted { .. }
        | What::CompensationCompleted { .. }
        | What::CompensationBlocked { .. } => return None,
    })
}

fn error(problem: &Problem) -> Value {
    let task = problem.task.as_ref().map(TaskId::as_str);
    json!({"task": task, "code": problem.code, "message": problem.message})
}

#[cfg(test)]
mod tests {
    use events::{Json, Run, SagaName, Version, WorkflowId};

    use super::*;

    const SAGA: &str = r#"version: "2.0"
name: orders
on_failure: {strategy: compensate, then: [{id: tell, agent: mail}]}
tasks:
  - {id: pay, agent: bank, fallback: {agent: cash}}
  - id: pack
    depends_on: [pay]
    tasks:
      - {id: wrap, for_each: "${[1, 2]}", agent: hands}
      - {id: label, agent: hands}
  - {id: approval, depends_on: [pay], await: signal/approve}
"#;

    /// Each task as `id status`, once these have happened.
    fn check(whats: Vec<What>, expected: &[&str]) {
        let checked = saga::check(SAGA);
        let plan = checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
        let event = |(sequence, what)| Lifecycle {
            workflow: WorkflowId::from("orders:1"),
            run: Run(1),
            sequence,
            time: Timestamp::from_millis(1),
            saga: SagaName::from("orders"),
            version: Version::from("v"),
            what,
        };
        let inputs = Json::null();
        let start = What::WorkflowStarted { start_id: String::new(), inputs };
        let whats = std::iter::once(start).chain(whats);
        let history: Vec<Lifecycle> = (1..).zip(whats).map(event).collect();
        let folded = workflow(&history, Some(&plan)).unwrap();
        let tasks = folded.tasks.iter().map(|task| format!("{} {}", task.id, task.status));
        assert_eq!(tasks.collect::<Vec<_>>(), expected);
    }

    fn began(task: &str) -> What {
        What::TaskStarted { task: task.into(), attempt: 1, percent: None, note: None }
    }

    fn done(task: &str) -> What {
        What::TaskCompleted { task: task.into(), attempt: 1, output: Json::null(), by: None }
    }

    #[test]
    fn what_runs_only_after_a_failure_or_more_than_once_is_shown_when_it_has_begun() {
        let pending =
            ["pay", "pack", "wrap", "label", "approval"].map(|id| format!("{id} pending"));
        check(vec![], &pending.each_ref().map(String::as_str));
        let signal = What::SignalReceived {
            signal: "approve".to_owned(),
            data: Json::null(),
            task: Some("approval".into()),
        };
        check(
            vec![
                done("pay~fallback"),
                done("pay"),
                began("pack"),
                began("approval"),
                began("wrap"),
                began("wrap[1]"),
                done("wrap[0]"),
                signal,
                began("tell"),
            ],
            &[
                "pay done",
                "pay~fallback done",
                "pack running",
                "wrap running",
                "wrap[1] running",
                "wrap[0] done",
                "label pending",
                "approval running",
                "tell running",
            ],
        );
    }

    fn undo(task: &str, n: u32) -> What {
        What::UndoScheduled {
            task: task.into(),
            n,
            agent: "bank".into(),
            task_type: "undo".to_owned(),
            command: String::new(),
            inputs: Json::null(),
            deadline: Timestamp::from_millis(2),
        }
    }

    fn undone(task: &str, n: u32) -> What {
        What::UndoCompleted { task: task.into(), n, nothing: false, by: None }
    }

    #[test]
    fn what_a_fallback_has_done_is_done_once_the_late_success_of_its_task_is_undone() {
        let late = || vec![undo("pay", 1), undone("pay", 1), began("pay~fallback"), undo("pay", 2)];
        let rest = ["pack pending", "wrap pending", "label pending", "approval pending"];
        let check_pay = |more: Vec<What>, pay: &str| {
            let whats = late().into_iter().chain(more).collect();
            check(whats, &[&[pay, "pay~fallback done"], &rest[..]].concat());
        };
        let worked = || vec![done("pay~fallback"), done("pay")];
        check_pay(worked(), "pay undoing");
        check_pay([worked(), vec![undone("pay", 2)]].concat(), "pay done");
        check_pay([vec![undone("pay", 2)], worked()].concat(), "pay done");
    }

    #[test]
    fn an_element_is_one_of_its_task() {
        for (id, of) in [
            ("wrap[12]", "wrap"),
            ("wrap[1][0]", "wrap"),
            ("pay~fallback[0]", "pay~fallback"),
            ("wrap", "wrap"),
            ("wrap[]", "wrap[]"),
            ("wrap[x]", "wrap[x]"),
        ] {
            assert_eq!(without_elements(id), of);
        }
    }
}
