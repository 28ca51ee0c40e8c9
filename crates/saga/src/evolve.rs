//! The fold: how each event changes the state of its key. `decide` runs this very fold on an
//! overlay of the state while it makes up its mind, so that the two can not differ.

use events::{How, Timestamp};

use crate::event::{About, Body, Doubt, Event, Rest, Skip, WorkflowEvent};
use crate::phase::{Phase, Task, TaskError, TaskRef};
use crate::plan::Slot;
use crate::state::{Definition, State};
use crate::workflow::{End, Head, Stage, Workflow};

/// What a workflow's events are folded into: the workflow itself, or a draft over it.
pub(crate) trait Fold {
    /// Everything but the tasks.
    fn head(&mut self) -> &mut Head;
    /// The task of that slot, to be changed.
    fn task(&mut self, slot: Slot) -> &mut Task;
    /// Drops all tasks.
    fn drop_tasks(&mut self);
}

impl Fold for Workflow {
    fn head(&mut self) -> &mut Head {
        &mut self.head
    }

    #[allow(clippy::indexing_slicing, reason = "the line before makes room")]
    fn task(&mut self, slot: Slot) -> &mut Task {
        if self.tasks.len() <= slot {
            self.tasks.resize(slot + 1, Task::PENDING);
        }
        &mut self.tasks[slot]
    }

    fn drop_tasks(&mut self) {
        self.tasks = Vec::new();
    }
}

/// Folds one event into the state of its key.
///
/// # Panics
/// Where an event of a workflow comes without its start (`fold-only`): the journal is broken.
pub fn evolve(state: &mut Option<State>, event: &Event) {
    match &event.0 {
        About::Defined(source) => {
            *state = Some(State::Definition(Definition::compile(source.clone())));
        }
        About::Newest(newest) => *state = Some(State::Newest(newest.clone())),
        About::Workflow(event) => match (&event.body, state.as_mut()) {
            (Body::WorkflowStarted { .. }, held) => {
                assert!(held.is_none(), "fold-only: {} is started twice", event.workflow);
                let workflow = Workflow { head: begin(event), tasks: Vec::new() };
                *state = Some(State::Workflow(Box::new(workflow)));
            }
            (Body::Forgotten, _) => *state = None,
            (_, Some(State::Workflow(workflow))) => fold(workflow.as_mut(), event),
            (_, None | Some(State::Definition(_) | State::Newest(_))) => {
                panic!("fold-only: {} has an event without a start", event.workflow)
            }
        },
    }
}

/// A workflow's head as its start makes it.
pub(crate) fn begin(event: &WorkflowEvent) -> Head {
    let Body::WorkflowStarted { start_id, inputs, timeout_at } = &event.body else {
        panic!("fold-only: {} begins with {:?}", event.workflow, event.body)
    };
    Head {
        id: event.workflow.clone(),
        run: event.run,
        saga: event.saga.clone(),
        version: event.version.clone(),
        start_id: start_id.clone(),
        inputs: inputs.clone(),
        started_at: event.time,
        trace: event.trace.clone(),
        sequence: event.sequence,
        epoch: event.epoch,
        stage: Stage::Forward,
        paused_at: None,
        timeout_at: *timeout_at,
        past_pivot: false,
        not_before: None,
    }
}

/// Folds one event of a workflow that has started.
pub(crate) fn fold(into: &mut impl Fold, event: &WorkflowEvent) {
    let head = into.head();
    head.sequence = event.sequence;
    head.epoch = event.epoch;
    head.not_before = None;
    let time = event.time;
    match &event.body {
        Body::WorkflowStarted { .. }
        | Body::CompensationCompleted { .. }
        | Body::CompensationBlocked { .. }
        | Body::TaskTimedOut { .. }
        | Body::Forgotten => {}
        Body::WorkflowCompleted { .. } => end(into, time, End::Completed, &Rest::default()),
        Body::WorkflowFailed { how, rest, .. } => {
            let how = match how {
                How::Failed => End::Failed,
                How::Compensated => End::Compensated,
                How::Partial => End::Partial,
            };
            end(into, time, how, rest);
        }
        Body::WorkflowCancelled { rest, .. } => end(into, time, End::Cancelled, rest),
        Body::WorkflowPaused { .. } => head.paused_at = Some(time),
        Body::WorkflowResumed { accepted, .. } => {
            if let Some(since) = head.paused_at.take() {
                head.timeout_at = head.timeout_at.after(time.since(since));
            }
            for task in accepted {
                into.task(task.index()).phase = Phase::Failed { accepted: true };
            }
        }
        Body::CompensationStarted { trouble } => {
            head.stage = Stage::Compensating(trouble.clone());
        }
        Body::Deferred { trouble } => head.stage = Stage::Deferred(trouble.clone()),
        Body::DeferralDropped => head.stage = Stage::Forward,
        Body::Postponed { until } => head.not_before = Some(*until),
        Body::Shrunk => {
            let late = still_late(into);
            if let Stage::Ended { shrunk, late: held, .. } = &mut into.head().stage {
                (*shrunk, *held) = (true, late);
            }
            shrink(into);
        }
        Body::TaskScheduled { .. }
        | Body::TaskStarted { .. }
        | Body::TaskCompleted { .. }
        | Body::TaskFailed { .. }
        | Body::TaskRetried { .. }
        | Body::TaskInDoubt { .. }
        | Body::TaskSkipped { .. }
        | Body::TaskCancelled { .. }
        | Body::StopOrdered { .. }
        | Body::QueryScheduled { .. }
        | Body::QueryRepeats { .. } => fold_task(into, time, &event.body),
        Body::UndoScheduled { .. } | Body::UndoCompleted { .. } | Body::UndoFailed { .. } => {
            fold_undo(into, &event.body);
        }
    }
}

