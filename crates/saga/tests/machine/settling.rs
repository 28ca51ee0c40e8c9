//! Stories of what counts and what does not once something has failed: outputs, statuses, ends, what comes late.

use insta::assert_snapshot;
use saga::{Cause, Deploy, Input};

use crate::world::{World, command, show, tell};

fn saga(rest: &str) -> String {
    format!(
        "version: \"2.0\"\nname: s\nkey: ${{inputs.k}}\ndefaults: {{timeout: 10s, retry: 1}}\n\
         compensation: {{grace: 5s, retry: 1}}\n{rest}"
    )
}

fn told(rest: &str, script: &str) -> String {
    tell(&saga(rest), &format!("start s k {{\"k\":\"k\"}}\n{script}"))
}

#[test]
fn a_run_does_not_end_while_something_of_a_group_that_has_failed_is_undone_late() {
    assert_snapshot!(told(
        r#"
tasks:
  - {id: g, optional: true, tasks: [{id: a, agent: a, compensate: u, inputs: {}}]}
  - {id: b, agent: b, kind: readonly, timeout: 1h, inputs: {}}
"#,
        "wait\na.undo nothing\na done 1\nb done\na.undo2 done"
    ));
    assert_snapshot!(told(
        r#"
tasks:
  - {id: g, optional: true, tasks: [{id: a, agent: a, compensate: u, inputs: {}}]}
  - {id: b, agent: b, kind: readonly, timeout: 1h, inputs: {}}
"#,
        "wait\na.undo nothing\na done 1\nb done\na.undo2 failed x final\nskip a"
    ));
}

#[test]
fn what_was_skipped_within_a_group_that_was_undone_is_no_loss_of_the_run() {
    assert_snapshot!(told(
        r#"
tasks:
  - id: g
    optional: true
    tasks:
      - {id: a, agent: a, kind: readonly, inputs: {}, on_failure: continue}
      - {id: b, agent: b, kind: readonly, depends_on: [a], inputs: {}}
      - {id: c, agent: c, kind: readonly, inputs: {}}
"#,
        "a failed x final\nc failed y final"
    ));
}

#[test]
fn a_success_of_what_a_fallback_stands_for_is_undone_once() {
    let file = r#"
tasks:
  - {id: a, agent: a, compensate: u, inputs: {}, retry: {max_attempts: 2, backoff: 1s, jitter: 0}, fallback: {agent: f, kind: readonly, timeout: 1h}}
  - {id: b, agent: b, kind: readonly, depends_on: [a], inputs: [a]}
"#;
    assert_snapshot!(told(
        file,
        "a failed x final\na done 1\na done 1\na.undo done\na~fallback done 2\na done 1\nb done"
    ));
    assert_snapshot!(told(
        file,
        "a failed x final\na~fallback done 2\na done 1\na.undo failed y final\nskip a\nb done"
    ));
    let plain = file.replace("compensate: u, ", "kind: readonly, ");
    assert_snapshot!(told(
        &plain,
        "a failed x final\na done 1\na~fallback done 2\na done 1\nb done"
    ));
    // It has worked after all, though it was said to have failed.
    assert_snapshot!(told(
        "on_failure: continue\ntasks:\n  - {id: a, agent: a, kind: readonly, inputs: {}, fallback: {agent: f, kind: readonly}}\n  - {id: b, agent: b, kind: readonly, timeout: 1h, inputs: {}}\n  - {id: c, agent: c, kind: readonly, depends_on: [b], inputs: {a: \"${tasks.b.output}\"}}",
        "a failed x final\na~fallback failed y final\na~fallback done 1\nb done\nc done"
    ));
}

#[test]
fn a_fallback_may_be_a_group_that_is_undone_itself() {
    let file = r#"
on_failure: continue
tasks:
  - id: a
    agent: a
    kind: readonly
    inputs: {}
    fallback:
      timeout: 15s
      tasks:
        - {id: f, agent: f, compensate: u, inputs: {}}
        - {id: h, agent: h, kind: readonly, depends_on: [f], inputs: {}}
  - {id: z, agent: z, kind: readonly, depends_on: [a], inputs: [a]}
"#;
    assert_snapshot!(told(file, "a failed x final\nf done 1\nh done 2\nz done"));
    assert_snapshot!(told(file, "a failed x final\nf done 1\nh failed y final\nf.undo done"));
    assert_snapshot!(told(file, "a failed x final\nwait 8s\nf done 1\nwait 9s\nf.undo done"));
}

