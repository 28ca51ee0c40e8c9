//! Stories, read aloud: what is told to the machine, and what it then says.

use insta::assert_snapshot;

use crate::world::tell;

/// `stock` and `card` at once, then `ship`, which is the pivot, then `mail`.
const ORDER: &str = r#"
version: "2.0"
name: order
key: ${inputs.id}
inputs: [{name: id, type: string}]
timeout: 1h
defaults: {timeout: 10s, retry: {max_attempts: 2, backoff: 1s, jitter: 0, never: [declined]}}
compensation: {grace: 5s, retry: {max_attempts: 2, backoff: 1s, jitter: 0}}
tasks:
  - {id: stock, agent: stock, type: reserve, returns: {r: string}, compensate: release}
  - id: card
    agent: card
    in_doubt: query
    compensate: {type: refund, inputs: {p: "${original.output.p}", for: "${inputs.id}"}}
  - {id: ship, agent: ship, kind: pivot, depends_on: [stock, card], inputs: {r: "${tasks.stock.output.r}"}}
  - {id: mail, agent: mail, kind: retriable, depends_on: [ship], inputs: []}
outputs: [{name: ship, from: ship.output}]
"#;

fn order(script: &str) -> String {
    tell(ORDER, script)
}

#[test]
fn an_order_that_succeeds() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        card progress
        card progress
        card done {"p":"p1"}
        ship done "tracked"
        mail failed busy
        wait
        mail done
        wait
    "#
    ));
}

#[test]
fn a_declined_card_releases_the_stock() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        card failed declined
        stock.undo done
        stock.undo done
        stock done {"r":"r1"}
    "#
    ));
}

#[test]
fn undos_run_in_reverse_and_in_parallel() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        card done {"p":"p1"}
        ship failed no_truck
        wait
        ship failed no_truck
        card.undo nothing
        stock.undo failed busy
        wait
        stock.undo done
    "#
    ));
}

#[test]
fn a_task_in_flight_is_stopped_and_its_silence_is_doubt() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        card failed declined
        wait
        stock.undo done
    "#
    ));
}

#[test]
fn a_task_that_finishes_in_spite_of_a_cancel_is_undone() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        cancel
        cancel
        card failed cancelled
        stock done {"r":"r1"}
        stock.undo done
    "#
    ));
}

#[test]
fn a_query_finds_out() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        wait
        wait
        wait
        card.query status unknown
        wait
        card.query1 status not_done
        card.query2 status done {"p":"p1"}
        ship done
        mail done
    "#
    ));
}

#[test]
fn a_query_that_finds_nothing_is_a_failure() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        wait 30s
        card.query status not_done
        stock.undo done
    "#
    ));
}

#[test]
fn a_pivot_in_doubt_is_held_and_a_cancel_waits_for_it() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        card done {"p":"p1"}
        wait
        cancel
        wait
        wait
        continue
        skip ship
        resolve ship done "by hand"
        cancel
        mail done
    "#
    ));
}

#[test]
fn a_pivot_that_was_not_done_lets_the_cancel_through() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        card done {"p":"p1"}
        cancel
        wait 30s
        resolve ship not_done
        card.undo done
        stock.undo done
    "#
    ));
}

#[test]
fn a_pivot_that_failed_is_not_repeated_when_a_cancel_waits_for_it() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        card done {"p":"p1"}
        cancel
        ship failed busy
        card.undo done
        stock.undo done
    "#
    ));
}

#[test]
fn a_cancel_between_two_attempts_of_the_pivot_does_not_wait() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        card done {"p":"p1"}
        ship failed busy
        cancel
        wait
        card.undo done
        stock.undo done
    "#
    ));
}

#[test]
fn a_pivot_that_turns_out_done_while_compensating_stands_and_the_undos_go_on() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        card done {"p":"p1"}
        ship failed declined
        stock.undo failed busy
        ship done "late"
        card.undo done
        wait
        stock.undo done
    "#
    ));
}

#[test]
fn past_the_pivot_a_failure_waits_for_an_operator() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        card done {"p":"p1"}
        ship done
        mail failed gone final
        retry mail
        mail failed gone final
        skip stock
        skip mail "sent a letter"
    "#
    ));
}

#[test]
fn past_the_pivot_an_operator_can_go_on_without() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        card done {"p":"p1"}
        ship done
        mail failed gone final
        wait 7200s
        continue
        continue
    "#
    ));
}

#[test]
fn the_timeout_of_the_run_compensates_before_the_pivot() {
    assert_snapshot!(tell(
        &ORDER.replace("timeout: 1h", "timeout: 15s"),
        r#"
        start order 1 {"id":"1"}
        card done {"p":"p1"}
        wait
        wait
        wait
        stock failed cancelled
        card.undo done
    "#
    ));
}

