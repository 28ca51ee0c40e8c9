//! What a sound file becomes: its plan, its version, and what starts it.

#![allow(
    clippy::unwrap_used,
    reason = "a test may panic; clippy knows only functions marked as tests"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use saga::{
    Action, AtLeast, Colour, Deadline, Diagnostic, Idempotency, InDoubt, Inputs, Kind, OnBlocked,
    OnDuplicate, Plan, Role, Severity, Source, WaitPlan, check, check_all, render,
};
use serde_json::{Value, json};

const ORDERS: &str = include_str!("../../../sagas/order-processing.yaml");

/// The plan of a file that has no errors.
fn plan(source: &str) -> Plan {
    let checked = check(source);
    let said = render("a.yaml", source, &checked, Colour::None);
    checked.plan.unwrap_or_else(|| panic!("{said}"))
}

fn with_head(rest: &str) -> String {
    format!("version: \"2.0\"\nname: test\n{rest}")
}

/// The agent and the operation of a command.
fn sent(action: &Action) -> String {
    let Action::Agent { agent, task_type } = action else { panic!("{action:?}") };
    format!("{} {task_type}", agent.as_str())
}

const ONE_TASK: &str = "tasks: [{id: a, agent: x, inputs: {}}]\n";

#[test]
fn the_order_saga_has_no_findings_and_this_plan() {
    let checked = check(ORDERS);
    assert_eq!(render("order-processing.yaml", ORDERS, &checked, Colour::None), "");
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
        plan.event_name(&events::Topic::from(topic), ce_type, &value, &event(value.clone()))
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
    // Each reads itself, and each but the first is a pivot beside the first: of 1,999 findings 500 are shown.
    assert_eq!(checked.diagnostics.len(), 500);
    let last = checked.diagnostics.last().unwrap();
    assert_eq!(last.help.as_deref(), Some("1499 more findings are not shown"));
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

/// The examples of the language, each a file.
fn sound_files() -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sound");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn the_examples_of_the_language_have_no_errors_and_these_warnings() {
    let mut said = String::new();
    for (name, source) in sound_files() {
        let checked = check(&source);
        said.push_str(&render(&name, &source, &checked, Colour::None));
        assert!(checked.plan.is_some(), "{said}");
    }
    insta::assert_snapshot!("sound_files", said);
}

/// Each slot on a line: its id, action, role, parent, what it depends on and how, and what it is given.
fn layout(plan: &Plan) -> String {
    let lines = plan.tasks.iter().enumerate().map(|(slot, task)| {
        let action = match &task.action {
            Action::Agent { .. } => "agent".to_owned(),
            Action::Emit(emit) => format!("emit {}", emit.event),
            Action::Await(_) => "await".to_owned(),
            Action::Request(emit, _) => format!("request {}", emit.event),
            Action::Wait(_) => "wait".to_owned(),
            Action::Choice { cases, many } => format!("choice of {} many={many}", cases.len()),
            Action::Race { cases } => format!("race of {}", cases.len()),
            Action::Group { .. } => "group".to_owned(),
            Action::Saga { saga, .. } => format!("saga {}", saga.as_str()),
            Action::ForEach(each) => format!("for_each {} {:?}", each.item, each.body),
        };
        let parent = task.parent.map_or("-".to_owned(), |parent| parent.to_string());
        let inputs = match &task.inputs {
            Inputs::Computed(_) => "computed",
            Inputs::Upstream => "upstream",
            Inputs::Enclosing => "enclosing",
            Inputs::Item => "item",
        };
        let (id, role, join) = (task.id.as_str(), task.role, task.join);
        let before = &task.depends_on;
        format!("{slot} {id}: {action}; {role:?} in {parent}; {join:?} {before:?}; {inputs}\n")
    });
    let fixed = plan.fixed;
    lines.enumerate().fold(String::new(), |text, (slot, line)| {
        let mark = if slot == fixed { "--\n" } else { "" };
        text + mark + &line
    })
}