fn fold_task(into: &mut impl Fold, time: Timestamp, body: &Body) {
    #[allow(clippy::wildcard_enum_match_arm, reason = "`fold` has chosen among all events")]
    match body {
        Body::TaskScheduled { task, command } => {
            let task = into.task(task.index());
            task.phase = Phase::Running { deadline: command.deadline, heard: false };
            task.attempt = command.n;
            task.ready_at = task.ready_at.or(Some(time));
            task.inputs = Some(command.value.clone());
        }
        Body::TaskStarted { task, .. } => {
            if let Phase::Running { heard, .. } = &mut into.task(task.index()).phase {
                *heard = true;
            }
        }
        Body::TaskCompleted { task, output, pivot, .. } => {
            into.head().past_pivot |= *pivot;
            adopt(into.task(task.index()), output);
        }
        Body::TaskFailed { task, error, .. } => {
            settle(into, task, Phase::Failed { accepted: false }, Some(error));
        }
        Body::TaskRetried { task, error, retry_at, doubt, by, .. } => {
            settle(into, task, Phase::Retrying { at: *retry_at, doubt: *doubt }, Some(error));
            let task = into.task(task.index());
            task.unsure = *doubt;
            if by.is_some() {
                task.attempts_from = task.attempt;
                task.ready_at = Some(time);
            }
        }
        Body::TaskInDoubt { task, doubt, error, .. } => {
            let phase = match doubt {
                Doubt::Undo => Phase::Doubtful,
                Doubt::Query { until } => Phase::AskAgain { at: time, until: *until },
                Doubt::Hold => Phase::Held,
            };
            settle(into, task, phase, Some(error));
        }
        Body::TaskSkipped { task, why, output, .. } => {
            let phase = match why {
                Skip::Upstream => Phase::Skipped { spreads: true },
                Skip::Operator => Phase::Skipped { spreads: false },
                Skip::Undo => Phase::Kept,
            };
            let task = into.task(task.index());
            task.phase = phase;
            if output.is_some() {
                task.output.clone_from(output);
            }
        }
        Body::TaskCancelled { task, .. } => settle(into, task, Phase::Cancelled, None),
        Body::StopOrdered { task, stop } => {
            settle(into, task, Phase::Stopping { until: stop.deadline }, None);
        }
        Body::QueryScheduled { task, command, until } => {
            let task = into.task(task.index());
            task.queries = command.n;
            task.phase = Phase::Asking { deadline: command.deadline, until: *until };
        }
        Body::QueryRepeats { task, at, until } => {
            settle(into, task, Phase::AskAgain { at: *at, until: *until }, None);
        }
        other => panic!("fold-only: {other:?} is no event of a task"),
    }
}

fn fold_undo(into: &mut impl Fold, body: &Body) {
    #[allow(clippy::wildcard_enum_match_arm, reason = "`fold` has chosen among all events")]
    match body {
        Body::UndoScheduled { task, command, late_output, by } => {
            let task = into.task(task.index());
            if let Some(output) = late_output {
                adopt(task, output);
            }
            if by.is_some() {
                task.undos_from = task.undos;
            }
            task.undos = command.n;
            task.phase = Phase::Undoing { deadline: command.deadline };
            task.undo = Some(command.clone());
        }
        Body::UndoCompleted { task, .. } => {
            let task = into.task(task.index());
            task.phase = Phase::Undone;
            task.undo = None;
        }
        Body::UndoFailed { task, n, error, retry_at, .. } => {
            let task = into.task(task.index());
            task.undos = *n;
            task.error = Some(error.clone());
            task.phase = retry_at.map_or(Phase::UndoBlocked, |at| Phase::UndoRetrying { at });
        }
        other => panic!("fold-only: {other:?} is no event of an undo"),
    }
}

/// A success becomes known. What was undone without it counts no longer.
fn adopt(task: &mut Task, output: &events::Json) {
    task.phase = Phase::Done;
    task.output = Some(output.clone());
    task.undos_void = task.undos;
    task.undos_from = task.undos;
}

fn settle(into: &mut impl Fold, task: &TaskRef, phase: Phase, error: Option<&TaskError>) {
    let task = into.task(task.index());
    task.phase = phase;
    if let Some(error) = error {
        task.error = Some(error.clone());
    }
}

fn end(into: &mut impl Fold, at: Timestamp, end: End, rest: &Rest) {
    let head = into.head();
    assert!(
        !matches!(head.stage, Stage::Ended { .. }),
        "one-end: {} run {} has ended already",
        head.id,
        head.run
    );
    head.stage = Stage::Ended { at, end, late: rest.late.clone(), shrunk: false };
    head.paused_at = None;
    if rest.late.is_empty() {
        shrink(into);
    }
}

/// The tasks whose success was never reported.
fn still_late(into: &mut impl Fold) -> Vec<TaskRef> {
    let late = match &into.head().stage {
        Stage::Ended { late, .. } => late.clone(),
        Stage::Forward | Stage::Deferred(_) | Stage::Compensating(_) => Vec::new(),
    };
    late.into_iter().filter(|task| into.task(task.index()).output.is_none()).collect()
}

/// Keeps what tells a duplicate, and no more.
fn shrink(into: &mut impl Fold) {
    into.head().inputs = events::Json::null();
    into.drop_tasks();
}
