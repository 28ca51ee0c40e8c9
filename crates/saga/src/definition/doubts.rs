//! W04: what is read of tasks that may not have run.

use super::draft::{Draft, Written};
use super::findings::{Finding, Findings, Span};
use super::graph::Graph;
use super::node::{ActionDraft, TaskDraft};
use super::said::{self, Sees};
use crate::expr::Expr;
use crate::plan::Role;

/// Not for a file with errors, of which not everything was read.
pub(super) fn check(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    if findings.has_errors() {
        return;
    }
    for (at, task) in draft.tasks.iter().enumerate() {
        let said = said::of_task(task);
        let seen = said.iter().filter(|said| said.sees != Sees::EventAlone);
        let written: Vec<&Written> = seen.map(|said| said.written).collect();
        let reader = Reader { name: format!("`{}`", task.id.it), at: Some(at) };
        check_reader(draft, graph, &reader, &written, findings);
    }
    for output in &draft.outputs {
        let reader = Reader { name: format!("the output `{}`", output.name), at: None };
        check_reader(draft, graph, &reader, &[&output.from], findings);
    }
}

struct Reader {
    name: String,
    at: Option<usize>,
}

fn check_reader(
    draft: &Draft,
    graph: &Graph,
    reader: &Reader,
    written: &[&Written],
    findings: &mut Findings,
) {
    let exprs: Vec<(&Expr, Span)> = written
        .iter()
        .flat_map(|written| written.template.exprs().into_iter().zip(written.exprs.iter().copied()))
        .collect();
    let mut told: Vec<String> = Vec::new();
    for (expr, span) in &exprs {
        for path in expr.paths() {
            let [root, name, member, fields @ ..] = path.as_slice() else { continue };
            if root != "tasks" || member != "output" || fields.is_empty() || told.contains(name) {
                continue;
            }
            let Some((other, task)) = named(draft, name) else { continue };
            let is_with_it = reader.at.is_some_and(|at| graph.before(at) == [other]);
            let Some((what, test)) = doubt(task, fields, is_with_it) else { continue };
            if exprs.iter().any(|(expr, _)| tests(expr, name)) {
                continue;
            }
            told.push(name.clone());
            let message = format!("{} reads `{}`, and {what}", reader.name, path.join("."));
            findings.push(Finding::warning("W04", *span, message).help(test));
        }
    }
}

fn named<'d>(draft: &'d Draft, name: &str) -> Option<(usize, &'d TaskDraft)> {
    let mut tasks = draft.tasks.iter().enumerate();
    tasks.find(|(_, task)| task.id.it == name && !matches!(task.stand.role, Role::Fallback(_)))
}

/// Why what is read may not be there, and how to ask. `is_with_it`: the reader is skipped with it.
fn doubt(task: &TaskDraft, fields: &[String], is_with_it: bool) -> Option<(String, String)> {
    let id = &task.id.it;
    let by_status = format!("ask first: `tasks.{id}.status == 'done' ? ... : ...`");
    if task.optional.is_some() {
        return Some((format!("`{id}` may fail"), by_status));
    }
    if task.when.is_some() && !is_with_it {
        return Some((format!("`{id}` may be skipped"), by_status));
    }
    let is_choice = matches!(task.action, ActionDraft::Choice { .. } | ActionDraft::Race { .. });
    match fields {
        [child, _, ..] if is_choice && child != "case" => Some((
            format!("`{child}` may not have run"),
            format!("ask first: `has(tasks.{id}.output.{child})`"),
        )),
        _ => None,
    }
}

/// Whether an expression asks for it, by its status, by its case, or as a whole.
fn tests(expr: &Expr, name: &str) -> bool {
    let is_of = |path: &&Vec<String>| matches!(path.as_slice(), [root, of, ..] if root == "tasks" && of == name);
    let asks = |path: &Vec<String>| match path.get(2..).unwrap_or_default() {
        [member] => matches!(member.as_str(), "status" | "error" | "output"),
        [member, field, ..] => member == "error" || member == "output" && field == "case",
        [] => false,
    };
    expr.uses().tested().iter().any(|path| is_of(&path))
        || expr.paths().iter().filter(is_of).any(asks)
}
