//! Late successes beside a run that goes on, and after it.

use crate::check_of;

/// What a run goes on without, and what a fallback stands in for: its own late success is undone all the same.
#[test]
fn late_successes_beside_a_run_that_goes_on() {
    let known = r#"undo a 2 inputs={"inputs":{},"key":"k","output":{"by":"a"},"status":"done"}"#;
    let doubted = "start\nstarted\ndo a\ntimeout a\nfailed a\nundo a\nundone a\n";
    let optional =
        "version: \"2.0\"\nname: shop\ntasks: [{id: a, agent: a, optional: true, compensate: u}]\n";
    check_of(optional, &[doubted, "completed\n"].concat(), &[]);
    check_of(optional, &[doubted, "answer a\ncompleted\n"].concat(), &["late-success"]);
    check_of(optional, &[doubted, "completed\nanswer a\n"].concat(), &["late-success"]);
    check_of(optional, &[doubted, "answer a\n", known, "\nundone a 2\ncompleted\n"].concat(), &[]);
    check_of(optional, &[doubted, "completed\nanswer a\n", known, "\n"].concat(), &[]);

    let fallback = "version: \"2.0\"\nname: shop\ntasks: [{id: a, agent: a, compensate: u, fallback: {agent: b}}]\n";
    let covered = "do a~fallback agent=b to=b\nanswer a~fallback\ndone a~fallback\n\
        done a output={\"by\":\"a~fallback\"}\ncompleted\n";
    check_of(fallback, &[doubted, covered].concat(), &[]);
    check_of(fallback, &[doubted, "answer a\n", covered].concat(), &["late-success"]);
    check_of(fallback, &[doubted, covered, "answer a\n"].concat(), &["late-success"]);
    check_of(fallback, &[doubted, "answer a\n", known, "\nundone a 2\n", covered].concat(), &[]);
    check_of(fallback, &[doubted, covered, "answer a\n", known, "\n"].concat(), &[]);
    // Also while the tasks of `then` run, and while a run fails fast; but not where nothing was undone.
    let then = "version: \"2.0\"\nname: shop\non_failure: {strategy: continue, then: [{id: d, agent: d, kind: retriable}]}\n\
        tasks: [{id: a, agent: a, compensate: u}]\n";
    let end = "partial undone=a\n";
    let closing = "do d\nanswer a\nanswer d\ndone d\n";
    check_of(
        then,
        &[doubted, "answer a\ndo d\nanswer d\ndone d\n", end].concat(),
        &["late-success"],
    );
    check_of(then, &[doubted, closing, end].concat(), &["late-success"]);
    check_of(
        then,
        &[doubted, "do d\nanswer d\ndone d\n", end, "answer a\n"].concat(),
        &["late-success"],
    );
    let failed = "start\nstarted\ndo a\nfailed a\n";
    check_of(then, &[failed, closing, "partial\n"].concat(), &[]);
    check_of(
        then,
        &[failed, "answer a\n", "do d\nanswer d\ndone d\npartial\n"].concat(),
        &["late-success"],
    );
    let fast = "version: \"2.0\"\nname: shop\non_failure: fail_fast\ntasks: [{id: a, agent: a, compensate: u}]\n";
    let out = "start\nstarted\ndo a\ntimeout a\nfailed a\nundo a\n";
    let end = "undone a\nfailfast undone=a\n";
    check_of(fast, &[out, "answer a\n", end].concat(), &["late-success"]);
    check_of(fast, &[out, end, "answer a\n"].concat(), &["late-success"]);
    check_of(fast, &[failed, "failfast\nanswer a\n"].concat(), &[]);
    let other =
        covered.replace("done a output={\"by\":\"a~fallback\"}", "done a output={\"by\":1}");
    check_of(fallback, &[doubted, &other].concat(), &["answered"]);
}

/// A fallback runs for a task that has failed, also because what it waits for can not be done.
#[test]
fn a_fallback_begins_when_its_task_has_failed() {
    let saga = "version: \"2.0\"\nname: shop\ntasks:\n  - {id: a, agent: a, optional: true}\n  \
        - {id: b, agent: b, depends_on: {any: [a]}, fallback: {agent: c}}\n";
    let before = "start\nstarted\ndo a\nfailed a\n";
    let covered = "do b~fallback agent=c to=c\nanswer b~fallback\ndone b~fallback\n\
        done b output={\"by\":\"b~fallback\"}\ncompleted\n";
    check_of(saga, &[before, "failed b code=join_impossible\n", covered].concat(), &[]);
    check_of(saga, &[before, covered].concat(), &["graph-order"]);
}

