//! `/healthz`, `/readyz` and `/metrics` of a process without a gateway, which has them itself.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use stream::Stop;
use tokio::net::TcpListener;

use crate::system::Readiness;

/// How often a wish to stop is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Serves until asked to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    ready: Readiness,
    render: gateway::RenderMetrics,
    stop: Stop,
) -> std::io::Result<()> {
    let readiness = move || {
        let missing = ready.missing();
        async move {
            match missing {
                None => (StatusCode::OK, "ready".to_owned()),
                Some(missing) => (StatusCode::SERVICE_UNAVAILABLE, missing),
            }
        }
    };
    let metrics = move || {
        let text = render();
        async move { text }
    };
    let routes = Router::new()
        .route("/healthz", get(|| async { "healthy" }))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics));
    let stopped = async move {
        while !stop.requested() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    axum::serve(listener, routes).with_graceful_shutdown(stopped).await
}
