//! A lane's snapshots, as a broker holds them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Key, LogError};

/// Takes the state of a key; `None`: it is no longer there.
pub type EachState<'a> = &'a mut dyn FnMut(Key, Option<Bytes>);

/// A lane's snapshots, held by one holder.
pub trait Snapshots: Send {
    /// Gives the states to `each` as they were written, and back the newest marker; reads to the end as it is while
    /// reading. A key may come more than once, and then the last counts. Works for an opened holder only, before its
    /// first write.
    ///
    /// # Errors
    /// `Lost`.
    fn read(&mut self, each: EachState<'_>) -> Result<Option<Bytes>, LogError>;

    /// All of it at once.
    ///
    /// # Errors
    /// As [`Snapshots::read`].
    fn load(&mut self) -> Result<Snapshot, LogError> {
        let mut states = BTreeMap::new();
        let marker = self.read(&mut |key, bytes| match bytes {
            Some(bytes) => drop(states.insert(key, bytes)),
            None => drop(states.remove(&key)),
        })?;
        Ok(Snapshot { marker, states: states.into_iter().collect() })
    }

    /// Writes changed states (`None`: no longer there) and the marker, visible whole or not at all.
    ///
    /// # Errors
    /// `Fenced`; anything else leaves it unknown whether it was written. After any error this holder is
    /// dropped and never used again.
    fn write(&mut self, changed: &[(Key, Option<Bytes>)], marker: &Bytes) -> Result<(), LogError>;

    /// Writes who is active now: the last act of a takeover, which proves that the fence was still held
    /// after the journal was won.
    ///
    /// # Errors
    /// As [`Snapshots::write`].
    fn claim(&mut self, owner: &Bytes) -> Result<(), LogError>;
}

/// What was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The newest marker, as it was written; `None` where there was never one.
    pub marker: Option<Bytes>,
    /// The states.
    pub states: Vec<(Key, Bytes)>,
}
