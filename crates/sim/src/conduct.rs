//! What the broker's traits demand of those who call: an order of calls that no answer would show to be wrong.

use std::collections::BTreeMap;

use crate::world::{Inner, Micros, ProcessId, SECOND};

/// Whoever has not heard of the journal for so long looks before it sends.
const FRESH: Micros = 5 * SECOND;
/// Whoever has nothing else to do hears of the journal so often, slow calls and all.
const HEARD_EVERY: Micros = 60 * SECOND;

/// A lane's logs, as somebody has opened them.
struct Opened {
    process: Option<ProcessId>,
    lane: u32,
    /// Something was appended by it.
    has_announced: bool,
    has_claimed: bool,
    /// When it last asked for something of the journal.
    heard: Micros,
}

/// All that are open.
#[derive(Default)]
pub(crate) struct Conduct {
    open: BTreeMap<u64, Opened>,
}

impl Inner {
    pub(crate) fn opened(&mut self, process: Option<ProcessId>, lane: u32) -> u64 {
        let id = self.id();
        let heard = self.now;
        let opened = Opened { process, lane, has_announced: false, has_claimed: false, heard };
        self.conduct.open.insert(id, opened);
        id
    }

    pub(crate) fn closed(&mut self, log: u64) {
        self.conduct.open.remove(&log);
    }

    /// It asks for something of the journal.
    pub(crate) fn hears(&mut self, log: u64) {
        let now = self.now;
        self.conduct.open.entry(log).and_modify(|open| open.heard = now);
    }

    pub(crate) fn appends(&mut self, log: u64) {
        self.hears(log);
        self.conduct.open.entry(log).and_modify(|open| open.has_announced = true);
    }

    /// The fence is taken strictly before announcing, and never again in place.
    pub(crate) fn fences(&mut self, process: Option<ProcessId>, lane: u32) {
        let is_late = |open: &Opened| {
            open.process == process && process.is_some() && open.lane == lane && open.has_announced
        };
        if self.conduct.open.values().any(is_late) {
            self.broken.push(format!("one-epoch: lane {lane}: fenced after it was announced"));
        }
    }

    pub(crate) fn claimed(&mut self, process: Option<ProcessId>, lane: u32) {
        let of_it = |open: &&mut Opened| open.process == process && open.lane == lane;
        self.conduct.open.values_mut().filter(of_it).for_each(|open| open.has_claimed = true);
    }

    /// A holder whose write has failed is not used again.
    pub(crate) fn holds(&mut self, holder: u64, has_failed: bool) {
        if has_failed {
            self.broken
                .push(format!("one-epoch: holder {holder} writes again after it has failed"));
        }
    }

    /// Nothing leaves before the claim, nor while it is not known whether a rival has come.
    pub(crate) fn sends(&mut self, log: u64) {
        let Some(Opened { process: Some(_), lane, has_claimed, heard, .. }) =
            self.conduct.open.get(&log)
        else {
            return;
        };
        let (lane, has_claimed, stale) = (*lane, *has_claimed, self.now - *heard);
        if !has_claimed {
            self.broken.push(format!("one-epoch: lane {lane} sends before it has claimed"));
        }
        if stale >= FRESH && !self.weather.jumped {
            self.broken
                .push(format!("one-epoch: lane {lane} sends {stale} us after it last looked"));
        }
    }

    /// Whoever reads on and on looks at the journal, too.
    pub(crate) fn reads(&mut self, log: u64) {
        let Some(Opened { process: Some(process), lane, heard, .. }) = self.conduct.open.get(&log)
        else {
            return;
        };
        let since = (*heard).max(self.processes[*process].paused_until);
        let (lane, stale) = (*lane, self.now - since);
        if stale >= HEARD_EVERY && !self.weather.jumped {
            self.broken.push(format!("one-epoch: lane {lane} has not looked for {stale} us"));
            self.hears(log);
        }
    }
}