#[test]
fn groups_and_choices_stand_before_what_is_in_them_and_bodies_behind_all() {
    let plan = plan(&with_head(
        "on_failure: {strategy: compensate, then: [{id: tell, emit: t/Off, kind: retriable}]}
tasks:
  - id: g
    tasks:
      - {id: a, agent: x, fallback: {agent: y}}
      - {id: b, agent: x, depends_on: {any: [a]}, inputs: {}}
  - id: s
    depends_on: [g]
    sequential: [{id: c, agent: x}, {id: d, agent: x}]
  - id: each
    depends_on: {n_of: 1, tasks: [g, s], rest: cancel}
    for_each: {in: [1, 2], as: n, at_least: 50%}
    tasks:
      - {id: e, agent: x}
      - {id: inner, for_each: \"${tasks.e.output}\", depends_on: [e], agent: y}
    fallback: {tasks: [{id: f, agent: x}]}
  - id: route
    pick: many
    choice:
      - {id: yes_, when: \"${inputs.y}\", then: [{id: h, agent: x}, {id: i, agent: x, depends_on: [h]}]}
      - {else: []}
  - id: race
    choice: [{event: signal/go, then: [{id: j, saga: {name: Other, max_depth: 2}, timeout: 1h}]}, {after: 1h, then: []}]
  - {id: last, agent: x, depends_on: {discriminator: [route, race]}, on_failure: {strategy: continue, then: [{id: k, agent: x}]}}
",
    ));
    insta::assert_snapshot!("layout", layout(&plan));
    assert_eq!(plan.on_failure.then, [plan.slot("tell").unwrap()]);
    let task = |id: &str| &plan.tasks[plan.slot(id).unwrap()];
    assert_eq!(task("last").on_failure.as_ref().unwrap().then, [plan.slot("k").unwrap()]);
    assert_eq!(task("a").fallback, plan.slot("a~fallback"));
    assert_eq!(task("g").dependents, [plan.slot("s").unwrap(), plan.slot("each").unwrap()]);
    let Action::ForEach(each) = &task("each").action else { panic!() };
    assert_eq!((each.at_least, each.concurrency), (AtLeast::Share(0.5), 10));
    let Action::Choice { cases, .. } = &task("route").action else { panic!() };
    assert_eq!((cases[0].id.as_str(), cases[1].id.as_str()), ("yes_", "1"));
    assert!(cases[0].when.is_some() && cases[1].when.is_none());
}

#[test]
fn what_is_said_of_a_for_each_stands_on_it_or_on_its_body() {
    let plan = plan(&with_head(
        "inputs: [{name: lines, type: list<object>}]
tasks:
  - {id: before, agent: x}
  - id: r
    for_each: \"${inputs.lines}\"
    depends_on: [before]
    when: \"${size(inputs.lines) > 0}\"
    parallel: false
    optional: true
    deadline: 1h
    on_failure: continue
    agent: x
    type: t
    timeout: 5s
    retry: 7
    returns: {v: string}
    compensate: u
    in_doubt: query
    idempotency: \"${item.id}\"
",
    ));
    let (node, body) = (&plan.tasks[1], &plan.tasks[2]);
    assert_eq!((node.id.as_str(), body.id.as_str(), plan.fixed), ("r", "r", 2));
    assert_eq!((body.role, body.parent, node.parent), (Role::Item, Some(1), None));
    assert!(node.when.is_some() && node.alone && node.optional && node.on_failure.is_some());
    assert!(matches!(node.deadline, Some(Deadline::Within(_))));
    assert_eq!(
        (node.depends_on.as_slice(), node.timeout, node.kind),
        ([0].as_slice(), None, Kind::ReadOnly)
    );
    assert_eq!((node.retry.max_attempts, node.undo.is_none()), (1, true));
    assert!(body.when.is_none() && !body.alone && !body.optional && body.on_failure.is_none());
    assert!(body.deadline.is_none() && body.depends_on.is_empty());
    assert_eq!((body.timeout, body.retry.max_attempts), (Some(Duration::from_secs(5)), 7));
    assert_eq!((body.kind, body.in_doubt), (Kind::Compensatable, InDoubt::Query));
    assert!(body.undo.is_some() && body.returns.is_some());
    assert!(matches!(body.idempotency, Idempotency::Computed(_)));
    assert!(matches!(body.inputs, Inputs::Item) && matches!(node.inputs, Inputs::Upstream));
}

#[test]
fn what_waits_has_no_timeout_by_default_and_is_not_repeated() {
    let plan = plan(&with_head(
        "key: ${inputs.id}
defaults: {timeout: 5s, retry: 4, kind: readonly, deadline: 1d, in_doubt: query}
tasks:
  - {id: a, await: t/E}
  - {id: w, wait: {until: \"${saga.started_at}\"}}
  - {id: s, saga: \"BookFlight\"}
  - {id: c, choice: [{event: t/E, then: []}]}
  - {id: e, emit: t/E}
  - {id: r, emit: t/E, await: {event: [t/F, signal/go], failed: t/G, where: \"${event.value.ok}\"}}
  - {id: u, saga: x, kind: retriable, compensate: {emit: t/E}, timeout: 1m}
"
        .replace("kind: retriable, ", "")
        .as_str(),
    ));
    for (id, timeout, attempts, kind) in [
        ("a", None, 1, Kind::ReadOnly),
        ("w", None, 1, Kind::ReadOnly),
        ("s", None, 1, Kind::Compensatable),
        ("c", None, 1, Kind::ReadOnly),
        ("e", Some(5), 4, Kind::ReadOnly),
        ("r", Some(5), 4, Kind::ReadOnly),
        ("u", Some(60), 1, Kind::Compensatable),
    ] {
        let task = &plan.tasks[plan.slot(id).unwrap()];
        let timeout = timeout.map(Duration::from_secs);
        assert_eq!(
            (task.timeout, task.retry.max_attempts, task.kind),
            (timeout, attempts, kind),
            "{id}"
        );
        assert_ne!(task.in_doubt, InDoubt::Query, "{id}");
    }
    let undo = |id: &str| plan.tasks[plan.slot(id).unwrap()].undo.as_ref();
    assert!(
        matches!(&undo("s").unwrap().action, Action::Saga { saga, .. } if saga.as_str() == "book-flight")
    );
    assert!(matches!(&undo("u").unwrap().action, Action::Emit(_)));
    let listens: Vec<String> = plan.listens.iter().map(|listen| listen.event.to_string()).collect();
    assert_eq!(listens, ["t/E", "t/F", "t/G"]);
}

#[test]
fn an_event_is_listened_for_once_for_each_way_to_correlate_it() {
    let plan = plan(&with_head(
        "key: ${inputs.id}
topics: {o: {topic: shop.orders, correlate: \"${event.value.id}\"}}
keep_early: 1h
compensation: {order: strict}
tasks:
  - {id: a, await: o/E, timeout: 1m}
  - {id: b, await: {event: shop.orders/E, correlate: \"${event.value.other}\"}, timeout: 1m}
  - {id: c, await: {event: o/E, correlate: \"${event.value.other}\"}, timeout: 1m}
",
    ));
    let said: Vec<String> = plan.listens.iter().map(|listen| format!("{listen:?}")).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(plan.topics[0].correlate.is_some());
    assert_eq!(plan.keep_early, Duration::from_secs(3600));
    assert!(plan.compensation.strict);
}

#[test]
fn descriptions_of_nested_tasks_are_no_part_of_the_version() {
    let version = |rest: &str| plan(&with_head(rest)).version.as_str().to_owned();
    let base = "tasks: [{id: g, tasks: [{id: a, agent: x, inputs: {description: d}}]}, {id: c, choice: [{else: [{id: b, agent: x}]}]}]";
    let same = base
        .replace("{id: a,", "{id: a, description: one,")
        .replace("{id: b,", "{id: b, labels: {two: three},");
    assert_eq!(version(base), version(&same));
    assert_ne!(version(base), version(&base.replace("description: d", "description: e")));
}

/// The findings that files have only together.
fn said_together(files: &[(&str, &str)]) -> String {
    let sources: Vec<String> = files
        .iter()
        .map(|(name, rest)| format!("version: \"2.0\"\nname: {name}\n{rest}\n"))
        .collect();
    let load: &saga::Load<'_> = &|_| Err("no such file".to_owned());
    let all: Vec<Source<'_>> = sources.iter().map(|text| Source { text, load }).collect();
    let all = check_all(&all);
    let mut said = String::new();
    for ((name, _), (source, checked)) in files.iter().zip(sources.iter().zip(&all)) {
        assert_eq!(render(name, source, &check(source), Colour::None), "", "{name}");
        said.push_str(&render(name, source, checked, Colour::None));
        let is_error = |found: &Diagnostic| found.severity == Severity::Error;
        assert_eq!(checked.plan.is_none(), checked.diagnostics.iter().any(is_error), "{name}");
    }
    said
}

#[test]
fn sagas_that_belong_together_are_checked_against_one_another() {
    insta::assert_snapshot!(
        "together",
        said_together(&[
            (
                "parent",
                "tasks: [{id: a, saga: Child, timeout: 1h}, {id: b, saga: child, timeout: 1h, kind: pivot, depends_on: [a]}]"
            ),
            ("child", "tasks: [{id: c, agent: x, kind: pivot}]"),
            (
                "one",
                "triggers: [{event: t/Two}]\ntasks: [{id: d, emit: t/One}, {id: e, saga: {name: two, max_depth: 5}, timeout: 1h, kind: readonly}]"
            ),
            (
                "two",
                "triggers: [{event: t/One}]\ntasks: [{id: f, emit: t/Two}, {id: g, saga: one, timeout: 1h, kind: readonly}]"
            ),
            (
                "three",
                "triggers: [{event: t/Three, where: \"${event.value.again}\"}]\ntasks: [{id: h, emit: t/Four}]"
            ),
            ("four", "triggers: [{event: t/Four}]\ntasks: [{id: i, emit: t/Three}]"),
        ])
    );
}

#[test]
fn groups_that_are_made_of_one_another_are_checked_in_time_in_any_order() {
    let mut groups: Vec<String> = (1..250)
        .map(|at| {
            let before = at - 1;
            format!(
                "  - {{id: g{at}, depends_on: [g{before}], outputs: [{{name: a, from: g{before}.output}}, {{name: b, from: g{before}.output}}], tasks: [{{id: t{at}, agent: x, inputs: {{}}}}]}}\n"
            )
        })
        .collect();
    groups.push("  - {id: g0, tasks: [{id: t0, agent: x, inputs: {}}]}\n".to_owned());
    for _ in 0..2 {
        let checked = check(&with_head(&format!("timeout: 100d\ntasks:\n{}", groups.concat())));
        assert_eq!((checked.diagnostics.len(), checked.plan.is_some()), (0, true));
        groups.reverse();
    }
}

#[test]
fn computed_times_stand_where_times_do_and_numbers_are_doubles() {
    let source = with_head(
        "inputs:\n- {name: at, type: timestamp, required: true}\n\
         - {name: total, type: number, required: true}\n- {name: n, type: integer, required: true}\n\
         tasks:\n\
         - id: a\n  agent: x\n  deadline: ${timestamp(inputs.at) + duration(\"1d\")}\n  \
         when: ${inputs.total > 1 && inputs.at.matches('^2026-')}\n  \
         inputs: {half: \"${inputs.total / 4}\", whole: \"${inputs.n / 4}\", more: \"${inputs.total * 1.5}\"}\n\
         - id: b\n  wait: {until: \"${timestamp(inputs.at) - duration('90m')}\"}\n",
    );
    let plan = plan(&source);
    let [a, b] = plan.tasks.as_slice() else { panic!("two tasks") };
    let given = json!({"at": "2026-11-22T10:00:00Z", "total": 2, "n": 2});
    let scope = BTreeMap::from([("inputs", plan.admit(&given).unwrap())]);
    let (Some(Deadline::At(deadline)), Some(when)) = (&a.deadline, &a.when) else {
        panic!("{a:?}")
    };
    assert_eq!(deadline.eval(&scope).unwrap(), "2026-11-23T10:00:00.000Z");
    assert_eq!(when.eval(&scope).unwrap(), true);
    let Inputs::Computed(inputs) = &a.inputs else { panic!("{a:?}") };
    assert_eq!(inputs.eval(&scope).unwrap(), json!({"half": 0.5, "whole": 0, "more": 3.0}));
    let Action::Wait(WaitPlan::Until(until)) = &b.action else { panic!("{b:?}") };
    assert_eq!(until.eval(&scope).unwrap(), "2026-11-22T08:30:00.000Z");
}
