//! What a participant says of a command. Every answer is a question of what stands in the table of
//! statuses: docs/reference/saga-file.md.

use events::{CommandKind, Json, Subject, planted};

use super::late::{after_end, broken, covered_late, too_late, undo_again, undone_late, was_broken};
use super::{Draft, Stop, invalid};
use crate::event::Body;
use crate::input::{Answer, Effects, Failure, Known};
use crate::phase::{Cover, Phase, Via};
use crate::plan::{Action, Kind, Slot};
use crate::workflow::Stage;

pub(super) fn answer(
    draft: &mut Draft<'_>,
    subject: &Subject,
    answer: &Answer,
) -> Result<(), Stop> {
    if subject.run != draft.head.run {
        return of_a_run_before(draft, subject, answer);
    }
    let slot = draft.find(&subject.task)?;
    if draft.is_shrunk() {
        return after_shrinking(draft, subject, answer, slot);
    }
    let task = draft.task(slot);
    let is_sent = match subject.kind {
        CommandKind::Do | CommandKind::Query => matches!(task.via, Via::Agent | Via::Child { .. }),
        CommandKind::Undo => {
            task.undo.as_ref().is_none_or(|undo| matches!(undo.via, Via::Agent | Via::Child { .. }))
        }
    };
    let last = match subject.kind {
        CommandKind::Do => task.attempt,
        CommandKind::Undo => task.undos,
        CommandKind::Query => task.queries,
    };
    if subject.n > last || !is_sent {
        let message = format!("`{subject}` answers a command that was never sent");
        return invalid("unknown_command", message);
    }
    if task.earlier.is_some_and(|earlier| earlier.counts(subject)) {
        return of_earlier(draft, subject, answer, slot);
    }
    let is_last = subject.n == last;
    match (subject.kind, answer) {
        (CommandKind::Do, Answer::Completed(output)) => completed(draft, slot, output),
        (CommandKind::Do, Answer::Failed(failure)) => failed(draft, slot, failure, is_last),
        (CommandKind::Do, Answer::Progress { percent, note }) if is_last => {
            heard(draft, slot, *percent, note.clone())
        }
        (CommandKind::Undo, Answer::Completed(_)) => undone(draft, slot, subject.n, false),
        (CommandKind::Undo, Answer::NothingToUndo) => undone(draft, slot, subject.n, true),
        (CommandKind::Undo, Answer::Failed(failure)) if is_last => {
            undo_failed(draft, slot, failure)
        }
        (CommandKind::Query, Answer::Status { status, output }) => {
            known(draft, slot, *status, output, is_last)
        }
        (CommandKind::Undo, Answer::Failed(_)) => Err(Stop::Ignored("late_failure")),
        (_, Answer::Progress { .. }) => Err(Stop::Ignored("progress")),
        (
            _,
            Answer::Completed(_)
            | Answer::Failed(_)
            | Answer::NothingToUndo
            | Answer::Status { .. },
        ) => invalid("wrong_answer", format!("`{subject}` is not answered so")),
    }
}

impl Draft<'_> {
    fn is_shrunk(&self) -> bool {
        match &self.head.stage {
            Stage::Ended { late, shrunk, .. } => {
                *shrunk || late.is_empty() && self.head.parent.is_none()
            }
            Stage::Forward
            | Stage::Deferred(_)
            | Stage::Compensating(_)
            | Stage::Failing(_)
            | Stage::Closing { .. } => false,
        }
    }

    /// The slot of a task by its name.
    pub(super) fn find(&self, id: &events::TaskId) -> Result<Slot, Stop> {
        match self.named(id) {
            Some(slot) => Ok(slot),
            None => invalid(
                "unknown_task",
                format!(
                    "`{id}` is no task of version {} of `{}`",
                    self.head.version, self.head.saga
                ),
            ),
        }
    }
}

/// An answer about a run before this one. What it had begun is over, but for what nobody knew to have worked.
fn of_a_run_before(draft: &Draft<'_>, subject: &Subject, answer: &Answer) -> Result<(), Stop> {
    let mut before = draft.head.before.iter().flatten().filter(|it| it.run == subject.run);
    let may_be_late = before.any(|it| it.late.iter().any(|task| task.id == subject.task));
    match (answer, subject.kind) {
        (Answer::Completed(_), CommandKind::Do)
        | (Answer::Status { status: Known::Done, .. }, CommandKind::Query)
            if may_be_late =>
        {
            let message = format!(
                "`{subject}` is reported done after its run had ended and was begun anew; see that it is undone"
            );
            invalid("late_success", message)
        }
        (
            Answer::Completed(_)
            | Answer::Failed(_)
            | Answer::NothingToUndo
            | Answer::Status { .. }
            | Answer::Progress { .. },
            _,
        ) => Err(Stop::Ignored("old_run")),
    }
}

