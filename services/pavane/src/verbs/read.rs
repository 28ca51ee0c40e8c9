//! `pavane list`, `get` and `history`.

use serde_json::{Value, json};

use crate::api::{Api, segment};
use crate::cli::{Id, List};
use crate::failure::{Failure, Kind};
use crate::output::{Output, table};
use crate::verbs::shown;

/// Workflows, newest first.
pub(crate) fn list(list: &List, api: &Api, output: Output) -> Result<(), Failure> {
    let mut query = Vec::new();
    query.extend(list.saga.clone().map(|saga| ("saga", saga)));
    query.extend(list.status.clone().map(|status| ("status", status)));
    let limit = usize::try_from(list.limit).unwrap_or(usize::MAX);
    let items = api.list("/v1/workflows", &query, limit)?;
    output.either(&json!({"items": items}), || {
        table(
            ["ID", "STATUS", "STARTED", "ENDED", "ERROR"],
            items.iter().map(|workflow| {
                let [id, status, started, ended] =
                    ["id", "status", "started_at", "ended_at"].map(|field| shown(workflow, field));
                [id, status, started, ended, error_text(workflow)]
            }),
        )
    })
}

/// One workflow.
pub(crate) fn get(id: &Id, api: &Api, output: Output) -> Result<(), Failure> {
    let workflow = api.get(&path(&id.id, ""), &[]).map_err(missing)?;
    output.either(&workflow, || workflow_text(&workflow))
}

/// What has happened in one.
pub(crate) fn history(id: &Id, api: &Api, output: Output) -> Result<(), Failure> {
    let history = api.get(&path(&id.id, "/history"), &[]).map_err(missing)?;
    let events = history.get("items").unwrap_or(&history);
    let Some(events) = events.as_array() else {
        return Err(Failure::failed("the gateway's answer holds no history"));
    };
    output.either(&json!({"items": events}), || {
        table(
            ["#", "TIME", "EVENT", "TASK", "ATTEMPT", "DETAIL"],
            events.iter().map(|event| {
                let [sequence, time, kind, task, attempt] =
                    ["sequence", "time", "type", "task", "attempt"]
                        .map(|field| shown(event, field));
                let kind = kind.trim_start_matches("pavane.").to_owned();
                [sequence, time, kind, task, attempt, detail(event)]
            }),
        )
    })
}

/// A workflow for people.
pub(crate) fn workflow_text(workflow: &Value) -> String {
    let line = |name: &str, value: String| format!("{name:<8} {value}\n");
    let mut text = line("id", shown(workflow, "id"));
    text += &line("saga", format!("{} {}", shown(workflow, "saga"), shown(workflow, "version")));
    text += &line("status", shown(workflow, "status"));
    text += &line("started", shown(workflow, "started_at"));
    text += &line("ended", shown(workflow, "ended_at"));
    text += &line("inputs", shown(workflow, "inputs"));
    text += &line("outputs", shown(workflow, "outputs"));
    text += &line("error", error_text(workflow));
    let tasks = workflow.get("tasks").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    text + &table(
        ["TASK", "STATUS", "ATTEMPTS", "STARTED", "ENDED", "OUTPUT"],
        tasks.iter().map(|task| {
            ["id", "status", "attempts", "started_at", "ended_at", "output"]
                .map(|field| cut(shown(task, field)))
        }),
    )
}

fn path(id: &str, rest: &str) -> String {
    format!("/v1/workflows/{}{rest}", segment(id))
}

fn missing(failure: Failure) -> Failure {
    if failure.kind == Kind::NotFound { failure.next("pavane list") } else { failure }
}

fn error_text(workflow: &Value) -> String {
    match workflow.get("error") {
        None | Some(Value::Null) => "-".to_owned(),
        Some(error) => {
            let [task, code, message] =
                ["task", "code", "message"].map(|field| shown(error, field));
            cut(format!("{task}: {code}: {message}"))
        }
    }
}

/// The telling part of an event's data.
fn detail(event: &Value) -> String {
    let Some(data) = event.get("data") else { return String::new() };
    let telling = ["code", "message", "reason", "output", "outputs", "inputs", "how", "retry_at"];
    let parts = telling.iter().filter_map(|field| {
        let value = data.get(field).filter(|value| !value.is_null())?;
        Some(format!("{field}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    });
    cut(parts.collect::<Vec<_>>().join(" "))
}

/// Long values are for `--json`; a table stays readable.
fn cut(text: String) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
