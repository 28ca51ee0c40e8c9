//! Stories of what meets: a pivot and a group that fails beside it, doubt and the order of undos, time and a cancel.

use insta::assert_snapshot;

use crate::world::tell;

fn told(rest: &str, script: &str) -> String {
    let file = format!(
        "version: \"2.0\"\nname: s\nkey: ${{inputs.k}}\ndefaults: {{timeout: 10s, retry: 1}}\n\
         compensation: {{grace: 5s, retry: 1}}\n{rest}"
    );
    tell(&file, &format!("start s k {{\"k\":\"k\"}}\n{script}"))
}

#[test]
fn nothing_begins_while_a_failure_waits_for_a_pivot() {
    assert_snapshot!(told(
        r#"
on_failure: continue
tasks:
  - id: g
    on_failure: compensate
    tasks:
      - {id: p, agent: p, kind: pivot, inputs: {}}
      - {id: r, agent: r, kind: readonly, inputs: {}}
  - {id: y, agent: y, kind: readonly, inputs: {}}
  - {id: x, agent: x, kind: readonly, depends_on: [y], inputs: {}}
"#,
        "r failed x final\ny done\np failed z final\nx done"
    ));
}

#[test]
fn what_is_undone_beside_a_pivot_goes_on_while_a_cancel_waits_for_it() {
    let file = r#"
tasks:
  - {id: p, agent: p, kind: pivot, timeout: 1h, inputs: {}}
  - id: g
    optional: true
    tasks:
      - {id: a, agent: a, compensate: u, inputs: {}}
      - {id: b, agent: b, kind: readonly, depends_on: [a], inputs: {}}
  - {id: z, agent: z, kind: readonly, depends_on: [g], inputs: {}}
"#;
    let begin = "a done\nb failed x final\ncancel\na.undo done\n";
    assert_snapshot!(told(file, &format!("{begin}p done\nz done")));
    assert_snapshot!(told(file, &format!("{begin}p failed y final")));
    assert_snapshot!(told(
        file,
        "a done\ncancel\nb failed x final\ncancel\np done\na.undo done\nz done"
    ));
}

#[test]
fn an_optional_group_behind_the_pivot_is_undone_by_itself() {
    assert_snapshot!(told(
        r#"
tasks:
  - {id: p, agent: p, kind: pivot, inputs: {}}
  - id: g
    optional: true
    depends_on: [p]
    tasks:
      - {id: a, agent: a, compensate: u, inputs: {}}
      - {id: b, agent: b, kind: readonly, depends_on: [a], inputs: {}}
"#,
        "p done\na done\nb failed x final\na.undo done"
    ));
}

#[test]
fn a_pause_while_turned_back_ends_whatever_paused_the_run_before() {
    assert_snapshot!(told(
        r#"
timeout: 20s
on_failure: pause
tasks:
  - {id: a, agent: a, compensate: u, in_doubt: hold, timeout: 1h, inputs: {}}
"#,
        "wait\ncancel\nwait\na failed x"
    ));
}

#[test]
fn what_is_asked_when_a_run_fails_fast_stays_in_doubt() {
    let file = r#"
on_failure: fail_fast
tasks:
  - {id: a, agent: a, compensate: u, in_doubt: query, inputs: {}}
  - {id: b, agent: b, compensate: u, in_doubt: query, inputs: {}}
  - {id: c, agent: c, compensate: u, in_doubt: hold, inputs: {}}
  - {id: d, agent: d, kind: readonly, inputs: {}}
"#;
    assert_snapshot!(told(
        file,
        "a failed x final unknown\nb failed x final unknown\nb.query status unknown\nc failed x final unknown\nd failed y final\na.query status done 1\nresolve c done 1"
    ));
}

#[test]
fn a_broken_success_changes_nothing_where_a_person_is_asked_already() {
    assert_snapshot!(told(
        "tasks:\n  - {id: a, agent: a, compensate: u, in_doubt: hold, inputs: {}, returns: {n: integer}}",
        "a failed x final unknown\na done 5\nresolve a done 6\na done {\"n\":1}"
    ));
}

