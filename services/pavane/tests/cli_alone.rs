//! Verbs that need no system: checking files, configuration, being used wrongly.

mod support;

use support::{Place, repository};

const CYCLE: &str = r#"version: "2.0"
name: circle
tasks:
  - {id: one, agent: a, kind: readonly, depends_on: [two]}
  - {id: two, agent: a, kind: readonly, depends_on: [one]}
"#;

#[test]
fn a_sound_file_is_called_sound() {
    let file = repository("sagas/order-processing.yaml");
    let said = Place::new().run(&["check", file.to_str().unwrap()]).exits(0);
    assert!(said.out.contains("order-processing is sound, 5 tasks"), "{}", said.out);
}

#[test]
fn a_broken_file_is_shown_with_line_and_column() {
    let place = Place::new();
    place.write("circle.yaml", CYCLE);
    place.write("typo.yaml", &CYCLE.replace("[two]", "[tow]").replace("[one]", "[]"));
    let said = place.run(&["check", "typo.yaml"]).exits(1);
    assert!(said.out.contains("error[E203]: `tow` is not a task"), "{}", said.out);
    assert!(said.out.contains("╭─[typo.yaml:4:"), "{}", said.out);
    assert!(said.out.contains("─┬─"), "{}", said.out);
    assert!(!said.out.contains('\u{1b}'), "no colours into a pipe: {}", said.out);

    let said = place.run(&["check", "circle.yaml", "typo.yaml", "--json"]).exits(1);
    let found = said.json();
    assert_eq!(found["ok"], false);
    let codes: Vec<_> = found["diagnostics"].as_array().unwrap().iter().collect();
    assert!(codes.iter().any(|found| found["code"] == "E202"), "{codes:?}");
    assert!(codes.iter().all(|found| found["line"].is_u64() && found["file"].is_string()));
}

#[test]
fn what_a_file_imports_is_read_from_its_folder() {
    let place = Place::new();
    std::fs::create_dir_all(place.folder.path().join("sagas/common")).unwrap();
    place.write("sagas/common/mail.yaml", "templates: {tell: {agent: mail, kind: readonly}}\n");
    let saga = "name: told\nimports: {mail: common/mail.yaml}\ntasks: [{id: t, use: mail.tell}]\n";
    place.write("sagas/told.yaml", saga);
    let said = place.run(&["check", "sagas/told.yaml"]).exits(0);
    assert!(said.out.contains("told is sound, 1 tasks"), "{}", said.out);

    place.write("sagas/common/mail.yaml", "templates:\n  tell: {agnt: mail}\n");
    let said = place.run(&["check", "sagas/told.yaml"]).exits(1);
    assert!(said.out.contains("╭─[sagas/common/mail.yaml:2:10]"), "{}", said.out);
    place.write("sagas/told.yaml", &saga.replace("common", "../common"));
    let said = place.run(&["check", "sagas/told.yaml"]).exits(1);
    assert!(said.out.contains("a relative path that stays in the folder"), "{}", said.out);
}

#[test]
fn files_are_checked_together_and_warnings_fail_only_strictly() {
    let place = Place::new();
    place.write("pay.yaml", "name: pay\ntasks: [{id: c, agent: bank, kind: pivot}]\n");
    place.write("order.yaml", "name: order\ntasks: [{id: p, saga: pay, timeout: 1m}]\n");
    place.run(&["check", "order.yaml"]).exits(0);
    let said = place.run(&["check", "order.yaml", "pay.yaml"]).exits(1);
    assert!(said.out.contains("error[E409]"), "{}", said.out);
    assert!(said.out.contains("pay.yaml: pay is sound"), "{}", said.out);

    place.write("order.yaml", "name: order\ntasks: [{id: p, saga: pay, kind: retriable}]\n");
    let said = place.run(&["check", "order.yaml", "pay.yaml"]).exits(0);
    assert!(said.out.contains("warning[W06]"), "{}", said.out);
    let said = place.run(&["check", "order.yaml", "pay.yaml", "--strict", "--json"]).exits(1);
    let found = said.json();
    assert_eq!(
        (&found["ok"], &found["errors"], &found["warnings"]),
        (&false.into(), &0.into(), &1.into())
    );
}

#[test]
fn what_may_happen_is_tried_and_told() {
    let place = Place::new();
    let join = "name: join\ninputs: [{name: by, type: string}]\ntasks:\n\
                - {id: card, agent: card, when: \"${inputs.by == 'card'}\"}\n\
                - {id: bill, agent: bill, when: \"${inputs.by != 'card'}\"}\n\
                - {id: ship, agent: ship, depends_on: {n_of: 2, tasks: [card, bill]}}\n";
    place.write("join.yaml", join);
    place.run(&["check", "join.yaml"]).exits(0);
    let said = place.run(&["check", "--explore", "join.yaml"]).exits(1);
    assert!(said.out.contains("error[never-starts]: `ship` starts in no run"), "{}", said.out);
    assert!(said.out.contains("  1. it starts with {\"by\":\"x\"}\n"), "{}", said.out);
    assert!(said.out.contains("states to depth 7: all of them"), "{}", said.out);
    let said = place.run(&["check", "--explore=3", "--json", "join.yaml"]).exits(0);
    let explored = &said.json()["explored"][0];
    assert_eq!(explored["states"], 3);
    assert_eq!(explored["complete"], false);

    // What is wrong only in what it would do is tried, too; what says nothing is not.
    place.write("never.yaml", &join.replace("n_of: 2", "n_of: 3"));
    let said = place.run(&["check", "--explore", "never.yaml"]).exits(1);
    assert!(said.out.contains("error[E205]"), "{}", said.out);
    assert!(said.out.contains("error[never-starts]"), "{}", said.out);
    place.write("typo.yaml", &join.replace("depends_on", "dependson"));
    let said = place.run(&["check", "--explore", "typo.yaml"]).exits(1);
    assert!(said.out.contains("typo.yaml: not explored"), "{}", said.out);
}

