//! What may happen to workflows, tried out: planted mistakes are found, and the sagas of this tree have none.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the tools of tests")]

use saga::{Bounds, Explored, Gravity, explore};

fn tried(source: &str, states: usize) -> Explored {
    explore(source, &[], Bounds { states }).unwrap_or_else(|| {
        panic!("{:#?}\n{source}", saga::check(source).diagnostics);
    })
}

/// The findings of a file as stories.
fn stories(source: &str, states: usize) -> String {
    let explored = tried(source, states);
    explored.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Whether the checker refuses it, too.
fn is_refused(source: &str, code: &str) -> bool {
    saga::check(source).diagnostics.iter().any(|found| found.code == code)
}

#[test]
fn a_pivot_before_a_task_that_can_fail_and_would_have_to_be_undone() {
    let source = r#"
name: too-late
inputs: [{name: order_id, type: string}]
tasks:
  - {id: charge, agent: payment, kind: pivot, inputs: [order_id]}
  - {id: reserve, agent: inventory, depends_on: [charge], inputs: [order_id], compensate: release}
"#;
    assert!(is_refused(source, "E401"));
    insta::assert_snapshot!(stories(source, 300), @r#"
    error[behind-pivot]: `reserve` fails once the pivot is done: nothing can be undone, and a person must say how it goes on; let it stand before the pivot, or make it `retriable` or `optional`
      1. it starts with {"order_id":"x"}
           WorkflowStarted
           TaskScheduled charge
      2. payment answers for `charge`: done
           TaskCompleted charge
           TaskScheduled reserve
      3. inventory answers for `reserve`: failed, for good
           TaskFailed reserve: refused
           WorkflowPaused reserve: refused
    "#);
}

#[test]
fn an_undo_that_needs_an_output_that_does_not_exist() {
    let source = r#"
name: no-such-output
inputs: [{name: order_id, type: string}]
tasks:
  - id: reserve
    agent: inventory
    inputs: [order_id]
    returns: {reservation_id: string}
    compensate: {type: release, inputs: {reservation: "${original.output.reservation_id}"}}
  - {id: charge, agent: payment, depends_on: [reserve], inputs: [order_id], kind: retriable}
"#;
    assert!(is_refused(source, "E405"));
    insta::assert_snapshot!(stories(source, 1000), @r#"
    error[undo-inputs]: the undo of `reserve` can not be computed, and a person must undo it by hand: `original.output.reservation_id`: `original.output` is null and has no field `reservation_id`
      1. it starts with {"order_id":"x"}
           WorkflowStarted
           TaskScheduled reserve
      2. an operator cancels
           CompensationStarted cancelled
           TaskCancelled charge: not started
      3. inventory answers for `reserve`: failed, with unknown effects; it was done
           TaskInDoubt reserve: crashed, undo
           UndoFailed reserve: expression, for good
           CompensationBlocked reserve: expression
    "#);
}

/// It is asked whether the one field is there, and the other one is read.
#[test]
fn an_undo_that_asks_for_the_wrong_field() {
    let source = r#"
name: guarded-wrongly
inputs: [{name: order_id, type: string}]
tasks:
  - id: reserve
    agent: inventory
    inputs: [order_id]
    returns: {reservation_id: string, note: string?}
    compensate:
      type: release
      inputs: {of: "${has(original.output.note) ? original.output.note : string(original.output.reservation_id)}"}
  - {id: charge, agent: payment, depends_on: [reserve], inputs: [order_id], kind: retriable}
"#;
    insta::assert_snapshot!(stories(source, 1000), @r#"
    error[undo-inputs]: the undo of `reserve` can not be computed, and a person must undo it by hand: `has(original.output.note) ? original.output.note : string(original.output.reservation_id)`: there is no field `reservation_id` (with original.output = null)
      1. it starts with {"order_id":"x"}
           WorkflowStarted
           TaskScheduled reserve
      2. an operator cancels
           CompensationStarted cancelled
           TaskCancelled charge: not started
      3. inventory answers for `reserve`: failed, with unknown effects; it was done
           TaskInDoubt reserve: crashed, undo
           UndoFailed reserve: expression, for good
           CompensationBlocked reserve: expression
    "#);
}

#[test]
fn a_join_that_names_too_few() {
    let source = r#"
name: no-such-join
inputs: [{name: order_id, type: string}]
tasks:
  - {id: left, agent: left, inputs: [order_id]}
  - {id: right, agent: right, inputs: [order_id]}
  - {id: both, agent: both, depends_on: {n_of: 3, tasks: [left, right]}}
"#;
    assert!(is_refused(source, "E205"));
    insta::assert_snapshot!(stories(source, 1000), @r#"
    error[never-starts]: `both` starts in no run: its join can not fire
      1. it starts with {"order_id":"x"}
           WorkflowStarted
           TaskScheduled left
           TaskScheduled right
      2. left answers: done
           TaskCompleted left
           TaskFailed both: join_impossible
           CompensationStarted both: join_impossible
           TaskCancelled right: changes nothing
           CompensationCompleted: nothing was to be undone
           WorkflowFailed: compensated, join_impossible
    "#);
}

#[test]
fn a_join_of_tasks_that_exclude_one_another() {
    let source = r#"
name: exclusive-join
inputs: [{name: method, type: string}]
tasks:
  - {id: card, agent: card, when: "${inputs.method == 'card'}"}
  - {id: invoice, agent: invoice, when: "${inputs.method != 'card'}"}
  - {id: ship, agent: shipping, depends_on: {n_of: 2, tasks: [card, invoice]}}
"#;
    assert!(saga::check(source).plan.is_some(), "the checker does not see it");
    insta::assert_snapshot!(stories(source, 1000), @r#"
    error[never-starts]: `ship` starts in no run: its join can not fire
      1. it starts with {"method":"x"}
           WorkflowStarted
           TaskSkipped card: when
           TaskScheduled invoice
      2. invoice answers: done
           TaskCompleted invoice
           TaskFailed ship: join_impossible
           CompensationStarted ship: join_impossible
           CompensationCompleted: nothing was to be undone
           WorkflowFailed: compensated, join_impossible
    "#);
}

#[test]
fn a_task_that_reads_what_may_have_been_passed_over() {
    let source = r#"
name: skipped-read
inputs: [{name: vip, type: boolean}]
tasks:
  - {id: gift, agent: gift, when: "${inputs.vip}", returns: {gift_id: string}}
  - {id: pack, agent: packing, kind: readonly, inputs: {size: 1}}
  - {id: ship, agent: shipping, depends_on: [gift, pack], inputs: {gift: "${tasks.gift.output.gift_id}"}}
"#;
    assert!(saga::check(source).plan.is_some(), "the checker does not see it");
    insta::assert_snapshot!(stories(source, 300), @r#"
    error[expression]: `ship` fails by itself: `tasks.gift.output.gift_id`: `tasks.gift.output` is null and has no field `gift_id`
      1. it starts with {"vip":false}
           WorkflowStarted
           TaskSkipped gift: when
           TaskScheduled pack
      2. packing answers for `pack`: done
           TaskCompleted pack
           TaskFailed ship: expression
           CompensationStarted ship: expression
           CompensationCompleted: nothing was to be undone
           WorkflowFailed: compensated, expression
    "#);
}

/// What nobody has declared may be there or not: that is a warning, and only where it is not there.
#[test]
fn what_is_not_declared_is_only_doubted() {
    let source = r#"
name: undeclared
inputs: [{name: order_id, type: string}]
tasks:
  - {id: quote, agent: quote, inputs: [order_id]}
  - {id: pay, agent: pay, depends_on: [quote], inputs: {sum: "${tasks.quote.output.sum * 2}"}}
  - id: large
    agent: large
    depends_on: [pay]
    when: ${tasks.quote.output.country == 'de'}
"#;
    let explored = tried(source, 2000);
    assert!(!explored.has_errors());
    assert!(explored.unreached.is_empty(), "{:?}", explored.unreached);
    insta::assert_snapshot!(stories(source, 300), @r#"
    warning[expression]: `pay` fails by itself: `tasks.quote.output.sum * 2`: there is no field `sum`
      1. it starts with {"order_id":"x"}
           WorkflowStarted
           TaskScheduled quote
      2. quote answers: done, with an output that lacks what is read of it
           TaskCompleted quote
           TaskFailed pay: expression
           CompensationStarted pay: expression
           TaskCancelled large: not started
           CompensationCompleted: nothing was to be undone
           WorkflowFailed: compensated, expression
    "#);
}

#[test]
fn what_has_other_errors_means_nothing_yet() {
    let source = "name: broken\ntasks: [{id: a, agent: x, depends_on: [b]}]\n";
    assert_eq!(explore(source, &[], Bounds::default()), None);
}

#[test]
fn it_says_whether_everything_was_seen() {
    let source = "name: one\ninputs: []\ntasks: [{id: a, agent: x}]\n";
    let all = tried(source, 10_000);
    assert!(all.complete && all.troubles.is_none() && all.findings.is_empty(), "{all:?}");
    let some = tried(source, 5);
    assert!(!some.complete && some.states == 5, "{some:?}");
    assert_eq!(tried(source, 10_000), all, "it finds the same each time");
}

/// A child is known by its file, else only by its name.
#[test]
fn children_end_well_or_not() {
    let parent = r#"
name: parent
inputs: [{name: id, type: string}]
tasks:
  - {id: trip, saga: trip, inputs: [id]}
  - {id: last, agent: last, depends_on: [trip], inputs: {leg: "${tasks.trip.output.leg}"}}
"#;
    let child = "name: trip\ninputs: [{name: id, type: string}, {name: day, type: string}]\n\
                 tasks: [{id: a, agent: a}]\n";
    assert!(!tried(parent, 2000).has_errors());
    let known = explore(parent, &[child], Bounds { states: 2000 }).unwrap();
    assert_eq!(known.unreached, Vec::<String>::new());
    let never = known.findings.iter().find(|found| found.code == "never-starts").unwrap();
    assert_eq!((never.gravity, never.task.as_deref()), (Gravity::Error, Some("last")));
}

fn yaml_files(folder: &std::path::Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            into.push(path);
        }
    }
}

#[test]
fn the_sagas_of_this_tree_keep_their_promises() {
    let mut files = Vec::new();
    let sagas = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sagas");
    yaml_files(&sagas, &mut files);
    files.sort();
    assert!(files.len() > 15, "only {} were found", files.len());
    for file in files {
        let explored = tried(&std::fs::read_to_string(&file).unwrap(), 300);
        let wrong = explored.findings.iter().find(|found| found.gravity == Gravity::Error);
        assert!(wrong.is_none(), "{}\n{}", file.display(), wrong.unwrap());
    }
}

#[test]
fn every_shape_keeps_its_promises() {
    for source in include_str!("shapes.txt").split("---\n") {
        let explored = tried(source, 400);
        let wrong = explored.findings.iter().find(|found| found.gravity == Gravity::Error);
        assert!(wrong.is_none(), "{source}\n{}", wrong.unwrap());
    }
}

/// What its fallback has done is undone by that one's undo, and not by its own.
#[test]
fn a_task_that_was_covered_is_undone_by_its_fallback() {
    let source = r#"
name: covered
tasks:
  - {id: a, agent: a, inputs: {}, compensate: u}
  - {id: b, agent: a, inputs: {}, depends_on: [a], compensate: u, fallback: {agent: a, inputs: {}, compensate: u2}}
  - {id: z, agent: a, inputs: {}, kind: readonly, depends_on: [b]}
"#;
    assert_eq!(stories(source, 2_000), "");
}
