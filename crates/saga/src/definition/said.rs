//! The expressions of a task: where each stands, what it sees, and what it must give.

use super::draft::Written;
use super::node::{
    ActionDraft, AwaitDraft, DeadlineDraft, EmitDraft, IdempotencyDraft, InputsDraft, RaceOnDraft,
    TaskDraft, WaitDraft,
};
use crate::types::Type;

/// One of a task's values that may be computed.
pub(super) struct Said<'d> {
    /// The key that it stands at.
    pub(super) key: &'static str,
    pub(super) written: &'d Written,
    pub(super) sees: Sees,
    pub(super) wanted: Wanted,
}

/// What is seen beside the inputs, the tasks before and the items around.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sees {
    /// Nothing.
    Itself,
    /// The event that is looked at.
    Event,
    /// That alone.
    EventAlone,
    /// The tasks in it.
    Inside,
    /// What its undo does.
    Undo,
    /// The same, and the event that is looked at.
    UndoEvent,
}

/// What a value must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Any,
    Map,
    Truth,
    /// What can become text.
    Text,
    Time,
    List,
}

impl Wanted {
    pub(super) fn excludes(self, of: &Type) -> bool {
        match self {
            Self::Any => false,
            Self::Map => Type::Object.excludes(of),
            Self::Truth => Type::Boolean.excludes(of),
            Self::Text => !of.can_be_text(),
            Self::Time => Type::Timestamp.excludes(of),
            Self::List => Type::List(Box::new(Type::Any)).excludes(of),
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Map => "a map",
            Self::Truth => "boolean",
            Self::Text => "text, a number or a boolean",
            Self::Time => "timestamp",
            Self::List => "a list",
        }
    }
}

/// All of a task's own; of what stands in it, each says its own.
pub(super) fn of_task(task: &TaskDraft) -> Vec<Said<'_>> {
    let mut said = Vec::new();
    let mut add = |key, written, sees, wanted| said.push(Said { key, written, sees, wanted });
    if let InputsDraft::Computed(inputs) = &task.inputs {
        add("inputs", &**inputs, Sees::Itself, Wanted::Map);
    }
    if let Some(when) = &task.when {
        add("when", when, Sees::Itself, Wanted::Truth);
    }
    if let Some(DeadlineDraft::At(at)) = &task.deadline {
        add("deadline", at, Sees::Itself, Wanted::Time);
    }
    if let IdempotencyDraft::Computed(key) = &task.idempotency {
        add("idempotency", key, Sees::Itself, Wanted::Text);
    }
    of_action(&task.action, (Sees::Itself, Sees::Event), &mut said);
    if let Some(undo) = &task.undo {
        let mut add = |key, written, wanted| {
            said.push(Said { key, written, sees: Sees::Undo, wanted });
        };
        if let Some(inputs) = &undo.inputs {
            add("inputs", inputs, Wanted::Map);
        }
        if let Some(when) = &undo.when {
            add("when", when, Wanted::Truth);
        }
        of_action(&undo.action, (Sees::Undo, Sees::UndoEvent), &mut said);
    }
    said
}

/// `sees`: what is seen, without and with an event.
fn of_action<'d>(action: &'d ActionDraft, sees: (Sees, Sees), said: &mut Vec<Said<'d>>) {
    let (plain, event) = sees;
    let mut add = |key, written, sees, wanted| said.push(Said { key, written, sees, wanted });
    match action {
        ActionDraft::Broken | ActionDraft::Agent { .. } | ActionDraft::Saga(_) => {}
        ActionDraft::Emit(emit) => of_emit(emit, plain, said),
        ActionDraft::Await(awaits) => of_await(awaits, event, said),
        ActionDraft::Request(emit, awaits) => {
            of_emit(emit, plain, said);
            of_await(awaits, event, said);
        }
        ActionDraft::Wait(WaitDraft::For(_)) => {}
        ActionDraft::Wait(WaitDraft::Until(until)) => add("until", until, plain, Wanted::Time),
        ActionDraft::Choice { cases, .. } => {
            for when in cases.iter().filter_map(|case| case.when.as_ref()) {
                add("when", when, plain, Wanted::Truth);
            }
        }
        ActionDraft::Race { cases } => {
            for case in cases {
                if let RaceOnDraft::Event { filter: Some(filter), .. } = &case.on {
                    add("where", filter, event, Wanted::Truth);
                }
            }
        }
        ActionDraft::Group { outputs } => {
            for output in outputs.iter().flatten() {
                add("from", &output.from, Sees::Inside, Wanted::Any);
            }
        }
        ActionDraft::ForEach(each) => add("for_each", &each.list, plain, Wanted::List),
    }
}

fn of_emit<'d>(emit: &'d EmitDraft, sees: Sees, said: &mut Vec<Said<'d>>) {
    let mut add = |key, written, wanted| said.push(Said { key, written, sees, wanted });
    if let Some(key) = &emit.key {
        add("key", key, Wanted::Text);
    }
    if let Some(value) = &emit.value {
        add("value", value, Wanted::Any);
    }
    for (_, header) in &emit.headers {
        add("headers", header, Wanted::Text);
    }
}

fn of_await<'d>(awaits: &'d AwaitDraft, sees: Sees, said: &mut Vec<Said<'d>>) {
    let mut add = |key, written, sees, wanted| said.push(Said { key, written, sees, wanted });
    if let Some(filter) = &awaits.filter {
        add("where", filter, sees, Wanted::Truth);
    }
    if let Some(correlate) = &awaits.correlate {
        add("correlate", correlate, Sees::EventAlone, Wanted::Text);
    }
}
