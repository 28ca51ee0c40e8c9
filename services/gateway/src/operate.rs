//! Operators' verbs and signals: records to the inbox, each with who sent it.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use events::{Destination, Header, Outgoing, Payload, Place, WorkflowId, ce_type, header};
use saga::Kind;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stream::Broker;
use uuid::Uuid;

use crate::api::Api;
use crate::applies::{self, Outcome, Verb};
use crate::fold::{Workflow, without_elements};
use crate::problem::Problem;
use crate::query;
use crate::workflows::shown;

/// Who ordered it where nobody says.
const ACTOR: &str = "http";
/// The request's header that says who.
const ACTOR_HEADER: &str = "x-pavane-actor";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    outcome: Option<String>,
    #[serde(default)]
    output: Option<Value>,
}

type Answer = Result<(StatusCode, Json<Value>), Problem>;

/// `POST /v1/workflows/{id}/cancel`
pub(crate) async fn cancel<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let word = word(&body, "cancel")?;
    let workflow = shown(&api, &id)?;
    applies::cancel(&workflow)?;
    if let Some(pivot) = passed_pivot(&api, &workflow) {
        return Err(Problem::conflict(
            "past_pivot",
            format!(
                "task `{pivot}` of `{id}` is done, from which on the workflow only goes forward"
            ),
        ));
    }
    order(&api, ce_type::CANCEL_WORKFLOW, &workflow, None, word, &headers).await
}

/// `POST /v1/workflows/{id}/continue`
pub(crate) async fn go_on<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let word = word(&body, "continue")?;
    let workflow = shown(&api, &id)?;
    applies::go_on(&workflow)?;
    order(&api, ce_type::CONTINUE_WORKFLOW, &workflow, None, word, &headers).await
}

/// `POST /v1/workflows/{id}/tasks/{task}/retry`, `/skip`, `/resolve`
pub(crate) async fn task<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path((id, task, verb)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let (ce_type, word, about) = match verb.as_str() {
        "retry" => (ce_type::RETRY_TASK, word(&body, &verb)?, Verb::Retry),
        "skip" => (ce_type::SKIP_TASK, word(&body, &verb)?, Verb::Skip),
        "resolve" => {
            let word = word(&body, &verb)?;
            let outcome = outcome(word.outcome.as_deref())?;
            (ce_type::RESOLVE_TASK, word, Verb::Resolve(outcome))
        }
        other => {
            let what =
                format!("`{other}` is no verb for a task; there are retry, skip and resolve");
            return Err(Problem::missing("no_route", what));
        }
    };
    let workflow = shown(&api, &id)?;
    let plan = api.sagas.plan(&workflow.saga, &workflow.version);
    applies::task(&workflow, plan.as_deref(), &task, about, word.output.as_ref())?;
    order(&api, ce_type, &workflow, Some(&task), word, &headers).await
}

fn outcome(given: Option<&str>) -> Result<Outcome, Problem> {
    match given {
        Some("done") => Ok(Outcome::Done),
        Some("not_done") => Ok(Outcome::NotDone),
        Some("undone") => Ok(Outcome::Undone),
        Some(other) => {
            let what = format!("`{other}` is no `outcome`; there are done, not_done and undone");
            Err(Problem::refused("bad_outcome", what))
        }
        None => {
            let what = "resolve needs `outcome`: done, not_done or undone";
            Err(Problem::refused("no_outcome", what))
        }
    }
}

/// `POST /v1/workflows/{id}/signals/{name}`: the body is what the signal says.
pub(crate) async fn signal<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let data = if body.is_empty() { Value::Null } else { query::value(&body)? };
    let workflow = shown(&api, &id)?;
    let plan = api.sagas.plan(&workflow.saga, &workflow.version);
    applies::signal(&workflow, plan.as_deref(), &name)?;
    let actor = query::header(&headers, ACTOR_HEADER).unwrap_or(ACTOR);
    let id = WorkflowId::from(workflow.id.as_str());
    let mut record = record(&api, ce_type::SIGNAL, (&id, id.as_str()), actor, &data, &headers);
    record.headers.push(Header::text(header::SIGNAL, name.as_str()));
    let place = api.put(record).await?;
    let mut said = ordered(ce_type::SIGNAL, id.as_str(), actor, &workflow, &place);
    said.insert("signal".to_owned(), name.into());
    Ok((StatusCode::ACCEPTED, Json(said.into())))
}

