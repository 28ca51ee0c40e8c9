//! What goes wrong: a schedule of faults, drawn from the seed before anything happens, so that it can be shortened
//! without changing the faults that stay.

use std::collections::BTreeMap;

use crate::dice::Dice;
use crate::world::{AtStep, Event, Inner, MS, Micros, SECOND};

/// Faults begin before this.
pub(crate) const STORM: Micros = 60 * SECOND;

/// What befalls an append to the journal, or a write of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFate {
    /// Nothing.
    Well,
    /// It is never stored, and never answered.
    Lost,
    /// It is stored, and never answered.
    Unacknowledged,
    /// It is stored long after its sender has given up.
    Late,
    /// It is stored, and later once more.
    Twice,
    /// It is stored, and nobody says where.
    NoOffsets,
    /// The disk is full.
    Refused,
}

/// What befalls a record that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFate {
    /// Nothing.
    Well,
    /// It is stored, and never acknowledged.
    Unacknowledged,
    /// It is never stored, nor what is sent there behind it.
    Lost,
    /// It is stored twice in a row.
    Twice,
}

/// One thing that goes wrong. Times are microseconds since the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A process of that role dies at that step: at the beginning or the end of one of its calls to the broker.
    Crash {
        /// The role.
        role: usize,
        /// Counted over all processes of the role.
        step: u64,
    },
    /// A process of that role dies.
    Kill {
        /// When.
        at: i64,
        /// The role.
        role: usize,
    },
    /// It stands still there for so long, and then goes on as if nothing had been.
    Pause {
        /// The role.
        role: usize,
        /// Counted over all processes of the role.
        step: u64,
        /// So long.
        wait: i64,
    },
    /// One in `one_in` appends meets this fate.
    Appends {
        /// From when.
        at: i64,
        /// Until when.
        until: i64,
        /// Which.
        fate: AppendFate,
        /// How often.
        one_in: u64,
    },
    /// One in `one_in` records that are sent meets this fate.
    Sends {
        /// From when.
        at: i64,
        /// Until when.
        until: i64,
        /// Which.
        fate: SendFate,
        /// How often.
        one_in: u64,
    },
    /// The clock of a role jumps.
    Jump {
        /// When.
        at: i64,
        /// The role.
        role: usize,
        /// By so much, milliseconds.
        by_ms: i64,
    },
    /// All groups decide anew.
    Rebalance {
        /// When.
        at: i64,
    },
    /// Every member is told that it holds every lane.
    Everyone {
        /// From when.
        at: i64,
        /// Until when.
        until: i64,
    },
    /// Members are handed again what they have not committed.
    Redeliver {
        /// From when.
        at: i64,
        /// Until when.
        until: i64,
    },
    /// All that is on its way takes longer.
    Slow {
        /// From when.
        at: i64,
        /// Until when.
        until: i64,
        /// How much.
        times: i64,
    },
    /// The newest snapshot of a lane is gone once somebody else is to write the next.
    LoseSnapshot {
        /// When.
        at: i64,
        /// The lane.
        lane: u32,
    },
}

/// What is in force.
#[derive(Default)]
pub(crate) struct Weather {
    pub(crate) faults: Vec<Option<Fault>>,
    pub(crate) slow: i64,
    pub(crate) everyone: bool,
    pub(crate) redeliver: bool,
    appends: BTreeMap<usize, (AppendFate, u64)>,
    sends: BTreeMap<usize, (SendFate, u64)>,
}

impl Weather {
    /// Nothing goes wrong.
    pub(crate) fn fair() -> Self {
        Self { slow: 1, ..Self::default() }
    }
}

/// Draws a schedule.
pub(crate) fn draw(dice: &mut Dice, roles: usize, lanes: u32) -> Vec<Fault> {
    let count = dice.range(0, 12);
    let mut faults = Vec::new();
    for _ in 0..count {
        let fault = one(dice, roles, lanes);
        faults.push(fault);
        // Trouble comes together: whoever is in doubt may not live to hear of it.
        if let Fault::Appends { at, .. } | Fault::Sends { at, .. } = fault
            && dice.one_in(2)
        {
            let at = at + dice.scale(1, 25_000) * MS;
            faults.push(Fault::Kill { at, role: index(dice, roles) });
        }
    }
    faults
}

