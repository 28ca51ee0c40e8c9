//! The user's JSON, kept as text.

use std::fmt;
use std::sync::Arc;

use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
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

    /// Takes text that was put together of the texts of other values.
    #[must_use]
    pub fn copied(text: &str) -> Self {
        debug_assert!(Self::is_json(text), "not JSON: {text}");
        Self(text.into())
    }

    /// The text of a member of a member, as the names say. `None`: it is not there, or must be read to be found.
    #[must_use]
    pub fn at(&self, names: &[String]) -> Option<&str> {
        names.iter().try_fold(self.as_str(), |text, name| member(text, name))
    }

    /// Whether `text` is what [`Json::parse`] takes; told without building the value.
    pub(crate) fn is_json(text: &str) -> bool {
        serde_json::from_str::<Sound>(text).is_ok()
    }

    /// Takes text that is known to be one compact JSON value, as the codecs of this crate wrote it.
    pub(crate) fn from_trusted(text: &str) -> Self {
        Self(text.into())
    }
}

/// The text of a map's member, in compact JSON.
fn member<'a>(map: &'a str, name: &str) -> Option<&'a str> {
    // What JSON escapes is not looked for.
    if name.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        return None;
    }
    let mut rest = map.strip_prefix('{')?;
    loop {
        let key = rest.get(..text_end(rest)?)?;
        let value = rest.get(key.len()..)?.strip_prefix(':')?;
        let end = value_end(value)?;
        if key.get(1..key.len() - 1) == Some(name) {
            return value.get(..end);
        }
        rest = value.get(end..)?.strip_prefix(',')?;
    }
}

/// The length of the text, quotes included, that `json` begins with.
fn text_end(json: &str) -> Option<usize> {
    let mut bytes = json.bytes().enumerate();
    bytes.next().filter(|(_, byte)| *byte == b'"')?;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    None
}

/// The length of the value that `json` begins with, and that a comma or the end of its map stands behind.
fn value_end(json: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        match json.as_bytes().get(at)? {
            b'"' => at += text_end(json.get(at..)?)? - 1,
            b'{' | b'[' => depth += 1,
            b',' | b'}' if depth == 0 => return Some(at).filter(|at| *at > 0),
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b' ' | b'\t' | b'\r' | b'\n' => return None,
            _ => {}
        }
        at += 1;
    }
}

/// A value that is read, as [`Value`] is, and not kept.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_json_is_told_as_reading_it_tells() {
        let deep = |by: usize| format!("{}{}", "[".repeat(by), "]".repeat(by));
        let texts = [
            "",
            "null",
            "true",
            "nul",
            "1",
            "-0",
            "1e999",
            "-1e999",
            "1e-999",
            "0.1e5",
            "01",
            "1.",
            "18446744073709551616",
            "\"a\"",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "\"\\q\"",
            "\"\u{1}\"",
            "[1,\"a\",{}]",
            "[1,]",
            "{\"a\":{\"b\":[null]},\"a\":2}",
            "{\"a\"}",
            "{1:2}",
            "{} {}",
            " [ ] ",
        ];
        for text in texts.into_iter().chain([deep(127).as_str(), &deep(128)]) {
            let read = serde_json::from_str::<Value>(text);
            assert_eq!(Json::is_json(text), read.is_ok(), "{text}");
        }
    }

    #[test]
    fn a_number_passes_as_it_came() {
        // Read with less care than these need, each is the one beside it.
        for text in ["31.245270191439438", "2.2250738585072014e-308", "-90071992547.40993"] {
            let read = Json::parse(text.as_bytes()).unwrap();
            assert_eq!(read.as_str(), text);
            assert_eq!(Json::from_value(&read.value()), read);
        }
    }

    #[test]
    fn a_member_is_found_in_the_text() {
        let json = Json::parse(
            r#"{"a":{"b":[1,{"c":"}\\","d":"\""}],"bb":-1.5e9},"é":null,"q\"":1,"z":"a,\"}"}"#
                .as_bytes(),
        )
        .unwrap();
        let at = |names: &[&str]| {
            let names: Vec<String> = names.iter().copied().map(String::from).collect();
            json.at(&names)
        };
        assert_eq!(at(&[]), Some(json.as_str()));
        let paths: [&[&str]; 5] = [&["a"], &["a", "b"], &["a", "bb"], &["é"], &["z"]];
        for path in paths {
            let value = path.iter().fold(json.value(), |value, name| value[*name].clone());
            assert_eq!(at(path), Some(value.to_string().as_str()), "{path:?}");
        }
        let paths: [&[&str]; 5] = [&["b"], &["a", "c"], &["z", "a"], &["q\""], &["q\\\""]];
        for path in paths {
            assert_eq!(at(path), None, "{path:?}");
        }
        assert_eq!(Json::from_trusted(r#"{ "a": 1 }"#).at(&["a".into()]), None);
        assert_eq!(Json::from_trusted(r#"{"a": 1}"#).at(&["a".into()]), None);
    }

    /// JSON as others write it: with spaces, escapes, numbers in all spellings, and keys that come twice.
    fn written() -> impl Strategy<Value = String> {
        let char = prop_oneof![
            "[ -!#-\\[\\]-~]",
            r#"\\["\\/bfnrt]"#,
            r"\\u00[0-7][0-9a-fA-F]",
            Just(r"\ud83d\uDE00".to_owned()),
            any::<char>()
                .prop_filter("escaped", |it| *it >= ' ' && !matches!(it, '"' | '\\'))
                .prop_map(String::from),
        ];
        let string =
            prop::collection::vec(char, 0..6).prop_map(|it| format!("\"{}\"", it.concat()));
        let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?";
        let leaf = prop_oneof!["null|true|false", number, string];
        let key = r#""(a|b|a,b|:|\}|é|\\u0061|q\\"|\\\\|)""#;
        leaf.prop_recursive(5, 40, 5, move |inner| {
            let spaced = ("[ \t\r\n]{0,2}", inner, "[ \n]?").prop_map(|(a, b, c)| a + &b + &c);
            let member = (key, "[ \t]?", spaced.clone()).prop_map(|(a, b, c)| a + &b + ":" + &c);
            let list =
                prop::collection::vec(spaced, 0..5).prop_map(|it| format!("[{}]", it.join(",")));
            let map = prop::collection::vec(member, 0..5);
            prop_oneof![list, map.prop_map(|it| format!("{{{}}}", it.join(",")))]
        })
    }

    /// Every path that there is, and beside each one that there is not.
    fn paths(value: &Value, to: &[String], out: &mut Vec<Vec<String>>) {
        out.push(to.to_vec());
        out.push([to, &["none".to_owned()]].concat());
        for (name, below) in value.as_object().into_iter().flatten() {
            paths(below, &[to, std::slice::from_ref(name)].concat(), out);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_scanner_finds_what_the_parser_finds(text in written()) {
            let json = Json::parse(text.as_bytes()).unwrap();
            let value = json.value();
            prop_assert_eq!(&Json::from_value(&value), &json);
            let mut all = Vec::new();
            paths(&value, &[], &mut all);
            for path in all {
                let read = path.iter().try_fold(&value, |value, name| value.get(name));
                // A name that JSON escapes is left to the parser.
                let plain = !path.iter().any(|name| name.contains(['"', '\\']));
                let expected = read.filter(|_| plain).map(Value::to_string);
                prop_assert_eq!(json.at(&path), expected.as_deref(), "{:?} of {}", path, json);
            }
        }
    }

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
