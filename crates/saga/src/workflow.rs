//! One run of one workflow, as it is remembered.

mod before;
mod early;
mod tally;

use events::{By, Json, Problem, Run, SagaName, Timestamp, Version, WorkflowId};
use minicbor::{Decode, Encode};

use crate::evolve::Fold;
use crate::limits::{LATE_UNDO, remembered};
use crate::phase::{Task, TaskRef};

pub(crate) use before::Before;
pub use early::Early;
pub(crate) use early::{Kept, Seen};
pub(crate) use tally::{Changing, Dues, Tally};

/// One run of one workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    pub(crate) head: Head,
    /// By slot; those behind the last are pending.
    tasks: Vec<Task>,
    tally: Tally,
    dues: Dues,
}

/// Everything of a workflow but its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Head {
    #[n(0)]
    pub(crate) id: WorkflowId,
    #[n(1)]
    pub(crate) run: Run,
    #[n(2)]
    pub(crate) saga: SagaName,
    #[n(3)]
    pub(crate) version: Version,
    #[n(4)]
    pub(crate) start_id: String,
    /// As admitted.
    #[n(5)]
    pub(crate) inputs: Json,
    #[n(6)]
    pub(crate) started_at: Timestamp,
    #[n(7)]
    pub(crate) trace: Option<String>,
    /// Of the last public event.
    #[n(8)]
    pub(crate) sequence: u64,
    /// Rises only when the whole workflow turns to compensating.
    #[n(9)]
    pub(crate) epoch: u32,
    #[n(10)]
    pub(crate) stage: Stage,
    /// Since when nothing new starts.
    #[n(11)]
    pub(crate) paused_at: Option<Timestamp>,
    /// When the forward work must be over. Stands still while paused.
    #[n(12)]
    pub(crate) timeout_at: Timestamp,
    /// A pivot is done: forward only.
    #[n(13)]
    pub(crate) past_pivot: bool,
    /// Timers do not count before this.
    #[n(14)]
    pub(crate) not_before: Option<Timestamp>,
    /// Who has started it as a child.
    #[n(15)]
    pub(crate) parent: Option<ParentRef>,
    /// The bodies of `for_each` that have been laid out, in their order.
    #[n(16)]
    pub(crate) expansions: Vec<Expansion>,
    /// Events that came before what waits for them, in their order.
    #[n(17)]
    pub(crate) early: Vec<Kept>,
    /// The newest event seen of each partition of a user's topic.
    #[n(18)]
    pub(crate) seen: Seen,
    /// Commands of its parent that are answered when it has ended, beside the one that it began with.
    #[n(20)]
    pub(crate) asked: Vec<String>,
    /// Runs before this one, of a child that was begun anew: the newest last.
    #[n(21)]
    pub(crate) before: Option<Vec<Before>>,
    /// Its time is over, which under `on_failure: pause` only pauses it.
    #[n(19)]
    pub(crate) timed_out: bool,
}

/// The workflow that has started another as its child.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ParentRef {
    /// The subject of the command that the child answers when it has ended.
    #[n(0)]
    pub(crate) command: String,
    /// How many stand above the child.
    #[n(1)]
    pub(crate) depth: u32,
}

/// The body of one `for_each`, laid out for each element: its slots stand one element behind the other.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Expansion {
    /// The slot of the `for_each`.
    #[n(0)]
    pub(crate) of: u32,
    /// The first slot of the first element.
    #[n(1)]
    pub(crate) first: u32,
    /// The first of the body's slots in the plan.
    #[n(2)]
    pub(crate) body: u32,
    /// Slots of one element.
    #[n(3)]
    pub(crate) width: u32,
    /// Elements.
    #[n(4)]
    pub(crate) count: u32,
}

impl Expansion {
    /// One behind the last slot.
    pub(crate) fn end(&self) -> u32 {
        self.first + self.width * self.count
    }
}

/// Where a workflow is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Stage {
    /// Doing.
    #[n(0)]
    Forward,
    /// Something has failed while a pivot is in flight: its outcome decides. Nothing new starts.
    #[n(1)]
    Deferred(#[n(0)] Trouble),
    /// Undoing.
    #[n(2)]
    Compensating(#[n(0)] Trouble),
    /// What is in flight is stopped; nothing is undone.
    #[n(4)]
    Failing(#[n(0)] Trouble),
    /// The failure is dealt with: the tasks under `then` run.
    #[n(5)]
    Closing {
        #[n(0)]
        trouble: Trouble,
        #[n(1)]
        end: End,
        #[n(2)]
        owners: Owners,
    },
    /// At rest.
    #[n(3)]
    Ended {
        #[n(0)]
        at: Timestamp,
        #[n(1)]
        end: End,
        /// Tasks that may still report a success, which must then be undone.
        #[n(2)]
        late: Vec<TaskRef>,
        /// Whether the tasks have been dropped.
        #[n(3)]
        shrunk: bool,
        /// The parent's command that has it undone, while it is.
        #[n(4)]
        unwinding: Option<String>,
    },
}

/// Whose `then` runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Owners {
    /// The file's.
    #[n(0)]
    pub(crate) file: bool,
    /// That of these tasks.
    #[n(1)]
    pub(crate) tasks: Vec<u32>,
}

impl Owners {
    pub(crate) fn of(owners: impl Iterator<Item = Option<usize>>) -> Self {
        let mut this = Self::default();
        for owner in owners {
            match owner.map(|slot| u32::try_from(slot).unwrap_or(u32::MAX)) {
                None => this.file = true,
                Some(slot) if this.tasks.contains(&slot) => {}
                Some(slot) => this.tasks.push(slot),
            }
        }
        this
    }
}

/// How a workflow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum End {
    #[n(0)]
    Completed,
    #[n(1)]
    Partial,
    #[n(2)]
    Compensated,
    #[n(3)]
    Cancelled,
    #[n(4)]
    Failed,
}

