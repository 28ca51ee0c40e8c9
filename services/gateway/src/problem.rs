//! RFC 9457 problem documents: the one form in which the API says no.

use std::borrow::Cow;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use stream::{LogError, SendError};

const MEDIA_TYPE: &str = "application/problem+json";
/// Bytes of the framework's own refusals that are looked at.
const REJECTION_BYTES_MAX: usize = 16 * 1024;

/// What went wrong, for a program (`status`, `code`) and for people (`detail`).
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    more: Map<String, Value>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, code: code.into(), detail: detail.into(), more: Map::new() }
    }

    /// The request can not be understood.
    pub(crate) fn bad(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// There is no such thing.
    pub(crate) fn missing(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// Understood, and refused for what it says.
    pub(crate) fn refused(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// It does not fit to how things stand.
    pub(crate) fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// Not now.
    pub(crate) fn unavailable(
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// A further member of the document.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        Self::unavailable("broker", format!("the broker does not answer as it should: {error}"))
    }
}

impl From<SendError> for Problem {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Never(_) => Self::refused("undeliverable", format!("the record {error}")),
            SendError::InDoubt(_) => Self::unavailable(
                "in_doubt",
                format!("the record was {error}; it may have been stored: ask again"),
            ),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or_default();
        let mut document = Map::from_iter([
            ("type".to_owned(), Value::from("about:blank")),
            ("title".to_owned(), Value::from(title)),
            ("status".to_owned(), Value::from(self.status.as_u16())),
            ("code".to_owned(), Value::from(&*self.code)),
            ("detail".to_owned(), Value::from(self.detail)),
        ]);
        document.extend(self.more);
        let body = Value::Object(document).to_string();
        (self.status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
    }
}

/// Gives refusals of the framework (no such route, method, body too large) the form of all others.
pub(crate) async fn in_one_form(request: Request<Body>, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status();
    let is_ours = response.headers().get(header::CONTENT_TYPE).is_some_and(|of| of == MEDIA_TYPE);
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let said = to_bytes(body, REJECTION_BYTES_MAX).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let problem = match status {
        StatusCode::NOT_FOUND if said.is_empty() => {
            Problem::missing("no_route", format!("there is nothing at {path}; see /openapi.json"))
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(status, "method", format!("{path} does not take {method}"))
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(status, "too_large", format!("the body is too large: {said}"))
        }
        _ => Problem::new(status, "rejected", said),
    };
    let mut response = problem.into_response();
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        let allow: HeaderValue = allow.clone();
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
