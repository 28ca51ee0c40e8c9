//! Stories of what a file computes: keys, times, lists, values, conditions; and of what can not be computed.

use insta::assert_snapshot;

use crate::world::{World, show, tell};

fn saga(rest: &str) -> String {
    format!(
        "version: \"2.0\"\nname: s\ndefaults: {{timeout: 10s}}\n\
         compensation: {{grace: 5s, retry: 1}}\n{rest}"
    )
}

#[test]
fn an_idempotency_key_is_computed_once_and_is_short_text() {
    let file = saga(
        "tasks:\n  - {id: a, agent: a, kind: retriable, idempotency: \"${inputs.key}\", retry: {max_attempts: 3, jitter: 0}}",
    );
    assert_snapshot!(tell(
        &file,
        r#"
        start s k {"key":"K"}
        a failed busy
        wait
        a done
    "#
    ));
    assert_snapshot!(tell(&file, r#"start s k {"key":17}"#));
    assert_snapshot!(tell(&file, r#"start s k {"key":true}"#));
    for bad in [r#""""#, "null", "[1]", r#"{"a":1}"#] {
        let mut world = World::deploy(&file);
        let told = show(&world.play(&format!("start s k {{\"key\":{bad}}}")));
        assert!(told.contains("TaskFailed a 0 expression"), "{bad}: {told}");
    }
    for (length, fits) in [(1024, true), (1025, false)] {
        let mut world = World::deploy(&file);
        let told = show(&world.play(&format!("start s k {{\"key\":\"{}\"}}", "k".repeat(length))));
        assert_eq!(told.contains("TaskScheduled a 1"), fits, "{length}: {told}");
    }
}

#[test]
fn a_key_that_would_be_another_later_stays() {
    let told = tell(
        &saga(
            "tasks:\n  - {id: a, agent: a, kind: retriable, idempotency: \"at ${saga.now}\", retry: {max_attempts: 3, jitter: 0}}",
        ),
        "start s k {}\na failed busy\nwait",
    );
    assert_eq!(told.matches(" key at 1970-01-01T00:00:00.000Z ").count(), 2, "{told}");
}

#[test]
fn what_is_done_anew_has_another_key() {
    assert_snapshot!(tell(
        &saga(
            "on_failure: pause\ntasks:\n  - {id: a, agent: a, compensate: u, retry: 1, idempotency: \"${inputs.key}\"}"
        ),
        r#"
        start s k {"key":"K"}
        wait
        resolve a not_done
        retry a
        a done
    "#
    ));
    assert_snapshot!(tell(
        &saga(
            "on_failure: pause\ntasks:\n  - {id: a, agent: a, compensate: u, retry: 1, idempotency: \"${inputs.key}\", fallback: {agent: f, kind: readonly, retry: 1}}"
        ),
        r#"
        start s k {"key":"K"}
        wait
        a.undo done
        a~fallback failed x final
        retry a
        a.undo1 done
        a.undo1 failed x
        a.do1 failed x
        a.do1 progress
        a.do1 nothing
        a.do1 done 1
        a.do2 done 2
    "#
    ));
}

#[test]
fn a_deadline_at_a_time_is_computed_when_the_task_is_ready() {
    let file = saga(
        "tasks:\n  - {id: a, agent: a, kind: readonly, timeout: 10s, deadline: \"${inputs.at}\", retry: {max_attempts: 9, backoff: 1s, jitter: 0}}",
    );
    assert_snapshot!(tell(
        &file,
        r#"
        start s k {"at":"1970-01-01T00:00:12Z"}
        wait
        a failed busy
    "#
    ));
    assert_snapshot!(tell(&file, r#"start s k {"at":"soon"}"#));
    assert_snapshot!(tell(&file, r#"start s k {"at":5}"#));
}

#[test]
fn a_deadline_counts_from_when_the_task_is_ready_and_anew_where_a_person_retries() {
    assert_snapshot!(tell(
        &saga(
            "on_failure: pause\ntasks:\n  - {id: a, agent: a, kind: readonly, timeout: 10s, deadline: 12s, retry: {max_attempts: 3, backoff: 1s, jitter: 0}}"
        ),
        r#"
        start s k {}
        wait
        wait
        wait
        wait 100s
        retry a
        wait
        a done
    "#
    ));
    // The next attempt would begin just when it is over.
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: a, agent: a, kind: readonly, timeout: 10s, deadline: 11s, retry: {max_attempts: 3, backoff: 1s, jitter: 0}}"
        ),
        "start s k {}\nwait"
    ));
}

#[test]
fn an_event_has_the_key_the_value_and_the_headers_that_the_file_says() {
    let file = |more: &str| {
        saga(&format!(
            "key: ${{inputs.k}}\ntasks:\n  - {{id: e, kind: retriable, emit: {{event: t/E, {more}}}, inputs: {{n: 1}}}}"
        ))
    };
    let start = r#"start s k {"k":"k","x":5,"list":[1]}"#;
    let acked = format!("{start}\nacked\nacked");
    assert_snapshot!(tell(
        &file("value: {v: \"${inputs.x}\"}, key: \"${inputs.x}\", headers: {h: \"${inputs.x}\"}"),
        &acked
    ));
    assert_snapshot!(tell(&file("key: \"${inputs.list}\""), start));
    assert_snapshot!(tell(&file("headers: {h: \"${inputs.list}\"}"), start));
    assert_snapshot!(tell(&file("value: \"${inputs.none}\""), start));
}

#[test]
fn a_request_sends_its_value_and_each_attempt_the_same_id() {
    assert_snapshot!(tell(
        &saga(
            r#"
key: ${inputs.k}
tasks:
  - id: q
    emit: {event: t/Asked, value: {v: 1}}
    await: {event: t/Given, failed: t/Refused}
    compensate: {emit: {event: t/Dropped, value: {o: "${original.output}"}}, await: t/Gone}
    timeout: 10s
    retry: {max_attempts: 2, backoff: 1s, jitter: 0}
  - {id: b, agent: b, depends_on: [q], inputs: {}, retry: 1}
"#
        ),
        r#"
        start s k {"k":"k"}
        acked
        wait
        wait
        event t/Given {"x":1}
        b failed no final
        acked
        event t/Gone {}
    "#
    ));
}

#[test]
fn a_for_each_goes_over_a_list_that_fits() {
    let file = saga(
        "tasks:\n  - {id: each, for_each: \"${inputs.l}\", agent: x, kind: readonly, inputs: {}}\n  - {id: b, agent: b, kind: readonly, depends_on: [each]}",
    );
    for bad in ["5", "null", "\"x\"", "{}", "true"] {
        let mut world = World::deploy(&file);
        let told = show(&world.play(&format!("start s k {{\"l\":{bad}}}")));
        assert!(told.contains("TaskFailed each 0 expression"), "{bad}: {told}");
    }
    // Two of the plan stand beside its elements.
    for (count, fits) in [(9_997, true), (9_998, true), (9_999, false)] {
        let mut world = World::deploy(&file);
        let list = vec!["1"; count].join(",");
        let told = show(&world.play(&format!("start s k {{\"l\":[{list}]}}")));
        assert_eq!(!told.contains("TaskFailed each 0 too_large"), fits, "{count}");
    }
}

#[test]
fn a_list_that_does_not_fit_beside_what_is_held_is_too_large() {
    let file = saga(
        r#"
tasks:
  - {id: a, agent: a, kind: readonly, inputs: {}}
  - {id: b, agent: b, kind: readonly, inputs: {}}
  - {id: c, agent: c, kind: readonly, inputs: {}}
  - {id: each, for_each: "${tasks.a.output}", depends_on: [a, b, c], agent: x, kind: readonly, inputs: {}}
"#,
    );
    let mut world = World::deploy(&file);
    _ = world.play("start s k {}");
    let large = format!("[\"{}\"]", "y".repeat(850 * 1024));
    for task in ["a", "b"] {
        _ = world.play(&format!("{task} done {large}"));
    }
    let told = show(&world.play(&format!("c done {large}")));
    assert!(told.contains("TaskFailed each 0 too_large"), "{told}");
    // Nor do inputs.
    let file = file
        .replace("for_each: \"${tasks.a.output}\", ", "")
        .replace("kind: readonly, inputs: {}}\n\n", "kind: readonly, inputs: [a]}\n");
    let file = file
        .replace("agent: x, kind: readonly, inputs: {}", "agent: x, kind: readonly, inputs: [a]");
    let mut world = World::deploy(&file);
    _ = world.play("start s k {}");
    for task in ["a", "b"] {
        _ = world.play(&format!("{task} done {large}"));
    }
    let told = show(&world.play(&format!("c done {large}")));
    assert!(told.contains("TaskFailed each 0 too_large"), "{told}");
}

#[test]
fn outputs_that_do_not_fit_make_the_run_partial() {
    let file = saga(
        r#"
tasks:
  - {id: a, agent: a, kind: readonly, inputs: {}}
  - {id: b, agent: b, kind: readonly, inputs: {}}
outputs: [{name: a, from: a.output}, {name: b, from: b.output}]
"#,
    );
    let mut world = World::deploy(&file);
    _ = world.play("start s k {}");
    let large = format!("\"{}\"", "y".repeat(500 * 1024));
    _ = world.play(&format!("a done {large}"));
    let told = show(&world.play(&format!("b done {large}")));
    assert!(told.contains("WorkflowFailed partial: - too_large"), "{}", &told[told.len() - 300..]);
}

#[test]
fn outputs_that_can_not_be_computed_make_the_run_partial() {
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: a, agent: a, kind: readonly, inputs: {}}\noutputs: [{name: n, from: \"${tasks.a.output.n + 1}\"}]"
        ),
        "start s k {}\na done {\"n\":\"x\"}"
    ));
}

#[test]
fn a_group_gives_what_its_outputs_say_and_fails_where_they_can_not_be_computed() {
    let file = saga(
        r#"
tasks:
  - id: g
    optional: true
    tasks:
      - {id: a, agent: a, compensate: u, inputs: {}}
      - {id: b, agent: b, kind: readonly, inputs: {}}
    outputs: [{name: sum, from: "${tasks.a.output + tasks.b.output}"}]
  - {id: z, agent: z, kind: readonly, depends_on: [g]}
"#,
    );
    assert_snapshot!(tell(&file, "start s k {}\na done 1\nb done 2\nz done"));
    assert_snapshot!(tell(&file, "start s k {}\na done 1\nb done \"x\"\na.undo done\nz done"));
}

#[test]
fn conditions_that_can_not_be_computed_fail_their_task() {
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: a, agent: a, kind: readonly, when: \"${inputs.n > 1}\", inputs: {}, optional: true}"
        ),
        r#"start s k {"n":"x"}"#
    ));
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: a, agent: a, kind: readonly, when: \"${inputs.n}\", inputs: {}, optional: true}"
        ),
        r#"start s k {"n":"x"}"#
    ));
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: r, optional: true, choice: [{when: \"${inputs.n > 1}\", then: []}, {else: []}]}"
        ),
        r#"start s k {"n":"x"}"#
    ));
    // What a group is given, or by when it must be over.
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: g, optional: true, deadline: \"${inputs.n}\", tasks: [{id: a, agent: a, kind: readonly}]}"
        ),
        r#"start s k {"n":"x"}"#
    ));
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: g, optional: true, deadline: \"${inputs.n}\", for_each: [1], agent: a, kind: readonly}"
        ),
        r#"start s k {"n":"x"}"#
    ));
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: g, optional: true, inputs: {n: \"${inputs.n + 1}\"}, choice: [{else: [{id: a, agent: a, kind: readonly}]}]}"
        ),
        r#"start s k {"n":"x"}"#
    ));
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: g, optional: true, inputs: {n: \"${inputs.n + 1}\"}, choice: [{after: 1m, then: []}]}"
        ),
        r#"start s k {"n":"x"}"#
    ));
}

