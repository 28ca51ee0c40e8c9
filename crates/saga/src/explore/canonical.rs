//! What tells one moment from another. What makes no difference to what may follow is left out: names of
//! times gone by, numbers of events, how often something was tried that may be tried without end.

use events::{Problem, Timestamp};
use sha2::{Digest as _, Sha256};

use super::participant::{Asks, Book};
use super::world::World;
use crate::input::Answer;
use crate::phase::{Phase, Task};
use crate::state::State;
use crate::workflow::{Head, Stage, Workflow};

/// What stands for a moment.
pub(super) type Mark = [u8; 16];

/// How often something may have been tried before it counts as often.
const OFTEN: u32 = 3;
/// Milliseconds: a run that has so much time left has time enough.
const AMPLE_MS: i64 = 10 * 60 * 1000;

impl World {
    /// The same for two moments from which the same may follow.
    pub(super) fn mark(&self) -> Mark {
        let mut bytes = Vec::new();
        if let Some(State::Workflow(workflow)) = &self.state {
            let plain = State::Workflow(Box::new(plain(workflow, self.now)));
            bytes.extend(plain.encode());
        }
        self.judge.bytes(&mut bytes);
        for (task, orders) in &self.orders {
            bytes.extend(task.as_bytes());
            for order in orders {
                let asks = match order.asks {
                    Asks::Do => 0,
                    Asks::Undo => 1,
                    Asks::Query => 2,
                    Asks::Stop => 3,
                };
                bytes.extend([asks, self.age(&order.subject)]);
            }
        }
        for (task, book) in &self.books {
            bytes.extend(task.as_bytes());
            bytes.extend(match book {
                Book::Nothing => [0, 0],
                Book::Done(output) => [1, *output],
                Book::Undone => [2, 0],
                Book::Refuses => [3, 0],
            });
        }
        let mut given: Vec<Vec<u8>> = self
            .given
            .iter()
            .map(|given| {
                let mut one = given.subject.task.as_str().as_bytes().to_vec();
                one.extend([
                    given.subject.kind as u8,
                    self.age(&given.subject),
                    u8::from(given.is_late),
                ]);
                one.extend(match &given.answer {
                    Answer::Completed(output) => output.as_str().as_bytes().to_vec(),
                    Answer::Failed(failure) => {
                        let effects = failure.effects as u8;
                        vec![1, u8::from(failure.retryable), effects]
                    }
                    Answer::NothingToUndo => vec![2],
                    Answer::Status { status, .. } => vec![3, *status as u8],
                    Answer::Progress { .. } => vec![4],
                });
                one
            })
            .collect();
        given.sort();
        given.dedup();
        given.iter().for_each(|one| bytes.extend(one));
        for pending in &self.pending {
            bytes.extend(pending.task.as_bytes());
            bytes.push(u8::from(pending.is_undo));
        }
        for (name, count) in &self.came {
            bytes.extend(name.as_bytes());
            bytes.extend(count.to_le_bytes());
        }
        bytes.push(u8::from(self.was_cancelled));
        let mut mark = Mark::default();
        for (into, byte) in mark.iter_mut().zip(Sha256::digest(&bytes)) {
            *into = byte;
        }
        mark
    }

    /// How many commands of its kind were sent after it: none, one, or more.
    fn age(&self, subject: &events::Subject) -> u8 {
        let newest = self.newest(subject).unwrap_or(subject.n);
        u8::try_from(newest.saturating_sub(subject.n).min(2)).unwrap_or(2)
    }

    fn newest(&self, subject: &events::Subject) -> Option<u32> {
        let given = self.given.iter().map(|given| &given.subject);
        let sent = self.orders.values().flatten().map(|order| &order.subject);
        let same = given
            .chain(sent)
            .filter(|other| other.task == subject.task && other.kind == subject.kind);
        same.map(|other| other.n).max()
    }
}

fn plain(workflow: &Workflow, now: Timestamp) -> Workflow {
    let (mut of_all, mut tasks) = (workflow.head.clone(), workflow.tasks().to_vec());
    head(&mut of_all, now);
    let mut order: Vec<u64> = tasks.iter().map(|task| task.finished).collect();
    order.sort_unstable();
    for task in &mut tasks {
        let rank = order.partition_point(|finished| *finished < task.finished);
        task.finished = u64::try_from(rank).unwrap_or(u64::MAX);
        of_task(task, now);
    }
    Workflow::of(of_all, tasks)
}

/// From now on; what is over is over.
fn from(at: Timestamp, now: Timestamp) -> Timestamp {
    Timestamp::from_millis((at.as_millis() - now.as_millis()).max(-1))
}

fn nothing(problem: &mut Problem) {
    problem.message.clear();
}

fn head(head: &mut Head, now: Timestamp) {
    let never = Timestamp::from_millis(0);
    head.started_at = never;
    head.sequence = 0;
    head.timeout_at = match from(head.timeout_at, now) {
        at if at.as_millis() > AMPLE_MS => Timestamp::from_millis(AMPLE_MS),
        at => at,
    };
    head.paused_at = head.paused_at.map(|_| never);
    head.not_before = head.not_before.map(|at| from(at, now));
    for kept in &mut head.early {
        kept.until = from(kept.until, now);
        kept.time = never;
        kept.record.clear();
    }
    match &mut head.stage {
        Stage::Forward => {}
        Stage::Deferred(trouble)
        | Stage::Compensating(trouble)
        | Stage::Failing(trouble)
        | Stage::Closing { trouble, .. } => nothing(&mut trouble.problem),
        Stage::Ended { at, .. } => *at = never,
    }
}

fn of_task(task: &mut Task, now: Timestamp) {
    task.attempt = task.attempt.saturating_sub(task.attempts_from).min(OFTEN);
    task.attempts_from = 0;
    task.undos_void = task.undos.saturating_sub(task.undos_void).min(OFTEN);
    task.undos = task.undos.saturating_sub(task.undos_from).min(OFTEN);
    task.undos_from = 0;
    task.queries = task.queries.min(2);
    task.error.iter_mut().for_each(|error| error.message.clear());
    if let Some(undo) = &mut task.undo {
        undo.n = 0;
        undo.deadline = Timestamp::from_millis(0);
        undo.time = Timestamp::from_millis(0);
    }
    let since = |at: Timestamp| Timestamp::from_millis(at.as_millis() - now.as_millis());
    task.ready_at = task.ready_at.map(since);
    task.deadline = task.deadline.map(|at| from(at, now));
    let later = |at: &mut Option<Timestamp>| *at = at.map(|at| from(at, now));
    match &mut task.phase {
        Phase::Running { deadline, .. } | Phase::Undoing { deadline } => later(deadline),
        Phase::Open { due } => later(due),
        Phase::Stopping { until } | Phase::Racing { until } => later(until),
        Phase::Retrying { at, .. } | Phase::UndoRetrying { at } => *at = from(*at, now),
        Phase::AskAgain { at, until } | Phase::Asking { deadline: at, until } => {
            *at = from(*at, now);
            *until = from(*until, now);
        }
        Phase::Waiting { until } => *until = from(*until, now),
        Phase::Pending
        | Phase::Held
        | Phase::Doubtful
        | Phase::Done
        | Phase::Skipped(_)
        | Phase::Failed { .. }
        | Phase::Cancelled
        | Phase::UndoBlocked
        | Phase::Undone
        | Phase::Kept => settled(task),
    }
}

/// Of what is over, or has not begun, it makes no difference since when.
fn settled(task: &mut Task) {
    task.ready_at = None;
    task.deadline = None;
    task.attempt = task.attempt.min(1);
    task.queries = 0;
}
