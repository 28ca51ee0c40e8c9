//! What a file probably does not mean.

use super::draft::Draft;
use super::findings::{Finding, Findings};
use super::graph::Graph;
use super::never::constant;
use super::node::{ActionDraft, CaseDraft, RaceOnDraft, TaskDraft};
use crate::plan::{Join, Kind, Role, Strategy};

/// W01, W03, W05, W06 and W08, and that a task is skipped with another one (W04); not for a file with
/// errors, of which not everything was read.
pub(super) fn check(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    if findings.has_errors() {
        return;
    }
    let tasks = || draft.tasks.iter().enumerate();
    let undoing = Undoing {
        has_undos: tasks().any(|(_, task)| task.undo.is_some()),
        pivots: tasks().filter(|(_, task)| task.kind == Kind::Pivot).map(|(at, _)| at).collect(),
    };
    for (at, task) in tasks() {
        let is_closing = around(draft, graph, at).any(|task| task.stand.role == Role::Closing);
        if !is_closing && task.kind_said.is_none() && task.undo.is_none() {
            check_kind(graph, at, task, &undoing, findings);
        }
        check_join(draft, graph, at, task, findings);
        check_skipped(draft, graph, at, task, findings);
        check_end(draft, graph, at, task, findings);
        if let ActionDraft::Choice { cases, many: false } = &task.action {
            check_else(task, cases, findings);
        }
    }
}

/// What the file says of undoing.
struct Undoing {
    has_undos: bool,
    pivots: Vec<usize>,
}

/// It and all that it stands in.
fn around<'d>(
    draft: &'d Draft,
    graph: &'d Graph,
    at: usize,
) -> impl Iterator<Item = &'d TaskDraft> {
    graph.chain(at).iter().filter_map(|at| draft.tasks.get(*at))
}

/// W01 and W08, of a task that says nothing of undoing it.
fn check_kind(
    graph: &Graph,
    at: usize,
    task: &TaskDraft,
    undoing: &Undoing,
    findings: &mut Findings,
) {
    let id = &task.id.it;
    let has_pivot = !undoing.pivots.is_empty();
    let is_after_pivot = undoing.pivots.iter().any(|pivot| graph.is_over_before(*pivot, at));
    let emits = task.action.emits().is_some();
    if emits && !is_after_pivot && (undoing.has_undos || has_pivot) {
        let message = if has_pivot {
            format!("`{id}` emits before the pivot and an event cannot be unsent")
        } else {
            format!("`{id}` emits and an event cannot be unsent when the saga is undone")
        };
        let help = "a `compensate` that emits the opposite; or `kind: readonly` if it does no harm";
        findings.push(Finding::warning("W08", task.id.span, message).help(help));
    } else if undoing.has_undos && (emits || matches!(task.action, ActionDraft::Agent { .. })) {
        let message =
            format!("`{id}` acts but has neither `kind` nor `compensate`, others here have");
        let help = if is_after_pivot {
            "`kind: retriable`: it is tried until it is done; or `readonly` if it changes nothing"
        } else {
            "`kind: readonly` if it changes nothing"
        };
        findings.push(Finding::warning("W01", task.id.span, message).help(help));
    }
}

/// W03
fn check_join(draft: &Draft, graph: &Graph, at: usize, task: &TaskDraft, findings: &mut Findings) {
    let wanted = match task.join.it {
        Join::All => return,
        Join::Any | Join::Discriminator => 1,
        Join::NOf { n, .. } => n,
    };
    let named = task.depends_on.len();
    if wanted >= named {
        return;
    }
    for (name, other) in task.depends_on.iter().zip(graph.before(at)) {
        let Some(x) = draft.tasks.get(*other) else { continue };
        let said = around(draft, graph, *other).find_map(|task| task.on_failure.as_ref());
        let goes_on = said.unwrap_or(&draft.on_failure).strategy == Strategy::Continue;
        let never_fails = x.kind == Kind::Retriable || matches!(x.action, ActionDraft::Wait(_));
        if x.optional.is_some() || goes_on || never_fails {
            continue;
        }
        let (id, x) = (&task.id.it, &x.id.it);
        let message =
            format!("`{id}` joins {wanted} of {named}, but a failure of `{x}` fails the run");
        let help = format!("`optional: true` on `{x}`");
        findings.push(Finding::warning("W03", name.span, message).help(help));
    }
}

/// W04, of a task that could depend on what the other one depends on.
fn check_skipped(
    draft: &Draft,
    graph: &Graph,
    at: usize,
    task: &TaskDraft,
    findings: &mut Findings,
) {
    let [only] = graph.before(at) else { return };
    let Some(x) = draft.tasks.get(*only).filter(|x| x.when.is_some()) else { return };
    let before = graph.before(*only).first().and_then(|before| draft.tasks.get(*before));
    let Some(before) = before.filter(|_| task.when.is_none()) else { return };
    let span = task.depends_on.first().map_or(task.id.span, |name| name.span);
    let message = format!("`{}` is skipped whenever `{}` is", task.id.it, x.id.it);
    let help = match task.stand.follows {
        Some(_) => format!(
            "if it is to run all the same: `tasks` in the place of `sequential`, and `depends_on: [{}, {}]`",
            x.id.it, before.id.it
        ),
        None => format!("if it is to run all the same, depend on `{}` too", before.id.it),
    };
    findings.push(Finding::warning("W04", span, message).help(help));
}

/// W05
fn check_else(task: &TaskDraft, cases: &[CaseDraft], findings: &mut Findings) {
    let is_true =
        |when: &super::draft::Written| constant(when) == Some(serde_json::Value::Bool(true));
    let is_always = |case: &CaseDraft| case.is_else || case.when.as_ref().is_some_and(is_true);
    if cases.iter().any(is_always) {
        return;
    }
    let message =
        format!("`choice` `{}` without `else`: no match is a failure, `no_case`", task.id.it);
    let help = "`{else: []}` if there is nothing to do then";
    findings.push(Finding::warning("W05", task.id.span, message).help(help));
}

/// W06
fn check_end(draft: &Draft, graph: &Graph, at: usize, task: &TaskDraft, findings: &mut Findings) {
    let what = match &task.action {
        ActionDraft::Await(_) => "an event",
        ActionDraft::Race { cases } => {
            if cases.iter().any(|case| matches!(case.on, RaceOnDraft::After(_))) {
                return;
            }
            "an event"
        }
        ActionDraft::Saga(_) => "a child",
        ActionDraft::Broken
        | ActionDraft::Agent { .. }
        | ActionDraft::Emit(_)
        | ActionDraft::Request(..)
        | ActionDraft::Wait(_)
        | ActionDraft::Choice { .. }
        | ActionDraft::Group { .. }
        | ActionDraft::ForEach(_) => return,
    };
    if around(draft, graph, at).any(|task| task.timeout.is_some() || task.deadline.is_some()) {
        return;
    }
    let message = format!("`{}` waits for {what} without a `timeout`", task.id.it);
    let help = "as in `timeout: 10m`; without it only the saga's own `timeout` ends the wait";
    findings.push(Finding::warning("W06", task.id.span, message).help(help));
}
