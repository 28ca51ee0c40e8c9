//! What the world around workflows of a file needs to play its part: inputs, outputs, codes and events that the
//! file's expressions can take. Which of them, and when, is for whoever plays.

use std::collections::{BTreeMap, BTreeSet};

use events::{Json, Topic};
use serde_json::{Map, Value, json};

use super::places::Places;
use super::sample::{constants, get, guesses, put};
use super::{reads, samples};
use crate::admit::InputError;
use crate::expr::{Expr, Template};
use crate::plan::{EventName, Plan, RetryPlan, Slot, TriggerPlan};

/// Values that are tried for what a trigger's `where` reads; of each so many, of so many paths.
const FILTER_PATHS_MAX: usize = 3;

/// The values of a file.
pub struct Props {
    samples: samples::Samples,
    places: Places,
    codes: Vec<String>,
}

/// An event as it can be published.
#[derive(Clone, Debug, PartialEq)]
pub struct Publishable {
    /// The record's key.
    pub key: String,
    /// The record's value, as JSON.
    pub value: Value,
    /// Its headers, `ce_type` among them.
    pub headers: BTreeMap<String, String>,
}

/// How a workflow is started.
#[derive(Clone, Debug, PartialEq)]
pub struct Begin {
    /// Inputs that the saga takes.
    pub inputs: Value,
    /// The business key that they give; `None` where the saga has none.
    pub key: Option<String>,
}

impl Props {
    /// Of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let samples = samples::Samples::of(plan);
        Self { samples, places: Places::of(plan), codes: codes(plan) }
    }

    /// How many kinds of inputs there are, each of which makes a difference to a condition.
    #[must_use]
    pub fn starts(&self) -> usize {
        self.samples.starts.len()
    }

    /// Where the task of that name stands, as the public events name it.
    #[must_use]
    pub fn slot(&self, task: &str) -> Option<Slot> {
        self.places.find(task).map(|place| place.slot)
    }

    /// What whoever does that task may answer, or say in the event that it awaits: the plainest first.
    #[must_use]
    pub fn outputs(&self, slot: Slot) -> &[Json] {
        self.samples.outputs.get(slot).map_or(&[], Vec::as_slice)
    }

    /// The codes of failures that the file names.
    #[must_use]
    pub fn codes(&self) -> &[String] {
        &self.codes
    }

    /// Inputs of that kind for workflow `number`, with a business key of its own where the inputs that are not
    /// `given` can make one.
    ///
    /// # Errors
    /// They are not taken, or give no key.
    pub fn begin(
        &self,
        plan: &Plan,
        (kind, number): (usize, u32),
        given: &Map<String, Value>,
    ) -> Result<Begin, InputError> {
        let of_kind = self.samples.starts.get(kind).map_or_else(|| json!({}), Json::value);
        let mut drawn = of_kind.as_object().cloned().unwrap_or_default();
        drawn.extend(given.clone());
        let plain = Value::Object(drawn);
        let distinct = plan.key.as_ref().map(|key| distinct(plain.clone(), key, number, given));
        let taken = |inputs: Value| {
            let key = plan.key_of(&plan.admit(&inputs)?)?;
            Ok(Begin { inputs, key })
        };
        match distinct.map(taken) {
            Some(Ok(begin)) => Ok(begin),
            Some(Err(_)) | None => taken(plain),
        }
    }

    /// An event of that name and value, about the workflow of that business key; `None`: none was found.
    #[must_use]
    pub fn event(
        &self,
        plan: &Plan,
        (event, value): (&EventName, &Value),
        key: &str,
    ) -> Option<Publishable> {
        let mut made = named(plan, &event.topic, &event.name, key, value.clone());
        let of_topic = plan.topic(&event.topic).and_then(|known| known.correlate.as_ref());
        let listens = plan.listens.iter().filter(|listen| listen.event == *event);
        for template in listens.filter_map(|listen| listen.correlate.as_ref().or(of_topic)) {
            template.exprs().iter().for_each(|expr| made.set(expr, key));
        }
        let scope = made.scope(event);
        let record_key = Some(made.key.as_bytes());
        let about = plan.correlated(&event.topic, &event.name, record_key, &scope);
        let is_about = about.iter().any(|of| of.as_deref() == Ok(key));
        (is_about && made.is_named(plan, event)).then_some(made)
    }

    /// An event that starts a workflow of that key, with what is `given` among its inputs; `None`: none was found.
    #[must_use]
    pub fn trigger(
        &self,
        (plan, trigger): (&Plan, &TriggerPlan),
        begin: &Begin,
        given: &Map<String, Value>,
    ) -> Option<Publishable> {
        let event = EventName { topic: trigger.topic.clone(), name: trigger.event.clone() };
        let key = begin.key.clone().unwrap_or_default();
        let mut value = begin.inputs.clone();
        let mut record_key = None;
        let mut lead = |expr: &Expr, input: &Value| {
            let path = expr.only_path().unwrap_or_default();
            let words: Vec<&str> = path.iter().map(String::as_str).collect();
            match words.as_slice() {
                ["event", "value", ..] => put(&mut value, path.get(2..).unwrap_or_default(), input),
                ["event", "key"] => record_key = input.as_str().map(str::to_owned),
                _ => {}
            }
        };
        match &trigger.inputs {
            Template::Computed(expr) => lead(expr, &begin.inputs),
            Template::Map(map) => {
                for (name, template) in map {
                    if let (Template::Computed(expr), Some(input)) =
                        (template, begin.inputs.get(name))
                    {
                        lead(expr, input);
                    }
                }
            }
            Template::Constant(_) | Template::Text(_) | Template::List(_) => {}
        }
        let made = named(plan, &event.topic, &event.name, &record_key.unwrap_or(key), value);
        let starts = |made: &Publishable| {
            let started = plan.start_of(trigger, &made.scope(&event)).ok().flatten();
            started.is_some_and(|inputs| {
                let has_given = given.iter().all(|(name, value)| inputs.get(name) == Some(value));
                has_given && plan.key_of(&inputs) == Ok(begin.key.clone())
            }) && made.is_named(plan, &event)
        };
        let ways = let_through(trigger.filter.as_ref(), &made);
        ways.into_iter().find(starts)
    }
}

