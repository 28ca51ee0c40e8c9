//! The gateway's HTTP API, typed.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderValue;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::answer::Reply;
use crate::model::{
    Deployed, HandedOut, HistoryEvent, Page, Problem, Publish, Published, Workflow,
};

/// Why a call did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nobody answers there, or the answer broke off: whether the call had its effect is not known.
    #[error("{url} can not be reached")]
    Unreachable {
        /// Where.
        url: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// The gateway refused.
    #[error("{} {}: {}", .0.status, .0.title, .0.detail)]
    Problem(Box<Problem>),
    /// The answer has another form than this client knows.
    #[error("the answer of {url} is not understood; is it a gateway of this version?")]
    Form {
        /// Where.
        url: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The system's TLS library can not be used.
    #[error("no HTTP client can be made")]
    Tls(#[source] reqwest::Error),
}

impl HttpError {
    /// The refusal's status, where there is one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Unreachable { .. } | Self::Form { .. } | Self::Tls(_) => None,
        }
    }
}

/// Where the gateway listens unless it is told otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:7070";
/// A call that waits for nothing takes no longer.
const CALL: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(5);
/// What stands in a path unescaped: RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What an operator does to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskVerb {
    /// Try it again.
    Retry,
    /// Go on without it.
    Skip,
    /// State by hand how it ended.
    Resolve,
}

/// What an operator says with a verb.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Word {
    /// Why; stands in the record.
    pub reason: String,
    /// Who, where the gateway does not know it otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Of [`TaskVerb::Resolve`] and [`TaskVerb::Skip`]: how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// And what it gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

/// Which workflows to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Of this saga.
    pub saga: Option<String>,
    /// With this status.
    pub status: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
    /// From where the page before ended.
    pub cursor: Option<String>,
}

/// A client of the gateway. Cheap to clone. Lives in a tokio runtime.
#[derive(Clone, Debug)]
pub struct Http {
    base: String,
    client: Client,
}

impl Http {
    /// A client of the gateway at `url`; connects when it is used.
    ///
    /// # Errors
    /// `Tls`.
    pub fn new(url: &str) -> Result<Self, HttpError> {
        let client = Client::builder().connect_timeout(CONNECT).build().map_err(HttpError::Tls)?;
        Ok(Self { base: url.trim_end_matches('/').to_owned(), client })
    }

    /// Where the gateway is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Checks and publishes a definition, as YAML.
    ///
    /// # Errors
    /// [`HttpError`]; 422 with `diagnostics` where the definition is wrong.
    pub async fn deploy(&self, yaml: String) -> Result<Deployed, HttpError> {
        let (request, url) = self.request(Method::POST, &["sagas"]);
        read(request.header("content-type", "application/yaml").body(yaml), url).await
    }

