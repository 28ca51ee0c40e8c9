//! Stories of undos: what they are told, what can not be sent, what blocks, what comes while they run.

use events::{Destination, Outgoing, header};
use insta::assert_snapshot;
use saga::{Cause, Unsent};

use crate::world::{World, show, tell, text};

fn saga(rest: &str) -> String {
    format!(
        "version: \"2.0\"\nname: s\nkey: ${{inputs.k}}\ndefaults: {{timeout: 10s, retry: 1}}\n\
         compensation: {{grace: 5s, retry: {{max_attempts: 2, backoff: 1s, jitter: 0}}}}\n{rest}"
    )
}

const START: &str = r#"start s k {"k":"k"}"#;

#[test]
fn an_undo_whose_when_is_false_has_nothing_to_undo() {
    let file = |when: &str| {
        saga(&format!(
            "tasks:\n  - {{id: a, agent: a, in_doubt: hold, compensate: {{type: u, when: \"${{{when}}}\"}}}}\n  - {{id: b, agent: b, depends_on: [a]}}"
        ))
    };
    let told =
        |when: &str| tell(&file(when), &format!("{START}\na done {{\"n\":1}}\nb failed x final"));
    assert_snapshot!(told("original.output.n > 1"));
    assert_snapshot!(told("original.output.n == 1"));
    assert_snapshot!(told("original.output.m == 1"));
}

#[test]
fn an_undo_that_can_not_be_computed_frees_others_where_the_file_goes_on() {
    let file = |on_blocked: &str| {
        saga(
            r#"
tasks:
  - {id: a, agent: a, compensate: u}
  - {id: b, agent: b, depends_on: [a], in_doubt: hold, compensate: {type: u, inputs: {m: "${original.output.m}"}}}
  - {id: c, agent: c, depends_on: [b], inputs: {}}
"#,
        )
        .replace("grace: 5s", &format!("grace: 5s, on_blocked: {on_blocked}"))
    };
    let script = format!("{START}\na done 1\nb done {{}}\nc failed x final");
    assert_snapshot!(tell(&file("go_on"), &format!("{script}\na.undo done\nresolve b undone")));
    assert_snapshot!(tell(&file("wait"), &format!("{script}\nskip b\na.undo done")));
}

#[test]
fn at_most_max_parallel_undos_are_out_at_once() {
    assert_snapshot!(tell(
        &saga(
            r#"
max_parallel: 2
tasks:
  - {id: a, agent: a, compensate: u}
  - {id: b, agent: b, compensate: u}
  - {id: c, agent: c, compensate: u}
  - {id: d, agent: d, depends_on: [a, b, c], inputs: {}}
"#
        ),
        &format!(
            "{START}\na done\nb done\nc done\nd failed x final\nc.undo failed x\nb.undo done\nwait\nc.undo done\na.undo done"
        )
    ));
}

/// What `world` makes of a record that could not be sent.
fn unsent(world: &mut World, record: &Outgoing, unsent: Unsent) -> String {
    let key = world.id();
    let (key, reason) = (key.as_str(), "no such topic");
    show(&world.feed(Cause::Undeliverable { key, record, unsent, reason }))
}

fn last(world: &World, kind: &str) -> Outgoing {
    let is = |record: &&Outgoing| text(record, header::TYPE) == kind;
    world.sent.iter().rev().find(is).unwrap().clone()
}

const EMITS: &str = r#"
tasks:
  - {id: e, emit: t/Asked, compensate: {emit: t/Dropped}, retry: {max_attempts: 2, backoff: 1s, jitter: 0}, inputs: {}}
  - {id: b, agent: b, depends_on: [e], inputs: {}}
"#;

#[test]
fn an_event_that_could_not_be_sent_is_an_attempt() {
    let mut world = World::deploy(&saga(EMITS));
    _ = world.play(START);
    let asked = last(&world, "Asked");
    assert_snapshot!(unsent(&mut world, &asked, Unsent::Never));
    // It is on record already that it has failed.
    assert_snapshot!(unsent(&mut world, &asked, Unsent::Never));
    _ = world.play("wait");
    assert_snapshot!(unsent(&mut world, &asked, Unsent::InDoubt));
    let dropped = last(&world, "Dropped");
    assert_snapshot!(unsent(&mut world, &dropped, Unsent::InDoubt));
    _ = world.play("wait");
    let again = last(&world, "Dropped");
    assert_snapshot!(unsent(&mut world, &again, Unsent::Never));
    assert_eq!(world.status(), "blocked");
    assert_snapshot!(unsent(&mut world, &dropped, Unsent::Never));
    world.refold();
}

