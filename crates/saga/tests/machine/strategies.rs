//! Stories of failures within groups: who says what follows, how far it reaches, and what is stopped on the way.

use insta::assert_snapshot;

use crate::world::tell;

fn saga(rest: &str) -> String {
    format!(
        "version: \"2.0\"\nname: s\nkey: ${{inputs.k}}\ndefaults: {{timeout: 10s, retry: 1}}\n\
         compensation: {{grace: 5s, retry: 1}}\n{rest}"
    )
}

fn told(rest: &str, script: &str) -> String {
    tell(&saga(rest), &format!("start s k {{\"k\":\"k\"}}\n{script}"))
}

/// `a` before `g`, in which `b` stands before `c`, and `d` beside; `z` behind.
fn nested(file: &str, group: &str, task: &str) -> String {
    format!(
        r#"
{file}
tasks:
  - {{id: a, agent: a, compensate: u, inputs: {{}}}}
  - id: g
    depends_on: [a]
    {group}
    tasks:
      - {{id: b, agent: b, compensate: u, inputs: {{}}}}
      - {{id: c, agent: c, kind: readonly, depends_on: [b], inputs: {{}}{task}}}
      - {{id: d, agent: d, compensate: u, inputs: {{}}}}
  - {{id: z, agent: z, kind: readonly, depends_on: [g], inputs: [g]}}
outputs: [{{name: g, from: g.output}}]
"#
    )
}

const FAILS: &str = "a done 1\nb done 2\nc failed x final\n";

#[test]
fn a_savepoint_undoes_what_is_in_it_and_then_what_is_around_it_says() {
    let own = "on_failure: compensate";
    assert_snapshot!(told(
        &nested("on_failure: continue", own, ""),
        &format!("{FAILS}d done 3\nd.undo done\nb.undo done")
    ));
    assert_snapshot!(told(
        &nested("on_failure: pause", own, ""),
        &format!("{FAILS}d failed cancelled\nb.undo done\nretry g\nskip g 7\nz done")
    ));
    assert_snapshot!(told(
        &nested("on_failure: fail_fast", own, ""),
        &format!("{FAILS}d failed cancelled\nb.undo done")
    ));
    assert_snapshot!(told(
        &nested("", own, ""),
        &format!("{FAILS}d failed cancelled\nb.undo done\na.undo done")
    ));
}

#[test]
fn a_group_that_fails_fast_stops_what_is_in_it_and_undoes_nothing() {
    let own = "on_failure: fail_fast";
    assert_snapshot!(told(
        &nested("on_failure: continue", own, ""),
        &format!("{FAILS}wait\nd done 4")
    ));
    assert_snapshot!(told(
        &nested("", own, ""),
        &format!("{FAILS}d done 3\nb.undo done\nd.undo done\na.undo done")
    ));
    // What a task says of itself comes first, and reaches as far as the whole.
    assert_snapshot!(told(
        &nested("on_failure: continue", "", ", on_failure: fail_fast"),
        &format!("{FAILS}d failed cancelled")
    ));
    assert_snapshot!(told(
        &nested("on_failure: continue", own, ", on_failure: fail_fast"),
        &format!("{FAILS}d failed cancelled\nz done")
    ));
}

#[test]
fn a_group_that_continues_or_pauses_keeps_the_failure_in_it() {
    assert_snapshot!(told(
        &nested("", "on_failure: continue", ""),
        &format!("{FAILS}d done 3\nz done")
    ));
    assert_snapshot!(told(
        &nested("", "on_failure: pause", ""),
        &format!("{FAILS}d done 3\nskip c 9\nz done")
    ));
    assert_snapshot!(told(
        &nested("on_failure: continue", "on_failure: compensate", ", on_failure: continue"),
        &format!("{FAILS}d done 3\nz done")
    ));
    assert_snapshot!(told(
        &nested("on_failure: continue", "", ", on_failure: compensate"),
        &format!("{FAILS}d failed cancelled\nb.undo done\na.undo done")
    ));
}

