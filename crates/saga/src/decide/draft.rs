//! An overlay of a workflow while a decision is made: the head and the tasks that have changed. What
//! has not changed is read from the state, so that a decision costs what it touches.

use std::collections::BTreeMap;
use std::time::Duration;

use events::{By, Problem, Timestamp};

use crate::event::{About, Body, Event, WorkflowEvent};
use crate::evolve::{Fold, begin, fold};
use crate::phase::{Command, Phase, Task, TaskError, TaskRef};
use crate::plan::{Plan, Slot, TaskPlan};
use crate::workflow::{Head, Stage, Workflow};

/// A decision in the making.
pub(crate) struct Draft<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) now: Timestamp,
    pub(crate) head: Head,
    /// Who ordered it, where a person did.
    pub(crate) by: Option<By>,
    base: &'a [Task],
    changed: BTreeMap<Slot, Task>,
    events: Vec<Event>,
    is_forgotten: bool,
}

/// What has not been touched.
static PENDING: Task = Task::PENDING;

impl Fold for Draft<'_> {
    fn head(&mut self) -> &mut Head {
        &mut self.head
    }

    fn task(&mut self, slot: Slot) -> &mut Task {
        let base = self.base;
        self.changed.entry(slot).or_insert_with(|| base.get(slot).unwrap_or(&PENDING).clone())
    }

    fn drop_tasks(&mut self) {
        self.base = &[];
        self.changed.clear();
    }
}

impl<'a> Draft<'a> {
    /// A draft over a workflow that there is.
    pub(crate) fn over(workflow: &'a Workflow, plan: &'a Plan, now: Timestamp) -> Self {
        Self {
            plan,
            now,
            head: workflow.head.clone(),
            by: None,
            base: &workflow.tasks,
            changed: BTreeMap::new(),
            events: Vec::new(),
            is_forgotten: false,
        }
    }

    /// A draft of a workflow that begins with this event.
    pub(crate) fn begin(start: WorkflowEvent, plan: &'a Plan) -> Self {
        Self {
            plan,
            now: start.time,
            head: begin(&start),
            by: None,
            base: &[],
            changed: BTreeMap::new(),
            events: vec![Event(About::Workflow(Box::new(start)))],
            is_forgotten: false,
        }
    }

    /// Decides an event: it is folded at once.
    pub(crate) fn push(&mut self, body: Body) {
        let turned = matches!(body, Body::CompensationStarted { .. });
        self.is_forgotten |= matches!(body, Body::Forgotten);
        let event = WorkflowEvent {
            workflow: self.head.id.clone(),
            run: self.head.run,
            sequence: self.head.sequence + u64::from(WorkflowEvent::is_public(&body)),
            time: self.now,
            saga: self.head.saga.clone(),
            version: self.head.version.clone(),
            epoch: self.head.epoch + u32::from(turned),
            trace: self.head.trace.clone(),
            body,
        };
        fold(self, &event);
        self.events.push(Event(About::Workflow(Box::new(event))));
    }

    /// Whether there is nothing left to decide about.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.is_forgotten
    }

    /// How many events have been decided.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// The events, in their order.
    pub(crate) fn finish(self) -> Vec<Event> {
        assert!(
            self.speaks(),
            "never-silent: {} run {} would wait for nothing",
            self.head.id,
            self.head.run
        );
        self.events
    }

    /// `never-silent`: whoever lives waits for a command with its deadline, for a timer, or for a
    /// person who has been told.
    fn speaks(&self) -> bool {
        matches!(self.head.stage, Stage::Ended { .. })
            || self.head.paused_at.is_some()
            || self.head.timeout_due().is_some()
            || self.slots().any(|slot| {
                let phase = self.task(slot).phase;
                phase.due().is_some() || phase == Phase::UndoBlocked
            })
    }

    /// All tasks, in the plan's order.
    pub(crate) fn slots(&self) -> std::ops::Range<Slot> {
        0..self.plan.tasks.len()
    }

    /// A task as it now is.
    pub(crate) fn task(&self, slot: Slot) -> &Task {
        self.changed.get(&slot).or_else(|| self.base.get(slot)).unwrap_or(&PENDING)
    }

    /// A task as the saga file has it.
    #[allow(clippy::indexing_slicing, reason = "slots come from the plan and nowhere else")]
    pub(crate) fn task_plan(&self, slot: Slot) -> &'a TaskPlan {
        &self.plan.tasks[slot]
    }

    /// The task's name in events.
    pub(crate) fn name(&self, slot: Slot) -> TaskRef {
        // A plan has at most a thousand tasks.
        let number = u32::try_from(slot).unwrap_or(u32::MAX);
        TaskRef { slot: number, id: self.task_plan(slot).id.clone() }
    }

    /// A time after now: a wait of nothing would fire in the same decision.
    pub(crate) fn in_time(&self, wait: Duration) -> Timestamp {
        self.now.after(wait.max(Duration::from_millis(1)))
    }

    /// The latest time for all attempts of a task together, where its file has one.
    pub(crate) fn task_deadline(&self, slot: Slot) -> Option<Timestamp> {
        let Some(crate::plan::Deadline::Within(all)) = self.task_plan(slot).deadline else {
            return None;
        };
        Some(self.task(slot).ready_at.unwrap_or(self.now).after(all))
    }

    /// The order to stop the task's attempt.
    pub(crate) fn stop_command(&self, slot: Slot, until: Timestamp) -> Command {
        let plan = self.task_plan(slot);
        Command {
            task: plan.id.clone(),
            n: self.task(slot).attempt,
            agent: plan.action.agent().0,
            task_type: plan.action.agent().1,
            value: events::Json::null(),
            deadline: until,
            time: self.now,
            epoch: self.head.epoch,
        }
    }

    /// The task's last error as the workflow's problem.
    pub(crate) fn problem(&self, slot: Slot) -> Problem {
        let TaskError { code, message } = self
            .task(slot)
            .error
            .clone()
            .unwrap_or_else(|| TaskError { code: "failed".to_owned(), message: String::new() });
        Problem { task: Some(self.task_plan(slot).id.clone()), code, message }
    }
}
