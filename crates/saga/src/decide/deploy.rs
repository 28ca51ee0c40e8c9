//! A version of a saga becomes known, and perhaps the newest.

use super::{Held, Stop, invalid};
use crate::definition::{Severity, check};
use crate::event::{About, Event};
use crate::input::Deploy;
use crate::state::{Newest, Source, State, definition_key, newest_key};

pub(super) fn deploy(held: &dyn Held, deploy: &Deploy) -> Result<Vec<Event>, Stop> {
    let Deploy { saga, version, revision, text, ce_id } = deploy;
    let is_newer = match held.state(&newest_key(saga)) {
        Some(State::Newest(newest)) => (*revision, ce_id) > (newest.revision, &newest.ce_id),
        Some(State::Workflow(_) | State::Definition(_) | State::Early(_)) | None => true,
    };
    let is_known = held.state(&definition_key(saga, version)).is_some();
    if is_known && !is_newer {
        return Err(Stop::Ignored("old_revision"));
    }
    let mut events = Vec::new();
    if !is_known {
        sound(deploy)?;
        let source = Source { saga: saga.clone(), version: version.clone(), text: text.clone() };
        events.push(Event(About::Defined(source)));
    }
    if is_newer {
        events.push(Event(About::Newest(Newest {
            saga: saga.clone(),
            version: version.clone(),
            revision: *revision,
            ce_id: ce_id.clone(),
        })));
    }
    Ok(events)
}

/// The text must be what the headers say that it is.
fn sound(deploy: &Deploy) -> Result<(), Stop> {
    let checked = check(&deploy.text);
    let Some(plan) = checked.plan else {
        let first = checked.diagnostics.iter().find(|found| found.severity == Severity::Error);
        let why = first.map_or_else(String::new, |found| {
            format!(": {} at {}:{}: {}", found.code, found.line, found.column, found.message)
        });
        return invalid("bad_definition", format!("the definition does not check{why}"));
    };
    if plan.version != deploy.version || plan.name != deploy.saga {
        let message = format!(
            "the text is version {} of `{}`, but the record says {} of `{}`",
            plan.version, plan.name, deploy.version, deploy.saga
        );
        return invalid("version_mismatch", message);
    }
    Ok(())
}
