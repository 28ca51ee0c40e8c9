//! Expressions: CEL behind types of our own. Compiled once; evaluation is bounded and has no effects.

mod arithmetic;
mod bounds;
mod calendar;
mod convert;
mod depth;
mod functions;
mod infer;
mod loops;
mod paths;
mod patterns;
mod template;
mod times;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;

use cel::common::ast::IdedExpr;
use cel::{Context, ExecutionError};
use serde_json::Value;

use crate::types::Type;

pub(crate) use functions::hex;
pub(crate) use paths::Uses;
pub(crate) use template::map_text;
pub use template::{Piece, Template};

/// Why an expression gave no value, at compile time or at run time. Display names the expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{source_text}`: {reason}")]
pub struct ExprError {
    /// The text within `${...}`.
    pub source_text: String,
    /// What is wrong, with the values named.
    pub reason: String,
    /// Where in the text, bytes.
    pub at: usize,
}

/// What names stand for while an expression runs.
pub trait Scope {
    /// The value of a root name (`inputs`, `tasks`, `event`, `saga`, `original`...). `members`: the names
    /// that the expression asks of it, so that a large root need not be built whole; empty means all.
    fn root(&self, name: &str, members: &BTreeSet<String>) -> Option<Value>;

    /// The JSON text of what a path names, where that is at hand and nothing has to be computed.
    fn text(&self, _path: &[String]) -> Option<&str> {
        None
    }
}

/// A scope of ready values.
impl Scope for BTreeMap<&str, Value> {
    fn root(&self, name: &str, members: &BTreeSet<String>) -> Option<Value> {
        self.get(name).map(|value| asked_of(value, members))
    }
}

/// The members that are asked of a root, or all of it: what is not asked for need not be copied.
pub(crate) fn asked_of(value: &Value, members: &BTreeSet<String>) -> Value {
    let Value::Object(map) = value else { return value.clone() };
    if members.is_empty() {
        return value.clone();
    }
    let asked = members.iter().filter_map(|name| Some((name.clone(), map.get(name)?.clone())));
    Value::Object(asked.collect())
}

/// A path, and what it is declared to be.
type Declared = (Vec<String>, Type);

/// One compiled expression.
pub struct Expr {
    source: String,
    tree: IdedExpr,
    uses: Box<Uses>,
    /// Whether a loop stands within another one.
    nests: bool,
    /// Of its `matches`.
    patterns: Box<[patterns::Pattern]>,
    /// The paths of which something is declared to be a number, once that is known.
    numbers: OnceLock<Box<[Declared]>>,
}

impl fmt::Debug for Expr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Expr").field(&self.source).finish()
    }
}

