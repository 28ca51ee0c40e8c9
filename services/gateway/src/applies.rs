//! Whether an operator's order can take effect, as far as the view tells: pure. What it can not tell is left
//! to the coordinator, whose refusal is a dead letter.

use saga::{Action, Awaited, Plan, RaceOn};
use serde_json::Value;

use crate::fold::{Workflow, without_elements};
use crate::problem::Problem;
use crate::standing::Status;

/// An order about a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Retry,
    Skip,
    Resolve(Outcome),
}

/// How a task has ended, by a person's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    NotDone,
    Undone,
}

/// Refuses what changes nothing because the run has ended.
pub(crate) fn is_under_way(workflow: &Workflow, verb: &str) -> Result<(), Problem> {
    if workflow.status.is_at_rest() {
        return Err(Problem::conflict(
            "at_rest",
            format!("`{}` has ended ({}), so {verb} changes nothing", workflow.id, word(workflow)),
        ));
    }
    Ok(())
}

/// A second cancel is taken; one of what is undone for another reason changes nothing.
pub(crate) fn cancel(workflow: &Workflow) -> Result<(), Problem> {
    is_under_way(workflow, "cancel")?;
    let is_cancel =
        |error: &Value| error["task"].is_null() && error["code"].as_str() == Some("cancelled");
    if workflow.is_compensating && !workflow.error.as_ref().is_some_and(is_cancel) {
        let id = &workflow.id;
        let what = format!("`{id}` is being undone already, so cancel changes nothing");
        return Err(Problem::conflict("compensating", what));
    }
    Ok(())
}

/// What is not paused can not go on.
pub(crate) fn go_on(workflow: &Workflow) -> Result<(), Problem> {
    is_under_way(workflow, "continue")?;
    if workflow.is_paused {
        return Ok(());
    }
    let what = format!("`{}` is {}, not paused", workflow.id, word(workflow));
    Err(Problem::conflict("not_paused", what))
}

/// A task's status must be one that the verb is for, and what is stated must have the shape of its output.
pub(crate) fn task(
    workflow: &Workflow,
    plan: Option<&Plan>,
    task: &str,
    verb: Verb,
    output: Option<&Value>,
) -> Result<(), Problem> {
    let Some(status) = workflow.tasks.iter().find(|of| of.id == task).map(|of| of.status) else {
        let names: Vec<&str> = workflow.tasks.iter().map(|of| of.id.as_str()).collect();
        let what = format!("`{}` has no task `{task}`; it has {}", workflow.id, names.join(", "));
        return Err(Problem::missing("unknown_task", what));
    };
    let no = |code, what: &str| Err(Problem::conflict(code, format!("`{task}` is {status}{what}")));
    let is_blocked = status == "undo_blocked";
    let is_waited_for = workflow.is_paused && may_have_failed(status);
    let is_over = workflow.status.is_at_rest();
    let unwaited = match workflow.status {
        Status::Compensating | Status::Blocked => "not_blocked",
        Status::Running | Status::Paused => "not_paused",
        Status::Completed
        | Status::Partial
        | Status::Compensated
        | Status::Cancelled
        | Status::Failed => "at_rest",
    };
    match verb {
        Verb::Skip if is_blocked && is_over => {
            no("at_rest", " and the run has ended; retry the undo or resolve it as undone")
        }
        Verb::Retry | Verb::Skip if is_blocked => Ok(()),
        Verb::Resolve(Outcome::Undone) if is_blocked => Ok(()),
        Verb::Retry | Verb::Skip | Verb::Resolve(_) if is_over => {
            is_under_way(workflow, "an order about one of its tasks")
        }
        Verb::Resolve(Outcome::Undone) => no("not_blocked", "; no undo of it is blocked"),
        Verb::Retry if status == "in_doubt" && workflow.is_compensating => {
            no("compensating", "; it is not started again while compensating: resolve it")
        }
        Verb::Retry if status == "in_doubt" || is_waited_for => Ok(()),
        Verb::Skip if status == "in_doubt" => no("in_doubt", "; resolve or retry it"),
        Verb::Skip if is_waited_for => output.map_or(Ok(()), |output| fits(plan, task, output)),
        Verb::Retry | Verb::Skip => no(unwaited, "; no operator is waited for"),
        Verb::Resolve(Outcome::Done) if workflow.is_compensating => doubt(status, no),
        Verb::Resolve(Outcome::Done) if status == "in_doubt" || is_waited_for => {
            fits(plan, task, output.unwrap_or(&Value::Null))
        }
        Verb::Resolve(Outcome::Done | Outcome::NotDone) => doubt(status, no),
    }
}

