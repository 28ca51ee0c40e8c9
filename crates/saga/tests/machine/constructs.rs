//! Stories about what a saga is made of beside plain tasks: groups, choices, joins, elements, fallbacks,
//! strategies, events, children.

use insta::assert_snapshot;

use crate::world::tell;

fn story(tasks: &str, script: &str) -> String {
    story_of("", tasks, script)
}

/// `head`: further keys of the file.
fn story_of(head: &str, tasks: &str, script: &str) -> String {
    let file = format!(
        "version: \"2.0\"\nname: s\nkey: ${{inputs.k}}\n{head}\ndefaults: {{timeout: 10s, retry: 1}}\n\
         compensation: {{grace: 5s, retry: 1}}\ntasks:\n{tasks}"
    );
    tell(&file, script)
}

const START: &str = r#"start s k {"k":"k"}"#;

/// shows: G4
#[test]
fn the_first_true_case_runs_and_the_others_are_skipped() {
    assert_snapshot!(story(
        r#"
  - id: route
    choice:
      - {when: "${inputs.total > 1000}", then: [{id: manual, agent: m}]}
      - {id: rest, else: [{id: auto, agent: a}]}
  - {id: after, agent: x, depends_on: [route]}
"#,
        r#"
        start s k {"k":"k","total":1}
        auto done {"n":1}
        after done 2
    "#
    ));
}

#[test]
fn no_case_is_a_failure() {
    assert_snapshot!(story(
        "  - {id: route, choice: [{when: \"${inputs.k == 'other'}\", then: [{id: a, agent: a}]}]}",
        START
    ));
}

/// shows: G6
#[test]
fn every_true_case_runs_and_those_and_no_others_are_waited_for() {
    assert_snapshot!(story(
        r#"
  - id: notify
    pick: many
    choice:
      - {when: "${inputs.mail}", then: [{id: mail, agent: x}]}
      - {when: "${inputs.sms}", then: [{id: sms, agent: x}]}
      - {when: "${inputs.fax}", then: [{id: fax, agent: x}]}
  - {id: after, agent: x, depends_on: [notify]}
"#,
        r#"
        start s k {"k":"k","mail":true,"sms":false,"fax":true}
        fax done 1
        mail done 2
        after done
    "#
    ));
}

/// shows: G5
#[test]
fn what_was_skipped_is_not_waited_for() {
    assert_snapshot!(story(
        r#"
  - {id: card, agent: x, when: "${inputs.method == 'card'}"}
  - {id: invoice, agent: x, when: "${inputs.method != 'card'}"}
  - {id: ship, agent: x, depends_on: [card, invoice]}
  - {id: thanks, agent: x, depends_on: [card]}
"#,
        r#"
        start s k {"k":"k","method":"invoice"}
        invoice done
        ship done
    "#
    ));
}

/// shows: G7
#[test]
fn the_first_wins_and_the_other_is_cancelled_and_undone() {
    assert_snapshot!(story(
        r#"
  - {id: fast, agent: x, optional: true, compensate: drop}
  - {id: cheap, agent: y, optional: true, compensate: drop}
  - {id: book, agent: z, depends_on: {discriminator: [fast, cheap]}}
"#,
        r#"
        start s k {"k":"k"}
        cheap done 1
        book done 2
        fast done 3
        fast.undo done
    "#
    ));
}

/// shows: G8
#[test]
fn two_of_three_are_enough_and_fewer_are_a_failure() {
    const TASKS: &str = r#"
  - {id: r, agent: x, optional: true}
  - {id: s, agent: y, optional: true}
  - {id: t, agent: z, optional: true}
  - {id: decide, agent: x, depends_on: {n_of: 2, tasks: [r, s, t]}}
"#;
    assert_snapshot!(story(
        TASKS,
        r#"
        start s k {"k":"k"}
        r failed no final
        s done 1
        t done 2
        decide done
    "#
    ));
    assert_snapshot!(story(
        TASKS,
        r#"
        start s k {"k":"k"}
        r failed no final
        s failed no final
        t done 2
    "#
    ));
}

