//! What follows from one record of a user's topic: pure.

mod seen;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use events::{
    Class, Destination, Header, Outgoing, Payload, Record, Refusal, Version, WorkflowId, ce_type,
    header, nesting,
};
use saga::{JSON_DEPTH_MAX, Plan, StartError, TriggerPlan};
use serde_json::{Value, json};

/// The largest value that is read, bytes: Kafka's default bound on a message. What topics take beyond it, their
/// owners have chosen; JSON of so many bytes takes some twenty times as much memory while it is judged.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// One saga that listens to a topic.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) version: Version,
    pub(crate) plan: Arc<Plan>,
}

/// What follows from a record.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// One start for each saga that takes it.
    pub(crate) starts: Vec<Outgoing>,
    /// The event for each workflow that may wait for it.
    pub(crate) events: Vec<Outgoing>,
    /// Why it becomes a dead letter as well, or instead.
    pub(crate) refusal: Option<Refusal>,
    /// Why nothing follows; a metric's label.
    pub(crate) passed: Option<&'static str>,
}

impl Judged {
    fn passed(why: &'static str) -> Self {
        Self { passed: Some(why), ..Self::default() }
    }

    fn refused(refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::default() }
    }
}

/// What one saga says to a record.
#[derive(Default)]
struct Answer {
    name: Option<String>,
    start: Option<(WorkflowId, Value)>,
    /// Whom it is about, where tasks wait for such an event.
    about: Vec<WorkflowId>,
    refusals: Vec<Refusal>,
    filtered: bool,
}

/// Judges `record` for these sagas, each of which listens to its topic.
pub(crate) fn judge(record: &Record, listeners: &[Listener]) -> Judged {
    let named = record.header(header::TYPE);
    if let Some(Err(error)) = named.map(|name| std::str::from_utf8(name)) {
        let what = format!("the header {} is not UTF-8: {error}", header::TYPE);
        return Judged::refused(Refusal::new(Class::Undecodable, "utf8", what));
    }
    if let Some(refusal) = record.value.as_deref().and_then(unbounded) {
        return Judged::refused(refusal);
    }
    let value = match &record.value {
        Some(bytes) => match serde_json::from_slice::<Value>(bytes) {
            Ok(value) => value,
            Err(error) => return Judged::refused(undecodable(bytes, &error)),
        },
        // An event says its name; a compacted topic's tombstone does not.
        None if named.is_some() => Value::Null,
        None => return Judged::passed("tombstone"),
    };
    let mut event = Event::of(record, value);
    let answers: Vec<(&Listener, Answer)> = listeners
        .iter()
        .map(|listener| (listener, answer(record, &mut event, &listener.plan)))
        .collect();
    sum_up(record, answers)
}

/// Why a value is not even read: its size and its depth are bounded before memory is taken for it.
fn unbounded(bytes: &[u8]) -> Option<Refusal> {
    if bytes.len() > VALUE_BYTES_MAX {
        let what = format!(
            "the value has {} bytes, {VALUE_BYTES_MAX} at most: store it elsewhere and send a reference",
            bytes.len()
        );
        return Some(Refusal::new(Class::TooLarge, "value", what));
    }
    if nesting(bytes) > JSON_DEPTH_MAX {
        let what = format!("the value is nested more than {JSON_DEPTH_MAX} deep");
        return Some(Refusal::new(Class::Invalid, "too_deep", what));
    }
    None
}

fn undecodable(bytes: &[u8], error: &serde_json::Error) -> Refusal {
    let (code, what) = match std::str::from_utf8(bytes) {
        Ok(_) => ("json", format!("the value is not JSON: {error}")),
        Err(broken) => {
            ("utf8", format!("the value is not UTF-8, at byte {}", broken.valid_up_to()))
        }
    };
    Refusal::new(Class::Undecodable, code, what)
}

fn sum_up(record: &Record, answers: Vec<(&Listener, Answer)>) -> Judged {
    let mut judged = Judged::default();
    let mut starts = Vec::new();
    let mut refusals = Vec::new();
    let (mut nameless, mut filtered) = (false, false);
    for (listener, answer) in answers {
        let Answer { name, start, about, refusals: more, filtered: is_filtered } = answer;
        nameless |= name.is_none() && more.is_empty();
        filtered |= is_filtered;
        starts.extend(start.map(|(id, inputs)| (listener, id, inputs)));
        refusals.extend(more);
        let Some(name) = name.filter(|_| !about.is_empty()) else { continue };
        match seen::headers(record, &name) {
            Ok(headers) => judged
                .events
                .extend(about.iter().map(|id| seen::event(record, headers.clone(), id))),
            Err(refusal) => refusals.push(refusal),
        }
    }
    let several = starts.len() > 1;
    judged.starts =
        starts.iter().map(|(by, id, inputs)| start(record, by, id, inputs, several)).collect();
    judged.refusal = refusals.into_iter().reduce(|mut first, next| {
        first.message = format!("{}; {}", first.message, next.message);
        first
    });
    if judged.starts.is_empty() && judged.events.is_empty() && judged.refusal.is_none() {
        if nameless && !filtered {
            judged.refusal = Some(no_event_name(record));
        } else {
            judged.passed = Some(if filtered { "filtered" } else { "other_name" });
        }
    }
    judged
}

