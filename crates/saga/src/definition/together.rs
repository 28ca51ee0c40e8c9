//! What sagas are to one another: children with pivots, sagas that call or start each other. What a
//! saga is to itself its own file tells.

use std::collections::{BTreeMap, VecDeque};

use events::SagaName;

use super::findings::{Finding, Findings, Span};
use super::parts::{self, Part};
use crate::plan::{Action, EventName, Kind, Plan};
use crate::yaml::Node;

/// The place of the file's own name; no id of a task.
const NAME: &str = "name:";

/// Where a file names itself and other sagas and sends events, by task.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, Span>);

/// A sound file, and what more there is to say of it.
pub(super) struct File<'a> {
    pub(super) plan: &'a Plan,
    pub(super) places: &'a Places,
    pub(super) findings: &'a mut Findings,
}

impl Places {
    pub(super) fn of(root: &Node) -> Self {
        let mut places = Self::default();
        places.0.extend(root.get("name").map(|name| (NAME.to_owned(), name.span)));
        places.add_parts(&mut root.clone(), "");
        places
    }

    fn add_parts(&mut self, holder: &mut Node, id: &str) {
        for part in parts::of(holder) {
            match part {
                Part::Fallback(body) => self.add(body, &format!("{id}~fallback")),
                Part::Undo(body) => self.add(body, &undo_of(id)),
                Part::Tasks(_) | Part::Sequential(_) | Part::Case(_) | Part::Closing(_) => {
                    for body in part.bodies() {
                        let id = body.get("id").and_then(Node::text).unwrap_or_default().to_owned();
                        self.add(body, &id);
                    }
                }
            }
        }
    }

    fn add(&mut self, body: &mut Node, id: &str) {
        if let Some(node) = body.get("saga").or_else(|| body.get("emit")) {
            let name = node.get("name").or_else(|| node.get("event")).unwrap_or(node);
            self.0.insert(id.to_owned(), name.span);
        }
        self.add_parts(body, id);
    }

    fn get(&self, id: &str) -> Span {
        self.0.get(id).copied().unwrap_or_default()
    }
}

fn undo_of(id: &str) -> String {
    format!("{id}~undo")
}

/// E201, E409, E411 and W10, for files among all sagas that are known.
pub(super) fn check(files: &mut [File<'_>], others: &[&Plan]) {
    let mut plans: Vec<&Plan> = files.iter().map(|file| file.plan).collect();
    for other in others {
        if !plans.iter().any(|plan| plan.name == other.name) {
            plans.push(other);
        }
    }
    let calls: Vec<Vec<Edge>> = plans.iter().map(|plan| calls(plan, &plans)).collect();
    let starts: Vec<Vec<Edge>> = plans.iter().map(|plan| starts(plan, &plans)).collect();
    for (at, file) in files.iter_mut().enumerate() {
        check_identity(file, plans.get(..at).unwrap_or_default());
        check_children(file, &plans);
        if let Some(circle) = circle(at, &calls) {
            file.findings.push(call_circle(file.places, &circle, &plans));
        }
        if let Some(circle) = circle(at, &starts) {
            file.findings.push(event_loop(file.places, &circle, &plans));
        }
    }
}

/// A saga leads to another one.
#[derive(Clone, Debug)]
struct Edge {
    from: usize,
    to: usize,
    /// The key of its place.
    place: String,
    by: By,
}

#[derive(Clone, Debug)]
enum By {
    Call { max_depth: u32 },
    Event(EventName),
}

/// What a task and its undo do, with the keys of their places.
fn actions(plan: &Plan) -> impl Iterator<Item = (String, &Action)> {
    plan.tasks.iter().flat_map(|task| {
        let undo = task.undo.as_ref().map(|undo| (undo_of(task.id.as_str()), &undo.action));
        std::iter::once((task.id.to_string(), &task.action)).chain(undo)
    })
}

fn calls(plan: &Plan, plans: &[&Plan]) -> Vec<Edge> {
    let Some(from) = place_of(&plan.name, plans) else { return Vec::new() };
    let edges = actions(plan).filter_map(|(place, action)| {
        let Action::Saga { saga, max_depth, .. } = action else { return None };
        let to = place_of(saga, plans).filter(|to| *to != from)?;
        Some(Edge { from, to, place, by: By::Call { max_depth: *max_depth } })
    });
    edges.collect()
}

fn starts(plan: &Plan, plans: &[&Plan]) -> Vec<Edge> {
    let Some(from) = place_of(&plan.name, plans) else { return Vec::new() };
    let mut edges = Vec::new();
    for (place, action) in actions(plan) {
        let Some(event) = event_of(action) else { continue };
        for (to, other) in plans.iter().enumerate() {
            if to != from && is_started(other, event) {
                let by = By::Event(event.clone());
                edges.push(Edge { from, to, place: place.clone(), by });
            }
        }
    }
    edges
}

fn place_of(name: &SagaName, plans: &[&Plan]) -> Option<usize> {
    plans.iter().position(|known| known.name == *name)
}

/// A `where` may end a loop: what it lets through is not known here.
fn is_started(plan: &Plan, event: &EventName) -> bool {
    plan.triggers.iter().any(|trigger| {
        trigger.filter.is_none() && trigger.topic == event.topic && trigger.event == event.name
    })
}

fn event_of(action: &Action) -> Option<&EventName> {
    match action {
        Action::Emit(emit) | Action::Request(emit, _) => Some(&emit.event),
        Action::Agent { .. }
        | Action::Await(_)
        | Action::Wait(_)
        | Action::Choice { .. }
        | Action::Race { .. }
        | Action::Group { .. }
        | Action::Saga { .. }
        | Action::ForEach(_) => None,
    }
}

/// The shortest way from a saga back to itself.
fn circle(start: usize, edges: &[Vec<Edge>]) -> Option<Vec<Edge>> {
    let mut reached: BTreeMap<usize, Edge> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(at) = next.pop_front() {
        for edge in edges.get(at)? {
            if reached.contains_key(&edge.to) {
                continue;
            }
            reached.insert(edge.to, edge.clone());
            next.push_back(edge.to);
        }
    }
    let mut circle = vec![reached.get(&start)?.clone()];
    while let Some(first) = circle.last().filter(|edge| edge.from != start) {
        circle.push(reached.get(&first.from)?.clone());
    }
    circle.reverse();
    Some(circle)
}

fn name<'p>(at: usize, plans: &[&'p Plan]) -> &'p str {
    plans.get(at).map_or("", |plan| plan.name.as_str())
}

