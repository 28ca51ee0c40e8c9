//! Files of users' own in the simulated world.
#![allow(clippy::unwrap_used, reason = "a test panics where a promise is broken")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, json};
use sim::{Case, Play, Unplayable, run, shrink};

/// Each of the repository's files by itself, in so many seeds; `PAVANE_SEEDS` asks for more.
const SEEDS: u64 = 20;
/// A mistake must be found within so many.
const FOUND_WITHIN: u64 = 200;

fn seeds() -> u64 {
    std::env::var("PAVANE_SEEDS").map_or(SEEDS, |text| text.parse().unwrap())
}

fn files(under: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sagas").join(under);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let yaml = entries.filter(|path| path.extension().is_some_and(|of| of == "yaml"));
    yaml.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

fn play(texts: &[&str]) -> Arc<Play> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    Arc::new(Play::of(&texts, Map::new()).unwrap())
}

fn refused(texts: &[&str], inputs: serde_json::Value) -> Unplayable {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    Play::of(&texts, inputs.as_object().cloned().unwrap()).unwrap_err()
}

fn case(seed: u64, play: &Arc<Play>) -> Case {
    Case { seed, play: Some(Arc::clone(play)), ..Case::default() }
}

/// Runs seeds, none of which may break anything; gives the statuses of all runs.
fn check(play: &Arc<Play>) -> BTreeMap<&'static str, u64> {
    let mut statuses = BTreeMap::new();
    for seed in 0..seeds() {
        let outcome = run(&case(seed, play));
        assert!(outcome.broken.is_empty(), "{} seed {seed}: {:#?}", play.name(), outcome.broken);
        outcome.statuses.into_iter().for_each(|(of, n)| *statuses.entry(of).or_default() += n);
    }
    statuses
}

#[test]
fn the_files_of_this_repository_keep_every_promise() {
    for text in ["", "patterns", "short"].into_iter().flat_map(files) {
        let play = play(&[&text]);
        let statuses = check(&play);
        assert!(statuses.contains_key("completed"), "{}: {statuses:?}", play.name());
        assert!(statuses.contains_key("compensated"), "{}: {statuses:?}", play.name());
    }
}

/// A child, a signal, elements, waits of days, an undo that is another agent's, events in both directions.
const PARENT: &str = r#"name: parent
key: "${inputs.order.id}"
inputs: [{name: order, type: object}, {name: parts, type: list<string>}]
topics: {stock: {topic: shop.stock, correlate: "${event.value.about.order}"}}
triggers:
  - event: shop.orders/Placed
    where: "${event.value.channel == 'web'}"
    inputs: {order: "${event.value.order}", parts: "${event.value.parts}"}
timeout: 30d
tasks:
  - {id: hotel, agent: hotels, returns: {room: string}, compensate: {agent: refunds}}
  - {id: stock, await: {event: stock/Reserved, failed: stock/Refused}, timeout: 1d}
  - {id: part, for_each: "${inputs.parts}", agent: parts, depends_on: [stock], compensate: take_back}
  - {id: sub, saga: leaf, depends_on: [part], inputs: {id: "${saga.key + '-sub'}"}, timeout: 2h}
  - {id: approved, await: signal/approve, depends_on: [sub], timeout: 3d}
  - {id: rest, wait: 2d, depends_on: [approved, hotel]}
  - {id: bill, agent: bank, kind: pivot, depends_on: [rest, hotel], inputs: {room: "${tasks.hotel.output.room}"}}
"#;
const LEAF: &str = r#"name: leaf
key: "${inputs.id}"
inputs: [{name: id, type: string}]
tasks: [{id: only, agent: leaves, compensate: undo_it}]
"#;

#[test]
fn children_signals_and_days_are_played() {
    let play = play(&[PARENT, LEAF]);
    assert_eq!(play.starts_by(), ["shop.orders/Placed"]);
    let statuses = check(&play);
    assert!(statuses["completed"] > 10, "{statuses:?}");
    assert!(statuses["compensated"] > 10, "{statuses:?}");
    assert!(!statuses.contains_key("running"), "all come to their end: {statuses:?}");
}

#[test]
fn two_runs_of_a_seed_are_the_same_to_the_bit() {
    let play = play(&[PARENT, LEAF]);
    for seed in 0..20 {
        let (first, second) = (run(&case(seed, &play)), run(&case(seed, &play)));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(first.struck, second.struck, "seed {seed}");
        assert_ne!(first.hash, run(&case(seed + 1, &play)).hash, "seed {seed}");
    }
}

/// The first seed that breaks something.
fn found(case_of: impl Fn(u64) -> Case) -> Option<Case> {
    (0..FOUND_WITHIN).map(case_of).find(|case| !run(case).broken.is_empty())
}

#[test]
fn participants_without_books_are_found() {
    let play = Arc::new((*play(&[PARENT, LEAF])).clone().forgetful());
    let (smaller, _) = shrink(&found(|seed| case(seed, &play)).unwrap());
    let shown = run(&Case { tells: true, ..smaller }).shown.unwrap();
    assert!(shown.must_hold.is_some(), "{shown:#?}");
    assert!(shown.timeline.iter().any(|line| line.contains("DoTask")), "{shown:#?}");
}

#[test]
fn planted_mistakes_are_found_by_a_file() {
    let play = play(&[PARENT, LEAF]);
    for planted in ["acts-before-the-ack", "success-counts-twice", "done-twice", "not-sent-again"] {
        let planted = Some(planted);
        let first = found(|seed| Case { planted, ..case(seed, &play) });
        assert!(first.is_some(), "{planted:?} is not found");
    }
}

#[test]
fn what_can_not_be_played_is_refused_by_its_place() {
    let none = json!({});
    let lonely = refused(&[PARENT], none.clone());
    assert_eq!(lonely.to_string(), "task `sub` is the saga `leaf`, whose file is not given");
    let pinned = PARENT.replace("saga: leaf", "saga: {name: leaf, hash: 0123456789ab}");
    let pinned = refused(&[&pinned, LEAF], none.clone());
    assert!(pinned.to_string().contains("version 0123456789ab of the saga `leaf`"), "{pinned}");
    let hashed = PARENT.replace("event.value.about.order", "sha256(event.value.about.order)");
    let hashed = refused(&[LEAF, &hashed], none.clone());
    assert_eq!(hashed.file(), 1);
    assert!(hashed.to_string().contains("task `stock` awaits shop.stock/Reserved"), "{hashed}");
    let twice = refused(&[LEAF, LEAF], none);
    assert_eq!(twice.to_string(), "the saga `leaf` is given twice");
    let wrong = refused(&[LEAF], json!({"id": 7}));
    assert!(wrong.to_string().starts_with("no workflow can be started: "), "{wrong}");
}
