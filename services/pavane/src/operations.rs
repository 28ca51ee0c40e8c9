//! `/healthz`, `/readyz` and `/metrics` of a process without a gateway, which has them itself.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use stream::Stop;
use tokio::net::TcpListener;

use crate::system::Readiness;

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
    axum::serve(listener, routes).with_graceful_shutdown(stop.heard()).await
}