/// shows: G9
#[test]
fn the_world_decides_or_time_does() {
    const TASKS: &str = r#"
  - id: reply
    choice:
      - {event: quotes/Accepted, where: "${event.value.n > 1}", then: [{id: book, agent: x}]}
      - {event: quotes/Declined, then: []}
      - {id: silence, after: 48h, then: [{id: expire, agent: x}]}
"#;
    assert_snapshot!(story(
        TASKS,
        r#"
        start s k {"k":"k"}
        event quotes/Accepted {"n":1}
        event quotes/Accepted {"n":2}
        event quotes/Declined {}
        book done 1
    "#
    ));
    assert_snapshot!(story_of(
        "timeout: 7d",
        TASKS,
        r#"
        start s k {"k":"k"}
        wait
        expire done
    "#
    ));
    assert_snapshot!(story(
        TASKS,
        r#"
        start s k {"k":"k"}
        event quotes/Declined {} @7
        event quotes/Declined {} @7
    "#
    ));
}

/// shows: G10
#[test]
fn those_that_run_alone_run_in_any_order_and_never_at_once() {
    assert_snapshot!(story(
        r#"
  - {id: a, agent: x, parallel: false}
  - {id: b, agent: y, parallel: false}
  - {id: c, agent: y}
  - {id: d, agent: x, depends_on: [a, b]}
"#,
        r#"
        start s k {"k":"k"}
        a done
        c done
        b done
        d done
    "#
    ));
}

/// shows: B1
#[test]
fn a_group_is_done_with_all_that_stands_in_it_and_undone_by_its_parts() {
    assert_snapshot!(story(
        r#"
  - {id: before, agent: x, compensate: u}
  - id: g
    depends_on: [before]
    tasks:
      - {id: a, agent: x, compensate: u}
      - id: inner
        sequential:
          - {id: b, agent: x, compensate: u}
          - {id: c, agent: x, compensate: u}
  - {id: after, agent: x, depends_on: [g], inputs: {b: "${tasks.g.output.inner.b}"}}
outputs: [{name: all, from: g.output}]
"#,
        r#"
        start s k {"k":"k"}
        before done 0
        a done 1
        b done 2
        c done 3
        after failed no final
        c.undo done
        a.undo done
        b.undo done
        before.undo done
    "#
    ));
}

/// shows: E3
#[test]
fn a_body_runs_for_each_element_some_at_once_and_some_may_fail() {
    const TASKS: &str = r#"
  - id: each
    for_each: {in: "${inputs.list}", as: part, concurrency: 2, at_least: 2}
    sequential:
      - {id: work, agent: w, inputs: {p: "${part}", i: "${index}"}, compensate: u}
      - {id: check, agent: c}
  - {id: after, agent: x, depends_on: [each]}
"#;
    assert_snapshot!(story(
        TASKS,
        r#"
        start s k {"k":"k","list":["a","b","c"]}
        work[1] done "B"
        work[0] done "A"
        check[1] failed no final
        work[1].undo done
        check[0] done 1
        work[2] done "C"
        check[2] done 2
        after done
    "#
    ));
    assert_snapshot!(story(
        TASKS,
        r#"
        start s k {"k":"k","list":["a","b","c"]}
        work[0] done "A"
        check[0] done 1
        work[1] failed no final
        work[2] failed no final
        work[0].undo done
    "#
    ));
    assert_snapshot!(story(
        "  - {id: each, for_each: \"${inputs.list}\", agent: x}",
        r#"start s k {"k":"k","list":[]}"#
    ));
}