/// At rest, with the tasks dropped: only a late success of a task that had to be undone is more than
/// a duplicate, and nothing can be done about it any more.
fn after_shrinking(
    draft: &Draft<'_>,
    subject: &Subject,
    answer: &Answer,
    slot: Slot,
) -> Result<(), Stop> {
    let may_be_late = match &draft.head.stage {
        Stage::Ended { late, .. } => late.iter().any(|task| task.index() == slot),
        Stage::Forward
        | Stage::Deferred(_)
        | Stage::Compensating(_)
        | Stage::Failing(_)
        | Stage::Closing { .. } => false,
    };
    match (answer, subject.kind) {
        (Answer::Completed(_), CommandKind::Do) if may_be_late => too_late(draft, subject.n),
        (
            Answer::Completed(_)
            | Answer::Failed(_)
            | Answer::NothingToUndo
            | Answer::Status { .. }
            | Answer::Progress { .. },
            _,
        ) => Err(Stop::Ignored("ended")),
    }
}

/// An answer about what was undone and then begun anew. Its undo is over, and has another key than what is under
/// way now: that something of it is left is not for us to mend.
fn of_earlier(
    draft: &Draft<'_>,
    subject: &Subject,
    answer: &Answer,
    slot: Slot,
) -> Result<(), Stop> {
    let was_told = draft.task(slot).earlier.is_some_and(|earlier| earlier.told);
    match answer {
        Answer::Completed(_) | Answer::Status { status: Known::Done, .. } if !was_told => {
            let message = format!(
                "`{subject}` is reported done after it was undone and begun anew; see that it is undone"
            );
            invalid("late_success", message)
        }
        Answer::Completed(_)
        | Answer::Failed(_)
        | Answer::NothingToUndo
        | Answer::Status { .. }
        | Answer::Progress { .. } => Err(Stop::Ignored("undone_before")),
    }
}

/// A do has worked. Never ignored where it changes what stands.
pub(super) fn completed(draft: &mut Draft<'_>, slot: Slot, output: &Json) -> Result<(), Stop> {
    let plan = draft.task_plan(slot);
    let has_undo = plan.undo.is_some();
    let phase = draft.task(slot).phase;
    match (&draft.head.stage, phase) {
        (_, Phase::Done | Phase::Kept) if !planted("success-counts-twice") => {
            return Err(Stop::Ignored("duplicate"));
        }
        (_, Phase::Pending | Phase::Skipped(_)) => return Err(Stop::Ignored("late_success")),
        (Stage::Ended { .. }, _) => return after_end(draft, slot, output),
        (Stage::Failing(_), _) if draft.resolves_doubt() && draft.is_reverted(slot) => {
            undone_late(draft, slot)?;
        }
        (Stage::Failing(_), _) if draft.task(slot).undo_went_out() => {
            return undo_again(draft, slot, output);
        }
        (Stage::Failing(_), phase) if !phase.in_flight() => {
            return Err(Stop::Ignored("late_success"));
        }
        (Stage::Closing { .. }, _) if !draft.is_closing(slot) => {
            return undo_again(draft, slot, output);
        }
        (Stage::Forward | Stage::Deferred(_) | Stage::Closing { .. }, _)
            if matches!(draft.task(slot).cover, Cover::Working | Cover::Worked) =>
        {
            return covered_late(draft, slot, output);
        }
        (Stage::Forward | Stage::Deferred(_) | Stage::Closing { .. }, _)
            if draft.is_reverted(slot) =>
        {
            undone_late(draft, slot)?;
        }
        // Of a group that an operator has said to be done all the same.
        (
            Stage::Forward | Stage::Deferred(_),
            Phase::Undoing { .. } | Phase::UndoRetrying { .. } | Phase::UndoBlocked | Phase::Undone,
        ) => return covered_late(draft, slot, output),
        (Stage::Forward | Stage::Deferred(_) | Stage::Closing { .. }, _) => {
            if let Some(why) = draft.broken(slot, output) {
                return broken(draft, slot, why);
            }
        }
        // What changes nothing, and was told to stop, is nobody's loss.
        (Stage::Compensating(_), Phase::Failed { .. } | Phase::Cancelled)
            if plan.kind == Kind::ReadOnly && !has_undo =>
        {
            return Err(Stop::Ignored("late_success"));
        }
        (Stage::Compensating(_), _) => undone_late(draft, slot)?,
        (Stage::Failing(_), _) => {}
    }
    draft.succeed(slot, output.clone(), None);
    draft.cover_again(slot);
    Ok(())
}

