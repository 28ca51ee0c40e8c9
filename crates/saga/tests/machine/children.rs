//! Stories of parents and children: what is begun, refused, stopped and undone, and who is told.

use std::fmt::Write as _;

use events::{CommandKind, Json, Run, Subject};
use insta::assert_snapshot;
use saga::{Answer, Cause, Input, Parent, Start};

use crate::world::{World, command as told, show, tell_all};

/// A child with a key of its own.
const CHILD: &str = r#"
version: "2.0"
name: child
key: ${inputs.n}
inputs: [{name: n, type: string}]
defaults: {timeout: 10s, retry: 1}
compensation: {grace: 5s, retry: 1}
tasks:
  - {id: c, agent: c, compensate: u}
  - {id: d, agent: d, depends_on: [c]}
outputs: [{name: got, from: c.output}]
"#;

/// A parent of tasks.
fn parent(tasks: &str) -> String {
    format!(
        "version: \"2.0\"\nname: parent\ndefaults: {{timeout: 10s, retry: 1}}\n\
         compensation: {{grace: 5s, retry: 1}}\ntasks:\n{tasks}"
    )
}

fn family(tasks: &str, script: &str) -> String {
    tell_all(&[CHILD, &parent(tasks)], script)
}

#[test]
fn a_child_whose_key_is_taken_is_not_begun_and_the_parent_is_told() {
    assert_snapshot!(family(
        "  - {id: one, saga: child, inputs: {n: x}}\n  - {id: two, saga: child, inputs: {n: x}, optional: true}",
        r#"
        start parent k {}
        on child:x
        c done 7
        d done
    "#
    ));
}

#[test]
fn a_child_whose_inputs_do_not_fit_is_not_begun() {
    assert_snapshot!(family(
        "  - {id: sub, saga: child, inputs: {n: \"${inputs.n}\"}}",
        r#"start parent k {"n":5}"#
    ));
}

#[test]
fn a_saga_that_is_not_deployed_can_be_no_child() {
    assert_snapshot!(tell_all(
        &[&parent("  - {id: sub, saga: child, inputs: {n: x}}")],
        "start parent k {}"
    ));
    assert_snapshot!(family(
        "  - {id: sub, saga: {name: child, hash: \"000000000000\"}, inputs: {n: x}}",
        "start parent k {}"
    ));
}

#[test]
fn a_child_keeps_the_version_that_the_file_names() {
    let version = saga::check(CHILD).plan.unwrap().version;
    assert_snapshot!(
        family(
            &format!(
                "  - {{id: sub, saga: {{name: child, hash: \"{version}\"}}, inputs: {{n: x}}}}"
            ),
            "start parent k {}"
        )
        .replace(version.as_str(), "VERSION")
    );
}

#[test]
fn children_stand_at_most_so_deep() {
    let nest = r#"
version: "2.0"
name: nest
tasks: [{id: again, saga: {name: nest, max_depth: 2}, inputs: {}}]
"#;
    assert_snapshot!(tell_all(&[nest, CHILD], "start nest k {}"));
}

#[test]
fn a_long_command_gives_its_child_a_short_key() {
    let child = CHILD.replace("key: ${inputs.n}\n", "");
    let parent = parent("  - {id: sub, saga: child, inputs: {n: x}}");
    // `parent:KEY/sub/1.1` is the child's key, of at most 512 bytes.
    for (length, is_short) in [(512 - 15, false), (512 - 14, true)] {
        let told =
            tell_all(&[&child, &parent], &format!("start parent {} {{}}", "k".repeat(length)));
        let key = told.split("inbox child:").nth(1).unwrap().split(": ").next().unwrap();
        assert_eq!(key.len(), if is_short { 64 } else { 512 }, "{told}");
    }
}

