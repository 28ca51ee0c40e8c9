//! `pavane cancel`, `continue`, `retry`, `skip` and `resolve`: an operator's orders. And `signal`.

use serde_json::{Value, json};

use crate::api::{Api, segment};
use crate::cli::{Order, Signal, TaskOrder, TaskOutcome, TaskOutput};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::verbs::fate::Ordered;
use crate::verbs::json_argument;

/// An order about a workflow: `cancel` or `continue`.
pub(crate) fn workflow(
    order: &Order,
    verb: &str,
    api: &Api,
    output: Output,
) -> Result<(), Failure> {
    let path = format!("/v1/workflows/{}/{verb}", segment(&order.id));
    let Order { id, reason } = order;
    let answer = send(&path, &word(reason), id, api)?;
    Ordered { id, verb, about: None, reason: Some(reason), answer }.settle(api, output)
}

/// `signal`
pub(crate) fn signal(signal: &Signal, api: &Api, output: Output) -> Result<(), Failure> {
    let Signal { id, name, data } = signal;
    let data = json_argument("--data", data)?;
    let path = format!("/v1/workflows/{}/signals/{}", segment(id), segment(name));
    let answer =
        api.post_by(&path, &data, &actor()).map_err(|failure| where_to_look(failure, id))?;
    Ordered { id, verb: "signal", about: Some(name), reason: None, answer }.settle(api, output)
}

/// `retry`
pub(crate) fn retry(order: &TaskOrder, api: &Api, output: Output) -> Result<(), Failure> {
    about_task(order, "retry", &word(&order.reason), api, output)
}

/// `skip`
pub(crate) fn skip(given: &TaskOutput, api: &Api, output: Output) -> Result<(), Failure> {
    about_task(&given.order, "skip", &stated(given)?, api, output)
}

/// `resolve`
pub(crate) fn resolve(ended: &TaskOutcome, api: &Api, output: Output) -> Result<(), Failure> {
    let TaskOutcome { given, outcome } = ended;
    let mut body = stated(given)?;
    if let Some(body) = body.as_object_mut() {
        body.insert("outcome".to_owned(), outcome.as_str().into());
    }
    about_task(&given.order, "resolve", &body, api, output)
}

fn about_task(
    order: &TaskOrder,
    verb: &str,
    body: &Value,
    api: &Api,
    output: Output,
) -> Result<(), Failure> {
    let TaskOrder { id, task, reason } = order;
    let answer = send(&path(order, verb), body, id, api)?;
    Ordered { id, verb, about: Some(task), reason: Some(reason), answer }.settle(api, output)
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
    json!({"reason": reason, "actor": actor()})
}

fn actor() -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    user.unwrap_or_else(|| "command line".to_owned())
}

fn path(order: &TaskOrder, verb: &str) -> String {
    format!("/v1/workflows/{}/tasks/{}/{verb}", segment(&order.id), segment(&order.task))
}

fn where_to_look(failure: Failure, id: &str) -> Failure {
    match failure.kind {
        Kind::NotFound => failure.next("pavane list"),
        Kind::Failed => failure.next(format!("pavane get {id}")),
        Kind::Usage | Kind::Unreachable | Kind::ReaderGone => failure,
    }
}

fn send(path: &str, body: &Value, id: &str, api: &Api) -> Result<Value, Failure> {
    let (_, answer) = api.post(path, body).map_err(|failure| where_to_look(failure, id))?;
    Ok(answer)
}
