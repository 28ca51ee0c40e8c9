//! What a file says without need, and what it probably forgot.

use std::collections::BTreeSet;

use super::draft::{Draft, InputsDraft};
use super::findings::{Finding, Findings};
use super::graph::Graph;

/// W01 and W07; not for a file with errors, of which not everything was read.
pub(super) fn check(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    if findings.has_errors() {
        return;
    }
    check_kinds(draft, findings);
    check_inputs(draft, findings);
    for (at, topic) in draft.topics.iter().enumerate() {
        if !draft.triggers.iter().any(|trigger| trigger.alias == Some(at)) {
            let message = format!("topic `{}` is not used", topic.alias.it);
            findings.push(Finding::warning("W07", topic.alias.span, message));
        }
    }
    check_edges(draft, graph, findings);
}

fn check_kinds(draft: &Draft, findings: &mut Findings) {
    if draft.tasks.iter().all(|task| task.undo.is_none()) {
        return;
    }
    for task in &draft.tasks {
        if task.kind_said.is_none() && task.undo.is_none() {
            let message = format!(
                "`{}` acts but has neither `kind` nor `compensate`, others here have",
                task.id.it
            );
            let help = "`kind: readonly` if it changes nothing";
            findings.push(Finding::warning("W01", task.id.span, message).help(help));
        }
    }
}

fn check_inputs(draft: &Draft, findings: &mut Findings) {
    let takes_all = draft
        .tasks
        .iter()
        .any(|task| matches!(task.inputs, InputsDraft::Absent) && task.depends_on.is_empty());
    if takes_all {
        return;
    }
    let of_tasks = draft.tasks.iter().flat_map(|task| {
        let inputs = match &task.inputs {
            InputsDraft::Computed(written) => Some(&**written),
            InputsDraft::Absent => None,
        };
        inputs.into_iter().chain(task.undo.as_ref().and_then(|undo| undo.inputs.as_ref()))
    });
    let written = of_tasks.chain(&draft.key).chain(draft.outputs.iter().map(|output| &output.from));
    let mut used: BTreeSet<String> = BTreeSet::new();
    for expr in written.flat_map(|written| written.template.exprs()) {
        for path in expr.paths().iter().chain(expr.uses().tested()) {
            match path.as_slice() {
                [root] if root == "inputs" => return,
                [root, name, ..] if root == "inputs" => {
                    used.insert(name.clone());
                }
                _ => {}
            }
        }
    }
    for input in draft.inputs.iter().flatten() {
        if !used.contains(&input.name.it) {
            let message = format!("input `{}` is not used", input.name.it);
            findings.push(Finding::warning("W07", input.name.span, message));
        }
    }
}

/// An edge says nothing where another one of the same task implies it, unless the task takes its
/// inputs from what it depends on.
fn check_edges(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    for (at, task) in draft.tasks.iter().enumerate() {
        if matches!(task.inputs, InputsDraft::Absent) {
            continue;
        }
        let direct = graph.before(at);
        for (name, edge) in task.depends_on.iter().zip(direct) {
            let Some(by) = direct.iter().find(|other| graph.is_before(*edge, **other)) else {
                continue;
            };
            let by = draft.tasks.get(*by).map_or("", |task| task.id.it.as_str());
            let message = format!("`depends_on: {0}` is implied by {0} → {by}", name.it);
            findings.push(Finding::warning("W07", name.span, message).help("leave it out"));
        }
    }
}
