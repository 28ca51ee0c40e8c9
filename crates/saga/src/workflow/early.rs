//! Events and signals that came before what waits for them, and what tells a repeated one.

use events::{Json, Timestamp};
use minicbor::{Decode, Encode};

use crate::limits::SIGNALS_REMEMBERED;

/// An event or a signal that came before what waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Kept {
    /// `topic/Name`, or a signal's name.
    #[n(0)]
    pub(crate) name: String,
    #[n(1)]
    pub(crate) is_signal: bool,
    /// `topic/partition/offset`, or the signal's id.
    #[n(2)]
    pub(crate) record: String,
    #[n(3)]
    pub(crate) value: Json,
    #[n(4)]
    pub(crate) key: Option<String>,
    #[n(5)]
    pub(crate) headers: Json,
    /// The user's record's.
    #[n(6)]
    pub(crate) time: Timestamp,
    /// Then it is nobody's.
    #[n(7)]
    pub(crate) until: Timestamp,
}

/// What tells a repeated event or signal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Seen {
    /// `topic/partition` and the newest offset.
    #[n(0)]
    pub(crate) records: Vec<SeenOf>,
    /// Ids of the latest signals, the newest last.
    #[n(1)]
    pub(crate) signals: Vec<String>,
}

/// The newest event of one partition of a user's topic.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SeenOf {
    /// `topic/partition`
    #[n(0)]
    pub(crate) place: String,
    #[n(1)]
    pub(crate) offset: i64,
}

impl Seen {
    /// Whether it has been seen already.
    pub(crate) fn knows(&self, record: &str, is_signal: bool) -> bool {
        if is_signal {
            return self.signals.iter().any(|id| id == record);
        }
        let Some((place, offset)) = place_of(record) else { return false };
        self.records.iter().any(|seen| seen.place == place && seen.offset >= offset)
    }

    /// It has been seen.
    pub(crate) fn note(&mut self, record: &str, is_signal: bool) {
        if is_signal {
            if self.signals.len() >= SIGNALS_REMEMBERED {
                self.signals.remove(0);
            }
            return self.signals.push(record.to_owned());
        }
        let Some((place, offset)) = place_of(record) else { return };
        match self.records.iter_mut().find(|seen| seen.place == place) {
            Some(seen) => seen.offset = seen.offset.max(offset),
            None => self.records.push(SeenOf { place: place.to_owned(), offset }),
        }
    }
}

/// `topic/partition` and the offset of `topic/partition/offset`.
fn place_of(record: &str) -> Option<(&str, i64)> {
    let (place, offset) = record.rsplit_once('/')?;
    Some((place, offset.parse().ok()?))
}

/// What came for a workflow that there is not yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Early {
    #[n(0)]
    pub(crate) kept: Vec<Kept>,
    #[n(1)]
    pub(crate) seen: Seen,
}

impl Early {
    /// When the first of them is nobody's.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.kept.iter().map(|kept| kept.until).min()
    }
}