impl Expr {
    /// Compiles the text that stands within `${...}`.
    ///
    /// # Errors
    /// What CEL says, or the bound that is exceeded.
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        let (mut tree, offsets) = bounds::parse(source)?;
        let uses = Box::new(Uses::of(&tree));
        let mut patterns = Vec::new();
        functions::check_calls(&tree, &offsets)
            .and_then(|()| patterns::take(&mut tree, &offsets, &mut patterns))
            .map_err(|(at, reason)| ExprError { source_text: source.to_owned(), reason, at })?;
        arithmetic::rewrite(&mut tree);
        let nests = loops::order(&mut tree);
        let (source, patterns) = (source.to_owned(), patterns.into_boxed_slice());
        Ok(Self { source, tree, uses, nests, patterns, numbers: OnceLock::new() })
    }

    /// Its value.
    ///
    /// # Errors
    /// What went wrong, with the values named.
    pub fn eval(&self, scope: &dyn Scope) -> Result<Value, ExprError> {
        if let Some(path) = self.uses.only_path() {
            return self.walk(path, scope);
        }
        let mut context = Context::with_env(functions::environment());
        if self.nests {
            loops::bound(&mut context);
        }
        patterns::bind(&mut context, &self.patterns);
        let mut seen = Vec::new();
        for (name, used) in self.uses.roots() {
            let mut root = scope
                .root(name, &used.members())
                .ok_or_else(|| self.error(format!("`{name}` does not stand for anything here")))?;
            used.scalars(name, &root, &mut seen);
            self.widen(name, &mut root);
            let value = convert::to_cel(root, used).map_err(|reason| self.error(reason))?;
            context.add_variable_as_val(name.as_str(), value);
        }
        let value = cel::Value::resolve_val(&self.tree, &context)
            .map_err(|error| self.error(explain(&error, &seen)))?;
        convert::to_json(value.as_ref()).map_err(|reason| self.error(reason))
    }

    /// The path, where it is nothing else.
    pub(crate) fn only_path(&self) -> Option<&[String]> {
        self.uses.only_path()
    }

    /// The paths of names that it reads: `["tasks", "payment", "output", "id"]`.
    #[must_use]
    pub fn paths(&self) -> &[Vec<String>] {
        self.uses.paths()
    }

    /// The text within `${...}`.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// What it reads, and what it only tests for.
    pub(crate) fn uses(&self) -> &Uses {
        &self.uses
    }

    /// The type of its value where that can be told without running it. `typed` knows the types of paths.
    pub(crate) fn type_of(&self, typed: &dyn Fn(&[String]) -> Option<Type>) -> Option<Type> {
        infer::type_of(&self.tree, typed)
    }

    /// A text that it takes for a time or a duration, and the function that would make it one.
    pub(crate) fn text_beside_time(
        &self,
        typed: &dyn Fn(&[String]) -> Option<Type>,
    ) -> Option<(String, &'static str)> {
        infer::text_beside_time(&self.tree, typed)
    }

    /// What its paths are declared to be, which the checker knows: a `number` is a double, also where
    /// JSON has it without a fraction.
    pub(crate) fn declare(&self, types: Vec<Declared>) {
        let numbers = types.into_iter().filter(|(_, of)| of.has_numbers()).collect();
        // Said before, it was said of the same place.
        let _ = self.numbers.set(numbers);
    }

    /// Makes doubles of the declared numbers of a root.
    fn widen(&self, root: &str, value: &mut Value) {
        for (path, of) in self.numbers.get().into_iter().flat_map(|them| them.iter()) {
            let [first, fields @ ..] = path.as_slice() else { continue };
            if first == root {
                let found = fields.iter().try_fold(&mut *value, |at, field| at.get_mut(field));
                found.into_iter().for_each(|found| of.widen(found));
            }
        }
    }

    /// A bare path needs no interpreter.
    fn walk(&self, path: &[String], scope: &dyn Scope) -> Result<Value, ExprError> {
        let missing = |upto: &[String], name: &str| {
            self.error(match upto {
                [] => format!("`{name}` does not stand for anything here"),
                _ => format!("`{}` has no field `{name}`", upto.join(".")),
            })
        };
        let [name, fields @ ..] = path else { return Ok(Value::Null) };
        let members = fields.first().cloned().into_iter().collect();
        let mut value = scope.root(name, &members).ok_or_else(|| missing(&[], name))?;
        for (at, field) in fields.iter().enumerate() {
            let upto = path.get(..=at).unwrap_or_default();
            value = match value {
                Value::Object(mut map) => map.remove(field).ok_or_else(|| missing(upto, field))?,
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => {
                    let found = crate::types::described(&value);
                    let reason =
                        format!("`{}` is {found} and has no field `{field}`", upto.join("."));
                    return Err(self.error(reason));
                }
            };
        }
        // Nothing was computed: what it names has been bounded where it came in.
        Ok(value)
    }

    pub(crate) fn error(&self, reason: String) -> ExprError {
        ExprError { source_text: self.source.clone(), reason, at: 0 }
    }
}

/// What went wrong, in our words, and the values that it went wrong with.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "an enum of CEL's that may grow; what it says of itself will do"
)]
fn explain(error: &ExecutionError, seen: &[(String, String)]) -> String {
    let reason = match error {
        ExecutionError::NoSuchKey(name) => format!("there is no field `{name}`"),
        ExecutionError::FunctionError { function, message } if function == functions::EACH => {
            message.clone()
        }
        ExecutionError::FunctionError { function, message } => format!("{function}: {message}"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "the number does not fit into 64 bits".to_owned(),
        ExecutionError::UndeclaredReference(name) => format!("`{name}` is not known here"),
        ExecutionError::NoSuchOverload(overload) => format!(
            "`{}` does not take {}",
            readable(overload.function()),
            overload
                .argument_types()
                .iter()
                .map(|name| said(name))
                .collect::<Vec<_>>()
                .join(" and ")
        ),
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
            format!("`{}` does not take {} and {}", sign(operator), left.type_of(), right.type_of())
        }
        other => {
            let mut text = other.to_string();
            if let Some((end, _)) = text.char_indices().nth(200) {
                text.truncate(end);
            }
            text
        }
    };
    let values: Vec<String> =
        seen.iter().take(4).map(|(path, value)| format!("{path} = {value}")).collect();
    if values.is_empty() { reason } else { format!("{reason} (with {})", values.join(", ")) }
}

/// An operator's sign, from CEL's name for it.
fn readable(function: &str) -> &str {
    function.trim_matches('_').trim_start_matches('@')
}

/// CEL's types by the names that the file has for them.
fn said(name: &str) -> &str {
    match name {
        "google.protobuf.Timestamp" => "timestamp",
        "google.protobuf.Duration" => "duration",
        name => name,
    }
}

fn sign(operator: &str) -> &str {
    match operator {
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        other => other,
    }
}

#[cfg(test)]
mod tests;