#[test]
fn the_timeout_of_a_group_is_dealt_with_as_any_failure_of_it() {
    let file = |file: &str, group: &str| {
        format!(
            r#"
{file}
tasks:
  - id: g
    timeout: 12s
    {group}
    tasks:
      - {{id: a, agent: a, compensate: u, inputs: {{}}}}
      - {{id: b, agent: b, kind: readonly, depends_on: [a], inputs: {{}}}}
  - {{id: z, agent: z, kind: readonly, depends_on: [g], inputs: [g]}}
"#
        )
    };
    let late = "wait 8s\na done 1\nwait 5s\n";
    assert_snapshot!(told(
        &file("", "fallback: {agent: f, kind: readonly}"),
        &format!("{late}a.undo done\ng~fallback done 2\nz done")
    ));
    assert_snapshot!(told(&file("on_failure: continue", ""), &format!("{late}a.undo done")));
    assert_snapshot!(told(&file("on_failure: fail_fast", ""), late));
    assert_snapshot!(told(&file("on_failure: pause", ""), &format!("{late}skip g 5\nz done")));
    let within = r#"
tasks:
  - id: outer
    optional: true
    tasks:
      - id: g
        timeout: 12s
        tasks:
          - {id: a, agent: a, compensate: u, inputs: {}}
          - {id: b, agent: b, kind: readonly, depends_on: [a], inputs: {}}
      - {id: c, agent: c, kind: readonly, depends_on: [g], inputs: {}}
  - {id: z, agent: z, kind: readonly, timeout: 1h, inputs: {}}
"#;
    assert_snapshot!(told(within, &format!("{late}a.undo done\nz done")));
    let drops = within.replace("optional: true", "on_failure: fail_fast");
    assert_snapshot!(told(&format!("on_failure: continue\n{drops}"), &format!("{late}z done")));
}

#[test]
fn statuses_and_errors_are_seen_by_what_comes_behind() {
    let file = r#"
on_failure: pause
tasks:
  - {id: a, agent: a, compensate: u, inputs: {}, optional: true}
  - {id: b, agent: b, kind: readonly, inputs: {}, when: "${inputs.k == 'no'}"}
  - {id: c, agent: c, kind: readonly, inputs: {}}
  - {id: d, agent: d, kind: readonly, inputs: {}, fallback: {agent: f, kind: readonly}}
  - {id: z, agent: z, kind: readonly, depends_on: [a, b, c, d], inputs: {a: "${tasks.a.status}", b: "${tasks.b.status}", c: "${tasks.c.status}", d: "${tasks.d.status}", e: "${tasks.a.error.code}", n: "${tasks.a.attempts}", o: "${tasks.d.output}"}}
"#;
    assert_snapshot!(told(
        file,
        "c failed x final\nskip c 3\nd failed x final\nd~fallback done 4\nwait\na.undo done\nz done"
    ));
    assert_snapshot!(told(
        file,
        "a failed w final unknown\na.undo failed y final\nskip a\nc done\nd done 4"
    ));
}

#[test]
fn a_blocked_undo_is_shown_while_the_run_goes_on_and_while_it_turns() {
    let file = r#"
on_failure: {strategy: compensate, then: [{id: t, agent: t, kind: readonly, inputs: {}}]}
tasks:
  - {id: a, agent: a, compensate: u, inputs: {}, optional: true}
  - {id: b, agent: b, kind: readonly, timeout: 1h, inputs: {}}
"#;
    assert_snapshot!(told(file, "a failed x final unknown\na.undo failed y final\nb done"));
    assert_snapshot!(told(
        file,
        "a failed x final unknown\na.undo failed y final\nb failed z final\nretry a\na.undo done\nt done"
    ));
    // A late success while the tasks of `then` run.
    let late = file.replace(", optional: true", "");
    assert_snapshot!(told(
        &late,
        "b failed z final\nwait\na.undo nothing\na done 1\na.undo failed y final\nt done\nskip a"
    ));
    assert_snapshot!(told(
        &late,
        "b failed z final\nwait\na.undo nothing\na done 1\nt done\na.undo done"
    ));
}