/// shows: F2, P6
#[test]
fn a_fallback_takes_the_place_of_what_has_failed() {
    const TASKS: &str = r#"
  - {id: pay, agent: card, compensate: refund, fallback: {agent: bank, compensate: pay_back}}
  - {id: ship, agent: x, depends_on: [pay], inputs: {paid: "${tasks.pay.output}"}}
"#;
    assert_snapshot!(story(
        TASKS,
        r#"
        start s k {"k":"k"}
        pay failed declined final
        pay~fallback done {"by":"bank"}
        ship failed no final
        pay~fallback.undo done
    "#
    ));
    // In doubt, it is undone first.
    assert_snapshot!(story(
        TASKS,
        r#"
        start s k {"k":"k"}
        pay failed broken final unknown
        pay.undo done
        pay~fallback failed closed final
    "#
    ));
    assert_snapshot!(story(
        TASKS,
        r#"
        start s k {"k":"k"}
        wait
        pay.undo done
        pay~fallback done 1
        pay done "late"
        pay.undo done
        ship done
    "#
    ));
}

/// shows: P4
#[test]
fn what_is_optional_may_fail() {
    assert_snapshot!(story(
        r#"
  - {id: a, agent: a, optional: true, compensate: u}
  - {id: b, agent: b, depends_on: [a], inputs: {a: "${tasks.a.output}", s: "${tasks.a.status}"}}
"#,
        r#"
        start s k {"k":"k"}
        wait
        a.undo nothing
        b done
    "#
    ));
}

#[test]
fn a_savepoint_undoes_its_own_tasks_and_the_rest_goes_on() {
    assert_snapshot!(story(
        r#"
  - {id: before, agent: x, compensate: u}
  - id: trip
    optional: true
    depends_on: [before]
    tasks:
      - {id: hotel, agent: h, compensate: u}
      - {id: flight, agent: f, compensate: u, depends_on: [hotel]}
      - {id: car, agent: c, compensate: u}
  - {id: after, agent: x, depends_on: [trip]}
"#,
        r#"
        start s k {"k":"k"}
        before done
        hotel done 1
        flight failed full final
        car done 2
        car.undo done
        hotel.undo done
        after done
    "#
    ));
}

#[test]
fn with_continue_the_rest_goes_on() {
    assert_snapshot!(story_of(
        "on_failure: {strategy: continue, then: [{id: tell, agent: t, kind: retriable}]}\n\
         outputs: [{name: b, from: b.output}]",
        r#"
  - {id: a, agent: a}
  - {id: a2, agent: a, depends_on: [a]}
  - {id: b, agent: b, compensate: u}
"#,
        r#"
        start s k {"k":"k"}
        a failed no final
        b done 1
        tell done
    "#
    ));
}

#[test]
fn with_fail_fast_nothing_is_undone() {
    assert_snapshot!(story_of(
        "on_failure: fail_fast",
        r#"
  - {id: a, agent: a, compensate: u}
  - {id: b, agent: b, compensate: u}
  - {id: c, agent: c}
  - {id: d, agent: d, compensate: u}
"#,
        r#"
        start s k {"k":"k"}
        a done
        c failed no final
        d failed cancelled
        wait
    "#
    ));
}

#[test]
fn with_pause_an_operator_chooses() {
    const TASKS: &str =
        "  - {id: a, agent: a, compensate: u}\n  - {id: b, agent: b, depends_on: [a]}";
    let told = |script: &str| story_of("on_failure: pause", TASKS, script);
    assert_snapshot!(told("start s k {\"k\":\"k\"}\na failed no final\nretry a\na done\nb done"));
    assert_snapshot!(told("start s k {\"k\":\"k\"}\na failed no final\nskip a {\"x\":1}\nb done"));
    assert_snapshot!(told("start s k {\"k\":\"k\"}\na failed no final\ncontinue"));
    assert_snapshot!(told(
        "start s k {\"k\":\"k\"}\na done\nb failed no final\ncancel\na.undo done"
    ));
}

