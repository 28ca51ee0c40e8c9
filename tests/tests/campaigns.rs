//! Campaigns on the embedded log in their short form; `cargo xtask campaign` runs them for as long as one likes.
#![allow(clippy::unwrap_used, reason = "in a test, that is an assertion")]

use std::time::Duration;

use tests::campaign::{Kind, Plan, run};

fn short(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let lasts = Duration::from_secs(6);
    let plan = Plan { kind, seed: 1, lasts, workflows: 40, folder: folder.path().to_owned() };
    let outcome = run(&plan).unwrap();
    if !outcome.wrong.is_empty() {
        let kept = folder.keep();
        panic!("{kind}: logs are in {}: {:#}", kept.display(), outcome.json(&plan));
    }
    assert!(!outcome.faults.is_empty(), "{kind}: nothing was done");
}

/// shows: A1, I4, L1
#[test]
fn killed_damaged_and_full_nothing_is_lost_on_the_embedded_log() {
    for kind in [Kind::EmbeddedKilled, Kind::EmbeddedDamaged, Kind::EmbeddedFull] {
        short(kind);
    }
}
