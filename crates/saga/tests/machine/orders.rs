//! What is asked of the machine in states where it has no place: starts, answers, orders, acknowledgements.

use std::fmt::Write as _;

use events::{CommandKind, Json, Run, SagaName, Subject, Version, WorkflowId};
use insta::assert_snapshot;
use saga::{Answer, Cause, Decision, Deploy, Input, Known, Start};

use crate::world::{World, show, tell};

fn saga(rest: &str) -> String {
    format!(
        "version: \"2.0\"\nname: s\nkey: ${{inputs.k}}\ndefaults: {{timeout: 10s, retry: 1}}\n\
         compensation: {{grace: 5s, retry: 1}}\n{rest}"
    )
}

const START: &str = r#"start s k {"k":"k"}"#;

/// What comes of each of these after the story.
fn asked(file: &str, story: &str, asked: &[&str]) -> String {
    let mut told = String::new();
    for line in asked {
        let mut world = World::deploy(file);
        for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
            _ = world.play(line);
        }
        let shown = show(&world.play(line));
        let shown: Vec<&str> = shown.lines().map(str::trim).collect();
        writeln!(told, "{line:24} {}", shown.join("; ")).unwrap();
        world.refold();
    }
    told
}

/// Every order about this task.
fn orders(task: &str) -> Vec<String> {
    ["retry T", "skip T", "resolve T done 4", "resolve T not_done", "resolve T undone"]
        .iter()
        .map(|order| order.replace('T', task))
        .collect()
}

#[test]
fn orders_about_what_waits_for_nobody_say_how_it_is() {
    let file = saga(
        r#"
max_parallel: 2
tasks:
  - {id: g, tasks: [{id: a, agent: a, compensate: u, inputs: {}}]}
  - {id: w, wait: 1h}
  - {id: r, choice: [{event: t/E, then: []}, {after: 1h, then: []}]}
  - {id: n, agent: n, kind: readonly, when: "${inputs.k == 'no'}", inputs: {}}
"#,
    );
    let mut told = String::new();
    for task in ["g", "w", "r", "n", "nobody"] {
        let orders = orders(task);
        let orders: Vec<&str> = orders.iter().map(String::as_str).collect();
        told.push_str(&asked(&file, START, &orders));
    }
    // The same once the run has turned back: then nothing else is paused.
    let turned = saga(
        r#"
max_parallel: 1
tasks:
  - {id: a, agent: a, compensate: u, inputs: {}}
  - {id: b, agent: b, compensate: u, inputs: {}}
  - {id: c, agent: c, kind: readonly, depends_on: [a, b], inputs: {}}
"#,
    );
    let story = format!("{START}\na done\nb failed x final unknown");
    for task in ["a", "b", "c"] {
        let orders = orders(task);
        let orders: Vec<&str> = orders.iter().map(String::as_str).collect();
        told.push_str(&asked(&turned, &story, &orders));
    }
    // What was given up stands; and the tasks of `then` may still run.
    let kept = saga(
        r#"
on_failure: {strategy: compensate, then: [{id: t, agent: t, kind: readonly, inputs: {}}]}
tasks:
  - {id: a, agent: a, compensate: u, inputs: {}}
  - {id: c, agent: c, kind: readonly, depends_on: [a], inputs: {}}
"#,
    );
    let story = format!("{START}\na done\nc failed x final\na.undo failed y final\nskip a");
    for task in ["a", "c", "t"] {
        let orders = orders(task);
        let orders: Vec<&str> = orders.iter().map(String::as_str).collect();
        told.push_str(&asked(&kept, &story, &orders));
    }
    told.push_str(&asked(
        &kept,
        &story,
        &["cancel", "continue", "a done 1", "c done", "a.undo done"],
    ));
    // While it fails fast.
    let fails = kept
        .replace("strategy: compensate", "strategy: fail_fast")
        .replace(", depends_on: [a]", "");
    let story = format!("{START}\nc failed x final");
    let orders = orders("a");
    let orders: Vec<&str> = orders
        .iter()
        .map(String::as_str)
        .chain(["cancel", "continue", "c done", "c failed y"])
        .collect();
    told.push_str(&asked(&fails, &story, &orders));
    assert_snapshot!(told);
}

fn say(world: &mut World, subject: &Subject, answer: Answer) -> String {
    show(&world.answer(subject.clone(), answer)).trim().to_owned()
}