#[test]
fn a_group_that_is_skipped_has_its_tasks_skipped_behind_it() {
    assert_snapshot!(told(
        r#"
tasks:
  - id: g
    when: "${inputs.k == 'no'}"
    tasks:
      - {id: a, agent: a, kind: readonly, inputs: {}}
      - {id: c, choice: [{when: "${inputs.k == 'k'}", then: [{id: d, agent: d, kind: readonly}]}, {else: [{id: e, agent: e, kind: readonly}]}]}
  - {id: f, depends_on: [g], for_each: [1], agent: f, kind: readonly}
  - {id: y, agent: y, kind: readonly, inputs: {}}
  - {id: z, agent: z, kind: readonly, depends_on: [g, y], inputs: {s: "${tasks.g.status}"}}
"#,
        "y done\nz done"
    ));
}

#[test]
fn an_element_is_given_what_it_is() {
    assert_snapshot!(told(
        r#"
tasks:
  - {id: each, for_each: ["a", {"n": 1}], agent: x, kind: readonly}
  - id: group
    for_each: {in: [5, 6], as: n, concurrency: 1}
    tasks: [{id: one, agent: o, kind: readonly}, {id: two, agent: t, kind: readonly, inputs: {n: "${n}", i: "${index}"}}]
"#,
        "one[0] done\ntwo[0] done\neach[1] done\neach[0] done\ntwo[1] done\none[1] done"
    ));
}

#[test]
fn what_is_in_doubt_waits_for_the_undo_of_what_came_after_it() {
    let file = r#"
tasks:
  - {id: q, agent: q, kind: readonly, inputs: {}}
  - {id: a, await: {event: t/A, failed: t/F}, compensate: {emit: t/U}, timeout: 20s}
  - {id: x, agent: x, compensate: u, depends_on: {any: [q, a]}, inputs: {}}
  - {id: w, agent: w, kind: readonly, timeout: 1h, inputs: {}}
"#;
    let begin = "q done\nx done 1\nwait\n";
    assert_snapshot!(told(file, &format!("{begin}event t/A {{\"n\":1}}\nx.undo done\nacked")));
    assert_snapshot!(told(file, &format!("{begin}event t/F {{}}\nx.undo done\nacked")));
    assert_snapshot!(told(
        file,
        &format!("{begin}x.undo done\nacked\nevent t/A {{\"n\":1}}\nevent t/A {{\"n\":2}}\nacked")
    ));
}

#[test]
fn a_late_event_is_undone_after_its_task_was() {
    assert_snapshot!(told(
        r#"
tasks:
  - {id: a, await: t/A, compensate: {emit: t/U}, timeout: 10s, optional: true}
  - {id: b, emit: t/B, await: t/C, compensate: {emit: t/V}, timeout: 10s, optional: true, inputs: {}}
  - {id: w, agent: w, kind: readonly, timeout: 1h, inputs: {}}
"#,
        "wait\nacked\nevent t/A {\"n\":1}\nevent t/C {}\nacked\nevent t/A {\"n\":2}\nw done"
    ));
}

#[test]
fn an_attempt_of_unknown_outcome_is_not_repeated_where_that_would_do_it_twice() {
    assert_snapshot!(told(
        "tasks:\n  - {id: a, agent: a, idempotency: none, compensate: u, inputs: {}, retry: 3}\n  - {id: w, agent: w, kind: readonly, timeout: 1h, inputs: {}}",
        "a failed busy unknown\na.undo done\nw failed cancelled"
    ));
    assert_snapshot!(told(
        "tasks:\n  - {id: a, agent: a, idempotency: none, compensate: u, inputs: {}, retry: {max_attempts: 3, backoff: 1s, jitter: 0}}",
        "a failed busy\nwait\na done"
    ));
}

