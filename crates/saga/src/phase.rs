//! One task of a workflow, and where it is.

mod command;
mod outcome;

use events::{Json, TaskId, Timestamp};
use minicbor::{Decode, Encode};

use crate::plan::Slot;

pub(crate) use command::{Command, Pair, Via};
pub(crate) use outcome::{After, Cover, Earlier, Loss, Passed};

/// A task by its place in the plan, and its id for whoever reads.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct TaskRef {
    #[n(0)]
    pub(crate) slot: u32,
    #[n(1)]
    pub(crate) id: TaskId,
}

impl TaskRef {
    pub(crate) fn index(&self) -> Slot {
        // Lossless on the 32 and 64 bit targets that there are.
        self.slot as Slot
    }
}

/// One task of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Task {
    #[n(0)]
    pub(crate) phase: Phase,
    /// The last attempt's number; 0: never sent.
    #[n(1)]
    pub(crate) attempt: u32,
    /// Attempts up to this one do not count against the plan's bound: an operator ordered more.
    #[n(2)]
    pub(crate) attempts_from: u32,
    /// The last query's number.
    #[n(3)]
    pub(crate) queries: u32,
    /// The last undo's number.
    #[n(4)]
    pub(crate) undos: u32,
    /// Undos up to this one do not count against the plan's bound.
    #[n(5)]
    pub(crate) undos_from: u32,
    /// Answers to undos up to this one say nothing: they went out before a late success was known.
    #[n(6)]
    pub(crate) undos_void: u32,
    /// When it became ready, from where its deadline counts.
    #[n(7)]
    pub(crate) ready_at: Option<Timestamp>,
    /// As sent.
    #[n(8)]
    pub(crate) inputs: Option<Json>,
    /// As the participant or an operator said.
    #[n(9)]
    pub(crate) output: Option<Json>,
    /// The last one.
    #[n(10)]
    pub(crate) error: Option<TaskError>,
    /// The last undo, for the dead letters.
    #[n(11)]
    pub(crate) undo: Option<Command>,
    /// An attempt before the last one may have worked.
    #[n(12)]
    pub(crate) unsure: bool,
    /// The latest time for all attempts together.
    #[n(13)]
    pub(crate) deadline: Option<Timestamp>,
    /// The idempotency key, where the file computes it.
    #[n(14)]
    pub(crate) key: Option<String>,
    /// How its command goes out, the same in every attempt.
    #[n(15)]
    pub(crate) via: Via,
    /// Of a choice: the cases that were taken.
    #[n(16)]
    pub(crate) cases: Vec<u32>,
    /// What it comes to once it is undone, where that does not follow from the whole workflow.
    #[n(17)]
    pub(crate) after: After,
    /// What has become of its fallback.
    #[n(18)]
    pub(crate) cover: Cover,
    /// The number of the event that it was done with, for `order: strict`, or undone with, for the list of those.
    #[n(19)]
    pub(crate) finished: u64,
    /// What was undone of it before an operator had it done again.
    #[n(20)]
    pub(crate) earlier: Option<Earlier>,
    /// The run goes on without it, whatever has become known of it since.
    #[n(21)]
    #[cbor(default)]
    pub(crate) accepted: bool,
}

