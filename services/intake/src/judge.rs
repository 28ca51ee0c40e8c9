//! What follows from one record of a user's topic: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use events::{
    Class, Destination, Header, Outgoing, Payload, Record, Refusal, Version, WorkflowId,
    ce_type, header,
};
use saga::{Plan, TriggerPlan};
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
    let Some(bytes) = &record.value else { return Judged::passed("tombstone") };
    let value = match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => value,
        Err(error) => return Judged::refused(undecodable(bytes, &error)),
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
        Err(broken) => ("utf8", format!("the value is not UTF-8, at byte {}", broken.valid_up_to())),
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
    let names: BTreeSet<&str> = triggers.iter().map(|trigger| trigger.event.as_str()).collect();
    let only = names.first().filter(|_| names.len() == 1);
    let (mut nameless, mut filtered) = (false, false);
    for trigger in triggers {
        let Some(name) = event.name_for(trigger, only.copied()) else {
            nameless = true;
            continue;
        };
        if name != trigger.event {
            continue;
        }
        match passes_filter(trigger, event, plan) {
            Ok(true) => return begin(record, event, trigger, plan),
            Ok(false) => filtered = true,
            Err(refusal) => return Answer::Refuses(refusal),
        }
    }
    match (filtered, nameless) {
        (true, _) => Answer::Filtered,
        (false, true) => Answer::Nameless,
        (false, false) => Answer::OtherName,
    }
}

fn passes_filter(trigger: &TriggerPlan, event: &Event, plan: &Plan) -> Result<bool, Refusal> {
    let Some(filter) = &trigger.filter else { return Ok(true) };
    match filter.eval(&event.scope()) {
        Ok(Value::Bool(passes)) => Ok(passes),
        Ok(other) => Err(refusal(
            plan,
            "expression",
            &format!("`where` of its trigger gives {other}, not true or false"),
        )),
        Err(error) => Err(refusal(plan, "expression", &format!("`where` of its trigger: {error}"))),
    }
}

fn refusal(plan: &Plan, code: &str, what: &str) -> Refusal {
    Refusal::new(Class::Invalid, code, format!("saga `{}`: {what}", plan.name))
}

fn begin(record: &Record, event: &Event, trigger: &TriggerPlan, plan: &Plan) -> Answer {
    match inputs_and_key(event, trigger, plan) {
        Ok((inputs, Some(key))) => Answer::Starts(WorkflowId::of(&plan.name, &key), inputs),
        Ok((inputs, None)) => {
            let place = &record.place;
            let key = format!("{}.{}.{}", place.topic, place.partition, place.offset);
            Answer::Starts(WorkflowId::of(&plan.name, &key), inputs)
        }
        Err(refusal) => Answer::Refuses(refusal),
    }
}

fn inputs_and_key(
    event: &Event,
    trigger: &TriggerPlan,
    plan: &Plan,
) -> Result<(Value, Option<String>), Refusal> {
    let given = trigger.inputs.eval(&event.scope()).map_err(|error| {
        refusal(plan, "expression", &format!("`inputs` of its trigger: {error}"))
    })?;
    let Value::Object(given) = given else {
        return Err(refusal(plan, "bad_start", &format!("its inputs must be a map, found {given}")));
    };
    let inputs = Value::Object(declared_only(given, plan));
    let admitted =
        plan.admit(&inputs).map_err(|error| refusal(plan, "bad_start", &error.to_string()))?;
    let key =
        plan.key_of(&admitted).map_err(|error| refusal(plan, "bad_key", &error.to_string()))?;
    Ok((inputs, key))
}

/// Of a whole map the declared names are taken, so an event may carry more than the saga wants.
fn declared_only(given: Map<String, Value>, plan: &Plan) -> Map<String, Value> {
    let Some(declared) = &plan.inputs else { return given };
    given
        .into_iter()
        .filter(|(name, _)| declared.iter().any(|input| input.name == *name))
        .collect()
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
        let ce_type = record.header_text(header::TYPE).filter(|name| !name.is_empty());
        Self { root, ce_type: ce_type.map(str::to_owned) }
    }

    fn scope(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([("event", self.root.clone())])
    }

    /// The event's name as this trigger's topic tells it, which `event.name` says from here on.
    fn name_for(&mut self, trigger: &TriggerPlan, only: Option<&str>) -> Option<String> {
        let name = match &trigger.event_name {
            Some(told) => match told.eval(&self.scope()) {
                Ok(Value::String(name)) if !name.is_empty() => Some(name),
                Ok(_) | Err(_) => None,
            },
            None => self
                .ce_type
                .clone()
                .or_else(|| self.field_type().map(str::to_owned))
                .or_else(|| only.map(str::to_owned)),
        };
        if let (Some(root), Some(name)) = (self.root.as_object_mut(), &name) {
            root.insert("name".to_owned(), Value::from(name.as_str()));
        }
        name
    }

    fn field_type(&self) -> Option<&str> {
        self.root.get("value")?.get("type")?.as_str().filter(|name| !name.is_empty())
    }
}

/// Whether a saga of this plan listens to any topic at all, and to which.
pub(crate) fn topics_of(plan: &Plan) -> BTreeSet<&events::Topic> {
    plan.triggers.iter().map(|trigger| &trigger.topic).collect()
}

