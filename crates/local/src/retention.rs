//! What a partition has let go of, and how it leaves the disk: in small steps, on the writer's thread.

use events::{Offset, Partition, Timestamp};
use minicbor::{Decode, Encode};

use crate::codec::{self, TopicId};
use crate::limits::{self, SWEEP_RECORDS_MAX};
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
    let old = writer.store.count_old(topic, partition, first..end, too_old)?;
    writer.let_go(topic, partition, first + old, group);
    Ok(old == step())
}

/// Removes some of what was let go of; says whether there is more.
fn remove(
    writer: &mut Writer,
    topic: TopicId,
    partition: Partition,
    group: &mut Group,
) -> Result<bool, String> {
    let Some(tail) = writer.tail_mut(topic, partition) else { return Ok(false) };
    if tail.swept == tail.first {
        return Ok(false);
    }
    let from = tail.swept;
    tail.swept = tail.first.min(from.saturating_add(step()));
    let (swept, more) = (tail.swept, tail.swept < tail.first);
    for offset in from..swept {
        group.batch.remove(&writer.store.records, codec::record_key(topic, partition, offset));
    }
    writer.put_floor(topic, partition, group);
    Ok(more)
}

fn step() -> Offset {
    Offset::try_from(SWEEP_RECORDS_MAX).unwrap_or(Offset::MAX)
}
