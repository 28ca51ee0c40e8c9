//! What a sound file becomes: its plan, its version, and what starts it.

use std::collections::BTreeMap;
use std::time::Duration;

use saga::{
    Action, InDoubt, Inputs, Kind, OnBlocked, OnDuplicate, Plan, check, event_name,
    render,
};
use serde_json::{Value, json};

const ORDERS: &str = include_str!("../../../sagas/order-processing.yaml");

/// The plan of a file that has no errors.
fn plan(source: &str) -> Plan {
    let checked = check(source);
    let said = render("a.yaml", source, &checked);
    checked.plan.unwrap_or_else(|| panic!("{said}"))
}

fn with_head(rest: &str) -> String {
    format!("version: \"2.0\"\nname: test\n{rest}")
}

/// The agent and the operation of a command.
fn sent(action: &Action) -> String {
    match action {
        Action::Agent { agent, task_type } => format!("{} {task_type}", agent.as_str()),
        other => panic!("{other:?}"),
    }
}

const ONE_TASK: &str = "tasks: [{id: a, agent: x, inputs: {}}]\n";

#[test]
fn the_order_saga_has_no_findings_and_this_plan() {
    let checked = check(ORDERS);
    assert_eq!(render("order-processing.yaml", ORDERS, &checked), "");
    insta::assert_debug_snapshot!("order_processing", checked.plan.unwrap());
}

#[test]
fn what_a_file_does_not_say_has_the_defaults_of_the_language() {
    let plan = plan(&with_head("tasks: [{id: a, agent: x}, {id: b, agent: y, depends_on: [a]}]"));
    let [a, b] = plan.tasks.as_slice() else { panic!("two tasks") };
    assert_eq!(plan.timeout, Duration::from_secs(24 * 3600));
    assert_eq!(plan.max_parallel, 100);
    assert_eq!(plan.on_duplicate, OnDuplicate::Ignore);
    assert_eq!(plan.compensation.grace, Duration::from_secs(30));
    assert_eq!(plan.compensation.on_blocked, OnBlocked::Wait);
    assert!(plan.inputs.is_none() && plan.key.is_none() && plan.triggers.is_empty());
    assert_eq!((sent(&a.action), a.kind), ("x a".to_owned(), Kind::ReadOnly));
    assert_eq!((a.timeout, a.deadline.is_none()), (Some(Duration::from_secs(60)), true));
    assert!(matches!(a.inputs, Inputs::Enclosing) && matches!(b.inputs, Inputs::Upstream));
    assert_eq!(
        (a.dependents.as_slice(), b.depends_on.as_slice()),
        ([1].as_slice(), [0].as_slice())
    );
    assert_eq!((a.retry.max_attempts, a.retry.backoff), (3, Duration::from_secs(1)));
    assert_eq!((a.retry.factor, a.retry.max_backoff), (2.0, Duration::from_secs(60)));
    assert_eq!((a.retry.jitter, a.retry.only.as_ref(), a.retry.never.len()), (0.5, None, 0));
}

#[test]
fn an_undo_has_its_own_defaults_and_says_only_what_differs() {
    let plan = plan(&with_head(
        "compensation: {timeout: 5s, retry: {max_attempts: 7}, grace: 1s, on_blocked: go_on}
tasks:
  - {id: a, agent: x, type: t, compensate: u}
  - {id: b, agent: x, compensate: {agent: y, retry: {backoff: 2s}, timeout: 9s}, in_doubt: query}
",
    ));
    let undo = |at: usize| plan.tasks[at].undo.as_ref().unwrap();
    assert_eq!(sent(&undo(0).action), "x u");
    assert_eq!((undo(0).timeout, undo(0).retry.max_attempts), (Duration::from_secs(5), 7));
    assert_eq!(undo(0).retry.max_backoff, Duration::from_secs(300));
    assert_eq!(sent(&undo(1).action), "y b");
    assert_eq!((undo(1).timeout, undo(1).retry.max_attempts), (Duration::from_secs(9), 7));
    assert_eq!(undo(1).retry.backoff, Duration::from_secs(2));
    assert_eq!(plan.tasks[0].in_doubt, InDoubt::Undo);
    assert_eq!(plan.tasks[1].in_doubt, InDoubt::Query);
    assert_eq!(plan.compensation.on_blocked, OnBlocked::GoOn);
}

