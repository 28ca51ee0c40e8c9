//! What starts a workflow: inputs checked, the business key, and events that become both.

use std::collections::BTreeSet;

use events::Topic;
use serde_json::{Map, Value};

use crate::definition::nearest;
use crate::expr::{ExprError, Scope, asked_of};
use crate::limits::BUSINESS_KEY_BYTES_MAX;
use crate::plan::{Action, Awaited, ListenPlan, Plan, RaceOn, TriggerPlan};
use crate::types::described;

/// Why a start's inputs are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Missing, unknown or of the wrong type; names the input and what is wanted.
    #[error("{0}")]
    Wrong(String),
    /// The saga's key could not be computed.
    #[error("the saga's key {0}")]
    Key(#[from] ExprError),
}

impl Plan {
    /// The inputs as the workflow will see them: checked against their declaration, defaults filled in.
    ///
    /// # Errors
    /// The first input that is missing, unknown or of the wrong type.
    pub fn admit(&self, inputs: &Value) -> Result<Value, InputError> {
        let wrong = |reason: String| Err(InputError::Wrong(reason));
        let empty = Map::new();
        let given = match inputs {
            Value::Object(map) => map,
            Value::Null => &empty,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let found = described(inputs);
                return wrong(format!("the inputs must be a map of input names, found {found}"));
            }
        };
        let Some(declared) = &self.inputs else { return Ok(Value::Object(given.clone())) };
        for name in given.keys() {
            if !declared.iter().any(|input| input.name == *name) {
                let names = declared.iter().map(|input| input.name.as_str());
                let hint = nearest(name, names)
                    .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                return wrong(format!("`{name}` is not an input of saga `{}`{hint}", self.name));
            }
        }
        let mut admitted = Map::new();
        for input in declared {
            let value = match (given.get(&input.name), &input.default) {
                // `null` for what need not be given is as if it were not given.
                (Some(Value::Null) | None, Some(default)) if !input.required => default.clone(),
                (Some(Value::Null) | None, None) if !input.required => Value::Null,
                (Some(value), _) => {
                    input
                        .of
                        .accept(value, &format!("inputs.{}", input.name))
                        .map_err(InputError::Wrong)?;
                    value.clone()
                }
                (None, _) => {
                    let (name, of) = (&input.name, &input.of);
                    return wrong(format!(
                        "the input `{name}` is required: give it a value of type {of}"
                    ));
                }
            };
            admitted.insert(input.name.clone(), value);
        }
        Ok(Value::Object(admitted))
    }

    /// The business key of these (admitted) inputs; `None` where the saga has no `key`. Text, numbers and
    /// booleans become text; at most 512 bytes, not empty.
    ///
    /// # Errors
    /// The expression failed, or gave something that can not be a key.
    pub fn key_of(&self, inputs: &Value) -> Result<Option<String>, InputError> {
        let Some(template) = &self.key else { return Ok(None) };
        let value = template.eval(&InputsAlone(inputs))?;
        let wrong = |reason: String| InputError::Wrong(format!("the saga's key {reason}"));
        business_key(value).map(Some).map_err(wrong)
    }

    /// Of a map, what this saga declares as inputs; the whole map where it declares none.
    #[must_use]
    pub fn declared(&self, mut map: Map<String, Value>) -> Map<String, Value> {
        if let Some(declared) = &self.inputs {
            map.retain(|name, _| declared.iter().any(|input| input.name == *name));
        }
        map
    }

    /// Whether a trigger's event, whose name is already known to be the trigger's, starts a workflow:
    /// `None` where its `where` is false, else the inputs, checked, with their defaults. `scope` holds
    /// `event`, with value, key, name, headers, topic and timestamp.
    ///
    /// # Errors
    /// `where` or `inputs` could not be computed, or the inputs are not what the saga declares.
    pub fn start_of(
        &self,
        trigger: &TriggerPlan,
        scope: &dyn Scope,
    ) -> Result<Option<Value>, StartError> {
        if let Some(filter) = &trigger.filter {
            match filter.eval(scope)? {
                Value::Bool(true) => {}
                Value::Bool(false) => return Ok(None),
                other @ (Value::Null
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_)) => {
                    let reason = format!("it must give true or false, found {}", described(&other));
                    return Err(StartError::Expr(filter.error(reason)));
                }
            }
        }
        let inputs = match trigger.inputs.eval(scope)? {
            Value::Object(map) => Value::Object(self.declared(map)),
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)) => other,
        };
        Ok(Some(self.admit(&inputs)?))
    }
}

/// The text of a value that is to be a business key, or what is wrong with it.
fn business_key(value: Value) -> Result<String, String> {
    let key = match value {
        Value::String(text) => text,
        value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
        value @ (Value::Null | Value::Array(_) | Value::Object(_)) => {
            let found = described(&value);
            return Err(format!("must be text, a number or a boolean, found {found}"));
        }
    };
    match key.len() {
        0 => Err("is empty".to_owned()),
        bytes if bytes > BUSINESS_KEY_BYTES_MAX => {
            Err(format!("has {bytes} bytes, {BUSINESS_KEY_BYTES_MAX} at most"))
        }
        _ => Ok(key),
    }
}

/// What a `key` sees.
struct InputsAlone<'i>(&'i Value);

