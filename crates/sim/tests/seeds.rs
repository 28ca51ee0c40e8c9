//! Seeds: what chance may do to the whole system, and nothing is lost.
#![allow(clippy::unwrap_used, reason = "a test panics where a promise is broken")]
#![allow(clippy::print_stdout, reason = "what was measured is told to whoever asks by --nocapture")]

use std::collections::BTreeSet;
use std::time::Instant;

use sim::{Case, MISTAKES, replay, run, shrink};

/// Seeds of the ordinary test run; `PAVANE_SEEDS` asks for more, `PAVANE_SEED` for others.
const SEEDS: u64 = 2_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[test]
fn whatever_goes_wrong_nothing_is_lost() {
    if std::env::var_os("PAVANE_FAULTS").is_some() {
        return; // One case is asked for, and `replay` runs it.
    }
    let from = number("PAVANE_SEED").unwrap_or(0);
    let count = number("PAVANE_SEEDS").unwrap_or(SEEDS);
    let listed = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let listed = listed.map(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap());
    let since = Instant::now();
    for seed in listed.chain(from..from + count) {
        let case = Case { seed, ..Case::default() };
        if !run(&case).broken.is_empty() {
            let (smaller, outcome) = shrink(&case);
            let left = smaller.only.clone().unwrap_or_default();
            let faults: Vec<_> = left.iter().map(|at| outcome.faults[*at]).collect();
            panic!("seed {seed}: {:#?}\nwith {faults:#?}\n{}", outcome.broken, replay(&smaller));
        }
    }
    let hours = since.elapsed().as_secs_f64() / 3600.0;
    println!("{count} seeds, {:.0} an hour", f64::from(u32::try_from(count).unwrap()) / hours);
}

#[test]
fn two_runs_of_a_seed_are_the_same_to_the_bit() {
    for seed in 0..100 {
        let case = Case { seed, ..Case::default() };
        let (first, second) = (run(&case), run(&case));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_ne!(first.hash, run(&Case { seed: seed + 1, ..case }).hash, "seed {seed}");
    }
}

/// Runs the one case that the environment names, and tells its story.
#[test]
fn replay_of_one_case() {
    let (Some(seed), None) = (number("PAVANE_SEED"), number("PAVANE_SEEDS")) else { return };
    let only = std::env::var("PAVANE_FAULTS").ok().map(|text| {
        let numbers = text.split(',').filter(|number| !number.is_empty());
        numbers.map(|number| number.parse().unwrap()).collect::<BTreeSet<usize>>()
    });
    let planted = std::env::var("PAVANE_PLANTED")
        .ok()
        .map(|name| MISTAKES.iter().find(|mistake| mistake.name == name).unwrap().name);
    let outcome = run(&Case { seed, only: only.clone(), tells: true, planted, play: None });
    let story = outcome.story.join("\n");
    let is_kept = |at: &usize| only.as_ref().is_none_or(|only| only.contains(at));
    let faults: Vec<_> = outcome.faults.iter().enumerate().filter(|(at, _)| is_kept(at)).collect();
    assert!(outcome.broken.is_empty(), "{story}\n{faults:#?}\n{:#?}", outcome.broken);
}
