//! What the public events may say. It knows the file's graph and what was told, and nothing of how decisions
//! are made: what it misses in a run is a mistake of the file, or of ours.

use std::collections::BTreeMap;

use events::{How, TaskId, Timestamp, What};

use super::law::Law;
use super::places::Place;
use super::samples::TaskReads;
use super::{Found, Gravity};
use crate::plan::{Kind, OnBlocked, Slot};

/// What is known of a task from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Retrying,
    InDoubt,
    Done,
    Failed,
    Cancelled,
    Skipped,
    Undoing,
    UndoBlocked,
    Undone,
    /// An operator has given up its undo.
    Stands,
}

/// What was told of one workflow.
#[derive(Clone, Debug, Default)]
pub(super) struct Judge {
    pub(super) statuses: BTreeMap<String, Status>,
    pub(super) is_compensating: bool,
    pub(super) is_paused: bool,
    pub(super) ended_at: Option<Timestamp>,
    is_past_pivot: bool,
    /// Somebody has answered without what the file reads.
    pub(super) is_bare: bool,
    /// Slots that have begun since it was asked.
    pub(super) begun: Vec<Slot>,
}

impl Judge {
    /// For telling states from one another.
    pub(super) fn bytes(&self, into: &mut Vec<u8>) {
        for (name, status) in &self.statuses {
            into.extend_from_slice(name.as_bytes());
            into.push(*status as u8);
        }
        let flags =
            [self.is_compensating, self.is_paused, self.ended_at.is_some(), self.is_past_pivot];
        into.extend(flags.map(u8::from));
        into.push(u8::from(self.is_bare));
    }

    /// Whether an undo has failed for good.
    pub(super) fn is_blocked(&self) -> bool {
        self.statuses.values().any(|status| *status == Status::UndoBlocked)
    }

    /// Takes in what was told, and says what is wrong with it.
    pub(super) fn hear(&mut self, what: &What, now: Timestamp, law: &Law<'_>) -> Vec<Found> {
        let mut found = Vec::new();
        if self.ended_at.is_some() && !is_undo(what) {
            let message = format!("{} follows the end of the run", name_of(what));
            found.push(Found::of_ours("one-end", "", message));
        }
        match what {
            What::WorkflowStarted { .. }
            | What::CompensationCompleted { .. }
            | What::CompensationBlocked { .. }
            | What::SignalReceived { .. } => {}
            What::WorkflowCompleted { .. }
            | What::WorkflowFailed { .. }
            | What::WorkflowCancelled { .. } => {
                self.ended_at = Some(now);
                found.extend(self.ends(what, law));
            }
            What::WorkflowPaused { problem } => {
                self.is_paused = true;
                let task = problem.task.as_ref();
                found.extend(task.and_then(|task| self.let_go(task, law)).or_else(|| {
                    let task = task?;
                    self.paused(task, law)
                }));
            }
            What::WorkflowResumed { .. } => self.is_paused = false,
            What::CompensationStarted { problem, .. } => {
                found.extend(problem.task.as_ref().and_then(|task| self.let_go(task, law)));
                if self.is_past_pivot {
                    let message = "it turns back although the pivot is done";
                    found.push(Found::of_ours("undo-order", "", message));
                }
                self.is_compensating = true;
            }
            What::TaskScheduled { task, .. }
            | What::TaskStarted { task, .. }
            | What::TaskCompleted { task, .. }
            | What::TaskFailed { task, .. }
            | What::TaskRetried { task, .. }
            | What::TaskTimedOut { task, .. }
            | What::TaskInDoubt { task, .. }
            | What::TaskSkipped { task, .. }
            | What::TaskCancelled { task, .. }
            | What::UndoScheduled { task, .. }
            | What::UndoCompleted { task, .. }
            | What::UndoFailed { task, .. }
            | What::TimerFired { task } => {
                found.extend(self.wrong_with(what, law));
                if let Some(status) = status_after(what) {
                    self.is_past_pivot |= status == Status::Done
                        && law.kind(task) == Some(Kind::Pivot)
                        && !self.is_compensating;
                    self.statuses.insert(task.to_string(), status);
                }
            }
        }
        found
    }

