//! Events on users' topics, and signals: which task they are for, and what becomes of those that come early.

use events::{Class, Timestamp, WorkflowId};

use super::task::error;
use super::{Draft, Held, Stop, answer, invalid, refused};
use crate::event::{About, Body, Event};
use crate::input::{DomainEvent, Effects, Failure, Signal};
use crate::limits::EARLY_MAX;
use crate::phase::{Phase, TaskError};
use crate::plan::{Action, AwaitPlan, Plan, RaceOn, Slot};
use crate::state::{State, definition_key, newest_key};
use crate::workflow::{Early, Kept, Stage};

/// What an event does.
enum Hit {
    /// The task has what it waits for.
    Done(Slot),
    /// It has failed.
    Failed(Slot),
    /// This case of a race is the first.
    Case(Slot, u32),
    /// The task is undone.
    Undone(Slot),
    /// Its undo has failed.
    UndoFailed(Slot),
    /// Whether it is for this task could not be computed.
    Broken(Slot, TaskError),
}

/// An event on a user's topic, for a workflow that there is.
pub(super) fn event(draft: &mut Draft<'_>, event: &DomainEvent) -> Result<(), Stop> {
    let kept = Kept::of_event(event, draft.now.after(draft.plan.keep_early));
    if draft.head.seen.knows(&kept.record, false) {
        return Err(Stop::Ignored("duplicate_event"));
    }
    take(draft, kept)
}

/// A signal, for a workflow that there is.
pub(super) fn signal(draft: &mut Draft<'_>, signal: &Signal) -> Result<(), Stop> {
    let kept = Kept::of_signal(signal, draft.now, draft.now.after(draft.plan.keep_early));
    if draft.head.seen.knows(&kept.record, true) {
        return Err(Stop::Ignored("duplicate_signal"));
    }
    if !draft.plan.tasks.iter().any(|task| waits_for(&task.action, &kept)) {
        let message =
            format!("no task of saga `{}` waits for a signal `{}`", draft.head.saga, kept.name);
        return invalid("unknown_signal", message);
    }
    take(draft, kept)
}

fn take(draft: &mut Draft<'_>, kept: Kept) -> Result<(), Stop> {
    if let Some(hit) = draft.hit(&kept) {
        let (record, is_signal) = (kept.record.clone(), kept.is_signal);
        draft.push(Body::EventSeen { record, is_signal, kept: None });
        draft.tell_signal(&hit, &kept);
        draft.apply(hit, &kept);
        return Ok(());
    }
    if !draft.may_wait_for(&kept) {
        return Err(Stop::Ignored("not_awaited"));
    }
    let bytes = kept.value.as_str().len();
    if draft.head.early.len() >= EARLY_MAX || draft.overflow("an early event", bytes).is_some() {
        let message =
            format!("`{}` came early, and the workflow can keep no more of them", kept.name);
        return refused(Class::TooLarge, "early", message);
    }
    if kept.is_signal {
        let (signal, data) = (kept.name.clone(), kept.value.clone());
        draft.push(Body::SignalReceived { signal, data, task: None });
    }
    let (record, is_signal) = (kept.record.clone(), kept.is_signal);
    draft.push(Body::EventSeen { record, is_signal, kept: Some(kept) });
    Ok(())
}

/// An event for a workflow that there is not yet: it is kept for as long as its saga says.
pub(super) fn before_start(
    held: &dyn Held,
    workflow: &WorkflowId,
    event: &DomainEvent,
    now: Timestamp,
) -> Result<Vec<Event>, Stop> {
    let plan = newest_plan(held, workflow)?;
    let kept = Kept::of_event(event, now.after(plan.keep_early));
    if !plan.tasks.iter().any(|task| waits_for(&task.action, &kept)) {
        return Err(Stop::Ignored("not_awaited"));
    }
    if let Some(State::Early(early)) = held.state(workflow.as_str()) {
        if early.seen.knows(&kept.record, false) {
            return Err(Stop::Ignored("duplicate_event"));
        }
        if early.kept.len() >= EARLY_MAX {
            let message = format!("too many events for `{workflow}`, which has not begun");
            return refused(Class::TooLarge, "early", message);
        }
    }
    Ok(vec![Event(About::Early { workflow: workflow.clone(), kept })])
}

fn newest_plan<'a>(held: &'a dyn Held, workflow: &WorkflowId) -> Result<&'a Plan, Stop> {
    let saga = workflow.parts().map(|(saga, _)| events::SagaName::from(saga));
    let plan = saga.and_then(|saga| {
        let Some(State::Newest(newest)) = held.state(&newest_key(&saga)) else { return None };
        match held.state(&definition_key(&saga, &newest.version)) {
            Some(State::Definition(definition)) => definition.plan().map(AsRef::as_ref),
            Some(State::Workflow(_) | State::Newest(_) | State::Early(_)) | None => None,
        }
    });
    plan.map_or_else(
        || {
            refused(
                Class::UnknownSaga,
                "unknown_saga",
                format!("no saga of `{workflow}` is deployed"),
            )
        },
        Ok,
    )
}