#[test]
fn an_event_that_was_sent_after_all_counts_where_it_changes_what_stands() {
    let mut world = World::deploy(&saga(EMITS));
    _ = world.play(START);
    let asked = last(&world, "Asked");
    _ = unsent(&mut world, &asked, Unsent::InDoubt);
    assert_snapshot!(show(&world.play("acked")));
    assert_eq!(show(&world.play("acked")), "");
    _ = world.play("b failed x final");
    assert_snapshot!(show(&world.play("acked")));
    assert_eq!(world.status(), "compensated");
    world.refold();
}

#[test]
fn what_is_nobodys_command_can_fail_to_be_sent() {
    let mut world = World::deploy(&saga(EMITS));
    _ = world.play(START);
    let event = world.sent.iter().find(|record| record.to == Destination::Events).unwrap().clone();
    assert_eq!(unsent(&mut world, &event, Unsent::Never), "  ignored: unsent\n");
    let mut other = last(&world, "Asked");
    for header in &mut other.headers {
        if &*header.name == header::ID {
            header.value = Some("other".into());
        }
    }
    assert_eq!(unsent(&mut world, &other, Unsent::Never), "  ignored: old_run\n");
}

#[test]
fn commands_that_could_not_be_sent_speak_for_their_own_attempt_alone() {
    let file = saga(
        r#"
tasks:
  - {id: a, agent: a, compensate: u, in_doubt: query, retry: {max_attempts: 3, backoff: 1s, jitter: 0}}
  - {id: b, agent: b, kind: readonly, optional: true}
"#,
    );
    let mut world = World::deploy(&file);
    _ = world.play(START);
    let first = world.newest("a", events::CommandKind::Do).unwrap().clone();
    let told = |world: &mut World, record: &Outgoing, how| unsent(world, record, how);
    _ = world.play("a failed busy");
    assert_eq!(told(&mut world, &first, Unsent::Never), "  ignored: late_unsent\n");
    _ = world.play("wait");
    assert_eq!(told(&mut world, &first, Unsent::Never), "  ignored: late_unsent\n");
    assert_eq!(told(&mut world, &first, Unsent::InDoubt), "  ignored: late_unsent\n");
    let second = world.newest("a", events::CommandKind::Do).unwrap().clone();
    assert_snapshot!(told(&mut world, &second, Unsent::InDoubt));
    _ = world.play("wait");
    _ = world.play("a failed broken final unknown");
    let query = world.newest("a", events::CommandKind::Query).unwrap().clone();
    assert_snapshot!(told(&mut world, &query, Unsent::Never));
    assert_eq!(told(&mut world, &query, Unsent::Never), "  ignored: late_unsent\n");
    _ = world.play("wait");
    assert_eq!(told(&mut world, &query, Unsent::Never), "  ignored: late_unsent\n");
    _ = world.play("a.query status done 1");
    _ = world.play("cancel");
    let undo = world.newest("a", events::CommandKind::Undo).map(ToOwned::to_owned);
    assert_snapshot!(world.status());
    assert!(undo.is_none() || world.status() != "completed");
}

