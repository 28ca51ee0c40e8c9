//! What may be seen: which topics there are and how far each partition reaches. Readers wait here.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use events::{Offset, Partition, Topic};
use stream::LogError;

use crate::block::Block;
use crate::codec::TopicId;
use crate::limits::{READ_BYTES_MAX, READ_RECORDS_MAX, TAILS_BYTES_MAX};

/// Locks; what is guarded here is changed in single steps, so a panic elsewhere leaves it whole.
pub(crate) fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes one waiter. A ring that nobody waited for is remembered.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<Ringing>,
    heard: Condvar,
}

#[derive(Debug, Default)]
struct Ringing {
    rung: bool,
    /// Whether somebody waits: waking costs a call of the system even where nobody does.
    awaited: bool,
}

impl Bell {
    pub(crate) fn ring(&self) {
        let mut state = lock(&self.state);
        state.rung = true;
        if state.awaited {
            self.heard.notify_all();
        }
    }

    /// Waits for a ring until `deadline`; says whether there was one.
    pub(crate) fn wait_until(&self, deadline: Instant) -> bool {
        let mut state = lock(&self.state);
        loop {
            if std::mem::take(&mut state.rung) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state.awaited = true;
            state = self.heard.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.awaited = false;
        }
    }
}

/// The deadline of a wait; one too long to be counted ends in a day, and the caller asks again.
pub(crate) fn deadline(wait: std::time::Duration) -> Instant {
    const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
    Instant::now() + wait.min(DAY)
}

/// What may be seen.
#[derive(Debug, Default)]
pub(crate) struct View(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    topics: Vec<TopicView>,
    by_name: HashMap<Topic, TopicId>,
    /// Rung when a topic is made.
    made: Vec<Weak<Bell>>,
    /// Of which partition each block in a tail is, the oldest first.
    tails: VecDeque<(TopicId, Partition)>,
    tails_bytes: usize,
    /// Why nothing can be written any more.
    stopped: Option<String>,
}

#[derive(Debug)]
struct TopicView {
    name: Topic,
    partitions: Vec<PartitionView>,
}

#[derive(Debug, Default)]
struct PartitionView {
    kept: Range<Offset>,
    /// The last blocks, without a hole: most readers are close behind the writer.
    tail: VecDeque<Block>,
    bells: Vec<Weak<Bell>>,
}

/// What a reader finds from its offset on.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) kept: Range<Offset>,
    /// From the block with the offset on; none where it is not in memory.
    pub(crate) tail: Vec<Block>,
}

/// A topic, as far as a reader needs it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: TopicId,
    pub(crate) partitions: u32,
}

/// How far partitions reach now.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Topics that were made, in the order of their ids.
    pub(crate) made: Vec<(Topic, u32)>,
    pub(crate) kept: Vec<(TopicId, Partition, Range<Offset>)>,
    /// What was written and will be read soon.
    pub(crate) blocks: Vec<(TopicId, Partition, Block)>,
}

impl View {
    /// Lets what was committed be seen, and wakes who waits for it.
    pub(crate) fn publish(&self, published: Published) {
        let mut inner = lock(&self.0);
        let mut bells = Vec::new();
        if !published.made.is_empty() {
            collect(&mut inner.made, &mut bells);
        }
        for (name, partitions) in published.made {
            let id = TopicId::try_from(inner.topics.len()).unwrap_or(TopicId::MAX);
            inner.by_name.insert(name.clone(), id);
            let partitions = (0..partitions).map(|_| PartitionView::default()).collect();
            inner.topics.push(TopicView { name, partitions });
        }
        for (topic, partition, kept) in published.kept {
            if let Some(view) = inner.partition(topic, partition) {
                view.kept = kept;
                collect(&mut view.bells, &mut bells);
            }
        }
        inner.extend_tails(published.blocks);
        drop(inner);
        bells.iter().for_each(|bell| bell.ring());
    }

