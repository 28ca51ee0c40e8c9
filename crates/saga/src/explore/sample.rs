//! Values to try: one small one of each type, and those at which a condition of the file turns.

use serde_json::{Map, Number, Value, json};

use crate::types::Type;

/// A small value of a type. Texts are all the same, so that what is compared with one another is equal.
pub(super) fn of(of: &Type) -> Value {
    match of {
        Type::String => json!("x"),
        Type::Integer | Type::Number => json!(1),
        Type::Boolean => json!(true),
        Type::Timestamp => json!("2026-01-01T00:00:00Z"),
        Type::Duration => json!("1s"),
        Type::Object | Type::Any | Type::Map(_) => json!({}),
        Type::Dataset => json!("s3://x/x"),
        Type::List(of) => json!([self::of(of), self::of(of)]),
        Type::Record(fields) => {
            let fields = fields.iter().map(|(name, of, _)| (name.clone(), self::of(of)));
            Value::Object(fields.collect())
        }
    }
}

/// Whether a type leaves open what stands within.
pub(super) fn is_open(of: &Type) -> bool {
    match of {
        Type::Object | Type::Any | Type::Map(_) => true,
        Type::List(of) => is_open(of),
        Type::String
        | Type::Integer
        | Type::Number
        | Type::Boolean
        | Type::Timestamp
        | Type::Duration
        | Type::Dataset
        | Type::Record(_) => false,
    }
}

/// What a value may be in its place without being of another kind: `near` are the constants that the
/// conditions about it name.
pub(super) fn around(base: &Value, near: &[Value]) -> Vec<Value> {
    let mut values = vec![base.clone()];
    match base {
        Value::Bool(is) => values.push(json!(!is)),
        Value::String(_) => {
            values.extend(near.iter().filter(|value| value.is_string()).cloned());
            values.push(json!("y"));
        }
        Value::Number(_) => {
            for number in near.iter().filter_map(Value::as_f64) {
                values.extend([number, number + 1.0, number - 1.0].map(whole));
            }
            values.extend([json!(0), json!(1_000_000)]);
        }
        Value::Array(list) => {
            values.extend(list.first().map(|first| json!([first])));
            values.push(json!([]));
        }
        Value::Null => values.extend(near.iter().cloned()),
        Value::Object(_) => {}
    }
    let mut once: Vec<Value> = Vec::new();
    for value in values {
        if !once.contains(&value) {
            once.push(value);
        }
    }
    once
}

/// What stands where no type says: each kind of value once.
pub(super) fn guesses(near: &[Value]) -> Vec<Value> {
    let mut guesses = near.to_vec();
    guesses.extend([
        json!("x"),
        json!(1),
        json!(true),
        json!(["x", "x"]),
        json!({}),
        json!("2026-01-01T00:00:00Z"),
        json!([1, 1]),
        json!([{}, {}]),
    ]);
    guesses
}

fn whole(number: f64) -> Value {
    #[allow(clippy::cast_possible_truncation, reason = "small and without a fraction")]
    if number.fract() == 0.0 && number.abs() < 1e12 {
        return json!(number as i64);
    }
    Number::from_f64(number).map_or(json!(0), Value::Number)
}

/// The constants in an expression's text.
pub(super) fn constants(source: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        if first == '\'' || first == '"' {
            let Some((text, behind)) = after.split_once(first) else { return found };
            found.push(json!(text));
            rest = behind;
        } else if first.is_ascii_digit() {
            let is_part = |at: &char| at.is_ascii_digit() || *at == '.';
            let digits: String = rest.chars().take_while(is_part).collect();
            found.extend(digits.parse::<f64>().ok().map(whole));
            rest = rest.get(digits.len()..).unwrap_or_default();
        } else if first.is_alphanumeric() || first == '_' {
            let is_part = |at: char| at.is_alphanumeric() || at == '_';
            rest = rest.trim_start_matches(is_part);
        } else {
            rest = after;
        }
    }
    found
}

/// Puts a value where a path leads, making what is missing on the way. `[]`: in each element of a list.
pub(super) fn put(into: &mut Value, path: &[String], value: &Value) {
    let [name, rest @ ..] = path else {
        *into = value.clone();
        return;
    };
    if name == ELEMENT {
        if !into.is_array() {
            *into = json!([{}, {}]);
        }
        for each in into.as_array_mut().into_iter().flatten() {
            put(each, rest, value);
        }
        return;
    }
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    if let Some(map) = into.as_object_mut() {
        put(map.entry(name.clone()).or_insert(Value::Null), rest, value);
    }
}

/// What stands where a path leads; of a list, in its first element.
pub(super) fn get<'v>(from: &'v Value, path: &[String]) -> Option<&'v Value> {
    let [name, rest @ ..] = path else { return Some(from) };
    let next = if name == ELEMENT { from.as_array()?.first()? } else { from.get(name)? };
    get(next, rest)
}

/// In a path: each element of a list.
pub(super) const ELEMENT: &str = "[]";
