//! The faults that there are, and a schedule of them, drawn from the seed before anything happens, so that it can be
//! shortened without changing the faults that stay.

use crate::dice::Dice;
use crate::world::{MS, Micros, SECOND};

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
    /// It is acknowledged at no place, and stored nowhere: the broker breaks its word.
    Nowhere,
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

/// Calls at which a fault can aim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// A lane's snapshots are taken.
    Fence,
    /// They are read.
    Load,
    /// Who is active is written.
    Claim,
    /// A snapshot is written.
    Snapshot,
    /// The journal is written.
    Append,
    /// The journal's end is asked for.
    Look,
    /// The inbox is read.
    Read,
    /// It had nothing more.
    Idle,
    /// A lane hands over what it sends.
    Send,
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
    /// A process of that role dies at the beginning or the end of such a call, or stands still there for so long.
    At {
        /// The role.
        role: usize,
        /// Which call.
        call: Call,
        /// Beginnings and ends, counted over all processes of the role.
        nth: u64,
        /// So long; `None`: it dies.
        wait: Option<i64>,
    },
    /// A process of that role is asked to leave.
    Leave {
        /// When.
        at: i64,
        /// The role.
        role: usize,
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

/// Draws a schedule. The first so many roles are coordinators.
pub(crate) fn draw(
    dice: &mut Dice,
    (roles, coordinators): (usize, usize),
    lanes: u32,
) -> Vec<Fault> {
    let count = dice.range(0, 12);
    let mut faults = Vec::new();
    for _ in 0..count {
        let fault = one(dice, (roles, coordinators), lanes);
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

fn one(dice: &mut Dice, (roles, coordinators): (usize, usize), lanes: u32) -> Fault {
    let at = dice.range(0, STORM);
    let until = at + dice.scale(50, 40_000) * MS;
    let role = index(dice, roles);
    let step = dice.scale(4, 4_000).cast_unsigned();
    match dice.range(0, 26) {
        0..=4 => Fault::Crash { role, step },
        5..=8 => Fault::Pause { role, step, wait: dice.scale(20, 40_000) * MS },
        9..=11 => {
            let fate = *dice.of(&[
                AppendFate::Lost,
                AppendFate::Unacknowledged,
                AppendFate::Late,
                AppendFate::Twice,
                AppendFate::NoOffsets,
                AppendFate::Nowhere,
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
        19..=23 => {
            let role = index(dice, coordinators);
            aimed(dice, role)
        }
        24 => Fault::Leave { at, role },
        _ => Fault::LoseSnapshot {
            at,
            lane: u32::try_from(dice.range(0, lanes.into())).unwrap_or(0),
        },
    }
}

/// Aimed at a call; those of a takeover are few.
fn aimed(dice: &mut Dice, role: usize) -> Fault {
    let rare = [Call::Fence, Call::Load, Call::Claim, Call::Snapshot];
    let (call, nth) = if dice.one_in(2) {
        (*dice.of(&rare), dice.scale(2, 16))
    } else {
        (
            *dice.of(&[Call::Append, Call::Look, Call::Read, Call::Idle, Call::Send]),
            dice.scale(8, 100),
        )
    };
    // Longer than a look is good for, and than a session lasts.
    let wait = (!dice.one_in(3)).then(|| *dice.of(&[2, 5, 8, 20, 40]) * SECOND + 100 * MS);
    Fault::At { role, call, nth: nth.cast_unsigned(), wait }
}