/// Why a task's last attempt, or its undo's, has failed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct TaskError {
    #[n(0)]
    pub(crate) code: String,
    #[n(1)]
    pub(crate) message: String,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Phase {
    #[n(0)]
    Pending,
    /// An attempt is out. `heard`: the participant has given a sign of life.
    #[n(1)]
    Running {
        #[n(0)]
        deadline: Option<Timestamp>,
        #[n(1)]
        heard: bool,
    },
    /// The next attempt is due at `at`. `doubt`: the last one may have worked.
    #[n(2)]
    Retrying {
        #[n(0)]
        at: Timestamp,
        #[n(1)]
        doubt: bool,
    },
    /// In doubt: a query is out.
    #[n(3)]
    Asking {
        #[n(0)]
        deadline: Timestamp,
        #[n(1)]
        until: Timestamp,
    },
    /// In doubt: the next query is due at `at`.
    #[n(4)]
    AskAgain {
        #[n(0)]
        at: Timestamp,
        #[n(1)]
        until: Timestamp,
    },
    /// In doubt: an operator must say.
    #[n(5)]
    Held,
    /// Asked to stop; silence until then is doubt.
    #[n(6)]
    Stopping {
        #[n(0)]
        until: Option<Timestamp>,
    },
    /// In doubt, and to be undone.
    #[n(7)]
    Doubtful,
    /// While compensating: to be undone, if it can be.
    #[n(8)]
    Done,
    #[n(9)]
    Skipped(#[n(0)] Passed),
    #[n(10)]
    Failed {
        #[n(0)]
        loss: Loss,
    },
    #[n(11)]
    Cancelled,
    /// An undo is out.
    #[n(12)]
    Undoing {
        #[n(0)]
        deadline: Option<Timestamp>,
    },
    /// The next undo is due at `at`.
    #[n(13)]
    UndoRetrying {
        #[n(0)]
        at: Timestamp,
    },
    /// The undo has failed for good: an operator must choose.
    #[n(14)]
    UndoBlocked,
    #[n(15)]
    Undone,
    /// It stands, since an operator gave up its undo.
    #[n(16)]
    Kept,
    /// What stands in it is under way.
    #[n(17)]
    Open {
        #[n(0)]
        due: Option<Timestamp>,
    },
    /// A wait, until then.
    #[n(18)]
    Waiting {
        #[n(0)]
        until: Timestamp,
    },
    /// Which of its cases happens first is open; one of them at `until`.
    #[n(19)]
    Racing {
        #[n(0)]
        until: Option<Timestamp>,
    },
}

impl Task {
    /// What has not been touched yet.
    pub(crate) const PENDING: Self = Self {
        phase: Phase::Pending,
        attempt: 0,
        attempts_from: 0,
        queries: 0,
        undos: 0,
        undos_from: 0,
        undos_void: 0,
        ready_at: None,
        inputs: None,
        output: None,
        error: None,
        undo: None,
        unsure: false,
        deadline: None,
        key: None,
        via: Via::Agent,
        cases: Vec::new(),
        after: After::Nothing,
        cover: Cover::Uncalled,
        finished: 0,
        earlier: None,
        accepted: false,
    };

    /// How many times it was begun anew, this time included: the last number of its idempotency key.
    pub(crate) fn incarnation(&self) -> u32 {
        self.earlier.map_or(1, |earlier| earlier.incarnations.saturating_add(1))
    }

    /// Whether an undo of this incarnation has gone out.
    pub(crate) fn undo_went_out(&self) -> bool {
        self.undos > self.earlier.map_or(0, |earlier| earlier.undos)
    }

    /// Begins anew what was undone.
    pub(crate) fn begin_anew(&mut self) {
        self.earlier = Some(Earlier {
            incarnations: self.incarnation(),
            attempts: self.attempt,
            queries: self.queries,
            undos: self.undos,
            told: self.output.is_some(),
        });
        (self.undos_void, self.undos_from) = (self.undos, self.undos);
        (self.output, self.undo, self.key) = (None, None, None);
        self.via = Via::Agent;
    }

    /// Whether it has neither failed nor is in doubt, and nothing stops it or undoes it, or has done so.
    pub(crate) const fn is_plain(&self) -> bool {
        let is_on_its_way = match self.phase {
            Phase::Pending
            | Phase::Running { .. }
            | Phase::Retrying { .. }
            | Phase::Skipped(Passed::Unneeded | Passed::Behind)
            | Phase::Open { .. }
            | Phase::Waiting { .. }
            | Phase::Racing { .. } => true,
            // An operator may have said so of what had failed. What stands in it may still be at work.
            Phase::Done => self.error.is_none(),
            Phase::Skipped(Passed::ByHand)
            | Phase::Asking { .. }
            | Phase::AskAgain { .. }
            | Phase::Held
            | Phase::Stopping { .. }
            | Phase::Doubtful
            | Phase::Failed { .. }
            | Phase::Cancelled
            | Phase::Undoing { .. }
            | Phase::UndoRetrying { .. }
            | Phase::UndoBlocked
            | Phase::Undone
            | Phase::Kept => false,
        };
        is_on_its_way
            && matches!(self.after, After::Nothing)
            && matches!(self.cover, Cover::Uncalled)
    }

    /// When it wants to be looked at. A group that is being undone has failed already: its time says nothing more.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        let is_open = matches!(self.phase, Phase::Open { .. });
        self.phase.due().filter(|_| !is_open || self.after == After::Nothing)
    }

    /// The public status: docs/reference/saga-file.md.
    pub(crate) const fn word(&self) -> &'static str {
        match self.cover {
            Cover::Working => "running",
            Cover::Worked => "done",
            Cover::Uncalled | Cover::Spent => self.phase.word(),
        }
    }
}

impl Phase {
    /// The public status of a task that has no fallback.
    const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running { .. }
            | Self::Stopping { .. }
            | Self::Open { .. }
            | Self::Waiting { .. }
            | Self::Racing { .. } => "running",
            Self::Retrying { .. } => "retrying",
            Self::Asking { .. } | Self::AskAgain { .. } | Self::Held | Self::Doubtful => "in_doubt",
            Self::Done | Self::Kept => "done",
            Self::Skipped(_) => "skipped",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Undoing { .. } | Self::UndoRetrying { .. } => "undoing",
            Self::UndoBlocked => "undo_blocked",
            Self::Undone => "undone",
        }
    }

    const fn due(self) -> Option<Timestamp> {
        match self {
            Self::Running { deadline, .. } | Self::Undoing { deadline } => deadline,
            Self::Open { due } => due,
            Self::Asking { deadline, .. } => Some(deadline),
            Self::Retrying { at, .. } | Self::AskAgain { at, .. } | Self::UndoRetrying { at } => {
                Some(at)
            }
            Self::Waiting { until } => Some(until),
            Self::Stopping { until } | Self::Racing { until } => until,
            Self::Pending
            | Self::Held
            | Self::Doubtful
            | Self::Done
            | Self::Skipped(_)
            | Self::Failed { .. }
            | Self::Cancelled
            | Self::UndoBlocked
            | Self::Undone
            | Self::Kept => None,
        }
    }

    /// A task, not a group, that has started and is not settled.
    pub(crate) const fn in_flight(self) -> bool {
        match self {
            Self::Running { .. }
            | Self::Retrying { .. }
            | Self::Asking { .. }
            | Self::AskAgain { .. }
            | Self::Held
            | Self::Stopping { .. }
            | Self::Waiting { .. } => true,
            Self::Pending
            | Self::Doubtful
            | Self::Done
            | Self::Skipped(_)
            | Self::Failed { .. }
            | Self::Cancelled
            | Self::Undoing { .. }
            | Self::UndoRetrying { .. }
            | Self::UndoBlocked
            | Self::Undone
            | Self::Kept
            | Self::Open { .. }
            | Self::Racing { .. } => false,
        }
    }
}
