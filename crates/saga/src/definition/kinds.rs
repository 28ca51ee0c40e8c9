//! What may be said of undoing a task.

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
    for (at, task) in draft.tasks.iter().enumerate().filter(|(at, _)| graph.is_ordered(*at)) {
        let others = pivots.iter().filter(|pivot| **pivot != at && graph.is_ordered(**pivot));
        // The first will do: what helps with one pivot helps with the next.
        let found = others.into_iter().find_map(|pivot| {
            let other = draft.tasks.get(*pivot)?;
            beside(task, other, (at, *pivot), graph)
        });
        if let Some(finding) = found {
            findings.push(finding);
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

/// What is wrong between one task and one pivot, with their places.
fn beside(
    task: &TaskDraft,
    pivot: &TaskDraft,
    places: (usize, usize),
    graph: &Graph,
) -> Option<Finding> {
    let (t, p) = places;
    let (id, of) = (&task.id.it, &pivot.id.it);
    let is_after = graph.is_before(p, t);
    // A name that was not found may have been what puts one before the other.
    let is_beside = !is_after && !graph.is_before(t, p) && graph.is_known(t) && graph.is_known(p);
    let (code, message, help) = match task.kind {
        Kind::Compensatable if is_after => (
            "E401",
            format!("`{id}` is compensatable but runs after the pivot `{of}`"),
            "move it before the pivot, or make it `retriable`".to_owned(),
        ),
        Kind::Pivot if is_after => (
            "E403",
            format!("two pivots on one path: `{of}`, `{id}`"),
            format!("keep the first; make `{id}` `retriable`"),
        ),
        // Of two pivots, the later in the file says it.
        Kind::Compensatable | Kind::Pivot
            if is_beside && (task.kind == Kind::Compensatable || t > p) =>
        {
            (
                "E402",
                format!(
                    "`{id}` may still run when the pivot `{of}` is done: neither is before the other"
                ),
                format!("let `{of}` depend on `{id}`, or make `{id}` `retriable`"),
            )
        }
        Kind::Compensatable | Kind::Pivot | Kind::Retriable | Kind::ReadOnly => return None,
    };
    Some(Finding::error(code, task.id.span, message).help(help))
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Compensatable => "compensatable",
        Kind::Pivot => "pivot",
        Kind::Retriable => "retriable",
        Kind::ReadOnly => "readonly",
    }
}
