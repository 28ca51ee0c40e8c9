//! The world: one lane's logs, the processes that think they hold it, and what is on its way between them.

use std::collections::VecDeque;

use crate::reader::{Entry, Fold, Offsets};
use crate::rules::Model;

/// All there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// Every record ever stored, the trimmed ones too.
    pub(crate) journal: Vec<Entry>,
    /// Nobody can read below it.
    pub(crate) trimmed_below: u8,
    pub(crate) snapshot: Snapshot,
    /// Who has taken the snapshots last: counts up with each fence.
    pub(crate) holder: u8,
    pub(crate) appends: Vec<Append>,
    pub(crate) writes: Vec<Write>,
    /// Journal offsets of which all that follows is acknowledged by the broker.
    pub(crate) acknowledged: Offsets,
    pub(crate) processes: Vec<Process>,
    pub(crate) used: Used,
    /// The fold of the whole journal, and which of its records are valid.
    pub(crate) truth: Fold,
    pub(crate) valid: Offsets,
    /// The law that was broken.
    pub(crate) broken: Option<&'static str>,
}

/// How often what is bounded has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Used {
    pub(crate) owners: u8,
    pub(crate) snapshots: u8,
    pub(crate) losses: u8,
    pub(crate) unplaced: u8,
    pub(crate) doubts: u8,
    pub(crate) repeats: u8,
}

/// What a takeover loads: the marker's place, and the states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Snapshot {
    pub(crate) marker: Fold,
    pub(crate) states: crate::reader::Book,
}

/// An append on its way. It outlives its process, and lands at any time or never.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Append {
    pub(crate) owner: u8,
    pub(crate) entries: VecDeque<Entry>,
    /// Where those stand that have landed.
    pub(crate) offsets: Vec<Option<u8>>,
    pub(crate) in_doubt: bool,
}

/// A snapshot on its way, which outlives its process too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Write {
    pub(crate) owner: u8,
    pub(crate) holder: u8,
    pub(crate) shot: Fold,
    pub(crate) part: Part,
}

/// What a write makes visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Whole,
    StatesAlone,
    MarkerAlone,
}

/// How far a process is, by the code's own steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Stage {
    #[default]
    Down,
    /// `broker.fence` has returned.
    Fenced,
    /// `holder.load` has returned.
    Loaded,
    /// `fold_to` has returned.
    Folded,
    /// `announce` has appended, and reads on.
    Announcing,
    /// `announce` has returned.
    Won,
    /// `holder.claim` has returned: `Lane::begin`, then turns.
    Active,
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) owner: u8,
    pub(crate) stage: Stage,
    /// Which fence it took; 0: none.
    pub(crate) holder: u8,
    /// Of its takeover.
    pub(crate) epoch: u8,
    /// What it has confirmed.
    pub(crate) context: Fold,
    /// The inbox offset to read next.
    pub(crate) position: u8,
    /// Proposed, not confirmed.
    pub(crate) proposed: Vec<Entry>,
    /// What `append` has returned.
    pub(crate) heard: Option<Heard>,
    /// Confirmed, not handed over yet.
    pub(crate) to_send: VecDeque<(u8, Entry)>,
    /// Handed over, not acknowledged.
    pub(crate) open: Offsets,
    /// Those of them that ask to be told.
    pub(crate) wishing: Offsets,
    /// Acknowledged; the answer is not confirmed.
    pub(crate) untold: Offsets,
    pub(crate) captured: Option<Fold>,
    /// The snapshot that is being written.
    pub(crate) writing: Option<Fold>,
    /// What became of it: written, or fenced.
    pub(crate) written: Option<bool>,
    pub(crate) trim: Option<u8>,
}

/// What a process hears of its append.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Heard {
    Placed(Vec<Option<u8>>),
    InDoubt,
}

impl World {
    /// Before anything has happened.
    pub(crate) fn new(model: &Model) -> Self {
        let processes = vec![Process::default(); model.bounds.processes];
        Self { processes, ..Self::default() }
    }

    /// Says that a law is broken; the first counts.
    pub(crate) fn breaks(&mut self, law: &'static str) {
        self.broken = self.broken.or(Some(law));
    }

    /// One past the last record.
    pub(crate) fn end(&self) -> u8 {
        u8::try_from(self.journal.len()).unwrap()
    }

    /// The process of this owner, where it still runs.
    pub(crate) fn alive(&mut self, owner: u8) -> Option<&mut Process> {
        self.processes
            .iter_mut()
            .find(|process| process.owner == owner && process.stage != Stage::Down)
    }

    /// Processes that are down are the same: their order is not part of the world.
    pub(crate) fn in_order(mut self) -> Self {
        self.processes.sort_by_key(|process| process.owner);
        self.appends.sort_by_key(|append| append.owner);
        self
    }
}

impl Process {
    /// Whether it can go on with its turn.
    pub(crate) fn is_between_turns(&self) -> bool {
        self.stage == Stage::Active && self.proposed.is_empty() && self.to_send.is_empty()
    }

    /// `Outbox::cursor`.
    pub(crate) fn cursor(&self, model: &Model) -> u8 {
        let mut waiting = self.wishing;
        if model.rules.cursor_waits_for_acks {
            waiting |= self.open;
        }
        if model.rules.cursor_waits_for_answers {
            waiting |= self.untold;
        } else {
            waiting &= self.open;
        }
        if waiting == 0 {
            return self.context.next;
        }
        u8::try_from(waiting.trailing_zeros()).unwrap().min(self.context.next)
    }
}