/// Its undo went out because it was in doubt, it turned out to be done, and was undone once more.
#[test]
fn a_fallback_begins_behind_a_late_success_that_is_undone() {
    let saga = "version: \"2.0\"\nname: shop\ntasks:\n  \
        - {id: b, agent: b, compensate: u, fallback: {agent: c}}\n";
    let doubted = "start\nstarted\ndo b\nwait 100000\ndoubt b\nundo b\nanswer b\ndone b\n\
        undo b 2\n";
    let covered = "do b~fallback agent=c to=c\nanswer b~fallback\ndone b~fallback\n\
        done b output={\"by\":\"b~fallback\"}\ncompleted\n";
    check_of(saga, &[doubted, "undone b 2\n", covered].concat(), &[]);
    check_of(saga, &[doubted, covered].concat(), &["all-over", "graph-order"]);
}

/// An undo whose `when` is false ends without being sent.
#[test]
fn an_undo_may_say_that_there_is_nothing_to_undo() {
    let saga = |when: &str| {
        format!(
            "version: \"2.0\"\nname: shop\ntasks:\n  \
             - {{id: a, agent: a, compensate: {{type: u{when}}}}}\n  - {{id: z, agent: z, depends_on: [a]}}\n"
        )
    };
    let lines = "start\nstarted\ndo a\nanswer a\ndone a\ndo z\nfailed z\nturn\nundone a\nback\n\
        compensated undone=a\n";
    check_of(&saga(", when: \"${original.output.sure}\""), lines, &[]);
    check_of(&saga(""), lines, &["one-undo"]);
}

/// Of those that the graph lets through, what was finished last is undone first.
#[test]
fn strictly_the_last_that_the_graph_lets_through() {
    let saga = "version: \"2.0\"\nname: shop\ncompensation: {order: strict}\ntasks:\n  \
        - {id: a, agent: a, compensate: u}\n  - {id: b, agent: b, compensate: u}\n  \
        - {id: c, agent: c, compensate: u, depends_on: {any: [a, b]}}\n  - {id: d, agent: d}\n";
    let done = "start\nstarted\ndo a\ndo b\ndo d\nanswer a\ndone a\ndo c\nanswer c\ndone c\nanswer b\ndone b\n\
        failed d\nturn\n";
    let rest = "undo b\nundone b\nundo a\nundone a\nback\ncompensated undone=a,b,c\n";
    check_of(saga, &[done, "undo c\nundone c\n", rest].concat(), &[]);
    let wrong = "undo c\nundone c\nundo a\nundone a\nundo b\nundone b\n";
    check_of(saga, &[done, wrong, "back\ncompensated undone=a,b,c\n"].concat(), &["undo-order"]);
}

/// What a fallback has done is undone where its task would be: after what came after that.
#[test]
fn a_fallback_is_undone_where_its_task_stands() {
    let tasks = "tasks:\n  \
        - {id: a, agent: a, fallback: {agent: a, compensate: u}}\n  - {id: b, agent: b}\n  \
        - {id: c, agent: c, compensate: u, depends_on: {any: [a, b]}}\n  - {id: d, agent: d}\n";
    let done = "start\nstarted\ndo a\ndo b\ndo d\nanswer b\ndone b\ndo c\nfailed a\n\
        do a~fallback\nanswer c\ndone c\nanswer a~fallback\ndone a~fallback\n\
        done a output={\"by\":\"a~fallback\"}\nfailed d\nturn\n";
    let first_c = "undo c\nundone c\nundo a~fallback\nundone a~fallback\n";
    let last_c = "undo a~fallback\nundone a~fallback\nundo c\nundone c\n";
    let end = "back\ncompensated undone=a~fallback,c\n";
    for order in ["graph", "strict"] {
        let saga =
            format!("version: \"2.0\"\nname: shop\ncompensation: {{order: {order}}}\n{tasks}");
        check_of(&saga, &[done, first_c, end].concat(), &[]);
        check_of(&saga, &[done, last_c, end].concat(), &["undo-order"]);
    }
}
