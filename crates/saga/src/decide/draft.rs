//! An overlay of a workflow while a decision is made: the head and the tasks that have changed. What
//! has not changed is read from the state, so that a decision costs what it touches.

use std::time::Duration;

use events::{By, Problem, Timestamp};

use crate::event::{About, Body, Event, Reply, WorkflowEvent};
use crate::evolve::{Fold, begin, fold};
use crate::phase::{Task, TaskError};
use crate::plan::{Index, Plan, Slot};
use crate::workflow::{Changing, Head, Stage, Tally, Workflow};

use super::Held;
use super::concern::Concern;

/// A decision in the making.
pub(crate) struct Draft<'a> {
    /// For the definitions of children.
    pub(crate) held: &'a dyn Held,
    pub(crate) plan: &'a Plan,
    pub(crate) index: &'a Index,
    pub(crate) now: Timestamp,
    pub(crate) head: Head,
    /// Who ordered it, where a person did.
    pub(crate) by: Option<By>,
    base: &'a [Task],
    /// By slot.
    changed: Vec<(Slot, Task)>,
    pub(super) tally: Tally,
    pub(super) concern: Concern,
    touched: Vec<Slot>,
    events: Vec<Event>,
    is_forgotten: bool,
}

/// Events that one decision may come to, for each task: far more than a task has phases.
const EVENTS_PER_SLOT: usize = 64;

/// What has not been touched.
static PENDING: Task = Task::PENDING;

impl Fold for Draft<'_> {
    fn head(&mut self) -> &mut Head {
        &mut self.head
    }

    #[allow(clippy::indexing_slicing, reason = "it was found or put there")]
    fn task(&mut self, slot: Slot) -> Changing<'_> {
        self.touched.push(slot);
        let at = match self.changed.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(at) => at,
            Err(at) => {
                let base = self.base.get(slot).unwrap_or(&PENDING);
                self.changed.insert(at, (slot, base.clone()));
                at
            }
        };
        Changing::new(&mut self.changed[at].1, &mut self.tally, None)
    }

    fn drop_tasks(&mut self) {
        self.base = &[];
        self.changed.clear();
        self.tally = Tally::default();
    }
}

impl<'a> Draft<'a> {
    /// A draft over a workflow that there is.
    pub(crate) fn over(
        held: &'a dyn Held,
        workflow: &'a Workflow,
        (plan, index): (&'a Plan, &'a Index),
        now: Timestamp,
    ) -> Self {
        let mut this = Self {
            held,
            plan,
            index,
            now,
            head: workflow.head.clone(),
            by: None,
            base: workflow.tasks(),
            tally: workflow.tally(),
            concern: Concern::default(),
            touched: Vec::new(),
            changed: Vec::new(),
            events: Vec::new(),
            is_forgotten: false,
        };
        this.concern = this.concern_at_rest();
        this
    }

    /// A draft of a workflow that begins with this event.
    pub(crate) fn start(
        held: &'a dyn Held,
        start: WorkflowEvent,
        (plan, index): (&'a Plan, &'a Index),
    ) -> Self {
        let head = begin(&start, held.state(start.workflow.as_str()));
        Self {
            held,
            plan,
            index,
            now: start.time,
            head,
            by: None,
            base: &[],
            tally: Tally::default(),
            concern: Concern::all(),
            touched: Vec::new(),
            changed: Vec::new(),
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
        assert!(
            self.events.len() <= EVENTS_PER_SLOT * (self.slots().end + self.head.early.len() + 8),
            "all-bounded: what follows for {} does not come to rest: {event:?}",
            self.head.id
        );
        fold(self, &event);
        if let Body::Expanded(expansion) = &event.body {
            self.touched.push(expansion.of as Slot);
        }
        if !self.is_plain_step() {
            self.concern_all();
        }
        while let Some(slot) = self.touched.pop() {
            self.concern(slot);
        }
        self.events.push(Event(About::Workflow(Box::new(event))));
    }

    /// Answers a command of the parent.
    pub(super) fn tell(&mut self, reply: Reply) {
        let (workflow, time) = (self.head.id.clone(), self.now);
        self.events.push(Event(About::Told { workflow, time, reply }));
    }

    /// Whether nothing has failed, is in doubt, or is or was stopped or undone: most decisions are about such a run.
    pub(super) fn is_plain(&self) -> bool {
        self.tally.is_plain()
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

    /// `never-silent`: whoever lives waits for a command with its deadline, for an event or a child, for a
    /// timer, or for a person who has been told.
    fn speaks(&self) -> bool {
        matches!(self.head.stage, Stage::Ended { .. })
            || self.head.paused_at.is_some()
            || self.head.timeout_due().is_some()
            || self.tally.speaks()
    }

    /// A task as it now is.
    pub(crate) fn task(&self, slot: Slot) -> &Task {
        match self.changed.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(at) => self.changed.get(at).map(|(_, task)| task),
            Err(_) => self.base.get(slot),
        }
        .unwrap_or(&PENDING)
    }

    /// A time after now: a wait of nothing would fire in the same decision.
    pub(crate) fn in_time(&self, wait: Duration) -> Timestamp {
        self.now.after(wait.max(Duration::from_millis(1)))
    }

    /// Whether doing goes on: nothing has turned it.
    pub(crate) fn is_forward(&self) -> bool {
        matches!(self.head.stage, Stage::Forward | Stage::Deferred(_))
    }

    /// The task's last error as the workflow's problem.
    pub(crate) fn problem(&self, slot: Slot) -> Problem {
        let TaskError { code, message } = self
            .task(slot)
            .error
            .clone()
            .unwrap_or_else(|| TaskError { code: "failed".to_owned(), message: String::new() });
        Problem { task: Some(self.name(slot).id), code, message }
    }
}
