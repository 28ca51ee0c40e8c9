//! What an operator's tools ask: is it alive, is it ready, what does it count, what can it do.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::{Value, json};
use stream::Broker;

use crate::api::Api;
use crate::problem::Problem;

type Text = ([(&'static str, &'static str); 1], String);

/// `GET /healthz`: the process serves.
pub(crate) async fn healthz() -> axum::Json<Value> {
    axum::Json(json!({"status": "ok"}))
}

/// `GET /readyz`: the view has caught up and is kept up to date, and the services beside it work.
pub(crate) async fn readyz<B: Broker>(
    State(api): State<Arc<Api<B>>>,
) -> Result<axum::Json<Value>, Problem> {
    api.is_current()?;
    if let Some(missing) = (api.process.missing)() {
        return Err(Problem::unavailable("not_ready", missing));
    }
    Ok(axum::Json(json!({"status": "ready"})))
}

/// `GET /metrics`
pub(crate) async fn metrics<B: Broker>(State(api): State<Arc<Api<B>>>) -> Text {
    ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], (api.process.metrics)())
}

/// `GET /openapi.json`
pub(crate) async fn openapi() -> Text {
    ([("content-type", "application/json")], include_str!("openapi.json").to_owned())
}

/// Counts requests and how long they took.
pub(crate) async fn counted(request: Request<Body>, next: Next) -> Response {
    let method = request.method().as_str().to_owned();
    let begun = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    let labels = [("method", method), ("status", status)];
    metrics::counter!("pavane_http_requests_total", &labels).increment(1);
    metrics::histogram!("pavane_http_request_duration_seconds", &labels)
        .record(begun.elapsed().as_secs_f64());
    response
}