#[test]
fn the_nearest_that_catches_a_failure_decides() {
    let file = |inner: &str, outer: &str| {
        format!(
            r#"
tasks:
  - id: outer
    {outer}
    tasks:
      - {{id: o, agent: o, compensate: u, inputs: {{}}}}
      - id: inner
        depends_on: [o]
        {inner}
        tasks:
          - {{id: i, agent: i, compensate: u, inputs: {{}}}}
          - {{id: f, agent: f, kind: readonly, depends_on: [i], inputs: {{}}}}
  - {{id: z, agent: z, kind: readonly, depends_on: [outer], inputs: {{}}}}
"#
        )
    };
    let fails = "o done 1\ni done 2\nf failed x final\n";
    assert_snapshot!(told(
        &file("optional: true", "optional: true"),
        &format!("{fails}i.undo done\nz done")
    ));
    assert_snapshot!(told(
        &file("labels: {}", "optional: true"),
        &format!("{fails}i.undo done\no.undo done\nz done")
    ));
    assert_snapshot!(told(
        &file("on_failure: fail_fast", "optional: true"),
        &format!("{fails}i.undo done\no.undo done\nz done")
    ));
    assert_snapshot!(told(
        &file("on_failure: compensate", "on_failure: fail_fast"),
        &format!("{fails}i.undo done\no.undo done")
    ));
    assert_snapshot!(told(
        &file("optional: true", "on_failure: pause"),
        &format!("{fails}i.undo done\nz done")
    ));
    assert_snapshot!(told(
        &file("fallback: {agent: x, kind: readonly}", "on_failure: continue"),
        &format!("{fails}i.undo done\ninner~fallback failed y final\nz done")
    ));
}

#[test]
fn behind_its_pivot_a_savepoint_pauses() {
    let file = r#"
on_failure: continue
tasks:
  - id: g
    on_failure: compensate
    tasks:
      - {id: a, agent: a, compensate: u, inputs: {}}
      - {id: p, agent: p, kind: pivot, depends_on: [a], inputs: {}}
      - {id: r, agent: r, kind: readonly, depends_on: [p], inputs: {}}
  - {id: z, agent: z, kind: readonly, depends_on: [g], inputs: {}}
"#;
    assert_snapshot!(told(
        file,
        "a done\np done\nr failed x final\nretry r\nr failed x final\nskip r\nz done"
    ));
    assert_snapshot!(told(file, "a done\np failed x final\na.undo done"));
    // The pivot's outcome is waited for.
    let beside = file.replace(
        "      - {id: r, agent: r, kind: readonly, depends_on: [p], inputs: {}}\n",
        "      - {id: r, agent: r, kind: readonly, inputs: {}}\n",
    );
    assert_snapshot!(told(&beside, "a done\nr failed x final\np failed y final\na.undo done"));
    assert_snapshot!(told(&beside, "a done\nr failed x final\np done\ncontinue\nz done"));
}

#[test]
fn the_closing_tasks_of_a_group_run_once_it_is_undone() {
    let file = r#"
on_failure: {strategy: continue, then: [{id: t, agent: t, kind: retriable, inputs: {}}]}
tasks:
  - id: g
    on_failure: {strategy: compensate, then: [{id: tell, agent: t, kind: readonly, inputs: {why: "${saga.error.code}"}}, {id: then, agent: t, kind: readonly, depends_on: [tell]}]}
    tasks:
      - {id: a, agent: a, compensate: u, inputs: {}}
      - {id: b, agent: b, kind: readonly, depends_on: [a], inputs: {}}
  - {id: z, agent: z, kind: readonly, inputs: {}}
"#;
    assert_snapshot!(told(
        file,
        "a done\nb failed x final\na.undo done\ntell done\nthen done\nz done\nt done"
    ));
    assert_snapshot!(told(
        file,
        "a done\nb failed x final\na.undo done\ntell failed y final\nthen failed y final\nz done\nt done"
    ));
    assert_snapshot!(told(
        file,
        "a done\nb failed x final\na.undo done\ncancel\nz failed cancelled\nthen failed cancelled\nt done"
    ));
}

