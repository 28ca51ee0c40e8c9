//! What was seen of a run, and what it says of each task.

use crate::wire::{Asks, How};

/// What was seen. Commands, answers and starts stand beside the events, for the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    WorkflowStarted,
    WorkflowCompleted,
    WorkflowFailed(How),
    WorkflowCancelled,
    WorkflowPaused,
    WorkflowResumed,
    CompensationStarted,
    CompensationCompleted,
    CompensationBlocked,
    SignalReceived,
    TaskScheduled,
    TaskStarted,
    TaskCompleted,
    TaskFailed,
    TaskRetried,
    TaskTimedOut,
    TaskInDoubt,
    TaskSkipped,
    /// TaskSkipped for the reason `undo`: it stays as it is.
    UndoGivenUp,
    TaskCancelled,
    UndoScheduled(Carries),
    UndoCompleted,
    UndoFailed {
        again: bool,
    },
    TimerFired,
    Command(Asks),
    Answer {
        to: Asks,
        done: bool,
    },
}

/// What an undo's inputs are beside what was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// Something of the file's own.
    Else,
    /// The output, as it was recorded; it may have been learnt by this very undo.
    Output,
    /// That the outcome is not known, and it is not.
    Doubt,
    /// An output other than the recorded one, or none though there is one.
    Wrong,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WorkflowStarted => "WorkflowStarted",
            Self::WorkflowCompleted => "WorkflowCompleted",
            Self::WorkflowFailed(How::Failed) => "WorkflowFailed (failed)",
            Self::WorkflowFailed(How::Compensated) => "WorkflowFailed (compensated)",
            Self::WorkflowFailed(How::Partial) => "WorkflowFailed (partial)",
            Self::WorkflowCancelled => "WorkflowCancelled",
            Self::WorkflowPaused => "WorkflowPaused",
            Self::WorkflowResumed => "WorkflowResumed",
            Self::CompensationStarted => "CompensationStarted",
            Self::CompensationCompleted => "CompensationCompleted",
            Self::CompensationBlocked => "CompensationBlocked",
            Self::SignalReceived => "SignalReceived",
            Self::TaskScheduled => "TaskScheduled",
            Self::TaskStarted => "TaskStarted",
            Self::TaskCompleted => "TaskCompleted",
            Self::TaskFailed => "TaskFailed",
            Self::TaskRetried => "TaskRetried",
            Self::TaskTimedOut => "TaskTimedOut",
            Self::TaskInDoubt => "TaskInDoubt",
            Self::TaskSkipped | Self::UndoGivenUp => "TaskSkipped",
            Self::TaskCancelled => "TaskCancelled",
            Self::UndoScheduled(_) => "UndoScheduled",
            Self::UndoCompleted => "UndoCompleted",
            Self::UndoFailed { .. } => "UndoFailed",
            Self::TimerFired => "TimerFired",
            Self::Command(Asks::Do) => "DoTask",
            Self::Command(Asks::Undo) => "UndoTask",
            Self::Command(Asks::Query) => "QueryTask",
            Self::Command(Asks::Cancel) => "CancelTask",
            Self::Answer { to: Asks::Undo, done: true } => "undo answered: done",
            Self::Answer { to: Asks::Undo, done: false } => "undo answered: not done",
            Self::Answer { to: Asks::Query, done: true } => "query answered: done",
            Self::Answer { to: Asks::Query, done: false } => "query answered: not done",
            Self::Answer { to: Asks::Do | Asks::Cancel, done: true } => "do answered: done",
            Self::Answer { to: Asks::Do | Asks::Cancel, done: false } => "do answered: not done",
        }
    }

    pub(crate) const fn is_end(self) -> bool {
        matches!(self, Self::WorkflowCompleted | Self::WorkflowFailed(_) | Self::WorkflowCancelled)
    }

    /// What may come after the end: it belongs to a late undo.
    pub(crate) const fn may_follow_the_end(self) -> bool {
        matches!(
            self,
            Self::UndoScheduled(_)
                | Self::UndoCompleted
                | Self::UndoFailed { .. }
                | Self::UndoGivenUp
                | Self::CompensationBlocked
        )
    }
}

/// Which of the run's tasks; `NONE` for the run as a whole.
pub(crate) type TaskNo = u32;
pub(crate) const NONE: TaskNo = TaskNo::MAX;

/// One record, as far as it is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) time: i64,
    pub(crate) offset: i64,
    /// Of an event; else 0.
    pub(crate) sequence: i64,
    pub(crate) n: i64,
    pub(crate) topic: u32,
    pub(crate) partition: u32,
    pub(crate) task: TaskNo,
    pub(crate) kind: Kind,
    /// An operator has ordered it.
    pub(crate) by: bool,
}