#[test]
fn queries_end_where_the_deadline_does() {
    assert_snapshot!(told(
        "tasks:\n  - {id: a, agent: a, compensate: u, in_doubt: query, deadline: 12s, inputs: {}, retry: {max_attempts: 1, backoff: 1s, factor: 1, jitter: 0}}",
        "wait\na.query status unknown\nwait\na.query status unknown"
    ));
    // Without one after ten minutes.
    assert_snapshot!(told(
        "tasks:\n  - {id: a, agent: a, compensate: u, in_doubt: query, inputs: {}, retry: {max_attempts: 1, backoff: 200s, max_backoff: 200s, factor: 1, jitter: 0}}",
        "wait\na.query status unknown\nwait\nwait\nwait\na.query status unknown\nwait"
    ));
}

#[test]
fn waits_in_the_past_are_over_at_once_and_the_sooner_bound_counts() {
    assert_snapshot!(told(
        r#"
tasks:
  - {id: w, wait: {until: "${inputs.k == 'k' ? '1970-01-01T00:00:00Z' : ''}"}}
  - {id: a, await: t/A, timeout: 20s, deadline: 30s, optional: true}
  - {id: c, await: t/C, timeout: 1h, deadline: "${inputs.k == 'k' ? '1970-01-01T00:00:30Z' : ''}", optional: true}
  - {id: d, await: t/D, timeout: 1h, deadline: "${inputs.k == 'k' ? '1960-01-01T00:00:30Z' : ''}", optional: true}
  - {id: g, timeout: 35s, deadline: 40s, optional: true, tasks: [{id: b, await: t/B}]}
  - {id: r, deadline: 20s, optional: true, choice: [{event: t/R, then: []}, {after: 1h, then: []}]}
"#,
        "wait 1s\nwait\nwait\nwait\nwait"
    ));
}

#[test]
fn a_race_takes_what_came_before_it_began() {
    assert_snapshot!(told(
        r#"
tasks:
  - {id: a, agent: a, kind: readonly, inputs: {}}
  - {id: r, depends_on: [a], choice: [{event: t/X, then: []}, {id: y, event: t/Y, where: "${event.value.n == 2}", then: [{id: b, agent: b, kind: readonly, inputs: {}}]}, {after: 1h, then: []}]}
"#,
        "event t/Y {\"n\":1}\nevent t/Y {\"n\":2}\nevent t/X {}\na done\nb done"
    ));
}

#[test]
fn strategies_of_single_tasks_come_before_those_around_them() {
    let file = |own: &str| {
        format!(
            "on_failure: continue\ntasks:\n  - {{id: a, agent: a, compensate: u, inputs: {{}}}}\n  - {{id: b, agent: b, kind: readonly, depends_on: [a], inputs: {{}}, on_failure: {own}}}\n  - {{id: c, agent: c, kind: readonly, inputs: {{}}}}"
        )
    };
    let fails = "a done\nb failed x final\n";
    assert_snapshot!(told(&file("compensate"), &format!("{fails}c failed cancelled\na.undo done")));
    assert_snapshot!(told(&file("fail_fast"), &format!("{fails}c failed cancelled")));
    assert_snapshot!(told(&file("pause"), &format!("{fails}c done\nretry b\nb done")));
    assert_snapshot!(told(
        &file("{strategy: compensate, then: [{id: t, agent: t, kind: readonly, inputs: {}}]}"),
        &format!("{fails}a.undo done\nt done")
    ));
}

#[test]
fn a_task_that_a_person_skips_or_retries_after_its_fallback_is_as_if_it_had_not_failed() {
    let file = r#"
on_failure: pause
tasks:
  - {id: a, agent: a, compensate: u, inputs: {}, fallback: {agent: f, compensate: v}}
  - {id: b, agent: b, kind: readonly, depends_on: [a], inputs: [a]}
"#;
    assert_snapshot!(told(file, "a failed x final\na~fallback failed y final\nskip a 5\nb done"));
    assert_snapshot!(told(
        file,
        "a failed x final\na~fallback failed y final\nretry a\na failed z final\nskip a\nb done"
    ));
    assert_snapshot!(told(file, "a failed x final unknown\na.undo failed y final\nskip a\nb done"));
    assert_snapshot!(told(file, "a failed x final\na~fallback failed y final\ncontinue"));
}

