//! Who may depend on whom: the table of docs/architecture.md. A new edge comes with a decision record.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::tree::{none, root};

/// One of our crates: which of ours it may use, and of others' which alone (`None`: any but those
/// that belong to one crate).
struct Crate {
    name: &'static str,
    ours: &'static [&'static str],
    others: Option<&'static [&'static str]>,
}

const fn open(name: &'static str, ours: &'static [&'static str]) -> Crate {
    Crate { name, ours, others: None }
}

const EVENTS: &[&str] = &["bytes", "chrono", "minicbor", "serde", "serde_json", "thiserror"];
const SAGA: &[&str] = &[
    "bytes",
    "cel",
    "chrono",
    "miette",
    "minicbor",
    "regex",
    "saphyr-parser",
    "serde_json",
    "sha2",
    "strsim",
    "thiserror",
];
const STREAM: &[&str] =
    &["bytes", "getrandom", "metrics", "minicbor", "proptest", "tempfile", "thiserror", "tracing"];

/// The judge uses nothing of ours: it must not share what it judges.
const VERIFY: &[&str] = &["saphyr-parser", "serde_json", "thiserror", "xxhash-rust"];

const TABLE: &[Crate] = &[
    Crate { name: "pavane-events", ours: &[], others: Some(EVENTS) },
    Crate { name: "pavane-saga", ours: &["pavane-events"], others: Some(SAGA) },
    Crate { name: "pavane-stream", ours: &["pavane-events"], others: Some(STREAM) },
    Crate { name: "pavane-verify", ours: &[], others: Some(VERIFY) },
    open("pavane-kafka", &["pavane-events", "pavane-stream"]),
    open("pavane-local", &["pavane-events", "pavane-stream"]),
    open("pavane-client", &["pavane-events", "pavane-stream", "pavane-kafka?"]),
    open(
        "pavane-sim",
        &[
            "pavane-client",
            "pavane-coordinator",
            "pavane-events",
            "pavane-intake",
            "pavane-saga",
            "pavane-stream",
            // docs/decisions/0010-the-judge-shares-nothing.md
            "pavane-verify",
        ],
    ),
    open("pavane-telemetry", &[]),
    open("pavane-coordinator", &["pavane-events", "pavane-saga", "pavane-stream"]),
    open("pavane-intake", &["pavane-events", "pavane-saga", "pavane-stream"]),
    open("pavane-deadletter", &["pavane-events", "pavane-stream"]),
    // docs/decisions/0005-gateway-shows-dead-letters.md
    open("pavane-gateway", &["pavane-deadletter", "pavane-events", "pavane-saga", "pavane-stream"]),
    open("pavane-orders", &["pavane-client", "pavane-events", "pavane-stream"]),
    open(
        "pavane",
        &[
            "pavane-client",
            "pavane-coordinator",
            "pavane-deadletter",
            "pavane-events",
            "pavane-gateway",
            "pavane-intake",
            "pavane-kafka",
            "pavane-local",
            "pavane-orders?",
            "pavane-saga",
            // docs/decisions/0014-the-simulator-in-the-binary.md
            "pavane-sim",
            "pavane-stream",
            "pavane-telemetry",
            "pavane-verify",
        ],
    ),
    open("xtask", &[]),
];

/// Crates of others that one of ours alone may name.
const ALONE: &[(&str, &str)] = &[
    ("rdkafka", "pavane-kafka"),
    ("rdkafka-sys", "pavane-kafka"),
    ("schema_registry_converter", "pavane-kafka"),
    ("fjall", "pavane-local pavane-orders"),
    ("cel", "pavane-saga"),
    ("saphyr-parser", "pavane-saga pavane-verify"),
    ("axum", "pavane-gateway pavane"),
];

struct Edge {
    from: String,
    to: String,
    optional: bool,
    ours: bool,
}

/// Edges of ordinary and build dependencies, as `Cargo.toml` declares them, features or not.
fn edges() -> Vec<Edge> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|it| it["name"].as_str().unwrap()).collect();
    let mut edges = Vec::new();
    for package in packages {
        let from = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["kind"] == "dev" {
                continue;
            }
            let to = dependency["name"].as_str().unwrap();
            edges.push(Edge {
                from: from.to_owned(),
                to: to.to_owned(),
                optional: dependency["optional"].as_bool().unwrap(),
                ours: ours.contains(to),
            });
        }
    }
    edges
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is wrong with an edge between two of ours.
fn judge_ours(allowed: &BTreeMap<&str, &Crate>, edge: &Edge) -> Option<String> {
    let Edge { from, to, optional, .. } = edge;
    if from == "pavane-tests" {
        return None; // The tests see everything.
    }
    let Some(allowed) = allowed.get(from.as_str()) else {
        return Some(format!("`{from}` is not in the table"));
    };
    let behind_a_feature = format!("{to}?");
    let stands = allowed.ours.contains(&to.as_str())
        || *optional && allowed.ours.contains(&behind_a_feature.as_str());
    (!stands).then(|| format!("`{from}` uses `{to}`"))
}

/// What is wrong with an edge to someone else's.
fn judge_others(allowed: &BTreeMap<&str, &Crate>, edge: &Edge) -> Option<String> {
    let Edge { from, to, .. } = edge;
    let alone = ALONE.iter().find(|(name, _)| name == to);
    if alone.is_some_and(|(_, owners)| !owners.split(' ').any(|owner| owner == from)) {
        return Some(format!("`{from}` names `{to}`, which belongs to another crate"));
    }
    let listed = allowed.get(from.as_str()).and_then(|it| it.others);
    listed
        .filter(|others| !others.contains(&to.as_str()))
        .map(|_| format!("`{from}` uses `{to}`, which is not on its list"))
}

fn findings(edges: &[Edge]) -> Vec<String> {
    let allowed: BTreeMap<&str, &Crate> = TABLE.iter().map(|it| (it.name, it)).collect();
    edges
        .iter()
        .filter_map(|edge| {
            if edge.ours { judge_ours(&allowed, edge) } else { judge_others(&allowed, edge) }
        })
        .collect()
}

#[test]
fn every_arrow_points_the_right_way() {
    let edges = edges();
    assert!(edges.iter().any(|edge| edge.from == "pavane-coordinator" && edge.to == "pavane-saga"));
    none("edges that docs/architecture.md does not have", &findings(&edges));
}

#[test]
fn an_arrow_that_points_the_wrong_way_is_found() {
    let edge = |from: &str, to: &str, ours, optional| Edge {
        from: from.to_owned(),
        to: to.to_owned(),
        optional,
        ours,
    };
    for wrong in [
        edge("pavane-saga", "pavane-stream", true, false),
        edge("pavane-stream", "pavane-saga", true, false),
        edge("pavane-events", "tokio", false, false),
        edge("pavane-stream", "tokio", false, false),
        edge("pavane-local", "rdkafka", false, false),
        edge("pavane-gateway", "pavane-kafka", true, false),
        edge("pavane-client", "pavane-kafka", true, false),
        edge("pavane-newcomer", "pavane-events", true, false),
    ] {
        assert_eq!(findings(std::slice::from_ref(&wrong)).len(), 1, "{} {}", wrong.from, wrong.to);
    }
    assert!(findings(&[edge("pavane-client", "pavane-kafka", true, true)]).is_empty());
}