fn doubt(
    status: &str,
    no: impl Fn(&'static str, &str) -> Result<(), Problem>,
) -> Result<(), Problem> {
    if status == "in_doubt" { Ok(()) } else { no("not_in_doubt", ", not in doubt") }
}

/// What is undone may have failed before; the others can not have.
fn may_have_failed(status: &str) -> bool {
    matches!(status, "failed" | "undone" | "cancelled" | "skipped")
}

/// Several tasks may share an id, a `for_each` and the root of its body: one of them must take it.
fn fits(plan: Option<&Plan>, task: &str, output: &Value) -> Result<(), Problem> {
    let Some(plan) = plan else { return Ok(()) };
    let id = without_elements(task);
    let tasks = plan.tasks.iter().filter(|of| of.id.as_str() == id);
    let refusals: Result<Vec<String>, ()> = tasks
        .map(|of| match &of.returns {
            Some(returns) => returns.accept(output, "output").err().ok_or(()),
            None => Err(()),
        })
        .collect();
    match refusals.ok().and_then(|refusals| refusals.into_iter().next()) {
        Some(why) => {
            Err(Problem::refused("schema", format!("`{task}` returns something else: {why}")))
        }
        None => Ok(()),
    }
}

/// A signal must be awaited, and by a task that may still wait.
pub(crate) fn signal(workflow: &Workflow, plan: Option<&Plan>, name: &str) -> Result<(), Problem> {
    is_under_way(workflow, "a signal")?;
    let Some(plan) = plan else { return Ok(()) };
    let id = &workflow.id;
    let awaited = plan.signals();
    if !awaited.contains(name) {
        let names = Vec::from_iter(awaited).join("`, `");
        let what = if names.is_empty() { "none".to_owned() } else { format!("`{names}`") };
        let what = format!("no task of `{id}` awaits a signal `{name}`; they await {what}");
        return Err(Problem::missing("unknown_signal", what));
    }
    let is_over = |task: &str| {
        let shown = workflow.tasks.iter().find(|of| of.id == task);
        shown.is_some_and(|of| matches!(of.status, "done" | "skipped"))
    };
    let may_wait = plan.tasks.iter().enumerate().any(|(slot, task)| {
        let by_undo = task.undo.as_ref().is_some_and(|undo| awaits(&undo.action, name));
        by_undo || awaits(&task.action, name) && (slot >= plan.fixed || !is_over(task.id.as_str()))
    });
    if may_wait {
        return Ok(());
    }
    let what =
        format!("no task of `{id}` awaits the signal `{name}` any more: those that did are over");
    Err(Problem::conflict("not_awaited", what))
}

fn awaits(action: &Action, name: &str) -> bool {
    let is = |awaited: &Awaited| matches!(awaited, Awaited::Signal(of) if of == name);
    match action {
        Action::Await(wait) | Action::Request(_, wait) => wait.awaited.iter().any(is),
        Action::Race { cases } => cases.iter().any(|case| match &case.on {
            RaceOn::Event { awaited, .. } => is(awaited),
            RaceOn::After(_) => false,
        }),
        Action::Agent { .. }
        | Action::Emit(_)
        | Action::Wait(_)
        | Action::Choice { .. }
        | Action::Group { .. }
        | Action::Saga { .. }
        | Action::ForEach(_) => false,
    }
}

fn word(workflow: &Workflow) -> String {
    let word = serde_json::to_value(workflow.status).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}