fn span_of(circle: &[Edge], places: &Places) -> Span {
    circle.first().map(|edge| places.get(&edge.place)).unwrap_or_default()
}

fn call_circle(places: &Places, circle: &[Edge], plans: &[&Plan]) -> Finding {
    let mut names: Vec<&str> = circle.iter().map(|edge| name(edge.from, plans)).collect();
    names.extend(names.first().copied());
    let depths = circle.iter().filter_map(|edge| match edge.by {
        By::Call { max_depth } => Some(max_depth),
        By::Event(_) => None,
    });
    let depth = depths.min().unwrap_or_default();
    let names = names.join(" → ");
    let message = format!("sagas call each other: {names}; ends at depth {depth}");
    let help = "a `when` that ends it earlier";
    Finding::warning("W10", span_of(circle, places), message).help(help)
}

fn event_loop(places: &Places, circle: &[Edge], plans: &[&Plan]) -> Finding {
    let first = circle.first().map_or("", |edge| name(edge.from, plans));
    let mut message = format!("event loop: {first}");
    for (at, edge) in circle.iter().enumerate() {
        let By::Event(event) = &edge.by else { continue };
        let verb = if at == 0 { " emits" } else { ", which emits" };
        message = format!("{message}{verb} {event}, which starts {}", name(edge.to, plans));
    }
    let help = "a `where` on the trigger, or another event";
    Finding::error("E411", span_of(circle, places), message).help(help)
}

/// E201: of two files of one saga only one could be the newest.
fn check_identity(file: &mut File<'_>, before: &[&Plan]) {
    let name = &file.plan.name;
    if before.iter().any(|plan| plan.name == *name) {
        let message = format!("saga `{name}` is given twice: a file before this one is it, too");
        let help = "another `name`; the versions of one saga are deployed one after another";
        file.findings.push(Finding::error("E201", file.places.get(NAME), message).help(help));
    }
}

/// E409
fn check_children(file: &mut File<'_>, plans: &[&Plan]) {
    for task in &file.plan.tasks {
        let Action::Saga { saga, version, .. } = &task.action else { continue };
        let by_child = task.undo.as_ref().is_some_and(|undo| is_saga(&undo.action));
        let child = plans.iter().find(|plan| plan.name == *saga);
        let child = child.filter(|child| version.as_ref().is_none_or(|of| *of == child.version));
        let has_pivot = child
            .is_some_and(|child| child.tasks.iter().any(|task| matches!(task.kind, Kind::Pivot)));
        if by_child && has_pivot {
            let id = &task.id;
            let message = format!("child saga `{saga}` has a pivot, so `{id}` cannot be undone");
            let help = "`kind: pivot` or `retriable`, or a `compensate` of its own";
            let span = file.places.get(id.as_str());
            file.findings.push(Finding::error("E409", span, message).help(help));
        }
    }
}

fn is_saga(action: &Action) -> bool {
    match action {
        Action::Saga { .. } => true,
        Action::Agent { .. }
        | Action::Emit(_)
        | Action::Await(_)
        | Action::Request(..)
        | Action::Wait(_)
        | Action::Choice { .. }
        | Action::Race { .. }
        | Action::Group { .. }
        | Action::ForEach(_) => false,
    }
}
