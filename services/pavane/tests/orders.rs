//! What the command line says of an operator's order: what has come of it, and nothing before.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test, that is an assertion")]

mod support;

use support::{Place, Said};

/// Nobody answers for it: what fails is computed.
const STUCK: &str = r#"version: "2.0"
name: stuck
key: ${inputs.id}
on_failure: pause
inputs: [{name: id, type: string}, {name: o, type: object, default: {}}]
tasks:
  - {id: one, agent: a, kind: readonly, inputs: {v: "${inputs.o.gone}"}, returns: {n: integer}}
  - {id: told, await: signal/go, kind: readonly, timeout: 5m, depends_on: [one]}
"#;

/// That a group is not begun again the view does not tell.
const GROUP: &str = r#"version: "2.0"
name: group
key: ${inputs.id}
on_failure: pause
inputs: [{name: id, type: string}, {name: o, type: object, default: {}}]
tasks:
  - {id: each, for_each: {in: "${inputs.o.list}", as: e}, agent: a, kind: readonly, inputs: {}}
"#;

#[test]
fn an_order_succeeds_only_if_it_took_effect() {
    let place = Place::new();
    let up = place.up("data");
    let run = |arguments: &[&str]| -> Said {
        let mut all = arguments.to_vec();
        all.extend(["--url", &up.url]);
        place.run(&all)
    };
    place.write("stuck.yaml", STUCK);
    place.write("group.yaml", GROUP);
    run(&["deploy", "stuck.yaml", "group.yaml"]).exits(0);
    run(&["start", "group", "--inputs", r#"{"id":"1"}"#, "--wait"]).exits(1);
    let waited = run(&["start", "stuck", "--inputs", r#"{"id":"1"}"#, "--wait"]).exits(1);
    assert!(waited.err.contains("stuck:1 is paused: it waits for an operator"), "{}", waited.err);
    run(&["watch", "stuck:none"]).exits(3);

    run(&["continue", "stuck:1", "--reason", " "]).exits(2);
    // What the view shows is said at once, and nothing is stored.
    let refused = run(&["retry", "stuck:1", "told", "--reason", "r"]).exits(1);
    assert!(
        refused.err.contains("`told` is pending; no operator is waited for"),
        "{}",
        refused.err
    );
    let stated = r#"{"n":"one"}"#;
    let refused = run(&["skip", "stuck:1", "one", "--reason", "r", "--output", stated]).exits(1);
    assert!(refused.err.contains("`output.n` must be integer"), "{}", refused.err);
    run(&["resolve", "stuck:1", "one", "--outcome", "not_done", "--reason", "r"]).exits(1);
    let none = run(&["dlq", "list", "--json"]).exits(0).json();
    assert_eq!(none["items"].as_array().unwrap().len(), 0, "{none}");

    // What only the coordinator knows is a dead letter, which is waited for.
    let refused = run(&["retry", "group:1", "each", "--reason", "r"]).exits(1);
    assert!(refused.err.contains("retry was refused, group: `each` is a group"), "{}", refused.err);
    let place_of_letter = refused.err.split("dlq show ").nth(1).unwrap().trim().to_owned();
    run(&["dlq", "show", &place_of_letter]).exits(0);
    let refused = run(&["retry", "group:1", "each", "--reason", "r", "--json"]).exits(1).json();
    assert_eq!(refused["outcome"], "refused", "{refused}");
    assert_eq!(refused["dead_letter"]["code"], "group", "{refused}");

    let retried = run(&["retry", "stuck:1", "one", "--reason", "again"]).exits(0);
    assert!(retried.out.contains("retry took effect: TaskRetried one"), "{}", retried.out);
    let stated = r#"{"n":1}"#;
    run(&["skip", "stuck:1", "one", "--reason", "r", "--output", stated]).exits(0);
    let signalled = run(&["signal", "stuck:1", "go", "--json"]).exits(0).json();
    assert_eq!(signalled["event"]["type"], "SignalReceived", "{signalled}");
    let resumed = run(&["continue", "group:1", "--reason", "go on", "--json"]).exits(0).json();
    assert_eq!(resumed["event"]["data"]["by"]["reason"], "go on", "{resumed}");
    let ended = run(&["continue", "stuck:1", "--reason", "go on"]).exits(1);
    assert!(ended.err.contains("`stuck:1` has ended"), "{}", ended.err);

    run(&["list", "--status", "bogus"]).exits(1);
    run(&["dlq", "list", "--class", "bogus"]).exits(1);
}
