//! An attempt of a task: what is sent, to whom, until when.

use events::{AgentName, Json, Timestamp, Version, WorkflowId};
use serde_json::{Map, Value};

use super::Draft;
use super::task::error;
use crate::event::{Begun, Body};
use crate::expr::{Expr, Template};
use crate::limits::COMMAND_BYTES_MAX;
use crate::phase::{Command, Pair, TaskError, Via};
use crate::plan::{Action, Deadline, EmitPlan, Idempotency, Inputs, Role, Slot};
use crate::react::idempotency_key;
use crate::scope::WorkflowScope;
use crate::workflow::{Kept, Stage};

/// Where something goes out to.
struct Target {
    agent: AgentName,
    task_type: String,
    via: Via,
}

impl Draft<'_> {
    /// Begins a task, or its next attempt. What was computed once stays.
    pub(super) fn schedule(&mut self, slot: Slot) {
        assert!(
            self.is_forward()
                || self.is_closing(slot) && matches!(self.head.stage, Stage::Closing { .. }),
            "undo-order: `{}` of {} would start after compensation began",
            self.name(slot).id,
            self.head.id
        );
        if let Err(why) = self.try_schedule(slot) {
            self.fail(slot, why);
        }
    }

    fn try_schedule(&mut self, slot: Slot) -> Result<(), TaskError> {
        let inputs = match self.task(slot).inputs.clone() {
            Some(inputs) => inputs,
            None => self.inputs(slot)?,
        };
        let plan = self.task_plan(slot);
        if let Action::Wait(wait) = &plan.action {
            self.begin_wait(slot, wait);
            return Ok(());
        }
        if matches!(plan.action, Action::Await(_)) {
            let due = self.due(slot)?;
            if self.open_with(slot, Begun::Await { due }, inputs) {
                self.take_early(slot);
            }
            return Ok(());
        }
        let key = self.computed_key(slot)?;
        let Target { agent, task_type, via } = self.target(slot, &inputs)?;
        let value = match &plan.action {
            Action::Emit(emit) | Action::Request(emit, _) => match &emit.value {
                Some(value) => self.small(self.value_of(value, slot)?)?,
                None => inputs,
            },
            Action::Agent { .. }
            | Action::Await(_)
            | Action::Wait(_)
            | Action::Choice { .. }
            | Action::Race { .. }
            | Action::Group { .. }
            | Action::Saga { .. }
            | Action::ForEach(_) => inputs,
        };
        let (due, until) = (self.due(slot)?, self.deadline(slot)?);
        let command = Command {
            task: self.name(slot).id,
            n: self.task(slot).attempt.saturating_add(1),
            agent,
            task_type,
            value,
            deadline: due.unwrap_or(self.head.timeout_at),
            time: self.now,
            epoch: self.head.epoch,
            key,
            via,
            endless: due.is_none(),
        };
        let is_request = matches!(plan.action, Action::Request(..));
        self.push(Body::TaskScheduled { task: self.name(slot), command, until });
        if is_request {
            self.take_early(slot);
        }
        Ok(())
    }

    /// Who does it, and how it is told.
    fn target(&self, slot: Slot, inputs: &Json) -> Result<Target, TaskError> {
        match &self.task_plan(slot).action {
            Action::Agent { agent, task_type } => {
                Ok(Target { agent: agent.clone(), task_type: task_type.clone(), via: Via::Agent })
            }
            Action::Emit(emit) => self.event_target(slot, emit, true),
            Action::Request(emit, _) => self.event_target(slot, emit, false),
            Action::Saga { saga, version, max_depth } => {
                let (child, version, depth) =
                    self.new_child(slot, saga, version.as_ref(), *max_depth, inputs)?;
                Ok(Target {
                    agent: AgentName::from(child.as_str()),
                    task_type: saga.to_string(),
                    via: Via::Child { version, depth },
                })
            }
            Action::Await(_)
            | Action::Wait(_)
            | Action::Choice { .. }
            | Action::Race { .. }
            | Action::Group { .. }
            | Action::ForEach(_) => panic!("one-verdict: {:?} has no command", self.name(slot).id),
        }
    }

    fn event_target(&self, slot: Slot, emit: &EmitPlan, alone: bool) -> Result<Target, TaskError> {
        // The same in every attempt.
        let via = match &self.task(slot).via {
            via @ Via::Event { .. } => via.clone(),
            Via::Agent | Via::Nothing | Via::Child { .. } => {
                let id = self.computed_key(slot)?;
                self.event_via(emit, id, alone, &WorkflowScope::at(self, slot))?
            }
        };
        let agent = AgentName::from(emit.event.topic.as_str());
        Ok(Target { agent, task_type: emit.event.name.clone(), via })
    }

    /// An event's key and headers.
    pub(super) fn event_via(
        &self,
        emit: &EmitPlan,
        id: String,
        alone: bool,
        scope: &WorkflowScope<'_, '_>,
    ) -> Result<Via, TaskError> {
        let text = |template: &Template, what: &str| match evaluated(template, scope)? {
            Value::String(text) => Ok(text),
            value @ (Value::Number(_) | Value::Bool(_)) => Ok(crate::types::text_of(&value)),
            value @ (Value::Null | Value::Array(_) | Value::Object(_)) => {
                let found = crate::types::described(&value);
                Err(error("expression", format!("{what} must be text, found {found}")))
            }
        };
        let key = match &emit.key {
            Some(key) => text(key, "an event's key")?,
            None => self.head.id.parts().map_or(String::new(), |(_, key)| key.to_owned()),
        };
        let headers = emit.headers.iter().map(|(name, value)| {
            let text = text(value, &format!("the header {name}"))?;
            Ok(Pair { name: name.clone(), text })
        });
        Ok(Via::Event { id, key, headers: headers.collect::<Result<_, TaskError>>()?, alone })
    }

    /// The child that a task has started.
    pub(super) fn child_of(&self, slot: Slot) -> Option<WorkflowId> {
        let Action::Saga { saga, .. } = &self.task_plan(slot).action else { return None };
        let task = self.task(slot);
        let inputs = task.inputs.clone().unwrap_or_else(Json::null);
        let Via::Child { version, .. } = &task.via else { return None };
        self.child_id(slot, saga, version, &inputs).ok()
    }

    fn new_child(
        &self,
        slot: Slot,
        saga: &events::SagaName,
        version: Option<&Version>,
        max_depth: u32,
        inputs: &Json,
    ) -> Result<(WorkflowId, Version, u32), TaskError> {
        let depth = self.head.parent.as_ref().map_or(0, |parent| parent.depth) + 1;
        if depth > max_depth {
            let message =
                format!("`{saga}` would stand {depth} deep, and at most {max_depth} are allowed");
            return Err(error("max_depth", message));
        }
        let version = match (version, &self.task(slot).via) {
            (Some(version), _) => version.clone(),
            (None, Via::Child { version, .. }) => version.clone(),
            (None, Via::Agent | Via::Nothing | Via::Event { .. }) => self.newest(saga)?,
        };
        let child = self.child_id(slot, saga, &version, inputs)?;
        Ok((child, version, depth))
    }

    /// A task's inputs.
    pub(super) fn inputs(&self, slot: Slot) -> Result<Json, TaskError> {
        let plan = self.task_plan(slot);
        let inputs = match &plan.inputs {
            Inputs::Computed(template) => self.value_of(template, slot)?,
            Inputs::Upstream => {
                let of = |upstream: Slot| {
                    (self.task_plan(upstream).id.to_string(), self.output(upstream))
                };
                Json::from_value(&Value::Object(self.before(slot).map(of).collect::<Map<_, _>>()))
            }
            Inputs::Item => match self.elements(slot).first() {
                Some((of, index)) => Json::from_value(&self.element(*of, *index)),
                None => Json::null(),
            },
            Inputs::Enclosing => match self.parent(slot) {
                Some(group) if plan.role != Role::Closing => match &self.task(group).inputs {
                    Some(inputs) => inputs.clone(),
                    // A fallback of what has failed before it had any.
                    None => match self.task_plan(group).action.for_each() {
                        Some(each) => Json::from_value(&self.list_of(group, each)?),
                        None => self.inputs(group)?,
                    },
                },
                Some(_) | None => self.head.inputs.clone(),
            },
        };
        let inputs = self.small(inputs)?;
        match self.overflow("inputs", inputs.as_str().len()) {
            Some(too_large) => Err(too_large),
            None => Ok(inputs),
        }
    }

    /// What a command can hold.
    pub(super) fn small(&self, value: Json) -> Result<Json, TaskError> {
        match value.as_str().len() {
            bytes if bytes > COMMAND_BYTES_MAX => Err(error(
                "too_large",
                format!("inputs of {bytes} bytes exceed {COMMAND_BYTES_MAX}; pass a reference"),
            )),
            _ => Ok(value),
        }
    }

    fn value_of(&self, template: &Template, slot: Slot) -> Result<Json, TaskError> {
        let scope = WorkflowScope::at(self, slot);
        match template.text(&scope) {
            Some(text) => Ok(Json::copied(&text)),
            None => Ok(Json::from_value(&evaluated(template, &scope)?)),
        }
    }

    /// The latest time for all of a task, as it was computed when it was ready.
    pub(super) fn deadline(&self, slot: Slot) -> Result<Option<Timestamp>, TaskError> {
        let task = self.task(slot);
        match &self.task_plan(slot).deadline {
            None => Ok(None),
            Some(Deadline::Within(all)) => Ok(Some(task.ready_at.unwrap_or(self.now).after(*all))),
            Some(Deadline::At(_)) if task.deadline.is_some() => Ok(task.deadline),
            Some(Deadline::At(template)) => self.time_of(template, slot).map(Some),
        }
    }

    /// A time that the file computes.
    pub(super) fn time_of(&self, template: &Template, slot: Slot) -> Result<Timestamp, TaskError> {
        let value = evaluated(template, &WorkflowScope::at(self, slot))?;
        let time = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        time.ok_or_else(|| {
            let found = crate::types::described(&value);
            error(
                "expression",
                format!("a timestamp such as 2026-11-22T10:00:00Z is wanted, found {found}"),
            )
        })
    }

    /// The idempotency key, as it was computed when it was ready.
    pub(crate) fn key(&self, slot: Slot) -> String {
        let task = self.task(slot);
        let default = || {
            let id = self.name(slot).id;
            idempotency_key(&self.head.id, self.head.run, &id, task.incarnation())
        };
        task.key.clone().unwrap_or_else(default)
    }

    fn computed_key(&self, slot: Slot) -> Result<String, TaskError> {
        // What was undone with the key would be refused with it.
        let anew = |key: String| match self.task(slot).incarnation() {
            1 => key,
            incarnation => format!("{key}.{incarnation}"),
        };
        match &self.task_plan(slot).idempotency {
            Idempotency::Computed(template) if self.task(slot).key.is_none() => {
                match evaluated(template, &WorkflowScope::at(self, slot))? {
                    Value::String(text)
                        if !text.is_empty() && text.len() <= crate::limits::WORD_BYTES_MAX =>
                    {
                        Ok(anew(text))
                    }
                    value @ (Value::Number(_) | Value::Bool(_)) => {
                        Ok(anew(crate::types::text_of(&value)))
                    }
                    value @ (Value::Null
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_)) => {
                        let found = crate::types::described(&value);
                        let message =
                            format!("an idempotency key must be a short text, found {found}");
                        Err(error("expression", message))
                    }
                }
            }
            Idempotency::Computed(_)
            | Idempotency::Key
            | Idempotency::Natural
            | Idempotency::Never => Ok(self.key(slot)),
        }
    }

    /// A condition of the file.
    pub(super) fn is_true(
        &self,
        condition: &Expr,
        slot: Slot,
        event: Option<&Kept>,
    ) -> Result<bool, TaskError> {
        is_true(condition, &WorkflowScope { event, ..WorkflowScope::at(self, slot) })
    }
}

/// A condition of the file, or the error of a task.
pub(super) fn is_true(condition: &Expr, scope: &WorkflowScope<'_, '_>) -> Result<bool, TaskError> {
    match condition.eval(scope) {
        Ok(Value::Bool(is)) => Ok(is),
        Ok(other) => {
            let reason =
                format!("it must give true or false, found {}", crate::types::described(&other));
            Err(error("expression", condition.error(reason).to_string()))
        }
        Err(failed) => Err(error("expression", failed.to_string())),
    }
}

/// A template's value, or the error of a task.
pub(super) fn evaluated(
    template: &Template,
    scope: &WorkflowScope<'_, '_>,
) -> Result<Value, TaskError> {
    template.eval(scope).map_err(|failed| error("expression", failed.to_string()))
}