/// The parent is out of patience: it asks for the undo while the child still runs.
#[test]
fn a_child_that_is_still_running_is_stopped_undone_and_answers_both_commands() {
    assert_snapshot!(family(
        r#"
  - {id: sub, saga: child, inputs: {n: x}, timeout: 3s, retry: 1, optional: true}
  - {id: after, agent: x, depends_on: [sub], inputs: {}}
"#,
        r#"
        start parent k {}
        on child:x
        c done 7
        on parent:k
        wait
        on child:x
        c.undo done
        on parent:k
        after done
    "#
    ));
}

#[test]
fn a_child_that_leaves_something_behind_says_so() {
    // It fails fast: what it did stands.
    let fails = CHILD.replace("outputs:", "on_failure: fail_fast\noutputs:");
    let one = parent("  - {id: sub, saga: child, inputs: {n: x}, in_doubt: hold}");
    assert_snapshot!(tell_all(
        &[&fails, &one],
        r#"
        start parent k {}
        on child:x
        c done 7
        d failed no final
    "#
    ));
    // What it did is in doubt.
    assert_snapshot!(tell_all(
        &[&fails, &one],
        r#"
        start parent k {}
        on child:x
        c failed broken final unknown
    "#
    ));
    // It is cancelled, and an undo is given up.
    assert_snapshot!(family(
        "  - {id: sub, saga: child, inputs: {n: x}, in_doubt: hold}",
        r#"
        start parent k {}
        on child:x
        c done 7
        cancel
        c.undo failed no final
        skip c
    "#
    ));
}

/// What a world answers to a parent's command for its child.
fn unwound(world: &mut World, child: &str, command: &Subject) -> String {
    let (workflow, command, before) = (child.into(), command.clone(), world.sent.len());
    let decision = world.feed(Cause::Input(&Input::Unwind { workflow, command }));
    let told: String = world.sent[before..].iter().map(told).collect();
    format!("{}{told}", show(&decision))
}

fn command(workflow: &str, kind: CommandKind, n: u32) -> Subject {
    Subject { workflow: workflow.into(), task: "sub".into(), run: Run(1), kind, n }
}