impl Publishable {
    /// What `expr` reads of the event says this.
    fn set(&mut self, expr: &Expr, text: &str) {
        for path in expr.paths() {
            let words: Vec<&str> = path.iter().map(String::as_str).collect();
            match words.as_slice() {
                ["event", "value", ..] => {
                    put(&mut self.value, path.get(2..).unwrap_or_default(), &json!(text));
                }
                ["event", "key"] => text.clone_into(&mut self.key),
                ["event", "headers", name] => {
                    self.headers.insert((*name).to_owned(), text.to_owned());
                }
                _ => {}
            }
        }
    }

    fn scope(&self, event: &EventName) -> BTreeMap<&'static str, Value> {
        let root = json!({
            "value": self.value,
            "key": self.key,
            "name": event.name,
            "headers": self.headers,
            "topic": event.topic.as_str(),
            "timestamp": "2026-01-01T00:00:00.000Z",
        });
        BTreeMap::from([("event", root)])
    }

    fn is_named(&self, plan: &Plan, event: &EventName) -> bool {
        let ce_type = self.headers.get(events::header::TYPE).map(String::as_str);
        let name = plan.event_name(&event.topic, ce_type, &self.value, &self.scope(event));
        name.ok().flatten().as_deref() == Some(event.name.as_str())
    }
}

fn named(plan: &Plan, topic: &Topic, name: &str, key: &str, value: Value) -> Publishable {
    let headers = BTreeMap::from([(events::header::TYPE.to_owned(), name.to_owned())]);
    let mut made = Publishable { key: key.to_owned(), value, headers };
    let says = plan.topic(topic).and_then(|known| known.event_name.as_ref());
    for expr in says.iter().flat_map(|template| template.exprs()) {
        made.set(expr, name);
    }
    made
}

/// The event, and as it must be for the filter.
fn let_through(filter: Option<&Expr>, made: &Publishable) -> Vec<Publishable> {
    let mut ways = vec![made.clone()];
    let Some(filter) = filter else { return ways };
    let near = constants(filter.source());
    let is_open = |path: &&Vec<String>| {
        path.starts_with(&["event".to_owned(), "value".to_owned()]) && path.len() > 2
    };
    for path in filter.paths().iter().filter(is_open).take(FILTER_PATHS_MAX) {
        let fields = path.get(2..).unwrap_or_default();
        let mut tried = guesses(&near);
        let numbers = near.iter().filter_map(Value::as_i64);
        tried.extend(numbers.flat_map(|number| [json!(number + 1), json!(number - 1)]));
        tried.push(json!(false));
        let with = |way: &Publishable| {
            let differs = |value: &&Value| get(&way.value, fields) != Some(value);
            let put_in = |value: &Value| {
                let mut way = way.clone();
                put(&mut way.value, fields, value);
                way
            };
            tried.iter().filter(differs).map(put_in).collect::<Vec<_>>()
        };
        let more: Vec<Publishable> = ways.iter().flat_map(with).collect();
        ways.extend(more);
    }
    ways
}

/// The inputs, with what the key reads of them made this workflow's own.
fn distinct(mut inputs: Value, key: &Template, number: u32, given: &Map<String, Value>) -> Value {
    for path in key.exprs().iter().flat_map(|expr| expr.paths()) {
        let Some(fields) = path.get(1..).filter(|_| path.first().is_some_and(|it| it == "inputs"))
        else {
            continue;
        };
        if fields.first().is_none_or(|name| given.contains_key(name)) {
            continue;
        }
        let own = match get(&inputs, fields) {
            Some(Value::Number(_)) => json!(number),
            Some(Value::String(_) | Value::Null | Value::Object(_)) | None => {
                json!(format!("k{number}"))
            }
            Some(Value::Bool(_) | Value::Array(_)) => continue,
        };
        put(&mut inputs, fields, &own);
    }
    inputs
}

