//! What the judge is given.

use serde_json::Value;

/// A header: its name, and its bytes or null.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// A record of a topic, borrowed from whoever has read it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The topic's whole name.
    pub topic: &'a str,
    /// A partition of it.
    pub partition: u32,
    /// The offset in that; within a partition records come in this order.
    pub offset: i64,
    /// Milliseconds since 1970, as the broker has it.
    pub timestamp: i64,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// In their order.
    pub headers: &'a [Header<'a>],
    /// The value, or null.
    pub value: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// The value of the last header of that name, as text.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.headers.iter().rev().find(|(known, _)| *known == name)?;
        std::str::from_utf8((*value)?).ok()
    }

    pub(crate) fn key_text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.key?).ok()
    }
}

/// What an entry of a participant's book is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A do.
    Do,
    /// An undo.
    Undo,
}

/// One line of a participant's book: what a command has changed in the world, or that it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The agent whose book it is. A service named once is taken to keep a whole book: what it does not
    /// say was not done. Without a name the book proves only what it says.
    pub service: Option<String>,
    /// The idempotency key of the command.
    pub key: String,
    /// Whether it was a do or an undo.
    pub op: Op,
    /// Whether it changed something: `false` for a repeat, a refusal, or an undo of nothing.
    pub applied: bool,
}

/// A line that is no entry of a book.
#[derive(Debug, thiserror::Error)]
#[error("not an entry of a book: {0}; write {{\"key\": \"...\", \"op\": \"do\" or \"undo\"}}")]
pub struct BookError(String);

impl Effect {
    /// Reads a line of a book: a JSON object with `key` and `op` (`do` or `undo`); `applied` is true
    /// where it is absent, `service` may be; other fields are passed over.
    ///
    /// # Errors
    /// The line is no JSON object, or `key` or `op` are not as they must be.
    pub fn parse(line: &str) -> Result<Self, BookError> {
        let value: Value =
            serde_json::from_str(line).map_err(|error| BookError(error.to_string()))?;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let key = text("key").ok_or_else(|| BookError("it has no text `key`".to_owned()))?;
        let op = match text("op") {
            Some("do") => Op::Do,
            Some("undo") => Op::Undo,
            Some(_) | None => return Err(BookError("its `op` is neither do nor undo".to_owned())),
        };
        let applied = match value.get("applied") {
            None => true,
            Some(Value::Bool(applied)) => *applied,
            Some(_) => return Err(BookError("its `applied` is not true or false".to_owned())),
        };
        let service = text("service").map(str::to_owned);
        Ok(Self { service, key: key.to_owned(), op, applied })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_book_is_read_and_a_wrong_one_says_why() {
        let line = r#"{"service": "stock", "key": "k", "op": "undo", "applied": false, "t": 7}"#;
        let service = Some("stock".to_owned());
        let key = "k".to_owned();
        assert_eq!(
            Effect::parse(line).unwrap(),
            Effect { service, key: key.clone(), op: Op::Undo, applied: false }
        );
        let plain = Effect::parse(r#"{"key": "k", "op": "do"}"#).unwrap();
        assert_eq!(plain, Effect { service: None, key, op: Op::Do, applied: true });
        for (wrong, why) in [
            ("{", "EOF"),
            (r#"{"op": "do"}"#, "`key`"),
            (r#"{"key": "k", "op": "redo"}"#, "`op`"),
            (r#"{"key": "k", "op": "do", "applied": 1}"#, "`applied`"),
        ] {
            let said = Effect::parse(wrong).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
