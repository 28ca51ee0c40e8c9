//! Writing: takes all that has come in, writes it as one batch, lets it be seen, has it on the disk, and only
//! then answers. A record may be seen before it is on the disk: whoever acts on it for good appends to the
//! journal first, which syncs all that was written before; what is lost with the machine is sent again. So what
//! is only sent waits for such a sync, for a moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use events::{Offset, Partition, Place, Topic, partition_of};
use fjall::OwnedWriteBatch;
use stream::{Created, LogError, Purpose, SendError, Ticket};

use crate::answer::{Answer, Sent, answer};
use crate::block::Making;
use crate::codec::{self, TopicId};
use crate::limits::{COMMITS_WAIT, SWEEP_EVERY, SYNC_WAIT, TOPICS_MAX};
use crate::request::{Queue, Reply, Request, Sending};
use crate::store::Store;
use crate::tail::{Tail, TopicTail};
use crate::topics::{self, Described};
use crate::unsynced::Unsynced;
use crate::view::{Published, View};
use crate::{Options, retention};

/// The writer's knowledge of the log, ahead of what may be seen by the batch that it is making.
pub(crate) struct Writer {
    pub(crate) store: Arc<Store>,
    pub(crate) view: Arc<View>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) options: Options,
    pub(crate) topics: Vec<TopicTail>,
    pub(crate) by_name: HashMap<Topic, TopicId>,
    pub(crate) holders: Vec<u64>,
    /// What groups have done and is not yet written.
    pub(crate) commits: BTreeMap<Vec<u8>, Offset>,
    pub(crate) commits_since: Option<Instant>,
    pub(crate) sweep_at: Instant,
    pub(crate) unsynced: Unsynced,
    /// When the writer's thread looks by itself.
    pub(crate) thread_due: Instant,
}

/// A batch in the making.
pub(crate) struct Group {
    pub(crate) batch: OwnedWriteBatch,
    /// The partitions that it changes, with the records that it adds to them.
    touched: BTreeMap<(TopicId, Partition), Vec<Making>>,
    made: Vec<(Topic, u32)>,
    /// Whether what groups have done must be in it.
    flush: bool,
    /// Whether it must be on the disk at once.
    sync: bool,
    answers: Vec<Answer>,
}

impl Writer {
    /// Writes what waits, as one batch.
    pub(crate) fn turn(&mut self) {
        let mut group = self.group();
        group.sync = false;
        for request in self.queue.take() {
            group.sync |= request.is_awaited();
            self.stage(request, &mut group);
        }
        self.finish(group).ok();
        let due = self.due();
        if due < self.thread_due {
            self.thread_due = due;
            self.queue.call();
        }
        self.queue.call_for_rest();
    }

    /// Removes a step of what is too old.
    pub(crate) fn sweep(&mut self) {
        let mut group = self.group();
        let more = retention::sweep(self, &mut group);
        let swept = self.finish(group);
        let now = Instant::now();
        self.sweep_at = if more && swept.is_ok() { now } else { now + SWEEP_EVERY };
    }

    /// When the writer's thread looks, even if it is not called.
    pub(crate) fn due(&self) -> Instant {
        let commits = self.commits_since.map(|since| since + COMMITS_WAIT);
        let sync = self.unsynced.since.map(|since| since + SYNC_WAIT);
        [commits, sync].into_iter().flatten().fold(self.sweep_at, Instant::min)
    }

    pub(crate) fn group(&self) -> Group {
        Group {
            batch: self.store.batch(),
            touched: BTreeMap::new(),
            made: Vec::new(),
            flush: false,
            sync: true,
            answers: Vec::new(),
        }
    }

    /// Writes and lets it be seen. Answers once it is on the disk: at once where somebody waits for that, else with
    /// the next batch of which it is true, or soon.
    pub(crate) fn finish(&mut self, group: Group) -> Result<(), String> {
        let Group { mut batch, touched, made, answers, flush, sync } = group;
        let begun = Instant::now();
        let mut published = Published { made, ..Published::default() };
        for ((topic, partition), blocks) in touched {
            let tail = self.tail(topic, partition).copied().unwrap_or_default();
            published.kept.push((topic, partition, tail.first..tail.next));
            // A journal is read when a lane is taken over, and not before.
            let is_read = self.topic(topic).is_some_and(|topic| topic.purpose != Purpose::Journal);
            for block in blocks.into_iter().map(Making::finish) {
                let key = codec::record_key(topic, partition, block.first);
                batch.insert(&self.store.records, key, &*block.bytes);
                published.blocks.extend(is_read.then_some((topic, partition, block)));
            }
        }
        let due = self.commits_since.is_some_and(|since| since + COMMITS_WAIT <= begun);
        if flush || due || !batch.is_empty() {
            self.commits_since = None;
            for (key, offset) in std::mem::take(&mut self.commits) {
                batch.insert(&self.store.meta, key, offset.to_be_bytes());
            }
        }
        let written = match batch.is_empty() {
            true => Ok(()),
            false => self.unsynced.write(&self.store, batch),
        };
        if written.is_ok() {
            self.view.publish(published);
        }
        self.unsynced.answers.extend(answers);
        let may_wait = written.is_ok() && !sync && self.store.syncs();
        if may_wait && self.unsynced.since.is_some_and(|since| begun < since + SYNC_WAIT) {
            return Ok(());
        }
        let committed = written.and_then(|()| self.unsynced.sync(&self.store));
        metrics::histogram!("pavane_local_commit_duration_seconds").record(begun.elapsed());
        if let Err(why) = &committed {
            tracing::error!(why, "the embedded log has stopped");
            // Before anybody is answered, so that whoever asks again is refused.
            self.queue.fail(why);
            self.view.stop(why);
        }
        let answers = std::mem::take(&mut self.unsynced.answers);
        answers.into_iter().for_each(|answer| answer.give(&committed));
        committed
    }