#[test]
fn each_that_was_gone_on_without_has_its_closing_tasks_run_once() {
    assert_snapshot!(told(
        r#"
on_failure: {strategy: compensate, then: [{id: t, agent: t, kind: retriable, inputs: {}}]}
tasks:
  - {id: a, agent: a, kind: readonly, inputs: {}, on_failure: {strategy: continue, then: [{id: ta, agent: t, kind: readonly, inputs: {}}]}}
  - id: g
    on_failure: {strategy: continue, then: [{id: tg, agent: t, kind: readonly, inputs: {}}]}
    tasks: [{id: b, agent: b, kind: readonly, inputs: {}}, {id: c, agent: c, kind: readonly, inputs: {}}]
"#,
        "b failed y final\na failed x final\nc failed z final\ntg done\nta done"
    ));
    // Where no task has failed there is no failure to deal with.
    assert_snapshot!(told(
        r#"
on_failure: {strategy: compensate, then: [{id: t, agent: t, kind: retriable, inputs: {}}]}
tasks: [{id: a, agent: a, kind: readonly, inputs: {}}]
outputs: [{name: n, from: "${tasks.a.output.n + 1}"}]
"#,
        "a done {}\nt done"
    ));
}

#[test]
fn a_fallback_that_works_is_stopped_with_what_it_stands_for() {
    let file = r#"
tasks:
  - {id: a, agent: a, compensate: u, inputs: {}, fallback: {agent: f, compensate: v}}
  - {id: b, agent: b, kind: readonly, timeout: 1h, inputs: {}}
"#;
    assert_snapshot!(told(file, "a failed x final\ncancel\na~fallback failed cancelled"));
    assert_snapshot!(told(
        file,
        "a failed x final\ncancel\na~fallback done 1\na~fallback.undo done"
    ));
    assert_snapshot!(told(
        file,
        "a failed x final\nb failed x final\nwait\na~fallback.undo nothing"
    ));
    assert_snapshot!(told(
        file,
        "wait\na.undo nothing\ncancel\na~fallback done 1\na~fallback.undo done"
    ));
    assert_snapshot!(told(
        file,
        "a failed x final\na~fallback done 1\nb failed x final\na~fallback.undo done"
    ));
    let loses = r#"
tasks:
  - {id: a, agent: a, compensate: u, inputs: {}, fallback: {agent: f, compensate: v}}
  - {id: b, agent: b, kind: readonly, timeout: 1h, inputs: {}}
  - {id: j, agent: j, kind: readonly, depends_on: {discriminator: [a, b]}, inputs: {a: "${tasks.a.output}"}}
  - {id: k, agent: k, kind: readonly, depends_on: [a, j], inputs: [a]}
"#;
    assert_snapshot!(told(
        loses,
        "a failed x final\nb done 2\na~fallback failed cancelled\nj done\nk done"
    ));
    assert_snapshot!(told(
        loses,
        "a failed x final\nb done 2\na~fallback done 1\na~fallback.undo done\nj done\nk done"
    ));
    assert_snapshot!(told(
        loses,
        "wait\na.undo done\nb done 2\na~fallback failed cancelled\nj done\nk done"
    ));
    assert_snapshot!(told(loses, "b done 2\na done 1\na.undo done\nj done\nk done"));
    assert_snapshot!(told(loses, "a failed x final\na~fallback done 1\nb done 2\nj done\nk done"));
}

#[test]
fn a_group_that_lost_a_race_is_stopped_and_undone() {
    let file = r#"
tasks:
  - id: g
    tasks:
      - {id: a, agent: a, compensate: u, inputs: {}}
      - {id: b, agent: b, kind: readonly, depends_on: [a], inputs: {}}
  - {id: r, choice: [{event: t/E, then: [{id: e, agent: e, compensate: u, inputs: {}}]}, {after: 1h, then: []}]}
  - {id: w, agent: w, kind: readonly, inputs: {}}
  - {id: j, agent: j, kind: readonly, depends_on: {n_of: 1, tasks: [g, r, w], rest: cancel}, inputs: {g: "${tasks.g.output}"}}
"#;
    assert_snapshot!(told(file, "a done 1\nw done 2\nevent t/E {}\na.undo done\nj done"));
    assert_snapshot!(told(
        file,
        "event t/E {}\nw done 2\na failed x\ne done 1\ne.undo done\nj done"
    ));
    assert_snapshot!(told(
        file,
        "a done 1\nevent t/E {}\nb failed y final\na.undo done\ne failed cancelled"
    ));
}

