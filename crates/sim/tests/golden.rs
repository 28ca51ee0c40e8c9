//! A journal and its snapshots of each released format, kept as they were written: they fold to the same states
//! for ever.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where a promise is broken"
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use coordinator::{Coordinator, Decided, Remembered};
use sim::{Case, Kept, run};
use stream::{Context, FORMAT, Journaled, Ruling, Service, Stored, Written};

type States = BTreeMap<String, Remembered>;

/// A seed with several workflows that have come to different ends.
const SEED: u64 = 8;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn evolve(states: &mut States, event: &Decided) {
    let key = event.key().to_string();
    let mut state = states.remove(&key);
    Coordinator::evolve(&mut state, event);
    states.extend(state.map(|state| (key, state)));
}

/// Folds what stands at or above the context's place.
fn fold(context: &mut Context, states: &mut States, journal: &[(i64, Vec<u8>)]) {
    let from = context.next;
    for (offset, value) in journal.iter().filter(|(offset, _)| *offset >= from) {
        let written = Written::decode(value).unwrap();
        let ruling = context.judge(*offset, &written).unwrap();
        if let (Ruling::Valid, Written::Decide(decide)) = (ruling, written) {
            let events = decide.body.events::<Decided>().unwrap();
            events.iter().for_each(|event| evolve(states, event));
        }
    }
}

fn encoded(states: &States) -> BTreeMap<&String, String> {
    states.iter().map(|(key, state)| (key, hex(&state.encode()))).collect()
}

fn text_of(lanes: &[Kept]) -> String {
    let mut text = String::new();
    for (number, lane) in lanes.iter().enumerate() {
        for (offset, value) in &lane.journal {
            writeln!(text, "{number} journal {offset} {}", hex(value)).unwrap();
        }
        writeln!(text, "{number} marker - {}", hex(lane.marker.as_ref().unwrap())).unwrap();
        for (key, value) in &lane.states {
            writeln!(text, "{number} snapshot {key} {}", hex(value)).unwrap();
        }
        let journal: Vec<_> =
            lane.journal.iter().map(|(offset, value)| (*offset, value.to_vec())).collect();
        let mut states = States::new();
        fold(&mut Context::empty(u32::try_from(lanes.len()).unwrap()), &mut states, &journal);
        for (key, state) in encoded(&states) {
            writeln!(text, "{number} state {key} {state}").unwrap();
        }
    }
    text
}

#[derive(Default)]
struct Lane {
    journal: Vec<(i64, Vec<u8>)>,
    marker: Vec<u8>,
    snapshot: States,
    states: States,
}

fn lanes_of(text: &str) -> BTreeMap<u32, Lane> {
    let mut lanes: BTreeMap<u32, Lane> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let lane = lanes.entry(words[0].parse().unwrap()).or_default();
        let value = bytes(words[3]);
        let state = || (words[2].to_owned(), Remembered::decode(&value).unwrap());
        match words[1] {
            "journal" => lane.journal.push((words[2].parse().unwrap(), value)),
            "marker" => lane.marker = value,
            "snapshot" => lane.snapshot.extend([state()]),
            "state" => lane.states.extend([state()]),
            other => panic!("`{other}`"),
        }
    }
    lanes
}

/// `PAVANE_WRITE_GOLDEN=1` writes those of this build's format, once and never again.
#[test]
fn a_journal_of_each_format_folds_to_the_states_that_it_had() {
    let path = folder().join(format!("format-{FORMAT}.txt"));
    if std::env::var_os("PAVANE_WRITE_GOLDEN").is_some() && !path.exists() {
        let outcome = run(&Case { seed: SEED, tells: true, ..Case::default() });
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&path, text_of(&outcome.lanes)).unwrap();
    }
    for format in 1..=FORMAT {
        let text = std::fs::read_to_string(folder().join(format!("format-{format}.txt"))).unwrap();
        let lanes = lanes_of(&text);
        let count = u32::try_from(lanes.len()).unwrap();
        for (number, lane) in &lanes {
            let (mut whole, mut states) = (Context::empty(count), States::new());
            fold(&mut whole, &mut states, &lane.journal);
            assert_eq!(encoded(&states), encoded(&lane.states), "format {format}, lane {number}");
            let mut context: Context = minicbor::decode(&lane.marker).unwrap();
            let mut restored = lane.snapshot.clone();
            assert!(context.next < whole.next, "a tail stands behind the snapshot");
            fold(&mut context, &mut restored, &lane.journal);
            assert_eq!(encoded(&restored), encoded(&lane.states), "format {format}, lane {number}");
            assert!(states.keys().any(|key| !key.starts_with(':')), "workflows are in it");
        }
    }
}