/// What a file tells of failures: in `retry`, and by what expressions compare a code with.
fn codes(plan: &Plan) -> Vec<String> {
    let mut codes = BTreeSet::new();
    let mut of_retry = |retry: &RetryPlan| {
        let named = retry.only.iter().flatten().chain(&retry.never);
        codes.extend(named.map(|code| code.replace('*', "500")));
    };
    for task in &plan.tasks {
        of_retry(&task.retry);
        task.undo.iter().for_each(|undo| of_retry(&undo.retry));
    }
    for read in reads::of(plan) {
        if read.expr.paths().iter().any(|path| path.last().is_some_and(|last| last == "code")) {
            let texts = constants(read.expr.source());
            codes.extend(texts.iter().filter_map(Value::as_str).map(str::to_owned));
        }
    }
    codes.retain(|code| !code.is_empty());
    codes.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::check;

    fn plan(text: &str) -> Plan {
        let checked = check(text);
        checked.plan.unwrap_or_else(|| panic!("{:#?}", checked.diagnostics))
    }

    const SHOP: &str = r#"name: shop
key: "${inputs.order.id}"
inputs: [{name: order, type: object}, {name: total, type: number}]
topics:
  orders: {topic: shop.orders, event_name: "${event.value.kind}"}
  stock: {topic: shop.stock, correlate: "${event.value.ref.order}"}
triggers:
  - event: orders/Placed
    where: "${event.value.total > 10.0 && event.value.channel == 'web'}"
    inputs: {order: "${event.value.what}", total: "${event.value.total}"}
tasks:
  - {id: reserve, await: {event: stock/Reserved, failed: stock/Refused}, timeout: 1m}
  - id: pay
    agent: bank
    depends_on: [reserve]
    retry: {never: [card_declined, http.*]}
    inputs: {place: "${tasks.reserve.output.place + 1}"}
  - {id: tell, agent: mail, depends_on: [pay], when: "${tasks.pay.error.code == 'slow'}"}
"#;

    #[test]
    fn each_workflow_gets_a_key_of_its_own() {
        let plan = plan(SHOP);
        let props = Props::of(&plan);
        let key = |number| props.begin(&plan, (0, number), &Map::new()).unwrap().key.unwrap();
        assert_eq!((key(0), key(7)), ("k0".to_owned(), "k7".to_owned()));
        let given = json!({"order": {"id": 5}, "total": 3}).as_object().cloned().unwrap();
        let begin = props.begin(&plan, (0, 7), &given).unwrap();
        assert_eq!(begin.key.as_deref(), Some("5"), "what is given stays as it is");
        let wrong = json!({"totl": 1}).as_object().cloned().unwrap();
        let error = props.begin(&plan, (0, 0), &wrong).unwrap_err().to_string();
        assert!(error.contains("did you mean `total`"), "{error}");
    }

    #[test]
    fn an_event_is_made_that_starts_the_workflow() {
        let plan = plan(SHOP);
        let props = Props::of(&plan);
        let begin = props.begin(&plan, (0, 3), &Map::new()).unwrap();
        let by = (&plan, &plan.triggers[0]);
        let made = props.trigger(by, &begin, &Map::new()).unwrap();
        assert!(made.value["total"].as_f64().unwrap() > 10.0, "the trigger lets it through");
        assert_eq!(made.value["channel"], "web");
        assert_eq!(made.value["kind"], "Placed");
        assert_eq!(made.value["what"]["id"], "k3");
        let given = json!({"total": 3}).as_object().cloned().unwrap();
        let begin = props.begin(&plan, (0, 3), &given).unwrap();
        assert_eq!(props.trigger(by, &begin, &given), None, "it would be passed over");
    }

    #[test]
    fn an_event_is_made_that_is_about_the_workflow() {
        let plan = plan(SHOP);
        let props = Props::of(&plan);
        let slot = props.slot("reserve").unwrap();
        let output = props.outputs(slot)[0].value();
        let event = plan.listens[0].event.clone();
        let made = props.event(&plan, (&event, &output), "k3").unwrap();
        assert_eq!(made.value["ref"]["order"], "k3");
        assert!(made.value["place"].is_number(), "as `pay` reads it: {}", made.value);
        let hashed = SHOP.replace("event.value.ref.order", "sha256(event.value.ref.order)");
        let plan = super::tests::plan(&hashed);
        assert_eq!(Props::of(&plan).event(&plan, (&event, &output), "k3"), None);
    }

    #[test]
    fn the_codes_are_those_that_the_file_names() {
        assert_eq!(Props::of(&plan(SHOP)).codes(), ["card_declined", "http.500", "slow"]);
    }
}