#[test]
fn after_compensation_the_closing_tasks_run() {
    assert_snapshot!(story_of(
        "on_failure: {strategy: compensate, then: [{id: tell, kind: retriable, emit: orders/Rejected, inputs: {why: \"${saga.error.code}\"}}]}",
        r#"
  - {id: a, agent: a, compensate: u}
  - {id: b, agent: b, depends_on: [a]}
"#,
        r#"
        start s k {"k":"k"}
        a done
        b failed no_stock final
        a.undo done
        acked
    "#
    ));
}

#[test]
fn strict_order_undoes_one_at_a_time_the_last_finished_first() {
    let file = r#"
version: "2.0"
name: s
compensation: {order: strict}
tasks:
  - {id: a, agent: a, compensate: u}
  - {id: b, agent: b, compensate: u}
  - {id: c, agent: c, compensate: u}
  - {id: d, agent: d, depends_on: [a, b, c]}
"#;
    assert_snapshot!(tell(
        file,
        r#"
        start s k {}
        c done
        a done
        b done
        d failed no final
        b.undo done
        a.undo done
        c.undo done
    "#
    ));
}

/// shows: P6
#[test]
fn services_that_know_nothing_of_us_are_followed_and_asked_to_undo() {
    const FILE: &str = r#"
version: "2.0"
name: order
key: ${inputs.id}
inputs: [{name: id, type: string}]
timeout: 1h
tasks:
  - id: stock
    await: {event: stock/Reserved, failed: stock/Refused}
    timeout: 30s
    compensate: {emit: stock/ReleaseRequested, await: stock/Released, inputs: [id]}
  - id: pay
    await: {event: pay/Captured, failed: [pay/Declined, pay/Expired]}
    timeout: 2m
    compensate: {emit: pay/RefundRequested, inputs: [id]}
  - {id: ready, kind: pivot, depends_on: [stock, pay], emit: orders/Ready, await: ship/Prepared, inputs: [id], timeout: 1m}
  - {id: tell, kind: retriable, depends_on: [ready], emit: {event: orders/Confirmed, key: "c-${inputs.id}", headers: {lang: en}}, inputs: [id]}
"#;
    assert_snapshot!(tell(
        FILE,
        r#"
        expect order:1
        event stock/Reserved {"r":1}
        start order 1 {"id":"1"}
        event pay/Captured {"p":1}
        event ship/Prepared {"s":1}
        acked
    "#
    ));
    assert_snapshot!(tell(
        FILE,
        r#"
        start order 1 {"id":"1"}
        event pay/Captured {"p":1}
        event stock/Refused {"why":"empty"}
        acked
    "#
    ));
    // Silence is no failure: what nobody has told of is asked to be undone, and so is what comes late.
    assert_snapshot!(tell(
        FILE,
        r#"
        start order 1 {"id":"1"}
        event pay/Captured {"p":1}
        wait 30s
        event stock/Reserved {"r":1}
        event stock/Released {}
        acked
    "#
    ));
}

#[test]
fn an_event_that_comes_too_early_for_too_long_is_set_aside() {
    assert_snapshot!(story_of(
        "keep_early: 1m",
        "  - {id: a, agent: a}\n  - {id: w, await: t/E, depends_on: [a], timeout: 1h}",
        r#"
        expect s:k
        event t/E {"n":1}
        wait 61s
        start s k {"k":"k"}
        event t/E {"n":2}
        event t/Other {}
        wait 62s
    "#
    ));
}

#[test]
fn a_signal_is_taken_once_and_may_come_early() {
    assert_snapshot!(story(
        "  - {id: a, agent: a}\n  - {id: ok, await: signal/approve, depends_on: [a], timeout: 1h}",
        r#"
        start s k {"k":"k"}
        signal approve {"by":"ann"}
        signal other {}
        a done
    "#
    ));
}

#[test]
fn a_wait_ends_with_its_time() {
    assert_snapshot!(story(
        "  - {id: pause, wait: 5m}\n  - {id: until, wait: {until: \"${inputs.at}\"}, depends_on: [pause]}",
        r#"
        start s k {"k":"k","at":"1970-01-01T01:00:00Z"}
        wait
        wait
    "#
    ));
}

