//! A record of ours that could not be sent.

use events::{CommandKind, Destination, Outgoing, Subject, ce_type, header};

use super::task::error;
use super::{Draft, Stop, Unsent};
use crate::event::Body;
use crate::input::{Effects, Failure};
use crate::limits::cut;
use crate::phase::{Phase, Via};

const CODE: &str = "undeliverable";

/// A command that could not be sent is an attempt that failed, or that timed out. Anything else has
/// nobody who could decide about it.
pub(super) fn unsent(
    draft: &mut Draft<'_>,
    record: &Outgoing,
    unsent: Unsent,
    reason: &str,
) -> Result<(), Stop> {
    if !matches!(record.to, Destination::Tasks(_) | Destination::Named(_)) {
        return Err(Stop::Ignored("unsent"));
    }
    let text = |name: &str| {
        let header = record.headers.iter().rev().find(|header| &*header.name == name)?;
        std::str::from_utf8(header.value.as_ref()?).ok()
    };
    let subject = if matches!(record.to, Destination::Named(_)) {
        // An event's id says what it follows from.
        event_of(draft, text(header::ID).unwrap_or_default())
    } else {
        text(header::SUBJECT).and_then(|subject| subject.parse::<Subject>().ok())
    };
    let Some(subject) = subject.filter(|subject| subject.run == draft.head.run) else {
        return Err(Stop::Ignored("old_run"));
    };
    let is_cancel = text(header::TYPE) == Some(ce_type::CANCEL_TASK);
    let slot = draft.find(&subject.task)?;
    let task = draft.task(slot);
    let failure =
        |effects| Failure { code: CODE.to_owned(), message: cut(reason), retryable: true, effects };
    match (subject.kind, task.phase, unsent) {
        // The time that it was given to answer goes on.
        _ if is_cancel => return Err(Stop::Ignored("unsent_cancel")),
        (CommandKind::Do, Phase::Running { .. }, Unsent::Never) if subject.n == task.attempt => {
            // Nobody has spoken for the attempts before.
            let effects = if task.unsure { Effects::Unknown } else { Effects::None };
            draft.attempt_failed(slot, &failure(effects));
        }
        // It was told to stop, and had never been told to begin.
        (CommandKind::Do, Phase::Stopping { .. }, Unsent::Never)
            if subject.n == task.attempt && !task.unsure =>
        {
            let (task, attempt) = (draft.name(slot), task.attempt);
            let reason = "not sent".to_owned();
            draft.push(Body::TaskCancelled { task, attempt, reason, stop: None });
        }
        (CommandKind::Do, Phase::Running { deadline, .. }, Unsent::InDoubt)
            if subject.n == task.attempt =>
        {
            let deadline = deadline.unwrap_or(draft.now);
            draft.attempt_timed_out(slot, deadline, error(CODE, reason));
        }
        (CommandKind::Undo, Phase::Undoing { .. }, Unsent::Never | Unsent::InDoubt)
            if subject.n == task.undos =>
        {
            draft.undo_failed(slot, &failure(Effects::Unknown));
        }
        (CommandKind::Query, Phase::Asking { until, .. }, Unsent::Never | Unsent::InDoubt)
            if subject.n == task.queries =>
        {
            draft.query_unknown(slot, until);
        }
        (CommandKind::Do | CommandKind::Undo | CommandKind::Query, _, _) => {
            return Err(Stop::Ignored("late_unsent"));
        }
    }
    Ok(())
}

/// The attempt, or the undo, that an event with this id follows from.
fn event_of(draft: &Draft<'_>, id: &str) -> Option<Subject> {
    let has_id = |via: &Via| matches!(via, Via::Event { id: known, .. } if known == id);
    draft.slots().find_map(|slot| {
        let task = draft.task(slot);
        let (kind, n) = if task.undo.as_ref().is_some_and(|undo| has_id(&undo.via)) {
            (CommandKind::Undo, task.undos)
        } else if has_id(&task.via) {
            (CommandKind::Do, task.attempt)
        } else {
            return None;
        };
        let (workflow, run) = (draft.head.id.clone(), draft.head.run);
        Some(Subject { workflow, task: draft.name(slot).id, run, kind, n })
    })
}