    /// From now on nothing can be written; everyone who waits is told.
    pub(crate) fn stop(&self, why: &str) {
        let mut inner = lock(&self.0);
        inner.stopped.get_or_insert_with(|| why.to_owned());
        let mut bells = Vec::new();
        collect(&mut inner.made, &mut bells);
        for partition in inner.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            collect(&mut partition.bells, &mut bells);
        }
        drop(inner);
        bells.iter().for_each(|bell| bell.ring());
    }

    /// # Errors
    /// `Lost`, with the reason, where nothing can be written any more.
    pub(crate) fn running(&self) -> Result<(), LogError> {
        match &lock(&self.0).stopped {
            None => Ok(()),
            Some(why) => Err(LogError::Lost(why.clone())),
        }
    }

    pub(crate) fn topic(&self, name: &Topic) -> Option<Known> {
        let inner = lock(&self.0);
        let id = *inner.by_name.get(name)?;
        let view = inner.topics.get(usize::try_from(id).ok()?)?;
        let partitions = u32::try_from(view.partitions.len()).ok()?;
        Some(Known { id, partitions })
    }

    pub(crate) fn name(&self, topic: TopicId) -> Option<Topic> {
        let inner = lock(&self.0);
        inner.topics.get(usize::try_from(topic).ok()?).map(|view| view.name.clone())
    }

    pub(crate) fn names(&self) -> BTreeSet<Topic> {
        lock(&self.0).topics.iter().map(|view| view.name.clone()).collect()
    }

    pub(crate) fn topics(&self) -> usize {
        lock(&self.0).topics.len()
    }

    pub(crate) fn kept_of(&self, name: &Topic) -> Option<Vec<Range<Offset>>> {
        let inner = lock(&self.0);
        let view = inner.topics.get(usize::try_from(*inner.by_name.get(name)?).ok()?)?;
        Some(view.partitions.iter().map(|partition| partition.kept.clone()).collect())
    }

    pub(crate) fn kept(&self, topic: TopicId, partition: Partition) -> Range<Offset> {
        lock(&self.0).partition(topic, partition).map_or(0..0, |view| view.kept.clone())
    }

    /// What may be seen of a partition, and what is in memory of it from an offset on, up to the bounds of one read.
    pub(crate) fn look(&self, topic: TopicId, partition: Partition, from: Offset) -> Seen {
        let mut inner = lock(&self.0);
        let Some(view) = inner.partition(topic, partition) else {
            return Seen { kept: 0..0, tail: Vec::new() };
        };
        let kept = view.kept.clone();
        if !kept.contains(&from) {
            return Seen { kept, tail: Vec::new() };
        }
        let begin = view.tail.partition_point(|block| block.end <= from);
        let last = from + Offset::try_from(READ_RECORDS_MAX).unwrap_or(Offset::MAX);
        let (mut bytes, mut next) = (0, from);
        let within = view.tail.range(begin..).take_while(|block| {
            // A hole would pass in silence.
            let more = bytes <= READ_BYTES_MAX && block.first <= next && next < last;
            (bytes, next) = (bytes + block.bytes.len(), block.end);
            more
        });
        Seen { tail: within.cloned().collect(), kept }
    }

    /// Has `bell` rung whenever something changes in the partition.
    pub(crate) fn watch(&self, topic: TopicId, partition: Partition, bell: &Arc<Bell>) {
        if let Some(view) = lock(&self.0).partition(topic, partition) {
            view.bells.retain(|other| other.strong_count() > 0);
            view.bells.push(Arc::downgrade(bell));
        }
    }

    pub(crate) fn unwatch(&self, topic: TopicId, partition: Partition, bell: &Arc<Bell>) {
        if let Some(view) = lock(&self.0).partition(topic, partition) {
            view.bells.retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(bell)));
        }
    }

    /// Has `bell` rung whenever a topic is made.
    pub(crate) fn watch_topics(&self, bell: &Arc<Bell>) {
        let mut inner = lock(&self.0);
        inner.made.retain(|other| other.strong_count() > 0);
        inner.made.push(Arc::downgrade(bell));
    }
}

impl Inner {
    fn extend_tails(&mut self, blocks: Vec<(TopicId, Partition, Block)>) {
        for (topic, partition, block) in blocks {
            let bytes = block.bytes.len();
            if let Some(view) = self.partition(topic, partition) {
                view.tail.push_back(block);
                self.tails.push_back((topic, partition));
                self.tails_bytes += bytes;
            }
        }
        while self.tails_bytes > TAILS_BYTES_MAX
            && let Some((topic, partition)) = self.tails.pop_front()
        {
            let oldest = self.partition(topic, partition).and_then(|view| view.tail.pop_front());
            self.tails_bytes -= oldest.map_or(0, |block| block.bytes.len());
        }
    }

    fn partition(&mut self, topic: TopicId, partition: Partition) -> Option<&mut PartitionView> {
        let topic = self.topics.get_mut(usize::try_from(topic).ok()?)?;
        topic.partitions.get_mut(usize::try_from(partition).ok()?)
    }
}

/// Adds the bells that somebody still holds to the living; forgets the others.
fn collect(bells: &mut Vec<Weak<Bell>>, living: &mut Vec<Arc<Bell>>) {
    bells.retain(|bell| match bell.upgrade() {
        None => false,
        Some(bell) => {
            living.push(bell);
            true
        }
    });
}
