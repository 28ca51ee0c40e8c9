//! What goes wrong, while it does.

use std::collections::BTreeMap;

use crate::faults::{AppendFate, Fault, SendFate};
use crate::world::{AtStep, Event, Inner};

/// What is in force.
#[derive(Default)]
pub(crate) struct Weather {
    pub(crate) faults: Vec<Option<Fault>>,
    pub(crate) slow: i64,
    pub(crate) everyone: bool,
    pub(crate) redeliver: bool,
    /// Journals are trimmed: a snapshot that was lost would take decisions with it.
    pub(crate) trims: bool,
    /// A clock has jumped.
    pub(crate) jumped: bool,
    appends: BTreeMap<usize, (AppendFate, u64)>,
    sends: BTreeMap<usize, (SendFate, u64)>,
}

impl Weather {
    /// Nothing goes wrong.
    pub(crate) fn fair() -> Self {
        Self { slow: 1, ..Self::default() }
    }
}

impl Inner {
    /// Puts the schedule in force.
    pub(crate) fn expect(&mut self, faults: Vec<Option<Fault>>) {
        for (index, fault) in faults.iter().enumerate() {
            match fault {
                None => {}
                Some(Fault::Crash { role, step }) => {
                    self.roles[*role].at_step.insert(*step, AtStep::Crash);
                }
                Some(Fault::Pause { role, step, wait }) => {
                    self.roles[*role].at_step.insert(*step, AtStep::Pause(*wait));
                }
                Some(Fault::At { role, call, nth, wait }) => {
                    let what = wait.map_or(AtStep::Crash, AtStep::Pause);
                    self.roles[*role].at_call.insert((*call, *nth), what);
                }
                Some(
                    Fault::Appends { at, until, .. }
                    | Fault::Sends { at, until, .. }
                    | Fault::Everyone { at, until }
                    | Fault::Redeliver { at, until }
                    | Fault::Slow { at, until, .. },
                ) => {
                    self.at(*at, Event::Fault(index));
                    self.at(*until, Event::Over(index));
                }
                Some(
                    Fault::Kill { at, .. }
                    | Fault::Leave { at, .. }
                    | Fault::Jump { at, .. }
                    | Fault::Rebalance { at }
                    | Fault::LoseSnapshot { at, .. },
                ) => self.at(*at, Event::Fault(index)),
            }
        }
        self.weather.faults = faults;
    }

    pub(crate) fn strike(&mut self, index: usize) {
        let Some(Some(fault)) = self.weather.faults.get(index).copied() else { return };
        let now = self.now;
        self.trace.note(|| format!("{now:>12} {fault:?}"));
        self.tally.fault(&fault);
        match fault {
            Fault::Crash { .. } | Fault::Pause { .. } | Fault::At { .. } => {}
            Fault::Kill { role, .. } => {
                if let Some(process) = self.living(role) {
                    self.crash(process);
                }
            }
            Fault::Leave { role, .. } => {
                if let Some(process) = self.living(role) {
                    self.processes[process].stop.request();
                }
            }
            Fault::Appends { fate, one_in, .. } => {
                self.weather.appends.insert(index, (fate, one_in));
            }
            Fault::Sends { fate, one_in, .. } => {
                self.weather.sends.insert(index, (fate, one_in));
            }
            Fault::Jump { role, by_ms, .. } => {
                self.roles[role].skew_ms += by_ms;
                self.weather.jumped = true;
            }
            Fault::Rebalance { .. } => self.rebalance_all(),
            Fault::Everyone { .. } => {
                self.weather.everyone = true;
                self.rebalance_all();
            }
            Fault::Redeliver { .. } => self.weather.redeliver = true,
            Fault::Slow { times, .. } => self.weather.slow = times,
            Fault::LoseSnapshot { lane, .. } => {
                self.store.held(lane).is_doomed = !self.weather.trims;
            }
        }
    }

    /// The newest process of a role, if it is alive.
    fn living(&self, role: usize) -> Option<usize> {
        self.processes.iter().rposition(|process| process.role == role && process.alive)
    }

    pub(crate) fn calm(&mut self, index: usize) {
        let Some(Some(fault)) = self.weather.faults.get(index).copied() else { return };
        self.weather.appends.remove(&index);
        self.weather.sends.remove(&index);
        match fault {
            Fault::Everyone { .. } => {
                self.weather.everyone = false;
                self.rebalance_all();
            }
            Fault::Redeliver { .. } => self.weather.redeliver = false,
            Fault::Slow { .. } => self.weather.slow = 1,
            Fault::Crash { .. }
            | Fault::Kill { .. }
            | Fault::Pause { .. }
            | Fault::At { .. }
            | Fault::Leave { .. }
            | Fault::Appends { .. }
            | Fault::Sends { .. }
            | Fault::Jump { .. }
            | Fault::Rebalance { .. }
            | Fault::LoseSnapshot { .. } => {}
        }
    }

    /// Nothing new goes wrong from here on; what has begun ends by itself, and clocks are set right.
    pub(crate) fn end_storm(&mut self) {
        for role in &mut self.roles {
            role.at_step.clear();
            role.at_call.clear();
            role.skew_ms = 0;
        }
    }

    pub(crate) fn append_fate(&mut self) -> AppendFate {
        for (fate, one_in) in self.weather.appends.values() {
            if self.dice.one_in(*one_in) {
                self.tally.append(*fate);
                return *fate;
            }
        }
        AppendFate::Well
    }

    pub(crate) fn send_fate(&mut self) -> SendFate {
        for (fate, one_in) in self.weather.sends.values() {
            if self.dice.one_in(*one_in) {
                self.tally.send(*fate);
                return *fate;
            }
        }
        SendFate::Well
    }
}
