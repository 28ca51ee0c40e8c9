//! The keys of the language, place by place: those that this build runs, each with what it is for and
//! what stands there, and those that it refuses by name, with what can be used in their place.

mod file;
mod task;

pub(super) use file::{COMPENSATION, DEFAULTS, FILE, INPUT, ON_FAILURE, OUTPUT, TOPIC, TRIGGER};
pub(super) use task::{
    ACTIONS, AWAIT, CASE, EMIT, FALLBACK, FOR_EACH, JOIN, LATER_ACTIONS, RETRY, SAGA, TASK, UNDO,
    WAIT,
};

use super::findings::{Finding, Findings};
use crate::yaml::Entry;

/// The keys of one place.
pub(super) struct Keys {
    /// For messages: "in a task".
    pub(super) place: &'static str,
    /// In tables, so that places may share them.
    here: &'static [&'static [Key]],
    /// In the language, not in this build: key, and what to do without it.
    absent: &'static [(&'static str, &'static str)],
}

/// One key of a place.
pub(super) struct Key {
    pub(super) key: &'static str,
    /// What it is for, one line.
    pub(super) what: &'static str,
    /// What stands there.
    pub(super) of: Shape,
}

/// What may stand at a key.
pub(super) enum Shape {
    /// Text that is not computed.
    Text,
    /// An id of our own form.
    Id,
    /// A name that can stand in a topic's.
    Name,
    /// `TOPIC/Event`
    Event,
    /// The name of a type.
    Type,
    /// `30s`
    Duration,
    /// `true` or `false`
    Bool,
    /// A whole number.
    Int,
    /// Any number.
    Number,
    /// One `${...}`.
    Expr,
    /// Anything, in which every `${...}` is computed.
    Value,
    /// One of these.
    Words(&'static [&'static str]),
    /// A list.
    ListOf(&'static Shape),
    /// A map of names of one's own.
    MapOf(&'static Shape),
    /// A map of the keys of another place.
    Keys(&'static Keys),
    /// Any of these.
    OneOf(&'static [Shape]),
}

const fn key(key: &'static str, of: Shape, what: &'static str) -> Key {
    Key { key, what, of }
}

impl Keys {
    /// The keys that this build runs.
    pub(super) fn all(&self) -> impl Iterator<Item = &'static Key> {
        self.here.iter().flat_map(|table| table.iter())
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.here.iter().flat_map(|table| table.iter()).map(|key| key.key)
    }

    /// Whether the language has this key here, in this build or not.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.names().any(|known| known == key)
            || self.absent.iter().any(|(absent, _)| *absent == key)
    }

    /// Refuses what is not in the language, or not in this build.
    pub(super) fn check(&self, entries: &[Entry], findings: &mut Findings) {
        for entry in entries {
            let key = entry.key.as_str();
            if self.names().any(|known| known == key) {
                continue;
            }
            let finding = match self.absent.iter().find(|(absent, _)| *absent == key) {
                Some((_, instead)) => not_in_this_build(key, entry.key_span, instead),
                None => {
                    let known = self.names().chain(self.absent.iter().map(|(key, _)| *key));
                    let keys: Vec<&str> = self.names().collect();
                    unknown(key, entry.key_span, self.place)
                        .near(key, known)
                        .help(format!("keys here: {}", keys.join(" ")))
                }
            };
            findings.push(finding);
        }
    }
}

/// E102
pub(super) fn unknown(key: &str, span: super::Span, place: &str) -> Finding {
    Finding::error("E102", span, format!("unknown key `{key}` in {place}"))
}

/// E113, for a key or for one of its values.
pub(super) fn not_in_this_build(what: &str, span: super::Span, instead: &str) -> Finding {
    Finding::error("E113", span, format!("`{what}` is in the language but not in this build"))
        .help(instead)
}