#[test]
fn the_schema_of_files_is_printed() {
    let said = Place::new().run(&["check", "--schema"]).exits(0);
    let kept = std::fs::read_to_string(repository("schemas/saga-file.schema.json")).unwrap();
    assert_eq!(said.out, kept);
    Place::new().run(&["check", "--schema", "a.yaml"]).exits(2);
}

#[test]
fn an_unknown_key_of_a_file_is_refused_with_the_nearest() {
    let place = Place::new();
    place.write(
        "typo.yaml",
        &CYCLE.replace("[two]", "[]").replace("depends_on: [one]", "dependson: []"),
    );
    let said = place.run(&["check", "typo.yaml"]).exits(1);
    assert!(said.out.contains("E102"), "{}", said.out);
    assert!(said.out.contains("depends_on"), "{}", said.out);
}

#[test]
fn a_verb_used_wrongly_exits_with_2() {
    let place = Place::new();
    for arguments in [
        &["stat"][..],
        &["check"],
        &["start"],
        &["run", "--kafka", "x:1"],
        &["run", "cook", "--kafka", "x:1"],
        &["run", "coordinator"],
        &["check", "no-such-file.yaml"],
        &["start", "saga", "--inputs", "{"],
        &["publish", "topic", "--header", "nonsense", "x"],
        &["list", "--url", "nowhere"],
        &["up", "--data", "x", "--kafka", "y"],
        &["up", "--listen", "here"],
        &["verify"],
        &["verify", "--data", "x", "--kafka", "y"],
        &["verify", "--data", "x", "--quiet-for", "soon"],
    ] {
        let said = place.run(arguments).exits(2);
        assert_eq!(said.out, "", "{arguments:?}");
        assert!(!said.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_gateway_that_is_not_there_exits_with_4_and_says_what_to_try() {
    // Port 9 (discard) is reserved, and nothing of ours listens there.
    let said = Place::new().run(&["list", "--url", "http://127.0.0.1:9"]).exits(4);
    assert!(said.err.contains("try: pavane up"), "{}", said.err);
}

#[test]
fn a_kafka_that_is_not_there_exits_with_4() {
    for verb in [&["topics", "verify"][..], &["verify"]] {
        let said = Place::new().run(&[verb, &["--kafka", "127.0.0.1:9"]].concat()).exits(4);
        assert!(said.err.contains("127.0.0.1:9"), "{}", said.err);
    }
    let place = Place::new();
    place.run(&["verify", "--data", "nowhere"]).exits(3);
    assert!(!place.folder.path().join("nowhere").exists());
}

#[test]
fn the_configuration_in_force_is_printed_with_origins_and_without_secrets() {
    let place = Place::new();
    place.write(
        "pavane.toml",
        "[gateway]\nlisten = \"127.0.0.1:1\"\n[kafka]\npassword = \"hush\"\n",
    );
    let output = place
        .command(&["config", "--json", "--kafka", "b:1"])
        .env("PAVANE_GATEWAY__LISTEN", "127.0.0.1:2")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("hush"), "{text}");
    let said: serde_json::Value = serde_json::from_str(&text).unwrap();
    let row = |key: &str| {
        let items = said["items"].as_array().unwrap();
        items.iter().find(|item| item["key"] == key).unwrap().clone()
    };
    assert_eq!(row("gateway.listen")["value"], "127.0.0.1:2");
    assert_eq!(row("gateway.listen")["origin"], "PAVANE_GATEWAY__LISTEN");
    assert_eq!(row("kafka.bootstrap")["origin"], "--kafka");
    assert_eq!(row("kafka.password")["origin"], "pavane.toml");

    place.write("pavane.toml", "[gateway]\nlisen = \"127.0.0.1:1\"\n");
    let said = place.run(&["config"]).exits(2);
    assert!(said.err.contains("did you mean `gateway.listen`"), "{}", said.err);
}

#[test]
fn every_verb_explains_itself() {
    let place = Place::new();
    for verb in
        ["up", "run", "check", "deploy", "start", "publish", "list", "get", "history", "verify"]
    {
        let said = place.run(&[verb, "--help"]).exits(0);
        assert!(said.out.contains("Example:"), "{verb}: {}", said.out);
    }
}
