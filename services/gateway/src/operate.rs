//! Operators' verbs and signals: records to the inbox, each with who sent it.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use events::{Destination, Header, Outgoing, Payload, WorkflowId, ce_type, header};
use saga::Kind;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stream::Broker;
use uuid::Uuid;

use crate::api::Api;
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
    let word = word(&body)?;
    let workflow = shown(&api, &id)?;
    is_under_way(&workflow, "cancel")?;
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
    let word = word(&body)?;
    let workflow = shown(&api, &id)?;
    is_under_way(&workflow, "continue")?;
    order(&api, ce_type::CONTINUE_WORKFLOW, &workflow, None, word, &headers).await
}

/// `POST /v1/workflows/{id}/tasks/{task}/retry`, `/skip`, `/resolve`
pub(crate) async fn task<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path((id, task, verb)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let ce_type = match verb.as_str() {
        "retry" => ce_type::RETRY_TASK,
        "skip" => ce_type::SKIP_TASK,
        "resolve" => ce_type::RESOLVE_TASK,
        other => {
            let what =
                format!("`{other}` is no verb for a task; there are retry, skip and resolve");
            return Err(Problem::missing("no_route", what));
        }
    };
    let word = word(&body)?;
    if verb == "resolve" {
        match word.outcome.as_deref() {
            Some("done" | "not_done" | "undone") => {}
            Some(other) => {
                let what =
                    format!("`{other}` is no `outcome`; there are done, not_done and undone");
                return Err(Problem::refused("bad_outcome", what));
            }
            None => {
                let what = "resolve needs `outcome`: done, not_done or undone";
                return Err(Problem::refused("no_outcome", what));
            }
        }
    }
    let workflow = shown(&api, &id)?;
    if !workflow.tasks.iter().any(|of| of.id == task) {
        let names: Vec<&str> = workflow.tasks.iter().map(|of| of.id.as_str()).collect();
        let what = format!("`{id}` has no task `{task}`; it has {}", names.join(", "));
        return Err(Problem::missing("unknown_task", what));
    }
    order(&api, ce_type, &workflow, Some(&task), word, &headers).await
}

/// `POST /v1/workflows/{id}/signals/{name}`: the body is what the signal says.
pub(crate) async fn signal<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let data: Value = if body.is_empty() { Value::Null } else { query::json(&body)? };
    let workflow = shown(&api, &id)?;
    is_under_way(&workflow, "a signal")?;
    if let Some(plan) = api.sagas.plan(&workflow.saga, &workflow.version) {
        let awaited = plan.signals();
        if !awaited.contains(name.as_str()) {
            let names = Vec::from_iter(awaited).join("`, `");
            let what = if names.is_empty() { "none".to_owned() } else { format!("`{names}`") };
            let what = format!("no task of `{id}` awaits a signal `{name}`; they await {what}");
            return Err(Problem::missing("unknown_signal", what));
        }
    }
    let actor = query::header(&headers, ACTOR_HEADER).unwrap_or(ACTOR);
    let id = WorkflowId::from(workflow.id.as_str());
    let mut record = record(&api, ce_type::SIGNAL, (&id, id.as_str()), actor, &data, &headers);
    record.headers.push(Header::text(header::SIGNAL, name.as_str()));
    api.put(record).await?;
    let said = json!({
        "ordered": ce_type::SIGNAL, "subject": id.as_str(), "signal": name, "actor": actor,
    });
    Ok((StatusCode::ACCEPTED, Json(said)))
}

fn word(body: &Bytes) -> Result<Word, Problem> {
    if body.is_empty() { Ok(Word::default()) } else { query::json(body) }
}

fn is_under_way(workflow: &Workflow, verb: &str) -> Result<(), Problem> {
    if workflow.status.is_at_rest() {
        let status = serde_json::to_value(workflow.status).unwrap_or_default();
        return Err(Problem::conflict(
            "at_rest",
            format!("`{}` has ended ({status}), so {verb} changes nothing", workflow.id),
        ));
    }
    Ok(())
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
    api.put(record(api, ce_type, (&id, &subject), &actor, &value, headers)).await?;
    let said = json!({"ordered": ce_type, "subject": subject, "actor": actor});
    Ok((StatusCode::ACCEPTED, Json(said)))
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
