//! What events ask of the whole file, and what it asks of other sagas.

use super::draft::{Draft, EventDraft};
use super::findings::{Finding, Findings};
use super::node::{ActionDraft, TaskDraft};

/// E410, E411 and W10, as far as one file tells.
pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for task in &draft.tasks {
        check_key(draft, task, findings);
        check_loop(draft, task, findings);
        check_self(draft, task, findings);
    }
}

/// What a task and its undo do.
fn actions(task: &TaskDraft) -> impl Iterator<Item = &ActionDraft> {
    std::iter::once(&task.action).chain(task.undo.as_ref().map(|undo| &undo.action))
}

/// E410
fn check_key(draft: &Draft, task: &TaskDraft, findings: &mut Findings) {
    let first = actions(task).flat_map(ActionDraft::events).next();
    if let (None, Some(event)) = (&draft.key, first) {
        let message = format!("`{}` awaits an event but the file has no `key`", task.id.it);
        let help = "an event finds its workflow by the saga's key: `key: ${inputs...}`";
        findings.push(Finding::error("E410", event.span, message).help(help));
    }
}

/// E411
fn check_loop(draft: &Draft, task: &TaskDraft, findings: &mut Findings) {
    let Some(name) = &draft.name else { return };
    let name = events::saga_name_of(&name.it);
    let starts = |event: &EventDraft| {
        draft.triggers.iter().any(|trigger| trigger.filter.is_none() && trigger.event.is(event))
    };
    for emit in actions(task).filter_map(ActionDraft::emits) {
        if starts(&emit.event) {
            let name = name.as_str();
            let event = emit.event.full_name();
            let message = format!("event loop: {name} emits {event}, which starts {name}");
            let help = "a `where` on the trigger, or another event";
            findings.push(Finding::error("E411", emit.event.span, message).help(help));
        }
    }
}

/// W10
fn check_self(draft: &Draft, task: &TaskDraft, findings: &mut Findings) {
    let Some(name) = &draft.name else { return };
    let name = events::saga_name_of(&name.it);
    for action in actions(task) {
        let ActionDraft::Saga(saga) = action else { continue };
        if events::saga_name_of(&saga.name.it) == name {
            let name = name.as_str();
            let message =
                format!("sagas call each other: {name} → {name}; ends at depth {}", saga.max_depth);
            let help = "a `when` that ends it earlier";
            findings.push(Finding::warning("W10", saga.name.span, message).help(help));
        }
    }
}
