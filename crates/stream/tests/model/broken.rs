//! The rules, broken one by one, and the law that each breaks. A rule that another one backs up is broken
//! together with that one.

use crate::laws;
use crate::rules::{Bounds, Rules};

/// A broken protocol.
pub(crate) struct Broken {
    pub(crate) what: &'static str,
    pub(crate) rules: Rules,
    pub(crate) bounds: Bounds,
    /// The law that the shortest story breaks.
    pub(crate) law: &'static str,
}

const ALL: Rules = Rules::ALL;
const SMALL: Bounds = Bounds { alone_every: 4, ..Bounds::SMALL };
const SNAPSHOT: Bounds = Bounds { snapshots: 1, ..SMALL };
const SNAPSHOTS: Bounds = Bounds { snapshots: 2, inputs: 1, ..SMALL };

pub(crate) const BROKEN: &[Broken] = &[
    Broken {
        what: "an epoch can be announced twice, owners are not compared, and nobody claims",
        rules: Rules { newer_epoch_only: false, owner_matches: false, claims: false, ..ALL },
        bounds: SMALL,
        law: laws::OTHER_STATE,
    },
    Broken {
        what: "epochs and owners are not compared",
        rules: Rules { epoch_matches: false, owner_matches: false, ..ALL },
        bounds: SMALL,
        law: laws::OTHER_STATE,
    },
    Broken {
        what: "a rival's announcement is taken for the own one, and neither owner, number nor claim helps",
        rules: Rules {
            finds_by_owner: false,
            owner_matches: false,
            seq_is_next: false,
            claims: false,
            ..ALL
        },
        bounds: Bounds { unplaced: 1, ..SMALL },
        law: laws::OTHER_STATE,
    },
    Broken {
        what: "a record out of sequence holds, and the first of an append is lost",
        rules: Rules { seq_is_next: false, ..ALL },
        bounds: Bounds { losses: 1, ..SMALL },
        law: laws::OTHER_STATE,
    },
    Broken {
        what: "a record out of sequence holds, and one is stored twice",
        rules: Rules { seq_is_next: false, ..ALL },
        bounds: Bounds { repeats: 1, ..SMALL },
        law: laws::OTHER_STATE,
    },
    Broken {
        what: "an append in doubt is made again, and nothing tells the two apart",
        rules: Rules { doubt_ends_epoch: false, seq_is_next: false, ..ALL },
        bounds: Bounds { doubts: 1, ..SMALL },
        law: laws::OTHER_STATE,
    },
    Broken {
        what: "the fence is taken after the announcement",
        rules: Rules { fences_first: false, ..ALL },
        bounds: SNAPSHOTS,
        law: laws::REFUSED,
    },
    Broken {
        what: "a journal that begins above the snapshot is refused at once",
        rules: Rules { loads_again: false, ..ALL },
        bounds: SNAPSHOT,
        law: laws::REFUSED,
    },
    Broken {
        what: "the journal is folded to the end seen before announcing",
        rules: Rules { folds_to_own_announcement: false, ..ALL },
        bounds: SMALL,
        law: laws::RESTORED,
    },
    Broken {
        what: "nobody claims",
        rules: Rules { claims: false, ..ALL },
        bounds: SMALL,
        law: laws::EPOCHS,
    },
    Broken {
        what: "a takeover sends nothing again",
        rules: Rules { sends_again: false, ..ALL },
        bounds: SMALL,
        law: laws::PASSED_UNSENT,
    },
    Broken {
        what: "commands are sent before their record is acknowledged",
        rules: Rules { acts_after_ack: false, ..ALL },
        bounds: SMALL,
        law: laws::ACTED,
    },
    Broken {
        what: "an acknowledgement confirms at any offset",
        rules: Rules { expects_offset: false, ..ALL },
        bounds: SMALL,
        law: laws::CONFIRMED,
    },
    Broken {
        what: "another offset than the expected one is adopted",
        rules: Rules { reads_back: false, ..ALL },
        bounds: SMALL,
        law: laws::CONFIRMED,
    },
    Broken {
        what: "an idle lane never looks at the journal",
        rules: Rules { looks_when_idle: false, ..ALL },
        bounds: Bounds { timer: true, ..SMALL },
        law: laws::INPUTS,
    },
    Broken {
        what: "a timer's record carries the position of the last record",
        rules: Rules { carries_position: false, ..ALL },
        bounds: Bounds { inputs: 3, timer: true, ..SMALL },
        law: laws::VERDICTS,
    },
    Broken {
        what: "the cursor passes what was handed over",
        rules: Rules { cursor_waits_for_acks: false, ..ALL },
        bounds: SMALL,
        law: laws::PASSED_UNSENT,
    },
    Broken {
        what: "the cursor passes what was not told of",
        rules: Rules { cursor_waits_for_answers: false, ..ALL },
        bounds: Bounds { tells: true, snapshots: 1, ..SMALL },
        law: laws::PASSED_UNTOLD,
    },
    Broken {
        what: "a takeover forgets what was answered",
        rules: Rules { notes_answers: false, ..ALL },
        bounds: Bounds { tells: true, ..SMALL },
        law: laws::ANSWERED_TWICE,
    },
    Broken {
        what: "the service is told of what was handed over",
        rules: Rules { tells_after_ack: false, ..ALL },
        bounds: Bounds { tells: true, ..SMALL },
        law: laws::TOLD_EARLY,
    },
    Broken {
        what: "states are captured with what is only proposed",
        rules: Rules { captures_confirmed: false, ..ALL },
        bounds: SNAPSHOT,
        law: laws::PASSED_UNSENT,
    },
    Broken {
        what: "a snapshot is written ahead of the cursor",
        rules: Rules { snapshot_waits_for_cursor: false, ..ALL },
        bounds: SNAPSHOT,
        law: laws::PASSED_UNSENT,
    },
    Broken {
        what: "the marker is an offset, not a context",
        rules: Rules { whole_marker: false, ..ALL },
        bounds: SNAPSHOT,
        law: laws::RESTORED,
    },
    Broken {
        what: "states and marker become visible one after the other",
        rules: Rules { marker_with_states: false, ..ALL },
        bounds: SNAPSHOT,
        law: laws::RESTORED,
    },
    Broken {
        what: "a fenced holder's snapshot stands",
        rules: Rules { fence_holds: false, ..ALL },
        bounds: SNAPSHOTS,
        law: laws::REFUSED,
    },
    Broken {
        what: "a fenced holder takes the fence again in place",
        rules: Rules { fenced_is_lost: false, ..ALL },
        bounds: SNAPSHOTS,
        law: laws::REFUSED,
    },
    Broken {
        what: "the journal is trimmed before the snapshot is written",
        rules: Rules { trims_below_written: false, ..ALL },
        bounds: SNAPSHOT,
        law: laws::REFUSED,
    },
];
