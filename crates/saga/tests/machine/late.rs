//! Stories of what comes late, or turns out otherwise: docs/reference/compensation.md.

use insta::assert_snapshot;

use crate::world::tell;

fn saga(rest: &str) -> String {
    format!("version: \"2.0\"\nname: s\ncompensation: {{grace: 5s}}\n{rest}")
}

#[test]
fn out_of_time_under_continue_what_is_in_doubt_is_resolved_and_what_stands_stays() {
    let saga = saga(
        r#"
timeout: 10s
on_failure: continue
tasks:
  - {id: a, agent: a, compensate: u, timeout: 1h}
  - {id: b, agent: b, compensate: u, timeout: 1h}
  - {id: c, agent: c, compensate: u, timeout: 1h, in_doubt: query}
  - {id: d, agent: d, compensate: u, timeout: 1h, in_doubt: hold}
  - {id: e, agent: e, depends_on: [a, b], inputs: {}}
outputs: [{name: a, from: a.output}]
"#,
    );
    assert_snapshot!(tell(
        &saga,
        r#"
        start s k {}
        a done 1
        wait 10s
        wait 5s
        c.query status not_done
        b.undo nothing
        b done 2
        b.undo2 done
        resolve d done 4
        c done 3
    "#
    ));
}

#[test]
fn what_was_skipped_behind_a_failure_makes_the_run_partial_even_if_it_was_none() {
    let saga = saga(
        r#"
on_failure: continue
tasks:
  - {id: a, agent: a, kind: readonly, retry: 1, timeout: 10s}
  - {id: b, agent: b, depends_on: [a], inputs: {}}
  - {id: c, agent: c}
outputs: [{name: a, from: a.output}]
"#,
    );
    assert_snapshot!(tell(
        &saga,
        r#"
        start s k {}
        wait 10s
        a done 1
        c done
    "#
    ));
}

#[test]
fn a_late_success_of_an_optional_task_is_undone_while_the_run_goes_on_and_after_its_end() {
    let saga = saga(
        r#"
tasks:
  - {id: a, agent: a, compensate: u, retry: 1, timeout: 10s, optional: true}
  - {id: b, agent: b, compensate: u, retry: 1, timeout: 10s, optional: true}
  - {id: c, agent: c, timeout: 1h}
  - {id: d, agent: d, depends_on: [c, a], inputs: [a]}
"#,
    );
    assert_snapshot!(tell(
        &saga,
        r#"
        start s k {}
        wait 10s
        a.undo nothing
        b.undo nothing
        a done 1
        c done
        a.undo2 done
        d done
        b done 2
        b done 2
        b.undo2 done
        wait
        wait
    "#
    ));
}

const COVERED: &str = r#"
on_failure: pause
tasks:
  - {id: a, agent: a, compensate: u, retry: 1, timeout: 10s, fallback: {agent: f, kind: readonly, retry: 1, timeout: 1h}}
  - {id: b, agent: b, depends_on: [a], inputs: [a]}
"#;

#[test]
fn a_late_success_is_undone_and_the_fallback_counts() {
    assert_snapshot!(tell(
        &saga(COVERED),
        r#"
        start s k {}
        wait 10s
        a.undo nothing
        a done 1
        a~fallback done 2
        a.undo2 done
        b done
    "#
    ));
}

#[test]
fn what_an_operator_gives_counts_where_the_fallback_has_failed_too() {
    assert_snapshot!(tell(
        &saga(COVERED),
        r#"
        start s k {}
        wait 10s
        a.undo nothing
        a~fallback failed x final
        skip a 5
        b done
    "#
    ));
    assert_snapshot!(tell(
        &saga(COVERED),
        r#"
        start s k {}
        wait 10s
        a.undo nothing
        a~fallback failed x final
        retry a
        a done 6
        b done
    "#
    ));
}

#[test]
fn a_fallback_that_worked_after_all_ends_the_pause() {
    assert_snapshot!(tell(
        &saga(COVERED),
        r#"
        start s k {}
        wait 10s
        a.undo nothing
        a~fallback failed x final
        a~fallback done 5
        b done
    "#
    ));
}

