//! What is known of panics from one epoch to the next.

use std::collections::BTreeSet;

use events::Offset;

use crate::broker::Key;

/// What outlives an epoch: whom to blame for panics.
#[derive(Debug, Default)]
pub(crate) struct Blame {
    /// The inbox record at this offset panicked: refused in the next epoch's first turn.
    pub(crate) culprit: Option<Offset>,
    /// Timers that panicked: not fired again until their state changes.
    pub(crate) silenced: BTreeSet<Key>,
    /// Telling of these events, by journal offset and place, panicked: they are not told of again.
    pub(crate) untold: BTreeSet<(Offset, u32)>,
    /// Panics with few inputs between them.
    pub(crate) crashes: u32,
    /// Inputs decided since the last one.
    pub(crate) calm: u32,
}
