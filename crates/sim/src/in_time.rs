//! A timer goes before no input that was in time: by what the inbox had, and by when it was last looked into.

use std::collections::{BTreeMap, HashMap};

use events::{Offset, Timestamp};
use stream::{Entry, Key, Origin, Owner, Written};

use crate::store::Store;
use crate::world::Inner;

/// A timer that has gone.
pub(crate) struct Fired {
    pub(crate) key: Key,
    pub(crate) due: Timestamp,
    /// Who has decided on it, and where in its epoch.
    pub(crate) by: (Owner, u64),
    /// The inbox offset that was to be read next.
    pub(crate) position: Offset,
}

/// When lanes have last looked into their inboxes.
#[derive(Default)]
pub(crate) struct Looks {
    /// By the log that a lane has opened.
    by_log: BTreeMap<u64, Timestamp>,
    /// When a timer was decided on.
    by_decision: HashMap<(Owner, u64), Timestamp>,
}

impl Inner {
    /// The inbox is looked into.
    pub(crate) fn looks(&mut self, log: u64) {
        let now = self.wall();
        self.looks.by_log.insert(log, now);
    }

    /// What was decided is appended.
    pub(crate) fn decides(&mut self, log: u64, entries: &[Entry]) {
        let Some(looked) = self.looks.by_log.get(&log).copied() else { return };
        for Entry(bytes) in entries {
            if let Ok(Written::Decide(decide)) = Written::decode(bytes)
                && let Origin::Timer(_) = decide.source
            {
                self.looks.by_decision.insert((decide.owner, decide.seq), looked);
            }
        }
    }

    /// Judges the timers that have gone, where clocks agree.
    pub(crate) fn in_time(&mut self, lane: u32) {
        let fired = std::mem::take(&mut self.standbys[lane as usize].whole.fired);
        if self.weather.jumped {
            return;
        }
        let inbox = &self.store.part(Store::INBOX, lane).records;
        for Fired { key, due, by, position } in fired {
            let what = format!("in-time: the timer of `{key}`, due at {due:?}, went");
            if let Some(looked) = self.looks.by_decision.get(&by).filter(|looked| **looked < due) {
                self.broken
                    .push(format!("{what} though the inbox was last looked into at {looked:?}"));
            }
            let ahead = inbox.partition_point(|record| record.place.offset < position);
            if let Some(passed) = inbox[ahead..].iter().find(|record| record.timestamp < due) {
                let (offset, came) = (passed.place.offset, passed.timestamp);
                self.broken.push(format!("{what} before {offset}, which had come at {came:?}"));
            }
        }
    }
}