    /// What is wrong with an event of a task, before it is taken in.
    fn wrong_with(&mut self, what: &What, law: &Law<'_>) -> Option<Found> {
        match what {
            What::TaskScheduled { task, .. } | What::TaskStarted { task, .. } => {
                self.begins(task, law)
            }
            What::TaskFailed { task, code, message, .. } => self.failed(task, code, message, law),
            What::UndoScheduled { task, n, .. } => self.undone_in_order(task, *n, law),
            What::UndoFailed { task, retry_at: None, code, message, .. } if is_by_itself(code) => {
                Some(self.undo_lost(task, message, law))
            }
            What::WorkflowStarted { .. }
            | What::WorkflowCompleted { .. }
            | What::WorkflowFailed { .. }
            | What::WorkflowCancelled { .. }
            | What::WorkflowPaused { .. }
            | What::WorkflowResumed { .. }
            | What::CompensationStarted { .. }
            | What::CompensationCompleted { .. }
            | What::CompensationBlocked { .. }
            | What::TaskCompleted { .. }
            | What::TaskRetried { .. }
            | What::TaskTimedOut { .. }
            | What::TaskInDoubt { .. }
            | What::TaskSkipped { .. }
            | What::TaskCancelled { .. }
            | What::UndoCompleted { .. }
            | What::UndoFailed { .. }
            | What::TimerFired { .. }
            | What::SignalReceived { .. } => None,
        }
    }

    /// What is undone as a whole leaves nothing behind of which it says nothing.
    fn ends(&self, what: &What, law: &Law<'_>) -> Vec<Found> {
        if let What::WorkflowFailed { how: How::Compensated, .. } = what {
            return self.stands("compensated", law);
        }
        let is_silent = matches!(what, What::WorkflowCancelled { stands, .. } if stands.is_empty());
        if is_silent { self.stands("cancelled", law) } else { Vec::new() }
    }

    /// Nothing new starts once compensation has begun, and nothing before what it waits for.
    fn begins(&mut self, task: &TaskId, law: &Law<'_>) -> Option<Found> {
        let place = law.places.find(task.as_str())?;
        self.begun.push(place.slot);
        if self.is_compensating && !law.closes(&place) {
            let message = format!("`{task}` starts after compensation has begun");
            return Some(Found::of_ours("undo-order", task.as_str(), message));
        }
        let before = law.places.all_before(law.plan, &place).into_iter().find(|before| {
            matches!(
                self.status(before, law),
                None | Some(
                    Status::Running
                        | Status::Retrying
                        | Status::InDoubt
                        | Status::Undoing
                        | Status::UndoBlocked
                )
            )
        })?;
        let other = law.places.name(law.plan, &before);
        let message = format!("`{task}` starts before `{other}` is settled");
        Some(Found::of_ours("graph-order", task.as_str(), message))
    }

    fn status(&self, place: &Place, law: &Law<'_>) -> Option<Status> {
        self.statuses.get(&law.places.name(law.plan, place)).copied()
    }

    /// Nothing that was done and has an undo is left behind.
    fn stands(&self, end: &str, law: &Law<'_>) -> Vec<Found> {
        let left = self.statuses.iter().filter(|(name, status)| {
            let is_left = matches!(
                status,
                Status::Done | Status::Running | Status::Retrying | Status::InDoubt
            );
            let Some(place) = law.places.find(name).filter(|_| is_left) else { return false };
            let has_undo = law.plan.tasks.get(place.slot).is_some_and(|task| task.undo.is_some());
            has_undo && !self.is_covered(&place, law)
        });
        left.map(|(name, _)| {
            let message = format!("`{name}` stands, and the run ends as {end}");
            Found::of_ours("left-standing", name, message)
        })
        .collect()
    }

    /// Whether its fallback has done it: that one's undo counts.
    fn is_covered(&self, place: &Place, law: &Law<'_>) -> bool {
        let fallback = law.plan.tasks.get(place.slot).and_then(|task| task.fallback);
        let fallback = fallback.map(|slot| law.places.beside(place, slot));
        let status = fallback.and_then(|fallback| self.status(&fallback, law));
        !matches!(status, None | Some(Status::Cancelled | Status::Skipped))
    }

    /// What comes after it in the graph is over.
    fn undone_in_order(&self, task: &TaskId, n: u32, law: &Law<'_>) -> Option<Found> {
        // A later attempt may meet what a late success has brought back.
        if !self.is_compensating || n > 1 || self.ended_at.is_some() {
            return None;
        }
        let place = law.places.find(task.as_str())?;
        let goes_on = law.plan.compensation.on_blocked == OnBlocked::GoOn;
        let open = self.statuses.iter().find(|(name, status)| {
            let Some(later) = law.places.find(name) else { return false };
            let has_undo = law.plan.tasks.get(later.slot).is_some_and(|task| task.undo.is_some());
            let is_leaf = law.is_leaf(later.slot);
            let is_open = match status {
                Status::Running | Status::Retrying | Status::InDoubt | Status::Undoing => is_leaf,
                Status::Done => has_undo && !self.is_covered(&later, law),
                Status::UndoBlocked => !goes_on,
                Status::Failed
                | Status::Cancelled
                | Status::Skipped
                | Status::Undone
                | Status::Stands => false,
            };
            is_open && law.places.comes_after(law.plan, &later, &place)
        });
        let (other, _) = open?;
        let message = format!("`{task}` is undone before `{other}`, which comes after it");
        Some(Found::of_ours("undo-order", task.as_str(), message))
    }