/// A do has not worked. Only the last attempt's word counts, since it speaks for all.
pub(super) fn failed(
    draft: &mut Draft<'_>,
    slot: Slot,
    failure: &Failure,
    is_last: bool,
) -> Result<(), Stop> {
    // After the end only undo events may follow, and a failure asks for none.
    if !is_last || matches!(draft.head.stage, Stage::Ended { .. }) {
        return Err(Stop::Ignored("late_failure"));
    }
    let failure = &speaking(draft, slot, failure);
    let was_broken = was_broken(draft, slot);
    match (draft.task(slot).phase, failure.effects) {
        (Phase::Running { .. } | Phase::Retrying { doubt: true, .. }, _) => {
            draft.attempt_failed(slot, failure);
        }
        // It had said that it worked: an operator must say which is true.
        (Phase::Asking { .. } | Phase::AskAgain { .. } | Phase::Held, Effects::None)
            if was_broken =>
        {
            return Err(Stop::Ignored("contradiction"));
        }
        (Phase::Asking { .. } | Phase::AskAgain { .. } | Phase::Held, Effects::None) => {
            let why = super::task::error(&failure.code, failure.message.as_str());
            draft.fail(slot, why);
        }
        (Phase::Stopping { .. }, effects) => stopped(draft, slot, failure, effects),
        (Phase::Asking { .. } | Phase::AskAgain { .. } | Phase::Held, Effects::Unknown) => {
            return Err(Stop::Ignored("duplicate"));
        }
        (
            Phase::Pending
            | Phase::Retrying { doubt: false, .. }
            | Phase::Doubtful
            | Phase::Done
            | Phase::Skipped(_)
            | Phase::Failed { .. }
            | Phase::Cancelled
            | Phase::Undoing { .. }
            | Phase::UndoRetrying { .. }
            | Phase::UndoBlocked
            | Phase::Undone
            | Phase::Kept
            | Phase::Open { .. }
            | Phase::Waiting { .. }
            | Phase::Racing { .. },
            _,
        ) => return Err(Stop::Ignored("late_failure")),
    }
    Ok(())
}

/// What a failure says here. A participant that refuses a do unseen, because it is old, does not speak for attempts
/// before.
fn speaking(draft: &Draft<'_>, slot: Slot, failure: &Failure) -> Failure {
    let plan = draft.task_plan(slot);
    // A child says of nothing that it may be tried again. It may be, where nothing of it stands.
    if matches!(plan.action, Action::Saga { .. }) && plan.kind == Kind::Retriable {
        let retryable = failure.effects == Effects::None;
        return Failure { retryable, ..failure.clone() };
    }
    let is_unseen = matches!(failure.code.as_str(), "expired" | "superseded");
    if is_unseen && draft.task(slot).unsure {
        return Failure { effects: Effects::Unknown, ..failure.clone() };
    }
    failure.clone()
}

/// The answer to a cancel.
fn stopped(draft: &mut Draft<'_>, slot: Slot, failure: &Failure, effects: Effects) {
    let why = super::task::error(&failure.code, failure.message.as_str());
    match effects {
        Effects::Unknown => draft.doubt(slot, why),
        Effects::None if failure.code == "cancelled" => {
            let (task, attempt) = (draft.name(slot), draft.task(slot).attempt);
            let reason = "stopped".to_owned();
            draft.push(Body::TaskCancelled { task, attempt, reason, stop: None });
        }
        Effects::None => draft.fail(slot, why),
    }
}

fn heard(
    draft: &mut Draft<'_>,
    slot: Slot,
    percent: Option<f64>,
    note: Option<String>,
) -> Result<(), Stop> {
    let task = draft.task(slot);
    let Phase::Running { heard: false, .. } = task.phase else {
        return Err(Stop::Ignored("progress"));
    };
    let (task, attempt) = (draft.name(slot), task.attempt);
    draft.push(Body::TaskStarted { task, percent, note, attempt });
    Ok(())
}

/// An undo has worked, or found nothing to do. Any undo's word counts that was sent with what is
/// known now.
pub(super) fn undone(draft: &mut Draft<'_>, slot: Slot, n: u32, nothing: bool) -> Result<(), Stop> {
    let task = draft.task(slot);
    let is_out = matches!(
        task.phase,
        Phase::Undoing { .. } | Phase::UndoRetrying { .. } | Phase::UndoBlocked
    );
    if !is_out || n <= task.undos_void {
        return Err(Stop::Ignored("duplicate"));
    }
    draft.undone(slot, n, nothing, None);
    Ok(())
}

pub(super) fn undo_failed(
    draft: &mut Draft<'_>,
    slot: Slot,
    failure: &Failure,
) -> Result<(), Stop> {
    if !matches!(draft.task(slot).phase, Phase::Undoing { .. }) {
        return Err(Stop::Ignored("late_failure"));
    }
    draft.undo_failed(slot, failure);
    Ok(())
}

/// What the agent knows of a task in doubt. `done` from any query; else only the last one's word.
fn known(
    draft: &mut Draft<'_>,
    slot: Slot,
    status: Known,
    output: &Json,
    is_last: bool,
) -> Result<(), Stop> {
    match (status, draft.task(slot).phase) {
        (Known::Done, _) => completed(draft, slot, output),
        (Known::NotDone | Known::Unknown, _) if matches!(draft.head.stage, Stage::Ended { .. }) => {
            Err(Stop::Ignored("late_status"))
        }
        // It had said that it worked: an operator must say which is true.
        (Known::NotDone, Phase::Held) if was_broken(draft, slot) => {
            Err(Stop::Ignored("contradiction"))
        }
        (Known::NotDone, Phase::Asking { .. } | Phase::AskAgain { .. } | Phase::Held)
            if is_last =>
        {
            draft.not_done(slot, None);
            Ok(())
        }
        (Known::Unknown, Phase::Asking { until, .. }) if is_last => {
            draft.query_unknown(slot, until);
            Ok(())
        }
        (Known::NotDone | Known::Unknown, _) => Err(Stop::Ignored("late_status")),
    }
}
