//! Expressions: CEL behind types of our own. Compiled once; evaluation is bounded and has no effects.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

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
}

/// A scope of ready values.
impl Scope for BTreeMap<&str, Value> {
    fn root(&self, name: &str, _: &BTreeSet<String>) -> Option<Value> {
        self.get(name).cloned()
    }
}

/// One compiled expression.
#[derive(Debug)]
pub struct Expr {
    source: String,
}

impl Expr {
    /// Compiles the text that stands within `${...}`.
    ///
    /// # Errors
    /// What CEL says, or the bound that is exceeded.
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        Ok(Self { source: source.to_owned() })
    }

    /// Its value.
    ///
    /// # Errors
    /// What went wrong, with the values named.
    pub fn eval(&self, _scope: &dyn Scope) -> Result<Value, ExprError> {
        Err(ExprError { source_text: self.source.clone(), reason: "not evaluated".into(), at: 0 })
    }

    /// The paths of names that it reads: `["tasks", "payment", "output", "id"]`.
    #[must_use]
    pub fn paths(&self) -> &[Vec<String>] {
        &[]
    }
}

/// A value of the file in which every `${...}` is computed and nothing else is.
#[derive(Debug)]
pub enum Template {
    /// As it stands.
    Constant(Value),
    /// One `${...}`, which keeps its type.
    Computed(Expr),
    /// Text with expressions in it, each of which becomes text.
    Text(Vec<Piece>),
    /// A list.
    List(Vec<Template>),
    /// A map.
    Map(Vec<(String, Template)>),
}

/// A piece of a text.
#[derive(Debug)]
pub enum Piece {
    /// As it stands.
    Plain(String),
    /// Computed.
    Computed(Expr),
}

impl Template {
    /// Its value.
    ///
    /// # Errors
    /// Of the first expression that fails.
    pub fn eval(&self, scope: &dyn Scope) -> Result<Value, ExprError> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Computed(expr) => expr.eval(scope),
            Self::Text(_) | Self::List(_) | Self::Map(_) => Ok(Value::Null),
        }
    }
}