#[test]
fn what_is_held_or_asked_while_the_run_is_out_of_time_under_continue() {
    let file = r#"
on_failure: {strategy: continue, then: [{id: t, agent: t, kind: readonly, inputs: {}}]}
timeout: 20s
tasks:
  - {id: a, agent: a, compensate: u, in_doubt: hold, timeout: 1h, inputs: {}}
  - {id: b, agent: b, compensate: u, timeout: 1h, inputs: {}, fallback: {agent: f, compensate: v, timeout: 1h}}
  - {id: c, agent: c, kind: readonly, depends_on: [a], inputs: {}}
"#;
    assert_snapshot!(told(
        file,
        "wait 20s\nwait 5s\nb.undo done\ncontinue\nresolve a not_done\nt done"
    ));
    assert_snapshot!(told(
        file,
        "b failed x final\nwait 20s\na failed y final unknown\nb~fallback done 1\nresolve a done 2\nt done\nb~fallback done 1"
    ));
    assert_snapshot!(told(
        file,
        "wait 20s\na failed cancelled\nb failed x final unknown\nb.undo failed y final\nresolve b undone\nt done"
    ));
    let fast = file.replace("strategy: continue", "strategy: fail_fast");
    assert_snapshot!(told(&fast, "wait 20s\na failed x final unknown\nb done 1\nt done"));
}

#[test]
fn fail_fast_leaves_what_is_done_and_what_is_in_doubt() {
    let file = r#"
on_failure: fail_fast
tasks:
  - {id: a, agent: a, compensate: u, inputs: {}, retry: {max_attempts: 2, backoff: 20s, jitter: 0}}
  - {id: b, agent: b, compensate: u, timeout: 1h, inputs: {}}
  - {id: c, agent: c, compensate: u, inputs: {}, optional: true}
  - {id: d, agent: d, kind: readonly, timeout: 1h, inputs: {}}
"#;
    assert_snapshot!(told(
        file,
        "c failed x final unknown\nc.undo nothing\na failed busy\nd failed x final\na done 1\nc done 2\nc done 2\nc.undo2 done\nb done 3"
    ));
    assert_snapshot!(told(
        file,
        "a failed busy\nd failed x final\na failed busy\nb failed cancelled\nwait"
    ));
    assert_snapshot!(told(file, "wait 11s\nd failed x final\na done 1\nwait"));
}

#[test]
fn an_event_that_nothing_came_to_wait_for_is_a_dead_letter() {
    let file = saga(
        "keep_early: 5s\ntasks:\n  - {id: a, agent: a, kind: readonly, inputs: {}}\n  - {id: w, await: t/E, kind: readonly, timeout: 1h, depends_on: [a]}",
    );
    let mut world = World::deploy(&file);
    let mut shown = String::new();
    for line in [
        r#"start s k {"k":"k"}"#,
        r#"event t/E {"n":1}"#,
        "wait 2s",
        r#"event t/E {"n":2}"#,
        "wait 4s",
        "a done",
    ] {
        let before = world.sent.len();
        let decision = world.play(line);
        shown.push_str(&format!("{line}\n{}", show(&decision)));
        world.sent[before..].iter().for_each(|record| shown.push_str(&command(record)));
    }
    assert_snapshot!(shown);
    world.refold();
}

