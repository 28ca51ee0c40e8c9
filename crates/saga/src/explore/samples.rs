//! What workflows are started with, and what participants answer: for each, one value of every kind that
//! makes a difference to the file's conditions.

use std::collections::BTreeMap;

use events::Json;
use serde_json::{Map, Value, json};

use super::reads::{self, Giver, Read, Wants, by_giver, declared, giver};
use super::sample::{self, around, constants, get, guesses, put};
use crate::plan::{Action, Plan, Role, Slot};
use crate::types::Type;

/// Inputs that are tried.
const STARTS_MAX: usize = 8;
/// Outputs of one task that are tried.
const OUTPUTS_MAX: usize = 4;
/// Combinations of values that are looked at in search of those.
const COMBINED_MAX: usize = 256;

/// Values to try.
pub(super) struct Samples {
    /// Inputs.
    pub(super) starts: Vec<Json>,
    /// Outputs by slot, the plainest first; none for what has no participant.
    pub(super) outputs: Vec<Vec<Json>>,
    /// By slot: whether it may answer without what is read of it, since the file declares nothing.
    pub(super) may_be_bare: Vec<bool>,
    /// By slot: what its expressions read of tasks, and whether all that they read is declared; of the task
    /// itself and of its undo.
    pub(super) reads: Vec<[TaskReads; 2]>,
}

/// What the expressions of a task read.
#[derive(Default)]
pub(super) struct TaskReads {
    pub(super) tasks: Vec<Slot>,
    /// Something of what they read is not declared.
    pub(super) is_open: bool,
}

impl Samples {
    pub(super) fn of(plan: &Plan) -> Self {
        let reads = reads::of(plan);
        let paths = by_giver(plan, &reads);
        let mut model = Model { plan, reads: &reads, base: BTreeMap::new() };
        model.fill(&paths);
        let empty = Vec::new();
        let of = |giver| paths.get(&giver).unwrap_or(&empty).as_slice();
        let starts = model.variants(Giver::Starter, of(Giver::Starter), STARTS_MAX);
        let outputs = (0..plan.tasks.len()).map(|slot| {
            if !model.gives(slot) {
                return Vec::new();
            }
            model.variants(Giver::Task(slot), of(Giver::Task(slot)), OUTPUTS_MAX)
        });
        let outputs: Vec<Vec<Json>> = outputs.collect();
        let may_be_bare = (0..plan.tasks.len()).map(|slot| {
            let is_declared = plan.tasks.get(slot).is_none_or(|task| task.returns.is_some());
            !is_declared && of(Giver::Task(slot)).iter().any(|path| !path.is_empty())
        });
        let may_be_bare = may_be_bare.collect();
        Self { starts, outputs, may_be_bare, reads: model.task_reads() }
    }
}

struct Model<'p> {
    plan: &'p Plan,
    reads: &'p [Read<'p>],
    base: BTreeMap<Giver, Value>,
}

