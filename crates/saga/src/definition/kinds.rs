//! What may be said of undoing a task.

use super::draft::Draft;
use super::findings::{Finding, Findings, Span};
use super::graph::Graph;
use super::node::{ActionDraft, IdempotencyDraft, TaskDraft};
use crate::plan::{InDoubt, Kind, Role};

/// Each task by itself, then each against the pivots.
pub(super) fn check(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    for task in draft.tasks.iter().filter(|task| !task.action.is_container()) {
        check_task(task, findings);
        check_in_doubt(task, findings);
    }
    let mut pivots = Vec::new();
    for (at, task) in draft.tasks.iter().enumerate() {
        if closes(draft, graph, at) {
            check_closing(task, findings);
        } else if task.kind == Kind::Pivot {
            check_pivot(draft, graph, at, findings);
            pivots.push(at);
        }
    }
    for (at, task) in draft.tasks.iter().enumerate() {
        if !graph.is_ordered(at) || closes(draft, graph, at) {
            continue;
        }
        let others = pivots.iter().filter(|pivot| **pivot != at && graph.is_ordered(**pivot));
        // The first will do: what helps with one pivot helps with the next.
        let found = others.into_iter().find_map(|pivot| {
            let other = draft.tasks.get(*pivot)?;
            beside(task, other, (at, *pivot), (draft, graph))
        });
        if let Some(finding) = found {
            findings.push(finding);
        }
    }
}

/// Whether it runs only once a failure is dealt with.
fn closes(draft: &Draft, graph: &Graph, task: usize) -> bool {
    has_role(draft, graph, task, |role| role == Role::Closing)
}

fn has_role(draft: &Draft, graph: &Graph, task: usize, is: impl Fn(Role) -> bool) -> bool {
    let around = graph.chain(task).iter().filter_map(|at| draft.tasks.get(*at));
    around.into_iter().any(|task| is(task.stand.role))
}

/// Where its kind is said, else the task.
fn kind_span(task: &TaskDraft) -> Span {
    task.kind_said.unwrap_or(task.id.span)
}

fn check_closing(task: &TaskDraft, findings: &mut Findings) {
    if matches!(task.kind, Kind::Retriable | Kind::ReadOnly) {
        return;
    }
    let message = format!("`{}`: `kind: {}` under `then`", task.id.it, word(task.kind));
    let help = "what runs once a failure is dealt with is `retriable` or `readonly`";
    findings.push(Finding::error("E407", kind_span(task), message).help(help));
}

fn check_pivot(draft: &Draft, graph: &Graph, at: usize, findings: &mut Findings) {
    let Some(task) = draft.tasks.get(at) else { return };
    if has_role(draft, graph, at, |role| role == Role::Item) {
        let message = format!("`{}`: pivot inside `for_each`", task.id.it);
        let help = "what stands in it runs more than once, and there is one turning point: put the \
                    pivot behind the `for_each`";
        findings.push(Finding::error("E403", kind_span(task), message).help(help));
    }
    let around = graph.chain(at).iter().filter_map(|at| draft.tasks.get(*at));
    if let Some(optional) = around.into_iter().find_map(|task| task.optional) {
        let message = format!("`{}`: pivot that is `optional`", task.id.it);
        let help = "a saga that goes on without it has no turning point: leave one of them out";
        findings.push(Finding::error("E407", optional, message).help(help));
    }
}

fn check_task(task: &TaskDraft, findings: &mut Findings) {
    let id = &task.id.it;
    let word = word(task.kind);
    match (task.kind, &task.undo) {
        // A child saga is undone by its own compensation.
        (Kind::Compensatable, None) if matches!(task.action, ActionDraft::Saga(_)) => {}
        (Kind::Compensatable, None) => {
            let span = kind_span(task);
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
    if let (Kind::Retriable, IdempotencyDraft::Never(span)) = (task.kind, &task.idempotency) {
        let message = format!("`{id}` is retriable but `idempotency: none`");
        let help = "repeating it would do it twice: let the participant tell repeats by their key, or \
                    do it before the pivot";
        findings.push(Finding::error("E404", *span, message).help(help));
    }
}

fn check_in_doubt(task: &TaskDraft, findings: &mut Findings) {
    let Some(in_doubt) = &task.in_doubt else { return };
    let id = &task.id.it;
    let has_agent = matches!(task.action, ActionDraft::Agent { .. } | ActionDraft::Broken);
    if in_doubt.it == InDoubt::Query && !has_agent {
        let message = format!("`{id}` has no agent to ask for `in_doubt: query`");
        let help = "`in_doubt: hold`: an operator says; or `undo`, where it has one";
        findings.push(Finding::error("E407", in_doubt.span, message).help(help));
    }
    let is_child = matches!(task.action, ActionDraft::Saga(_)) && task.kind == Kind::Compensatable;
    if in_doubt.it == InDoubt::Undo && task.undo.is_none() && !is_child {
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
    (t, p): (usize, usize),
    (draft, graph): (&Draft, &Graph),
) -> Option<Finding> {
    let (id, of) = (&task.id.it, &pivot.id.it);
    let mut around = graph.chain(t).iter().filter_map(|at| draft.tasks.get(*at));
    // What may fail does not hold up the way forward.
    if around.any(|task| task.optional.is_some()) || exclude_one_another(draft, graph, t, p) {
        return None;
    }
    let is_after = graph.is_over_before(p, t);
    // A name that was not found may have been what puts one before the other.
    let is_beside =
        !is_after && !graph.is_over_before(t, p) && graph.is_known(t) && graph.is_known(p);
    let (code, message, help) = match task.kind {
        Kind::Compensatable if is_after => (
            "E401",
            format!("`{id}` is compensatable but runs after the pivot `{of}`"),
            "move it before the pivot, or make it `retriable` or `optional`".to_owned(),
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

/// Whether of the two only one runs: they stand in different cases of a choice, or one falls back for
/// what the other one stands in.
fn exclude_one_another(draft: &Draft, graph: &Graph, a: usize, b: usize) -> bool {
    let (of_a, of_b) = (graph.chain(a), graph.chain(b));
    let Some(meet) = of_a.iter().find(|host| of_b.contains(host)) else { return false };
    let below = |chain: &[usize]| {
        let at = chain.iter().take_while(|at| *at != meet).last();
        at.and_then(|at| draft.tasks.get(*at)).map(|task| task.stand.role)
    };
    let falls_back = |role: Option<Role>| matches!(role, Some(Role::Fallback(of)) if of == *meet);
    match (below(of_a), below(of_b)) {
        (Some(Role::Case(mine)), Some(Role::Case(theirs))) => {
            let many = matches!(
                draft.tasks.get(*meet).map(|task| &task.action),
                Some(ActionDraft::Choice { many: true, .. })
            );
            mine != theirs && !many
        }
        (mine, theirs) => falls_back(mine) || falls_back(theirs),
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