/// What is ordered, with the reason that no order goes without.
fn word(body: &Bytes, verb: &str) -> Result<Word, Problem> {
    let word: Word = if body.is_empty() { Word::default() } else { query::json(body)? };
    if word.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
        let what = format!("{verb} needs a `reason`, for the history");
        return Err(Problem::refused("no_reason", what));
    }
    Ok(word)
}

/// The answer to an order: what it is, where it is stored, and the last event that was seen before it. What
/// comes of it is an event behind that one, or a dead letter of that place.
fn ordered(
    ce_type: &str,
    subject: &str,
    actor: &str,
    workflow: &Workflow,
    place: &Place,
) -> Map<String, Value> {
    let Place { topic, partition, offset } = place;
    let record = json!({"topic": topic.as_str(), "partition": partition, "offset": offset});
    Map::from_iter([
        ("ordered".to_owned(), ce_type.into()),
        ("subject".to_owned(), subject.into()),
        ("actor".to_owned(), actor.into()),
        ("record".to_owned(), record),
        ("after".to_owned(), workflow.last.into()),
    ])
}

fn passed_pivot<B: Broker>(api: &Api<B>, workflow: &Workflow) -> Option<String> {
    let plan = api.sagas.plan(&workflow.saga, &workflow.version)?;
    let is_done = |id: &str| {
        workflow.tasks.iter().any(|task| without_elements(&task.id) == id && task.status == "done")
    };
    plan.tasks
        .iter()
        .find(|task| task.kind == Kind::Pivot && is_done(task.id.as_str()))
        .map(|task| task.id.to_string())
}

async fn order<B: Broker>(
    api: &Api<B>,
    ce_type: &'static str,
    workflow: &Workflow,
    task: Option<&str>,
    word: Word,
    headers: &HeaderMap,
) -> Answer {
    let id = WorkflowId::from(workflow.id.as_str());
    let subject = task.map_or_else(|| id.to_string(), |task| format!("{id}/{task}"));
    let actor = query::header(headers, ACTOR_HEADER).map(str::to_owned).or(word.actor);
    let actor = actor.unwrap_or_else(|| ACTOR.to_owned());
    let mut value =
        Map::from_iter([("reason".to_owned(), Value::from(word.reason.unwrap_or_default()))]);
    value.extend(word.outcome.map(|outcome| ("outcome".to_owned(), Value::from(outcome))));
    value.extend(word.output.map(|output| ("output".to_owned(), output)));
    let value = Value::Object(value);
    let place = api.put(record(api, ce_type, (&id, &subject), &actor, &value, headers)).await?;
    let said = ordered(ce_type, &subject, &actor, workflow, &place);
    Ok((StatusCode::ACCEPTED, Json(said.into())))
}

fn record<B: Broker>(
    api: &Api<B>,
    ce_type: &'static str,
    (id, subject): (&WorkflowId, &str),
    actor: &str,
    value: &Value,
    headers: &HeaderMap,
) -> Outgoing {
    let mut of_record = vec![
        Header::text(header::SPECVERSION, "1.0"),
        Header::text(header::ID, Uuid::now_v7().to_string()),
        Header::text(header::SOURCE, crate::SOURCE),
        Header::text(header::TYPE, ce_type),
        Header::text(header::SUBJECT, subject),
        Header::text(header::TIME, api.clock.now().to_string()),
        Header::text(header::CONTENT_TYPE, header::JSON),
        Header::text(header::ACTOR, actor),
    ];
    let trace = query::header(headers, header::TRACEPARENT);
    of_record.extend(trace.map(|trace| Header::text(header::TRACEPARENT, trace)));
    Outgoing {
        to: Destination::Inbox,
        partition: None,
        key: Some(Bytes::from(id)),
        value: Payload::Bytes(Bytes::from(value.to_string())),
        headers: of_record,
    }
}
