//! What the expressions of a plan read, and of whom.

use std::collections::BTreeMap;

use super::sample::ELEMENT;
use crate::expr::{Expr, Template};
use crate::plan::{
    Action, AwaitPlan, Deadline, EmitPlan, Idempotency, Inputs, Plan, RaceOn, Role, Slot, WaitPlan,
};
use crate::types::Type;

/// Who gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Giver {
    /// Whoever starts the workflow.
    Starter,
    /// Whoever does this task.
    Task(Slot),
}

/// What an expression must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    Any,
    Condition,
    List,
    Time,
}

/// An expression, and where it stands.
pub(super) struct Read<'p> {
    pub(super) expr: &'p Expr,
    pub(super) wants: Wants,
    /// `None`: the saga's own.
    pub(super) slot: Option<Slot>,
    /// In the task's undo.
    pub(super) in_undo: bool,
}

/// All expressions of a plan that a running workflow evaluates.
pub(super) fn of(plan: &Plan) -> Vec<Read<'_>> {
    let mut all = Gathered { reads: Vec::new(), slot: None, in_undo: false };
    plan.key.iter().for_each(|key| all.template(key, Wants::Any));
    plan.outputs.iter().for_each(|output| all.template(&output.from, Wants::Any));
    for (slot, task) in plan.tasks.iter().enumerate() {
        all.slot = Some(slot);
        if let Inputs::Computed(inputs) = &task.inputs {
            all.template(inputs, Wants::Any);
        }
        all.maybe(task.when.as_ref());
        if let Some(Deadline::At(at)) = &task.deadline {
            all.template(at, Wants::Time);
        }
        if let Idempotency::Computed(key) = &task.idempotency {
            all.template(key, Wants::Any);
        }
        all.action(&task.action);
        if let Some(undo) = &task.undo {
            all.in_undo = true;
            all.maybe(undo.when.as_ref());
            undo.inputs.iter().for_each(|inputs| all.template(inputs, Wants::Any));
            all.action(&undo.action);
            all.in_undo = false;
        }
    }
    all.reads
}

struct Gathered<'p> {
    reads: Vec<Read<'p>>,
    slot: Option<Slot>,
    in_undo: bool,
}

impl<'p> Gathered<'p> {
    fn template(&mut self, template: &'p Template, wants: Wants) {
        let wants = match template {
            Template::Computed(_) => wants,
            Template::Constant(_) | Template::Text(_) | Template::List(_) | Template::Map(_) => {
                Wants::Any
            }
        };
        for expr in template.exprs() {
            self.push(expr, wants);
        }
    }

    fn push(&mut self, expr: &'p Expr, wants: Wants) {
        self.reads.push(Read { expr, wants, slot: self.slot, in_undo: self.in_undo });
    }

    fn maybe(&mut self, condition: Option<&'p Expr>) {
        condition.into_iter().for_each(|condition| self.push(condition, Wants::Condition));
    }

    fn emit(&mut self, emit: &'p EmitPlan) {
        let headers = emit.headers.iter().map(|(_, value)| value);
        for template in emit.key.iter().chain(&emit.value).chain(headers) {
            self.template(template, Wants::Any);
        }
    }

    fn awaits(&mut self, awaits: &'p AwaitPlan) {
        self.maybe(awaits.filter.as_ref());
    }

    fn action(&mut self, action: &'p Action) {
        match action {
            Action::Agent { .. } | Action::Saga { .. } | Action::Wait(WaitPlan::For(_)) => {}
            Action::Emit(emit) => self.emit(emit),
            Action::Await(awaits) => self.awaits(awaits),
            Action::Request(emit, awaits) => {
                self.emit(emit);
                self.awaits(awaits);
            }
            Action::Wait(WaitPlan::Until(at)) => self.template(at, Wants::Time),
            Action::Choice { cases, .. } => {
                cases.iter().for_each(|case| self.maybe(case.when.as_ref()));
            }
            Action::Race { cases } => {
                for case in cases {
                    if let RaceOn::Event { filter, .. } = &case.on {
                        self.maybe(filter.as_ref());
                    }
                }
            }
            Action::Group { outputs } => {
                let outputs = outputs.iter().flatten();
                outputs.for_each(|output| self.template(&output.from, Wants::Any));
            }
            Action::ForEach(each) => self.template(&each.list, Wants::List),
        }
    }
}

