//! What follows from one record of a user's topic: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use events::{
    Class, Destination, Header, Outgoing, Payload, Record, Refusal, Version, WorkflowId, ce_type,
    header,
};
use saga::{Plan, StartError, TriggerPlan};
use serde_json::{Map, Value, json};

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
enum Answer {
    Starts(WorkflowId, Value),
    Refuses(Refusal),
    Nameless,
    OtherName,
    Filtered,
}

/// Judges `record` for these sagas, each of which has a trigger on its topic.
pub(crate) fn judge(record: &Record, listeners: &[Listener]) -> Judged {
    let named = record.header(header::TYPE);
    if let Some(Err(error)) = named.map(|name| std::str::from_utf8(name)) {
        let what = format!("the header {} is not UTF-8: {error}", header::TYPE);
        return Judged::refused(Refusal::new(Class::Undecodable, "utf8", what));
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
        match answer {
            Answer::Starts(id, inputs) => starts.push((listener, id, inputs)),
            Answer::Refuses(refusal) => refusals.push(refusal),
            Answer::Nameless => nameless = true,
            Answer::OtherName => {}
            Answer::Filtered => filtered = true,
        }
    }
    let several = starts.len() > 1;
    judged.starts =
        starts.iter().map(|(by, id, inputs)| start(record, by, id, inputs, several)).collect();
    judged.refusal = refusals.into_iter().reduce(|mut first, next| {
        first.message = format!("{}; {}", first.message, next.message);
        first
    });
    if judged.starts.is_empty() && judged.refusal.is_none() {
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
    let triggers: Vec<&TriggerPlan> =
        plan.triggers.iter().filter(|trigger| trigger.topic == record.place.topic).collect();
    let value = event.root.get("value").unwrap_or(&Value::Null);
    let named =
        plan.event_name(&record.place.topic, event.ce_type.as_deref(), value, &event.scope());
    let name = match named {
        Ok(Some(name)) => name,
        Ok(None) => return Answer::Nameless,
        Err(error) => return Answer::Refuses(refusal(plan, "expression", &error.to_string())),
    };
    event.is_named(&name);
    let mut answer = Answer::OtherName;
    for trigger in triggers.into_iter().filter(|trigger| trigger.event == name) {
        match plan.start_of(trigger, &event.scope()) {
            Ok(Some(inputs)) => return begin(record, inputs, plan),
            Ok(None) => answer = Answer::Filtered,
            Err(error) => {
                let code = match &error {
                    StartError::Expr(_) => "expression",
                    StartError::Input(_) => "bad_start",
                };
                return Answer::Refuses(refusal(plan, code, &error.to_string()));
            }
        }
    }
    answer
}

fn refusal(plan: &Plan, code: &str, what: &str) -> Refusal {
    Refusal::new(Class::Invalid, code, format!("saga `{}`: {what}", plan.name))
}

fn begin(record: &Record, inputs: Value, plan: &Plan) -> Answer {
    let place = &record.place;
    match plan.key_of(&inputs) {
        Ok(Some(key)) => Answer::Starts(WorkflowId::of(&plan.name, &key), inputs),
        Ok(None) => {
            let key = format!("{}.{}.{}", place.topic, place.partition, place.offset);
            Answer::Starts(WorkflowId::of(&plan.name, &key), inputs)
        }
        Err(error) => Answer::Refuses(refusal(plan, "bad_key", &error.to_string())),
    }
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
        let headers: Map<String, Value> = record
            .headers
            .iter()
            .filter_map(|header| {
                let text = std::str::from_utf8(header.value.as_deref()?).ok()?;
                Some((header.name.to_string(), Value::from(text)))
            })
            .collect();
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

/// The topics that a saga of this plan listens to.
pub(crate) fn topics_of(plan: &Plan) -> BTreeSet<&events::Topic> {
    plan.triggers.iter().map(|trigger| &trigger.topic).collect()
}