#[test]
fn a_version_names_what_a_file_says_and_not_how() {
    let version = |rest: &str| plan(&with_head(rest)).version.as_str().to_owned();
    let base = version("timeout: 1h\ntasks: [{id: a, agent: x, inputs: {v: 1, description: d}}]");
    assert_eq!(base.len(), 12);
    for same in [
        "# a comment\ntasks:\n  - agent: x\n    id: a\n    inputs:\n      description: 'd'\n      v: 1\ntimeout: \"1h\"",
        "timeout: 1h\ndescription: D\nlabels: {l: m}\ntasks: [{id: a, description: e, labels: {n: o}, agent: x, inputs: {v: 1, description: d}}]",
    ] {
        assert_eq!(version(same), base, "{same}");
    }
    for other in [
        "timeout: 2h\ntasks: [{id: a, agent: x, inputs: {v: 1, description: d}}]",
        "timeout: 1h\ntasks: [{id: a, agent: x, inputs: {v: \"1\", description: d}}]",
        "timeout: 1h\ntasks: [{id: a, agent: x, inputs: {v: 1, description: e}}]",
        "timeout: 1h\ntasks: [{id: a, agent: x, inputs: {v: 1}}]",
    ] {
        assert_ne!(version(other), base, "{other}");
    }
}

#[test]
fn inputs_are_admitted_as_declared() {
    let plan = plan(&with_head(
        "inputs:
  - {name: id, type: string}
  - {name: count, type: integer, default: 2}
  - {name: note, type: string, required: false}
  - {name: lines, type: list<object>, required: false}
tasks: [{id: a, agent: x}]
",
    ));
    let admit = |inputs: Value| plan.admit(&inputs).map_err(|error| error.to_string());
    let full = json!({"id": "o", "count": 2, "note": null, "lines": null});
    assert_eq!(admit(json!({"id": "o"})), Ok(full.clone()));
    assert_eq!(admit(json!({"id": "o", "note": null, "count": null})), Ok(full));
    for (inputs, error) in [
        (json!({}), "the input `id` is required: give it a value of type string"),
        (json!(null), "the input `id` is required: give it a value of type string"),
        (json!({"id": null}), "`inputs.id` must be string, found null"),
        (json!({"id": 7}), "`inputs.id` must be string, found the number 7"),
        (json!({"id": "o", "count": 2.5}), "`inputs.count` must be integer, found the number 2.5"),
        (
            json!({"id": "o", "lines": [{}, 3]}),
            "`inputs.lines[1]` must be object, found the number 3",
        ),
        (
            json!({"id": "o", "cuont": 3}),
            "`cuont` is not an input of saga `test`; did you mean `count`?",
        ),
        (json!([1]), "the inputs must be a map of input names, found a list of 1"),
    ] {
        assert_eq!(admit(inputs), Err(error.to_owned()));
    }
}

#[test]
fn a_business_key_is_text_that_is_not_empty_nor_too_long() {
    let plan = plan(&with_head(&format!("key: ${{inputs.k}}\n{ONE_TASK}")));
    let key = |value: Value| plan.key_of(&json!({"k": value})).map_err(|error| error.to_string());
    assert_eq!(key(json!("o-17")), Ok(Some("o-17".into())));
    assert_eq!(key(json!(17)), Ok(Some("17".into())));
    assert_eq!(key(json!(true)), Ok(Some("true".into())));
    for (value, error) in [
        (json!(""), "the saga's key is empty"),
        (json!(null), "the saga's key must be text, a number or a boolean, found null"),
        (json!([]), "the saga's key must be text, a number or a boolean, found a list of 0"),
        (json!("k".repeat(513)), "the saga's key has 513 bytes, 512 at most"),
    ] {
        assert_eq!(key(value), Err(error.to_owned()));
    }
    let missing = plan.key_of(&json!({})).unwrap_err().to_string();
    assert_eq!(missing, "the saga's key `inputs.k`: `inputs` has no field `k`");
    let keyless = self::plan(&with_head(ONE_TASK));
    assert_eq!(keyless.key_of(&json!({})), Ok(None));
    let made = self::plan(&with_head(&format!("key: \"${{inputs.a}}/${{inputs.b}}\"\n{ONE_TASK}")));
    assert_eq!(made.key_of(&json!({"a": "eu", "b": 7})), Ok(Some("eu/7".into())));
}

fn event(value: Value) -> BTreeMap<&'static str, Value> {
    let headers = json!({"source": "shop"});
    BTreeMap::from([(
        "event",
        json!({"value": value, "key": "k", "name": "Placed", "headers": headers, "topic": "t",
               "timestamp": "2026-11-22T10:00:00.000Z"}),
    )])
}