/// Whose value a path reads, and what of it. `None`: nobody's in particular.
pub(super) fn giver(
    plan: &Plan,
    slot: Option<Slot>,
    path: &[String],
) -> Option<(Giver, Vec<String>)> {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    match (words.as_slice(), slot) {
        (["inputs", ..], _) => Some((Giver::Starter, path.get(1..)?.to_vec())),
        (["tasks", id, "output", ..], _) => given_by(plan, plan.slot(id)?, path.get(3..)?),
        (["original", "output", ..] | ["event", "value", ..], Some(slot)) => {
            Some((Giver::Task(slot), path.get(2..)?.to_vec()))
        }
        ([name, ..], Some(slot)) => element(plan, slot, name, path.get(1..)?),
        _ => None,
    }
}

fn given_by(plan: &Plan, slot: Slot, fields: &[String]) -> Option<(Giver, Vec<String>)> {
    match &plan.tasks.get(slot)?.action {
        Action::Group { outputs: None } | Action::Choice { .. } | Action::Race { .. } => {
            let [child, rest @ ..] = fields else { return None };
            let is_child = |of: &usize| {
                plan.tasks.get(*of).is_some_and(|task| {
                    task.parent == Some(slot) && task.id.as_str() == child && task.role.is_child()
                })
            };
            given_by(plan, (0..plan.tasks.len()).find(is_child)?, rest)
        }
        Action::Group { outputs: Some(_) } | Action::ForEach(_) => None,
        Action::Agent { .. }
        | Action::Emit(_)
        | Action::Await(_)
        | Action::Request(..)
        | Action::Wait(_)
        | Action::Saga { .. } => Some((Giver::Task(slot), fields.to_vec())),
    }
}

/// What stands in an element of a list that somebody gives whole.
fn element(plan: &Plan, slot: Slot, name: &str, fields: &[String]) -> Option<(Giver, Vec<String>)> {
    let mut at = Some(slot);
    while let Some(inner) = at {
        let task = plan.tasks.get(inner)?;
        at = task.parent;
        let Some(Action::ForEach(each)) = at.and_then(|of| Some(&plan.tasks.get(of)?.action))
        else {
            continue;
        };
        if task.role == Role::Item && each.item == name {
            let Template::Computed(list) = &each.list else { return None };
            let [path] = list.paths() else { return None };
            if path.join(".") != list.source().trim() {
                return None;
            }
            let (giver, mut of) = giver(plan, at, path)?;
            of.push(ELEMENT.to_owned());
            of.extend(fields.iter().cloned());
            return Some((giver, of));
        }
    }
    None
}

/// The type that the file declares for what a path reads; `None`: it leaves it open.
pub(super) fn declared(plan: &Plan, giver: Giver, path: &[String]) -> Option<Type> {
    let (of, rest) = match giver {
        Giver::Starter => {
            let [name, rest @ ..] = path else { return None };
            let input = plan.inputs.as_ref()?.iter().find(|input| input.name == *name)?;
            (input.of.clone(), rest)
        }
        Giver::Task(slot) => (plan.tasks.get(slot)?.returns.clone()?, path),
    };
    let mut of = of;
    let mut rest = rest;
    while let Some(at) = rest.iter().position(|name| name == ELEMENT) {
        let Ok(Type::List(element)) = of.at(rest.get(..at)?) else { return None };
        (of, rest) = (*element, rest.get(at + 1..)?);
    }
    let of = of.at(rest).ok()?;
    (!super::sample::is_open(&of)).then_some(of)
}

/// Each path that is read of each giver, the longer before the shorter.
pub(super) fn by_giver(plan: &Plan, reads: &[Read<'_>]) -> BTreeMap<Giver, Vec<Vec<String>>> {
    let mut all: BTreeMap<Giver, Vec<Vec<String>>> = BTreeMap::new();
    for read in reads {
        for path in paths(read) {
            if let Some((giver, fields)) = giver(plan, read.slot, path) {
                let known = all.entry(giver).or_default();
                if !known.contains(&fields) {
                    known.push(fields);
                }
            }
        }
    }
    for paths in all.values_mut() {
        paths.sort_by(|a, b| (b.len(), a).cmp(&(a.len(), b)));
    }
    all
}

/// What an expression reads, and what it only tests for.
pub(super) fn paths<'r>(read: &'r Read<'_>) -> impl Iterator<Item = &'r Vec<String>> {
    read.expr.paths().iter().chain(read.expr.uses().tested())
}
