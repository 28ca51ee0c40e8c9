//! `pavane sim`, through the command line.

mod support;

use serde_json::Value;
use support::{Place, repository};

const PARENT: &str = r#"version: "2.0"
name: parent
key: "${inputs.id}"
inputs: [{name: id, type: string}]
tasks:
  - {id: first, agent: one, compensate: undo_first}
  - {id: sub, saga: leaf, depends_on: [first], inputs: {id: "${saga.key + '-sub'}"}, timeout: 1h}
"#;
const LEAF: &str = r#"version: "2.0"
name: leaf
key: "${inputs.id}"
inputs: [{name: id, type: string}]
tasks: [{id: only, agent: two}]
"#;

fn orders() -> String {
    repository("sagas/order-processing.yaml").display().to_string()
}

#[test]
fn a_file_is_run_in_many_worlds_and_summed_up() {
    let place = Place::new();
    let said = place.run(&["sim", &orders(), "--seeds", "10"]).exits(0);
    assert!(said.out.contains("seeds 0 to 9; started by shop.orders/OrderPlaced"), "{}", said.out);
    assert!(said.out.contains("no promise is broken"), "{}", said.out);

    let said = place.run(&["sim", &orders(), "--seeds", "10", "--json"]).exits(0).json();
    assert_eq!((&said["ok"], &said["failed"]), (&true.into(), &Value::Null));
    assert_eq!(said["seeds"]["run"], 10);
    for status in ["completed", "compensated"] {
        assert!(said["workflows"][status].as_u64().unwrap() > 0, "{said:#}");
    }
    assert!(said["struck"]["processes killed"].as_u64().unwrap() > 0, "{said:#}");
    assert!(said["virtual_ms"].as_u64().unwrap() > 100_000, "{said:#}");
}

#[test]
fn a_seed_gives_the_same_world_each_time() {
    let place = Place::new();
    let run = |seed| {
        let arguments = ["sim", &orders(), "--json", "--seed", seed, "--story"];
        place.run(&arguments).exits(0).json()
    };
    let (first, again, other) = (run("7"), run("7"), run("8"));
    assert_eq!(first, again);
    assert_ne!(first["trace"], other["trace"]);
    let story = first["story"].as_array().unwrap();
    assert!(story.iter().any(|line| line.as_str().unwrap().contains("WorkflowStarted")));
}

#[test]
fn a_broken_promise_is_told_with_the_command_that_shows_it_again() {
    let place = Place::new();
    std::fs::copy(orders(), place.folder.path().join("orders.yaml")).unwrap();
    let arguments = ["sim", "orders.yaml", "--forgetful", "--inputs", r#"{"total": 3}"#];
    let said = place.run(&arguments).exits(1);
    assert!(said.out.contains("  must hold: "), "{}", said.out);
    assert!(said.out.contains("DoTask"), "{}", said.out);
    let replay = said.err.split("try: ").nth(1).unwrap().trim();
    let (command, seed) = replay.rsplit_once(' ').unwrap();
    assert_eq!(
        command, r#"pavane sim orders.yaml --inputs '{"total": 3}' --forgetful --seed"#,
        "{}",
        said.err
    );

    let told = |text: &str| text.split_once("breaks a promise").unwrap().1.to_owned();
    let again = place.run(&[&arguments[..], &["--seed", seed]].concat()).exits(1);
    assert_eq!(told(&again.out), told(&said.out));
    let json = place.run(&[&arguments[..], &["--seed", seed, "--json"]].concat()).exits(1).json();
    let failed = &json["failed"];
    assert_eq!((&json["ok"], failed["seed"].to_string().as_str()), (&false.into(), seed));
    assert_eq!(failed["replay"], replay);
    assert!(!failed["timeline"].as_array().unwrap().is_empty(), "{json:#}");
}

#[test]
fn children_run_from_further_files() {
    let place = Place::new();
    place.write("parent.yaml", PARENT);
    place.write("leaf.yaml", LEAF);
    let said = place.run(&["sim", "parent.yaml", "leaf.yaml", "--seeds", "10", "--json"]);
    assert!(said.exits(0).json()["workflows"]["completed"].as_u64().unwrap() > 10);
    let said = place.run(&["sim", "parent.yaml"]).exits(2);
    let why =
        "parent.yaml can not be simulated: task `sub` is the saga `leaf`, whose file is not given";
    assert!(said.err.contains(why), "{}", said.err);
}

#[test]
fn what_can_not_be_run_is_refused_before_anything_is() {
    let place = Place::new();
    place.write("typo.yaml", &PARENT.replace("depends_on: [first]", "depends_on: [frist]"));
    let said = place.run(&["sim", "typo.yaml"]).exits(1);
    assert!(said.out.contains("error[E203]"), "{}", said.out);
    assert!(said.out.contains("╭─[typo.yaml:7:"), "{}", said.out);
    let said = place.run(&["sim", "typo.yaml", "--json"]).exits(1).json();
    assert_eq!(said["diagnostics"][0]["code"], "E203");

    place.write("leaf.yaml", LEAF);
    let said = place.run(&["sim", "leaf.yaml", "--inputs", r#"{"ib": "x"}"#]).exits(2);
    assert!(said.err.contains("`ib` is not an input of saga `leaf`"), "{}", said.err);
    let awaits = r#"topics: {t: {topic: shop.t, correlate: "${sha256(event.value.id)}"}}
tasks: [{id: only, await: t/Done, timeout: 1m}]"#;
    place.write("hashed.yaml", &LEAF.replace("tasks: [{id: only, agent: two}]", awaits));
    let said = place.run(&["sim", "leaf.yaml", "hashed.yaml"]).exits(1);
    assert!(said.out.contains("saga `leaf` is given twice"), "{}", said.out);
    let said = place.run(&["sim", "hashed.yaml"]).exits(2);
    assert!(said.err.contains("task `only` awaits shop.t/Done"), "{}", said.err);
    for wrong in
        [&["sim"][..], &["sim", "leaf.yaml", "--seeds", "0"], &["sim", "leaf.yaml", "--story"]]
    {
        place.run(wrong).exits(2);
    }
}

#[test]
fn its_help_says_what_is_simulated_and_what_is_not() {
    let said = Place::new().run(&["sim", "--help"]).exits(0);
    for words in ["Simulated: ", "Not simulated: Kafka itself", "the gateway", "Example:"] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
}
