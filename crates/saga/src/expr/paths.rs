//! Which names an expression reads, so that nothing else need be built for it.

use std::collections::{BTreeMap, BTreeSet};

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use serde_json::Value;

/// How much text of a value an error shows.
const SHOWN_CHARS_MAX: usize = 60;

/// What is read of one name: all of it, or some of its fields.
#[derive(Debug, Default)]
pub(crate) struct Used {
    whole: bool,
    fields: BTreeMap<String, Used>,
}

impl Used {
    /// The fields that are read; empty where all of it is.
    pub(crate) fn members(&self) -> BTreeSet<String> {
        if self.whole { BTreeSet::new() } else { self.fields.keys().cloned().collect() }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        self.fields.get(name)
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    fn add(&mut self, path: &[String]) {
        match path {
            [] => self.whole = true,
            [name, rest @ ..] => self.fields.entry(name.clone()).or_default().add(rest),
        }
    }

    /// The plain values that are read, with their paths, for the text of an error.
    pub(crate) fn scalars(&self, path: &str, value: &Value, into: &mut Vec<(String, String)>) {
        match value {
            Value::Object(map) => {
                for (name, used) in &self.fields {
                    if let Some(value) = map.get(name) {
                        used.scalars(&format!("{path}.{name}"), value, into);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let mut shown = value.to_string();
                if let Some((end, _)) = shown.char_indices().nth(SHOWN_CHARS_MAX) {
                    shown.truncate(end);
                    shown.push_str("...");
                }
                into.push((path.to_owned(), shown));
            }
            Value::Array(list) => into.push((path.to_owned(), format!("a list of {}", list.len()))),
        }
    }
}

/// Everything that an expression reads.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    paths: Vec<Vec<String>>,
    tested: Vec<Vec<String>>,
    roots: BTreeMap<String, Used>,
    only_path: bool,
}

impl Uses {
    pub(super) fn of(tree: &IdedExpr) -> Self {
        let mut uses = Self::default();
        uses.visit(tree, &mut Vec::new());
        for path in uses.paths.iter().chain(&uses.tested) {
            if let [root, rest @ ..] = path.as_slice() {
                uses.roots.entry(root.clone()).or_default().add(rest);
            }
        }
        uses.only_path = path_of(tree).is_some() && uses.paths.len() == 1;
        uses
    }

    /// What is read, each path once, in the order of the text.
    pub(crate) fn paths(&self) -> &[Vec<String>] {
        &self.paths
    }

    /// What `has()` asks for, which need not be there.
    pub(crate) fn tested(&self) -> &[Vec<String>] {
        &self.tested
    }

    /// The path, where the expression is nothing else.
    pub(super) fn only_path(&self) -> Option<&[String]> {
        self.paths.first().filter(|_| self.only_path).map(Vec::as_slice)
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = (&String, &Used)> {
        self.roots.iter()
    }

    fn add(&mut self, path: Vec<String>, bound: &[String]) {
        let is_bound = path.first().is_some_and(|root| bound.contains(root) || is_type(root))
            || matches!(path.as_slice(), [google, protobuf, of] if google == "google"
                && protobuf == "protobuf" && ["Timestamp", "Duration"].contains(&of.as_str()));
        if !is_bound && !self.paths.contains(&path) {
            self.paths.push(path);
        }
    }

    /// `bound`: names that loops give.
    fn visit(&mut self, node: &IdedExpr, bound: &mut Vec<String>) {
        if let Some(path) = path_of(node) {
            self.add(path, bound);
            return;
        }
        match &node.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
            Expr::Select(select) if select.test => match path_of(&select.operand) {
                Some(mut path) if !path.first().is_some_and(|root| bound.contains(root)) => {
                    path.push(select.field.clone());
                    self.tested.push(path);
                }
                _ => self.visit(&select.operand, bound),
            },
            Expr::Select(select) => self.visit(&select.operand, bound),
            Expr::Call(call) => {
                call.target.iter().for_each(|target| self.visit(target, bound));
                call.args.iter().for_each(|arg| self.visit(arg, bound));
            }
            Expr::List(list) => list.elements.iter().for_each(|each| self.visit(each, bound)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    self.visit(&entry.key, bound);
                    self.visit(&entry.value, bound);
                }
            }),
            Expr::Comprehension(loops) => {
                self.visit(&loops.iter_range, bound);
                let outside = bound.len();
                bound.extend([loops.iter_var.clone(), loops.accu_var.clone()]);
                bound.extend(loops.iter_var2.clone());
                for part in [&loops.accu_init, &loops.loop_cond, &loops.loop_step, &loops.result] {
                    self.visit(part, bound);
                }
                bound.truncate(outside);
            }
        }
    }
}

/// Names of CEL's types, which are values too.
fn is_type(name: &str) -> bool {
    const TYPES: [&str; 11] = [
        "bool",
        "bytes",
        "double",
        "dyn",
        "int",
        "list",
        "map",
        "null_type",
        "string",
        "type",
        "uint",
    ];
    TYPES.contains(&name)
}

/// `a.b["c"]` as its names.
pub(super) fn path_of(node: &IdedExpr) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut node = node;
    loop {
        match &node.expr {
            Expr::Ident(name) => {
                names.push(name.clone());
                names.reverse();
                return Some(names);
            }
            Expr::Select(select) if !select.test => {
                names.push(select.field.clone());
                node = &select.operand;
            }
            Expr::Call(call) if call.func_name == operators::INDEX => {
                let [of, index] = call.args.as_slice() else { return None };
                let Expr::Literal(LiteralValue::String(name)) = &index.expr else { return None };
                names.push(name.inner().to_owned());
                node = of;
            }
            Expr::Unspecified
            | Expr::Select(_)
            | Expr::Call(_)
            | Expr::Comprehension(_)
            | Expr::List(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Struct(_) => return None,
        }
    }
}