impl Scope for InputsAlone<'_> {
    fn root(&self, name: &str, members: &BTreeSet<String>) -> Option<Value> {
        (name == "inputs").then(|| asked_of(self.0, members))
    }
}

/// Why an event that matches a trigger starts no workflow: dead letter `invalid`, `bad_start`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// `where` or `inputs` could not be computed.
    #[error(transparent)]
    Expr(#[from] ExprError),
    /// The inputs are not what the saga declares.
    #[error(transparent)]
    Input(#[from] InputError),
}

impl Awaited {
    /// The signal's name, where it is one.
    fn signal(&self) -> Option<&str> {
        match self {
            Self::Signal(name) => Some(name),
            Self::Event(_) => None,
        }
    }
}

/// Why it can not be told which workflow an event is about: dead letter `invalid`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorrelateError {
    /// `correlate` could not be computed.
    #[error(transparent)]
    Expr(#[from] ExprError),
    /// What it gave, or the record's key, can not be a business key.
    #[error("what correlates {event} {reason}")]
    Wrong {
        /// `topic/Name`
        event: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing says which workflow, but the record's key, and it has none.
    #[error("{event} is correlated by the record's key, and it has none that is text")]
    NoKey {
        /// `topic/Name`
        event: String,
    },
}

impl CorrelateError {
    /// The dead letter's code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Expr(_) | Self::Wrong { .. } => "correlate",
            Self::NoKey { .. } => "no_key",
        }
    }
}

impl Plan {
    /// The signals that its tasks wait for.
    #[must_use]
    pub fn signals(&self) -> BTreeSet<&str> {
        let undos = self.tasks.iter().filter_map(|task| Some(&task.undo.as_ref()?.action));
        let mut signals = BTreeSet::new();
        for action in self.tasks.iter().map(|task| &task.action).chain(undos) {
            match action {
                Action::Await(wait) | Action::Request(_, wait) => {
                    signals.extend(wait.awaited.iter().filter_map(Awaited::signal));
                }
                Action::Race { cases } => {
                    let awaited = cases.iter().filter_map(|case| match &case.on {
                        RaceOn::Event { awaited, .. } => awaited.signal(),
                        RaceOn::After(_) => None,
                    });
                    signals.extend(awaited);
                }
                Action::Agent { .. }
                | Action::Emit(_)
                | Action::Wait(_)
                | Action::Choice { .. }
                | Action::Group { .. }
                | Action::Saga { .. }
                | Action::ForEach(_) => {}
            }
        }
        signals
    }

    /// The business keys of the workflows that an event is about, each once: one for each way in which the
    /// tasks that wait for it say so. Empty where none does. `key`: the record's. `scope` holds `event`.
    #[must_use]
    pub fn correlated(
        &self,
        topic: &Topic,
        name: &str,
        key: Option<&[u8]>,
        scope: &dyn Scope,
    ) -> Vec<Result<String, CorrelateError>> {
        let of_topic = self.topic(topic).and_then(|known| known.correlate.as_ref());
        let mut found = Vec::new();
        let awaited =
            |listen: &&ListenPlan| listen.event.topic == *topic && listen.event.name == name;
        for listen in self.listens.iter().filter(awaited) {
            let event = || listen.event.to_string();
            let value = match listen.correlate.as_ref().or(of_topic) {
                Some(template) => template.eval(scope).map_err(CorrelateError::Expr),
                None => key
                    .and_then(|key| std::str::from_utf8(key).ok())
                    .map(Value::from)
                    .ok_or_else(|| CorrelateError::NoKey { event: event() }),
            };
            let key = value.and_then(|value| {
                business_key(value)
                    .map_err(|reason| CorrelateError::Wrong { event: event(), reason })
            });
            if !found.contains(&key) {
                found.push(key);
            }
        }
        found
    }

    /// The name of the event in a record of a user's topic: what `event_name` gives where the file says so,
    /// else the header `ce_type` whole, else the field `type` of a JSON object, else the only event that
    /// triggers on that topic name. `None`: it has no name. `scope` holds `event`.
    ///
    /// # Errors
    /// `event_name` could not be computed, or gave something other than text.
    pub fn event_name(
        &self,
        topic: &Topic,
        ce_type: Option<&str>,
        value: &Value,
        scope: &dyn Scope,
    ) -> Result<Option<String>, ExprError> {
        if let Some(template) = self.topic(topic).and_then(|known| known.event_name.as_ref()) {
            return match template.eval(scope)? {
                Value::String(name) if !name.is_empty() => Ok(Some(name)),
                Value::Null | Value::String(_) => Ok(None),
                other
                @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    let source_text =
                        template.exprs().first().map_or("", |expr| expr.source()).to_owned();
                    let reason =
                        format!("`event_name` must give text, found {}", described(&other));
                    Err(ExprError { source_text, reason, at: 0 })
                }
            };
        }
        if let Some(name) = ce_type.filter(|name| !name.is_empty()) {
            return Ok(Some(name.to_owned()));
        }
        if let Some(Value::String(name)) = value.get("type").filter(|_| value.is_object())
            && !name.is_empty()
        {
            return Ok(Some(name.clone()));
        }
        let triggers = self.triggers.iter().filter(|trigger| trigger.topic == *topic);
        let mut names = triggers.map(|trigger| trigger.event.as_str());
        let first = names.next();
        Ok(first.filter(|first| names.all(|name| name == *first)).map(str::to_owned))
    }
}
