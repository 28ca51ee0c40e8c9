//! The type of an expression's value, where that can be told without running it.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::paths::path_of;
use super::tree::children;
use super::{arithmetic, calendar};
use crate::types::Type;

/// What is known of the types of paths.
type Typed<'t> = &'t dyn Fn(&[String]) -> Option<Type>;

/// What is known of a value within an expression, where a time is not the text that it is outside.
#[derive(Clone, PartialEq)]
enum Known {
    Data(Type),
    Time,
    Span,
}

/// `typed` knows the types of paths; `None`: it can not be told.
pub(super) fn type_of(node: &IdedExpr, typed: Typed<'_>) -> Option<Type> {
    Some(match known(node, typed)? {
        Known::Data(of) => of,
        Known::Time => Type::Timestamp,
        Known::Span => Type::Duration,
    })
}

/// The first text that is compared or computed with as if it were a time or a duration: the path, and the
/// function that makes it one. Equality would always be false, all else fails at run time.
pub(super) fn text_beside_time(
    node: &IdedExpr,
    typed: Typed<'_>,
) -> Option<(String, &'static str)> {
    if let Expr::Call(call) = &node.expr
        && let [left, right] = call.args.as_slice()
        && is_of_two(arithmetic::cels(&call.func_name))
    {
        for (text, other) in [(left, right), (right, left)] {
            let other = known(other, typed);
            if let Some(other @ (Known::Time | Known::Span)) = other
                && let Some(Known::Data(of)) = known(text, typed)
                && is_text(&of)
                && let Some(path) = path_of(text)
            {
                let is_span = of == Type::Duration || of == Type::String && other == Known::Span;
                return Some((path.join("."), if is_span { "duration" } else { "timestamp" }));
            }
        }
    }
    children(node).into_iter().find_map(|child| text_beside_time(child, typed))
}

fn is_of_two(operator: &str) -> bool {
    [
        operators::ADD,
        operators::SUBSTRACT,
        operators::EQUALS,
        operators::NOT_EQUALS,
        operators::LESS,
        operators::LESS_EQUALS,
        operators::GREATER,
        operators::GREATER_EQUALS,
    ]
    .contains(&operator)
}

const fn is_text(of: &Type) -> bool {
    matches!(of, Type::String | Type::Timestamp | Type::Duration)
}

fn known(node: &IdedExpr, typed: Typed<'_>) -> Option<Known> {
    if let Some(path) = path_of(node) {
        return typed(&path).map(Known::Data);
    }
    match &node.expr {
        Expr::Literal(literal) => of_literal(literal).map(Known::Data),
        Expr::Select(select) => select.test.then_some(Known::Data(Type::Boolean)),
        Expr::List(_) => Some(Known::Data(Type::List(Box::new(Type::Any)))),
        Expr::Map(_) => Some(Known::Data(Type::Object)),
        Expr::Call(call) => match (arithmetic::cels(&call.func_name), call.args.as_slice()) {
            (operators::CONDITIONAL, [_, yes, no]) => {
                let yes = known(yes, typed)?;
                (known(no, typed)? == yes).then_some(yes)
            }
            ("timestamp", _) => Some(Known::Time),
            ("duration", _) => Some(Known::Span),
            (operator, [left, right]) if is_arithmetic(operator) => {
                computed(operator, known(left, typed)?, known(right, typed)?)
            }
            (name, _) => of_function(name).map(Known::Data),
        },
        Expr::Unspecified | Expr::Ident(_) | Expr::Struct(_) | Expr::Comprehension(_) => None,
    }
}

fn of_function(name: &str) -> Option<Type> {
    match name {
        operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::EQUALS
        | operators::NOT_EQUALS
        | operators::LESS
        | operators::LESS_EQUALS
        | operators::GREATER
        | operators::GREATER_EQUALS
        | operators::IN
        | "contains"
        | "startsWith"
        | "endsWith"
        | "matches"
        | "bool" => Some(Type::Boolean),
        "string" | "join" | "lower" | "upper" | "trim" | "substring" | "json" | "sha256" => {
            Some(Type::String)
        }
        "size" | "int" | "uint" => Some(Type::Integer),
        "double" => Some(Type::Number),
        "split" => Some(Type::List(Box::new(Type::String))),
        "merge" => Some(Type::Object),
        name => calendar::names().any(|known| known == name).then_some(Type::Integer),
    }
}

fn is_arithmetic(operator: &str) -> bool {
    [
        operators::ADD,
        operators::SUBSTRACT,
        operators::MULTIPLY,
        operators::DIVIDE,
        operators::MODULO,
    ]
    .contains(&operator)
}

fn computed(operator: &str, left: Known, right: Known) -> Option<Known> {
    match (operator, left, right) {
        (operators::SUBSTRACT, Known::Time, Known::Time) => Some(Known::Span),
        (operators::ADD | operators::SUBSTRACT, Known::Time, Known::Span)
        | (operators::ADD, Known::Span, Known::Time) => Some(Known::Time),
        (operators::ADD | operators::SUBSTRACT, Known::Span, Known::Span) => Some(Known::Span),
        (_, Known::Data(left), Known::Data(right)) => match (left, right) {
            (Type::Integer, Type::Integer) => Some(Known::Data(Type::Integer)),
            (Type::Integer | Type::Number, Type::Integer | Type::Number) => {
                Some(Known::Data(Type::Number))
            }
            (left, right) if operator == operators::ADD && is_text(&left) && is_text(&right) => {
                Some(Known::Data(Type::String))
            }
            (left, right) => {
                (operator == operators::ADD && left == right).then_some(Known::Data(left))
            }
        },
        _ => None,
    }
}

fn of_literal(literal: &LiteralValue) -> Option<Type> {
    match literal {
        LiteralValue::Boolean(_) => Some(Type::Boolean),
        LiteralValue::Double(_) => Some(Type::Number),
        LiteralValue::Int(_) | LiteralValue::UInt(_) => Some(Type::Integer),
        LiteralValue::String(_) => Some(Type::String),
        LiteralValue::Bytes(_) | LiteralValue::Null => None,
    }
}
