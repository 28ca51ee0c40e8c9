//! The fold: how each event changes the state of its key. `decide` runs this very fold on an
//! overlay of the state while it makes up its mind, so that the two can not differ.

mod task;
mod undo;

use events::{How, Timestamp};

use crate::event::{About, Body, Event, Rest, WorkflowEvent};
use crate::phase::TaskRef;
use crate::plan::Slot;
use crate::state::{Definition, State};
use crate::workflow::{Changing, End, Head, Stage, Workflow};

/// What a workflow's events are folded into: the workflow itself, or a draft over it.
pub(crate) trait Fold {
    /// Everything but the tasks.
    fn head(&mut self) -> &mut Head;
    /// The task of that slot, to be changed.
    fn task(&mut self, slot: Slot) -> Changing<'_>;
    /// Drops all tasks.
    fn drop_tasks(&mut self);
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
        About::Early { kept, .. } => {
            let mut early = match state.take() {
                Some(State::Early(early)) => early,
                None => Default::default(),
                Some(other) => panic!("fold-only: an event came early for {other:?}"),
            };
            early.seen.note(&kept.record, kept.is_signal);
            early.kept.push(kept.clone());
            *state = Some(State::Early(early));
        }
        About::Unmatched { kept, .. } => {
            let Some(State::Early(early)) = state else {
                panic!("fold-only: an event is left that was not kept: {kept:?}")
            };
            early.kept.retain(|other| other.record != kept.record);
            if early.kept.is_empty() {
                *state = None;
            }
        }
        About::Told { .. } => {}
        About::Workflow(event) => evolve_workflow(state, event),
    }
}

fn evolve_workflow(state: &mut Option<State>, event: &WorkflowEvent) {
    match (&event.body, state.as_mut()) {
        (Body::WorkflowStarted { .. }, held) => {
            let head = begin(event, held.as_deref());
            *state = Some(State::Workflow(Box::new(Workflow::of(head, Vec::new()))));
        }
        (Body::Forgotten, _) => *state = None,
        (_, Some(State::Workflow(workflow))) => {
            fold(workflow.as_mut(), event);
            debug_assert!(workflow.is_tallied(), "fold-only: miscounted after {event:?}");
        }
        (_, None | Some(State::Definition(_) | State::Newest(_) | State::Early(_))) => {
            panic!("fold-only: {} has an event without a start", event.workflow)
        }
    }
}

/// A workflow's head as its start makes it of what was held: nothing, what came early, or a child's run before.
pub(crate) fn begin(event: &WorkflowEvent, held: Option<&State>) -> Head {
    let mut head = begun(event);
    match held {
        None => {}
        Some(State::Early(early)) => {
            head.early.clone_from(&early.kept);
            head.seen.clone_from(&early.seen);
        }
        Some(State::Workflow(before)) if before.may_begin_anew() => {
            head.before = before.with_those_before();
        }
        Some(State::Workflow(_) | State::Definition(_) | State::Newest(_)) => {
            panic!("fold-only: {} is started twice", event.workflow)
        }
    }
    head
}

fn begun(event: &WorkflowEvent) -> Head {
    let Body::WorkflowStarted { start_id, inputs, timeout_at, parent } = &event.body else {
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
        parent: parent.clone(),
        expansions: Vec::new(),
        early: Vec::new(),
        seen: Default::default(),
        asked: Vec::new(),
        before: None,
        timed_out: false,
    }
}

/// Folds one event of a workflow that has started.
pub(crate) fn fold(into: &mut impl Fold, event: &WorkflowEvent) {
    let head = into.head();
    head.sequence = event.sequence;
    head.epoch = event.epoch;
    head.not_before = None;
    match &event.body {
        Body::WorkflowStarted { .. }
        | Body::CompensationCompleted { .. }
        | Body::CompensationBlocked { .. }
        | Body::TimerFired { .. }
        | Body::SignalReceived { .. }
        | Body::Forgotten => {}
        Body::WorkflowCompleted { .. }
        | Body::WorkflowFailed { .. }
        | Body::WorkflowCancelled { .. }
        | Body::WorkflowPaused { .. }
        | Body::WorkflowResumed { .. }
        | Body::CompensationStarted { .. }
        | Body::Deferred { .. }
        | Body::DeferralDropped
        | Body::FailingStarted { .. }
        | Body::ClosingStarted { .. }
        | Body::UnwindStarted(_)
        | Body::Unwound { .. }
        | Body::ParentAsks { .. }
        | Body::Postponed { .. }
        | Body::Shrunk => fold_stage(into, event.time, &event.body),
        Body::EventSeen { record, is_signal, kept } => {
            head.seen.note(record, *is_signal);
            head.early.extend(kept.clone());
        }
        Body::EventLeft { kept, .. } => head.early.retain(|other| other.record != kept.record),
        Body::Expanded(expansion) => head.expansions.push(expansion.clone()),
        Body::TaskScheduled { .. }
        | Body::TaskBegun { .. }
        | Body::TaskStarted { .. }
        | Body::TaskCompleted { .. }
        | Body::TaskFailed { .. }
        | Body::TaskTimedOut { .. }
        | Body::TaskRetried { .. }
        | Body::TaskInDoubt { .. }
        | Body::TaskSkipped { .. }
        | Body::TaskCancelled { .. }
        | Body::StopOrdered { .. }
        | Body::QueryScheduled { .. }
        | Body::QueryRepeats { .. }
        | Body::CasesTaken { .. }
        | Body::Reverting { .. }
        | Body::FailureTaken { .. }
        | Body::Fallback { .. } => task::fold(into, event),
        Body::UndoScheduled { .. } | Body::UndoCompleted { .. } | Body::UndoFailed { .. } => {
            undo::fold(into, &event.body);
        }
    }
}

