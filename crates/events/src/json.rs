//! The user's JSON, kept as text.

use std::fmt;
use std::sync::Arc;

use minicbor::{Decode, Decoder, Encode, Encoder};
use serde_json::Value;

/// One JSON value as compact text: shared, never parsed where it is only carried. Its bytes are
/// journalled, so what is sent again is the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json(Arc<str>);

impl Json {
    /// The text of `value`.
    #[must_use]
    pub fn from_value(value: &Value) -> Self {
        Self(value.to_string().into())
    }

    /// The value `null`.
    #[must_use]
    pub fn null() -> Self {
        Self("null".into())
    }

    /// Reads bytes that should be one JSON value in UTF-8.
    ///
    /// # Errors
    /// What serde_json says is wrong, with line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<Value>(bytes).map(|value| Self::from_value(&value))
    }

    /// The value. Text that is not JSON cannot get in, so this gives `null` only for `null`.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }

    /// Takes text that is known to be one compact JSON value, as the codecs of this crate wrote it.
    pub(crate) fn from_trusted(text: &str) -> Self {
        Self(text.into())
    }
}

/// How many lists and maps stand within one another in a text that should be JSON; told without reading it as
/// JSON, so that what is nested too deep is not taken in.
#[must_use]
pub fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                // To the end of the text; what is escaped is passed over.
                while let Some(byte) = bytes.next()
                    && *byte != b'"'
                {
                    if *byte == b'\\' {
                        bytes.next();
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

impl fmt::Display for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl<C> Encode<C> for Json {
    fn encode<W: minicbor::encode::Write>(
        &self,
        out: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        out.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Json {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Ok(Self::from_trusted(from.str()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_counts_brackets_outside_of_texts() {
        for (json, depth) in [
            ("", 0),
            ("7", 0),
            ("[]", 1),
            (r#"{"a":[1,{"b":2}],"c":[]}"#, 3),
            (r#"["[[[[", "\"[[", {"]": "\\"}]"#, 2),
            ("[[[[", 4),
            ("]]]][", 1),
            (r#""[[["#, 0),
        ] {
            assert_eq!(nesting(json.as_bytes()), depth, "{json}");
        }
    }
}
