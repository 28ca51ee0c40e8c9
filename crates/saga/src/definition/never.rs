//! What can never run.

use std::collections::BTreeMap;

use serde_json::Value;

use super::draft::{Draft, Written};
use super::findings::{Finding, Findings};
use super::graph::Graph;
use super::node::{ActionDraft, CaseDraft, TaskDraft};
use crate::expr::Template;
use crate::plan::Join;

/// E205
pub(super) fn check(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    let mut never = vec![false; draft.tasks.len()];
    for at in &graph.order {
        let Some(task) = draft.tasks.get(*at) else { continue };
        let found = by_itself(task).or_else(|| behind(draft, graph, *at, task, &never));
        if let (Some(finding), Some(is)) = (found, never.get_mut(*at)) {
            *is = true;
            findings.push(finding);
        }
    }
    for task in &draft.tasks {
        if let ActionDraft::Choice { cases, many } = &task.action {
            check_cases(&task.id.it, cases, *many, findings);
        }
    }
}

/// The value of what reads nothing.
pub(super) fn constant(written: &Written) -> Option<Value> {
    match &written.template {
        Template::Computed(expr) if expr.paths().is_empty() && expr.uses().tested().is_empty() => {
            expr.eval(&BTreeMap::<&str, Value>::new()).ok()
        }
        Template::Constant(_)
        | Template::Computed(_)
        | Template::Text(_)
        | Template::List(_)
        | Template::Map(_) => None,
    }
}

fn by_itself(task: &TaskDraft) -> Option<Finding> {
    let id = &task.id.it;
    if let Some(when) = &task.when
        && constant(when) == Some(Value::Bool(false))
    {
        let message = format!("`{id}` can never run: its `when` is always false");
        let help = "leave the task out, or let `when` depend on something";
        return Some(Finding::error("E205", when.span, message).help(help));
    }
    let named = task.depends_on.len();
    match task.join.it {
        Join::NOf { n, .. } if n > named => {
            let message = format!("`{id}` can never run: {n} of {named} named");
            let help = "`n_of` counts the tasks that `tasks` names";
            Some(Finding::error("E205", task.join.span, message).help(help))
        }
        Join::NOf { .. } | Join::All | Join::Any | Join::Discriminator => None,
    }
}

/// Behind tasks that can never run.
fn behind(
    draft: &Draft,
    graph: &Graph,
    at: usize,
    task: &TaskDraft,
    never: &[bool],
) -> Option<Finding> {
    let before = graph.before(at);
    let is_never = |at: &&usize| never.get(**at).copied().unwrap_or(false);
    let lost: Vec<&usize> = before.iter().filter(is_never).collect();
    let first = draft.tasks.get(**lost.first()?)?;
    let can = before.len() - lost.len();
    let wanted = match task.join.it {
        Join::All | Join::Any | Join::Discriminator => 1,
        Join::NOf { n, .. } => n,
    };
    if can >= wanted {
        return None;
    }
    let message =
        format!("`{}` can never run: it is behind `{}`, which can not", task.id.it, first.id.it);
    let help = format!("depend on something else than `{}`", first.id.it);
    Some(Finding::error("E205", task.id.span, message).help(help))
}

fn check_cases(id: &str, cases: &[CaseDraft], many: bool, findings: &mut Findings) {
    let mut always: Option<String> = None;
    for (number, case) in cases.iter().enumerate() {
        let name = case.id.as_ref().map_or_else(|| number.to_string(), |id| id.it.clone());
        let value = case.when.as_ref().and_then(constant);
        if let (Some(when), Some(Value::Bool(false))) = (&case.when, &value) {
            let message =
                format!("case `{name}` of `{id}` can never run: its `when` is always false");
            findings.push(Finding::error("E205", when.span, message).help("leave the case out"));
        } else if let Some(first) = &always {
            let message =
                format!("case `{name}` of `{id}` can never run: case `{first}` is always taken");
            let help = "the first case that is true is taken: put `else` last";
            findings.push(Finding::error("E205", case.span, message).help(help));
        }
        if always.is_none() && !many && (case.is_else || value == Some(Value::Bool(true))) {
            always = Some(name);
        }
    }
}
