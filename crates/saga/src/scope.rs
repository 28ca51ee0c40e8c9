//! What names stand for in the expressions of a workflow: docs/reference/saga-file.md.

use std::collections::BTreeSet;

use events::{Json, Problem};
use serde_json::{Map, Value, json};

use crate::decide::Draft;
use crate::expr::Scope;
use crate::phase::TaskError;
use crate::plan::Slot;
use crate::workflow::Kept;

/// A workflow as an expression sees it.
#[derive(Clone, Copy)]
pub(crate) struct WorkflowScope<'a, 'd> {
    pub(crate) draft: &'a Draft<'d>,
    /// The task that the expression belongs to; `None`: the saga.
    pub(crate) at: Option<Slot>,
    /// In an undo: the task's output where that is not folded in yet.
    pub(crate) original: Option<Option<&'a Json>>,
    /// The event that is asked about.
    pub(crate) event: Option<&'a Kept>,
}

impl Scope for WorkflowScope<'_, '_> {
    fn root(&self, name: &str, members: &BTreeSet<String>) -> Option<Value> {
        if let Some(element) = self.element(name) {
            return Some(element);
        }
        match (name, self.original, self.event) {
            ("inputs", ..) => Some(self.draft.head.inputs.value()),
            ("tasks", ..) => Some(self.tasks(members)),
            ("saga", ..) => Some(self.saga()),
            ("original", Some(late), _) => {
                self.at.map(|slot| Value::Object(self.original(slot, late)))
            }
            ("event", _, Some(event)) => Some(seen(event)),
            _ => None,
        }
    }

    /// Of the workflow's inputs, and of the outputs of its tasks, outside of every `for_each`.
    fn text(&self, path: &[String]) -> Option<&str> {
        if self.at.is_some_and(|at| !self.draft.elements(at).is_empty()) {
            return None;
        }
        match path {
            [root, fields @ ..] if root == "inputs" => self.draft.head.inputs.at(fields),
            [root, task, output, fields @ ..] if root == "tasks" && output == "output" => {
                let slot = self.draft.index.named(self.draft.plan, task).next()?;
                let is_there = slot < self.draft.plan.fixed;
                self.draft.output_text(slot).filter(|_| is_there)?.at(fields)
            }
            _ => None,
        }
    }
}

impl<'a, 'd> WorkflowScope<'a, 'd> {
    /// What the saga itself sees.
    pub(crate) fn of(draft: &'a Draft<'d>) -> Self {
        Self { draft, at: None, original: None, event: None }
    }

    /// What a task sees.
    pub(crate) fn at(draft: &'a Draft<'d>, slot: Slot) -> Self {
        Self { at: Some(slot), ..Self::of(draft) }
    }
}

impl WorkflowScope<'_, '_> {
    /// An element of a `for_each` around, by its name, or its number.
    fn element(&self, name: &str) -> Option<Value> {
        let elements = self.draft.elements(self.at?);
        if name == "index" {
            return elements.first().map(|(_, index)| Value::from(*index));
        }
        elements.into_iter().find_map(|(of, index)| {
            let each = self.draft.task_plan(of).action.for_each()?;
            (each.item == name).then(|| self.draft.element(of, index))
        })
    }

    fn tasks(&self, members: &BTreeSet<String>) -> Value {
        let draft = self.draft;
        let mut tasks = Map::new();
        for (planned, task) in draft.plan.tasks.iter().enumerate() {
            let id = task.id.as_str();
            if tasks.contains_key(id) || !(members.is_empty() || members.contains(id)) {
                continue;
            }
            let slot = self.at.map_or(planned, |at| draft.seen_from(at, planned));
            // The body of a `for_each` is nobody's to see but its own.
            if draft.slots().contains(&slot) && draft.task_plan(slot).id == task.id {
                tasks.insert(id.to_owned(), self.task(slot));
            }
        }
        Value::Object(tasks)
    }

    fn task(&self, slot: Slot) -> Value {
        let task = self.draft.task(slot);
        let error = task.error.as_ref().map_or(
            Value::Null,
            |TaskError { code, message }| json!({"code": code, "message": message}),
        );
        json!({
            "output": self.draft.output(slot),
            "status": task.word(),
            "error": error,
            "attempts": task.attempt,
        })
    }

    fn saga(&self) -> Value {
        let head = &self.draft.head;
        let turned = || head.trouble().map(|trouble| trouble.problem.clone());
        let error = self.failed_group().or_else(turned).map_or(Value::Null, |problem| {
            let Problem { task, code, message } = problem;
            json!({"task": task.as_ref().map(events::TaskId::as_str), "code": code, "message": message})
        });
        json!({
            "id": head.id.as_str(),
            "key": head.id.parts().map(|(_, key)| key),
            "name": head.saga.as_str(),
            "hash": head.version.as_str(),
            "started_at": head.started_at.to_string(),
            "now": self.draft.now.to_string(),
            "error": error,
        })
    }

    /// Under a group's own `then`: why the group fails.
    fn failed_group(&self) -> Option<Problem> {
        let draft = self.draft;
        let at = self.at.filter(|at| draft.is_closing(*at))?;
        let fails = |group: &Slot| draft.is_reverting(*group) && draft.is_closing_of(at, *group);
        Some(draft.problem(draft.slots().find(fails)?))
    }

    fn original(&self, slot: Slot, late: Option<&Json>) -> Map<String, Value> {
        let task = self.draft.task(slot);
        let output = late.or(task.output.as_ref());
        let mut original = Map::new();
        let inputs = task.inputs.as_ref().map_or(Value::Null, Json::value);
        original.insert("inputs".into(), inputs);
        original.insert("output".into(), output.map_or(Value::Null, Json::value));
        let status = if output.is_some() { "done" } else { "in_doubt" };
        original.insert("status".into(), status.into());
        original
    }

    /// What an undo and a query carry where the file declares nothing: recorded values, never
    /// evaluated anew.
    pub(crate) fn original_with_key(&self, slot: Slot, late: Option<&Json>) -> Value {
        let mut original = self.original(slot, late);
        original.insert("key".into(), self.draft.key(slot).into());
        Value::Object(original)
    }
}

/// An event, as `where` sees it.
fn seen(event: &Kept) -> Value {
    let (topic, name) = match event.name.split_once('/') {
        Some((topic, name)) if !event.is_signal => (Value::from(topic), name),
        _ => (Value::Null, event.name.as_str()),
    };
    json!({
        "value": event.value.value(),
        "key": event.key,
        "name": name,
        "headers": event.headers.value(),
        "topic": topic,
        "timestamp": event.time.to_string(),
    })
}