    /// What is deployed.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn sagas(&self) -> Result<Page<Value>, HttpError> {
        self.get(&["sagas"], &[]).await
    }

    /// One saga, with its definition.
    ///
    /// # Errors
    /// [`HttpError`]; 404 where it is not deployed.
    pub async fn saga(&self, name: &str) -> Result<Value, HttpError> {
        self.get(&["sagas", name], &[]).await
    }

    /// Starts a workflow; the same key and inputs again give the same workflow.
    ///
    /// # Errors
    /// [`HttpError`]; 409 where the key stands for other inputs, 422 where it is not what they give.
    pub async fn start(
        &self,
        saga: &str,
        key: Option<&str>,
        inputs: &Value,
    ) -> Result<Workflow, HttpError> {
        let mut body = json!({"saga": saga, "inputs": inputs});
        if let (Some(key), Some(body)) = (key, body.as_object_mut()) {
            body.insert("key".to_owned(), key.into());
        }
        self.post(&["workflows"], &body).await
    }

    /// Workflows, the newest first.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn workflows(&self, which: &Which) -> Result<Page<Workflow>, HttpError> {
        let limit = which.limit.map(|limit| limit.to_string());
        let query = [
            ("saga", which.saga.as_deref()),
            ("status", which.status.as_deref()),
            ("limit", limit.as_deref()),
            ("cursor", which.cursor.as_deref()),
        ];
        let query: Vec<_> =
            query.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        self.get(&["workflows"], &query).await
    }

    /// A workflow as it stands.
    ///
    /// # Errors
    /// [`HttpError`]; 404 where there is none of that id.
    pub async fn workflow(&self, id: &str) -> Result<Workflow, HttpError> {
        self.get(&["workflows", id], &[]).await
    }

    /// A workflow when it has ended, or after `wait` as it then stands.
    ///
    /// # Errors
    /// As [`Http::workflow`].
    pub async fn wait_for(&self, id: &str, wait: Duration) -> Result<Workflow, HttpError> {
        let (request, url) = self.request(Method::GET, &["workflows", id]);
        read(request.query(&[("wait", written(wait))]).timeout(wait + CALL), url).await
    }

    /// What happened to a workflow, in order.
    ///
    /// # Errors
    /// As [`Http::workflow`].
    pub async fn history(&self, id: &str) -> Result<Page<HistoryEvent>, HttpError> {
        self.get(&["workflows", id, "history"], &[]).await
    }

    /// Cancels a workflow.
    ///
    /// # Errors
    /// [`HttpError`]; 409 past the pivot.
    pub async fn cancel(&self, id: &str, word: &Word) -> Result<Value, HttpError> {
        self.post(&["workflows", id, "cancel"], word).await
    }

    /// Lets a paused workflow go on.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn continue_on(&self, id: &str, word: &Word) -> Result<Value, HttpError> {
        self.post(&["workflows", id, "continue"], word).await
    }

    /// Sends a workflow a signal.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn signal(&self, id: &str, name: &str, data: &Value) -> Result<Value, HttpError> {
        self.post(&["workflows", id, "signals", name], data).await
    }

    /// Retries, skips or resolves a task.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn task(
        &self,
        id: &str,
        task: &str,
        verb: TaskVerb,
        word: &Word,
    ) -> Result<Value, HttpError> {
        let verb = match verb {
            TaskVerb::Retry => "retry",
            TaskVerb::Skip => "skip",
            TaskVerb::Resolve => "resolve",
        };
        self.post(&["workflows", id, "tasks", task, verb], word).await
    }

    /// Publishes a record on a user's topic.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn publish(&self, topic: &str, record: &Publish) -> Result<Published, HttpError> {
        self.post(&["topics", topic, "records"], record).await
    }

    /// Commands for an agent, leased: waits up to `wait` for the first.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn commands(
        &self,
        agent: &str,
        wait: Duration,
        max: usize,
    ) -> Result<Page<HandedOut>, HttpError> {
        let (request, url) = self.request(Method::GET, &["agents", agent, "commands"]);
        let query = [("wait", written(wait)), ("max", max.to_string())];
        read(request.query(&query).timeout(wait + CALL), url).await
    }

    /// Answers a command. May be repeated.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn answer(&self, agent: &str, reply: &Reply) -> Result<(), HttpError> {
        let (request, url) = self.request(Method::POST, &["agents", agent, "answers"]);
        let answer = &reply.answer;
        let body = json!({
            "type": answer.ce_type(), "subject": reply.subject, "value": answer.value()
        });
        // A trace that HTTP can not carry is no reason to keep the answer back.
        let trace = reply.traceparent.as_deref();
        let request = match trace.and_then(|trace| HeaderValue::from_str(trace).ok()) {
            Some(trace) => request.header(events::header::TRACEPARENT, trace),
            None => request,
        };
        send(request.json(&body).timeout(CALL), &url).await.map(|_| ())
    }

    /// Any other call: `path` are the segments after `/v1`, unescaped.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, HttpError> {
        let (request, url) = self.request(Method::GET, path);
        read(request.query(query).timeout(CALL), url).await
    }

    /// Any other call with a body: `path` are the segments after `/v1`, unescaped.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, HttpError> {
        let (request, url) = self.request(Method::POST, path);
        read(request.json(body).timeout(CALL), url).await
    }

    fn request(&self, method: Method, path: &[&str]) -> (RequestBuilder, String) {
        let mut url = format!("{}/v1", self.base);
        for segment in path {
            url.push('/');
            url.extend(utf8_percent_encode(segment, SEGMENT));
        }
        (self.client.request(method, &url), url)
    }
}

/// A duration as the API takes it.
fn written(wait: Duration) -> String {
    format!("{}ms", wait.as_millis())
}

async fn send(request: RequestBuilder, url: &str) -> Result<Vec<u8>, HttpError> {
    let unreachable = |source| HttpError::Unreachable { url: url.to_owned(), source };
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unreachable)?;
    if status.is_success() { Ok(body.to_vec()) } else { Err(refusal(status, &body)) }
}

async fn read<T: DeserializeOwned>(request: RequestBuilder, url: String) -> Result<T, HttpError> {
    let body = send(request, &url).await?;
    // A verb that has nothing to say answers 202 or 204 without a body.
    let body = if body.is_empty() { b"null".as_slice() } else { &body };
    serde_json::from_slice(body).map_err(|source| HttpError::Form { url, source })
}

/// What stands between us and the gateway may refuse in a form of its own.
fn refusal(status: StatusCode, body: &[u8]) -> HttpError {
    let problem = serde_json::from_slice(body).unwrap_or_else(|_| Problem {
        status: status.as_u16(),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        detail: String::from_utf8_lossy(body.get(..1024).unwrap_or(body)).into_owned(),
        more: serde_json::Map::new(),
    });
    HttpError::Problem(Box::new(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_a_path_is_escaped() {
        let http = Http::new("http://gateway:7070/").unwrap();
        let (_, url) = http.request(Method::GET, &["workflows", "orders:eu/17", "history"]);
        assert_eq!(url, "http://gateway:7070/v1/workflows/orders%3Aeu%2F17/history");
    }

    #[test]
    fn a_problem_document_keeps_what_it_says() {
        let body = br#"{"status":422,"title":"saga refused","detail":"1 error","diagnostics":[1]}"#;
        let error = refusal(StatusCode::UNPROCESSABLE_ENTITY, body);
        assert_eq!(error.status(), Some(422));
        assert_eq!(error.to_string(), "422 saga refused: 1 error");
        let HttpError::Problem(problem) = error else { panic!("not a problem") };
        assert_eq!(problem.more.get("diagnostics"), Some(&json!([1])));
        let foreign = refusal(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(foreign.to_string(), "502 Bad Gateway: <html>");
    }
}