#[test]
fn answers_are_of_this_run_to_what_was_sent_and_fit_the_command() {
    let file = saga(
        r#"
tasks:
  - {id: a, agent: a, compensate: {emit: t/Undo, await: t/Undone}, inputs: {}}
  - {id: e, emit: t/E, await: t/F, kind: readonly, timeout: 1h, inputs: {}}
  - {id: w, await: t/W, kind: readonly, timeout: 1h}
  - {id: b, agent: b, kind: readonly, depends_on: [a], inputs: {}}
"#,
    );
    let mut world = World::deploy(&file);
    _ = world.play(START);
    let of = |task: &str, kind| Subject {
        workflow: "s:k".into(),
        task: task.into(),
        run: Run(1),
        kind,
        n: 1,
    };
    let done = || Answer::Completed(Json::null());
    let status = || Answer::Status { status: Known::Done, output: Json::null() };
    let (a, e, w) = (of("a", CommandKind::Do), of("e", CommandKind::Do), of("w", CommandKind::Do));
    let old = Subject { run: Run(0), ..a.clone() };
    assert_eq!(say(&mut world, &old, done()), "ignored: old_run");
    assert_eq!(say(&mut world, &e, done()), "dead letter: invalid unknown_command");
    assert_eq!(say(&mut world, &w, done()), "dead letter: invalid unknown_command");
    for wrong in [Answer::NothingToUndo, status()] {
        assert_eq!(say(&mut world, &a, wrong), "dead letter: invalid wrong_answer");
    }
    _ = world.play("a done 1");
    _ = world.play("b failed x final");
    let undo = of("a", CommandKind::Undo);
    assert_eq!(say(&mut world, &undo, done()), "dead letter: invalid unknown_command");
    assert_eq!(world.status(), "compensating");
}

#[test]
fn a_query_is_answered_by_a_status_and_only_the_last_ones_doubts_count() {
    let file = saga("tasks:\n  - {id: a, agent: a, compensate: u, in_doubt: query, inputs: {}}");
    let story = format!("{START}\na failed x final unknown");
    assert_snapshot!(asked(
        &file,
        &story,
        &[
            "a.query done 1",
            "a.query failed x",
            "a.query nothing",
            "a.query progress",
            "a.query2 status done 1"
        ]
    ));
    let story = format!("{story}\na.query status unknown\nwait");
    assert_snapshot!(asked(
        &file,
        &story,
        &[
            "a.query1 status not_done",
            "a.query1 status unknown",
            "a.query1 status done 5",
            "a.query2 status not_done",
            "a.query2 status unknown"
        ]
    ));
}

