//! What has happened to each order, as told by the lifecycle events alone.

use std::collections::BTreeMap;
use std::time::Duration;

use events::{How, Lifecycle, TaskId, Timestamp, What};

/// The tasks of the saga, in the order in which they are shown.
pub(crate) const TASKS: [&str; 5] =
    ["inventory", "payment", "fraud", "fulfillment", "notification"];

/// How an order has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) status: &'static str,
    pub(crate) code: Option<String>,
    pub(crate) took: Duration,
}

/// One order's way so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journey {
    seen: (i64, u64),
    started: Option<Timestamp>,
    tasks: BTreeMap<String, &'static str>,
    steps: Vec<String>,
    pub(crate) end: Option<End>,
}

impl Journey {
    /// Takes the next event; says whether it is news. One that came before is passed over, as
    /// every reader of the topic must.
    pub(crate) fn take(&mut self, event: &Lifecycle) -> bool {
        let stamp = (event.run.0, event.sequence);
        if stamp <= self.seen {
            return false;
        }
        self.seen = stamp;
        match &event.what {
            What::WorkflowStarted { .. } => self.started = Some(event.time),
            What::WorkflowCompleted { .. } => self.ends("completed", None, event.time),
            What::WorkflowFailed { how, problem, .. } => {
                let status = match how {
                    How::Failed => "failed",
                    How::Compensated => "compensated",
                    How::Partial => "partial",
                };
                self.ends(status, Some(problem.code.clone()), event.time);
            }
            What::WorkflowCancelled { .. } => self.ends("cancelled", None, event.time),
            What::WorkflowPaused { problem } => self.step(format!("paused: {}", problem.code)),
            What::WorkflowResumed { .. } => self.step("resumed".to_owned()),
            What::CompensationStarted { problem, .. } => {
                self.step(format!("undo all: {}", problem.code));
            }
            What::CompensationCompleted { .. } => {}
            What::CompensationBlocked { problem } => {
                self.step(format!("blocked: {}", problem.code))
            }
            What::TaskScheduled { task, .. } => self.stands(task, "running"),
            What::TaskStarted { .. } => {}
            What::TaskCompleted { task, .. } => self.task(task, "done", String::new()),
            What::TaskFailed { task, code, .. } => self.task(task, "failed", format!(" ({code})")),
            What::TaskRetried { task, code, .. } => {
                self.task(task, "retrying", format!(" ({code})"));
            }
            What::TaskTimedOut { task, .. } => self.task(task, "timed out", String::new()),
            What::TaskInDoubt { task, .. } => self.task(task, "in doubt", String::new()),
            What::TaskSkipped { task, .. } => self.task(task, "skipped", String::new()),
            What::TaskCancelled { task, .. } => self.stands(task, "cancelled"),
            What::UndoScheduled { task, .. } => self.stands(task, "undoing"),
            What::UndoCompleted { task, .. } => self.task(task, "undone", String::new()),
            What::UndoFailed { task, .. } => self.task(task, "undo failed", String::new()),
            What::TimerFired { .. } => {}
            What::SignalReceived { signal, .. } => self.step(format!("signal {signal}")),
        }
        true
    }

    /// How far each task is, on one line.
    pub(crate) fn picture(&self) -> String {
        let tasks = TASKS.map(|task| {
            let mark = match self.tasks.get(task) {
                None => "·",
                Some(&"running") => "…",
                Some(&"done") => "✔",
                Some(&"undoing") => "↶",
                Some(&"undone") => "↩",
                Some(&"cancelled" | &"skipped") => "–",
                Some(&"retrying" | &"timed out" | &"in doubt") => "?",
                Some(_) => "✘",
            };
            format!("{mark} {task}")
        });
        let end = match &self.end {
            Some(end) => format!("{} in {} ms", end.status, end.took.as_millis()),
            None => String::new(),
        };
        format!("{}  {end}", tasks.join("  "))
    }

    /// Whether this task has been sent out and not been answered.
    pub(crate) fn waits_for(&self, task: &str) -> bool {
        self.tasks.get(task) == Some(&"running")
    }

    /// Everything that has happened, in order.
    pub(crate) fn story(&self) -> String {
        self.steps.join(", ")
    }

    fn stands(&mut self, task: &TaskId, how: &'static str) {
        self.tasks.insert(task.as_str().to_owned(), how);
    }

    fn task(&mut self, task: &TaskId, how: &'static str, detail: String) {
        self.stands(task, how);
        self.step(format!("{task} {how}{detail}"));
    }

    fn step(&mut self, text: String) {
        self.steps.push(text);
    }

    fn ends(&mut self, status: &'static str, code: Option<String>, at: Timestamp) {
        let took = at.since(self.started.unwrap_or(at));
        // One end event a run: a second is kept as a step, where the table will show it.
        match &self.end {
            None => self.end = Some(End { status, code, took }),
            Some(_) => self.step(format!("ended again: {status}")),
        }
    }
}
