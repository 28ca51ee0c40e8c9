//! The type of an expression's value, where that can be told without running it.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::paths::path_of;
use crate::types::Type;

/// `typed` knows the types of paths; `None`: it can not be told.
pub(super) fn type_of(node: &IdedExpr, typed: &dyn Fn(&[String]) -> Option<Type>) -> Option<Type> {
    if let Some(path) = path_of(node) {
        return typed(&path);
    }
    match &node.expr {
        Expr::Literal(literal) => of_literal(literal),
        Expr::Select(select) => select.test.then_some(Type::Boolean),
        Expr::List(_) => Some(Type::List(Box::new(Type::Any))),
        Expr::Map(_) => Some(Type::Object),
        Expr::Call(call) => match call.func_name.as_str() {
            operators::CONDITIONAL => {
                let [_, yes, no] = call.args.as_slice() else { return None };
                let yes = type_of(yes, typed)?;
                (type_of(no, typed)? == yes).then_some(yes)
            }
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
            | "bool" => Some(Type::Boolean),
            "string" | "join" | "lower" | "upper" | "trim" | "substring" | "json" | "sha256" => {
                Some(Type::String)
            }
            "size" | "int" | "uint" => Some(Type::Integer),
            "double" => Some(Type::Number),
            "split" => Some(Type::List(Box::new(Type::String))),
            "merge" => Some(Type::Object),
            operators::ADD => {
                let [left, right] = call.args.as_slice() else { return None };
                let left = type_of(left, typed)?;
                (type_of(right, typed)? == left).then_some(left)
            }
            _ => None,
        },
        Expr::Unspecified | Expr::Ident(_) | Expr::Struct(_) | Expr::Comprehension(_) => None,
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
