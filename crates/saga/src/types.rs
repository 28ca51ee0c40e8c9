//! The types that a file can name.

use std::fmt;
use std::str::FromStr;

use events::Timestamp;
use serde_json::Value;

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// RFC 3339 text.
    Timestamp,
    /// `30s`, `1h30m`.
    Duration,
    /// A map of anything.
    Object,
    /// Anything.
    Any,
    /// A URI, or an object with `uri`.
    Dataset,
    /// A list of one type.
    List(Box<Type>),
    /// A map of text to one type.
    Map(Box<Type>),
    /// A map with these fields at least; `false`: the field may be absent.
    Record(Vec<(String, Type, bool)>),
}

/// Names of types within one another, as in `list<map<string>>`.
const DEPTH_MAX: usize = 8;

/// The types of one word.
const SIMPLE: [(&str, Type); 9] = [
    ("string", Type::String),
    ("integer", Type::Integer),
    ("number", Type::Number),
    ("boolean", Type::Boolean),
    ("timestamp", Type::Timestamp),
    ("duration", Type::Duration),
    ("object", Type::Object),
    ("any", Type::Any),
    ("dataset", Type::Dataset),
];

impl Type {
    /// Whether `value` is of this type.
    ///
    /// # Errors
    /// Where it is not: the path from `at`, what is wanted and what was found.
    pub fn accept(&self, value: &Value, at: &str) -> Result<(), String> {
        let fits = match (self, value) {
            (Self::Any, _)
            | (Self::String, Value::String(_))
            | (Self::Number, Value::Number(_))
            | (Self::Boolean, Value::Bool(_))
            | (Self::Object, Value::Object(_)) => true,
            (Self::Integer, Value::Number(number)) => is_whole(number),
            (Self::Timestamp, Value::String(text)) => Timestamp::from_str(text).is_ok(),
            (Self::Duration, Value::String(text)) => crate::duration::parse(text).is_ok(),
            (Self::Dataset, Value::String(text)) => is_uri(text),
            (Self::Dataset, Value::Object(map)) => {
                map.get("uri").and_then(Value::as_str).is_some_and(is_uri)
            }
            (Self::List(of), Value::Array(list)) => {
                for (index, each) in list.iter().enumerate() {
                    of.accept(each, &format!("{at}[{index}]"))?;
                }
                true
            }
            (Self::Map(of), Value::Object(map)) => {
                for (name, each) in map {
                    of.accept(each, &format!("{at}.{name}"))?;
                }
                true
            }
            (Self::Record(fields), Value::Object(map)) => {
                for (name, of, required) in fields {
                    match map.get(name) {
                        None if *required => {
                            return Err(format!("`{at}` lacks the field `{name}`"));
                        }
                        None => {}
                        Some(Value::Null) if !required => {}
                        Some(value) => of.accept(value, &format!("{at}.{name}"))?,
                    }
                }
                true
            }
            (
                Self::String
                | Self::Integer
                | Self::Number
                | Self::Boolean
                | Self::Timestamp
                | Self::Duration
                | Self::Object
                | Self::Dataset
                | Self::List(_)
                | Self::Map(_)
                | Self::Record(_),
                _,
            ) => false,
        };
        if fits {
            Ok(())
        } else {
            Err(format!("`{at}` must be {self}, found {}", described(value)))
        }
    }

    /// The type that a file's text names; the second: whether a `?` says that it may be absent.
    ///
    /// # Errors
    /// The part of the text that names none.
    pub(crate) fn parse(text: &str) -> Result<(Self, bool), String> {
        let (text, optional) = match text.strip_suffix('?') {
            Some(text) => (text, true),
            None => (text, false),
        };
        Ok((Self::parse_whole(text.trim(), 0)?, optional))
    }

    fn parse_whole(text: &str, depth: usize) -> Result<Self, String> {
        if let Some((_, simple)) = SIMPLE.iter().find(|(name, _)| *name == text) {
            return Ok(simple.clone());
        }
        let within = |outer: &str| text.strip_prefix(outer)?.strip_prefix('<')?.strip_suffix('>');
        if depth < DEPTH_MAX {
            if let Some(of) = within("list") {
                return Ok(Self::List(Box::new(Self::parse_whole(of.trim(), depth + 1)?)));
            }
            if let Some(of) = within("map") {
                return Ok(Self::Map(Box::new(Self::parse_whole(of.trim(), depth + 1)?)));
            }
        }
        Err(text.to_owned())
    }

