//! The gateway, as the verbs see it.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::failure::{Failure, chain};

/// What may stand unescaped in a path segment.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':');

/// An answer takes at most this long; a call that waits for a workflow asks for less.
const PATIENCE: Duration = Duration::from_secs(60);

/// Items asked for at once: the most that the gateway gives.
const PAGE: usize = 500;

/// A gateway.
#[derive(Debug)]
pub(crate) struct Api {
    runtime: Runtime,
    http: Client,
    url: String,
}

/// A refusal with its problem document.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) document: Value,
}

impl Problem {
    fn text(&self) -> String {
        let field = |name: &str| self.document.get(name).and_then(Value::as_str);
        match field("detail").or_else(|| field("title")) {
            Some(text) => text.to_owned(),
            None => format!("the gateway answered {}", self.status),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        if problem.status == StatusCode::NOT_FOUND {
            return Self::not_found(problem.text());
        }
        Self::failed(problem.text())
    }
}

impl Api {
    /// A gateway at this address; nothing is sent yet.
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Failure::usage(format!("`{url}` is not the address of a gateway"))
                .next("--url http://127.0.0.1:7070"));
        }
        let no_client =
            |error: &dyn std::error::Error| Failure::from_error("no HTTP client", error);
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| no_client(&error))?,
            http: Client::builder()
                .connect_timeout(Duration::from_secs(5))
                .build()
                .map_err(|error| no_client(&error))?,
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    /// Reads.
    pub(crate) fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        let request = self.request(Method::GET, path).query(query).timeout(PATIENCE);
        Ok(self.answer(request)?.map_err(Failure::from)?.1)
    }

    /// Sends JSON; gives the answer's status too.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<(StatusCode, Value), Failure> {
        let request = self.request(Method::POST, path).json(body).timeout(PATIENCE);
        self.answer(request)?.map_err(Failure::from)
    }

    /// Sends JSON, and says who sends it.
    pub(crate) fn post_by(&self, path: &str, body: &Value, actor: &str) -> Result<Value, Failure> {
        let request = self.request(Method::POST, path).header("x-pavane-actor", actor);
        Ok(self.answer(request.json(body).timeout(PATIENCE))?.map_err(Failure::from)?.1)
    }

    /// Sends a saga file.
    pub(crate) fn post_yaml(
        &self,
        path: &str,
        text: String,
    ) -> Result<Result<Value, Problem>, Failure> {
        let request = self.request(Method::POST, path).header("content-type", "application/yaml");
        let answer = self.answer(request.body(text).timeout(PATIENCE))?;
        Ok(answer.map(|(_, value)| value))
    }

    /// Reads a list to its end, or up to `limit` items.
    pub(crate) fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: usize,
    ) -> Result<Vec<Value>, Failure> {
        let mut items: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", (limit - items.len()).min(PAGE).to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query)?;
            let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) else {
                return Err(self.strange(path, &page));
            };
            items.extend(more);
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() || items.len() >= limit {
                items.truncate(limit);
                return Ok(items);
            }
        }
    }

    /// Reads server-sent events, calling `each` with the data of each until it says `false`.
    pub(crate) fn stream(
        &self,
        path: &str,
        query: &[(&str, String)],
        mut each: impl FnMut(Value) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let request = self.request(Method::GET, path).query(query);
        let mut response = self.send(request.header("accept", "text/event-stream"))?;
        if !response.status().is_success() {
            return Err(self.read(response)?.map_or_else(Failure::from, |_| Failure::failed(path)));
        }
        let mut pending: Vec<u8> = Vec::new();
        while let Some(chunk) = self
            .runtime
            .block_on(async { response.chunk().await })
            .map_err(|error| self.lost(&error))?
        {
            pending.extend_from_slice(&chunk);
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                let Some(data) = line.strip_prefix(b"data:") else { continue };
                let Ok(event) = serde_json::from_slice(data) else { continue };
                if !each(event)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    fn answer(
        &self,
        request: RequestBuilder,
    ) -> Result<Result<(StatusCode, Value), Problem>, Failure> {
        let response = self.send(request)?;
        self.read(response)
    }

    fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        self.runtime.block_on(async { request.send().await }).map_err(|error| self.lost(&error))
    }

    fn read(&self, response: Response) -> Result<Result<(StatusCode, Value), Problem>, Failure> {
        let status = response.status();
        let bytes = self
            .runtime
            .block_on(async { response.bytes().await })
            .map_err(|error| self.lost(&error))?;
        let value = serde_json::from_slice(&bytes);
        if !status.is_success() {
            return Ok(Err(Problem { status, document: value.unwrap_or(Value::Null) }));
        }
        match value {
            Ok(value) => Ok(Ok((status, value))),
            Err(_) if bytes.is_empty() => Ok(Ok((status, Value::Null))),
            Err(error) => {
                Err(Failure::from_error(&format!("{} answered what is not JSON", self.url), &error))
            }
        }
    }

    fn strange(&self, path: &str, answer: &Value) -> Failure {
        Failure::failed(format!(
            "{}{path} answered `{answer}`, which is not a list; is it a pavane gateway?",
            self.url
        ))
    }

    fn lost(&self, error: &reqwest::Error) -> Failure {
        let what = if error.is_timeout() { "does not answer in time" } else { "is not reachable" };
        Failure::unreachable(format!("the gateway at {} {what}: {}", self.url, chain(error)))
            .next("pavane up, or --url with the address of a gateway that runs")
    }
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}
