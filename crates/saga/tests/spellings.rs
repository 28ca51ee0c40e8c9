//! The other spellings that a saga may have: each is the same saga as its full form.

use saga::{Checked, Colour, check, render};

/// The version that a sound file has.
fn version(source: &str) -> String {
    let checked = check(source);
    let said = render("a.yaml", source, &checked, Colour::None);
    let plan = checked.plan.unwrap_or_else(|| panic!("{source}\n{said}"));
    plan.version.as_str().to_owned()
}

/// Each finding as `CODE line:column message; help`.
fn found(checked: &Checked) -> Vec<String> {
    let show = |found: &saga::Diagnostic| {
        let help = found.help.as_deref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{} {}:{} {}{help}", found.code, found.line, found.column, found.message)
    };
    checked.diagnostics.iter().map(show).collect()
}

#[track_caller]
fn same(short: &str, full: &str) {
    assert_eq!(version(short), version(full), "{short}");
}

#[track_caller]
fn refused(source: &str, expect: &[&str]) {
    let checked = check(source);
    assert!(checked.plan.is_none());
    assert_eq!(found(&checked), expect, "{source}");
}

#[test]
fn the_four_files_that_the_project_was_asked_to_run_are_these_in_full_form() {
    for (short, full) in [
        (
            include_str!("spellings/data-processing-pipeline.yaml"),
            include_str!("spellings/data-processing-pipeline.full.yaml"),
        ),
        (
            include_str!("spellings/etl-pipeline.yaml"),
            include_str!("spellings/etl-pipeline.full.yaml"),
        ),
        (
            include_str!("spellings/market-analysis.yaml"),
            include_str!("spellings/market-analysis.full.yaml"),
        ),
        (
            include_str!("spellings/order-processing.yaml"),
            include_str!("spellings/order-processing.full.yaml"),
        ),
    ] {
        same(short, full);
    }
}

#[test]
fn a_file_may_stand_under_workflow_dsl() {
    let full = "version: \"2.0\"\nname: n\ntasks: [{id: a, agent: x}]";
    same("workflow_dsl:\n  version: \"2.0\"\n  name: n\n  tasks: [{id: a, agent: x}]", full);
    same("workflow_dsl: {version: \"2.0\", scenario: n, tasks: [{id: a, agent: x}]}", full);
    refused(
        "workflow_dsl: {name: n, tasks: [{id: a, agent: x}]}\ntimeout: 1h",
        &["E102 2:1 unknown key `timeout` beside `workflow_dsl`; all of the file stands under \
           `workflow_dsl`, or nothing"],
    );
}

#[test]
fn a_list_under_workflow_is_the_order_of_its_tasks() {
    let full = "name: n\ntasks: [{id: a, agent: a, type: do_it}, {id: b, agent: x, depends_on: [a]}, \
                {id: c, agent: c, depends_on: [b]}]";
    for key in ["workflow", "orchestration", "choreography"] {
        let short = format!("scenario: n\n{key}: [a: do_it, {{id: b, agent: x}}, c: So to say.]");
        same(&short, full);
    }
}

#[test]
fn short_tasks_stand_in_any_list_and_only_some_lists_are_in_order() {
    same(
        "name: n\ntasks: [a: do_it, {id: b, agent: x, depends_on: [a]}]",
        "name: n\ntasks: [{id: a, agent: a, type: do_it}, {id: b, agent: x, depends_on: [a]}]",
    );
}

#[test]
fn what_a_file_says_twice_is_refused() {
    refused(
        "name: n\nscenario: m\nworkflow: [a: b]\norchestration: [c: d]\n",
        &[
            "E201 2:1 key `name` is given twice, first at line 1: `scenario` is the same",
            "E201 4:1 key `tasks` is given twice, first at line 3: `orchestration` is the same",
        ],
    );
    refused(
        "name: n\non_failure: pause\nworkflow: [a: b, compensation: All back]\n",
        &["E201 3:18 key `on_failure` is given twice, first at line 2: `compensation` is the same"],
    );
    refused(
        "name: n\nworkflow: [{id: a, agent: x}, {id: b, agent: x, depends_on: [a]}]\n",
        &["E102 2:49 unknown key `depends_on` in a list that is the order of its tasks; leave it \
           out, or list the tasks under `tasks`"],
    );
}

#[test]
fn a_name_that_is_no_id_is_refused_once_and_a_good_one_proposed() {
    let help = "letters, digits and `_`, 63 at most, a letter first";
    refused(
        "name: n\nworkflow:\n  - check-stock: Look\n  - 2nd: look\n  - in: look\n",
        &[
            &format!(
                "E104 3:5 `id` must be an id, found the text \"check-stock\"; {help}: `check_stock`"
            ),
            &format!("E104 4:5 `id` must be an id, found the text \"2nd\"; {help}: `t_2nd`"),
            "E104 5:5 `id` must be an id, found the text \"in\"; `in` is a word of the expression language: \
             write `in_`",
        ],
    );
}

#[test]
fn a_step_that_is_neither_text_nor_a_group_is_refused() {
    let what = "must be text, or one of `parallel` `sequential` `agents` `conditional`";
    let full = |id: &str| format!("write the task in full: `{{id: {id}, agent: {id}}}`");
    refused(
        "name: n\nworkflow:\n  - a: 5\n  - b: {retry: 3}\n  - c: [d]\n  - e: {parallel: f}\n  - g:\n",
        &[
            &format!("E104 3:8 `a` {what}, found the number 5; {}", full("a")),
            &format!("E104 4:8 `b` {what}, found a map; {}", full("b")),
            &format!("E104 5:8 `c` {what}, found a list of 1; {}", full("c")),
            "E104 6:19 `parallel` must be a list, found the text \"f\"",
            &format!("E104 7:6 `g` {what}, found null; {}", full("g")),
        ],
    );
}

#[test]
fn a_condition_without_a_task_before_it_is_refused() {
    let message = "`conditional` asks for the outcome of the task before, and here is none that has \
                   one; put it behind a task or a group in a list that is in order, or write a `choice`";
    let cases = "conditional: [if_valid: b, if_invalid: c]";
    for (tasks, at) in [
        (format!("workflow: [{{a: {{{cases}}}}}]"), "2:17"),
        (format!("tasks: [z: y, {{a: {{{cases}}}}}]"), "2:20"),
        (
            format!("workflow: [z: y, {{a: {{{cases}}}}}, {{d: {{conditional: [if_x: e]}}}}]"),
            "2:73",
        ),
    ] {
        let checked = check(&format!("name: n\n{tasks}"));
        assert!(found(&checked).contains(&format!("E105 {at} {message}")), "{:?}", found(&checked));
    }
}

#[test]
fn a_case_is_an_outcome_and_an_agent() {
    let checked =
        check("name: n\nworkflow: [z: y, {a: {conditional: [if_x: b, else: c, if_y: 3]}}]");
    let errors: Vec<String> =
        found(&checked).into_iter().filter(|found| found.starts_with("E104")).collect();
    assert_eq!(
        errors,
        [
            "E104 2:46 `a case` must be `if_OUTCOME: AGENT`, found a map; as in `- if_valid: load`",
            "E104 2:61 `if_y` must be text, found the number 3; write \"3\"",
        ]
    );
}