/// Whether a task waits for this, as its end or as its failure.
fn waits_for(action: &Action, kept: &Kept) -> bool {
    match action {
        Action::Await(waits) | Action::Request(_, waits) => {
            waits.awaited.iter().any(|awaited| kept.is(awaited))
                || waits.failed.iter().any(|event| kept.is_event(event))
        }
        Action::Race { cases } => cases.iter().any(|case| match &case.on {
            RaceOn::Event { awaited, .. } => kept.is(awaited),
            RaceOn::After(_) => false,
        }),
        Action::Agent { .. }
        | Action::Emit(_)
        | Action::Wait(_)
        | Action::Choice { .. }
        | Action::Group { .. }
        | Action::Saga { .. }
        | Action::ForEach(_) => false,
    }
}

impl Draft<'_> {
    /// What it does: first for what waits for it now, then for what is in doubt, then for what is over.
    fn hit(&self, kept: &Kept) -> Option<Hit> {
        let ranks = [Self::waits_now, Self::is_unsure, Self::may_be_late];
        ranks.iter().find_map(|rank| {
            self.slots().filter(|slot| rank(self, *slot)).find_map(|slot| self.hit_on(slot, kept))
        })
    }

    fn waits_now(&self, slot: Slot) -> bool {
        matches!(
            self.task(slot).phase,
            Phase::Running { .. }
                | Phase::Racing { .. }
                | Phase::Undoing { .. }
                | Phase::UndoRetrying { .. }
        )
    }

    fn is_unsure(&self, slot: Slot) -> bool {
        matches!(
            self.task(slot).phase,
            Phase::Stopping { .. }
                | Phase::Retrying { .. }
                | Phase::Asking { .. }
                | Phase::AskAgain { .. }
                | Phase::Held
                | Phase::Doubtful
                | Phase::UndoBlocked
        )
    }

    /// It is over, its success was never heard of, and it would have to be undone.
    fn may_be_late(&self, slot: Slot) -> bool {
        let task = self.task(slot);
        let is_over = matches!(task.phase, Phase::Undone | Phase::Cancelled | Phase::Failed { .. });
        is_over && task.attempt > 0 && task.output.is_none() && self.task_plan(slot).undo.is_some()
    }

    fn hit_on(&self, slot: Slot, kept: &Kept) -> Option<Hit> {
        let plan = self.task_plan(slot);
        let is_undoing = matches!(
            self.task(slot).phase,
            Phase::Undoing { .. } | Phase::UndoRetrying { .. } | Phase::UndoBlocked
        );
        if is_undoing
            && let Some(Action::Await(waits) | Action::Request(_, waits)) =
                plan.undo.as_ref().map(|undo| &undo.action)
        {
            let undone = || Hit::Undone(slot);
            let hit = self.fits(slot, waits, kept, undone, || Hit::UndoFailed(slot));
            if hit.is_some() {
                return hit;
            }
        }
        match &plan.action {
            Action::Await(waits) | Action::Request(_, waits) => {
                self.fits(slot, waits, kept, || Hit::Done(slot), || Hit::Failed(slot))
            }
            Action::Race { cases } if matches!(self.task(slot).phase, Phase::Racing { .. }) => {
                (0_u32..).zip(cases).find_map(|(at, case)| {
                    let RaceOn::Event { awaited, filter } = &case.on else { return None };
                    if !kept.is(awaited) {
                        return None;
                    }
                    match filter
                        .as_ref()
                        .map_or(Ok(true), |filter| self.is_true(filter, slot, Some(kept)))
                    {
                        Ok(true) => Some(Hit::Case(slot, at)),
                        Ok(false) => None,
                        Err(why) => Some(Hit::Broken(slot, why)),
                    }
                })
            }
            Action::Race { .. }
            | Action::Agent { .. }
            | Action::Emit(_)
            | Action::Wait(_)
            | Action::Choice { .. }
            | Action::Group { .. }
            | Action::Saga { .. }
            | Action::ForEach(_) => None,
        }
    }

    fn fits(
        &self,
        slot: Slot,
        waits: &AwaitPlan,
        kept: &Kept,
        ends: impl Fn() -> Hit,
        fails: impl Fn() -> Hit,
    ) -> Option<Hit> {
        let is_end = waits.awaited.iter().any(|awaited| kept.is(awaited));
        let is_failure = waits.failed.iter().any(|event| kept.is_event(event));
        if !is_end && !is_failure {
            return None;
        }
        match waits
            .filter
            .as_ref()
            .map_or(Ok(true), |filter| self.is_true(filter, slot, Some(kept)))
        {
            Ok(true) if is_end => Some(ends()),
            Ok(true) => Some(fails()),
            Ok(false) => None,
            Err(why) => Some(Hit::Broken(slot, why)),
        }
    }

    /// Says that a signal has come for a task; of one that came early, that was said then. Only undos follow the end.
    fn tell_signal(&mut self, hit: &Hit, kept: &Kept) {
        if kept.is_signal && !matches!(self.head.stage, Stage::Ended { .. }) {
            let task = match hit {
                Hit::Done(slot)
                | Hit::Failed(slot)
                | Hit::Case(slot, _)
                | Hit::Undone(slot)
                | Hit::UndoFailed(slot)
                | Hit::Broken(slot, _) => self.name(*slot),
            };
            let (signal, data) = (kept.name.clone(), kept.value.clone());
            self.push(Body::SignalReceived { signal, data, task: Some(task) });
        }
    }

    fn apply(&mut self, hit: Hit, kept: &Kept) {
        let name = kept.name.split_once('/').map_or(kept.name.as_str(), |(_, name)| name);
        let failure = |code: &str, message: String| Failure {
            code: code.to_owned(),
            message,
            retryable: false,
            effects: Effects::None,
        };
        // What it is about may meanwhile be out of reach: then it has no effect, and is seen all the same.
        let _ = match hit {
            Hit::Done(slot) => answer::completed(self, slot, &kept.value),
            Hit::Failed(slot) => {
                let failure = failure(name, kept.value.as_str().to_owned());
                answer::failed(self, slot, &failure, true)
            }
            Hit::Undone(slot) => answer::undone(self, slot, self.task(slot).undos, false),
            Hit::UndoFailed(slot) => {
                let failure = failure(name, kept.value.as_str().to_owned());
                answer::undo_failed(self, slot, &failure)
            }
            Hit::Broken(slot, why) => {
                self.fail(slot, why);
                Ok(())
            }
            Hit::Case(slot, case) => {
                self.push(Body::CasesTaken { task: self.name(slot), cases: vec![case] });
                Ok(())
            }
        };
    }

    /// The time of a race has come: one of its cases, or its timeout.
    pub(super) fn race_is_over(&mut self, slot: Slot) {
        let Action::Race { cases } = &self.task_plan(slot).action else { return };
        let began = self.task(slot).ready_at.unwrap_or(self.now);
        let due = (0_u32..).zip(cases).filter_map(|(at, case)| match case.on {
            RaceOn::After(wait) => {
                Some((began.after(wait.max(std::time::Duration::from_millis(1))), at))
            }
            RaceOn::Event { .. } => None,
        });
        match due.min().filter(|(at, _)| *at <= self.now) {
            Some((_, case)) => {
                self.push(Body::TimerFired { task: self.name(slot) });
                self.push(Body::CasesTaken { task: self.name(slot), cases: vec![case] });
            }
            None => self.fail(slot, error("timeout", "none of its cases has happened in time")),
        }
    }

    /// Takes what came before a task that has just begun to wait.
    pub(super) fn take_early(&mut self, slot: Slot) {
        let found =
            self.head.early.iter().find_map(|kept| Some((kept.clone(), self.hit_on(slot, kept)?)));
        if let Some((kept, hit)) = found {
            self.push(Body::EventLeft { kept: kept.clone(), unmatched: false });
            self.apply(hit, &kept);
        }
    }

    /// Whether something may yet wait for this.
    fn may_wait_for(&self, kept: &Kept) -> bool {
        if matches!(self.head.stage, Stage::Ended { .. }) {
            return false;
        }
        let bodies = self.plan.tasks.get(self.plan.fixed..).unwrap_or_default();
        let in_body = bodies.iter().any(|task| waits_for(&task.action, kept));
        in_body && self.is_forward()
            || self.slots().any(|slot| {
                let phase = self.task(slot).phase;
                let is_ahead = matches!(
                    phase,
                    Phase::Pending
                        | Phase::Running { .. }
                        | Phase::Racing { .. }
                        | Phase::Retrying { .. }
                );
                is_ahead && waits_for(&self.task_plan(slot).action, kept)
            })
    }
}

/// What came early for a workflow that has not begun is nobody's any longer.
pub(super) fn left_over(early: &Early, key: &str, now: Timestamp) -> Vec<Event> {
    let left = early.kept.iter().filter(|kept| kept.until <= now).map(|kept| {
        Event(About::Unmatched { workflow: key.into(), kept: kept.clone(), time: now })
    });
    left.collect()
}
