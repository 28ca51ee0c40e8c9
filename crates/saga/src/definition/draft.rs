//! A file as it was read: what it says and where, before names are looked up.

use std::time::Duration;

use serde_json::Value;

use super::findings::Span;
use crate::expr::Template;
use crate::plan::{CompensationPlan, InDoubt, Kind, OnDuplicate, RetryPlan};
use crate::types::Type;

/// Something, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) it: T,
    pub(super) span: Span,
}

/// A template, where it stands, and where each of its expressions does, in their order.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) template: Template,
    pub(super) span: Span,
    pub(super) exprs: Vec<Span>,
}

impl Written {
    /// The type of its value, as far as the names of its fields go.
    pub(super) fn fields(&self) -> Type {
        match &self.template {
            Template::Map(map) => {
                Type::Record(map.iter().map(|(name, _)| (name.clone(), Type::Any, true)).collect())
            }
            Template::Constant(_)
            | Template::Computed(_)
            | Template::Text(_)
            | Template::List(_) => Type::Any,
        }
    }
}

#[derive(Debug)]
pub(super) struct Draft {
    pub(super) name: Option<At<String>>,
    pub(super) description: Option<String>,
    pub(super) key: Option<Written>,
    pub(super) on_duplicate: OnDuplicate,
    pub(super) inputs: Option<Vec<InputDraft>>,
    pub(super) topics: Vec<TopicDraft>,
    pub(super) triggers: Vec<TriggerDraft>,
    pub(super) tasks: Vec<TaskDraft>,
    /// The ids of all tasks, also of those that could not be read: who names one is not wrong.
    pub(super) ids: Vec<String>,
    pub(super) outputs: Vec<OutputDraft>,
    pub(super) timeout: At<Duration>,
    pub(super) max_parallel: usize,
    pub(super) compensation: CompensationPlan,
}

#[derive(Debug)]
pub(super) struct InputDraft {
    pub(super) name: At<String>,
    pub(super) of: Type,
    pub(super) default: Option<Value>,
    pub(super) required: bool,
}

#[derive(Debug)]
pub(super) struct TopicDraft {
    pub(super) alias: At<String>,
    pub(super) topic: String,
    /// And the node that it was read from: each trigger of the topic has an expression of its own.
    pub(super) event_name: Option<(Written, crate::yaml::Node)>,
}

#[derive(Debug)]
pub(super) struct TriggerDraft {
    pub(super) topic: String,
    /// The place among the topics, where it is an alias.
    pub(super) alias: Option<usize>,
    pub(super) event: String,
    pub(super) filter: Option<Written>,
    pub(super) inputs: Written,
}

#[derive(Debug)]
pub(super) struct OutputDraft {
    pub(super) name: String,
    pub(super) from: Written,
}

#[derive(Debug)]
pub(super) struct TaskDraft {
    pub(super) id: At<String>,
    pub(super) agent: String,
    pub(super) task_type: String,
    pub(super) inputs: InputsDraft,
    pub(super) returns: Option<Type>,
    pub(super) depends_on: Vec<At<String>>,
    pub(super) timeout: At<Duration>,
    pub(super) deadline: Option<At<Duration>>,
    pub(super) retry: At<RetryPlan>,
    pub(super) kind: Kind,
    /// Where the file says the kind, for this task or by default.
    pub(super) kind_said: Option<Span>,
    pub(super) in_doubt: Option<At<InDoubt>>,
    pub(super) undo: Option<UndoDraft>,
}

#[derive(Debug)]
pub(super) enum InputsDraft {
    Computed(Box<Written>),
    /// Not said: what it depends on, or the saga's inputs.
    Absent,
}

#[derive(Debug)]
pub(super) struct UndoDraft {
    pub(super) span: Span,
    pub(super) agent: String,
    pub(super) task_type: String,
    pub(super) inputs: Option<Written>,
    pub(super) timeout: Duration,
    pub(super) retry: RetryPlan,
}

impl TaskDraft {
    /// What follows when its outcome is unknown, with the default of its kind.
    pub(super) fn in_doubt(&self) -> InDoubt {
        match (&self.in_doubt, self.kind) {
            (Some(said), _) => said.it,
            (None, Kind::Compensatable) => InDoubt::Undo,
            // Only a pivot's is looked at: a readonly task fails, a retriable one is repeated.
            (None, Kind::Pivot | Kind::Retriable | Kind::ReadOnly) => InDoubt::Hold,
        }
    }
}
