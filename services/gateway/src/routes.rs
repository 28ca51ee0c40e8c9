//! Which call goes where.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use stream::Broker;

use crate::api::Api;
use crate::deploy::Deployer;
use crate::problem::{self, Problem};
use crate::sagas::Known;
use crate::{
    agents, letters, operate, operations, publish, query, registry, sse, start, topics, workflows,
};

/// Bytes of any body.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of a saga file: docs/reference/saga-file.md.
const FILE_BYTES_MAX: usize = 256 << 10;

/// All routes.
pub(crate) fn router<B: Broker>(api: Arc<Api<B>>) -> Router {
    let serves_schemas = api.settings.serves_schemas;
    let mut router = Router::new()
        .route("/v1/sagas", get(list_sagas::<B>).post(deploy::<B>))
        .route("/v1/sagas/{name}", get(show_saga::<B>))
        .route("/v1/workflows", get(workflows::list::<B>).post(start::post::<B>))
        .route("/v1/workflows/{id}", get(workflows::show::<B>))
        .route("/v1/workflows/{id}/history", get(workflows::history::<B>))
        .route("/v1/workflows/{id}/cancel", post(operate::cancel::<B>))
        .route("/v1/workflows/{id}/continue", post(operate::go_on::<B>))
        .route("/v1/workflows/{id}/signals/{name}", post(operate::signal::<B>))
        .route("/v1/workflows/{id}/tasks/{task}/{verb}", post(operate::task::<B>))
        .route("/v1/topics", get(topics::list::<B>))
        .route("/v1/topics/{topic}/records", post(publish::post::<B>))
        .route("/v1/agents/{agent}/commands", get(agents::commands::<B>))
        .route("/v1/agents/{agent}/answers", post(agents::answers::<B>))
        .route("/v1/dead-letters", get(letters::list::<B>))
        .route("/v1/dead-letters/{id}", get(letters::show::<B>))
        .route("/v1/stream", get(sse::get::<B>))
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz::<B>))
        .route("/metrics", get(operations::metrics::<B>))
        .route("/openapi.json", get(operations::openapi));
    if serves_schemas {
        router = router
            .route("/subjects", get(registry::subjects))
            .route(
                "/subjects/{subject}/versions",
                get(registry::versions).post(registry::read_only),
            )
            .route("/subjects/{subject}/versions/{version}", get(registry::version))
            .route("/subjects/{subject}/versions/{version}/schema", get(registry::version_schema))
            .route("/schemas/types", get(registry::types))
            .route("/schemas/ids/{id}", get(registry::by_id))
            .route("/schemas/ids/{id}/versions", get(registry::versions_by_id));
    }
    router
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route_layer(middleware::from_fn(query::known))
        .layer(middleware::from_fn(problem::in_one_form))
        .layer(middleware::from_fn(operations::counted))
        .with_state(api)
}

/// `POST /v1/sagas`
async fn deploy<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    body: Bytes,
) -> Result<Response, Problem> {
    if body.len() > FILE_BYTES_MAX {
        let what = format!("the file has {} bytes, {FILE_BYTES_MAX} at most", body.len());
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", what));
    }
    let text = String::from_utf8(body.to_vec())
        .map_err(|error| Problem::bad("body", format!("the file is not UTF-8: {error}")))?;
    let shared = Arc::clone(&api);
    let deployed = api
        .blocking(move || {
            let deployer = Deployer {
                broker: &*shared.broker,
                clock: &*shared.clock,
                sagas: &shared.sagas,
                turn: &shared.deploying,
            };
            deployer.deploy(&text)
        })
        .await?;
    let status = if deployed.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let said = json!({
        "name": deployed.deployment.name,
        "version": deployed.deployment.version,
        "revision": deployed.deployment.revision,
        "diagnostics": deployed.warnings,
    });
    Ok((status, axum::Json(said)).into_response())
}

/// `GET /v1/sagas`
async fn list_sagas<B: Broker>(
    State(api): State<Arc<Api<B>>>,
) -> Result<axum::Json<Value>, Problem> {
    api.is_current()?;
    let items: Vec<Value> = api.sagas.all().iter().map(summary).collect();
    Ok(axum::Json(json!({"items": items, "next_cursor": null})))
}

/// `GET /v1/sagas/{name}`
async fn show_saga<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path(name): Path<String>,
) -> Result<axum::Json<Value>, Problem> {
    let known = match api.sagas.newest(&name) {
        Some(known) => known,
        None => {
            api.is_current()?;
            return Err(Problem::missing("unknown_saga", format!("no saga `{name}` is deployed")));
        }
    };
    let mut shown = summary(&known);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("definition".to_owned(), known.deployment.text.as_str().into());
        shown.insert("starts_at".to_owned(), json!(known.deployment.starts_at));
    }
    Ok(axum::Json(shown))
}

fn summary(known: &Known) -> Value {
    let deployment = &known.deployment;
    let mut shown = json!({
        "name": deployment.name,
        "version": deployment.version,
        "revision": deployment.revision,
        "deployed_at": deployment.deployed_at,
        "agents": deployment.agents,
        "topics": deployment.topics(),
    });
    if let Some(shown) = shown.as_object_mut() {
        match &known.plan {
            Ok(plan) => {
                let fixed = plan.tasks.iter().take(plan.fixed);
                let tasks: Vec<&str> = fixed.map(|task| task.id.as_str()).collect();
                shown.insert("description".to_owned(), json!(plan.description));
                shown.insert("tasks".to_owned(), json!(tasks));
            }
            Err(why) => {
                shown.insert("refused".to_owned(), why.as_str().into());
            }
        }
    }
    shown
}
