//! A naive interpreter of the language: what a saga comes to where participants answer as it was drawn and
//! nothing depends on who is faster. It knows no time, no events, no commands.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::judge::taken;
use crate::participants;
use crate::reach::Reach;
use crate::tree::{
    Act, Action, AtLeast, InDoubt, Kind, Node, On, Place, Role, Strategy, Task, Tree, UndoAct, When,
};
use crate::view::End;

/// How a task ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    Done(Value),
    Skipped,
    /// And, if it was in doubt, undone.
    Failed,
    /// Done, and undone since.
    Undone,
}

/// What the saga comes to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    /// Of those whose fate does not depend on the order.
    pub(crate) fates: BTreeMap<Place, Fate>,
}

/// Something depends on the order, on an operator, or on what the specification leaves open.
struct Open;

struct Model<'a> {
    tree: &'a Tree<'a>,
    fates: BTreeMap<Place, Fate>,
    /// Failures that end more than the task: which task's, and how far they go.
    escapes: Vec<(Place, Reach)>,
    partial: bool,
    /// The file's own strategy has accepted a failure.
    closes: bool,
}

/// `None` where it is open.
pub(crate) fn run(tree: &Tree<'_>) -> Option<Outcome> {
    // An undo that fails twice blocks.
    let fails = |undo: &UndoAct| matches!(undo, UndoAct::Retryable | UndoAct::Silent);
    let stuck = |node: &Node<'_>| node.task.undos.windows(2).any(|pair| pair.iter().all(fails));
    if tree.nodes.iter().any(stuck) {
        return None;
    }
    let mut model =
        Model { tree, fates: BTreeMap::new(), escapes: Vec::new(), partial: false, closes: false };
    let top = |nodes: &[usize]| -> Vec<Place> {
        nodes.iter().map(|node| Place { node: *node, at: Vec::new() }).collect()
    };
    model.list(&top(&tree.top)).ok()?;
    let escapes = std::mem::take(&mut model.escapes);
    let Some((failed, reach)) = escapes.first().cloned() else {
        let end = if model.partial { End::Partial } else { End::Completed };
        if model.closes {
            model.list(&top(&tree.closing)).ok()?;
        }
        return Some(Outcome { end, fates: model.fates });
    };
    if escapes.iter().any(|(_, other)| *other != reach) {
        return None;
    }
    let end = match reach {
        Reach::Run(Strategy::Compensate) => End::Compensated,
        Reach::Run(Strategy::FailFast) => End::Failed,
        _ => return None,
    };
    let pivot = (0..tree.nodes.len()).find(|node| tree.nodes[*node].task.kind == Kind::Pivot);
    let before =
        |pivot| escapes.iter().all(|(f, _)| f.node == pivot || tree.comes_before(f.node, pivot));
    if pivot.is_some_and(|pivot| !before(pivot)) || tree.nodes.iter().any(may_be_held) {
        return None;
    }
    // Of the others nobody knows how far they came.
    let mut fates = std::mem::take(&mut model.fates);
    let is_done = |place: &Place| matches!(fates.get(place), Some(Fate::Done(_)));
    let is_replaced = |place: &&Place| tree.fallback(place).is_some_and(|place| is_done(&place));
    let replaced: Vec<Place> = fates.keys().filter(is_replaced).cloned().collect();
    let alone = escapes.len() == 1;
    fates.retain(|place, _| {
        alone
            && (*place == failed
                || place.at.is_empty() && tree.comes_before(place.node, failed.node))
    });
    if end == End::Compensated {
        for (place, fate) in &mut fates {
            let node = &tree.nodes[place.node];
            let undone = node.is_agent()
                && node.task.for_each.is_none()
                && node.task.kind == Kind::Compensatable;
            if undone && !replaced.contains(place) && matches!(fate, Fate::Done(_)) {
                *fate = Fate::Undone;
            }
        }
    }
    let is_the_files = |(place, _): &(Place, Reach)| tree.is_the_files(place);
    let by_file = escapes.iter().filter(|escape| is_the_files(escape)).count();
    match by_file {
        0 => {}
        count if count == escapes.len() => model.list(&top(&tree.closing)).ok()?,
        _ => return None,
    }
    fates.append(&mut model.fates);
    Some(Outcome { end, fates })
}

/// Stopped in the middle, it may need an operator to say how it ended.
fn may_be_held(node: &Node<'_>) -> bool {
    let unsure = |act: &Act| matches!(act, Act::Silent(_) | Act::Unknown(_));
    let asks = match node.task.kind {
        Kind::ReadOnly => false,
        Kind::Retriable | Kind::Pivot => true,
        Kind::Compensatable => node.task.in_doubt == Some(InDoubt::Hold),
    };
    asks && node.task.acts.iter().any(unsure)
}

