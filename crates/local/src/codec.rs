//! How records and keys stand in the storage library.

use std::ops::Range;

use bytes::Bytes;
use events::{Header, HeaderName, Offset, Partition, Place, Record, Timestamp, Topic};

/// A topic's number, in the order of their making; also its place in every list of topics.
pub(crate) type TopicId = u32;

/// Key of a record. Big endian, so that records stand in the order of their offsets.
pub(crate) fn record_key(topic: TopicId, partition: Partition, offset: Offset) -> [u8; 16] {
    let mut key = [0; 16];
    let (place, at) = key.split_at_mut(8);
    place.copy_from_slice(&partition_key(topic, partition));
    at.copy_from_slice(&offset.to_be_bytes());
    key
}

/// What the keys of a partition's records begin with.
pub(crate) fn partition_key(topic: TopicId, partition: Partition) -> [u8; 8] {
    (u64::from(topic) << 32 | u64::from(partition)).to_be_bytes()
}

/// The offset in a record's key.
pub(crate) fn offset_of(key: &[u8]) -> Option<Offset> {
    key.get(8..16)?.try_into().ok().map(Offset::from_be_bytes)
}

/// Key of a topic's description.
pub(crate) fn topic_key(topic: &Topic) -> Vec<u8> {
    [b"t", topic.as_str().as_bytes()].concat()
}

/// Key of what a partition has let go of.
pub(crate) fn floor_key(topic: TopicId, partition: Partition) -> Vec<u8> {
    [b"f".as_slice(), &partition_key(topic, partition)].concat()
}

/// Key of the number of a lane's holder.
pub(crate) fn holder_key(lane: Partition) -> Vec<u8> {
    [b"h".as_slice(), &lane.to_be_bytes()].concat()
}

/// Key of what a group has done of a partition.
pub(crate) fn commit_key(group: &str, topic: TopicId, partition: Partition) -> Vec<u8> {
    [b"g".as_slice(), &partition_key(topic, partition), group.as_bytes()].concat()
}

/// What [`commit_key`] was made of.
pub(crate) fn read_commit_key(key: &[u8]) -> Option<(&str, TopicId, Partition)> {
    let rest = key.strip_prefix(b"g")?;
    let (place, group) = rest.split_at_checked(8)?;
    let (topic, partition) = place.split_at_checked(4)?;
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes);
    Some((std::str::from_utf8(group).ok()?, number(topic)?, number(partition)?))
}

const NULL: u32 = u32::MAX;

/// A record as it is stored: its time, key, value and headers. The time is put in by the writer.
pub(crate) fn encode(key: Option<&[u8]>, value: Option<&[&[u8]]>, headers: &[Header]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + size(key, value, headers));
    out.extend_from_slice(&0_i64.to_be_bytes());
    put(&mut out, key.as_ref().map(std::slice::from_ref));
    put(&mut out, value);
    out.extend_from_slice(&length(headers.len()).to_be_bytes());
    for header in headers {
        put(&mut out, Some(&[header.name.as_bytes()]));
        put(&mut out, header.value.as_deref().as_ref().map(std::slice::from_ref));
    }
    out
}

/// What counts against the bound on a record.
pub(crate) fn size(key: Option<&[u8]>, value: Option<&[&[u8]]>, headers: &[Header]) -> usize {
    let headers = headers
        .iter()
        // Two lengths for each, so that headers without a byte are bounded too.
        .map(|header| 8 + header.name.len() + header.value.as_ref().map_or(0, Bytes::len))
        .sum::<usize>();
    let value = value.map_or(0, |parts| parts.iter().map(|part| part.len()).sum());
    key.map_or(0, <[u8]>::len) + value + headers
}

/// Puts the time of its append into a record.
pub(crate) fn stamp(stored: &mut [u8], time: Timestamp) {
    if let Some(slot) = stored.first_chunk_mut::<8>() {
        *slot = time.as_millis().to_be_bytes();
    }
}

/// The time in a stored record.
pub(crate) fn time_of(stored: &[u8]) -> Option<Timestamp> {
    stored.first_chunk::<8>().map(|slot| Timestamp::from_millis(i64::from_be_bytes(*slot)))
}

