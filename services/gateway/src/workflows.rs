//! Looking at workflows.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use events::{Timestamp, WorkflowId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use stream::Broker;
use tokio::time::Instant;

use crate::api::Api;
use crate::fold::{self, Workflow};
use crate::history::Line;
use crate::problem::Problem;
use crate::query;
use crate::standing::Status;
use crate::view::Entry;

/// What stands in a path as it is: RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a workflow is.
pub(crate) fn path_of(id: &str) -> String {
    format!("/v1/workflows/{}", utf8_percent_encode(id, SEGMENT))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    saga: Option<String>,
    status: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /v1/workflows`
pub(crate) async fn list<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    let which: Which = query::query(&uri)?;
    api.is_current()?;
    let limit = query::limit(which.limit.as_deref())?;
    let status = which.status.as_deref().map(named).transpose()?;
    let before = which.cursor.as_deref().map(read_cursor).transpose()?;
    let wanted = |entry: &Entry| {
        which.saga.as_deref().is_none_or(|saga| entry.saga.as_str() == saga)
            && status.is_none_or(|status| entry.status() == status)
    };
    // Decoding a page takes a while, during which nothing else is served on this thread.
    let (page, has_more) = api.view.list(before.as_ref(), limit, wanted);
    let next = page.last().filter(|_| has_more);
    let next = next.map(|(time, id)| query::cursor_of(&format!("{}~{id}", time.as_millis())));
    let items: Vec<Workflow> =
        page.iter().filter_map(|(_, id)| in_view(&api, id.as_str())).collect();
    Ok(Json(json!({"items": items, "next_cursor": next})))
}

fn named(status: &str) -> Result<Status, Problem> {
    Status::named(status).ok_or_else(|| {
        Problem::bad(
            "query",
            format!(
                "`{status}` is no status; there are running, paused, compensating, blocked, \
                 completed, partial, compensated, cancelled and failed"
            ),
        )
    })
}

fn read_cursor(cursor: &str) -> Result<(Timestamp, WorkflowId), Problem> {
    let read = || {
        let text = query::read_cursor(cursor)?;
        let (millis, id) = text.split_once('~')?;
        Some((Timestamp::from_millis(millis.parse().ok()?), WorkflowId::from(id)))
    };
    read().ok_or_else(|| {
        Problem::bad("query", "`cursor` is not one; take `next_cursor` of the page before")
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patience {
    wait: Option<String>,
}

/// `GET /v1/workflows/{id}`
pub(crate) async fn show<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Workflow>, Problem> {
    let patience: Patience = query::query(&uri)?;
    let wait = patience
        .wait
        .as_deref()
        .map_or(Ok(Duration::ZERO), |wait| query::duration("wait", wait))?;
    // One that there is not is said at once, and not waited for.
    let workflow = shown(&api, &id)?;
    if wait.is_zero() || workflow.status.is_at_rest() {
        return Ok(Json(workflow));
    }
    let workflow_id = WorkflowId::from(id.as_str());
    let at_rest = |entry: Option<&Entry>| entry?.status().is_at_rest().then_some(());
    let until = Instant::now() + wait;
    // Ended or not, it is shown as it then stands.
    let _ended = api.view.until(&workflow_id, until, api.ending(), at_rest).await;
    shown(&api, &id).map(Json)
}

/// `GET /v1/workflows/{id}/history`
pub(crate) async fn history<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let history = api.view.look(&id, Entry::history).ok_or_else(|| missing(&api, &id))?;
    let items: Vec<Line> = history.iter().map(Line::of).collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

/// A workflow as it stands.
pub(crate) fn shown<B: Broker>(api: &Api<B>, id: &str) -> Result<Workflow, Problem> {
    in_view(api, id).ok_or_else(|| missing(api, id))
}

fn in_view<B: Broker>(api: &Api<B>, id: &str) -> Option<Workflow> {
    let (history, saga, version) =
        api.view.look(id, |entry| (entry.history(), entry.saga.clone(), entry.version.clone()))?;
    let plan = api.sagas.plan(saga.as_str(), version.as_str());
    fold::workflow(&history, plan.as_deref())
}

/// Why a workflow is not shown; a view that is not up to date does not say that there is none.
pub(crate) fn missing<B: Broker>(api: &Api<B>, id: &str) -> Problem {
    if let Err(problem) = api.is_current() {
        return problem;
    }
    let mut what = format!("there is no workflow `{id}`");
    let forgotten = api.view.forgotten();
    if let Some(until) = forgotten.until {
        let (count, max) = (forgotten.count, api.settings.ended_max);
        what = format!(
            "workflow `{id}` is not in view: there is none, or it ended up to {until}; of ended \
             workflows this gateway keeps the newest {max}, and has let go of {count}"
        );
    }
    Problem::missing("unknown_workflow", what)
}
