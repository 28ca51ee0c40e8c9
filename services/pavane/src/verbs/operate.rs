//! `pavane cancel`, `continue`, `retry`, `skip` and `resolve`: an operator's orders.

use serde_json::{Value, json};

use crate::api::{Api, segment};
use crate::cli::{Order, TaskOrder, TaskOutcome, TaskOutput};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::verbs::json_argument;

/// An order about a workflow: `cancel` or `continue`.
pub(crate) fn workflow(
    order: &Order,
    verb: &str,
    api: &Api,
    output: Output,
) -> Result<(), Failure> {
    let path = format!("/v1/workflows/{}/{verb}", segment(&order.id));
    send(&path, &word(&order.reason), &order.id, verb, api, output)
}

/// `retry`
pub(crate) fn retry(order: &TaskOrder, api: &Api, output: Output) -> Result<(), Failure> {
    send(&path(order, "retry"), &word(&order.reason), &order.id, "retry", api, output)
}

/// `skip`
pub(crate) fn skip(given: &TaskOutput, api: &Api, output: Output) -> Result<(), Failure> {
    send(&path(&given.order, "skip"), &stated(given)?, &given.order.id, "skip", api, output)
}

/// `resolve`
pub(crate) fn resolve(ended: &TaskOutcome, api: &Api, output: Output) -> Result<(), Failure> {
    let TaskOutcome { given, outcome } = ended;
    let mut body = stated(given)?;
    if let Some(body) = body.as_object_mut() {
        body.insert("outcome".to_owned(), outcome.as_str().into());
    }
    send(&path(&given.order, "resolve"), &body, &given.order.id, "resolve", api, output)
}

/// The reason and, where it is given, the output.
fn stated(given: &TaskOutput) -> Result<Value, Failure> {
    let mut body = word(&given.order.reason);
    if let (Some(body), Some(text)) = (body.as_object_mut(), &given.output) {
        body.insert("output".to_owned(), json_argument("--output", text)?);
    }
    Ok(body)
}

/// The reason, and who gives it.
fn word(reason: &str) -> Value {
    let actor = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    json!({"reason": reason, "actor": actor.as_deref().unwrap_or("command line")})
}

fn path(order: &TaskOrder, verb: &str) -> String {
    format!("/v1/workflows/{}/tasks/{}/{verb}", segment(&order.id), segment(&order.task))
}

fn send(
    path: &str,
    body: &Value,
    id: &str,
    verb: &str,
    api: &Api,
    output: Output,
) -> Result<(), Failure> {
    let (_, answer) = api.post(path, body).map_err(|failure| match failure.kind {
        Kind::NotFound => failure.next("pavane list"),
        Kind::Failed => failure.next(format!("pavane get {id}")),
        Kind::Usage | Kind::Unreachable | Kind::ReaderGone => failure,
    })?;
    output.either(&answer, || format!("{id}: {verb} is ordered; see `pavane history {id}`"))
}
