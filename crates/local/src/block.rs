//! Records of one partition that were written together: one entry of the storage library, and what the tails in
//! memory are made of (`docs/decisions/0013-records-are-stored-in-blocks.md`).
//!
//! The form: a one, the number of records as u32, then each record with its length as u32 before it; numbers are
//! big endian. In format 1 of the folder each record was an entry of its own. It begins with its time, and that
//! with a zero: it is read as a block of one.

use std::ops::Range;

use bytes::Bytes;
use events::{Offset, Timestamp};

use crate::codec;
use crate::limits::BLOCK_BYTES_MAX;

const BLOCK: u8 = 1;
const ONE_RECORD: u8 = 0;
/// What stands before the records: the one, and their number.
const HEAD_BYTES: usize = 1 + 4;
const LENGTH_BYTES: usize = 4;

/// A block in the making.
#[derive(Debug)]
pub(crate) struct Making {
    first: Offset,
    records: Vec<Vec<u8>>,
    bytes: usize,
}

impl Making {
    /// Without a record.
    pub(crate) fn at(first: Offset) -> Self {
        Self { first, records: Vec::new(), bytes: HEAD_BYTES }
    }

    /// Whether another record of so many bytes has room.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.bytes + LENGTH_BYTES + bytes <= BLOCK_BYTES_MAX
    }

    /// Adds the next record.
    pub(crate) fn add(&mut self, stored: Vec<u8>) {
        self.bytes += LENGTH_BYTES + stored.len();
        self.records.push(stored);
    }

    pub(crate) fn finish(self) -> Block {
        let count = codec::length(self.records.len());
        let mut bytes = Vec::with_capacity(self.bytes);
        bytes.push(BLOCK);
        bytes.extend_from_slice(&count.to_be_bytes());
        for stored in &self.records {
            bytes.extend_from_slice(&codec::length(stored.len()).to_be_bytes());
            bytes.extend_from_slice(stored);
        }
        let end = self.first + Offset::from(count);
        Block { first: self.first, end, bytes: Bytes::from(bytes) }
    }
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The offset of its first record.
    pub(crate) first: Offset,
    /// One past that of its last.
    pub(crate) end: Offset,
    /// As they are stored.
    pub(crate) bytes: Bytes,
}

impl Block {
    /// Reads the head of what is stored under an offset; `None` where it is no block.
    pub(crate) fn read(first: Offset, bytes: Bytes) -> Option<Self> {
        let count = match *bytes.first()? {
            BLOCK => u32::from_be_bytes(bytes.get(1..HEAD_BYTES)?.try_into().ok()?),
            ONE_RECORD => 1,
            _ => return None,
        };
        (count > 0).then(|| Self { first, end: first + Offset::from(count), bytes })
    }

    /// Where its records stand in its bytes, from the first on; `None` for what is none.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Offset, Option<Range<usize>>)> + '_ {
        let mut at = if self.bytes.first() == Some(&BLOCK) { HEAD_BYTES } else { 0 };
        let bare = at == 0;
        (self.first..self.end).map(move |offset| {
            let place = match bare {
                true => Some(0..self.bytes.len()),
                false => self.place(&mut at),
            };
            // Nothing stands behind the last one.
            let whole = offset + 1 < self.end
                || place.as_ref().is_some_and(|place| place.end == self.bytes.len());
            (offset, place.filter(|_| whole))
        })
    }

    fn place(&self, at: &mut usize) -> Option<Range<usize>> {
        let begin = at.checked_add(LENGTH_BYTES)?;
        let length = u32::from_be_bytes(self.bytes.get(*at..begin)?.try_into().ok()?);
        let end = begin.checked_add(usize::try_from(length).ok()?)?;
        *at = end;
        (end <= self.bytes.len()).then_some(begin..end)
    }

    /// The times of its records.
    pub(crate) fn times(&self) -> impl Iterator<Item = Option<Timestamp>> + '_ {
        self.places().map(|(_, place)| codec::time_of(self.bytes.get(place?)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(block: &Block) -> Vec<(Offset, Option<&[u8]>)> {
        let of = |place: Range<usize>| block.bytes.get(place);
        block.places().map(|(offset, place)| (offset, place.and_then(of))).collect()
    }

    proptest! {
        #[test]
        fn a_block_reads_back_as_it_was_made(
            stored in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..9),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut making = Making::at(7);
            stored.iter().for_each(|record| making.add(record.clone()));
            let block = making.finish();
            prop_assert_eq!(Block::read(7, block.bytes.clone()), Some(block.clone()));
            let expected: Vec<_> =
                (7..).zip(&stored).map(|(offset, record)| (offset, Some(record.as_slice()))).collect();
            prop_assert_eq!(records(&block), expected);
            // What is cut off is found, at the last record at the latest.
            let cut = block.bytes.slice(..cut.index(block.bytes.len()));
            let whole = Block::read(7, cut)
                .is_some_and(|block| records(&block).iter().all(|(_, record)| record.is_some()));
            prop_assert!(!whole);
        }
    }

    #[test]
    fn an_entry_of_format_1_is_a_block_of_one() {
        let mut stored = codec::encode(Some(b"key"), None, &[]);
        codec::stamp(&mut stored, Timestamp::from_millis(1_234));
        let block = Block::read(5, Bytes::from(stored.clone())).unwrap();
        assert_eq!(records(&block), [(5, Some(stored.as_slice()))]);
        assert_eq!(block.times().collect::<Vec<_>>(), [Some(Timestamp::from_millis(1_234))]);
        assert_eq!(Block::read(5, Bytes::from_static(&[2, 0, 0])), None);
        assert_eq!(Block::read(5, Bytes::from_static(&[1, 0, 0, 0, 0])), None);
    }
}