/// How far a task has come, its undo aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Forward {
    #[default]
    Pending,
    Running,
    Retrying,
    InDoubt,
    Done,
    Failed,
    Skipped,
    Cancelled,
}

/// How far its undo has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Back {
    #[default]
    Nothing,
    Running,
    Retrying,
    Blocked,
    Undone,
    GivenUp,
}

/// What the events say of one task.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Status {
    pub(crate) forward: Forward,
    pub(crate) back: Back,
    /// The newest attempt and the newest undo; 0 for none.
    pub(crate) attempt: i64,
    pub(crate) undo: i64,
    pub(crate) begun: bool,
    pub(crate) successes: u32,
    /// The sequence number of its success.
    pub(crate) done_at: i64,
    pub(crate) by_hand: bool,
    /// An undo was sent that knew of the success.
    pub(crate) informed: bool,
    /// It was undone at some time.
    pub(crate) was_undone: bool,
    /// An operator has ordered its undo, or the undo has failed for good: another may be sent.
    pub(crate) reopened: bool,
}

impl Status {
    pub(crate) fn fold(&mut self, seen: &Seen) {
        self.by_hand |= seen.by;
        match seen.kind {
            Kind::TaskScheduled => {
                (self.forward, self.attempt, self.begun) = (Forward::Running, seen.n, true);
            }
            Kind::TaskStarted if seen.n > self.attempt => {
                (self.forward, self.attempt, self.begun) = (Forward::Running, seen.n, true);
            }
            Kind::TaskCompleted => {
                (self.forward, self.done_at) = (Forward::Done, seen.sequence);
                self.successes += 1;
            }
            Kind::TaskFailed => self.forward = Forward::Failed,
            Kind::TaskRetried => self.forward = Forward::Retrying,
            Kind::TaskInDoubt => self.forward = Forward::InDoubt,
            Kind::TaskSkipped => self.forward = Forward::Skipped,
            Kind::TaskCancelled => self.forward = Forward::Cancelled,
            Kind::UndoGivenUp => self.back = Back::GivenUp,
            Kind::UndoScheduled(carries) => {
                (self.back, self.undo) = (Back::Running, seen.n);
                self.informed |= self.forward == Forward::Done || carries == Carries::Output;
                self.reopened = false;
            }
            Kind::UndoCompleted => {
                (self.back, self.was_undone) = (Back::Undone, true);
                self.undo = self.undo.max(seen.n);
            }
            Kind::UndoFailed { again } => {
                self.back = if again { Back::Retrying } else { Back::Blocked };
                self.reopened = true;
            }
            Kind::TaskStarted
            | Kind::TaskTimedOut
            | Kind::TimerFired
            | Kind::SignalReceived
            | Kind::WorkflowStarted
            | Kind::WorkflowCompleted
            | Kind::WorkflowFailed(_)
            | Kind::WorkflowCancelled
            | Kind::WorkflowPaused
            | Kind::WorkflowResumed
            | Kind::CompensationStarted
            | Kind::CompensationCompleted
            | Kind::CompensationBlocked
            | Kind::Command(_)
            | Kind::Answer { .. } => {}
        }
    }

    /// Whether an attempt, or the wait for another, is open.
    pub(crate) const fn is_under_way(&self) -> bool {
        matches!(self.forward, Forward::Running | Forward::Retrying)
    }

    pub(crate) const fn is_undoing(&self) -> bool {
        matches!(self.back, Back::Running | Back::Retrying)
    }

    pub(crate) const fn is_back(&self) -> bool {
        matches!(self.back, Back::Undone | Back::GivenUp)
    }

    /// Done, and nothing has taken it back.
    pub(crate) fn stands(&self) -> bool {
        self.forward == Forward::Done && self.back != Back::Undone
    }

    pub(crate) const fn word(&self) -> &'static str {
        match (self.back, self.forward) {
            (Back::Running | Back::Retrying, _) => "undoing",
            (Back::Blocked, _) => "undo_blocked",
            (Back::Undone, _) => "undone",
            (_, Forward::Pending) => "pending",
            (_, Forward::Running) => "running",
            (_, Forward::Retrying) => "retrying",
            (_, Forward::InDoubt) => "in_doubt",
            (_, Forward::Done) => "done",
            (_, Forward::Failed) => "failed",
            (_, Forward::Skipped) => "skipped",
            (_, Forward::Cancelled) => "cancelled",
        }
    }
}
