//! How far topics reach, as the writer knows it.

use events::{Offset, Timestamp, Topic};
use stream::Purpose;

/// Where a partition's records begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Below it, records may still be on the disk; nobody sees them.
    pub(crate) swept: Offset,
    pub(crate) first: Offset,
    pub(crate) next: Offset,
    pub(crate) time: Timestamp,
}

/// A topic as the writer knows it.
#[derive(Clone, Debug)]
pub(crate) struct TopicTail {
    pub(crate) name: Topic,
    pub(crate) purpose: Purpose,
    pub(crate) record_bytes_max: usize,
    pub(crate) partitions: Vec<Tail>,
    /// Where the next record without a key goes.
    pub(crate) turn: u32,
}
