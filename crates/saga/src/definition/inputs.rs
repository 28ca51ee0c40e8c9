//! What a task is given, and the shape of what it gives.

use super::computed;
use super::draft::{InputDraft, Written};
use super::file::read_field_type;
use super::findings::Finding;
use super::node::InputsDraft;
use super::read;
use super::task::Tasks;
use crate::expr::{Expr, Template};
use crate::types::Type;
use crate::yaml::Node;

/// The names that a list of inputs may hold.
pub(super) struct Known {
    /// `None`: any.
    inputs: Option<Vec<String>>,
    tasks: Vec<String>,
}

impl Known {
    pub(super) fn of(root: &Node, inputs: Option<&[InputDraft]>) -> Self {
        let mut tasks = Vec::new();
        let then = root.get("on_failure").and_then(|node| node.get("then"));
        for list in root.get("tasks").into_iter().chain(then) {
            gather(list, &mut tasks);
        }
        let inputs = inputs.map(|list| list.iter().map(|input| input.name.it.clone()).collect());
        Self { inputs, tasks }
    }

    /// The path that a name stands for.
    fn path_of(&self, name: &str) -> Option<String> {
        if self.tasks.iter().any(|task| task == name) {
            return Some(format!("tasks.{name}.output"));
        }
        let is_input =
            self.inputs.as_ref().is_none_or(|inputs| inputs.iter().any(|input| input == name));
        is_input.then(|| format!("inputs.{name}"))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().flatten().chain(&self.tasks).map(String::as_str)
    }
}

/// The ids of a list of tasks and of all that stand in them. As deep as the file is, which is bounded.
fn gather(list: &Node, ids: &mut Vec<String>) {
    for task in list.list().unwrap_or_default() {
        ids.extend(task.get("id").and_then(Node::text).map(str::to_owned));
        gather_within(task, ids);
    }
}

fn gather_within(task: &Node, ids: &mut Vec<String>) {
    let then = task.get("on_failure").and_then(|node| node.get("then"));
    for list in [task.get("tasks"), task.get("sequential"), then].into_iter().flatten() {
        gather(list, ids);
    }
    for case in task.get("choice").and_then(Node::list).unwrap_or_default() {
        for list in [case.get("then"), case.get("else")].into_iter().flatten() {
            gather(list, ids);
        }
    }
    if let Some(fallback) = task.get("fallback") {
        gather_within(fallback, ids);
    }
}

impl Tasks<'_> {
    /// What stands there; what can not be read is as if nothing did.
    pub(super) fn read_inputs(&mut self, node: &Node) -> InputsDraft {
        let Some(node) = node.get("inputs") else { return InputsDraft::Absent };
        let written = if let Some(list) = node.list() {
            self.read_names(node, list)
        } else if node.entries().is_some() {
            computed::template(node, self.findings)
        } else if node.text().is_some_and(|text| text.contains("${")) {
            // One `${...}` gives a whole map.
            computed::computed("inputs", node, self.findings)
        } else {
            let finding = read::must_be("inputs", "a map or a list of names", node);
            self.findings.push(finding.help("as in `inputs: [order_id]`"));
            None
        };
        written.map_or(InputsDraft::Absent, |written| InputsDraft::Computed(Box::new(written)))
    }

    pub(super) fn read_names(&mut self, node: &Node, list: &[Node]) -> Option<Written> {
        let mut map = Vec::new();
        let mut exprs = Vec::new();
        let mut sound = true;
        for each in list {
            let Some(name) = read::id("inputs", each, self.findings) else {
                sound = false;
                continue;
            };
            let expr = self.known.path_of(&name.it).and_then(|path| Expr::compile(&path).ok());
            let Some(expr) = expr else {
                let message =
                    format!("`{}` does not exist: it is neither an input nor a task", name.it);
                let finding = Finding::error("E301", name.span, message);
                self.findings.push(finding.near(&name.it, self.known.names()));
                sound = false;
                continue;
            };
            map.push((name.it, Template::Computed(expr)));
            exprs.push(name.span);
        }
        sound.then_some(Written { template: Template::Map(map), span: node.span, exprs })
    }

    pub(super) fn read_returns(&mut self, node: &Node) -> Option<Type> {
        let entries = read::map("returns", node, self.findings)?;
        let fields = entries.iter().filter_map(|entry| {
            let (of, optional) = read_field_type(&entry.key, &entry.value, self.findings)?;
            Some((entry.key.clone(), of, !optional))
        });
        Some(Type::Record(fields.collect()))
    }
}
