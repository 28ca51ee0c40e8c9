//! The rules that a run's events alone must keep, judged as they come.

use std::sync::Arc;

use crate::Invariant as I;
use crate::bench::{Bench, hash_of};
use crate::definition::fallback_of;
use crate::fold::{UNSENT, carries, fold};
use crate::run::{Run, Task};
use crate::status::{Back, Forward, Kind, NONE, Seen, TaskNo};
use crate::wire::{Asks, Does, Event, How, Order, What, subject};

/// Where the record stands.
#[derive(Clone, Copy)]
pub(crate) struct At {
    pub(crate) topic: u32,
    pub(crate) partition: u32,
    pub(crate) offset: i64,
}

/// Takes a run's next event: judges it by what was, and then lets it be so.
pub(crate) fn take(
    workflow: &Arc<str>,
    run: &mut Run,
    event: &Event<'_>,
    at: At,
    bench: &mut Bench,
) {
    let task = match &event.what {
        What::Task { task, .. } => run.number_of(task),
        What::SignalReceived { task: Some(task) } => run.number_of(task),
        What::SignalReceived { task: None }
        | What::Started { .. }
        | What::Completed
        | What::Failed { .. }
        | What::Cancelled { .. }
        | What::Paused
        | What::Resumed
        | What::CompensationStarted { .. }
        | What::CompensationCompleted
        | What::CompensationBlocked => NONE,
    };
    let (kind, n, by) = kind(run, task, &event.what);
    let seen = Seen {
        time: event.time,
        offset: at.offset,
        sequence: event.sequence,
        n,
        topic: at.topic,
        partition: at.partition,
        task,
        kind,
        by,
    };
    run.history.push(seen);
    let rules = Rules { workflow, event, seen };
    rules.course(run, bench);
    match &event.what {
        What::Task { does, .. } => rules.of_task(run, does, bench),
        What::SignalReceived { .. } => {}
        What::Started { .. }
        | What::Completed
        | What::Failed { .. }
        | What::Cancelled { .. }
        | What::Paused
        | What::Resumed
        | What::CompensationStarted { .. }
        | What::CompensationCompleted
        | What::CompensationBlocked => rules.of_run(run, bench),
    }
    fold(run, event, &seen);
}

fn kind(run: &Run, task: TaskNo, what: &What<'_>) -> (Kind, i64, bool) {
    let (n, does) = match what {
        What::Task { n, does, .. } => (*n, does),
        What::Started { .. } => return (Kind::WorkflowStarted, 0, false),
        What::Completed => return (Kind::WorkflowCompleted, 0, false),
        What::Failed { how, .. } => return (Kind::WorkflowFailed(*how), 0, false),
        What::Cancelled { .. } => return (Kind::WorkflowCancelled, 0, false),
        What::Paused => return (Kind::WorkflowPaused, 0, false),
        What::Resumed => return (Kind::WorkflowResumed, 0, false),
        What::CompensationStarted { .. } => return (Kind::CompensationStarted, 0, false),
        What::CompensationCompleted => return (Kind::CompensationCompleted, 0, false),
        What::CompensationBlocked => return (Kind::CompensationBlocked, 0, false),
        What::SignalReceived { .. } => return (Kind::SignalReceived, 0, false),
    };
    let (kind, by) = match *does {
        Does::Scheduled(_) => (Kind::TaskScheduled, false),
        Does::Started => (Kind::TaskStarted, false),
        Does::Completed { by, .. } => (Kind::TaskCompleted, by),
        Does::Failed { by, .. } => (Kind::TaskFailed, by),
        Does::Retried { by, .. } => (Kind::TaskRetried, by),
        Does::TimedOut { .. } => (Kind::TaskTimedOut, false),
        Does::InDoubt { .. } => (Kind::TaskInDoubt, false),
        Does::Skipped { reason: "undo", by } => (Kind::UndoGivenUp, by),
        Does::Skipped { by, .. } => (Kind::TaskSkipped, by),
        Does::Cancelled => (Kind::TaskCancelled, false),
        Does::UndoScheduled(order) => {
            (Kind::UndoScheduled(carries(run, task, order.inputs)), false)
        }
        Does::UndoCompleted { by } => (Kind::UndoCompleted, by),
        Does::UndoFailed { at, .. } => (Kind::UndoFailed { again: at.is_some() }, false),
        Does::TimerFired => (Kind::TimerFired, false),
    };
    (kind, n, by)
}