#[test]
fn what_was_undone_before_its_fallback_stays_undone() {
    assert_snapshot!(tell(
        &saga(COVERED),
        r#"
        start s k {}
        wait 10s
        a.undo done
        cancel
    "#
    ));
}

#[test]
fn what_is_undone_has_no_output_for_others() {
    let saga = saga(
        r#"
tasks:
  - id: g
    optional: true
    sequential: [{id: a, agent: a, compensate: u}, {id: b, agent: b, kind: readonly, retry: 1}]
  - {id: fast, agent: x, kind: readonly}
  - {id: slow, agent: y, compensate: u}
  - {id: first, agent: z, depends_on: {discriminator: [fast, slow]}, inputs: {}}
  - {id: last, agent: z, depends_on: [g, first], inputs: {slow: "${tasks.slow.output}", g: "${tasks.g.output}"}}
"#,
    );
    assert_snapshot!(tell(
        &saga,
        r#"
        start s k {}
        a done 1
        b failed x final
        a.undo done
        fast done 2
        slow done 3
        slow.undo done
        first done
    "#
    ));
}

#[test]
fn a_join_of_what_is_all_skipped_is_skipped_whatever_is_skipped_first() {
    let saga = |a: &str, b: &str| {
        saga(&format!(
            r#"
inputs: [{{name: no, type: boolean}}]
tasks:
  - {{id: first, agent: x, kind: readonly}}
  - {{id: a, agent: a, when: "${{inputs.no}}", inputs: {{}}{a}}}
  - {{id: b, agent: b, when: "${{inputs.no}}", inputs: {{}}{b}}}
  - {{id: join, agent: c, depends_on: {{n_of: 2, tasks: [a, b]}}, inputs: {{}}}}
"#
        ))
    };
    let script = r#"
        start s k {"no":false}
        first done
    "#;
    let late = ", depends_on: [first]";
    assert_snapshot!(tell(&saga(late, ""), script));
    assert_snapshot!(tell(&saga("", late), script));
}

#[test]
fn no_element_begins_once_too_few_can_succeed() {
    let saga = saga(
        r#"
tasks:
  - id: each
    optional: true
    for_each: {in: [1, 2, 3], as: n, concurrency: 1, at_least: 3}
    tasks: [{id: a, agent: a, kind: readonly, retry: 1, inputs: {n: "${n}"}}]
"#,
    );
    assert_snapshot!(tell(
        &saga,
        r#"
        start s k {}
        a[0] failed x final
    "#
    ));
}

#[test]
fn what_was_in_doubt_stays_so_when_its_undo_is_given_up() {
    let saga = saga(
        r#"
tasks:
  - {id: a, agent: a, retry: 1, timeout: 10s, compensate: {type: u, retry: 1}}
  - {id: b, agent: b, compensate: {type: u, retry: 1}}
"#,
    );
    assert_snapshot!(tell(
        &saga,
        r#"
        start s k {}
        b done
        wait 10s
        a.undo failed x final
        b.undo failed x final
        skip a
        skip b
    "#
    ));
}

#[test]
fn what_an_operator_says_is_done_and_was_never_begun_is_not_undone() {
    let saga = saga(
        r"
on_failure: pause
tasks:
  - {id: a, agent: a, compensate: u, retry: 1}
  - {id: b, agent: b, compensate: u}
  - {id: j, agent: c, compensate: u, depends_on: {n_of: 2, tasks: [a, b]}, inputs: {}}
  - {id: d, agent: d, compensate: u, depends_on: [j], inputs: {}}
",
    );
    let told = tell(
        &saga,
        r"
        start s k {}
        a failed no
        skip a
        resolve j done
        b done
        cancel
        d failed cancelled
        b.undo done
    ",
    );
    assert!(told.contains("TaskCompleted j"), "{told}");
    assert!(told.contains("WorkflowCancelled"), "{told}");
    assert!(told.contains("UndoCompleted b") && !told.contains("UndoScheduled j"), "{told}");
}