fn index(dice: &mut Dice, count: usize) -> usize {
    usize::try_from(dice.range(0, i64::try_from(count).unwrap_or(1))).unwrap_or(0)
}

fn one(dice: &mut Dice, roles: usize, lanes: u32) -> Fault {
    let at = dice.range(0, STORM);
    let until = at + dice.scale(50, 40_000) * MS;
    let role = index(dice, roles);
    let step = dice.scale(4, 4_000).cast_unsigned();
    match dice.range(0, 20) {
        0..=4 => Fault::Crash { role, step },
        5..=8 => Fault::Pause { role, step, wait: dice.scale(20, 40_000) * MS },
        9..=11 => {
            let fate = *dice.of(&[
                AppendFate::Lost,
                AppendFate::Unacknowledged,
                AppendFate::Late,
                AppendFate::Twice,
                AppendFate::NoOffsets,
                AppendFate::Refused,
            ]);
            Fault::Appends { at, until, fate, one_in: dice.scale(1, 16).cast_unsigned() }
        }
        12..=13 => {
            let fate = *dice.of(&[SendFate::Unacknowledged, SendFate::Lost, SendFate::Twice]);
            Fault::Sends { at, until, fate, one_in: dice.scale(1, 32).cast_unsigned() }
        }
        14 => {
            let by_ms = *dice.of(&[-3_600_000, -5_000, -500, 500, 5_000, 60_000]);
            Fault::Jump { at, role, by_ms }
        }
        15 => Fault::Rebalance { at },
        16 => Fault::Everyone { at, until },
        17 => Fault::Redeliver { at, until },
        18 => Fault::Slow { at, until, times: dice.scale(2, 50) },
        _ => Fault::LoseSnapshot {
            at,
            lane: u32::try_from(dice.range(0, lanes.into())).unwrap_or(0),
        },
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
        match fault {
            Fault::Crash { .. } | Fault::Pause { .. } => {}
            Fault::Kill { role, .. } => {
                let found = self
                    .processes
                    .iter()
                    .rposition(|process| process.role == role && process.alive);
                if let Some(process) = found {
                    self.crash(process);
                }
            }
            Fault::Appends { fate, one_in, .. } => {
                self.weather.appends.insert(index, (fate, one_in));
            }
            Fault::Sends { fate, one_in, .. } => {
                self.weather.sends.insert(index, (fate, one_in));
            }
            Fault::Jump { role, by_ms, .. } => self.roles[role].skew_ms += by_ms,
            Fault::Rebalance { .. } => self.rebalance_all(),
            Fault::Everyone { .. } => {
                self.weather.everyone = true;
                self.rebalance_all();
            }
            Fault::Redeliver { .. } => self.weather.redeliver = true,
            Fault::Slow { times, .. } => self.weather.slow = times,
            Fault::LoseSnapshot { lane, .. } => self.store.held(lane).is_doomed = true,
        }
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
            | Fault::Appends { .. }
            | Fault::Sends { .. }
            | Fault::Jump { .. }
            | Fault::Rebalance { .. }
            | Fault::LoseSnapshot { .. } => {}
        }
    }

    /// Nothing new goes wrong from here on; what has begun ends by itself.
    pub(crate) fn end_storm(&mut self) {
        for role in &mut self.roles {
            role.at_step.clear();
        }
    }

    pub(crate) fn append_fate(&mut self) -> AppendFate {
        for (fate, one_in) in self.weather.appends.values() {
            if self.dice.one_in(*one_in) {
                return *fate;
            }
        }
        AppendFate::Well
    }

    pub(crate) fn send_fate(&mut self) -> SendFate {
        for (fate, one_in) in self.weather.sends.values() {
            if self.dice.one_in(*one_in) {
                return *fate;
            }
        }
        SendFate::Well
    }
}
