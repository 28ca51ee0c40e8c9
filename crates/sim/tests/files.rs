//! Files of users' own in the simulated world.
#![allow(clippy::unwrap_used, reason = "a test panics where a promise is broken")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, json};
use sim::{Case, Play, Unplayable, run, shrink};

/// Each of the repository's files by itself, in so many seeds; `PAVANE_SEEDS` asks for more.
const SEEDS: u64 = 25;

fn seeds() -> u64 {
    std::env::var("PAVANE_SEEDS").map_or(SEEDS, |text| text.parse().unwrap())
}

fn file(path: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sagas");
    std::fs::read_to_string(folder.join(path)).unwrap()
}

fn play(texts: &[String]) -> Play {
    Play::of(texts, Map::new()).unwrap()
}

fn case(seed: u64, play: &Arc<Play>) -> Case {
    Case { seed, play: Some(Arc::clone(play)), ..Case::default() }
}

/// Runs seeds, none of which may break anything; gives the statuses of all runs.
fn check(texts: &[String]) -> BTreeMap<&'static str, u64> {
    let play = Arc::new(play(texts));
    let mut statuses = BTreeMap::new();
    for seed in 0..seeds() {
        let outcome = run(&case(seed, &play));
        assert!(outcome.broken.is_empty(), "{} seed {seed}: {:#?}", play.name(), outcome.broken);
        outcome.statuses.into_iter().for_each(|(of, n)| *statuses.entry(of).or_default() += n);
    }
    statuses
}

#[test]
fn the_files_of_this_repository_keep_every_promise() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sagas");
    for under in ["", "patterns", "short"] {
        for entry in std::fs::read_dir(folder.join(under)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|of| of == "yaml") {
                let started = std::time::Instant::now();
                let statuses = check(&[std::fs::read_to_string(&path).unwrap()]);
                println!("{path:?} {statuses:?} {:?}", started.elapsed());
                assert!(statuses.get("completed").is_some_and(|n| *n > 0), "{path:?} {statuses:?}");
            }
        }
    }
}