#[test]
fn a_task_that_was_told_to_stop_and_never_to_begin_is_cancelled() {
    let file = saga(
        r#"
tasks:
  - {id: a, agent: a, compensate: u, retry: {max_attempts: 3, backoff: 1s, jitter: 0}}
"#,
    );
    let mut world = World::deploy(&file);
    _ = world.play(START);
    _ = world.play("cancel");
    let cancel = last(&world, events::ce_type::CANCEL_TASK);
    assert_eq!(unsent(&mut world, &cancel, Unsent::Never), "  ignored: unsent_cancel\n");
    let command = last(&world, events::ce_type::DO_TASK);
    assert_eq!(unsent(&mut world, &command, Unsent::InDoubt), "  ignored: late_unsent\n");
    assert_snapshot!(unsent(&mut world, &command, Unsent::Never));
    assert_eq!(world.status(), "cancelled");
    // An attempt before may have worked.
    let mut world = World::deploy(&file);
    _ = world.play(START);
    let first = world.newest("a", events::CommandKind::Do).unwrap().clone();
    _ = world.play("wait");
    _ = world.play("wait");
    _ = world.play("cancel");
    let command = last(&world, events::ce_type::DO_TASK);
    assert_eq!(unsent(&mut world, &first, Unsent::Never), "  ignored: late_unsent\n");
    assert_eq!(unsent(&mut world, &command, Unsent::Never), "  ignored: late_unsent\n");
    assert_eq!(world.status(), "compensating");
    // An attempt that was answered is not about the next one.
    let mut world = World::deploy(&file);
    _ = world.play(START);
    let first = last(&world, events::ce_type::DO_TASK);
    for line in ["a failed busy", "wait", "cancel"] {
        _ = world.play(line);
    }
    assert_eq!(unsent(&mut world, &first, Unsent::Never), "  ignored: late_unsent\n");
    let second = last(&world, events::ce_type::DO_TASK);
    assert!(unsent(&mut world, &second, Unsent::Never).contains("TaskCancelled a 2 not sent"));
}

#[test]
fn a_blocked_undo_after_the_end_is_retried_or_stated_and_nothing_else_is_said() {
    let file = saga(
        r#"
tasks:
  - {id: a, agent: a, compensate: {type: u, retry: 1}}
  - {id: b, agent: b}
"#,
    );
    let begin = format!(
        "{START}\nb failed x final\nwait\na.undo nothing\na done 5\nskip a\nretry a\nresolve a done 1\ncontinue\na.undo failed x final"
    );
    assert_snapshot!(tell(
        &file,
        &format!("{begin}\nskip a\na done 5\nwait\nretry a\na.undo done\nwait\nwait")
    ));
    assert_snapshot!(tell(&file, &format!("{begin}\nresolve a undone\nresolve a undone\nskip a")));
}

#[test]
fn what_is_told_of_commands_before_a_new_beginning() {
    let file = saga(
        r#"
on_failure: pause
tasks:
  - {id: a, agent: a, compensate: u, in_doubt: query, fallback: {agent: f, kind: readonly}}
"#,
    );
    let file = file.replace("in_doubt: query", "in_doubt: undo");
    let anew = format!("{START}\nwait\na.undo done\na~fallback failed x final\nretry a");
    // Nobody had told of the first success.
    assert_snapshot!(tell(
        &file,
        &format!(
            "{anew}\na.do1 done 1\na.undo1 done\na.undo1 failed x\na.undo1 nothing\na failed busy\na.undo1 done\na~fallback done 2"
        )
    ));
    // Somebody had.
    assert_snapshot!(tell(
        &file,
        &format!(
            "{START}\nwait\na.undo nothing\na done 1\na.undo2 done\na~fallback failed x final\nretry a\na.do1 done 1\na.undo2 done\na done 2"
        )
    ));
}

#[test]
fn strict_order_waits_for_what_may_yet_have_to_be_undone_first() {
    assert_snapshot!(tell(
        &saga(
            r#"
tasks:
  - {id: a, agent: a, compensate: u}
  - {id: b, agent: b, compensate: u}
  - {id: c, agent: c, kind: readonly}
  - {id: d, agent: d, compensate: u}
"#
        )
        .replace("grace: 5s", "grace: 5s, order: strict"),
        &format!(
            "{START}\nb done\na done\nc failed x final\nd failed cancelled\na.undo done\nb.undo done"
        )
    ));
    assert_snapshot!(tell(
        &saga(
            r#"
tasks:
  - {id: a, agent: a, compensate: u}
  - {id: b, agent: b, compensate: u}
  - {id: c, agent: c, kind: readonly}
  - {id: d, agent: d, compensate: u}
"#
        )
        .replace("grace: 5s", "grace: 5s, order: strict"),
        &format!(
            "{START}\nb done\na done\nc failed x final\nwait\nd.undo nothing\na.undo done\nb.undo done"
        )
    ));
}
