//! Each planted mistake is found, and the table in docs/testing.md is of these mistakes.

use std::fmt::Write;

use sim::{Case, MISTAKES, run};

/// A mistake must be found within so many seeds.
const SEEDS_MAX: u64 = 1_000;

/// The first seed that finds it, counted from one, and what it said.
fn found(name: &'static str) -> Option<(u64, String)> {
    (0..SEEDS_MAX).find_map(|seed| {
        let planted = Some(name);
        let first = run(&Case { seed, planted, ..Case::default() }).broken.into_iter().next()?;
        Some((seed + 1, first))
    })
}

/// Prints the table's rows; `cargo test -p pavane-sim --test planted -- --nocapture` shows them.
#[test]
fn every_planted_mistake_is_found() {
    let only = std::env::var("PAVANE_PLANTED").ok();
    let mut missed = Vec::new();
    let mut table = String::new();
    for mistake in MISTAKES {
        if only.as_ref().is_some_and(|only| !only.split(',').any(|name| name == mistake.name)) {
            continue;
        }
        match found(mistake.name) {
            Some((seeds, said)) => writeln!(table, "{} | {seeds} | {said}", mistake.name).unwrap(),
            None => missed.push(mistake.name),
        }
    }
    std::io::Write::write_all(&mut std::io::stdout(), table.as_bytes()).unwrap();
    assert!(missed.is_empty(), "not found within {SEEDS_MAX} seeds: {missed:?}");
}