struct Rules<'a> {
    workflow: &'a Arc<str>,
    event: &'a Event<'a>,
    seen: Seen,
}

impl Rules<'_> {
    fn blame(&self, bench: &mut Bench, run: &Run, invariant: I, message: String) {
        let about = [self.seen.task];
        let about = if self.seen.task == NONE { &[][..] } else { &about[..] };
        bench.blame_run(invariant, self.workflow, run, about, message);
    }

    /// The beginning and the end of a run.
    fn course(&self, run: &Run, bench: &mut Bench) {
        let (kind, sequence) = (self.seen.kind, self.seen.sequence);
        if (kind == Kind::WorkflowStarted) != (sequence == 1) {
            let message = format!("event {sequence} of the run is {}", kind.name());
            self.blame(bench, run, I::OneStart, message);
        }
        if let Some((end, _)) = run.end
            && !kind.may_follow_the_end()
        {
            let message = format!("{} follows the run's end, {}", kind.name(), end.name());
            self.blame(bench, run, I::OneEnd, message);
        }
    }

    fn of_run(&self, run: &Run, bench: &mut Bench) {
        match &self.event.what {
            What::CompensationStarted { epoch } => {
                if *epoch != run.epoch + 1 || run.compensating {
                    let message = format!("the epoch is {epoch} after {}", run.epoch);
                    self.blame(bench, run, I::Epoch, message);
                }
            }
            What::Completed => self.all_over(run, true, bench),
            What::Failed { how, .. } => {
                if *how == How::Compensated && !run.compensated {
                    let message = "compensated, but compensation was not completed".to_owned();
                    self.blame(bench, run, I::AllOver, message);
                }
                self.all_over(run, *how == How::Partial && !run.compensating, bench);
            }
            What::Cancelled { .. } => self.all_over(run, false, bench),
            What::CompensationCompleted => self.nothing_undoing(run, bench),
            What::Started { .. }
            | What::Paused
            | What::Resumed
            | What::CompensationBlocked
            | What::SignalReceived { .. }
            | What::Task { .. } => {}
        }
    }

    /// Nothing is open any more; `known`: nothing may be in doubt either.
    fn all_over(&self, run: &Run, known: bool, bench: &mut Bench) {
        for (task, number) in run.tasks.iter().zip(0..) {
            let status = task.status;
            let doubtful = known && status.forward == Forward::InDoubt;
            let doubtful = doubtful && !status.is_back() && !status.by_hand;
            if status.is_under_way() && !status.is_back() || doubtful {
                let message = format!("the run ends while `{}` is {}", task.name, status.word());
                bench.blame_run(I::AllOver, self.workflow, run, &[number], message);
            }
        }
        self.nothing_undoing(run, bench);
    }

    fn nothing_undoing(&self, run: &Run, bench: &mut Bench) {
        for (task, number) in run.tasks.iter().zip(0..) {
            if task.status.is_undoing() || task.status.back == Back::Blocked {
                let (name, word) = (&task.name, task.status.word());
                let message = format!("{} while `{name}` is {word}", self.seen.kind.name());
                bench.blame_run(I::AllOver, self.workflow, run, &[number], message);
            }
        }
    }

    fn of_task(&self, run: &Run, does: &Does<'_>, bench: &mut Bench) {
        let Some(task) = run.task(self.seen.task) else { return };
        let (status, name, n) = (task.status, &task.name, self.seen.n);
        match does {
            Does::Scheduled(order) => self.scheduled(run, task, order, bench),
            Does::Completed { .. } => {
                let fallback = run.status(&fallback_of(name));
                if status.successes > 0 && status.back != Back::Undone && !fallback.begun {
                    let message = format!("`{name}` is done a second time");
                    self.blame(bench, run, I::OnceDone, message);
                }
            }
            Does::Retried { code, .. } | Does::InDoubt { code } => {
                if task.early > 0 && *code != UNSENT {
                    let early = task.early;
                    let message = format!("`{name}` timed out {early} ms before its deadline");
                    self.blame(bench, run, I::NotEarly, message);
                }
            }
            Does::UndoScheduled(order) => self.undo(run, task, order, bench),
            Does::UndoCompleted { .. } => {
                // One that was never sent is for the definition to explain, or a person, who may have had it tried.
                let is_next = n <= status.undo + 1 || self.seen.by;
                if !is_next || status.back == Back::Undone {
                    let message =
                        format!("undo {n} of `{name}` ends while it is {}", status.word());
                    self.blame(bench, run, I::OneUndo, message);
                }
            }
            Does::TimedOut { .. }
            | Does::Started
            | Does::Failed { .. }
            | Does::Skipped { .. }
            | Does::Cancelled
            | Does::UndoFailed { .. }
            | Does::TimerFired => {}
        }
        let answers = matches!(
            does,
            Does::Completed { .. }
                | Does::Failed { .. }
                | Does::Retried { .. }
                | Does::TimedOut { .. }
        );
        if answers && n > status.attempt && status.attempt > 0 {
            let message = format!("attempt {n} of `{name}` ends, but was never decided");
            self.blame(bench, run, I::OneAttempt, message);
        }
    }

    fn scheduled(&self, run: &Run, task: &Task, order: &Order<'_>, bench: &mut Bench) {
        let (status, name, n) = (task.status, &task.name, self.seen.n);
        let waits =
            matches!(status.forward, Forward::Pending | Forward::Retrying | Forward::Failed);
        if n != status.attempt + 1 || !waits {
            let (before, word) = (status.attempt, status.word());
            let message = format!("attempt {n} of `{name}` after {before}, which is {word}");
            self.blame(bench, run, I::OneAttempt, message);
        }
        if status.forward == Forward::Retrying && self.event.time < task.due {
            let early = task.due - self.event.time;
            let message = format!("attempt {n} of `{name}` comes {early} ms early");
            self.blame(bench, run, I::NotEarly, message);
        }
        if n == 1 && run.paused && !status.by_hand {
            let message = format!("`{name}` begins while the run is paused");
            self.blame(bench, run, I::Paused, message);
        }
        if run.compensating && !run.compensated {
            let message = format!("attempt {n} of `{name}` is decided while compensating");
            self.blame(bench, run, I::NoWayForward, message);
        }
        if task.inputs.is_some_and(|inputs| inputs != hash_of([order.inputs.as_bytes()])) {
            let message = format!("attempt {n} of `{name}` carries other inputs than the first");
            self.blame(bench, run, I::SameInputs, message);
        }
        self.names_its_command(run, Asks::Do, order, bench);
    }

    fn undo(&self, run: &Run, task: &Task, order: &Order<'_>, bench: &mut Bench) {
        let (status, name, n) = (task.status, &task.name, self.seen.n);
        if n != status.undo + 1 {
            let message = format!("undo {n} of `{name}` after {}", status.undo);
            self.blame(bench, run, I::OneAttempt, message);
        }
        if !status.begun {
            let message = format!("`{name}` is undone, but was never begun");
            self.blame(bench, run, I::UndoReason, message);
        }
        let again = matches!(status.back, Back::Running | Back::Undone);
        if again && status.informed && !status.reopened {
            let message = format!("undo {n} of `{name}`, which is {}", status.word());
            self.blame(bench, run, I::OneUndo, message);
        }
        self.names_its_command(run, Asks::Undo, order, bench);
    }

    fn names_its_command(&self, run: &Run, asks: Asks, order: &Order<'_>, bench: &mut Bench) {
        let Some(task) = run.task(self.seen.task) else { return };
        let is_its_own = subject(order.command).is_some_and(|subject| {
            (subject.workflow, subject.run, subject.asks, subject.n)
                == (self.event.workflow, run.number, asks, self.seen.n)
                && subject.task == &*task.name
        });
        if !is_its_own {
            let message = format!("the event names the command `{}`", order.command);
            self.blame(bench, run, I::Decided, message);
        }
    }
}