fn fold_stage(into: &mut impl Fold, time: Timestamp, body: &Body) {
    let head = into.head();
    #[allow(clippy::wildcard_enum_match_arm, reason = "`fold` has chosen among all events")]
    match body {
        Body::WorkflowCompleted { late, .. } => {
            let rest = Rest { late: late.clone(), ..Rest::default() };
            end(into, time, End::Completed, &rest);
        }
        Body::WorkflowFailed { how, rest, .. } => {
            let how = match how {
                How::Failed => End::Failed,
                How::Compensated => End::Compensated,
                How::Partial => End::Partial,
            };
            end(into, time, how, rest);
        }
        Body::WorkflowCancelled { rest, .. } => end(into, time, End::Cancelled, rest),
        Body::WorkflowPaused { timed_out, .. } => {
            head.paused_at = Some(time);
            head.timed_out |= *timed_out;
        }
        Body::WorkflowResumed { accepted, .. } => {
            if let Some(since) = head.paused_at.take() {
                head.timeout_at = head.timeout_at.after(time.since(since));
            }
            for task in accepted {
                task::taken(&mut into.task(task.index()), crate::phase::Loss::Accepted);
            }
        }
        Body::CompensationStarted { trouble } => head.stage = Stage::Compensating(trouble.clone()),
        Body::Deferred { trouble } => head.stage = Stage::Deferred(trouble.clone()),
        Body::DeferralDropped => head.stage = Stage::Forward,
        Body::FailingStarted { trouble } => head.stage = Stage::Failing(trouble.clone()),
        Body::ClosingStarted { trouble, end, owners } => {
            let (trouble, owners) = (trouble.clone(), owners.clone());
            head.stage = Stage::Closing { trouble, end: *end, owners };
        }
        Body::UnwindStarted(command) => {
            if let Stage::Ended { unwinding, .. } = &mut head.stage {
                *unwinding = Some(command.clone());
            }
        }
        Body::Unwound { .. } => {
            if let Stage::Ended { unwinding, .. } = &mut head.stage {
                *unwinding = None;
            }
        }
        Body::ParentAsks { command } => head.asked.push(command.clone()),
        Body::Postponed { until } => head.not_before = Some(*until),
        Body::Shrunk => {
            let late = still_late(into);
            if let Stage::Ended { shrunk, late: held, .. } = &mut into.head().stage {
                (*shrunk, *held) = (true, late);
            }
            shrink(into);
        }
        other => panic!("fold-only: {other:?} does not change the stage"),
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
    let late = rest.late.clone();
    head.stage = Stage::Ended { at, end, late, shrunk: false, unwinding: None };
    head.paused_at = None;
    // A parent may yet have its child undone.
    if rest.late.is_empty() && head.parent.is_none() {
        shrink(into);
    }
}

/// The tasks whose success was never reported.
fn still_late(into: &mut impl Fold) -> Vec<TaskRef> {
    let late = match &into.head().stage {
        Stage::Ended { late, .. } => late.clone(),
        Stage::Forward
        | Stage::Deferred(_)
        | Stage::Compensating(_)
        | Stage::Failing(_)
        | Stage::Closing { .. } => Vec::new(),
    };
    late.into_iter().filter(|task| into.task(task.index()).output.is_none()).collect()
}

/// Keeps what tells a duplicate, and no more.
fn shrink(into: &mut impl Fold) {
    let head = into.head();
    head.inputs = events::Json::null();
    head.early = Vec::new();
    into.drop_tasks();
}
