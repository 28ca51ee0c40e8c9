//! `POST /v1/workflows`

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header as http_header};
use axum::response::{IntoResponse, Response};
use events::{Destination, Header, Outgoing, Partition, Payload, WorkflowId, ce_type, header};
use saga::{OnDuplicate, Plan};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stream::Broker;
use tokio::time::Instant;
use uuid::Uuid;

use crate::api::Api;
use crate::problem::Problem;
use crate::query;
use crate::sagas::Known;
use crate::view::{Entry, Start};
use crate::workflows::{path_of, shown};

/// Bytes of a business key: docs/reference/records.md.
const KEY_BYTES_MAX: usize = 512;

/// How often it is looked whether the lane that has to answer was refused.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    saga: String,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    inputs: Value,
}

/// What was found when the view was looked at.
enum Found {
    /// Our start was accepted.
    Ours,
    /// Another one was, earlier.
    Other(Start),
    /// It runs, but the event that it started with is not kept any more.
    Unknown,
}

/// Starts a workflow, and answers when the coordinator has.
pub(crate) async fn post<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let wish: Wish = query::json(&body)?;
    api.is_current()?;
    let known = known(&api, &wish.saga)?;
    let plan = known.plan.as_ref().map_err(|why| {
        Problem::refused("definition", format!("this gateway can not read that saga: {why}"))
    })?;
    let given = if wish.inputs.is_null() { Value::Object(Map::new()) } else { wish.inputs.clone() };
    let inputs =
        plan.admit(&given).map_err(|error| Problem::refused("bad_start", error.to_string()))?;
    let id = WorkflowId::of(&plan.name, &key(plan, &inputs, wish.key.as_deref())?);
    let start_id = Uuid::now_v7().to_string();
    let look = |entry: Option<&Entry>| entry.map(|entry| found(entry, &start_id));
    let found = match api.view.look(id.as_str(), |entry| found(entry, &start_id)) {
        Some(found) => found,
        None => {
            let trace = query::header(&headers, header::TRACEPARENT);
            let place = api.put(record(&api, &id, &known, &start_id, &inputs, trace)).await?;
            let until = Instant::now() + api.settings.answer_within;
            let over = async {
                tokio::select! {
                    () = api.ending() => {}
                    () = refused(&api, place.partition) => {}
                }
            };
            let seen = api.view.until(&id, until, over, look).await;
            seen.ok_or_else(|| silent(&api, &id, place.partition))?
        }
    };
    match found {
        Found::Ours => answer(&api, &id, StatusCode::CREATED),
        Found::Other(start) => {
            let existing = start.inputs.value();
            let is_same = same(&existing, &inputs) || same(&existing, &given);
            match plan.on_duplicate {
                OnDuplicate::Ignore if is_same => answer(&api, &id, StatusCode::OK),
                OnDuplicate::Reject if is_same => Err(rejected(&id, plan)),
                OnDuplicate::Ignore | OnDuplicate::Reject => Err(taken(&id, &existing, &inputs)),
            }
        }
        Found::Unknown => Err(Problem::conflict(
            "exists",
            format!("workflow `{id}` exists, and what it was started with is not kept any more"),
        )),
    }
}

fn found(entry: &Entry, start_id: &str) -> Found {
    match &entry.start {
        Some(start) if start.id == start_id => Found::Ours,
        Some(start) => Found::Other(start.clone()),
        None => Found::Unknown,
    }
}

fn known<B: Broker>(api: &Api<B>, name: &str) -> Result<Known, Problem> {
    api.sagas.newest(name).ok_or_else(|| {
        let names = api.sagas.names().join("`, `");
        let what =
            if names.is_empty() { "none is".to_owned() } else { format!("there is `{names}`") };
        let what = format!("no saga `{name}` is deployed; {what}: deploy it by POST /v1/sagas");
        Problem::missing("unknown_saga", what)
    })
}

fn key(plan: &Plan, inputs: &Value, given: Option<&str>) -> Result<String, Problem> {
    let computed =
        plan.key_of(inputs).map_err(|error| Problem::refused("bad_key", error.to_string()))?;
    match (computed, given) {
        (Some(computed), Some(given)) if computed != given => Err(Problem::refused(
            "key_mismatch",
            format!(
                "`key` is `{given}`, but the inputs give the key `{computed}`: leave `key` out"
            ),
        )),
        (Some(computed), _) => Ok(computed),
        (None, Some(given)) if given.is_empty() || given.len() > KEY_BYTES_MAX => {
            let bytes = given.len();
            let what = format!("`key` has {bytes} bytes; it must have 1 to {KEY_BYTES_MAX}");
            Err(Problem::refused("bad_key", what))
        }
        (None, Some(given)) => Ok(given.to_owned()),
        (None, None) => Ok(Uuid::now_v7().to_string()),
    }
}