#[test]
fn what_is_doubtful_is_undone_before_the_run_goes_on() {
    let file = |file: &str, more: &str| {
        format!(
            "{file}\ntasks:\n  - {{id: a, agent: a, compensate: u, inputs: {{}}{more}}}\n  - {{id: b, agent: b, kind: readonly, depends_on: [a], inputs: [a]}}\n  - {{id: c, agent: c, kind: readonly, inputs: {{}}}}"
        )
    };
    let doubt = "a failed x final unknown\n";
    assert_snapshot!(told(
        &file("on_failure: continue", ""),
        &format!("{doubt}a.undo done\nc done")
    ));
    assert_snapshot!(told(
        &file("on_failure: continue", ""),
        &format!("{doubt}a done 1\na.undo1 done\na.undo2 done\nc done")
    ));
    assert_snapshot!(told(
        &file("on_failure: pause", ""),
        &format!("{doubt}resolve a undone\ncontinue\nresolve a done 1\nb done\nc done")
    ));
    assert_snapshot!(told(
        &file("on_failure: fail_fast", ""),
        &format!("{doubt}c failed cancelled\na done 1\na.undo done")
    ));
    assert_snapshot!(told(
        &file("", ", optional: true"),
        &format!("{doubt}a.undo failed y final\nskip a\nb done\nc done")
    ));
    assert_snapshot!(told(
        &file("", ", optional: true"),
        &format!("{doubt}a.undo failed y final\nretry a\na.undo done\nb done\nc done")
    ));
    assert_snapshot!(told(
        &file("", ", in_doubt: query, optional: true"),
        &format!("{doubt}a.query status done 5\nb done\nc done")
    ));
    assert_snapshot!(told(
        &file("", ", in_doubt: hold"),
        &format!(
            "{doubt}cancel\nretry a\nskip a\nc failed cancelled\nresolve a done 1\na.undo done"
        )
    ));
}

#[test]
fn elements_that_fail_are_undone_by_themselves_where_not_all_are_wanted() {
    let file = |at_least: &str| {
        format!(
            r#"
tasks:
  - id: each
    for_each: {{in: [1, 2, 3], as: n, at_least: {at_least}}}
    tasks:
      - {{id: a, agent: a, compensate: u, inputs: {{n: "${{n}}"}}}}
      - {{id: b, agent: b, kind: readonly, depends_on: [a], inputs: {{}}}}
  - {{id: z, agent: z, kind: readonly, depends_on: [each]}}
"#
        )
    };
    let all = "a[0] done 0\na[1] done 1\na[2] done 2\n";
    assert_snapshot!(told(
        &file("2"),
        &format!("{all}b[1] failed x final\nb[0] done\nb[2] done\na[1].undo done\nz done")
    ));
    assert_snapshot!(told(
        &file("2"),
        &format!(
            "{all}b[1] failed x final\nb[0] failed x final\na[1].undo done\na[0].undo done\na[2].undo done"
        )
    ));
    assert_snapshot!(told(
        &file("all"),
        &format!("{all}b[1] failed x final\na[1].undo done\na[0].undo done\na[2].undo done")
    ));
}

#[test]
fn no_more_than_max_parallel_tasks_are_in_flight_and_those_alone_wait_for_one_another() {
    let file = r#"
max_parallel: 2
tasks:
  - {id: a, agent: a, kind: readonly, parallel: false, inputs: {}}
  - {id: b, agent: b, kind: readonly, parallel: false, inputs: {}}
  - id: g
    tasks:
      - {id: c, agent: c, kind: readonly, parallel: false, inputs: {}}
      - {id: d, agent: d, kind: readonly, inputs: {}}
      - {id: e, agent: e, kind: readonly, parallel: false, inputs: {}}
  - {id: h, parallel: false, tasks: [{id: i, agent: i, kind: readonly, inputs: {}}]}
"#;
    assert_snapshot!(told(file, "a done\nc done\nb done\nd done\ne done\ni done"));
    assert_snapshot!(told(file, "c done\na done\nd done\ne done\nb done\ni done"));
}
