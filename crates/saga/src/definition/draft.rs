//! A file as it was read: what it says and where, before names are looked up.

use std::time::Duration;

use serde_json::Value;

use super::findings::Span;
use super::node::{FailureDraft, TaskDraft};
use super::retry::Compensation;
use crate::expr::Template;
use crate::plan::OnDuplicate;
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
    /// All that stand in it: each before what is in it, and before what runs if it fails.
    pub(super) tasks: Vec<TaskDraft>,
    pub(super) outputs: Vec<OutputDraft>,
    pub(super) timeout: At<Duration>,
    pub(super) max_parallel: usize,
    pub(super) compensation: Compensation,
    pub(super) on_failure: FailureDraft,
    pub(super) keep_early: Duration,
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
    pub(super) topic: At<String>,
    pub(super) event_name: Option<Written>,
    pub(super) correlate: Option<Written>,
}

/// `TOPIC/Event`
#[derive(Clone, Debug)]
pub(super) struct EventDraft {
    /// The whole name.
    pub(super) topic: String,
    /// The place among the topics, where it is an alias.
    pub(super) alias: Option<usize>,
    pub(super) name: String,
    pub(super) span: Span,
}

impl EventDraft {
    pub(super) fn is(&self, other: &Self) -> bool {
        self.topic == other.topic && self.name == other.name
    }

    /// With the topic's whole name.
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.topic, self.name)
    }
}

#[derive(Debug)]
pub(super) struct TriggerDraft {
    pub(super) event: EventDraft,
    pub(super) filter: Option<Written>,
    pub(super) inputs: Written,
}

#[derive(Debug)]
pub(super) struct OutputDraft {
    pub(super) name: String,
    pub(super) from: Written,
}
