//! What time brings: deadlines, waits that are over, the end of remembering.

use std::time::Duration;

use events::{Problem, Timestamp};

use super::task::error;
use super::undo::Why;
use super::{Draft, Stop};
use crate::event::{About, Body, Event, WorkflowEvent};
use crate::input::{Effects, Failure};
use crate::limits::{LATE_UNDO, POSTPONED_FOR, remembered};
use crate::phase::{Phase, TaskError};
use crate::plan::{Slot, Strategy};
use crate::workflow::{Head, Kept, Origin, Stage, Trouble};

/// Fires everything that is due, the earliest first.
pub(super) fn fire(draft: &mut Draft<'_>) -> Result<(), Stop> {
    // Each timer moves its task to a state that is not due now, and a task can be moved by few more.
    let bound = 8 * (draft.slots().end + draft.head.early.len() + 1);
    for _ in 0..bound {
        let Some((_, due)) = earliest(draft) else { return Ok(()) };
        match due {
            Due::Task(slot) => task(draft, slot),
            Due::Timeout => timed_out(draft),
            Due::Early => early(draft),
            Due::Rest => rest(draft),
        }
        // What follows comes before what is due later.
        draft.advance();
    }
    panic!("all-bounded: the timers of {} do not come to rest", draft.head.id)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Task(Slot),
    Timeout,
    Early,
    Rest,
}

fn earliest(draft: &Draft<'_>) -> Option<(Timestamp, Due)> {
    let tasks = draft.slots().filter_map(|slot| Some((draft.task(slot).due()?, slot)));
    let first = tasks.min().map(|(at, slot)| (at, Due::Task(slot)));
    let own = match &draft.head.stage {
        Stage::Ended { .. } if first.is_some() || draft.is_blocked() => None,
        Stage::Ended { unwinding: Some(_), .. } => None,
        Stage::Ended { at, late, shrunk, .. } if *shrunk || late.is_empty() => {
            Some((at.after(remembered()), Due::Rest))
        }
        Stage::Ended { at, .. } => Some((at.after(LATE_UNDO), Due::Rest)),
        Stage::Forward
        | Stage::Deferred(_)
        | Stage::Compensating(_)
        | Stage::Failing(_)
        | Stage::Closing { .. } => draft.head.timeout_due().map(|at| (at, Due::Timeout)),
    };
    let early = draft.head.early.iter().map(|kept| (kept.until, Due::Early)).min();
    // What has been forgotten has no time.
    first
        .into_iter()
        .chain(own)
        .chain(early)
        .min()
        .filter(|(at, _)| *at <= draft.now && !draft.is_forgotten())
}

fn task(draft: &mut Draft<'_>, slot: Slot) {
    let silence = || error("timeout", "no answer in time");
    match draft.task(slot).phase {
        Phase::Running { deadline, .. } => {
            draft.attempt_timed_out(slot, deadline.unwrap_or(draft.now), silence());
        }
        Phase::Open { due } => group(draft, slot, due, silence()),
        Phase::Waiting { .. } => {
            draft.push(Body::TimerFired { task: draft.name(slot) });
            draft.succeed(slot, events::Json::null(), None);
        }
        Phase::Racing { .. } => draft.race_is_over(slot),
        Phase::Retrying { doubt, .. } => draft.try_again(slot, doubt),
        Phase::Asking { until, .. } => draft.query_unknown(slot, until),
        Phase::AskAgain { until, .. } => draft.query(slot, until),
        Phase::Stopping { .. } => draft.doubt(slot, error("timeout", "no answer to the cancel")),
        Phase::Undoing { .. } => draft.undo_failed(slot, &undo_silence()),
        Phase::UndoRetrying { .. } => draft.schedule_undo(slot, Why::Turn),
        Phase::Pending
        | Phase::Held
        | Phase::Doubtful
        | Phase::Done
        | Phase::Skipped(_)
        | Phase::Failed { .. }
        | Phase::Cancelled
        | Phase::UndoBlocked
        | Phase::Undone
        | Phase::Kept => {}
    }
}

/// A group fails, unless a pivot in it has an outcome to come: then that decides, and the time is over.
fn group(draft: &mut Draft<'_>, slot: Slot, due: Option<Timestamp>, why: TaskError) {
    draft.fail_group(slot, why);
    let task = draft.task(slot);
    if let (Some(deadline), true) = (due, task.due() == due) {
        let (task, attempt) = (draft.name(slot), task.attempt);
        draft.push(Body::TaskTimedOut { task, attempt, deadline });
    }
}

/// An event that came early is nobody's any longer.
fn early(draft: &mut Draft<'_>) {
    let left = |kept: &&Kept| kept.until <= draft.now;
    if let Some(kept) = draft.head.early.iter().find(left).cloned() {
        draft.push(Body::EventLeft { kept, unmatched: true });
    }
}

fn undo_silence() -> Failure {
    Failure {
        code: "timeout".to_owned(),
        message: "no answer in time".to_owned(),
        retryable: true,
        effects: Effects::Unknown,
    }
}

fn timed_out(draft: &mut Draft<'_>) {
    let message = format!("not done by {}", draft.head.timeout_at);
    let problem = Problem { task: None, code: "timeout".to_owned(), message };
    let trouble = Trouble { origin: Origin::Timeout, problem, decided_by: None };
    match draft.plan.on_failure.strategy {
        Strategy::Compensate => draft.trouble(trouble),
        Strategy::Continue | Strategy::FailFast => draft.fail_fast(trouble),
        Strategy::Pause => {
            let problem = trouble.problem;
            draft.push(Body::WorkflowPaused { problem, timed_out: true });
        }
    }
}

fn rest(draft: &mut Draft<'_>) {
    let has_tasks = match &draft.head.stage {
        Stage::Ended { late, shrunk, .. } => !*shrunk && !late.is_empty(),
        Stage::Forward
        | Stage::Deferred(_)
        | Stage::Compensating(_)
        | Stage::Failing(_)
        | Stage::Closing { .. } => false,
    };
    draft.push(if has_tasks { Body::Shrunk } else { Body::Forgotten });
}

/// Where nothing can be decided, the same wake comes again later.
pub(super) fn postpone(head: &Head, now: Timestamp) -> Vec<Event> {
    let until = now.after(POSTPONED_FOR.max(Duration::from_millis(1)));
    vec![Event(About::Workflow(Box::new(WorkflowEvent {
        workflow: head.id.clone(),
        run: head.run,
        sequence: head.sequence,
        time: now,
        saga: head.saga.clone(),
        version: head.version.clone(),
        epoch: head.epoch,
        trace: head.trace.clone(),
        body: Body::Postponed { until },
    })))]
}
