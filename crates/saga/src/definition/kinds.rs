//! What may be said of undoing a task: saga-file.md 3.3 and 3.4.

use super::draft::{Draft, TaskDraft};
use super::findings::{Finding, Findings};
use super::graph::Graph;
use crate::plan::{InDoubt, Kind};

/// Each task by itself, then each against the pivots.
pub(super) fn check(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    for task in &draft.tasks {
        check_task(task, findings);
    }
    let pivots: Vec<usize> = draft
        .tasks
        .iter()
        .enumerate()
        .filter(|(_, task)| task.kind == Kind::Pivot)
        .map(|(at, _)| at)
        .collect();
    for pivot in pivots {
        let Some(p) = draft.tasks.get(pivot) else { continue };
        for (at, task) in draft.tasks.iter().enumerate() {
            if at != pivot && graph.is_ordered(at) && graph.is_ordered(pivot) {
                check_beside(task, p, (at, pivot), graph, findings);
            }
        }
    }
}

fn check_task(task: &TaskDraft, findings: &mut Findings) {
    let id = &task.id.it;
    let word = word(task.kind);
    match (task.kind, &task.undo) {
        (Kind::Compensatable, None) => {
            let span = task.kind_said.unwrap_or(task.id.span);
            let message = format!("`{id}`: `kind: {word}` without `compensate`");
            let help = "as in `compensate: release_stock`; or `readonly` if it changes nothing";
            findings.push(Finding::error("E407", span, message).help(help));
        }
        (Kind::Pivot | Kind::Retriable | Kind::ReadOnly, Some(undo)) => {
            let message = format!("`{id}`: `kind: {word}` with `compensate`");
            let help = format!("a {word} task is never undone: leave one of them out");
            findings.push(Finding::error("E407", undo.span, message).help(help));
        }
        (Kind::Compensatable, Some(_)) | (Kind::Pivot | Kind::Retriable | Kind::ReadOnly, None) => {
        }
    }
    let Some(in_doubt) = task.in_doubt.as_ref().filter(|said| said.it == InDoubt::Undo) else {
        return;
    };
    if task.undo.is_none() {
        let message = match task.kind {
            Kind::Pivot => format!("`{id}` is the pivot, with `in_doubt: undo`"),
            Kind::Compensatable | Kind::Retriable | Kind::ReadOnly => {
                format!("`{id}` has no undo for `in_doubt: undo`")
            }
        };
        let help = match task.kind {
            Kind::Pivot => "`in_doubt: query` or `in_doubt: hold`",
            Kind::Compensatable => "say how: `compensate: ...`",
            Kind::Retriable | Kind::ReadOnly => {
                "leave it out: a readonly task just fails, a retriable one is repeated"
            }
        };
        findings.push(Finding::error("E407", in_doubt.span, message).help(help));
    }
}

/// One task and one pivot, with their places.
fn check_beside(
    task: &TaskDraft,
    pivot: &TaskDraft,
    places: (usize, usize),
    graph: &Graph,
    findings: &mut Findings,
) {
    let (t, p) = places;
    let (id, of) = (&task.id.it, &pivot.id.it);
    let is_after = graph.is_before(p, t);
    let is_beside = !is_after && !graph.is_before(t, p);
    match task.kind {
        Kind::Retriable | Kind::ReadOnly => {}
        Kind::Compensatable if is_after => {
            let message = format!("`{id}` is compensatable but runs after the pivot `{of}`");
            let help = "move it before the pivot, or make it `retriable`";
            findings.push(Finding::error("E401", task.id.span, message).help(help));
        }
        Kind::Pivot if is_after => {
            let message = format!("two pivots on one path: `{of}`, `{id}`");
            let help = format!("keep the first; make `{id}` `retriable`");
            findings.push(Finding::error("E403", task.id.span, message).help(help));
        }
        // Of two pivots, the later in the file says it.
        Kind::Compensatable | Kind::Pivot
            if is_beside && (task.kind == Kind::Compensatable || t > p) =>
        {
            let message = format!(
                "`{id}` may still run when the pivot `{of}` is done: neither is before the other"
            );
            let help = format!("let `{of}` depend on `{id}`, or make `{id}` `retriable`");
            findings.push(Finding::error("E402", task.id.span, message).help(help));
        }
        Kind::Compensatable | Kind::Pivot => {}
    }
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Compensatable => "compensatable",
        Kind::Pivot => "pivot",
        Kind::Retriable => "retriable",
        Kind::ReadOnly => "readonly",
    }
}
