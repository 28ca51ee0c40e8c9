//! What a file says without need, and what it probably forgot.

use std::collections::BTreeSet;

use super::draft::Draft;
use super::findings::{Finding, Findings};
use super::graph::Graph;
use super::node::{ActionDraft, InputsDraft, TaskDraft};
use super::said;
use crate::plan::{Join, Role};

/// W07; not for a file with errors, of which not everything was read.
pub(super) fn check(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    if findings.has_errors() {
        return;
    }
    check_inputs(draft, findings);
    for (at, topic) in draft.topics.iter().enumerate() {
        let triggers = draft.triggers.iter().map(|trigger| &trigger.event);
        let mut events = triggers.chain(draft.tasks.iter().flat_map(events_of));
        if !events.any(|event| event.alias == Some(at)) {
            let message = format!("topic `{}` is not used", topic.alias.it);
            findings.push(Finding::warning("W07", topic.alias.span, message));
        }
    }
    check_edges(draft, graph, findings);
}

fn check_inputs(draft: &Draft, findings: &mut Findings) {
    if draft.tasks.iter().any(|task| takes_all(draft, task)) {
        return;
    }
    let of_tasks = draft.tasks.iter().flat_map(said::of_task).map(|said| said.written);
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

/// The events that a task names, undos included.
fn events_of(task: &TaskDraft) -> Vec<&super::draft::EventDraft> {
    let undo = task.undo.as_ref().map(|undo| &undo.action);
    let actions = std::iter::once(&task.action).chain(undo);
    actions
        .flat_map(|action| {
            action.events().into_iter().chain(action.emits().map(|emit| &emit.event))
        })
        .collect()
}

/// Whether it is given the saga's inputs whole, by its place.
fn takes_all(draft: &Draft, task: &TaskDraft) -> bool {
    let is_given = match &task.action {
        ActionDraft::Agent { .. } | ActionDraft::Saga(_) => true,
        ActionDraft::Emit(emit) | ActionDraft::Request(emit, _) => emit.value.is_none(),
        ActionDraft::Broken
        | ActionDraft::Await(_)
        | ActionDraft::Wait(_)
        | ActionDraft::Choice { .. }
        | ActionDraft::Race { .. }
        | ActionDraft::Group { .. }
        | ActionDraft::ForEach(_) => false,
    };
    let mut next = Some(task).filter(|_| is_given);
    while let Some(task) = next {
        let is_said = matches!(task.inputs, InputsDraft::Computed(_));
        if is_said || task.depends() || task.stand.role == Role::Item {
            return false;
        }
        match task.stand.host {
            None => return true,
            Some(host) => next = draft.tasks.get(host),
        }
    }
    false
}

/// An edge says nothing where another one of the same task implies it, unless the task takes its
/// inputs from what it depends on.
fn check_edges(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    for (at, task) in draft.tasks.iter().enumerate() {
        if matches!(task.inputs, InputsDraft::Absent)
            && !matches!(task.action, ActionDraft::Await(_) | ActionDraft::Wait(_))
            || task.join.it != Join::All
            || task.stand.follows.is_some()
        {
            continue;
        }
        let direct = graph.before(at);
        for (name, edge) in task.depends_on.iter().zip(direct) {
            let Some(by) = direct.iter().find(|other| graph.is_before(*edge, **other)) else {
                continue;
            };
            // Where what is between may be skipped, the edge says that this one is not.
            let is_between =
                |at: usize| graph.is_before(*edge, at) && (at == *by || graph.is_before(at, *by));
            let mut tasks = draft.tasks.iter().enumerate();
            if tasks.any(|(at, task)| task.when.is_some() && is_between(at)) {
                continue;
            }
            let by = draft.tasks.get(*by).map_or("", |task| task.id.it.as_str());
            let message = format!("`depends_on: {0}` is implied by {0} → {by}", name.it);
            findings.push(Finding::warning("W07", name.span, message).help("leave it out"));
        }
    }
}
