//! The types of what tasks give.

use super::draft::{OutputDraft, Written};
use super::lookup::{Names, Place};
use super::node::{ActionDraft, TaskDraft};
use super::said::Sees;
use crate::expr::Template;
use crate::plan::Role;
use crate::types::Type;

/// A type of more parts is not worth to be known: groups that give others twice would double it.
const PARTS_MAX: usize = 2000;
/// Outputs that are made of others, which are made of others: more would not fit on the stack.
const DEPTH_MAX: usize = 32;

impl Names<'_> {
    /// What a task's output is, as far as the file tells.
    pub(super) fn output_of(&self, place: usize) -> Type {
        if let Some(known) = self.outputs.borrow().get(&place) {
            return known.clone();
        }
        if self.depth.get() == DEPTH_MAX {
            return Type::Any;
        }
        self.depth.set(self.depth.get() + 1);
        let of = self.draft.tasks.get(place).map_or(Type::Any, |task| self.made_by(place, task));
        self.depth.set(self.depth.get() - 1);
        let of = if parts(&of) > PARTS_MAX { Type::Any } else { of };
        self.outputs.borrow_mut().insert(place, of.clone());
        of
    }

    fn made_by(&self, place: usize, task: &TaskDraft) -> Type {
        if let Some(returns) = &task.returns {
            return returns.clone();
        }
        // What the fallback gives may be of another shape.
        if task.fallback.is_some() {
            return Type::Any;
        }
        match &task.action {
            ActionDraft::Group { outputs: Some(outputs) } => self.named(place, outputs),
            ActionDraft::Group { outputs: None } => {
                let all = self.children(place).into_iter();
                Type::Record(all.map(|(id, of)| (id, of, true)).collect())
            }
            ActionDraft::Choice { cases, many } => {
                let are_named = cases.iter().all(|case| case.id.is_some());
                let case = if are_named { Type::String } else { Type::Any };
                let case = if *many { Type::List(Box::new(case)) } else { case };
                self.taken(place, case)
            }
            ActionDraft::Race { cases } => {
                let are_named = cases.iter().all(|case| case.id.is_some());
                self.taken(place, if are_named { Type::String } else { Type::Any })
            }
            ActionDraft::ForEach(each) => Type::List(Box::new(self.output_of(each.root))),
            ActionDraft::Broken
            | ActionDraft::Agent { .. }
            | ActionDraft::Emit(_)
            | ActionDraft::Await(_)
            | ActionDraft::Request(..)
            | ActionDraft::Wait(_)
            | ActionDraft::Saga(_) => Type::Any,
        }
    }

    /// `outputs` of a group.
    fn named(&self, place: usize, outputs: &[OutputDraft]) -> Type {
        let fields = outputs.iter().map(|output| {
            let of = self.type_of_written(&output.from, Place::Task(place, Sees::Inside));
            (output.name.clone(), of, true)
        });
        Type::Record(fields.collect())
    }

    /// The case, and the outputs of what ran in it.
    fn taken(&self, place: usize, case: Type) -> Type {
        let mut fields = vec![("case".to_owned(), case, true)];
        fields.extend(self.children(place).into_iter().map(|(id, of)| (id, of, false)));
        Type::Record(fields)
    }

    fn children(&self, place: usize) -> Vec<(String, Type)> {
        let children = self.draft.tasks.iter().enumerate().filter(|(_, task)| {
            task.stand.parent == Some(place)
                && matches!(task.stand.role, Role::Child | Role::Case(_))
        });
        children.map(|(at, task)| (task.id.it.clone(), self.output_of(at))).collect()
    }

    pub(super) fn type_of_written(&self, written: &Written, place: Place) -> Type {
        match &written.template {
            Template::Computed(expr) => self.type_of(expr, place).unwrap_or(Type::Any),
            Template::Text(_) => Type::String,
            Template::Constant(_) | Template::List(_) | Template::Map(_) => Type::Any,
        }
    }

    /// The type of an element.
    pub(super) fn item_of(&self, for_each: usize) -> Type {
        if let Some(known) = self.elements.borrow().get(&for_each) {
            return known.clone();
        }
        let task = self.draft.tasks.get(for_each);
        let Some(ActionDraft::ForEach(each)) = task.map(|task| &task.action) else {
            return Type::Any;
        };
        let list = self.type_of_written(&each.list, Place::Task(for_each, Sees::Itself));
        let of = if let Type::List(of) = list { *of } else { Type::Any };
        self.elements.borrow_mut().insert(for_each, of.clone());
        of
    }
}

fn parts(of: &Type) -> usize {
    match of {
        Type::List(of) | Type::Map(of) => 1 + parts(of),
        Type::Record(fields) => 1 + fields.iter().map(|(_, of, _)| parts(of)).sum::<usize>(),
        Type::String
        | Type::Integer
        | Type::Number
        | Type::Boolean
        | Type::Timestamp
        | Type::Duration
        | Type::Object
        | Type::Any
        | Type::Dataset => 1,
    }
}
