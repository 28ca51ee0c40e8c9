//! Each planted mistake is found, and docs/testing.md has the table of these mistakes.
#![allow(clippy::unwrap_used, reason = "a test panics where a promise is broken")]
#![allow(clippy::print_stdout, reason = "what was measured is told to whoever asks by --nocapture")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use sim::{Case, MISTAKES, Mistake, run};

/// A mistake must be found within so many seeds.
const SEEDS_MAX: u64 = 4_000;
/// Promises that the judge names.
const PROMISES: &[&str] = &[
    "acts-after-ack",
    "first occurrences in order",
    "fold-only",
    "in-time",
    "never-silent",
    "nothing is lost",
    "one-end",
    "one-verdict",
    "panic",
    "same-again",
    "undo-order",
];
/// Between these lines of docs/testing.md stands the table.
const BEGIN: &str = "<!-- planted: begin -->\n";
const END: &str = "<!-- planted: end -->\n";

/// The first seed that finds it, counted from one, and the promise that it saw broken. The one that the table names
/// is tried before all others, where there is a table to go by.
fn found(mistake: &Mistake, table: &str) -> Option<(u64, &'static str)> {
    let row = table.lines().find(|row| row.contains(&format!("| `{}` |", mistake.name)));
    let told = row.and_then(|row| row.split('|').nth(5)?.trim().parse::<u64>().ok());
    let told = told.map(|seeds| seeds.saturating_sub(1));
    told.into_iter().chain(0..SEEDS_MAX).find_map(|seed| {
        let planted = Some(mistake.name);
        let first = run(&Case { seed, planted, ..Case::default() }).broken.into_iter().next()?;
        let promise = PROMISES.iter().find(|name| first.contains(&format!("{name}: ")));
        Some((seed + 1, *promise.unwrap_or(&"books and events")))
    })
}

fn page() -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/testing.md");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

fn table_of(text: &str) -> &str {
    text.split_once(BEGIN).unwrap().1.split_once(END).unwrap().0
}

/// `PAVANE_WRITE_TABLE=1` writes the table anew, from the first seed on; `PAVANE_PLANTED=NAME,NAME` tries these alone.
#[test]
fn every_planted_mistake_is_found() {
    let mut missed = Vec::new();
    let mut table =
        "| mistake | of | what is wrong then | caught by | seeds needed |\n|---|---|---|---|---|\n"
            .to_owned();
    let chosen = std::env::var("PAVANE_PLANTED").ok();
    let writes = chosen.is_none() && std::env::var_os("PAVANE_WRITE_TABLE").is_some();
    let (path, text) = page();
    let known = if writes { "" } else { table_of(&text) };
    let is_chosen = |mistake: &&Mistake| {
        chosen.as_ref().is_none_or(|names| names.split(',').any(|name| name == mistake.name))
    };
    for mistake in MISTAKES.iter().filter(is_chosen) {
        let Mistake { name, of, what } = mistake;
        match found(mistake, known) {
            Some((seeds, promise)) => {
                writeln!(table, "| `{name}` | {of} | {what} | {promise} | {seeds} |").unwrap();
            }
            None => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "not found within {SEEDS_MAX} seeds: {missed:?}\n{table}");
    print!("{table}");
    if writes {
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    }
}

#[test]
fn the_table_of_planted_mistakes_is_of_these() {
    let (_, text) = page();
    let rows = table_of(&text).lines().skip(2);
    let told: Vec<String> = rows
        .map(|row| row.split('|').nth(1).unwrap().trim().trim_matches('`').to_owned())
        .collect();
    let names: Vec<&str> = MISTAKES.iter().map(|mistake| mistake.name).collect();
    assert_eq!(
        told, names,
        "write it anew: PAVANE_WRITE_TABLE=1 cargo test -p pavane-sim --test planted"
    );
}

#[test]
fn nothing_is_found_where_nothing_is_planted() {
    let case = Case { planted: Some("no such mistake"), ..Case::default() };
    assert_eq!(run(&case).hash, run(&Case::default()).hash);
}