/// A parent, a child without a key of its own, and what goes between them through the inbox.
fn family(script: &str) -> String {
    let child = r#"
version: "2.0"
name: child
inputs: [{name: n, type: integer}]
defaults: {timeout: 10s, retry: 1}
compensation: {grace: 5s, retry: 1}
tasks:
  - {id: c, agent: c, compensate: u}
  - {id: d, agent: d, depends_on: [c]}
outputs: [{name: got, from: c.output}]
"#;
    let parent = r#"
version: "2.0"
name: parent
defaults: {timeout: 10s, retry: 1}
compensation: {grace: 5s, retry: 1}
tasks:
  - {id: sub, saga: child, inputs: {n: 1}}
  - {id: after, agent: x, depends_on: [sub]}
"#;
    crate::world::tell_all(&[child, parent], script)
}

/// shows: E1, P3
#[test]
fn a_child_is_a_task_of_its_parent_and_is_undone_with_it() {
    assert_snapshot!(family(
        r#"
        start parent k {}
        on child:parent:k/sub/1.1
        c done 7
        d done
        on parent:k
        after failed no final
        on child:parent:k/sub/1.1
        c.undo done
    "#
    ));
    // It fails: it has undone itself already.
    assert_snapshot!(family(
        r#"
        start parent k {}
        on child:parent:k/sub/1.1
        c done 7
        d failed no final
        c.undo done
    "#
    ));
    // The parent is cancelled while it runs: it is stopped and undone first.
    assert_snapshot!(family(
        r#"
        start parent k {}
        on child:parent:k/sub/1.1
        c done 7
        on parent:k
        cancel
        on child:parent:k/sub/1.1
        d failed cancelled
        c.undo done
    "#
    ));
}

#[test]
fn a_child_whose_undo_fails_for_good_tells_its_parent_and_is_asked_again() {
    assert_snapshot!(family(
        r#"
        start parent k {}
        on child:parent:k/sub/1.1
        c done 7
        d done
        on parent:k
        after failed no final
        on child:parent:k/sub/1.1
        c.undo failed no final
        on parent:k
        retry sub
        on child:parent:k/sub/1.1
        c.undo done
    "#
    ));
}

#[test]
fn strict_order_comes_to_an_end_where_a_join_has_not_waited_for_the_last() {
    let file = r#"
version: "2.0"
name: s
compensation: {order: strict}
tasks:
  - {id: a, agent: a, compensate: u}
  - {id: b, agent: b}
  - {id: c, agent: c, compensate: u, depends_on: {any: [a, b]}, inputs: {}}
  - {id: d, agent: d, depends_on: [a, c]}
"#;
    assert_snapshot!(tell(
        file,
        r#"
        start s k {}
        b done
        c done
        a done
        d failed no final
        c.undo done
        a.undo done
    "#
    ));
}

#[test]
fn a_wait_that_could_not_be_computed_can_be_retried_and_says_so_again() {
    assert_snapshot!(story_of(
        "on_failure: pause",
        "  - {id: w, wait: {until: \"${inputs.at}\"}}",
        "start s k {\"k\":\"k\",\"at\":\"soon\"}\nretry w\nskip w"
    ));
}

#[test]
fn after_the_end_only_undos_may_follow() {
    assert_snapshot!(tell(
        r#"
version: "2.0"
name: s
compensation: {grace: 5s}
tasks:
  - {id: a, agent: a, retry: 1, on_failure: fail_fast, timeout: 20s}
  - {id: b, agent: b, in_doubt: query, retry: 1, timeout: 10s, compensate: u}
"#,
        r#"
        start s k {}
        wait 10s
        a failed x final
        b failed x final
        b.query status not_done
        resolve b done
    "#
    ));
}
