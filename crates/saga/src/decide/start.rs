//! A workflow begins.

use events::{Class, Json, Run, Timestamp, Version, planted};

use super::child::{self, Again};
use super::{Draft, Held, Stop, invalid, refused};
use crate::event::{Body, Event, WorkflowEvent};
use crate::input::Start;
use crate::limits::BUSINESS_KEY_BYTES_MAX;
use crate::plan::{Index, OnDuplicate, Plan};
use crate::state::{State, definition_text, newest_key};
use crate::workflow::ParentRef;

pub(super) fn start(held: &dyn Held, start: &Start, now: Timestamp) -> Result<Vec<Event>, Stop> {
    let held_workflow = match held.state(start.workflow.as_str()) {
        Some(State::Workflow(_)) if planted("start-counts-twice") => None,
        Some(State::Workflow(workflow)) => Some(workflow),
        Some(State::Definition(_) | State::Newest(_) | State::Early(_)) | None => None,
    };
    let again = match held_workflow {
        Some(workflow) => child::asked_again(held, workflow, start, now)?,
        None => Again::Anew,
    };
    if held_workflow.is_some_and(|workflow| workflow.head.start_id == start.start_id) {
        return Err(Stop::Ignored("duplicate_start"));
    }
    let (version, (plan, index)) = plan_for(held, start)?;
    let inputs = admit(start, plan)?;
    match (again, plan.on_duplicate) {
        (Again::Anew, _) => {}
        (Again::Decided(events), _) => return Ok(events),
        (Again::Another, OnDuplicate::Ignore) => return Err(Stop::Ignored("known_workflow")),
        (Again::Another, OnDuplicate::Reject) => {
            let message = format!(
                "`{}` was started by another record; its saga rejects a second start",
                start.workflow
            );
            return invalid("duplicate_start", message);
        }
    }
    let started = WorkflowEvent {
        workflow: start.workflow.clone(),
        run: Run(start.offset),
        sequence: 1,
        time: now,
        saga: start.saga.clone(),
        version,
        epoch: 0,
        trace: start.trace.clone(),
        body: Body::WorkflowStarted {
            start_id: start.start_id.clone(),
            inputs,
            timeout_at: now.after(plan.timeout),
            parent: start.parent.as_ref().map(|parent| ParentRef {
                command: parent.command.to_string(),
                depth: parent.depth,
            }),
        },
    };
    let mut draft = Draft::start(held, started, (plan, index));
    draft.advance();
    Ok(draft.finish())
}

fn plan_for<'a>(
    held: &'a dyn Held,
    start: &Start,
) -> Result<(Version, (&'a Plan, &'a Index)), Stop> {
    let saga = &start.saga;
    let newest = || match held.state(&newest_key(saga)) {
        Some(State::Newest(newest)) => Some(newest.version.clone()),
        Some(State::Workflow(_) | State::Definition(_) | State::Early(_)) | None => None,
    };
    let Some(version) = start.version.clone().or_else(newest) else {
        let message = format!("no version of saga `{saga}` is deployed; deploy it first");
        return refused(Class::UnknownSaga, "unknown_saga", message);
    };
    match held.state(&definition_text(saga, &version)) {
        Some(State::Definition(definition)) => match definition.planned() {
            Some(planned) => Ok((version, planned)),
            None => refused(
                Class::UnknownSaga,
                "no_plan",
                format!("version {version} of saga `{saga}` can not be run by this build"),
            ),
        },
        Some(State::Workflow(_) | State::Newest(_) | State::Early(_)) | None => refused(
            Class::UnknownSaga,
            "unknown_saga",
            format!("version {version} of saga `{saga}` is not deployed; deploy it first"),
        ),
    }
}

/// The inputs as the workflow will see them, under the key that they give.
fn admit(start: &Start, plan: &Plan) -> Result<Json, Stop> {
    let Some((saga, key)) = start.workflow.parts() else {
        return invalid("bad_workflow_id", format!("`{}` is no workflow id", start.workflow));
    };
    // A child is given what its parent has: of that, what it declares.
    let given = match (start.inputs.value(), &start.parent) {
        (serde_json::Value::Object(map), Some(_)) => serde_json::Value::Object(plan.declared(map)),
        (given, _) => given,
    };
    let inputs = match plan.admit(&given) {
        Ok(inputs) => inputs,
        Err(error) => return invalid("bad_start", error.to_string()),
    };
    let given = match plan.key_of(&inputs) {
        Ok(given) => given,
        Err(error) => return invalid("bad_start", error.to_string()),
    };
    if saga != start.saga.as_str() || given.as_deref().is_some_and(|given| given != key) {
        let message = format!(
            "the record's key is `{}`, but saga and inputs give `{}:{}`",
            start.workflow,
            start.saga,
            given.as_deref().unwrap_or("<any>")
        );
        return invalid("key_mismatch", message);
    }
    if key.len() > BUSINESS_KEY_BYTES_MAX {
        let message =
            format!("a business key of {} bytes exceeds {BUSINESS_KEY_BYTES_MAX}", key.len());
        return invalid("bad_start", message);
    }
    Ok(Json::from_value(&inputs))
}
