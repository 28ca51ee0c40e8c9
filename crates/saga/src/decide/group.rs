//! Groups, choices, `for_each`: how they begin, and what they come to.

use events::Json;
use serde_json::{Map, Value};

use super::Draft;
use super::task::error;
use crate::event::{Begun, Body};
use crate::expr::map_text;
use crate::limits::{COMMAND_BYTES_MAX, SLOTS_MAX};
use crate::phase::{After, Cover, Loss, Phase, TaskError};
use crate::plan::{Action, AtLeast, ForEachPlan, OutputPlan, RaceOn, Role, Slot, WaitPlan};
use crate::scope::WorkflowScope;
use crate::workflow::Expansion;

impl Draft<'_> {
    /// Begins a task whose turn has come.
    pub(super) fn begin(&mut self, slot: Slot) {
        let plan = self.task_plan(slot);
        match &plan.action {
            Action::Agent { .. }
            | Action::Emit(_)
            | Action::Await(_)
            | Action::Request(..)
            | Action::Saga { .. } => self.schedule(slot),
            Action::Wait(wait) => self.begin_wait(slot, wait),
            Action::Group { .. } => {
                self.open(slot, Begun::Group { due: None });
            }
            Action::Choice { cases, many } => {
                if self.open(slot, Begun::Group { due: None }) {
                    let whens: Vec<_> = cases.iter().map(|case| case.when.as_ref()).collect();
                    self.choose(slot, &whens, *many);
                }
            }
            Action::Race { cases } => {
                let soonest = cases.iter().filter_map(|case| match case.on {
                    RaceOn::After(wait) => Some(self.in_time(wait)),
                    RaceOn::Event { .. } => None,
                });
                let until = soonest.min();
                if self.open(slot, Begun::Race { until }) {
                    self.take_early(slot);
                }
            }
            Action::ForEach(each) => self.begin_elements(slot, each),
        }
    }

    /// The time by which a task must be over, where it has one.
    pub(super) fn due(&self, slot: Slot) -> Result<Option<events::Timestamp>, TaskError> {
        let timeout = self.task_plan(slot).timeout.map(|timeout| self.in_time(timeout));
        let deadline =
            self.deadline(slot)?.map(|at| at.max(self.in_time(std::time::Duration::ZERO)));
        Ok(timeout.into_iter().chain(deadline).min())
    }

    /// Says that a group, or a wait, has begun; false: it has failed at once.
    fn open(&mut self, slot: Slot, begun: Begun) -> bool {
        let inputs = match self.inputs(slot) {
            Ok(inputs) => inputs,
            Err(why) => {
                self.fail(slot, why);
                return false;
            }
        };
        self.open_with(slot, begun, inputs)
    }

    pub(super) fn open_with(&mut self, slot: Slot, begun: Begun, inputs: Json) -> bool {
        let (due, until) = match (self.due(slot), self.deadline(slot)) {
            (Ok(due), Ok(until)) => (due, until),
            (Err(why), _) | (_, Err(why)) => {
                self.fail(slot, why);
                return false;
            }
        };
        let begun = match begun {
            Begun::Group { .. } => Begun::Group { due },
            Begun::Await { .. } => Begun::Await { due },
            Begun::Race { until } => Begun::Race { until: until.into_iter().chain(due).min() },
            Begun::Wait { until } => Begun::Wait { until },
        };
        let (task, attempt) = (self.name(slot), self.task(slot).attempt.saturating_add(1));
        self.push(Body::TaskBegun { task, inputs, begun, until, attempt });
        true
    }

    pub(super) fn begin_wait(&mut self, slot: Slot, wait: &WaitPlan) {
        let until = match wait {
            WaitPlan::For(wait) => Ok(self.in_time(*wait)),
            WaitPlan::Until(template) => self.time_of(template, slot),
        };
        match until {
            Ok(until) => {
                let until = until.max(self.in_time(std::time::Duration::ZERO));
                self.open(slot, Begun::Wait { until });
            }
            Err(why) => self.fail(slot, why),
        }
    }

    fn choose(&mut self, slot: Slot, whens: &[Option<&crate::expr::Expr>], many: bool) {
        let mut cases = Vec::new();
        for (case, when) in (0_u32..).zip(whens) {
            // Under `pick: many`, `else` is for when no other case is true.
            let is = match when {
                None => Ok(cases.is_empty()),
                Some(when) => self.is_true(when, slot, None),
            };
            match is {
                Ok(true) => cases.push(case),
                Ok(false) => {}
                Err(why) => return self.fail(slot, why),
            }
            if !many && !cases.is_empty() {
                break;
            }
        }
        if cases.is_empty() && !many {
            return self.fail(slot, error("no_case", "no case is true, and there is no `else`"));
        }
        self.push(Body::CasesTaken { task: self.name(slot), cases });
    }

    fn begin_elements(&mut self, slot: Slot, each: &ForEachPlan) {
        let list = match self.list_of(slot, each) {
            Ok(list) => list,
            Err(why) => return self.fail(slot, why),
        };
        let count = list.as_array().map_or(0, Vec::len);
        let width = each.body.len();
        let first = self.slots().end;
        if first + count * width > SLOTS_MAX {
            let message = format!(
                "{count} elements of {width} tasks each would make more than {SLOTS_MAX} tasks of one workflow"
            );
            return self.fail(slot, error("too_large", message));
        }
        let list = Json::from_value(&list);
        if let Some(why) = self.overflow("a list", list.as_str().len()) {
            return self.fail(slot, why);
        }
        if self.open_with(slot, Begun::Group { due: None }, list) && count > 0 {
            let number = |slot: Slot| u32::try_from(slot).unwrap_or(u32::MAX);
            let expansion = Expansion {
                of: number(slot),
                first: number(first),
                body: number(each.body.start),
                width: number(width),
                count: number(count),
            };
            self.push(Body::Expanded(expansion));
        }
    }

    /// What a `for_each` goes over.
    pub(super) fn list_of(&self, slot: Slot, each: &ForEachPlan) -> Result<Value, TaskError> {
        let scope = WorkflowScope::at(self, slot);
        let list =
            each.list.eval(&scope).map_err(|failed| error("expression", failed.to_string()))?;
        match list {
            Value::Array(_) => Ok(list),
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_)) => {
                let found = crate::types::described(&other);
                Err(error("expression", format!("`for_each` goes over a list, found {found}")))
            }
        }
    }

    /// Ends every group of which nothing more will come, the inner ones first.
    pub(super) fn complete_groups(&mut self) {
        let mut end = self.slots().end;
        while let Some(slot) = self.next_group(end) {
            end = slot;
            let task = self.task(slot);
            let (is_open, is_covered) =
                (matches!(task.phase, Phase::Open { .. }), task.cover == Cover::Working);
            if !(is_open || is_covered) || self.is_moot(slot) || self.is_reverting(slot) {
                continue;
            }
            if is_open {
                self.complete_group(slot);
            } else {
                self.cover(slot);
            }
        }
    }

    fn complete_group(&mut self, slot: Slot) {
        if let Action::ForEach(each) = &self.task_plan(slot).action
            && let Some(why) = self.shortfall(slot, each.at_least)
        {
            return self.fail_group(slot, why);
        }
        if !self.children(slot).rev().all(|child| self.is_settled(child)) {
            return;
        }
        let output = match self.group_output(slot) {
            Ok(output) => Json::from_value(&output),
            Err(why) => return self.fail_group(slot, why),
        };
        match self.broken(slot, &output) {
            Some(why) => self.fail_group(slot, why),
            None => self.succeed(slot, output, None),
        }
    }

    /// Why too few elements can still succeed.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most ten thousand elements, and a share from 0 to 1"
    )]
    pub(super) fn shortfall(&self, slot: Slot, at_least: AtLeast) -> Option<TaskError> {
        let count = self.children(slot).count();
        let is_short = matches!(at_least, AtLeast::Count(wanted) if wanted > count);
        if at_least == AtLeast::All || self.is_plain() && !is_short {
            return None;
        }
        let lost = self
            .children(slot)
            .filter(|child| matches!(self.loss(*child), Some(Loss::Tolerated | Loss::Accepted)))
            .count();
        let wanted = match at_least {
            AtLeast::All => return None,
            AtLeast::Count(wanted) => wanted,
            AtLeast::Share(share) => (count as f64 * share).ceil() as usize,
        };
        (count - lost < wanted).then(|| {
            let message = match is_short {
                true => format!("the list has {count} elements; {wanted} must succeed"),
                false => format!("{lost} of {count} elements have failed; {wanted} must succeed"),
            };
            error("at_least", message)
        })
    }

    fn group_output(&self, slot: Slot) -> Result<Value, TaskError> {
        let by_id = || {
            let taken = |child: &Slot| {
                !matches!(self.task_plan(*child).role, Role::Case(case)
                if !self.task(slot).cases.iter().any(|taken| *taken as usize == case))
            };
            let of = |child: Slot| (self.task_plan(child).id.to_string(), self.output(child));
            self.children(slot).filter(taken).map(of).collect::<Map<_, _>>()
        };
        match &self.task_plan(slot).action {
            Action::Group { outputs: Some(outputs) } => {
                self.evaluated(outputs, &WorkflowScope::at(self, slot))
            }
            Action::Choice { cases, many } => {
                let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
                Ok(with_case(by_id(), &self.task(slot).cases, &ids, *many))
            }
            Action::Race { cases } => {
                let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
                Ok(with_case(by_id(), &self.task(slot).cases, &ids, false))
            }
            Action::ForEach(_) => {
                Ok(Value::Array(self.children(slot).map(|child| self.output(child)).collect()))
            }
            Action::Group { outputs: None }
            | Action::Agent { .. }
            | Action::Emit(_)
            | Action::Await(_)
            | Action::Request(..)
            | Action::Wait(_)
            | Action::Saga { .. } => Ok(Value::Object(by_id())),
        }
    }

    /// What a task gives to those behind it: nothing where it was skipped, has failed, or by itself is undone or
    /// will be.
    pub(crate) fn output(&self, slot: Slot) -> Value {
        let task = self.task(slot);
        if task.cover == Cover::Worked {
            return self.fallback(slot).map_or(Value::Null, |fallback| self.output(fallback));
        }
        let turns_back = || {
            let is_told = matches!(task.after, After::Fail | After::Cancel);
            is_told && task.phase != Phase::Kept && self.task_plan(slot).undo.is_some()
        };
        let is_gone = self.loss(slot).is_some() || task.phase == Phase::Undone || turns_back();
        let output = task.output.as_ref().filter(|_| !is_gone);
        output.map_or(Value::Null, Json::value)
    }

    /// The same, where it is at hand as text.
    pub(crate) fn output_text(&self, slot: Slot) -> Option<&Json> {
        let task = self.task(slot);
        task.output.as_ref().filter(|_| task.is_plain())
    }

    /// Named outputs, of a group or of the whole saga.
    pub(super) fn evaluated(
        &self,
        outputs: &[OutputPlan],
        scope: &WorkflowScope<'_, '_>,
    ) -> Result<Value, TaskError> {
        let mut values = Map::new();
        for output in outputs {
            let value = output.from.eval(scope);
            let value = value.map_err(|failed| error("expression", failed.to_string()))?;
            values.insert(output.name.clone(), value);
        }
        Ok(Value::Object(values))
    }

    /// What the workflow gives.
    pub(super) fn outputs(&self) -> Result<Json, TaskError> {
        let scope = WorkflowScope::of(self);
        let named = self.plan.outputs.iter().map(|output| (output.name.as_str(), &output.from));
        let outputs = match map_text(named, &scope) {
            Some(text) => Json::copied(&text),
            None => Json::from_value(&self.evaluated(&self.plan.outputs, &scope)?),
        };
        match outputs.as_str().len() {
            bytes if bytes > COMMAND_BYTES_MAX => Err(error(
                "too_large",
                format!("outputs of {bytes} bytes exceed {COMMAND_BYTES_MAX}"),
            )),
            _ => Ok(outputs),
        }
    }

    /// A task's fallback has come to something.
    fn cover(&mut self, slot: Slot) {
        let Some(fallback) = self.fallback(slot) else { return };
        if self.is_done(fallback) {
            let output = Json::from_value(&self.output(fallback));
            self.succeed(slot, output, None);
        } else if self.is_settled(fallback) && self.loss(fallback).is_none() {
            // It was passed over: the task has failed, as it had.
            let why = self.task(slot).error.clone();
            self.fail(slot, why.unwrap_or_else(|| error("failed", "its fallback was skipped")));
        }
    }
}

/// A choice's output: which case, and what its tasks gave.
fn with_case(by_id: Map<String, Value>, taken: &[u32], ids: &[&str], many: bool) -> Value {
    let id = |case: &u32| ids.get(*case as usize).map_or(Value::Null, |id| case_id(id));
    let case = match (many, taken) {
        (true, taken) => Value::Array(taken.iter().map(id).collect()),
        (false, [case]) => id(case),
        (false, _) => Value::Null,
    };
    let mut output = Map::new();
    output.insert("case".to_owned(), case);
    output.extend(by_id);
    Value::Object(output)
}

/// A case without an id is known by its number.
fn case_id(id: &str) -> Value {
    id.parse::<u64>().map_or_else(|_| Value::from(id), Value::from)
}