#[test]
fn the_timeout_of_the_run_stands_still_while_paused() {
    let held =
        ORDER.replace("in_doubt: query", "in_doubt: hold").replace("timeout: 1h", "timeout: 60s");
    assert_snapshot!(tell(
        &held,
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        wait 3600s
        retry card
        wait 5s
        card done {"p":"p1"}
        ship failed no_truck final
        card.undo done
        stock.undo done
    "#
    ));
}

#[test]
fn an_undo_that_fails_for_good_blocks_until_an_operator_chooses() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        card done {"p":"p1"}
        ship failed no_truck final
        card.undo failed locked
        wait
        card.undo failed locked
        stock.undo failed gone final
        retry ship
        retry card
        card.undo3 failed locked final
        resolve card undone
        skip stock
    "#
    ));
}

#[test]
fn an_undo_whose_inputs_can_not_be_computed_blocks() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        card done {}
        stock failed gone final
        resolve card done
        resolve card undone
    "#
    ));
}

#[test]
fn a_late_success_is_undone_with_its_real_output() {
    let undone = ORDER
        .replace("    in_doubt: query\n", "    in_doubt: undo\n")
        .replace("original.output.p", "has(original.output.p) ? original.output.p : ''");
    assert_snapshot!(tell(
        &undone,
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        wait 30s
        card.undo nothing
        card.do1 done {"p":"p1"}
        card.undo1 done
        card.undo2 done
        stock.undo done
        card.do2 done {"p":"p1"}
    "#
    ));
}

#[test]
fn a_success_after_the_end_is_undone_for_seven_days() {
    let undone = ORDER.replace("returns: {r: string}, ", "");
    assert_snapshot!(tell(
        &undone,
        r#"
        start order 1 {"id":"1"}
        card failed declined
        wait
        stock.undo nothing
        stock done "r1"
        stock.undo2 failed busy
        wait
        stock.undo done
        stock done "r1"
        wait 604800s
        stock done "r1"
        wait 2000000s
        stock done "r1"
    "#
    ));
}

#[test]
fn a_success_that_comes_too_late_is_a_dead_letter() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        card failed declined
        wait
        stock.undo nothing
        wait 604900s
        stock failed gone
        stock done {"r":"r1"}
        start order 1 {"id":"1"}
        wait 2592000s
        start order 1 {"id":"1"}
    "#
    ));
}

#[test]
fn unknown_effects_and_broken_outputs_are_doubt() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        card failed crashed unknown
        stock done {"x":1}
        wait
        card failed crashed final unknown
        card.query status not_done
        stock.undo done
    "#
    ));
}

#[test]
fn a_refusal_unseen_does_not_speak_for_attempts_before() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        wait
        wait
        unsent stock.do never
        card failed expired final
    "#
    ));
}

#[test]
fn a_query_that_answers_with_a_broken_output_is_held() {
    let asked = ORDER.replace("compensate: release}", "compensate: release, in_doubt: query}");
    assert_snapshot!(tell(
        &asked,
        r#"
        start order 1 {"id":"1"}
        card done {"p":"p1"}
        stock failed crashed unknown final
        stock.query status done {"x":1}
        stock failed gone
        resolve stock done {"x":2}
        resolve stock done {"r":"r1"}
    "#
    ));
}

#[test]
fn a_command_that_can_not_be_sent_is_an_attempt() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        unsent stock.do never
        unsent card.do doubt
        unsent card.do doubt
        wait
        card failed declined
        wait
        unsent stock.do2 never
        wait
        unsent stock.undo never
        wait
        stock.undo done
    "#
    ));
}

#[test]
fn an_expression_that_fails_fails_its_task() {
    let broken = ORDER
        .replace("returns: {r: string}, ", "")
        .replace("{r: \"${tasks.stock.output.r}\"}", "{r: \"${tasks.stock.output.r.deep}\"}");
    assert_snapshot!(tell(
        &broken,
        r#"
        start order 1 {"id":"1"}
        stock done {"r":"r1"}
        card done {"p":"p1"}
        card.undo done
        stock.undo done
    "#
    ));
}

#[test]
fn what_is_not_about_this_workflow_is_refused_or_ignored() {
    assert_snapshot!(order(
        r#"
        start order 1 {"id":"1"}
        start order 1 {"id":"1"}
        start order 2 {"id":"3"}
        start order 3 {"no":"3"}
        start nobody 3 {}
        elsewhere done
        stock.do2 done {"r":"r1"}
        stock.undo1 done
        resolve stock done
        retry stock
        skip stock
        continue
    "#
    ));
}