    fn stage(&mut self, request: Request, group: &mut Group) {
        match request {
            Request::Append { topic, lane, entries, reply } => {
                let offsets = entries
                    .into_iter()
                    .map(|entry| self.put(topic, lane, entry.stored, group))
                    .collect();
                group.answers.push(Answer::Appended(reply, offsets));
            }
            Request::Send { sends, tray } => {
                let sent = sends
                    .into_iter()
                    .map(|(ticket, records)| self.send(ticket, records, group))
                    .collect();
                group.answers.push(Answer::Sent { tray, sent });
            }
            Request::Put { record, then } => match self.send_one(record, group) {
                Ok(place) => group.answers.push(Answer::Put(then, place)),
                Err(error) => then(Err(error)),
            },
            Request::Fence { lane, reply } => self.fence(lane, reply, group),
            Request::Snapshot { lane, holder, changes, reply } => {
                if self.holder(lane) != Some(holder) {
                    return answer(&reply, Err(LogError::Fenced));
                }
                for (key, value) in changes {
                    match value {
                        Some(value) => {
                            group.batch.insert(&self.store.snapshots, key, value.as_ref())
                        }
                        None => group.batch.remove(&self.store.snapshots, key),
                    }
                }
                group.answers.push(Answer::Written(reply));
            }
            Request::Commit { offsets } => {
                self.commits_since.get_or_insert_with(Instant::now);
                self.commits.extend(offsets);
            }
            Request::Flush { reply } => {
                group.flush = true;
                group.answers.push(Answer::Written(reply));
            }
            Request::Trim { topic, partition, below, reply } => {
                self.let_go(topic, partition, below, group);
                group.answers.push(Answer::Written(reply));
            }
            Request::Create { topic, purpose, reply } => match self.by_name.contains_key(&topic) {
                true => answer(&reply, Ok(Created::Before)),
                false => match self.make(&topic, purpose, group) {
                    Ok(_) => group.answers.push(Answer::Made(reply, Created::Now)),
                    Err(why) => answer(&reply, Err(LogError::Lost(why))),
                },
            },
        }
    }

    fn fence(&mut self, lane: Partition, reply: Reply<u64>, group: &mut Group) {
        let Some(holder) = usize::try_from(lane).ok().and_then(|lane| self.holders.get_mut(lane))
        else {
            return answer(&reply, Err(LogError::Lost(format!("there is no lane {lane}"))));
        };
        *holder += 1;
        group.batch.insert(&self.store.meta, codec::holder_key(lane), holder.to_be_bytes());
        group.answers.push(Answer::Fenced(reply, *holder));
    }

    fn holder(&self, lane: Partition) -> Option<u64> {
        self.holders.get(usize::try_from(lane).ok()?).copied()
    }

    fn send(&mut self, ticket: Ticket, records: Vec<Sending>, group: &mut Group) -> Sent {
        let mut sent = Sent { ticket, records: records.len(), failed: BTreeMap::new() };
        for (index, sending) in records.into_iter().enumerate() {
            if let Err(error) = self.send_one(sending, group) {
                sent.failed.insert(index, error);
            }
        }
        sent
    }

    fn send_one(&mut self, sending: Sending, group: &mut Group) -> Result<Place, SendError> {
        let Sending { topic: name, partition, key, record } = sending;
        let record = record?;
        let topic = match self.by_name.get(&name) {
            Some(topic) => *topic,
            None => {
                let purpose = topics::purpose_of(&self.options.topics, &name);
                self.make(&name, purpose, group).map_err(SendError::Never)?
            }
        };
        let partition = self.place(topic, partition, key.as_ref())?;
        let tail = self.topic(topic).ok_or_else(|| SendError::Never(format!("no topic {name}")))?;
        if matches!(tail.purpose, Purpose::Journal | Purpose::Snapshots) {
            return Err(SendError::Never(format!("{name} is written by the lanes alone")));
        }
        if record.bytes > tail.record_bytes_max {
            return Err(SendError::Never(format!(
                "the record has {} bytes, and {name} takes {}",
                record.bytes, tail.record_bytes_max
            )));
        }
        let offset = self.put(topic, partition, record.stored, group);
        let offset = offset.ok_or_else(|| SendError::Never(format!("no topic {name}")))?;
        Ok(Place { topic: name, partition, offset })
    }