    /// What a join has let go of is nobody's matter any more.
    fn let_go(&self, task: &TaskId, law: &Law<'_>) -> Option<Found> {
        let place = law.places.find(task.as_str())?;
        let begun = law.lets_go(&place).into_iter().find(|later| {
            let status = self.status(later, law);
            !matches!(status, None | Some(Status::Skipped | Status::Cancelled | Status::Failed))
        })?;
        let later = law.places.name(law.plan, &begun);
        let message =
            format!("the run turns or pauses for `{task}`, of which `{later}` has let go");
        Some(Found::of_ours("let-go", task.as_str(), message))
    }

    /// Past the pivot only what can not go on forward waits for a person.
    fn paused(&self, task: &TaskId, law: &Law<'_>) -> Option<Found> {
        let place = law.places.find(task.as_str())?;
        if !self.is_past_pivot || law.pauses_as_said(&place) {
            return None;
        }
        let gravity = match law.kind(task)? {
            Kind::Compensatable | Kind::Pivot => Gravity::Error,
            Kind::ReadOnly => Gravity::Warning,
            // That is how it ends where its participant says that trying again is no use.
            Kind::Retriable => return None,
        };
        let message = format!(
            "`{task}` fails once the pivot is done: nothing can be undone, and a person must say how \
             it goes on; let it stand before the pivot, or make it `retriable` or `optional`"
        );
        Some(Found::of_file("behind-pivot", gravity, task.as_str(), message))
    }

    /// What nobody has said, but follows from the file.
    fn failed(&self, task: &TaskId, code: &str, why: &str, law: &Law<'_>) -> Option<Found> {
        match code {
            "expression" => {
                let gravity = self.gravity(task, false, law);
                let message = format!("`{task}` fails by itself: {why}");
                Some(Found::of_file("expression", gravity, task.as_str(), message))
            }
            "join_impossible" => {
                let message = format!("the join of `{task}` can not fire here: {why}");
                Some(Found::of_file("join", Gravity::Warning, task.as_str(), message))
            }
            "no_case" => {
                let message = format!("no case of `{task}` fits, and it has no `else`");
                Some(Found::of_file("no-case", Gravity::Warning, task.as_str(), message))
            }
            _ => None,
        }
    }

    fn undo_lost(&self, task: &TaskId, why: &str, law: &Law<'_>) -> Found {
        let was_in_doubt =
            self.statuses.get(task.as_str()).is_some_and(|status| *status == Status::InDoubt);
        let gravity = if was_in_doubt { Gravity::Error } else { self.gravity(task, true, law) };
        let message = format!(
            "the undo of `{task}` can not be computed, and a person must undo it by hand: {why}"
        );
        Found::of_file("undo-inputs", gravity, task.as_str(), message)
    }

    /// How bad it is that an expression fails: something may be answered in which it works, or not.
    fn gravity(&self, task: &TaskId, in_undo: bool, law: &Law<'_>) -> Gravity {
        let reads = law.places.find(task.as_str()).and_then(|place| {
            let [of_task, of_undo] = law.samples.reads.get(place.slot)?;
            Some((if in_undo { of_undo } else { of_task }, place))
        });
        let Some((TaskReads { tasks, is_open }, place)) = reads else { return Gravity::Warning };
        let is_absent = tasks.iter().any(|slot| {
            let status = self.status(&law.places.beside(&place, *slot), law);
            !matches!(status, Some(Status::Done | Status::Undone | Status::Undoing))
        });
        match is_absent || !is_open {
            true => Gravity::Error,
            false => Gravity::Warning,
        }
    }
}

/// Codes of failures that no participant has reported.
fn is_by_itself(code: &str) -> bool {
    matches!(code, "expression" | "too_large" | "unknown_undo")
}

