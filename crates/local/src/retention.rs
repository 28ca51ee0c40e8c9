//! What a partition has let go of, and how it leaves the disk: in small steps, on the writer's thread.

use events::{Offset, Partition, Timestamp};
use minicbor::{Decode, Encode};

use crate::codec::{self, TopicId};
use crate::limits::{self, SWEEP_RECORDS_MAX};
use crate::store::Span;
use crate::tail::Tail;
use crate::writer::{Group, Writer};

/// Where a partition begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) swept: Offset,
    pub(crate) first: Offset,
    pub(crate) time: Timestamp,
}

/// The stored form of [`Floor`].
#[derive(Encode, Decode)]
struct Stored {
    #[n(0)]
    swept: i64,
    #[n(1)]
    first: i64,
    #[n(2)]
    time: Timestamp,
}

impl Floor {
    pub(crate) fn encode(self) -> Vec<u8> {
        let Self { swept, first, time } = self;
        // Writing to a Vec can not fail.
        minicbor::to_vec(Stored { swept, first, time }).unwrap_or_default()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let Stored { swept, first, time } = minicbor::decode(bytes).ok()?;
        (0 <= swept && swept <= first).then_some(Self { swept, first, time })
    }
}

/// Lets go of what is too old, and removes from the disk some of what was let go of. Says whether
/// there is more to do at once.
pub(crate) fn sweep(writer: &mut Writer, group: &mut Group) -> bool {
    let now = writer.options.clock.now();
    let mut more = false;
    for (topic, partition) in places(writer) {
        let swept = expire(writer, topic, partition, now, group)
            .and_then(|expired| Ok(remove(writer, topic, partition, group)? || expired));
        match swept {
            Ok(unfinished) => more |= unfinished,
            // What can not be read stays; whoever reads it is told.
            Err(why) => tracing::warn!(topic, partition, why, "old records can not be removed"),
        }
    }
    more
}

fn places(writer: &Writer) -> Vec<(TopicId, Partition)> {
    let topics = (0..).zip(&writer.topics);
    topics
        .flat_map(|(topic, tail)| (0..).zip(&tail.partitions).map(move |(at, _)| (topic, at)))
        .collect()
}

/// Moves the beginning of a partition past what is too old; says whether there may be more.
fn expire(
    writer: &mut Writer,
    topic: TopicId,
    partition: Partition,
    now: Timestamp,
    group: &mut Group,
) -> Result<bool, String> {
    let Some(retention) = writer.topic(topic).and_then(|topic| limits::retention(topic.purpose))
    else {
        return Ok(false);
    };
    let Some(Tail { first, next, .. }) = writer.tail(topic, partition).copied() else {
        return Ok(false);
    };
    let end = next.min(first.saturating_add(step()));
    let too_old = |time: Timestamp| time.after(retention) <= now;
    let old = count_old(writer, Span { topic, partition, from: first, end }, too_old)?;
    writer.let_go(topic, partition, first + old, group);
    Ok(old == step())
}

/// How many of a span's first records are too old.
fn count_old(
    writer: &Writer,
    span: Span,
    too_old: impl Fn(Timestamp) -> bool,
) -> Result<Offset, String> {
    let mut old = 0;
    if span.from >= span.end {
        return Ok(old);
    }
    for block in writer.store.blocks(span)? {
        for (offset, time) in (block.first..span.end).zip(block.times()) {
            let is_old = too_old(time.ok_or_else(|| writer.store.otherwise())?);
            match (is_old, offset < span.from) {
                (_, true) => {}
                (true, false) => old += 1,
                (false, false) => return Ok(old),
            }
        }
    }
    Ok(old)
}

/// Removes some of what was let go of; says whether there is more. A block goes once all of it was let go of.
fn remove(
    writer: &mut Writer,
    topic: TopicId,
    partition: Partition,
    group: &mut Group,
) -> Result<bool, String> {
    let Some(Tail { swept, first, next, .. }) = writer.tail(topic, partition).copied() else {
        return Ok(false);
    };
    if swept == first {
        return Ok(false);
    }
    let span = Span { topic, partition, from: swept, end: first };
    let begins = writer.store.begins(span, SWEEP_RECORDS_MAX)?;
    let more = begins.len() > SWEEP_RECORDS_MAX;
    // Where the last one ends is known only by the next.
    let end = if first == next && !more { Some(next) } else { None };
    let mut gone = begins.iter().zip(begins.iter().skip(1).chain(&end)).peekable();
    if gone.peek().is_none() {
        return Ok(false);
    }
    let mut swept = swept;
    for (begin, end) in gone {
        group.batch.remove(&writer.store.records, codec::record_key(topic, partition, *begin));
        swept = *end;
    }
    if let Some(tail) = writer.tail_mut(topic, partition) {
        tail.swept = swept;
    }
    writer.put_floor(topic, partition, group);
    Ok(more)
}

fn step() -> Offset {
    Offset::try_from(SWEEP_RECORDS_MAX).unwrap_or(Offset::MAX)
}