    /// Where a record goes: as it says, else by its key as Java's client places it, else in turn.
    fn place(
        &mut self,
        topic: TopicId,
        partition: Option<Partition>,
        key: Option<&Bytes>,
    ) -> Result<Partition, SendError> {
        let topic = usize::try_from(topic).ok().and_then(|topic| self.topics.get_mut(topic));
        let topic = topic.ok_or_else(|| SendError::Never("the topic is unknown".to_owned()))?;
        let count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
        match (partition, key) {
            (Some(partition), _) if partition < count => Ok(partition),
            (Some(partition), _) => Err(SendError::Never(format!(
                "{} has {count} partitions, and none of number {partition}",
                topic.name
            ))),
            (None, Some(key)) => Ok(partition_of(key, count)),
            (None, None) => {
                topic.turn = (topic.turn + 1) % count;
                Ok(topic.turn)
            }
        }
    }

    /// Adds a record to the batch and says its offset.
    fn put(
        &mut self,
        topic: TopicId,
        partition: Partition,
        mut stored: Vec<u8>,
        group: &mut Group,
    ) -> Option<Offset> {
        let now = self.options.clock.now();
        let tail = self.tail_mut(topic, partition)?;
        let offset = tail.next;
        tail.next += 1;
        // Never falling within a partition, even where the clock is set back.
        tail.time = tail.time.max(now);
        codec::stamp(&mut stored, tail.time);
        let blocks = group.touched.entry((topic, partition)).or_default();
        if !blocks.last().is_some_and(|block| block.has_room(stored.len())) {
            blocks.push(Making::at(offset));
        }
        blocks.last_mut()?.add(stored);
        Some(offset)
    }

    /// Makes a topic.
    pub(crate) fn make(
        &mut self,
        name: &Topic,
        purpose: Purpose,
        group: &mut Group,
    ) -> Result<TopicId, String> {
        topics::check_name(name)?;
        let id = self.topics.len();
        if id >= TOPICS_MAX {
            return Err(format!(
                "there are {TOPICS_MAX} topics already, so {name} can not be made"
            ));
        }
        let id = TopicId::try_from(id).map_err(|error| error.to_string())?;
        let source = topics::source_of(name)
            .and_then(|source| self.by_name.get(&source))
            .and_then(|source| self.topic(*source))
            .and_then(|source| u32::try_from(source.partitions.len()).ok());
        let partitions = topics::partitions_of(purpose, self.options.lanes, source);
        let described = Described { id, partitions, purpose };
        group.batch.insert(&self.store.meta, codec::topic_key(name), described.encode());
        group.made.push((name.clone(), partitions));
        self.topics.push(TopicTail {
            name: name.clone(),
            purpose,
            record_bytes_max: topics::record_bytes_max(
                &self.options.topics,
                name,
                purpose,
                self.options.record_bytes_max,
            ),
            partitions: (0..partitions).map(|_| Tail::default()).collect(),
            turn: 0,
        });
        self.by_name.insert(name.clone(), id);
        Ok(id)
    }

    /// Lets go of all below an offset. What is on the disk is removed by and by.
    pub(crate) fn let_go(
        &mut self,
        topic: TopicId,
        partition: Partition,
        below: Offset,
        group: &mut Group,
    ) {
        let Some(tail) = self.tail_mut(topic, partition) else { return };
        if below <= tail.first {
            return;
        }
        tail.first = below.min(tail.next);
        group.touched.entry((topic, partition)).or_default();
        self.put_floor(topic, partition, group);
    }

    /// Notes where a partition begins, so that no offset is used twice even when all have gone.
    pub(crate) fn put_floor(&self, topic: TopicId, partition: Partition, group: &mut Group) {
        if let Some(tail) = self.tail(topic, partition) {
            let floor = retention::Floor { swept: tail.swept, first: tail.first, time: tail.time };
            group.batch.insert(
                &self.store.meta,
                codec::floor_key(topic, partition),
                floor.encode(),
            );
        }
    }

    pub(crate) fn topic(&self, topic: TopicId) -> Option<&TopicTail> {
        self.topics.get(usize::try_from(topic).ok()?)
    }

    pub(crate) fn tail(&self, topic: TopicId, partition: Partition) -> Option<&Tail> {
        self.topic(topic)?.partitions.get(usize::try_from(partition).ok()?)
    }

    pub(crate) fn tail_mut(&mut self, topic: TopicId, partition: Partition) -> Option<&mut Tail> {
        let topic = self.topics.get_mut(usize::try_from(topic).ok()?)?;
        topic.partitions.get_mut(usize::try_from(partition).ok()?)
    }
}
