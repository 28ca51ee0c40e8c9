//! `pavane watch`: lifecycle events as they come.

use serde_json::Value;

use crate::api::Api;
use crate::cli::Watch;
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::shown;

/// Prints each event on a line; with an id, until that workflow has ended.
pub(crate) fn run(watch: &Watch, api: &Api, output: Output) -> Result<(), Failure> {
    let query: Vec<_> = watch.id.iter().map(|id| ("workflow", id.clone())).collect();
    api.stream("/v1/stream", &query, |event| {
        if let Some(missed) = event.get("missed") {
            return Err(Failure::failed(format!("fell behind and missed {missed} events"))
                .next("pavane history ID, which has them all"));
        }
        let workflow = shown(&event, "workflow");
        if watch.id.as_ref().is_some_and(|id| *id != workflow) {
            return Ok(true);
        }
        let kind = shown(&event, "type").trim_start_matches("pavane.").to_owned();
        if output.is_json() {
            output.line(event.to_string())?;
        } else {
            let task = event.get("task").and_then(Value::as_str).unwrap_or_default();
            output.line(format!("{}  {workflow}  {kind} {task}", shown(&event, "time")))?;
        }
        let is_end = ["WorkflowCompleted", "WorkflowFailed", "WorkflowCancelled"];
        Ok(watch.id.is_none() || !is_end.contains(&kind.as_str()))
    })
}