/// Why a workflow turns, or will turn, to compensating.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Trouble {
    #[n(0)]
    pub(crate) origin: Origin,
    #[n(1)]
    pub(crate) problem: Problem,
    /// Whose `on_failure` it was: a task's, else the file's.
    #[n(2)]
    pub(crate) decided_by: Option<u32>,
}

/// What began it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Origin {
    /// A task failed, or is in doubt and will be undone.
    #[n(0)]
    Failure,
    /// The workflow's timeout.
    #[n(1)]
    Timeout,
    /// An operator.
    #[n(2)]
    Cancel(#[n(0)] By),
}

impl Head {
    /// What has turned it, or will.
    pub(crate) fn trouble(&self) -> Option<&Trouble> {
        match &self.stage {
            Stage::Deferred(trouble)
            | Stage::Compensating(trouble)
            | Stage::Failing(trouble)
            | Stage::Closing { trouble, .. } => Some(trouble),
            Stage::Forward | Stage::Ended { .. } => None,
        }
    }

    /// The earliest timer of the workflow itself; the tasks have their own.
    fn due(&self, blocked: bool) -> Option<Timestamp> {
        match &self.stage {
            Stage::Forward => {
                let counts = self.paused_at.is_none() && !self.past_pivot && !self.timed_out;
                counts.then_some(self.timeout_at)
            }
            Stage::Deferred(_)
            | Stage::Compensating(_)
            | Stage::Failing(_)
            | Stage::Closing { .. } => None,
            Stage::Ended { at, late, shrunk, .. } => match (blocked, *shrunk || late.is_empty()) {
                (true, _) => None,
                (false, true) => Some(at.after(remembered())),
                (false, false) => Some(at.after(LATE_UNDO)),
            },
        }
    }

    /// When the run's forward work is out of time, while that counts.
    pub(crate) fn timeout_due(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Forward => self.due(false),
            Stage::Deferred(_)
            | Stage::Compensating(_)
            | Stage::Failing(_)
            | Stage::Closing { .. }
            | Stage::Ended { .. } => None,
        }
    }
}

impl Fold for Workflow {
    fn head(&mut self) -> &mut Head {
        &mut self.head
    }

    #[allow(clippy::indexing_slicing, reason = "the line before makes room")]
    fn task(&mut self, slot: usize) -> Changing<'_> {
        if self.tasks.len() <= slot {
            self.tasks.resize(slot + 1, Task::PENDING);
        }
        Changing::new(&mut self.tasks[slot], &mut self.tally, Some(&mut self.dues))
    }

    fn drop_tasks(&mut self) {
        (self.tasks, self.tally, self.dues) = Default::default();
    }
}

impl Workflow {
    /// Of these parts.
    pub(crate) fn of(head: Head, tasks: Vec<Task>) -> Self {
        let (tally, dues) = (Tally::of(&tasks), Dues::of(&tasks));
        Self { head, tasks, tally, dues }
    }

    /// Its tasks by slot; those behind the last are pending.
    pub(crate) fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// What its tasks come to.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether what was kept of the tasks is what they say.
    pub(crate) fn is_tallied(&self) -> bool {
        self.tally == Tally::of(&self.tasks) && self.dues == Dues::of(&self.tasks)
    }

    /// When it next wants to be woken.
    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        let (blocked, tasks) = (self.tally.is_blocked(), self.dues.first());
        let own = match (&self.head.stage, tasks) {
            // What is being undone late ends before anything is forgotten.
            (Stage::Ended { .. }, Some(_)) => None,
            (
                Stage::Forward
                | Stage::Deferred(_)
                | Stage::Compensating(_)
                | Stage::Failing(_)
                | Stage::Closing { .. }
                | Stage::Ended { .. },
                _,
            ) => self.head.due(blocked),
        };
        let early = self.head.early.iter().map(|kept| kept.until).min();
        let due = tasks.into_iter().chain(own).chain(early).min()?;
        Some(self.head.not_before.map_or(due, |at| due.max(at)))
    }

    /// The public status: docs/reference/saga-file.md.
    #[must_use]
    pub fn status(&self) -> &'static str {
        let blocked = || self.tally.is_blocked();
        match &self.head.stage {
            Stage::Ended { end, .. } => match end {
                End::Completed => "completed",
                End::Partial => "partial",
                End::Compensated => "compensated",
                End::Cancelled => "cancelled",
                End::Failed => "failed",
            },
            Stage::Forward | Stage::Deferred(_) if self.head.paused_at.is_some() => "paused",
            Stage::Forward | Stage::Deferred(_) if blocked() => "blocked",
            Stage::Forward | Stage::Deferred(_) => "running",
            Stage::Compensating(_) | Stage::Failing(_) | Stage::Closing { .. } if blocked() => {
                "blocked"
            }
            Stage::Compensating(_) | Stage::Failing(_) | Stage::Closing { .. }
                if self.head.paused_at.is_some() =>
            {
                "paused"
            }
            Stage::Compensating(_) | Stage::Failing(_) | Stage::Closing { .. } => "compensating",
        }
    }
}