fn no_event_name(record: &Record) -> Refusal {
    let message = format!(
        "a record of `{}` tells no event name: give it the header `ce_type`, a field `type`, \
         or let the saga's `topics` say `event_name`",
        record.place.topic
    );
    Refusal::new(Class::Invalid, "no_event_name", message)
}

fn answer(record: &Record, event: &mut Event, plan: &Plan) -> Answer {
    let topic = &record.place.topic;
    let mut answer = Answer::default();
    let value = event.root.get("value").unwrap_or(&Value::Null);
    match plan.event_name(topic, event.ce_type.as_deref(), value, &event.scope()) {
        Ok(name) => answer.name = name,
        Err(error) => answer.refusals.push(refusal(plan, "expression", &error.to_string())),
    }
    let Some(name) = answer.name.clone() else { return answer };
    event.is_named(&name);
    let scope = event.scope();
    let triggered = |trigger: &&TriggerPlan| trigger.topic == *topic && trigger.event == name;
    for trigger in plan.triggers.iter().filter(triggered) {
        match plan.start_of(trigger, &scope) {
            Ok(None) => {
                answer.filtered = true;
                continue;
            }
            Ok(Some(inputs)) => match begin(record, inputs, plan) {
                Ok(start) => answer.start = Some(start),
                Err(refusal) => answer.refusals.push(refusal),
            },
            Err(error) => {
                let code = match &error {
                    StartError::Expr(_) => "expression",
                    StartError::Input(_) => "bad_start",
                };
                answer.refusals.push(refusal(plan, code, &error.to_string()));
            }
        }
        // The first trigger that does not pass it over decides.
        answer.filtered = false;
        break;
    }
    for key in plan.correlated(topic, &name, record.key.as_deref(), &scope) {
        match key {
            Ok(key) => answer.about.push(WorkflowId::of(&plan.name, &key)),
            Err(error) => answer.refusals.push(refusal(plan, error.code(), &error.to_string())),
        }
    }
    answer
}

fn refusal(plan: &Plan, code: &str, what: &str) -> Refusal {
    Refusal::new(Class::Invalid, code, format!("saga `{}`: {what}", plan.name))
}

fn begin(record: &Record, inputs: Value, plan: &Plan) -> Result<(WorkflowId, Value), Refusal> {
    let place = &record.place;
    let key = plan
        .key_of(&inputs)
        .map_err(|error| refusal(plan, "bad_key", &error.to_string()))?
        .unwrap_or_else(|| format!("{}.{}.{}", place.topic, place.partition, place.offset));
    Ok((WorkflowId::of(&plan.name, &key), inputs))
}

fn start(
    record: &Record,
    by: &Listener,
    id: &WorkflowId,
    inputs: &Value,
    several: bool,
) -> Outgoing {
    let place = &record.place;
    let ce_id = if several { format!("{place}/{}", by.plan.name) } else { place.to_string() };
    let mut headers = vec![
        Header::text(header::SPECVERSION, "1.0"),
        Header::text(header::ID, ce_id),
        Header::text(header::SOURCE, "/pavane/intake"),
        Header::text(header::TYPE, ce_type::START_WORKFLOW),
        Header::text(header::SUBJECT, id.as_str()),
        Header::text(header::TIME, record.timestamp.to_string()),
        Header::text(header::CONTENT_TYPE, header::JSON),
        Header::text(header::SAGA, by.plan.name.as_str()),
        Header::text(header::VERSION, by.version.as_str()),
    ];
    if let Some(trace) = record.header_text(header::TRACEPARENT) {
        headers.push(Header::text(header::TRACEPARENT, trace));
    }
    Outgoing {
        to: Destination::Inbox,
        partition: None,
        key: Some(Bytes::from(id)),
        value: Payload::Bytes(Bytes::from(inputs.to_string())),
        headers,
    }
}

/// A record as expressions see it.
struct Event {
    root: Value,
    ce_type: Option<String>,
}

impl Event {
    fn of(record: &Record, value: Value) -> Self {
        let key = record.key.as_deref().map(String::from_utf8_lossy);
        let headers = seen::text_headers(record);
        let root = json!({
            "value": value,
            "key": key,
            "name": null,
            "headers": headers,
            "topic": record.place.topic.as_str(),
            "timestamp": record.timestamp.to_string(),
        });
        Self { root, ce_type: record.header_text(header::TYPE).map(str::to_owned) }
    }

    fn scope(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([("event", self.root.clone())])
    }

    /// `event.name` says this from here on.
    fn is_named(&mut self, name: &str) {
        if let Some(root) = self.root.as_object_mut() {
            root.insert("name".to_owned(), Value::from(name));
        }
    }
}
