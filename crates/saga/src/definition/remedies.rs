//! What to do about an expression that is none, or is of the wrong type.

use super::said::Wanted;
use crate::types::Type;

/// What to do about an expression that does not compile.
pub(super) fn of_expression(reason: &str) -> &'static str {
    if reason.contains("pattern") {
        "a pattern is RE2's and stands here as text, as in `inputs.sku.matches(\"^[A-Z]+$\")`"
    } else if reason.contains("function") || reason.contains("arguments") {
        "functions: CEL's own, such as size, string, int, double, contains, startsWith, timestamp, \
         duration; and sum min max join split lower upper trim substring json parse_json sha256 merge"
    } else {
        "inside `${...}` is CEL, as in `inputs.total > 10.0 && size(inputs.lines) > 0`; quote what \
         holds `: ` or ` #`"
    }
}

/// How a value of one type becomes what is wanted.
pub(super) fn to_wanted(source: &str, of: &Type, wanted: Wanted) -> String {
    match wanted {
        Wanted::Any => "another path".to_owned(),
        Wanted::Map => format!("a map: `{{NAME: \"${{{source}}}\"}}`"),
        Wanted::Truth => to_boolean(source, of),
        Wanted::Text => to_text(source, of),
        Wanted::Time => to_type(source, of, &Type::Timestamp),
        Wanted::List => to_list(source, of),
    }
}

/// How a value of one type becomes one of another.
pub(super) fn to_type(source: &str, of: &Type, wanted: &Type) -> String {
    match wanted {
        Type::String => to_text(source, of),
        Type::Integer => format!("`int({source})`"),
        Type::Number => format!("`double({source})`"),
        Type::Boolean => to_boolean(source, of),
        Type::Timestamp => to_time(source, of),
        Type::Duration => format!("`duration({source})` of text such as 1h30m"),
        Type::Object | Type::Map(_) | Type::Record(_) => {
            format!("a map: `{{NAME: \"${{{source}}}\"}}`")
        }
        Type::List(_) => to_list(source, of),
        Type::Any | Type::Dataset => "another path, or a field of this one".to_owned(),
    }
}

fn to_time(source: &str, of: &Type) -> String {
    match of {
        Type::Duration => format!("a time and this, `timestamp(saga.now) + {source}`"),
        Type::Integer | Type::Number => {
            format!("`timestamp(int({source}))`, if it counts seconds since 1970")
        }
        Type::String | Type::Timestamp | Type::Any => {
            format!("`timestamp({source})`, if it reads as 2026-11-22T10:00:00Z")
        }
        Type::Boolean
        | Type::Object
        | Type::Map(_)
        | Type::Record(_)
        | Type::List(_)
        | Type::Dataset => "a text that reads as 2026-11-22T10:00:00Z".to_owned(),
    }
}

fn to_boolean(source: &str, of: &Type) -> String {
    match of {
        Type::List(_) => format!("compare it, as in `size({source}) > 0`"),
        Type::Integer => format!("compare it, as in `{source} > 0`"),
        Type::Number => format!("compare it, as in `{source} > 0.0`"),
        Type::Object | Type::Map(_) | Type::Record(_) => {
            format!("compare a field of it, as in `{source}.NAME == \"...\"`")
        }
        Type::String
        | Type::Boolean
        | Type::Timestamp
        | Type::Duration
        | Type::Any
        | Type::Dataset => format!("compare it, as in `{source} == \"...\"`"),
    }
}

fn to_text(source: &str, of: &Type) -> String {
    match of {
        Type::List(_) => {
            format!("an element of it, `{source}[0]`, or all of it, `json({source})`")
        }
        Type::Object | Type::Map(_) | Type::Record(_) | Type::Dataset => {
            format!("a field of it, `{source}.NAME`, or all of it, `json({source})`")
        }
        Type::String
        | Type::Integer
        | Type::Number
        | Type::Boolean
        | Type::Timestamp
        | Type::Duration
        | Type::Any => format!("`string({source})`"),
    }
}

fn to_list(source: &str, of: &Type) -> String {
    match of {
        Type::String => format!("`split({source}, \",\")`, or a list of one, `[{source}]`"),
        Type::Object | Type::Map(_) | Type::Record(_) => {
            format!("a field of it that is a list, `{source}.NAME`")
        }
        Type::Integer
        | Type::Number
        | Type::Boolean
        | Type::Timestamp
        | Type::Duration
        | Type::Any
        | Type::Dataset
        | Type::List(_) => format!("a list of one, `[{source}]`"),
    }
}