fn record<B: Broker>(
    api: &Api<B>,
    id: &WorkflowId,
    known: &Known,
    start_id: &str,
    inputs: &Value,
    trace: Option<&str>,
) -> Outgoing {
    let mut headers = vec![
        Header::text(header::SPECVERSION, "1.0"),
        Header::text(header::ID, start_id),
        Header::text(header::SOURCE, crate::SOURCE),
        Header::text(header::TYPE, ce_type::START_WORKFLOW),
        Header::text(header::SUBJECT, id.as_str()),
        Header::text(header::TIME, api.clock.now().to_string()),
        Header::text(header::CONTENT_TYPE, header::JSON),
        Header::text(header::SAGA, known.deployment.name.as_str()),
        Header::text(header::VERSION, known.deployment.version.as_str()),
    ];
    headers.extend(trace.map(|trace| Header::text(header::TRACEPARENT, trace)));
    Outgoing {
        to: Destination::Inbox,
        partition: None,
        key: Some(Bytes::from(id)),
        value: Payload::Bytes(Bytes::from(inputs.to_string())),
        headers,
    }
}

fn answer<B: Broker>(
    api: &Api<B>,
    id: &WorkflowId,
    status: StatusCode,
) -> Result<Response, Problem> {
    let workflow = shown(api, id.as_str())?;
    let location = [(http_header::LOCATION, path_of(id.as_str()))];
    Ok((status, location, axum::Json(workflow)).into_response())
}

/// Whether two values are the same, numbers by what they are worth: JSON's 2 and 2.0 are one.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let are_whole = !one.is_f64() && !other.is_f64();
            one == other || !are_whole && one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_in_other =
                |(name, value)| other.get(name).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(is_in_other)
        }
        _ => one == other,
    }
}

fn rejected(id: &WorkflowId, plan: &Plan) -> Problem {
    let what = format!(
        "workflow `{id}` was started before, with the same inputs, and saga `{}` has \
         `on_duplicate: reject`",
        plan.name
    );
    Problem::conflict("exists", what).with("workflow", id.as_str())
}

fn taken(id: &WorkflowId, existing: &Value, given: &Value) -> Problem {
    let what = format!(
        "workflow `{id}` was started with other inputs: it has {existing}, this start has {given}"
    );
    Problem::conflict("exists", what)
        .with("workflow", id.as_str())
        .with("inputs", json!({"existing": existing, "given": given}))
}

/// Is done when this process has refused the lane: nobody answers then.
async fn refused<B: Broker>(api: &Api<B>, lane: Partition) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    while (api.process.refused)(lane).is_none() {
        look.tick().await;
    }
}

fn silent<B: Broker>(api: &Api<B>, id: &WorkflowId, lane: Partition) -> Problem {
    if let Some(why) = (api.process.refused)(lane) {
        let what = format!(
            "the start of `{id}` is stored, but lane {lane} is refused, and an operator must look: {why}"
        );
        return Problem::unavailable("lane_refused", what).with("workflow", id.as_str());
    }
    let within = api.settings.answer_within;
    let mut what = format!(
        "the start of `{id}` is stored, but the coordinator has not answered within {within:?}; \
         see whether one is running, and look at the workflow later"
    );
    if api.view.forgotten().count > 0 {
        what.push_str(". If the workflow ended long ago, it is out of this gateway's view");
    }
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "no_answer", what).with("workflow", id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_by_what_they_are_worth() {
        let check = |one: Value, other: Value, expected: bool| {
            assert_eq!(same(&one, &other), expected, "{one} {other}");
        };
        check(json!({"n": [2, {"m": 0}]}), json!({"n": [2.0, {"m": -0.0}]}), true);
        check(json!(2), json!(2.5), false);
        check(json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64), false);
        check(json!({"n": 2}), json!({"n": "2"}), false);
        check(json!({"n": 2}), json!({"m": 2}), false);
        check(json!([1]), json!([1, 1]), false);
        check(json!(u64::MAX), json!(i64::MIN), false);
    }
}