/// Reads what [`encode`] wrote, which stands at `at` in `stored`; `None` where it is not that. The parts of the
/// record share those bytes.
pub(crate) fn decode(place: Place, stored: &Bytes, at: Range<usize>) -> Option<Record> {
    let mut rest = Rest { stored, at };
    let timestamp = time_of(stored.get(rest.take(8)?)?)?;
    let key = rest.bytes()?;
    let value = rest.bytes()?;
    let count = usize::try_from(rest.number()?).ok()?;
    // Each has two lengths, so that a number that can not be right takes no memory.
    let mut headers = Vec::with_capacity(count.min(rest.at.len() / 8));
    for _ in 0..count {
        let name = std::str::from_utf8(stored.get(rest.place()??)?).ok()?;
        headers.push(Header { name: HeaderName::read(name), value: rest.bytes()? });
    }
    rest.at.is_empty().then_some(Record { place, timestamp, key, value, headers })
}

/// What is still to be read of a record.
struct Rest<'a> {
    stored: &'a Bytes,
    at: Range<usize>,
}

impl Rest<'_> {
    fn take(&mut self, length: usize) -> Option<Range<usize>> {
        let begin = self.at.start;
        let end = begin.checked_add(length).filter(|end| *end <= self.at.end)?;
        self.at.start = end;
        Some(begin..end)
    }

    fn number(&mut self) -> Option<u32> {
        let at = self.take(4)?;
        Some(u32::from_be_bytes(self.stored.get(at)?.try_into().ok()?))
    }

    fn place(&mut self) -> Option<Option<Range<usize>>> {
        match self.number()? {
            NULL => Some(None),
            length => self.take(usize::try_from(length).ok()?).map(Some),
        }
    }

    fn bytes(&mut self) -> Option<Option<Bytes>> {
        Some(self.place()?.map(|at| self.stored.slice(at)))
    }
}

fn put(out: &mut Vec<u8>, parts: Option<&[&[u8]]>) {
    match parts {
        None => out.extend_from_slice(&NULL.to_be_bytes()),
        Some(parts) => {
            let bytes = parts.iter().map(|part| part.len()).sum();
            out.extend_from_slice(&length(bytes).to_be_bytes());
            parts.iter().for_each(|part| out.extend_from_slice(part));
        }
    }
}

/// Every length is below the bound on a record, which is checked before a record is stored.
pub(crate) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(NULL)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Option<Bytes>> {
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9).prop_map(Bytes::from))
    }

    proptest! {
        #[test]
        fn a_record_reads_back_as_it_was_written(
            key in bytes(),
            value in bytes(),
            headers in proptest::collection::vec(("[a-z]{0,3}|ce_type", bytes()), 0..5),
            time in any::<i64>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let headers: Vec<Header> = headers
                .into_iter()
                .map(|(name, value)| Header { name: name.into(), value })
                .collect();
            let parts = value.as_deref().map(|value| [value]);
            let mut stored = encode(key.as_deref(), parts.as_ref().map(<[_; 1]>::as_slice), &headers);
            let timestamp = Timestamp::from_millis(time);
            stamp(&mut stored, timestamp);
            let place = Place { topic: Topic::from("t"), partition: 1, offset: 2 };
            let (cut, end) = (cut.index(stored.len()), stored.len());
            let stored = Bytes::from([b"before", stored.as_slice(), b"behind"].concat());
            prop_assert_eq!(decode(place.clone(), &stored, 6..6 + cut), None);
            let record = Record { place: place.clone(), timestamp, key, value, headers };
            prop_assert_eq!(decode(place, &stored, 6..6 + end), Some(record));
        }
    }

    #[test]
    fn keys_stand_in_the_order_of_offsets() {
        assert!(record_key(1, 2, 255) < record_key(1, 2, 256));
        assert!(record_key(1, 2, i64::MAX) < record_key(1, 3, 0));
        assert_eq!(offset_of(&record_key(7, 8, 9)), Some(9));
        assert_eq!(read_commit_key(&commit_key("a/b", 7, 8)), Some(("a/b", 7, 8)));
    }
}
