//! Values of the file in which every `${...}` is computed.

use std::fmt::Write as _;

use events::nesting;
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

    /// The text of its value where it is made of constants and of what stands in `scope` as text; `None`: it has to
    /// be computed. What [`Self::eval`] refuses is `None` as well.
    pub(crate) fn text(&self, scope: &dyn Scope) -> Option<String> {
        let mut text = String::with_capacity(128);
        self.copy(scope, &mut text)?;
        // Each level takes two bytes.
        let may_be_deep = text.len() > 2 * RESULT_DEPTH_MAX;
        Some(text).filter(|text| !(may_be_deep && nesting(text.as_bytes()) > RESULT_DEPTH_MAX))
    }

    fn copy(&self, scope: &dyn Scope, out: &mut String) -> Option<()> {
        match self {
            Self::Constant(value) => write!(out, "{value}").ok(),
            Self::Computed(expr) => {
                out.push_str(scope.text(expr.only_path()?)?);
                Some(())
            }
            Self::Text(_) => None,
            Self::List(list) => {
                let mut before = '[';
                for each in list {
                    out.push(before);
                    each.copy(scope, out)?;
                    before = ',';
                }
                out.push_str(if list.is_empty() { "[]" } else { "]" });
                Some(())
            }
            Self::Map(map) => {
                copy_map(map.iter().map(|(name, each)| (name.as_str(), each)), scope, out)
            }
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

/// The text of a map with these members, as [`Template::text`] gives it.
pub(crate) fn map_text<'a>(
    members: impl Iterator<Item = (&'a str, &'a Template)>,
    scope: &dyn Scope,
) -> Option<String> {
    let mut text = String::with_capacity(128);
    copy_map(members, scope, &mut text)?;
    let may_be_deep = text.len() > 2 * RESULT_DEPTH_MAX;
    Some(text).filter(|_| !may_be_deep)
}

/// Members by name, as in every map of ours.
fn copy_map<'a>(
    members: impl Iterator<Item = (&'a str, &'a Template)>,
    scope: &dyn Scope,
    out: &mut String,
) -> Option<()> {
    let mut members: Vec<_> = members.collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    if members.array_windows().any(|[(one, _), (other, _)]| one == other) {
        return None;
    }
    let mut before = '{';
    for (name, each) in &members {
        out.push(before);
        let is_plain = |byte: u8| byte >= b' ' && !matches!(byte, b'"' | b'\\');
        if !name.bytes().all(is_plain) {
            return None;
        }
        for piece in ["\"", name, "\":"] {
            out.push_str(piece);
        }
        each.copy(scope, out)?;
        before = ',';
    }
    out.push_str(if members.is_empty() { "{}" } else { "}" });
    Some(())
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