#[test]
fn elements_within_elements_see_their_own_and_those_around() {
    assert_snapshot!(told(
        r#"
tasks:
  - id: outer
    for_each: {in: [[1, 2], [3]], as: row}
    tasks:
      - {id: first, agent: a, kind: readonly, inputs: {row: "${row}", i: "${index}"}}
      - id: inner
        depends_on: [first]
        for_each: {in: "${row}", as: n}
        sequential:
          - {id: x, agent: x, compensate: u, inputs: {n: "${n}", row: "${row}", i: "${index}", first: "${tasks.first.output}"}}
          - {id: y, agent: y, kind: readonly}
  - {id: z, agent: z, kind: readonly, depends_on: [outer]}
"#,
        "first[1] done 9\nfirst[0] done 8\nx[0][1] done 12\nx[1][0] done 30\nx[0][0] done 11\ny[0][0] done\ny[1][0] done\nx[1][1] done\ny[0][1] done\nz failed no final\nx[0][0].undo done\nx[0][1].undo done\nx[1][0].undo done"
    ));
}

#[test]
fn a_child_is_tried_again_in_the_version_that_it_began_with() {
    let child = |timeout: &str| {
        format!(
            "version: \"2.0\"\nname: child\ntimeout: {timeout}\ninputs: []\ntasks: [{{id: c, agent: c, kind: readonly, retry: 1}}]"
        )
    };
    let parent = "version: \"2.0\"\nname: parent\ntasks: [{id: sub, saga: child, inputs: {}, retry: {max_attempts: 2, backoff: 1s, jitter: 0}}]";
    let (old, new) = (child("1h"), child("2h"));
    let mut world = World::family(&[&old, parent], "start parent k {}");
    let version = |text: &str| saga::check(text).plan.unwrap().version;
    let deploy = Deploy {
        saga: "child".into(),
        version: version(&new),
        revision: 2,
        text: new.clone(),
        ce_id: "d2".to_owned(),
    };
    _ = world.feed(Cause::Input(&Input::Deploy(deploy)));
    _ = world.play("sub failed busy");
    _ = world.play("wait");
    let again = world.sent.last().unwrap();
    let headers = format!("{again:?}");
    assert!(headers.contains(version(&old).as_str()), "{headers}");
    assert!(!headers.contains(version(&new).as_str()), "{headers}");
}

#[test]
fn an_undo_that_does_not_fit_blocks() {
    let file = saga(
        r#"
tasks:
  - {id: a, agent: a, in_doubt: hold, compensate: {type: u, inputs: {x: "${original.output}", y: "${original.output}", z: "${original.output}"}}, inputs: {}}
  - {id: b, agent: b, kind: readonly, depends_on: [a], inputs: {}}
"#,
    );
    let mut world = World::deploy(&file);
    _ = world.play(r#"start s k {"k":"k"}"#);
    _ = world.play(&format!("a done \"{}\"", "y".repeat(800 * 1024)));
    assert_snapshot!(show(&world.play("b failed x final")));
}

#[test]
fn retries_are_bound_by_codes_attempts_and_deadlines() {
    assert_snapshot!(told(
        r#"
on_failure: continue
tasks:
  - {id: a, agent: a, kind: readonly, inputs: {}, retry: {max_attempts: 3, backoff: 1s, jitter: 0, never: [timeout]}}
  - {id: b, agent: b, kind: readonly, inputs: {}, retry: {max_attempts: 3, backoff: 1s, jitter: 0, only: [busy]}}
  - {id: c, agent: c, kind: retriable, inputs: {}, retry: {max_attempts: 2, backoff: 1s, jitter: 0, never: [timeout]}}
  - {id: d, agent: d, idempotency: none, compensate: u, inputs: {}, retry: 3}
  - {id: e, agent: e, kind: retriable, deadline: 15s, inputs: {}, retry: {backoff: 1s, max_attempts: 2, jitter: 0}}
"#,
        "b failed busy\nwait 1s\nb failed other\nwait 10s\nd.undo nothing\nwait 30s\nresolve e done 1\nc failed x\nwait 61s\nc failed x final"
    ));
    assert_snapshot!(told(
        r#"
tasks:
  - {id: a, agent: a, compensate: {type: u, retry: {max_attempts: 3, backoff: 1s, jitter: 0, never: [gone]}}, inputs: {}}
  - {id: b, agent: b, kind: readonly, depends_on: [a], inputs: {}}
"#,
        "a done\nb failed x final\na.undo failed busy\nwait\na.undo failed gone\nretry a\na.undo failed busy\nwait\na.undo failed busy\nwait\na.undo failed busy\nresolve a undone"
    ));
}