#[test]
fn of_an_event_that_is_taken_whole_the_declared_names_become_inputs() {
    let plan = plan(&with_head(
        "inputs: [{name: id, type: string}, {name: total, type: number}]
triggers: [{event: t/Placed, where: \"${event.value.total > 10}\"}]
tasks: [{id: a, agent: x}]
",
    ));
    let start = |value: Value| {
        plan.start_of(&plan.triggers[0], &event(value)).map_err(|error| error.to_string())
    };
    assert_eq!(
        start(json!({"id": "o", "total": 12.5, "colour": "red"})),
        Ok(Some(json!({"id": "o", "total": 12.5})))
    );
    assert_eq!(start(json!({"id": "o", "total": 3})), Ok(None));
    let lacking = start(json!({"total": 12})).unwrap_err();
    assert_eq!(lacking, "the input `id` is required: give it a value of type string");
    let broken = start(json!({"id": "o", "total": "12"})).unwrap_err();
    assert!(broken.starts_with("`event.value.total > 10`: "), "{broken}");
    assert!(broken.ends_with("(with event.value.total = \"12\")"), "{broken}");
    assert!(start(json!(7)).unwrap_err().contains("event.value"));
}

#[test]
fn a_trigger_may_make_the_inputs_from_parts_of_the_event() {
    let plan = plan(&with_head(
        "inputs: [{name: id, type: string}, {name: from, type: string}]
triggers:
  - {event: t/Placed, inputs: {id: \"${event.key}\", from: \"${event.headers.source} ${event.name}\"}}
tasks: [{id: a, agent: x}]
",
    ));
    let inputs = plan.start_of(&plan.triggers[0], &event(json!(null)));
    assert_eq!(inputs, Ok(Some(json!({"id": "k", "from": "shop Placed"}))));
}

#[test]
fn an_event_has_the_name_that_the_file_the_header_the_value_or_the_topic_gives() {
    let plain = plan(&with_head(&format!(
        "triggers: [{{event: one/Placed, inputs: {{}}}}, {{event: two/A, inputs: {{}}}}, {{event: two/B, inputs: {{}}}}]\n{ONE_TASK}"
    )));
    let said = plan(&with_head(&format!(
        "topics: {{t: {{topic: one, event_name: \"${{event.value.kind}}\"}}}}\ntriggers: [{{event: t/Placed, inputs: {{}}}}]\n{ONE_TASK}"
    )));
    let name = |plan: &Plan, topic: &str, ce_type: Option<&str>, value: Value| {
        let triggers: Vec<_> =
            plan.triggers.iter().filter(|trigger| trigger.topic.as_str() == topic).collect();
        event_name(&triggers, ce_type, &value, &event(value.clone()))
            .map_err(|error| error.to_string())
    };
    let some = |name: &str| Ok(Some(name.to_owned()));
    assert_eq!(
        name(&plain, "one", Some("com.shop.Placed"), json!({"type": "X"})),
        some("com.shop.Placed")
    );
    assert_eq!(name(&plain, "one", None, json!({"type": "X"})), some("X"));
    assert_eq!(name(&plain, "one", Some(""), json!({"id": 1})), some("Placed"));
    assert_eq!(name(&plain, "two", None, json!({"id": 1})), Ok(None));
    assert_eq!(name(&plain, "two", None, json!("type")), Ok(None));
    assert_eq!(name(&said, "one", Some("Other"), json!({"kind": "Placed"})), some("Placed"));
    assert_eq!(name(&said, "one", None, json!({"kind": null})), Ok(None));
    let wrong = name(&said, "one", None, json!({"kind": 7})).unwrap_err();
    assert!(wrong.contains("`event_name` must give text, found the number 7"), "{wrong}");
}

#[test]
fn a_file_is_bounded_and_a_large_one_is_checked_in_time() {
    let mut tasks = String::new();
    for at in 0..1000 {
        tasks.push_str(&format!(
            "  - {{id: t{at}, agent: x, kind: pivot, inputs: {{v: \"${{tasks.t{at}.output}}\"}}}}\n"
        ));
    }
    let source = with_head(&format!("tasks:\n{tasks}"));
    let checked = check(&source);
    // Each reads itself, and each but the first is a pivot beside the first.
    assert_eq!(checked.diagnostics.len(), 1999);
    let more = format!("{source}  - {{id: more, agent: x}}\n");
    assert_eq!(check(&more).diagnostics[0].code, "E108");
    let longer = format!("{source}{}", "# padding\n".repeat(30_000));
    let found = check(&longer).diagnostics;
    assert_eq!((found.len(), found[0].code), (1, "E108"));
}

#[test]
fn findings_are_said_to_machines_too() {
    let source = with_head("tasks: [{id: a, agent: x, depnds_on: []}]");
    let json = saga::to_json("a.yaml", &check(&source));
    let first = &json[0];
    assert_eq!(first["code"], "E102");
    assert_eq!(first["severity"], "error");
    assert_eq!((first["line"].as_u64(), first["column"].as_u64()), (Some(3), Some(27)));
    assert_eq!(first["label"], "did you mean `depends_on`?");
    assert_eq!(json.as_array().unwrap().len(), 1);
}

#[test]
fn places_are_counted_in_characters_and_bytes_where_a_file_has_letters_of_more_bytes_than_one() {
    let source = with_head("description: \"Äpfel → Öl\" \ntasks: [{id: ä, agent: x}]");
    let found = &check(&source).diagnostics[0];
    assert_eq!((found.code, found.line, found.column), ("E104", 4, 14));
    assert_eq!(&source[found.span.0..found.span.1], "ä");
}
