//! What several files are to one another: sagas that are children of others, and events that start them.

use std::collections::VecDeque;

use events::SagaName;

use super::draft::{Draft, EventDraft};
use super::findings::{Finding, Findings, Span};
use super::node::{ActionDraft, SagaDraft, TaskDraft};
use crate::plan::Kind;

/// A file among others.
pub(super) struct Member<'f> {
    pub(super) draft: &'f Draft,
    pub(super) findings: &'f mut Findings,
}

/// What leads from one saga to another one.
struct Edge {
    /// The saga that it leads to.
    to: usize,
    /// Where the file says it.
    span: Span,
    by: By,
}

enum By {
    /// It runs it as a child, down to this depth.
    Call(u32),
    /// It emits this event, which starts it.
    Event(String),
}

/// E409, W10 and E411, where they can not be told of one file alone.
pub(super) fn check(members: &mut [Member<'_>]) {
    let names: Vec<Option<SagaName>> =
        members.iter().map(|member| identity(member.draft)).collect();
    let find = |name: &str| {
        let name = events::saga_name_of(name);
        names.iter().position(|known| known.as_ref() == Some(&name))
    };
    check_pivots(members, &find);
    let calls: Vec<Vec<Edge>> =
        members.iter().map(|member| calls_of(member.draft, &find)).collect();
    report(members, &names, &calls);
    let starts: Vec<Vec<Edge>> =
        members.iter().map(|from| starts_of(from.draft, members)).collect();
    report(members, &names, &starts);
}

fn identity(draft: &Draft) -> Option<SagaName> {
    draft.name.as_ref().map(|name| events::saga_name_of(&name.it))
}

/// What a task and its undo do.
fn actions(task: &TaskDraft) -> impl Iterator<Item = &ActionDraft> {
    std::iter::once(&task.action).chain(task.undo.as_ref().map(|undo| &undo.action))
}

fn child_of(action: &ActionDraft) -> Option<&SagaDraft> {
    if let ActionDraft::Saga(saga) = action { Some(saga) } else { None }
}

/// E409: what is to be undone by a child's own compensation, of a child that has a point of no return.
fn check_pivots(members: &mut [Member<'_>], find: &dyn Fn(&str) -> Option<usize>) {
    let has_pivot: Vec<bool> = members
        .iter()
        .map(|member| member.draft.tasks.iter().any(|task| task.kind == Kind::Pivot))
        .collect();
    for member in members {
        for task in &member.draft.tasks {
            if task.kind != Kind::Compensatable || task.undo.is_some() {
                continue;
            }
            let Some(saga) = child_of(&task.action) else { continue };
            let child = find(&saga.name.it);
            if !child.and_then(|child| has_pivot.get(child)).is_some_and(|has| *has) {
                continue;
            }
            let (name, id) = (events::saga_name_of(&saga.name.it), &task.id.it);
            let message =
                format!("child saga `{}` has a pivot, so `{id}` cannot be undone", name.as_str());
            let help = "`kind: pivot` or `retriable`, or a `compensate` of its own";
            member.findings.push(Finding::error("E409", saga.name.span, message).help(help));
        }
    }
}

fn calls_of(draft: &Draft, find: &dyn Fn(&str) -> Option<usize>) -> Vec<Edge> {
    let children = draft.tasks.iter().flat_map(actions).filter_map(child_of);
    let edges = children.filter_map(|saga| {
        let to = find(&saga.name.it)?;
        Some(Edge { to, span: saga.name.span, by: By::Call(saga.max_depth) })
    });
    edges.collect()
}

fn starts_of(draft: &Draft, members: &[Member<'_>]) -> Vec<Edge> {
    let starts = |of: &Draft, event: &EventDraft| {
        of.triggers.iter().any(|trigger| trigger.filter.is_none() && trigger.event.is(event))
    };
    let emits = draft.tasks.iter().flat_map(actions).filter_map(ActionDraft::emits);
    let edges = emits.flat_map(|emit| {
        let event = &emit.event;
        let started = members.iter().enumerate().filter(|(_, to)| starts(to.draft, event));
        started.map(|(to, _)| Edge { to, span: event.span, by: By::Event(event.full_name()) })
    });
    edges.collect()
}

/// One ring through each saga, told by the first of those in it. A ring of one is told of its file alone.
fn report(members: &mut [Member<'_>], names: &[Option<SagaName>], edges: &[Vec<Edge>]) {
    for (from, member) in members.iter_mut().enumerate() {
        let Some(ring) = ring(edges, from).filter(|ring| ring.len() > 1) else { continue };
        member.findings.push(told(from, &ring, names));
    }
}

/// W10 where sagas call one another, E411 where they start one another.
fn told(from: usize, ring: &[&Edge], names: &[Option<SagaName>]) -> Finding {
    let name = |at: usize| names.get(at).and_then(Option::as_ref).map_or("", SagaName::as_str);
    let span = ring.first().map(|edge| edge.span).unwrap_or_default();
    let mut depths = Vec::new();
    let mut steps = Vec::new();
    for edge in ring {
        match &edge.by {
            By::Call(depth) => {
                depths.push(*depth);
                steps.push(name(edge.to).to_owned());
            }
            By::Event(event) => {
                steps.push(format!("emits {event}, which starts {}", name(edge.to)));
            }
        }
    }
    let Some(depth) = depths.into_iter().min() else {
        let message = format!("event loop: {} {}", name(from), steps.join(", which "));
        let help = "a `where` on one of the triggers, or another event";
        return Finding::error("E411", span, message).help(help);
    };
    let message = format!(
        "sagas call each other: {} → {}; ends at depth {depth}",
        name(from),
        steps.join(" → ")
    );
    Finding::warning("W10", span, message).help("a `when` that ends it earlier")
}

/// The shortest way from a saga back to it, over those behind it alone: so each ring is found once.
fn ring(edges: &[Vec<Edge>], from: usize) -> Option<Vec<&Edge>> {
    let mut reached: Vec<Option<(usize, &Edge)>> = edges.iter().map(|_| None).collect();
    let mut open = VecDeque::from([from]);
    while let Some(at) = open.pop_front() {
        for edge in edges.get(at).into_iter().flatten().filter(|edge| edge.to >= from) {
            let place = reached.get_mut(edge.to)?;
            if place.is_none() {
                *place = Some((at, edge));
                open.push_back(edge.to);
            }
        }
    }
    let mut ring = Vec::new();
    let mut next = from;
    loop {
        let (before, edge) = reached.get(next).copied().flatten()?;
        ring.push(edge);
        next = before;
        if next == from {
            break;
        }
    }
    ring.reverse();
    Some(ring)
}