impl Model<'_> {
    /// Whether somebody answers for the task.
    fn gives(&self, slot: Slot) -> bool {
        self.plan.tasks.get(slot).is_some_and(|task| match &task.action {
            Action::Agent { .. }
            | Action::Await(_)
            | Action::Request(..)
            | Action::Saga { .. }
            | Action::Race { .. } => true,
            Action::Emit(_)
            | Action::Wait(_)
            | Action::Choice { .. }
            | Action::Group { .. }
            | Action::ForEach(_) => false,
        })
    }

    /// One value for each giver: what is declared, and what is read beyond that as its readers can take it.
    fn fill(&mut self, paths: &BTreeMap<Giver, Vec<Vec<String>>>) {
        let mut starter = Map::new();
        for input in self.plan.inputs.iter().flatten() {
            starter.insert(input.name.clone(), sample::of(&input.of));
        }
        self.base.insert(Giver::Starter, Value::Object(starter));
        for (slot, task) in self.plan.tasks.iter().enumerate() {
            let value = task.returns.as_ref().map_or_else(|| json!({}), sample::of);
            self.base.insert(Giver::Task(slot), value);
        }
        // What one guess needs may be another one: twice is enough for what people write.
        for _ in 0..2 {
            for (giver, paths) in paths {
                for path in paths {
                    self.guess(*giver, path);
                }
            }
        }
    }

    fn guess(&mut self, giver: Giver, path: &[String]) {
        if declared(self.plan, giver, path).is_some() {
            return;
        }
        let Some(before) = self.base.get(&giver).cloned() else { return };
        let is_filled = get(&before, path).is_some_and(|value| {
            value.as_object().is_some_and(|map| !map.is_empty())
                || value.as_array().is_some_and(|list| list.first().is_some_and(Value::is_object))
        });
        if is_filled || path.is_empty() && giver == Giver::Starter {
            return;
        }
        let near = self.near(giver, path);
        let mut best = (0, before.clone());
        for guess in guesses(&near) {
            let mut value = before.clone();
            put(&mut value, path, &guess);
            self.base.insert(giver, value.clone());
            let sound = self.readers(giver, path).filter(|read| self.is_sound(read)).count();
            if sound + 1 > best.0 {
                best = (sound + 1, value);
            }
        }
        self.base.insert(giver, best.1);
    }

    /// The constants that stand in conditions beside it.
    fn near(&self, giver: Giver, path: &[String]) -> Vec<Value> {
        let readers = self.readers(giver, path).filter(|read| read.wants == Wants::Condition);
        readers.flat_map(|read| constants(read.expr.source())).collect()
    }

    fn readers<'m>(
        &'m self,
        giver: Giver,
        path: &'m [String],
    ) -> impl Iterator<Item = &'m Read<'m>> + 'm {
        self.reads.iter().filter(move |read| {
            reads::paths(read).any(|read_path| {
                self::giver(self.plan, read.slot, read_path)
                    .is_some_and(|(of, fields)| of == giver && fields == path)
            })
        })
    }

    fn is_sound(&self, read: &Read<'_>) -> bool {
        match read.expr.eval(&self.scope(read.slot)) {
            Err(_) => false,
            Ok(value) => match read.wants {
                Wants::Any => true,
                Wants::Condition => value.is_boolean(),
                Wants::List => value.is_array(),
                Wants::Time => sample_time(&value),
            },
        }
    }

    /// What names stand for where everything has gone well.
    fn scope(&self, slot: Option<Slot>) -> BTreeMap<&str, Value> {
        let of = |giver| self.base.get(&giver).cloned().unwrap_or_default();
        let mut scope = BTreeMap::new();
        let mut tasks = Map::new();
        for (at, task) in self.plan.tasks.iter().enumerate() {
            let output = self.output(at);
            let told =
                json!({"output": output, "status": "done", "attempts": 1, "error": {"code": ""}});
            tasks.entry(task.id.to_string()).or_insert(told);
        }
        scope.insert("inputs", of(Giver::Starter));
        scope.insert("tasks", Value::Object(tasks));
        scope.insert("index", json!(0));
        let time = "2026-01-01T00:00:00Z";
        let saga = json!({
            "id": "x", "key": "x", "name": "x", "hash": "x", "started_at": time, "now": time,
            "error": {"code": "x", "message": "x", "task": "x"}
        });
        scope.insert("saga", saga);
        if let Some(slot) = slot {
            let output = of(Giver::Task(slot));
            let event = json!({
                "value": output, "key": "x", "name": "x", "headers": {}, "topic": "x", "timestamp": time
            });
            scope.insert("event", event);
            let inputs = of(Giver::Starter);
            let original =
                json!({"inputs": inputs, "output": output, "status": "done", "key": "x"});
            scope.insert("original", original);
            self.elements(slot, &mut scope);
        }
        scope
    }

    /// The elements that a task stands in, by their names.
    fn elements<'m>(&'m self, slot: Slot, scope: &mut BTreeMap<&'m str, Value>) {
        let mut around = Vec::new();
        let mut at = Some(slot);
        while let Some(task) = at.and_then(|at| self.plan.tasks.get(at)) {
            if task.role == Role::Item
                && let Some(of) = task.parent
                && let Some(Action::ForEach(each)) = self.plan.tasks.get(of).map(|of| &of.action)
            {
                around.push(each);
            }
            at = task.parent;
        }
        for each in around.into_iter().rev() {
            let list = each.list.eval(scope).unwrap_or_default();
            let first = list.as_array().and_then(|list| list.first()).cloned();
            scope.insert(each.item.as_str(), first.unwrap_or_default());
        }
    }

    fn output(&self, slot: Slot) -> Value {
        let Some(task) = self.plan.tasks.get(slot) else { return Value::Null };
        let children = || {
            let all = self.plan.tasks.iter().enumerate();
            let own = all.filter(|(_, child)| child.parent == Some(slot) && child.role.is_child());
            own.map(|(at, child)| (child.id.to_string(), self.output(at))).collect::<Map<_, _>>()
        };
        match &task.action {
            Action::Group { outputs: Some(outputs) } => {
                let given = outputs.iter().map(|output| (output.name.clone(), json!({})));
                Value::Object(given.collect())
            }
            Action::Group { outputs: None } => Value::Object(children()),
            Action::Choice { .. } | Action::Race { .. } => {
                let mut given = children();
                given.insert("case".to_owned(), json!(0));
                Value::Object(given)
            }
            Action::ForEach(each) => {
                let output = self.output(each.body.start);
                json!([output, output])
            }
            Action::Emit(_) | Action::Wait(_) => Value::Null,
            Action::Agent { .. } | Action::Await(_) | Action::Request(..) | Action::Saga { .. } => {
                self.base.get(&Giver::Task(slot)).cloned().unwrap_or_default()
            }
        }
    }

    /// The plainest value, and one for each other way in which the conditions that read it turn out.
    fn variants(&self, giver: Giver, paths: &[Vec<String>], most: usize) -> Vec<Json> {
        let turns = |read: &&Read<'_>| matches!(read.wants, Wants::Condition | Wants::List);
        let conditions: Vec<&Read<'_>> = self.reads.iter().filter(turns).collect();
        let base = self.base.get(&giver).cloned().unwrap_or_default();
        let mut choices: Vec<(&[String], Vec<Value>)> = Vec::new();
        let mut combined = 1;
        for path in paths {
            let decides = self.readers(giver, path).any(|read| turns(&read));
            let Some(value) = get(&base, path).filter(|_| decides) else { continue };
            let values = around(value, &self.near(giver, path));
            if values.len() > 1 && combined * values.len() <= COMBINED_MAX {
                combined *= values.len();
                choices.push((path, values));
            }
        }
        let mut ways = Vec::new();
        let mut variants: Vec<Value> = Vec::new();
        for number in 0..combined {
            let value = chosen(&base, &choices, number);
            let way = self.way(giver, &value, &conditions);
            if variants.is_empty() || !ways.contains(&way) && !way.contains(&None) {
                ways.push(way);
                variants.push(value);
            }
            if variants.len() >= most {
                break;
            }
        }
        variants.extend(self.without_optional(giver, paths, &base));
        variants.iter().map(Json::from_value).collect()
    }

    /// How the conditions turn out; `None`: one can not be computed that could be.
    fn way(&self, giver: Giver, value: &Value, conditions: &[&Read<'_>]) -> Vec<Option<usize>> {
        let mut base = self.base.clone();
        base.insert(giver, value.clone());
        let changed = Self { plan: self.plan, reads: self.reads, base };
        let turns = |read: &&Read<'_>| match read.expr.eval(&changed.scope(read.slot)) {
            Ok(Value::Bool(is)) => Some(usize::from(is)),
            Ok(Value::Array(list)) => Some(2 + list.len()),
            Ok(_) | Err(_) if !self.is_sound(read) => Some(usize::MAX),
            Ok(_) | Err(_) => None,
        };
        conditions.iter().map(turns).collect()
    }

    /// The plainest value without what need not be there, where anybody reads that.
    fn without_optional(&self, giver: Giver, paths: &[Vec<String>], base: &Value) -> Option<Value> {
        let absent: Vec<&str> = match giver {
            Giver::Starter => {
                let inputs = self.plan.inputs.iter().flatten();
                inputs.filter(|input| !input.required).map(|input| input.name.as_str()).collect()
            }
            Giver::Task(slot) => match &self.plan.tasks.get(slot)?.returns {
                Some(Type::Record(fields)) => {
                    let absent = fields.iter().filter(|(_, _, required)| !required);
                    absent.map(|(name, ..)| name.as_str()).collect()
                }
                _ => Vec::new(),
            },
        };
        let is_absent = |name: &String| absent.contains(&name.as_str());
        if !paths.iter().any(|path| path.first().is_some_and(is_absent)) {
            return None;
        }
        let mut map = base.as_object()?.clone();
        map.retain(|name, _| !absent.contains(&name.as_str()));
        Some(Value::Object(map))
    }

    fn task_reads(&self) -> Vec<[TaskReads; 2]> {
        let mut all: Vec<[TaskReads; 2]> =
            self.plan.tasks.iter().map(|_| Default::default()).collect();
        for read in self.reads {
            let Some(of) = read.slot.and_then(|slot| all.get_mut(slot)) else { continue };
            let [of_task, of_undo] = of;
            let of = if read.in_undo { of_undo } else { of_task };
            for path in read.expr.paths() {
                if let [tasks, id, ..] = path.as_slice()
                    && tasks == "tasks"
                {
                    of.tasks.extend(self.plan.slot(id));
                }
                of.is_open |= match giver(self.plan, read.slot, path) {
                    Some((giver, fields)) => declared(self.plan, giver, &fields).is_none(),
                    None => is_unknown(path),
                };
            }
        }
        all
    }
}

/// Whether nobody declares what stands where a path leads.
fn is_unknown(path: &[String]) -> bool {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tasks", _, "output", _, ..] => true,
        ["tasks" | "saga" | "index" | "original" | "event" | "inputs", ..] => false,
        _ => true,
    }
}

fn sample_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<events::Timestamp>().is_ok())
}

/// The combination of that number.
fn chosen(base: &Value, choices: &[(&[String], Vec<Value>)], number: usize) -> Value {
    let mut value = base.clone();
    let mut rest = number;
    for (path, values) in choices {
        if let Some(chosen) = values.get(rest % values.len()) {
            put(&mut value, path, chosen);
        }
        rest /= values.len();
    }
    value
}
