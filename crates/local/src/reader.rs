//! Reading partitions: one from an offset, or many, each from its place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use events::{Offset, Partition, Place, Record, Topic};
use stream::LogError;

use crate::block::Block;
use crate::codec::{self, TopicId};
use crate::limits::{READ_BYTES_MAX, READ_RECORDS_MAX};
use crate::open::Shared;
use crate::store::Span;
use crate::view::{Bell, Seen, deadline};

/// A reader of one partition.
pub(crate) struct Reader {
    topic: TopicId,
    name: Topic,
    partition: Partition,
    bell: Arc<Bell>,
}

impl Reader {
    pub(crate) fn new(
        shared: &Shared,
        name: Topic,
        partition: Partition,
    ) -> Result<Self, LogError> {
        let known = shared.view.topic(&name).filter(|known| partition < known.partitions);
        let known = known.ok_or_else(|| {
            LogError::Lost(format!("there is no partition {partition} of {name}"))
        })?;
        let bell = Arc::new(Bell::default());
        shared.view.watch(known.id, partition, &bell);
        Ok(Self { topic: known.id, name, partition, bell })
    }

    pub(crate) fn topic(&self) -> TopicId {
        self.topic
    }

    pub(crate) fn kept(&self, shared: &Shared) -> Range<Offset> {
        shared.view.kept(self.topic, self.partition)
    }

    pub(crate) fn read(
        &self,
        shared: &Shared,
        from: Offset,
        wait: Duration,
    ) -> Result<Vec<Record>, LogError> {
        let deadline = deadline(wait);
        loop {
            let kept = self.kept(shared);
            if from > kept.end {
                return Err(LogError::PastEnd { end: kept.end });
            }
            let records = read_kept(shared, &self.name, self.topic, self.partition, from)?;
            if !records.is_empty() {
                return Ok(records);
            }
            shared.view.running()?;
            if !self.bell.wait_until(deadline) {
                return Ok(Vec::new());
            }
        }
    }
}

/// What is at hand from an offset on.
fn read_kept(
    shared: &Shared,
    name: &Topic,
    topic: TopicId,
    partition: Partition,
    from: Offset,
) -> Result<Vec<Record>, LogError> {
    let Seen { kept, tail } = shared.view.look(topic, partition, from);
    if from < kept.start {
        return Err(LogError::Gone { kept_from: kept.start });
    }
    if from >= kept.end {
        return Ok(Vec::new());
    }
    let span = Span { topic, partition, from, end: kept.end };
    let blocks = match tail.is_empty() {
        true => shared.store.blocks(span).map_err(LogError::Lost)?,
        false => tail,
    };
    if !blocks.is_empty() {
        return records(shared, name, span, &blocks);
    }
    // It may have been let go of meanwhile; else it is missing, which must not pass in silence.
    match shared.view.kept(topic, partition).start {
        kept_from if from < kept_from => Err(LogError::Gone { kept_from }),
        _ => Err(LogError::Lost(format!(
            "record {name}/{partition}/{from} is missing from the embedded log, which is damaged; \
             put its folder back from a copy"
        ))),
    }
}

/// The records of a span that stand in these blocks, up to the bounds of one read.
fn records(
    shared: &Shared,
    name: &Topic,
    span: Span,
    blocks: &[Block],
) -> Result<Vec<Record>, LogError> {
    let most = blocks.last().map_or(0, |last| last.end.min(span.end) - span.from);
    let most = usize::try_from(most).unwrap_or(0).min(READ_RECORDS_MAX);
    let mut records = Vec::with_capacity(most);
    let mut bytes = 0;
    for block in blocks {
        for (offset, at) in block.places().skip_while(|(offset, _)| *offset < span.from) {
            if offset >= span.end || records.len() == READ_RECORDS_MAX || bytes > READ_BYTES_MAX {
                return Ok(records);
            }
            bytes += at.as_ref().map_or(0, ExactSizeIterator::len);
            let place = Place { topic: name.clone(), partition: span.partition, offset };
            let record = at.and_then(|at| codec::decode(place, &block.bytes, at));
            records.push(record.ok_or_else(|| LogError::Lost(shared.store.otherwise()))?);
        }
    }
    Ok(records)
}

/// Where many partitions are read, each in its order, one after the other in turn.
#[derive(Debug, Default)]
pub(crate) struct Places {
    places: BTreeMap<(TopicId, Partition), (Topic, Offset)>,
    /// The partition that was read last; the next read begins behind it.
    last: Option<(TopicId, Partition)>,
}

impl Places {
    pub(crate) fn put(&mut self, at: (TopicId, Partition), name: Topic, offset: Offset) {
        self.places.insert(at, (name, offset));
    }

    pub(crate) fn remove(&mut self, at: (TopicId, Partition)) {
        self.places.remove(&at);
    }

    pub(crate) fn keys(&self) -> Vec<(TopicId, Partition)> {
        self.places.keys().copied().collect()
    }

    /// Goes back to `offset`, where the partition is read and already further.
    pub(crate) fn rewind(&mut self, at: (TopicId, Partition), offset: Offset) {
        if let Some((_, next)) = self.places.get_mut(&at) {
            *next = offset.min(*next);
        }
    }

    /// What is at hand, up to the bounds of one read.
    pub(crate) fn read(&mut self, shared: &Shared) -> Result<Vec<Record>, LogError> {
        let keys = self.keys();
        let begin = keys.iter().position(|at| Some(*at) > self.last).unwrap_or(0);
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0;
        for at in keys.iter().cycle().skip(begin).take(keys.len()) {
            let Some((name, next)) = self.places.get_mut(at) else { continue };
            let mut found = match read_kept(shared, name, at.0, at.1, *next) {
                // Nobody has read it in the time that it was kept.
                Err(LogError::Gone { kept_from }) => {
                    tracing::warn!(topic = %name, partition = at.1, from = *next, kept_from,
                        "records were let go of before they were read; going on behind them");
                    *next = kept_from;
                    read_kept(shared, name, at.0, at.1, *next)?
                }
                other => other?,
            };
            let Some(last) = found.last() else { continue };
            *next = last.place.offset + 1;
            self.last = Some(*at);
            bytes += found.iter().map(weight).sum::<usize>();
            match records.is_empty() {
                true => records = found,
                false => records.append(&mut found),
            }
            if records.len() >= READ_RECORDS_MAX || bytes >= READ_BYTES_MAX {
                break;
            }
        }
        Ok(records)
    }
}

fn weight(record: &Record) -> usize {
    let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    length(&record.key) + length(&record.value)
}
