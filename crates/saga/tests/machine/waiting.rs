//! Stories of events, signals and time: what is taken, what is kept, what is passed over.

use std::fmt::Write as _;

use insta::assert_snapshot;
use saga::{Cause, Decision};

use crate::world::{World, show, tell};

fn saga(rest: &str) -> String {
    format!(
        "version: \"2.0\"\nname: s\nkey: ${{inputs.k}}\ndefaults: {{timeout: 10s, retry: 1}}\n\
         compensation: {{grace: 5s, retry: 1}}\n{rest}"
    )
}

#[test]
fn what_comes_before_a_workflow_is_kept_once_and_only_if_a_task_waits_for_it() {
    let saga = saga("tasks:\n  - {id: w, await: {event: t/E, failed: t/F}, timeout: 1h}");
    assert_snapshot!(tell(
        &saga,
        r#"
        expect s:k
        event t/Other {}
        event t/E {"n":1} @7
        event t/E {"n":2} @7
        event t/E {"n":3} @6
        event u/E {}
        start s k {"k":"k"}
        event t/F {} @7
    "#
    ));
    assert_snapshot!(tell(
        &saga,
        r#"
        expect s:k
        event t/F {"n":1}
        start s k {"k":"k"}
    "#
    ));
    assert_snapshot!(tell(
        &saga,
        "expect other:k\nevent t/E {}\nexpect s:k\nstart s k {\"k\":\"k\"}"
    ));
}

#[test]
fn what_comes_too_early_is_left_when_its_time_has_come_each_by_itself() {
    let saga = saga("keep_early: 1m\ntasks:\n  - {id: w, await: t/E, timeout: 1h}");
    let mut world = World::deploy(&saga);
    let mut told = String::new();
    for line in ["expect s:k", "event t/E {}", "wait 30s", "event t/E {}", "wait 30s", "wait 29s"] {
        let decided = world.play(line);
        let left = matches!(&decided, Decision::Accepted(events) if !events.is_empty());
        writeln!(told, "{line}: {left}").unwrap();
        writeln!(told, "  wakes at {:?}", world.wake_at().map(|at| at.as_millis())).unwrap();
    }
    assert_snapshot!(told);
    world.refold();
}

