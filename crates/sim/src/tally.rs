//! What has gone wrong, counted when it strikes: a fault of the schedule whose moment never came is not in it.

use std::collections::BTreeMap;

use crate::faults::{AppendFate, Fault, SendFate};

/// How often each thing has gone wrong.
pub type Struck = BTreeMap<&'static str, u64>;

/// Counts.
#[derive(Default)]
pub(crate) struct Tally(Struck);

impl Tally {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn take(&mut self) -> Struck {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn append(&mut self, fate: AppendFate) {
        match fate {
            AppendFate::Well => {}
            AppendFate::Lost => self.count("appends lost"),
            AppendFate::Unacknowledged => self.count("appends not acknowledged"),
            AppendFate::Late => self.count("appends stored late"),
            AppendFate::Twice => self.count("appends stored twice"),
            AppendFate::NoOffsets => self.count("appends without an offset"),
            AppendFate::Nowhere => self.count("appends acknowledged and not stored"),
            AppendFate::Refused => self.count("full disks"),
        }
    }

    pub(crate) fn send(&mut self, fate: SendFate) {
        match fate {
            SendFate::Well => {}
            SendFate::Unacknowledged => self.count("records not acknowledged"),
            SendFate::Lost => self.count("records lost"),
            SendFate::Twice => self.count("records stored twice"),
        }
    }

    /// A fault that strikes at its time.
    pub(crate) fn fault(&mut self, fault: &Fault) {
        match fault {
            // Counted at the step, or each time that one meets it.
            Fault::Crash { .. }
            | Fault::Pause { .. }
            | Fault::At { .. }
            | Fault::Appends { .. }
            | Fault::Sends { .. } => {}
            Fault::Kill { .. } => self.count("processes killed"),
            Fault::Leave { .. } => self.count("processes asked to leave"),
            Fault::Jump { .. } => self.count("clocks that jump"),
            Fault::Rebalance { .. } => self.count("groups shared anew"),
            Fault::Everyone { .. } => self.count("everybody told it holds every lane"),
            Fault::Redeliver { .. } => self.count("records handed out again"),
            Fault::Slow { .. } => self.count("slow networks"),
            Fault::LoseSnapshot { .. } => self.count("snapshots lost"),
        }
    }
}