    /// The words that a type is made of.
    pub(crate) fn words() -> impl Iterator<Item = &'static str> {
        SIMPLE.iter().map(|(name, _)| *name).chain(["list<any>", "map<any>"])
    }

    /// Whether a value of type `of` can not be one of this type, whatever it is.
    pub(crate) fn excludes(&self, of: &Self) -> bool {
        match (self, of) {
            (Self::Any, _) | (_, Self::Any) => false,
            (Self::Timestamp, Self::Duration) | (Self::Duration, Self::Timestamp) => true,
            // What is text may be a time, a duration or a URI.
            (
                Self::String | Self::Timestamp | Self::Duration | Self::Dataset,
                Self::String | Self::Timestamp | Self::Duration | Self::Dataset,
            )
            | (Self::Integer | Self::Number, Self::Integer | Self::Number)
            | (Self::Boolean, Self::Boolean) => false,
            (Self::List(this), Self::List(other)) | (Self::Map(this), Self::Map(other)) => {
                this.excludes(other)
            }
            (this, other) => !(this.is_map() && other.is_map()),
        }
    }

    /// Whether something of this type is declared to be a number.
    pub(crate) fn has_numbers(&self) -> bool {
        match self {
            Self::Number => true,
            Self::List(of) | Self::Map(of) => of.has_numbers(),
            Self::Record(fields) => fields.iter().any(|(_, of, _)| of.has_numbers()),
            Self::String
            | Self::Integer
            | Self::Boolean
            | Self::Timestamp
            | Self::Duration
            | Self::Object
            | Self::Any
            | Self::Dataset => false,
        }
    }

    /// Makes doubles of what is declared to be a number and has no fraction.
    pub(crate) fn widen(&self, value: &mut Value) {
        match (self, value) {
            (Self::Number, value) => {
                if let Some(double) = value.as_f64() {
                    *value = double.into();
                }
            }
            (Self::List(of), Value::Array(list)) => list.iter_mut().for_each(|it| of.widen(it)),
            (Self::Map(of), Value::Object(map)) => map.values_mut().for_each(|it| of.widen(it)),
            (Self::Record(fields), Value::Object(map)) => {
                for (name, of, _) in fields {
                    map.get_mut(name).into_iter().for_each(|it| of.widen(it));
                }
            }
            _ => {}
        }
    }

    /// Whether a value of this type has a text to stand within another.
    pub(crate) const fn can_be_text(&self) -> bool {
        match self {
            Self::String
            | Self::Integer
            | Self::Number
            | Self::Boolean
            | Self::Timestamp
            | Self::Duration
            | Self::Any
            | Self::Dataset => true,
            Self::Object | Self::List(_) | Self::Map(_) | Self::Record(_) => false,
        }
    }

    const fn is_map(&self) -> bool {
        matches!(self, Self::Object | Self::Map(_) | Self::Record(_) | Self::Dataset)
    }

    /// The type of a path of fields within a value of this type. `Err`: the field that there is not,
    /// and those that there are.
    pub(crate) fn at(&self, path: &[String]) -> Result<Self, (String, Vec<String>)> {
        let [field, rest @ ..] = path else { return Ok(self.clone()) };
        match self {
            Self::Any | Self::Object => Ok(Self::Any),
            Self::Map(of) => of.at(rest),
            Self::Dataset if field == "uri" => Self::String.at(rest),
            Self::Dataset => Ok(Self::Any),
            Self::Record(fields) => match fields.iter().find(|(name, ..)| name == field) {
                Some((_, of, _)) => of.at(rest),
                None => {
                    let names = fields.iter().map(|(name, ..)| name.clone()).collect();
                    Err((field.clone(), names))
                }
            },
            Self::String
            | Self::Integer
            | Self::Number
            | Self::Boolean
            | Self::Timestamp
            | Self::Duration
            | Self::List(_) => Err((field.clone(), Vec::new())),
        }
    }
}

