//! `pavane start`: a workflow, by hand.

use serde_json::{Value, json};

use crate::api::{Api, segment};
use crate::cli::Start;
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::{json_argument, read::workflow_text, shown};

/// How long one call waits for the end; it is asked again until it has come, or an operator is waited for.
const WAIT: &str = "1s";

/// Whether a workflow in this status has ended.
pub(crate) fn is_at_rest(status: &str) -> bool {
    ["completed", "partial", "compensated", "cancelled", "failed"].contains(&status)
}

/// Starts a workflow, and waits for its end where asked.
pub(crate) fn run(start: &Start, api: &Api, output: Output) -> Result<(), Failure> {
    let mut body = json!({
        "saga": start.saga,
        "inputs": json_argument("--inputs", &start.inputs)?,
    });
    if let (Some(key), Some(body)) = (&start.key, body.as_object_mut()) {
        body.insert("key".to_owned(), Value::from(key.as_str()));
    }
    let (status, mut workflow) = api.post("/v1/workflows", &body).map_err(|failure| {
        if failure.next.is_some() {
            failure
        } else {
            failure.next("pavane deploy FILE, pavane list")
        }
    })?;
    let id = shown(&workflow, "id");
    if status == reqwest::StatusCode::OK {
        Output::note(format!("{id} was started before with the same inputs"));
    }
    if start.wait {
        while !is_at_rest(&shown(&workflow, "status")) {
            let path = format!("/v1/workflows/{}", segment(&id));
            workflow = api.get(&path, &[("wait", WAIT.to_owned())])?;
            let status = shown(&workflow, "status");
            if ["blocked", "paused"].contains(&status.as_str()) {
                output.either(&workflow, || workflow_text(&workflow))?;
                return Err(Failure::failed(format!("{id} is {status}: it waits for an operator"))
                    .next(format!("pavane history {id}")));
            }
        }
    }
    output.either(&workflow, || match start.wait {
        true => workflow_text(&workflow),
        false => format!("{id} {}", shown(&workflow, "status")),
    })?;
    match shown(&workflow, "status").as_str() {
        "completed" => Ok(()),
        _ if !start.wait => Ok(()),
        status => {
            Err(Failure::failed(format!("{id} ended {status}"))
                .next(format!("pavane history {id}")))
        }
    }
}
