//! Random sagas, each run well, with a failure at many of its points, and with all that can go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use events::AgentName;
use serde_json::json;

use crate::outside::World;
use crate::outside::books::{Books, drawn_output};
use crate::outside::chance::Chance;
use crate::outside::drawn::{AGENTS, Drawn, Kind, draw};
use crate::outside::judge::{Counts, judge};

/// Says which sagas are drawn, `FROM..TO`, in place of those that always are.
const SEEDS: &str = "PAVANE_TEST_SAGAS";
/// The failures that each is started with, beside those that are drawn.
const FAILURES: usize = 3;
/// Workflows of each in which anything may happen.
const DRAWN: usize = 3;

fn seeds() -> Range<u64> {
    match std::env::var(SEEDS) {
        Err(_) => 1..11,
        Ok(text) => {
            let range = text
                .split_once("..")
                .and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
            range.unwrap_or_else(|| panic!("{SEEDS} is `{text}`, not `FROM..TO`"))
        }
    }
}

/// The business keys of a saga's workflows, which say what happens to them.
fn keys(seed: u64, drawn: &Drawn) -> Vec<String> {
    let mut chance = Chance::new(!seed);
    let mut keys = vec!["well".to_owned()];
    keys.extend((0..DRAWN).map(|n| format!("draw-{n}")));
    let fallible: Vec<_> = drawn
        .leaves
        .iter()
        .filter(|(id, leaf)| leaf.may_fail && !leaf.is_cut_off && !id.ends_with("~fallback"))
        .collect();
    for _ in 0..FAILURES.min(fallible.len()) {
        let (id, leaf) = fallible[chance.below(fallible.len())];
        let element = if leaf.each.is_some() { "[0]" } else { "" };
        let how = match leaf.kind {
            Kind::Compensatable if chance.one_in(3) => "lost",
            Kind::Compensatable | Kind::Pivot | Kind::Retriable | Kind::ReadOnly => "fail",
        };
        keys.push(format!("{how}-{id}{element}"));
    }
    keys.sort();
    keys.dedup();
    keys
}

/// Random graphs of up to 60 tasks, with failures at each point: each task is done once, undos go in
/// reverse order, nothing goes forward after the turn, pivots are respected, and the book agrees.
///
/// # Panics
/// Says what is wrong with which saga, and how to run it again.
pub fn random_sagas_keep_their_word(world: &dyn World) {
    let books = Arc::new(Books::new(drawn_output));
    let _serving = world.serve(&AGENTS.map(AgentName::from), &books);
    let seeds = seeds();
    let sagas: Vec<(u64, Drawn)> = seeds.clone().map(|seed| (seed, draw(seed))).collect();
    let mut started = BTreeMap::new();
    for (seed, drawn) in &sagas {
        world.api().deploy(&drawn.yaml);
        for key in keys(*seed, drawn) {
            let id = world.api().start(&drawn.name, &json!({"k": key}));
            started.insert(id, (*seed, drawn));
        }
    }
    for (id, (seed, drawn)) in &started {
        if let Err(stuck) = world.api().ended(id) {
            let history = world.api().history(id);
            panic!(
                "{SEEDS}={seed}..{}: {id} has no end: {stuck:#?}\n{history:#?}\n{}",
                seed + 1,
                drawn.yaml
            );
        }
    }
    let histories = world.histories(&started.keys().cloned().collect::<BTreeSet<_>>());
    let mut counts = Counts::new();
    let mut wrong = String::new();
    for (id, (seed, drawn)) in &started {
        let found = judge(drawn, &histories[id], &books, &mut counts);
        if !found.is_empty() {
            let history: Vec<String> = histories[id].iter().map(told).collect();
            wrong += &format!(
                "\n{SEEDS}={seed}..{}: {id}: {found:#?}\n{}\n{}",
                seed + 1,
                history.join("\n"),
                drawn.yaml
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(books.broken_promises(), Vec::<String>::new());
    if std::env::var(SEEDS).is_err() {
        for kind in [
            "ended well",
            "ended compensated",
            "ended partial",
            "ended failed",
            "UndoCompleted",
            "TaskRetried",
            "TaskInDoubt",
            "TaskTimedOut",
            "TaskSkipped",
        ] {
            assert!(counts.contains_key(kind), "no `{kind}` in {counts:?}");
        }
    }
}

fn told(event: &crate::outside::Event) -> String {
    let end = if event.is_end() { event.end.to_string() } else { String::new() };
    format!(
        "{:4} {} {} {end}",
        event.sequence,
        event.kind,
        event.task.as_deref().unwrap_or_default()
    )
}