impl Model<'_> {
    /// All of a container, in the order of the file, which is one that the graph allows.
    fn list(&mut self, places: &[Place]) -> Result<(), Open> {
        places.iter().try_for_each(|place| self.task(place))
    }

    fn task(&mut self, place: &Place) -> Result<(), Open> {
        let fate = match self.join(place)? {
            Some(Begins::Now) if !self.wanted(place) => Some(Fate::Skipped),
            Some(Begins::Now) => self.body(place)?,
            Some(Begins::Never) => Some(Fate::Skipped),
            Some(Begins::Impossible) => self.failed(place)?,
            None => None,
        };
        if let Some(fate) = fate {
            self.fates.insert(place.clone(), fate);
        }
        Ok(())
    }

    /// 2.4; `None`: what it waits for does not come to an end.
    fn join(&self, place: &Place) -> Result<Option<Begins>, Open> {
        let deps = self.tree.deps(place);
        let escaped = |dep: &Place| {
            !self.fates.contains_key(dep) || self.escapes.iter().any(|(place, _)| place == dep)
        };
        let fates: Vec<&Fate> =
            deps.iter().filter(|dep| !escaped(dep)).map(|dep| &self.fates[dep]).collect();
        let open = fates.len() < deps.len();
        let join = self.tree.nodes[place.node].join;
        if !deps.is_empty() && !open && fates.iter().all(|fate| **fate == Fate::Skipped) {
            return Ok(Some(Begins::Never));
        }
        let done = fates.iter().filter(|fate| matches!(fate, Fate::Done(_))).count();
        match join.wants().filter(|_| !deps.is_empty()) {
            None if open => Ok(None),
            None => {
                let stops =
                    |dep: &&Place| self.fates[*dep] == Fate::Failed && !self.tree.is_optional(dep);
                let behind = deps.iter().any(|dep| stops(&dep));
                Ok(Some(if behind { Begins::Never } else { Begins::Now }))
            }
            Some(n) if done >= n => {
                // Whoever is not among the first is stopped, wherever it is by then.
                if open || join.cancels() && deps.len() > n {
                    Err(Open)
                } else {
                    Ok(Some(Begins::Now))
                }
            }
            // It fails as soon as it is impossible, whatever the others come to.
            Some(n) if open && done + deps.len() - fates.len() < n => Err(Open),
            Some(_) if open => Ok(None),
            Some(_) => Ok(Some(Begins::Impossible)),
        }
    }

    fn wanted(&self, place: &Place) -> bool {
        let node = &self.tree.nodes[place.node];
        match &node.task.when {
            _ if place.at.len() > node.depth => true,
            None => true,
            Some(When::Flag(value)) => *value,
            Some(When::Output(id, n)) => {
                let deps = self.tree.deps(place);
                let dep = deps.iter().find(|dep| self.tree.nodes[dep.node].task.id == *id).unwrap();
                let Fate::Done(output) = &self.fates[dep] else { return false };
                output["n"].as_i64().is_some_and(|found| found > *n)
            }
        }
    }

    fn body(&mut self, place: &Place) -> Result<Option<Fate>, Open> {
        let task = self.tree.nodes[place.node].task;
        if self.tree.is_for_each(place) {
            return self.for_each(place);
        }
        match &task.action {
            Action::Agent => {
                let done = self.agent(place)?;
                let output = participants::output(self.tree, place).value();
                if done { Ok(Some(Fate::Done(output))) } else { self.failed(place) }
            }
            Action::Wait(_) => Ok(Some(Fate::Done(Value::Null))),
            Action::Group(_) | Action::Sequential(_) => self.container(place, None),
            Action::Choice { many, .. } => {
                let cases = match self.tree.nodes[place.node].race() {
                    Some(on) => vec![race(task, &on)?],
                    None => taken(self.tree, place.node),
                };
                match cases.first() {
                    None if !many => self.failed(place),
                    _ => self.container(place, Some((*many, cases))),
                }
            }
        }
    }

    fn container(
        &mut self,
        place: &Place,
        cases: Option<(bool, Vec<usize>)>,
    ) -> Result<Option<Fate>, Open> {
        let runs = |child: &Place| match (self.tree.nodes[child.node].role, &cases) {
            (Role::Case(case), Some((_, cases))) => cases.contains(&case),
            _ => true,
        };
        let (taken, not): (Vec<Place>, Vec<Place>) =
            self.tree.inside(place).into_iter().partition(runs);
        self.fates.extend(not.into_iter().map(|place| (place, Fate::Skipped)));
        let before = (self.escapes.len(), (self.partial, self.closes));
        self.list(&taken)?;
        if self.escapes.len() > before.0 {
            return self.caught(place, before);
        }
        if let Some(gives) = &self.tree.nodes[place.node].task.gives {
            let is_it = |child: &&Place| self.tree.nodes[child.node].task.id == *gives;
            let output = match taken.iter().find(is_it).map(|child| &self.fates[child]) {
                Some(Fate::Done(output)) => output.clone(),
                _ => Value::Null,
            };
            return Ok(Some(Fate::Done(json!({"gave": output}))));
        }
        let output = |child: &Place| match &self.fates[child] {
            Fate::Done(output) => output.clone(),
            _ => Value::Null,
        };
        let id = |child: &Place| self.tree.nodes[child.node].task.id.clone();
        let mut whole: serde_json::Map<String, Value> =
            taken.iter().map(|child| (id(child), output(child))).collect();
        if let Some((many, cases)) = cases {
            whole.insert("case".to_owned(), if many { json!(cases) } else { json!(cases[0]) });
        }
        Ok(Some(Fate::Done(Value::Object(whole))))
    }

    /// What stood in it has failed: either this is where it ends, or it goes further.
    fn caught(
        &mut self,
        place: &Place,
        (before, partial): (usize, (bool, bool)),
    ) -> Result<Option<Fate>, Open> {
        let mine = Reach::Caught(place.clone());
        let new = &self.escapes[before..];
        match new.iter().filter(|(_, reach)| *reach == mine).count() {
            0 => Ok(None),
            count if count < new.len() => Err(Open),
            _ if self.tree.deep(place).iter().any(|p| may_be_held(&self.tree.nodes[p.node])) => {
                Err(Open)
            }
            _ => {
                self.escapes.truncate(before);
                (self.partial, self.closes) = partial;
                for inside in self.tree.deep(place) {
                    self.fates.remove(&inside);
                }
                self.failed(place)
            }
        }
    }

    fn for_each(&mut self, place: &Place) -> Result<Option<Fate>, Open> {
        let each = self.tree.nodes[place.node].task.for_each.unwrap();
        if each.needs() > each.count {
            return self.failed(place);
        }
        let elements = self.tree.inside(place);
        let before = (self.escapes.len(), (self.partial, self.closes));
        self.list(&elements)?;
        if self.escapes.len() > before.0 {
            return self.caught(place, before);
        }
        let done = elements.iter().filter(|e| matches!(self.fates[*e], Fate::Done(_))).count();
        if done < each.count && each.at_least == AtLeast::All {
            // A failure that is accepted of an element that is needed.
            return Err(Open);
        }
        if done < each.needs() {
            // Whether the others are undone, and whether all of them began.
            for inside in self.tree.deep(place) {
                self.fates.remove(&inside);
            }
            // What was accepted in it does not count where it has failed as a whole.
            (self.partial, self.closes) = before.1;
            return self.failed(place);
        }
        let output = |element: &Place| match &self.fates[element] {
            Fate::Done(output) => output.clone(),
            _ => Value::Null,
        };
        Ok(Some(Fate::Done(elements.iter().map(output).collect())))
    }

    /// Its fallback, then how far its failure goes.
    fn failed(&mut self, place: &Place) -> Result<Option<Fate>, Open> {
        if let Some(fallback) = self.tree.fallback(place) {
            let done = self.agent(&fallback)?;
            let output = participants::output(self.tree, &fallback).value();
            let fate = if done { Fate::Done(output.clone()) } else { Fate::Failed };
            self.fates.insert(fallback, fate);
            if done {
                return Ok(Some(Fate::Done(output)));
            }
        }
        match self.tree.reach(place) {
            Reach::Optional | Reach::Element => {}
            Reach::Accepted => {
                self.partial = true;
                self.closes |= self.tree.is_the_files(place);
            }
            reach => self.escapes.push((place.clone(), reach)),
        }
        Ok(Some(Fate::Failed))
    }

    /// Whether its participant does it, as the engine comes to know it.
    fn agent(&self, place: &Place) -> Result<bool, Open> {
        let task = self.tree.nodes[place.node].task;
        let mut did = false;
        for attempt in 1.. {
            let again = attempt < task.attempts || task.kind == Kind::Retriable;
            match participants::act(self.tree, place, attempt) {
                _ if did => return Ok(true),
                Act::Done | Act::Twice => return Ok(true),
                Act::Late => return Err(Open),
                Act::Final => return Ok(false),
                Act::Retryable if !again => return Ok(false),
                Act::Retryable => {}
                Act::Unknown(done) | Act::Silent(done) => {
                    did |= done;
                    match (task.kind, task.in_doubt) {
                        (Kind::ReadOnly, _) if task.once => return Ok(false),
                        _ if again && !task.once => {}
                        (Kind::ReadOnly, _) => return Ok(false),
                        (_, Some(InDoubt::Query)) => return Ok(did),
                        (Kind::Compensatable, None | Some(InDoubt::Undo)) => return Ok(false),
                        _ => return Err(Open),
                    }
                }
            }
        }
        unreachable!("a task ends")
    }
}

/// What happens of itself happens before time goes on.
fn race(task: &Task, on: &[On]) -> Result<usize, Open> {
    let cases = 0..on.len();
    let events: Vec<usize> = cases.clone().filter(|k| on[*k] == On::Event).collect();
    match task.acts.first() {
        None | Some(Act::Done) if !events.is_empty() => {
            Ok(events[usize::try_from(task.n).unwrap() % events.len()])
        }
        Some(Act::Late | Act::Twice) => Err(Open),
        _ => {
            let due = cases.filter_map(|k| match on[k] {
                On::After(seconds) => Some((seconds, k)),
                On::Event => None,
            });
            Ok(due.min().unwrap().1)
        }
    }
}

enum Begins {
    Now,
    Never,
    Impossible,
}