#[test]
fn only_its_parent_stops_a_child_and_of_what_never_was_there_is_nothing_to_undo() {
    let mut world = World::deploy(CHILD);
    let (undo, stop) = (CommandKind::Undo, CommandKind::Do);
    assert_snapshot!(unwound(&mut world, "child:x", &command("parent:k", undo, 1)));
    assert_snapshot!(unwound(&mut world, "child:x", &command("parent:k", stop, 1)));
    _ = world.play(r#"start child x {"n":"x"}"#);
    assert_snapshot!(unwound(&mut world, "child:x", &command("parent:k", undo, 1)));
    assert_snapshot!(unwound(&mut world, "child:x", &command("parent:k", stop, 1)));
    assert_eq!(world.status(), "running");
}

#[test]
fn a_parents_command_counts_once_and_only_that_of_the_task_that_began_the_child() {
    let tasks = "  - {id: sub, saga: child, inputs: {n: x}}";
    let mut world = World::family(&[CHILD, &parent(tasks)], "start parent k {}");
    let undo = command("parent:k", CommandKind::Undo, 1);
    let others = [
        Subject { task: "other".into(), ..undo.clone() },
        Subject { run: Run(2), ..undo.clone() },
        command("parent:other", CommandKind::Undo, 1),
    ];
    for other in others {
        assert_snapshot!(unwound(&mut world, "child:x", &other));
    }
    assert_snapshot!(unwound(&mut world, "child:x", &undo));
    assert_snapshot!(unwound(&mut world, "child:x", &undo));
    let again = Subject { n: 2, ..undo.clone() };
    assert_snapshot!(unwound(&mut world, "child:x", &again));
    _ = world.play("on child:x");
    let before = world.sent.len();
    _ = world.play("c failed cancelled");
    let answered: Vec<String> = world.sent[before..].iter().map(|r| format!("{r:?}")).collect();
    let of = |n: &str| answered.iter().filter(|record| record.contains(n)).count();
    assert_eq!((of("parent:k/sub/1.undo1"), of("parent:k/sub/1.undo2")), (1, 1), "{answered:#?}");
    // It has undone itself: nothing is left for a command that comes now.
    let third = Subject { n: 3, ..undo };
    assert_snapshot!(unwound(&mut world, "child:x", &third));
}

/// No answer came in time; the next attempt asks the child that there is, which answers both commands.
#[test]
fn a_child_of_a_task_that_is_tried_again_is_the_same() {
    let keyless = CHILD.replace("key: ${inputs.n}\n", "");
    for (child, id) in [(CHILD, "child:x"), (&keyless, "child:parent:k/sub/1.1")] {
        let told = tell_all(
            &[child, &parent("  - {id: sub, saga: child, inputs: {n: x}, timeout: 3s, retry: 3}")],
            &format!("start parent k {{}}\nwait 3s\nwait\non {id}\nc done 7\nd done\non parent:k"),
        );
        assert_snapshot!(told.replace(id, "CHILD"));
    }
}

/// The last attempt's word counts, also where the child answers all of them.
#[test]
fn a_child_that_was_asked_again_and_fails_has_failed() {
    assert_snapshot!(family(
        "  - {id: sub, saga: child, inputs: {n: x}, timeout: 3s, retry: 3}",
        r#"
        start parent k {}
        wait 3s
        wait
        on child:x
        c failed no final
    "#
    ));
}

/// As often as it takes, and each run is one of its own; what the runs before may still report is not swallowed.
#[test]
fn a_child_of_a_retriable_task_that_has_left_nothing_is_begun_anew() {
    assert_snapshot!(family(
        r#"
  - {id: pivot, agent: p, kind: pivot, inputs: {}}
  - {id: sub, saga: child, inputs: {n: x}, kind: retriable, depends_on: [pivot]}
"#,
        r#"
        start parent k {}
        pivot done
        on child:x
        c failed no final
        on parent:k
        wait
        on child:x
        c failed no final
        on parent:k
        wait
        on child:x
        c done 7
        d done
    "#
    ));
    let tasks = "  - {id: sub, saga: child, inputs: {n: x}, kind: retriable}";
    let mut world = World::family(&[CHILD, &parent(tasks)], "start parent k {}");
    _ = world.play("on child:x");
    let first = Subject {
        workflow: "child:x".into(),
        task: "c".into(),
        run: Run(world.run),
        kind: CommandKind::Do,
        n: 1,
    };
    let before = world.sent.len();
    _ = world.play("c failed no final");
    _ = world.pass_on(before);
    _ = world.play("on parent:k");
    let before = world.sent.len();
    _ = world.play("wait");
    _ = world.pass_on(before);
    let late = world.answer(first.clone(), Answer::Completed(Json::null()));
    assert_snapshot!(show(&late));
    assert_snapshot!(show(&world.answer(first, Answer::Completed(Json::null()))));
}

/// It was undone with its parent's group; then an operator has the task done again.
#[test]
fn an_operator_has_a_child_that_failed_begun_anew() {
    assert_snapshot!(family(
        "  - {id: sub, saga: child, inputs: {n: x}, on_failure: pause}",
        r#"
        start parent k {}
        on child:x
        c done 7
        d failed no final
        c.undo done
        on parent:k
        retry sub
        on child:x
        c done 8
        d done
    "#
    ));
}

/// What has failed fast and stands is not begun beside itself.
#[test]
fn a_child_of_which_something_stands_is_not_begun_anew() {
    let fails = CHILD.replace("outputs:", "on_failure: fail_fast\noutputs:");
    let tasks = "  - {id: sub, saga: child, inputs: {n: x}, on_failure: pause, in_doubt: hold}";
    assert_snapshot!(tell_all(
        &[&fails, &parent(tasks)],
        r#"
        start parent k {}
        on child:x
        c done 7
        d failed no final
        on parent:k
        resolve sub not_done
        retry sub
    "#
    ));
}

#[test]
fn a_child_whose_key_is_too_long_is_not_begun_and_the_parent_is_told() {
    let told = family(
        "  - {id: sub, saga: child, inputs: {n: \"${inputs.n}\"}}",
        &format!("start parent k {{\"n\":\"{}\"}}", "n".repeat(513)),
    );
    assert_snapshot!(told.replace(&"n".repeat(513), "N"));
}

#[test]
fn a_child_is_forgotten_like_any_workflow() {
    assert_snapshot!(family(
        "  - {id: sub, saga: child, inputs: {n: x}}",
        r#"
        start parent k {}
        on child:x
        c done 7
        d done
        wait 2591999s
        c.do1 done 8
        wait 1s
    "#
    ));
}

/// What a world answers to its child's being asked for again, by this command.
fn asked(world: &mut World, n: u32, offset: i64) -> String {
    let start = Start {
        workflow: "child:x".into(),
        saga: "child".into(),
        version: None,
        inputs: Json::parse(br#"{"n":"x"}"#).unwrap(),
        start_id: format!("s{n}/{offset}"),
        offset,
        trace: None,
        parent: Some(Parent { command: command("parent:k", CommandKind::Do, n), depth: 1 }),
    };
    let before = world.sent.len();
    let decision = world.feed(Cause::Input(&Input::Start(start)));
    let told: String = world.sent[before..].iter().map(told).collect();
    format!("{}{told}", show(&decision))
}

#[test]
fn a_child_that_is_asked_for_again_is_the_same_and_answers_each_command_once() {
    let tasks = "  - {id: sub, saga: child, inputs: {n: x}}";
    let begun = || {
        let mut world = World::family(&[CHILD, &parent(tasks)], "start parent k {}");
        _ = world.play("on child:x");
        world
    };
    // While it runs: an old command, or the same, is a duplicate; a newer one is answered too.
    let mut world = begun();
    let mut shown = String::new();
    for n in [1, 2, 2, 1, 3] {
        writeln!(shown, "{n}: {}", asked(&mut world, n, 50).trim_end()).unwrap();
    }
    for line in ["c done 7", "d done"] {
        let before = world.sent.len();
        _ = world.play(line);
        world.sent[before..].iter().for_each(|record| shown.push_str(&told(record)));
    }
    // It has completed, and says so again.
    for n in [3, 4] {
        writeln!(shown, "{n}: {}", asked(&mut world, n, 50).trim_end()).unwrap();
    }
    // What is being undone is not begun.
    let undo = command("parent:k", CommandKind::Undo, 1);
    shown.push_str(&unwound(&mut world, "child:x", &undo));
    writeln!(shown, "5: {}", asked(&mut world, 5, 50).trim_end()).unwrap();
    assert_snapshot!(shown);
    // It has left nothing, and is begun anew: what is said of the run before is not about this one.
    let mut world = begun();
    let mut shown = String::new();
    for line in ["c done 7", "d failed x final", "c.undo done"] {
        _ = world.play(line);
    }
    assert_eq!(world.status(), "compensated");
    writeln!(shown, "2: {}", asked(&mut world, 2, 50).trim_end()).unwrap();
    for line in ["c done 8", "c failed x", "c.undo done"] {
        writeln!(shown, "{line}: {}", show(&world.play(line)).trim_end()).unwrap();
    }
    assert_snapshot!(shown);
    world.refold();
    // What it did stands: somebody must see to that first.
    let mut world = begun();
    for line in ["c done 7", "d failed x final", "c.undo failed y final", "skip c"] {
        _ = world.play(line);
    }
    assert_eq!(world.status(), "partial");
    assert_snapshot!(asked(&mut world, 2, 50));
}
