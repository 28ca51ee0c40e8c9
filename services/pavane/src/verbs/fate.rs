//! What has come of an operator's order: it is stored at once, and judged by the coordinator after that.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{Api, segment};
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::shown;

/// How long an order is waited for. A lane takes milliseconds; a takeover of one, seconds.
const WAIT: Duration = Duration::from_secs(10);
/// The first pause between two looks; doubles up to `PAUSE_MAX`.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// An order that was stored.
pub(crate) struct Ordered<'a> {
    pub(crate) id: &'a str,
    pub(crate) verb: &'a str,
    /// The task, or the signal.
    pub(crate) about: Option<&'a str>,
    /// Why; `None` for a signal.
    pub(crate) reason: Option<&'a str>,
    /// What the gateway said.
    pub(crate) answer: Value,
}

/// What has come of it.
enum Fate {
    /// This event of the workflow.
    Done(Value),
    /// This dead letter.
    Refused(Value),
    Unknown,
}

impl Ordered<'_> {
    /// Waits for what comes of it, and says so.
    pub(crate) fn settle(mut self, api: &Api, output: Output) -> Result<(), Failure> {
        let fate = self.wait(api)?;
        let (outcome, name, found) = match &fate {
            Fate::Done(event) => ("done", "event", event.clone()),
            Fate::Refused(letter) => ("refused", "dead_letter", letter.clone()),
            Fate::Unknown => ("unknown", "event", Value::Null),
        };
        if let Some(answer) = self.answer.as_object_mut() {
            answer.extend([("outcome".to_owned(), outcome.into()), (name.to_owned(), found)]);
        }
        let Self { id, verb, .. } = self;
        if output.is_json() {
            output.value(&self.answer)?;
        }
        match fate {
            Fate::Done(event) if !output.is_json() => {
                let task = event.get("task").and_then(Value::as_str).map(|task| format!(" {task}"));
                let (kind, task) = (shown(&event, "type"), task.unwrap_or_default());
                output.line(format!("{id}: {verb} took effect: {kind}{task}"))
            }
            Fate::Done(_) => Ok(()),
            Fate::Refused(letter) => {
                let [code, message, place] =
                    ["code", "message", "id"].map(|field| shown(&letter, field));
                Err(Failure::failed(format!("{id}: {verb} was refused, {code}: {message}"))
                    .next(format!("pavane dlq show {place}")))
            }
            Fate::Unknown => {
                let seconds = WAIT.as_secs();
                Err(Failure::failed(format!(
                    "{id}: {verb} is ordered; nothing has come of it within {seconds} s"
                ))
                .next(format!("pavane history {id}, pavane dlq list")))
            }
        }
    }

    fn wait(&self, api: &Api) -> Result<Fate, Failure> {
        let place = self.answer.get("record").cloned().unwrap_or_default();
        let [topic, partition, offset] =
            ["topic", "partition", "offset"].map(|field| shown(&place, field));
        let source = [("source", format!("{topic}~{partition}~{offset}"))];
        let history = format!("/v1/workflows/{}/history", segment(self.id));
        let until = Instant::now() + WAIT;
        let mut pause = PAUSE;
        loop {
            let letters = api.get("/v1/dead-letters", &source)?;
            if let Some(letter) = items(&letters).first() {
                return Ok(Fate::Refused(letter.clone()));
            }
            let events = api.get(&history, &[])?;
            if let Some(event) = items(&events).iter().find(|event| self.shows_in(event)) {
                return Ok(Fate::Done(event.clone()));
            }
            if Instant::now() >= until {
                return Ok(Fate::Unknown);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Whether an event is what this order does.
    fn shows_in(&self, event: &Value) -> bool {
        let number = |value: &Value, field: &str| value.get(field).and_then(Value::as_u64);
        let is_later = number(event, "sequence") > number(&self.answer, "after");
        let kind = shown(event, "type");
        let is_about = self.about.is_some_and(|about| shown(event, "task") == about);
        let data = event.get("data").unwrap_or(&Value::Null);
        match self.verb {
            // It may be sent twice: what the first one began is what the second one wants.
            "cancel" => {
                let is_cancel = data.get("problem").is_some_and(|problem| {
                    shown(problem, "code") == "cancelled" && shown(problem, "task") == "-"
                });
                kind == "WorkflowCancelled" || kind == "CompensationStarted" && is_cancel
            }
            "signal" => {
                let is_it = data.get("signal").and_then(Value::as_str) == self.about;
                is_later && kind == "SignalReceived" && is_it
            }
            "continue" => is_later && kind == "WorkflowResumed" && self.is_by_us(data),
            // The event of an undo that is sent once more does not say who has ordered it.
            "retry" if kind == "UndoScheduled" => is_later && is_about,
            _ => is_later && is_about && self.is_by_us(data),
        }
    }

    fn is_by_us(&self, data: &Value) -> bool {
        let actor = self.answer.get("actor").cloned().unwrap_or_default();
        data.get("by") == Some(&json!({"actor": actor, "reason": self.reason}))
    }
}

fn items(list: &Value) -> &[Value] {
    list.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