#[test]
fn no_more_is_kept_early_than_fits() {
    let saga = saga(
        "keep_early: 1h\ntasks:\n  - {id: a, agent: a}\n  - {id: w, await: t/E, depends_on: [a], timeout: 1h}",
    );
    let mut world = World::deploy(&saga);
    let full = "  dead letter: too_large early\n";
    _ = world.play("expect s:k");
    for _ in 0..1000 {
        assert_eq!(show(&world.play("event t/E {}")), "");
    }
    assert_eq!(show(&world.play("event t/E {}")), full);
    // The same bound while it runs.
    _ = world.play(r#"start s k {"k":"k"}"#);
    assert_eq!(show(&world.play("event t/E {}")), full);
    let mut world = World::deploy(&saga);
    _ = world.play(r#"start s k {"k":"k"}"#);
    for _ in 0..1000 {
        assert_eq!(show(&world.play("event t/E {}")), "");
    }
    assert_eq!(show(&world.play("event t/E {}")), full);
}

#[test]
fn what_is_kept_early_counts_for_what_a_workflow_may_hold() {
    let saga = saga(
        "tasks:\n  - {id: a, agent: a, kind: readonly, inputs: {}}\n  - {id: b, agent: b, kind: readonly, inputs: {}}\n  \
         - {id: c, agent: b, kind: readonly, inputs: {}}\n  - {id: d, agent: b, kind: readonly, inputs: {}}\n  \
         - {id: e, agent: e}\n  - {id: w, await: t/E, depends_on: [e], timeout: 1h}",
    );
    let mut world = World::deploy(&saga);
    _ = world.play(r#"start s k {"k":"k"}"#);
    let large = format!("\"{}\"", "y".repeat(750 * 1024));
    for task in ["a", "b", "c", "d"] {
        let told = show(&world.play(&format!("{task} done {large}")));
        assert!(told.contains("TaskCompleted"), "{told}");
    }
    let told = show(&world.play(&format!("event t/E {large}")));
    assert_eq!(told, "  dead letter: too_large early\n");
}

#[test]
fn a_signal_counts_once_by_its_id() {
    let saga = saga(
        "tasks:\n  - {id: a, agent: a}\n  - {id: one, await: signal/go, depends_on: [a], timeout: 1h}\n  \
         - {id: two, await: signal/go, depends_on: [a], timeout: 1h}",
    );
    let mut world = World::deploy(&saga);
    _ = world.play(r#"start s k {"k":"k"}"#);
    let mut told = String::new();
    for (id, line) in [("x", ""), ("x", ""), ("y", "a done"), ("y", ""), ("x", ""), ("z", "")] {
        if !line.is_empty() {
            told.push_str(&show(&world.play(line)));
        }
        writeln!(told, "{id}:\n{}", show(&world.signal("go", id)).trim_end()).unwrap();
    }
    assert_snapshot!(told);
    world.refold();
}

#[test]
fn of_signals_the_latest_hundred_are_told_apart() {
    let saga = saga(
        "keep_early: 1h\ntasks:\n  - {id: a, agent: a}\n  - {id: w, await: signal/go, depends_on: [a], timeout: 1h}",
    );
    let mut world = World::deploy(&saga);
    _ = world.play(r#"start s k {"k":"k"}"#);
    for n in 0..100 {
        _ = world.signal("go", &format!("id{n}"));
    }
    assert_eq!(show(&world.signal("go", "id0")), "  ignored: duplicate_signal\n");
    _ = world.signal("go", "id100");
    assert_eq!(show(&world.signal("go", "id1")), "  ignored: duplicate_signal\n");
    assert_eq!(show(&world.signal("go", "id0")), "  SignalReceived go\n");
}

#[test]
fn a_where_that_can_not_be_computed_fails_its_task() {
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: w, await: {event: t/E, where: \"${event.value.n > 1}\"}, timeout: 1h}"
        ),
        "start s k {\"k\":\"k\"}\nevent t/E {\"n\":1}\nevent t/E {\"n\":\"x\"}"
    ));
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: r, choice: [{event: t/E, where: \"${event.value.n > 1}\", then: []}, {after: 1h, then: []}]}"
        ),
        "start s k {\"k\":\"k\"}\nevent t/E {\"n\":1}\nevent t/E {\"n\":\"x\"}"
    ));
}

#[test]
fn an_early_event_is_passed_by_where_its_where_is_false() {
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: a, agent: a}\n  - {id: w, await: {event: t/E, where: \"${event.value.n > 1}\"}, depends_on: [a], timeout: 1h}"
        ),
        r#"
        start s k {"k":"k"}
        event t/E {"n":1}
        event t/E {"n":2}
        event t/E {"n":3}
        a done
    "#
    ));
}

#[test]
fn a_race_without_an_after_ends_with_its_timeout() {
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: r, choice: [{event: t/E, then: []}, {event: t/F, then: []}], timeout: 30s, optional: true}"
        ),
        "start s k {\"k\":\"k\"}\nwait"
    ));
    // The timeout comes before the case that time would take.
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: r, choice: [{event: t/E, then: []}, {after: 1h, then: []}], timeout: 30s, optional: true}"
        ),
        "start s k {\"k\":\"k\"}\nwait"
    ));
    // Of two times the sooner one.
    assert_snapshot!(tell(
        &saga(
            "tasks:\n  - {id: r, choice: [{after: 1h, then: []}, {after: 1m, then: [{id: b, agent: b}]}, {after: 1m, then: []}]}"
        ),
        "start s k {\"k\":\"k\"}\nwait\nb done"
    ));
}

#[test]
fn what_an_element_waits_for_is_kept_while_elements_may_begin() {
    let file = saga(
        r#"
tasks:
  - {id: a, agent: a, kind: readonly}
  - id: each
    depends_on: [a]
    for_each: {in: "${inputs.l}", as: n}
    await: {event: t/E, where: "${event.value.n == n}"}
    timeout: 1h
  - {id: b, agent: b, kind: readonly, timeout: 3h}
"#,
    );
    assert_snapshot!(tell(
        &file,
        r#"
        start s k {"k":"k","l":[1,2]}
        event t/E {"n":2}
        event t/F {"n":2}
        a done
        event t/E {"n":1}
        b done
        event t/E {"n":1}
    "#
    ));
    assert_snapshot!(tell(
        &file,
        r#"
        start s k {"k":"k","l":[1,2]}
        a failed no final
        event t/E {"n":2}
    "#
    ));
}

