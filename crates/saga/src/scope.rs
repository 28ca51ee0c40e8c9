//! What names stand for in the expressions of a workflow: docs/reference/saga-file.md.

use std::collections::BTreeSet;

use events::{Json, Problem};
use serde_json::{Map, Value, json};

use crate::decide::Draft;
use crate::expr::Scope;
use crate::plan::Slot;
use crate::react::idempotency_key;
use crate::workflow::Stage;

/// A workflow as an expression sees it.
pub(crate) struct WorkflowScope<'a, 'd> {
    pub(crate) draft: &'a Draft<'d>,
    /// In an undo: the task, and its output where that is not folded in yet.
    pub(crate) original: Option<(Slot, Option<&'a Json>)>,
}

impl Scope for WorkflowScope<'_, '_> {
    fn root(&self, name: &str, members: &BTreeSet<String>) -> Option<Value> {
        match (name, self.original) {
            ("inputs", _) => Some(self.draft.head.inputs.value()),
            ("tasks", _) => Some(self.tasks(members)),
            ("saga", _) => Some(self.saga()),
            ("original", Some((slot, late))) => Some(Value::Object(self.original(slot, late))),
            _ => None,
        }
    }
}

impl WorkflowScope<'_, '_> {
    fn tasks(&self, members: &BTreeSet<String>) -> Value {
        let wanted = |slot: &Slot| {
            members.is_empty() || members.contains(self.draft.task_plan(*slot).id.as_str())
        };
        let of = |slot: Slot| {
            let task = self.draft.task(slot);
            let error = task
                .error
                .as_ref()
                .map_or(Value::Null, |error| json!({"code": error.code, "message": error.message}));
            let value = json!({
                "output": task.output.as_ref().map_or(Value::Null, Json::value),
                "status": task.phase.word(),
                "error": error,
                "attempts": task.attempt,
            });
            (self.draft.task_plan(slot).id.as_str().to_owned(), value)
        };
        Value::Object(self.draft.slots().filter(wanted).map(of).collect::<Map<_, _>>())
    }

    fn saga(&self) -> Value {
        let head = &self.draft.head;
        let error = match &head.stage {
            Stage::Deferred(trouble) | Stage::Compensating(trouble) => {
                let Problem { task, code, message } = &trouble.problem;
                json!({"task": task.as_ref().map(events::TaskId::as_str), "code": code, "message": message})
            }
            Stage::Forward | Stage::Ended { .. } => Value::Null,
        };
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
        let head = &self.draft.head;
        let key = idempotency_key(&head.id, head.run, &self.draft.task_plan(slot).id);
        let mut original = self.original(slot, late);
        original.insert("key".into(), key.into());
        Value::Object(original)
    }
}
