//! Values of the file in which every `${...}` is computed.

use serde_json::{Map, Value};

use super::{Expr, ExprError, Scope};
use crate::limits::RESULT_DEPTH_MAX;
use crate::types::text_of;

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
    /// Of the first expression that fails; or it is nested deeper than a value may be.
    pub fn eval(&self, scope: &dyn Scope) -> Result<Value, ExprError> {
        let value = self.unbounded(scope)?;
        if is_deeper(&value, RESULT_DEPTH_MAX) {
            let source_text = self.exprs().first().map_or("", |expr| expr.source()).to_owned();
            let reason = format!("the result is nested more than {RESULT_DEPTH_MAX} deep");
            return Err(ExprError { source_text, reason, at: 0 });
        }
        Ok(value)
    }

    fn unbounded(&self, scope: &dyn Scope) -> Result<Value, ExprError> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Computed(expr) => expr.eval(scope),
            Self::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Plain(plain) => text.push_str(plain),
                        Piece::Computed(expr) => text.push_str(&as_text(expr, expr.eval(scope)?)?),
                    }
                }
                Ok(Value::String(text))
            }
            Self::List(list) => list
                .iter()
                .map(|each| each.unbounded(scope))
                .collect::<Result<_, _>>()
                .map(Value::Array),
            Self::Map(map) => map
                .iter()
                .map(|(name, each)| Ok((name.clone(), each.unbounded(scope)?)))
                .collect::<Result<Map<_, _>, _>>()
                .map(Value::Object),
        }
    }

    /// Its expressions, in the order of the file.
    pub(crate) fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Constant(_) => Vec::new(),
            Self::Computed(expr) => vec![expr],
            Self::Text(pieces) => pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Plain(_) => None,
                    Piece::Computed(expr) => Some(expr),
                })
                .collect(),
            Self::List(list) => list.iter().flat_map(Self::exprs).collect(),
            Self::Map(map) => map.iter().flat_map(|(_, each)| each.exprs()).collect(),
        }
    }
}

/// Whether lists and maps stand more than so many within one another.
fn is_deeper(value: &Value, depth: usize) -> bool {
    let Some(below) = depth.checked_sub(1) else { return value.is_array() || value.is_object() };
    match value {
        Value::Array(list) => list.iter().any(|each| is_deeper(each, below)),
        Value::Object(map) => map.values().any(|each| is_deeper(each, below)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// What a value is within a text.
fn as_text(expr: &Expr, value: Value) -> Result<String, ExprError> {
    let what = match value {
        Value::String(text) => return Ok(text),
        Value::Bool(_) | Value::Number(_) => return Ok(text_of(&value)),
        Value::Null => "null",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    };
    Err(expr.error(format!("it is {what}, which can not stand within a text")))
}
