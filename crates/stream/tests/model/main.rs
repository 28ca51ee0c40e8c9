//! The journal protocol as a model: every schedule of a small world, and for each rule that is broken a
//! shortest story of what goes wrong. `docs/decisions/0009-the-protocol-as-a-model.md` says what it is worth.
//!
//! The stories: `cargo test -p pavane-stream --test model broken -- --nocapture`. Larger worlds, for some
//! minutes: `PAVANE_MODEL=long cargo test -p pavane-stream --test model -- --nocapture`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic; clippy knows only functions marked as tests"
)]

mod action;
mod active;
mod broken;
mod explore;
mod laws;
mod reader;
mod rules;
mod takeover;
mod world;

use broken::BROKEN;
use explore::explore;
use rules::{Bounds, Model, Rules};

const SMALL: Bounds = Bounds::SMALL;

/// Everything that can happen within these bounds breaks no law. Gives how many worlds there are, so that a
/// model in which nothing happens does not pass.
fn holds(bounds: Bounds) -> usize {
    let seen = explore(&Model { rules: Rules::ALL, bounds })
        .unwrap_or_else(|story| panic!("{bounds:?}\n{}", story.text));
    eprintln!("{bounds:?}\n  {seen:?}");
    seen.worlds
}

#[test]
fn the_protocol_holds_over_pauses_deaths_and_late_appends() {
    assert!(holds(SMALL) > 3_000);
    assert!(holds(Bounds { owners: 3, batch: 1, inputs: 1, alone_every: 4, ..SMALL }) > 10_000);
}

#[test]
fn the_protocol_holds_over_appends_of_which_a_part_is_lost() {
    assert!(holds(Bounds { losses: 2, unplaced: 1, alone_every: 4, ..SMALL }) > 10_000);
}

#[test]
fn the_protocol_holds_over_appends_that_are_acknowledged_without_an_offset() {
    assert!(holds(Bounds { unplaced: 2, alone_every: 4, ..SMALL }) > 10_000);
}

#[test]
fn the_protocol_holds_over_appends_in_doubt_that_land_later() {
    assert!(holds(Bounds { doubts: 1, losses: 1, alone_every: 4, ..SMALL }) > 10_000);
}

#[test]
fn the_protocol_holds_over_appends_that_land_twice() {
    assert!(holds(Bounds { repeats: 1, alone_every: 4, ..SMALL }) > 10_000);
}

#[test]
fn the_protocol_holds_over_timers_and_ignored_inputs() {
    assert!(holds(Bounds { timer: true, alone_every: 4, ..SMALL }) > 10_000);
}

#[test]
fn the_protocol_holds_over_acknowledgements_that_are_told() {
    assert!(holds(Bounds { tells: true, alone_every: 4, ..SMALL }) > 10_000);
    let snapshot = Bounds { snapshots: 1, inputs: 1, ..SMALL };
    assert!(holds(Bounds { tells: true, alone_every: 4, ..snapshot }) > 10_000);
}

#[test]
fn the_protocol_holds_over_snapshots_and_trims() {
    assert!(holds(Bounds { snapshots: 1, alone_every: 4, ..SMALL }) > 40_000);
    assert!(holds(Bounds { snapshots: 2, inputs: 1, alone_every: 4, ..SMALL }) > 5_000);
}

/// Asked for by `PAVANE_MODEL=long`: most take a minute, and up to some gigabytes.
#[test]
fn the_protocol_holds_in_larger_worlds_where_that_is_asked_for() {
    #[allow(clippy::disallowed_methods, reason = "it asks how long a test may take")]
    let asked = std::env::var_os("PAVANE_MODEL").is_some_and(|how| how == "long");
    if !asked {
        return;
    }
    let large = Bounds { alone_every: 16, ..SMALL };
    for bounds in [
        Bounds { losses: 1, unplaced: 1, doubts: 1, repeats: 1, ..large },
        Bounds { snapshots: 2, ..large },
        Bounds { snapshots: 1, tells: true, timer: true, ..large },
        Bounds { snapshots: 1, owners: 3, inputs: 1, batch: 1, unplaced: 1, ..large },
        Bounds { processes: 3, owners: 3, inputs: 1, batch: 1, ..large },
        Bounds { owners: 4, inputs: 1, batch: 1, ..large },
        Bounds { inputs: 3, timer: true, ..large },
    ] {
        holds(bounds);
    }
}

#[test]
fn each_broken_rule_breaks_a_law_and_has_a_story() {
    for broken in BROKEN {
        let Err(story) = explore(&Model { rules: broken.rules, bounds: broken.bounds }) else {
            panic!("nothing goes wrong though {}", broken.what);
        };
        eprintln!("{}:\n{}", broken.what, story.text);
        assert_eq!(story.law, broken.law, "{}:\n{}", broken.what, story.text);
    }
}

#[test]
fn no_rule_is_left_out_of_the_list() {
    let off = |rules: &Rules| {
        let text = format!("{rules:?}");
        let rules = text.split(['{', '}', ',']).map(str::trim);
        rules.filter(|rule| rule.ends_with(": false")).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut broken: Vec<String> = BROKEN.iter().flat_map(|broken| off(&broken.rules)).collect();
    broken.sort();
    broken.dedup();
    let all = format!("{:?}", Rules::ALL).matches(": true").count();
    assert_eq!(broken.len(), all, "{broken:#?}");
}