/// What a task is, once that was told of it.
fn status_after(what: &What) -> Option<Status> {
    Some(match what {
        What::TaskScheduled { .. } | What::TaskStarted { .. } => Status::Running,
        What::TaskCompleted { .. } => Status::Done,
        What::TaskFailed { .. } => Status::Failed,
        What::TaskRetried { .. } => Status::Retrying,
        What::TaskInDoubt { .. } => Status::InDoubt,
        What::TaskCancelled { .. } => Status::Cancelled,
        What::TaskSkipped { reason, .. } if reason == "undo" => Status::Stands,
        What::TaskSkipped { .. } => Status::Skipped,
        What::UndoScheduled { .. } | What::UndoFailed { retry_at: Some(_), .. } => Status::Undoing,
        What::UndoFailed { .. } => Status::UndoBlocked,
        What::UndoCompleted { .. } => Status::Undone,
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
        | What::CompensationBlocked { .. } => return None,
    })
}

fn is_undo(what: &What) -> bool {
    matches!(
        what,
        What::UndoScheduled { .. } | What::UndoCompleted { .. } | What::UndoFailed { .. }
    )
}

fn name_of(what: &What) -> &'static str {
    super::words::name(what)
}

#[cfg(test)]
mod tests {
    use events::{Json, Problem};

    use super::*;
    use crate::explore::places::Places;
    use crate::explore::samples::Samples;

    const SAGA: &str = "
name: judged
inputs: []
tasks:
  - {id: a, agent: a, compensate: undo_a}
  - {id: b, agent: b, depends_on: [a], compensate: undo_b}
  - {id: p, agent: p, depends_on: [b], kind: pivot}
";

    fn problem() -> Problem {
        Problem { task: None, code: "broken".to_owned(), message: String::new() }
    }

    /// `start a`, `done a`, `undo a`, `undone a`, `turn`, `compensated`, `completed`.
    fn what(line: &str) -> What {
        let (verb, task) = line.split_once(' ').unwrap_or((line, ""));
        let (task, empty) = (TaskId::from(task), String::new);
        match verb {
            "start" => What::TaskStarted { task, attempt: 1, percent: None, note: None },
            "done" => What::TaskCompleted { task, attempt: 1, output: Json::null(), by: None },
            "undo" => What::UndoScheduled {
                command: empty(),
                task,
                n: 1,
                agent: "x".into(),
                task_type: empty(),
                inputs: Json::null(),
                deadline: Timestamp::from_millis(0),
            },
            "undone" => What::UndoCompleted { task, n: 1, nothing: false, by: None },
            "turn" => What::CompensationStarted { epoch: 1, problem: problem() },
            "completed" => What::WorkflowCompleted { outputs: Json::null() },
            _ => What::WorkflowFailed {
                how: How::Compensated,
                problem: problem(),
                outputs: None,
                stands: Vec::new(),
                undone: Vec::new(),
                in_doubt: Vec::new(),
            },
        }
    }

    /// What is said about a course of events that the engine would have to be broken to tell.
    fn judged(course: &[&str]) -> Vec<String> {
        let plan = crate::check(SAGA).plan.unwrap();
        let (places, samples) = (Places::of(&plan), Samples::of(&plan));
        let law = Law { plan: &plan, places: &places, samples: &samples };
        let mut judge = Judge::default();
        let now = Timestamp::from_millis(0);
        let heard = course.iter().flat_map(|line| judge.hear(&what(line), now, &law));
        heard.map(|found| format!("{}: {}", found.code, found.message)).collect()
    }

    #[test]
    fn a_sound_course_is_not_blamed() {
        let course = ["start a", "done a", "start b", "done b", "start p", "done p", "completed"];
        assert_eq!(judged(&course), Vec::<String>::new());
        let back = ["start a", "done a", "start b", "done b", "turn", "undo b", "undone b"];
        let course = [&back[..], &["undo a", "undone a", "compensated"]].concat();
        assert_eq!(judged(&course), Vec::<String>::new());
    }

    #[test]
    fn each_broken_promise_is_named() {
        let forward = ["start a", "done a", "start b", "done b"];
        let check = |course: &[&str], expect: &str| {
            assert_eq!(judged(&[&forward[..], course].concat()), [expect]);
        };
        check(&["completed", "completed"], "one-end: WorkflowCompleted follows the end of the run");
        check(&["turn", "undo a"], "undo-order: `a` is undone before `b`, which comes after it");
        check(&["turn", "start p"], "undo-order: `p` starts after compensation has begun");
        check(&["done p", "turn"], "undo-order: it turns back although the pivot is done");
        let left = ["turn", "undo b", "undone b", "compensated"];
        check(&left, "left-standing: `a` stands, and the run ends as compensated");
        assert_eq!(judged(&["start b"]), ["graph-order: `b` starts before `a` is settled"]);
    }
}