#[test]
fn shares_are_rounded_up_and_a_list_that_is_too_short_fails() {
    let file = |at_least: &str| {
        saga(&format!(
            "tasks:\n  - id: each\n    optional: true\n    for_each: {{in: \"${{inputs.l}}\", as: n, at_least: {at_least}}}\n    agent: a\n    kind: readonly\n    retry: 1\n    inputs: {{n: \"${{n}}\"}}"
        ))
    };
    // Of three, half are two.
    assert_snapshot!(tell(
        &file("50%"),
        "start s k {\"l\":[1,2,3]}\neach[0] failed x final\neach[1] done 1\neach[2] done 2"
    ));
    assert_snapshot!(tell(
        &file("50%"),
        "start s k {\"l\":[1,2,3]}\neach[0] failed x final\neach[1] failed x final"
    ));
    assert_snapshot!(tell(&file("5"), "start s k {\"l\":[1,2]}\neach[0] done 1\neach[1] done 2"));
    assert_snapshot!(tell(
        &file("5"),
        "start s k {\"l\":[1,2]}\neach[0] done 1\neach[1] failed x final"
    ));
}

#[test]
fn a_fallback_of_a_for_each_that_never_had_a_list_is_given_what_was_to_be_gone_over() {
    assert_snapshot!(tell(
        &saga(
            r#"
tasks:
  - id: each
    for_each: {in: "${inputs.l}", at_least: 1}
    agent: a
    kind: readonly
    retry: 1
    depends_on: {any: [p]}
    fallback: {agent: f, kind: readonly}
  - {id: p, agent: p, kind: readonly, retry: 1, optional: true, inputs: {}}
"#
        ),
        "start s k {\"l\":[1,2]}\np failed x final"
    ));
}