/// The form in a file; a record in braces.
impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(of) => write!(out, "list<{of}>"),
            Self::Map(of) => write!(out, "map<{of}>"),
            Self::Record(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, of, required)| {
                        format!("{name}: {of}{}", if *required { "" } else { "?" })
                    })
                    .collect();
                write!(out, "{{{}}}", fields.join(", "))
            }
            Self::String
            | Self::Integer
            | Self::Number
            | Self::Boolean
            | Self::Timestamp
            | Self::Duration
            | Self::Object
            | Self::Any
            | Self::Dataset => {
                let word = SIMPLE.iter().find(|(_, of)| of == self).map_or("any", |(word, _)| word);
                out.write_str(word)
            }
        }
    }
}

/// What a value is, with the value where it is short.
pub(crate) fn described(value: &Value) -> String {
    const SHOWN_CHARS_MAX: usize = 40;
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(is) => is.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => match text.char_indices().nth(SHOWN_CHARS_MAX) {
            None => format!("the text {text:?}"),
            Some((end, _)) => format!("the text {:?}...", text.get(..end).unwrap_or_default()),
        },
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "a map".to_owned(),
    }
}

/// The text of a number or a boolean; of 3.0 that of 3, which is the same number.
pub(crate) fn text_of(value: &Value) -> String {
    /// Below it a double has every whole number.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let double = value.as_number().filter(|number| number.is_f64()).and_then(|it| it.as_f64());
    match double.filter(|double| double.fract() == 0.0 && double.abs() < WHOLE_MAX) {
        // Zero has a sign, which is not said.
        Some(double) => format!("{}", double + 0.0),
        None => value.to_string(),
    }
}

/// JSON knows no integers: 3.0 is one, and some clients write it so.
fn is_whole(number: &serde_json::Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

/// A scheme, a colon and something: a reference, not the thing itself.
fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_takes_its_values_and_no_others() {
        let cases = [
            ("string", json!("a"), json!(1)),
            ("integer", json!(3.0), json!(3.5)),
            ("number", json!(3.5), json!("3.5")),
            ("boolean", json!(true), json!("true")),
            ("timestamp", json!("2026-11-22T10:00:00Z"), json!("2026-11-22")),
            ("duration", json!("1h30m"), json!("90")),
            ("object", json!({}), json!([])),
            ("dataset", json!("s3://drop/a.csv"), json!("a.csv")),
            ("dataset", json!({"uri": "s3://drop/a.csv"}), json!({"url": "s3://drop"})),
            ("list<integer>", json!([1, 2]), json!([1, "2"])),
            ("map<list<string>>", json!({"a": ["b"]}), json!({"a": ["b", null]})),
        ];
        for (name, good, bad) in cases {
            let (of, _) = Type::parse(name).unwrap();
            assert_eq!(of.to_string(), name);
            assert_eq!(of.accept(&good, "v"), Ok(()), "{name}");
            assert!(of.accept(&bad, "v").is_err(), "{name} of {bad}");
        }
        assert_eq!(Type::Any.accept(&json!(null), "v"), Ok(()));
    }

    #[test]
    fn a_record_wants_its_fields_and_takes_more() {
        let record = Type::Record(vec![
            ("id".into(), Type::String, true),
            ("note".into(), Type::List(Box::new(Type::String)), false),
        ]);
        let said = |value| record.accept(&value, "output");
        assert_eq!(said(json!({"id": "a", "note": null, "more": 1})), Ok(()));
        assert_eq!(said(json!({"note": []})), Err("`output` lacks the field `id`".into()));
        assert_eq!(
            said(json!({"id": "a", "note": ["b", 7]})),
            Err("`output.note[1]` must be string, found the number 7".into())
        );
        assert_eq!(
            said(json!(null)),
            Err("`output` must be {id: string, note: list<string>?}, found null".into())
        );
    }

    #[test]
    fn types_that_share_no_value_exclude_one_another() {
        let excludes = |this: &str, other: &str| {
            Type::parse(this).unwrap().0.excludes(&Type::parse(other).unwrap().0)
        };
        for (this, other) in [
            ("string", "number"),
            ("list<string>", "list<object>"),
            ("boolean", "string"),
            ("timestamp", "duration"),
            ("object", "list<any>"),
        ] {
            assert!(excludes(this, other), "{this} {other}");
        }
        for (this, other) in [
            ("number", "integer"),
            ("string", "timestamp"),
            ("object", "map<string>"),
            ("any", "string"),
            ("list<any>", "list<string>"),
        ] {
            assert!(!excludes(this, other), "{this} {other}");
        }
    }
}