fn started(world: &mut World, change: impl FnOnce(&mut Start)) -> String {
    let mut start = Start {
        workflow: "s:k".into(),
        saga: "s".into(),
        version: None,
        inputs: Json::parse(br#"{"k":"k"}"#).unwrap(),
        start_id: "first".to_owned(),
        offset: 1,
        trace: None,
        parent: None,
    };
    change(&mut start);
    let shown = show(&world.feed(Cause::Input(&Input::Start(start))));
    shown.lines().next().unwrap_or_default().trim().to_owned()
}

#[test]
fn starts_are_refused_where_they_do_not_fit() {
    let file = saga("inputs: [{name: k, type: string}]\ntasks:\n  - {id: a, agent: a}");
    let new = || World::deploy(&file);
    let inputs = |text: &str| Json::parse(text.as_bytes()).unwrap();
    assert_eq!(started(&mut new(), |_| ()), "WorkflowStarted");
    assert_eq!(
        started(&mut new(), |start| start.workflow = "k".into()),
        "dead letter: invalid bad_workflow_id"
    );
    assert_eq!(
        started(&mut new(), |start| start.workflow = "other:k".into()),
        "dead letter: invalid key_mismatch"
    );
    assert_eq!(
        started(&mut new(), |start| start.workflow = "s:other".into()),
        "dead letter: invalid key_mismatch"
    );
    assert_eq!(
        started(&mut new(), |start| start.inputs = inputs("{}")),
        "dead letter: invalid bad_start"
    );
    assert_eq!(
        started(&mut new(), |start| start.version = Some("000000000000".into())),
        "dead letter: unknown_saga unknown_saga"
    );
    assert_eq!(
        started(&mut new(), |start| (start.saga, start.workflow) = ("t".into(), "t:k".into())),
        "dead letter: unknown_saga unknown_saga"
    );
    for (length, said) in [(512, "WorkflowStarted"), (513, "dead letter: invalid bad_start")] {
        let key = "k".repeat(length);
        let told = started(&mut new(), |start| {
            start.workflow = WorkflowId::of(&SagaName::from("s"), &key);
            start.inputs = inputs(&format!("{{\"k\":\"{key}\"}}"));
        });
        assert_eq!(told, said, "{length}");
    }
    // A key that can not be computed.
    let computed = file.replace("key: ${inputs.k}", "key: ${parse_json(inputs.k).id}");
    assert_eq!(started(&mut World::deploy(&computed), |_| ()), "dead letter: invalid bad_start");
}

#[test]
fn a_second_start_finds_the_first_or_is_refused_as_the_file_says() {
    let file = saga(
        "on_duplicate: reject\ninputs: [{name: k, type: string}]\ntasks:\n  - {id: a, agent: a}",
    );
    for (file, said) in [
        (file.replace("on_duplicate: reject", ""), "ignored: known_workflow"),
        (file, "dead letter: invalid duplicate_start"),
    ] {
        let mut world = World::deploy(&file);
        assert_eq!(started(&mut world, |_| ()), "WorkflowStarted");
        assert_eq!(started(&mut world, |start| start.offset = 2), "ignored: duplicate_start");
        assert_eq!(started(&mut world, |start| start.start_id = "second".to_owned()), said);
        assert_eq!(
            started(&mut world, |start| {
                start.start_id = "second".to_owned();
                start.inputs = Json::parse(b"{}").unwrap();
            }),
            "dead letter: invalid bad_start"
        );
    }
}

#[test]
fn a_definition_says_its_own_name() {
    let file = saga("tasks:\n  - {id: a, agent: a}");
    let mut world = World::default();
    let deploy = |saga: &str, version: Version| Deploy {
        saga: saga.into(),
        version,
        revision: 1,
        text: file.clone(),
        ce_id: "d".to_owned(),
    };
    let version = saga::check(&file).plan.unwrap().version;
    let other = world.feed(Cause::Input(&Input::Deploy(deploy("other", version.clone()))));
    assert_eq!(show(&other), "  dead letter: invalid version_mismatch\n");
    let own = world.feed(Cause::Input(&Input::Deploy(deploy("s", version))));
    assert!(matches!(own, Decision::Accepted(_)), "{own:?}");
}

#[test]
fn an_acknowledgement_counts_for_its_own_run_and_for_what_is_in_doubt() {
    let file = saga(
        r#"
timeout: 1h
tasks:
  - {id: a, agent: a, compensate: u, inputs: {}}
  - {id: e, emit: t/E, kind: pivot, depends_on: [a], timeout: 10s, inputs: {}}
"#,
    );
    // Nobody knows whether the event is out, until it is acknowledged.
    assert_snapshot!(tell(&file, &format!("{START}\na done\nwait\nacked")));
    let mut world = World::deploy(&file);
    for line in [START, "a done"] {
        _ = world.play(line);
    }
    let sent: Vec<_> =
        world.journal.iter().filter(|event| saga::wants_ack(event)).cloned().collect();
    let others: Vec<_> =
        world.journal.iter().filter(|event| !saga::wants_ack(event)).cloned().collect();
    for event in &others {
        assert!(matches!(world.feed(Cause::Sent(event)), Decision::Ignored(_)), "{event:?}");
    }
    // The workflow ends, is forgotten, and begins anew: an acknowledgement of before is not about it.
    for line in ["cancel", "wait", "resolve e not_done", "a.undo done", "wait", "wait"] {
        _ = world.play(line);
    }
    assert_eq!(world.status(), "forgotten");
    _ = world.play(START);
    _ = world.play("a done");
    for event in &sent {
        assert_eq!(show(&world.feed(Cause::Sent(event))), "  ignored: old_run\n");
    }
}

#[test]
fn what_is_refused_is_refused_of_its_workflow() {
    let file = saga("tasks:\n  - {id: a, agent: a}");
    let mut world = World::deploy(&file);
    let mut of = |line: &str| match world.play(line) {
        Decision::DeadLetter(refusal) => refusal.workflow.map(|id| id.to_string()),
        Decision::Accepted(_) | Decision::Ignored(_) => None,
    };
    assert_eq!(of(START), None);
    for line in ["skip a", "signal other {}", "nobody done", "resolve a done"] {
        assert_eq!(of(line).as_deref(), Some("s:k"), "{line}");
    }
    let event = of("expect other:k");
    assert_eq!(event, None);
    assert_eq!(of("event t/E {}").as_deref(), Some("other:k"));
    assert_eq!(of(r#"start s k2 {"k":"k"}"#).as_deref(), Some("s:k2"));
}

#[test]
fn what_has_ended_holds_no_more_than_tells_a_duplicate() {
    let file = saga("tasks:\n  - {id: a, agent: a, kind: readonly}");
    let mut world = World::deploy(&file);
    let large = "y".repeat(100_000);
    _ = world.play(&format!("start s k {{\"k\":\"k\",\"large\":\"{large}\"}}"));
    _ = world.play(&format!("a done \"{large}\""));
    let held = saga::Held::state(&world, "s:k").unwrap().encode().len();
    assert!(held < 1_000, "{held} bytes of an ended workflow");
}
