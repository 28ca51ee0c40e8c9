//! The whole table: what each input does in each status of a task. One line a pair.

use std::fmt::Write as _;

use insta::assert_snapshot;

use crate::world::{World, show};

/// `t` is done after `a`, beside `side`; `p` is the pivot, `m` comes after it.
const SAGA: &str = r#"
version: "2.0"
name: s
timeout: 1h
defaults: {timeout: 10s, retry: {max_attempts: 2, backoff: 1s, jitter: 0}}
compensation: {grace: 5s, retry: {max_attempts: 2, backoff: 1s, jitter: 0}}
tasks:
  - {id: a, agent: a, compensate: undo}
  - {id: side, agent: side, kind: readonly}
  - {id: t, agent: t, depends_on: [a], in_doubt: POLICY, compensate: undo, inputs: {}}
  - {id: p, agent: p, kind: pivot, depends_on: [t, side], inputs: {}}
  - {id: m, agent: m, kind: retriable, depends_on: [p], inputs: {}}
"#;

/// How `t` comes to each status: its policy, then the story.
const STATUSES: [(&str, &str, &str); 22] = [
    ("pending", "undo", ""),
    ("running", "undo", "a done"),
    ("running, second attempt", "undo", "a done|t failed busy|wait"),
    ("retrying after a failure", "undo", "a done|t failed busy"),
    ("retrying in doubt", "undo", "a done|wait"),
    ("in doubt: asking", "query", "a done|t failed x final unknown"),
    ("in doubt: asking again", "query", "a done|t failed x final unknown|t.query status unknown"),
    ("in doubt: held", "hold", "a done|t failed x final unknown"),
    ("done", "undo", "a done|t done 1"),
    ("done, pivot running", "undo", "a done|side done|t done 1"),
    ("done, past the pivot, paused", "undo", "a done|side done|t done 1|p done|m failed x final"),
    ("stopping", "undo", "a done|cancel"),
    ("stopping, then asking", "query", "a done|cancel|wait"),
    ("stopping, then held", "hold", "a done|cancel|wait"),
    ("compensating: failed", "undo", "a done|t failed x final"),
    ("compensating: cancelled", "undo", "a done|cancel|t failed cancelled"),
    ("compensating: undoing in doubt", "undo", "a done|t failed x final unknown"),
    ("compensating: undoing", "undo", "a done|t done 1|side failed x final"),
    ("compensating: undo retrying", "undo", "a done|t done 1|side failed x final|t.undo failed x"),
    ("blocked", "undo", "a done|t done 1|side failed x final|t.undo failed x final"),
    ("at rest: undone in doubt", "undo", "a done|t failed x final unknown|t.undo done|a.undo done"),
    ("at rest: completed", "undo", "a done|side done|t done 1|p done|m done"),
];

const INPUTS: [&str; 21] = [
    "t.do1 done 1",
    "t.do2 done 2",
    "t.do1 failed x",
    "t.do1 failed x final",
    "t.do1 failed x final unknown",
    "t.do1 failed cancelled",
    "t.do1 progress",
    "t.undo1 done",
    "t.undo1 nothing",
    "t.undo1 failed x",
    "t.undo1 failed x final",
    "t.query1 status done 3",
    "t.query1 status not_done",
    "t.query1 status unknown",
    "wait",
    "cancel",
    "continue",
    "retry t",
    "skip t",
    "resolve t done 4",
    "resolve t undone",
];

#[test]
fn every_status_knows_what_every_input_means() {
    let mut table = String::new();
    for (status, policy, story) in STATUSES {
        writeln!(table, "## {status}").unwrap();
        for input in INPUTS {
            let mut world = World::deploy(&SAGA.replace("POLICY", policy));
            _ = world.play("start s k {}");
            for line in story.split('|').filter(|line| !line.is_empty()) {
                _ = world.play(line);
            }
            let shown = show(&world.play(input));
            let shown: Vec<&str> = shown.lines().map(str::trim).collect();
            let shown = if shown.is_empty() { "(not public)".to_owned() } else { shown.join("; ") };
            writeln!(table, "{input:30} {shown}").unwrap();
            world.refold();
        }
    }
    assert_snapshot!(table);
}