#[test]
fn a_wake_that_is_not_due_changes_nothing() {
    let saga = saga("tasks:\n  - {id: a, agent: a}");
    assert_snapshot!(tell(&saga, "start s k {\"k\":\"k\"}\nwake\na done\nwake"));
    let mut world = World::deploy(&saga);
    assert_eq!(show(&world.feed(Cause::Wake("s:k"))), "  ignored: not_due\n");
    assert_eq!(show(&world.feed(Cause::Wake(":saga/s"))), "  ignored: not_due\n");
}

#[test]
fn the_timeout_of_a_group_fails_it_and_undoes_what_is_in_it() {
    assert_snapshot!(tell(
        &saga(
            r#"
tasks:
  - id: g
    timeout: 5s
    optional: true
    tasks: [{id: a, agent: a, compensate: u}, {id: b, agent: b, depends_on: [a]}]
  - {id: z, agent: z, depends_on: [g]}
"#
        ),
        r#"
        start s k {"k":"k"}
        a done 1
        wait
        a.undo done
        z done
    "#
    ));
    assert_snapshot!(tell(
        &saga(
            r#"
tasks:
  - id: g
    timeout: 5s
    tasks: [{id: a, agent: a, compensate: u}, {id: b, agent: b, depends_on: [a]}]
"#
        ),
        r#"
        start s k {"k":"k"}
        a done 1
        wait
        a.undo done
    "#
    ));
}

#[test]
fn out_of_time_under_pause_a_person_goes_on_or_cancels() {
    let file = saga(
        "timeout: 20s\non_failure: pause\ntasks:\n  - {id: a, agent: a, compensate: u, timeout: 1h}\n  - {id: b, agent: b, depends_on: [a]}",
    );
    assert_snapshot!(tell(
        &file,
        r#"
        start s k {"k":"k"}
        wait
        a done 1
        wait 1000s
        continue
        b done
    "#
    ));
    assert_snapshot!(tell(
        &file,
        r#"
        start s k {"k":"k"}
        wait
        a done 1
        cancel
        a.undo done
    "#
    ));
    assert_snapshot!(tell(
        &file,
        r#"
        start s k {"k":"k"}
        wait
        a failed no final
        skip a 5
        b done
    "#
    ));
}

#[test]
fn the_time_of_a_group_may_be_over_while_it_is_undone() {
    assert_snapshot!(tell(
        &saga(
            r#"
tasks:
  - id: g
    timeout: 12s
    fallback: {agent: f, kind: readonly}
    tasks:
      - {id: a, agent: a, compensate: u}
      - {id: b, agent: b, kind: readonly, depends_on: [a]}
"#
        ),
        r#"
        start s k {"k":"k"}
        a done 1
        wait 9s
        b failed no final
        wait 4s
        a.undo done
        g~fallback done 2
    "#
    ));
}

#[test]
fn the_time_of_a_group_waits_for_the_outcome_of_a_pivot() {
    let file = saga(
        r#"
on_failure: continue
tasks:
  - id: g
    timeout: 5s
    tasks: [{id: a, agent: a, compensate: u}, {id: p, agent: p, kind: pivot, depends_on: [a]}]
  - {id: z, agent: z, kind: retriable, depends_on: [g]}
"#,
    );
    assert_snapshot!(tell(
        &file,
        r#"
        start s k {"k":"k"}
        a done 1
        wait 6s
        p done 2
        z done
    "#
    ));
    assert_snapshot!(tell(
        &file,
        r#"
        start s k {"k":"k"}
        a done 1
        wait 6s
        p failed no final
        wait
    "#
    ));
    // Before the pivot has begun.
    assert_snapshot!(tell(
        &file,
        r#"
        start s k {"k":"k"}
        wait 6s
        a failed cancelled
    "#
    ));
}

/// What is undone by waiting for somebody who undoes it unasked.
#[test]
fn an_undo_may_be_an_event_alone_or_a_failure() {
    let file = saga(
        r#"
tasks:
  - {id: a, agent: a, compensate: {await: {event: t/Released, failed: t/Stuck}, timeout: 1m}}
  - {id: b, agent: b, depends_on: [a], inputs: {}}
"#,
    );
    assert_snapshot!(tell(
        &file,
        r#"
        start s k {"k":"k"}
        a done 1
        b failed no final
        event t/Released {}
    "#
    ));
    assert_snapshot!(tell(
        &file,
        r#"
        start s k {"k":"k"}
        a done 1
        b failed no final
        event t/Stuck {"why":"rust"}
        event t/Released {}
    "#
    ));
}