#[test]
fn what_changes_nothing_and_what_never_began_is_not_heard_while_compensating() {
    let file = r#"
tasks:
  - {id: a, agent: a, compensate: u, inputs: {}}
  - {id: b, agent: b, kind: readonly, inputs: {}}
  - {id: c, agent: c, kind: readonly, inputs: {}}
  - {id: d, agent: d, compensate: u, inputs: {}, retry: {max_attempts: 2, backoff: 1s, jitter: 0}}
  - {id: e, agent: e, kind: readonly, depends_on: [a], inputs: {}}
"#;
    assert_snapshot!(told(
        file,
        "d failed busy\nb failed x final\nb done 1\nc done 1\nd done 2\nd.undo done\na failed cancelled\na done 3\nb done 1"
    ));
}

#[test]
fn the_tasks_of_then_may_stand_in_groups() {
    assert_snapshot!(told(
        r#"
on_failure:
  strategy: compensate
  then:
    - {id: g, tasks: [{id: t, agent: t, kind: readonly, inputs: {}}, {id: s, agent: s, kind: readonly, depends_on: [t], inputs: {}}]}
    - {id: each, depends_on: [g], for_each: [1, 2], agent: o, kind: readonly}
tasks:
  - {id: a, agent: a, compensate: u, inputs: {}}
  - {id: b, agent: b, kind: readonly, depends_on: [a], inputs: {}}
"#,
        "a done\nb failed x final\na.undo done\nt failed y final\ns done\neach[0] done\neach[1] done"
    ));
}

#[test]
fn groups_under_then_are_passed_over_like_its_tasks() {
    let file = |then: &str| {
        format!(
            "on_failure:\n  strategy: compensate\n  then:\n{then}\ntasks:\n  - {{id: b, agent: b, kind: readonly, inputs: {{}}}}"
        )
    };
    // Out of time.
    assert_snapshot!(told(
        &file(
            "    - {id: g, timeout: 12s, tasks: [{id: t, agent: t, kind: readonly, inputs: {}}, {id: s, agent: s, kind: readonly, depends_on: [t], inputs: {}}]}\n    - {id: r, agent: r, kind: readonly, depends_on: [g]}"
        ),
        "b failed x final\nwait 8s\nt done\nwait\nr done\ns done"
    ));
    // Too few elements, and one for the others.
    assert_snapshot!(told(
        &file(
            "    - {id: each, for_each: {in: [1, 2], at_least: 2}, agent: t, kind: readonly, fallback: {agent: f, kind: readonly}}"
        ),
        "b failed x final\neach[0] failed y final\neach~fallback failed z final"
    ));
    assert_snapshot!(told(
        &file(
            "    - {id: t, agent: t, kind: readonly, inputs: {}, fallback: {agent: f, kind: readonly}}\n    - {id: r, agent: r, kind: readonly, depends_on: [t]}"
        ),
        "b failed x final\nt failed y final\nt~fallback failed z final\nr done"
    ));
}

#[test]
fn a_deadline_that_is_over_is_no_time_to_ask_in() {
    assert_snapshot!(told(
        "tasks:\n  - {id: a, agent: a, compensate: u, in_doubt: query, deadline: 10s, inputs: {}, retry: {max_attempts: 1, backoff: 1s, factor: 1, jitter: 0}}",
        "wait\na.query status unknown\nwait\na.query status not_done"
    ));
}

#[test]
fn what_waits_for_an_event_takes_no_room() {
    assert_snapshot!(told(
        r#"
max_parallel: 1
tasks:
  - {id: r, choice: [{event: t/E, then: []}, {after: 1h, then: []}]}
  - {id: g, tasks: [{id: a, agent: a, kind: readonly, optional: true, inputs: {}}]}
  - {id: b, agent: b, kind: readonly, depends_on: [g], inputs: {s: "${tasks.g.status}"}}
  - {id: c, agent: c, kind: readonly, optional: true, inputs: {}}
  - {id: d, agent: d, kind: readonly, depends_on: [c], inputs: {s: "${tasks.c.status}"}}
"#,
        "a failed x final\nc failed y final\nb done\nd done\nevent t/E {}"
    ));
}
