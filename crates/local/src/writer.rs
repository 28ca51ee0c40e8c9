//! The one thread that writes: takes all that has come in, makes one durable batch of it, lets it be
//! seen, answers.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{Offset, Partition, Place, Timestamp, Topic, partition_of};
use fjall::OwnedWriteBatch;
use stream::{Created, LogError, Purpose, SendError, Settled, Ticket};

use crate::codec::{self, TopicId};
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_REQUESTS_MAX, COMMITS_WAIT, QUEUE_BYTES_MAX, QUEUE_REQUESTS_MAX,
    SWEEP_EVERY, TOPICS_MAX,
};
use crate::outlet::Tray;
use crate::store::Store;
use crate::topics::{self, Described};
use crate::view::{Published, View, lock};
use crate::{Options, retention};

/// Where an answer goes.
pub(crate) type Reply<T> = SyncSender<Result<T, LogError>>;

/// A record to be stored, without its time.
pub(crate) struct Stamped {
    pub(crate) stored: Vec<u8>,
    pub(crate) bytes: usize,
}

/// A record to be sent.
pub(crate) struct Sending {
    pub(crate) topic: Topic,
    pub(crate) partition: Option<Partition>,
    pub(crate) key: Option<Bytes>,
    pub(crate) record: Result<Stamped, SendError>,
}

/// What the writer is asked.
pub(crate) enum Request {
    Append {
        topic: TopicId,
        lane: Partition,
        entries: Vec<Stamped>,
        reply: Reply<Vec<Option<Offset>>>,
    },
    Send {
        ticket: Ticket,
        records: Vec<Sending>,
        tray: Arc<Tray>,
    },
    Put {
        record: Sending,
        reply: Reply<Result<Place, SendError>>,
    },
    Fence {
        lane: Partition,
        reply: Reply<u64>,
    },
    Snapshot {
        lane: Partition,
        holder: u64,
        changes: Vec<(Vec<u8>, Option<Bytes>)>,
        reply: Reply<()>,
    },
    Commit {
        offsets: Vec<(Vec<u8>, Offset)>,
    },
    Flush {
        reply: Reply<()>,
    },
    Trim {
        topic: TopicId,
        partition: Partition,
        below: Offset,
        reply: Reply<()>,
    },
    Create {
        topic: Topic,
        purpose: Purpose,
        reply: Reply<Created>,
    },
}

impl Request {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => entries.iter().map(|entry| entry.stored.len()).sum(),
            Self::Send { records, .. } => records
                .iter()
                .map(|record| record.record.as_ref().map_or(0, |record| record.stored.len()))
                .sum(),
            Self::Put { record, .. } => {
                record.record.as_ref().map_or(0, |record| record.stored.len())
            }
            Self::Snapshot { changes, .. } => changes
                .iter()
                .map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len))
                .sum(),
            Self::Fence { .. }
            | Self::Commit { .. }
            | Self::Flush { .. }
            | Self::Trim { .. }
            | Self::Create { .. } => 0,
        }
    }
}

impl Request {
    /// Says that it was never tried.
    fn refuse(self, why: &str) {
        let lost = || LogError::Lost(why.to_owned());
        match self {
            Self::Append { reply, .. } => answer(&reply, Err(lost())),
            Self::Send { ticket, records, tray } => {
                let failed = (0..records.len()).map(|index| Settled::Failed {
                    ticket,
                    index,
                    // Not `Never`: it can be sent when the log is open again.
                    error: SendError::InDoubt(why.to_owned()),
                });
                tray.put(failed.collect());
            }
            Self::Put { reply, .. } => {
                answer(&reply, Ok(Err(SendError::InDoubt(why.to_owned()))));
            }
            Self::Fence { reply, .. } => answer(&reply, Err(lost())),
            Self::Snapshot { reply, .. } | Self::Trim { reply, .. } | Self::Flush { reply } => {
                answer(&reply, Err(lost()));
            }
            Self::Create { reply, .. } => answer(&reply, Err(lost())),
            Self::Commit { .. } => {}
        }
    }
}

/// What waits for the writer.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    work: Condvar,
    room: Condvar,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    bytes: usize,
    /// No more requests, and why.
    closed: Option<String>,
}

impl Queue {
    /// Hands a request over; waits for room where too much is waiting already.
    ///
    /// # Errors
    /// `Lost`, with the reason, where the writer has stopped.
    pub(crate) fn push(&self, request: Request) -> Result<(), LogError> {
        let mut waiting = lock(&self.waiting);
        while waiting.closed.is_none()
            && (waiting.bytes > QUEUE_BYTES_MAX || waiting.requests.len() >= QUEUE_REQUESTS_MAX)
        {
            waiting = self.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(why) = &waiting.closed {
            return Err(LogError::Lost(why.clone()));
        }
        waiting.bytes += request.bytes();
        waiting.requests.push_back(request);
        self.work.notify_one();
        Ok(())
    }

    /// Takes no more requests; what was handed over is still done.
    pub(crate) fn close(&self, why: &str) {
        lock(&self.waiting).closed.get_or_insert_with(|| why.to_owned());
        self.work.notify_all();
        self.room.notify_all();
    }

    /// The next requests, up to the bounds of a batch; none when `until` comes first. `None`: closed,
    /// and all is done.
    fn take(&self, until: Instant) -> Option<Vec<Request>> {
        let mut waiting = lock(&self.waiting);
        while waiting.requests.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if waiting.closed.is_some() {
                return None;
            }
            if left.is_zero() {
                return Some(Vec::new());
            }
            waiting =
                self.work.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut requests = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES_MAX
            && requests.len() < BATCH_REQUESTS_MAX
            && let Some(request) = waiting.requests.pop_front()
        {
            bytes += request.bytes();
            requests.push(request);
        }
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        self.room.notify_all();
        Some(requests)
    }
}

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
}

/// A batch in the making.
pub(crate) struct Group {
    pub(crate) batch: OwnedWriteBatch,
    touched: BTreeSet<(TopicId, Partition)>,
    made: Vec<(Topic, u32)>,
    /// Whether what groups have done must be in it.
    flush: bool,
    answers: Vec<Answer>,
}

/// What is said once the batch is durable, or has failed.
enum Answer {
    Appended(Reply<Vec<Option<Offset>>>, Vec<Option<Offset>>),
    Sent { tray: Arc<Tray>, ticket: Ticket, stored: Vec<usize>, settled: Vec<Settled> },
    Put(Reply<Result<Place, SendError>>, Place),
    Fenced(Reply<u64>, u64),
    Written(Reply<()>),
    Made(Reply<Created>, Created),
}

impl Writer {
    /// Writes until the queue is closed and empty, or the disk refuses.
    pub(crate) fn run(mut self) {
        let mut sweep_at = Instant::now();
        while let Some(requests) =
            self.queue.take(self.commits_due().map_or(sweep_at, |due| due.min(sweep_at)))
        {
            let mut group = self.group();
            for request in requests {
                self.stage(request, &mut group);
            }
            if Instant::now() >= sweep_at {
                let more = retention::sweep(&mut self, &mut group);
                sweep_at = Instant::now() + if more { Duration::ZERO } else { SWEEP_EVERY };
            }
            if let Err(why) = self.finish(group) {
                tracing::error!(why, "the embedded log has stopped");
                return self.refuse_rest(&why);
            }
        }
    }

    /// When what groups have done is written, even if nothing else is.
    fn commits_due(&self) -> Option<Instant> {
        self.commits_since.map(|since| since + COMMITS_WAIT)
    }

    pub(crate) fn group(&self) -> Group {
        Group {
            batch: self.store.batch(),
            touched: BTreeSet::new(),
            made: Vec::new(),
            flush: false,
            answers: Vec::new(),
        }
    }

    /// Commits, lets it be seen, answers.
    pub(crate) fn finish(&mut self, group: Group) -> Result<(), String> {
        let Group { mut batch, touched, made, answers, flush } = group;
        let begun = Instant::now();
        if flush || !batch.is_empty() || self.commits_due().is_some_and(|due| due <= begun) {
            self.commits_since = None;
            for (key, offset) in std::mem::take(&mut self.commits) {
                batch.insert(&self.store.meta, key, offset.to_be_bytes());
            }
        }
        let committed = match batch.is_empty() {
            true => Ok(()),
            false => self.store.commit(batch),
        };
        metrics::histogram!("pavane_local_commit_duration_seconds").record(begun.elapsed());
        if committed.is_ok() {
            let kept = touched.into_iter().map(|(topic, partition)| {
                let tail = self.tail(topic, partition).copied().unwrap_or_default();
                (topic, partition, tail.first..tail.next)
            });
            self.view.publish(Published { made, kept: kept.collect() });
        }
        if let Err(why) = &committed {
            // Before anybody is answered, so that whoever asks again is refused.
            self.queue.close(why);
            self.view.stop(why);
        }
        answers.into_iter().for_each(|answer| answer.give(&committed));
        committed
    }

    /// Answers what came in after the writer has stopped.
    fn refuse_rest(&self, why: &str) {
        while let Some(requests) = self.queue.take(Instant::now()) {
            requests.into_iter().for_each(|request| request.refuse(why));
        }
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
            Request::Send { ticket, records, tray } => self.send(ticket, records, tray, group),
            Request::Put { record, reply } => match self.send_one(record, group) {
                Ok(place) => group.answers.push(Answer::Put(reply, place)),
                Err(error) => answer(&reply, Ok(Err(error))),
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

    fn send(&mut self, ticket: Ticket, records: Vec<Sending>, tray: Arc<Tray>, group: &mut Group) {
        let mut stored = Vec::new();
        let mut settled = Vec::new();
        for (index, sending) in records.into_iter().enumerate() {
            match self.send_one(sending, group) {
                Ok(_) => stored.push(index),
                Err(error) => settled.push(Settled::Failed { ticket, index, error }),
            }
        }
        group.answers.push(Answer::Sent { tray, ticket, stored, settled });
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
        group.batch.insert(
            &self.store.records,
            codec::record_key(topic, partition, offset),
            stored,
        );
        group.touched.insert((topic, partition));
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
        group.touched.insert((topic, partition));
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

impl Answer {
    /// Says what has become of it. What was in a batch that failed may be on the disk or not: the
    /// library may have written part of it, or all but the sync.
    fn give(self, committed: &Result<(), String>) {
        match self {
            Self::Appended(reply, offsets) => {
                let doubt = |why: &String| LogError::InDoubt(why.clone());
                answer(&reply, committed.as_ref().map(|()| offsets).map_err(doubt));
            }
            Self::Sent { tray, ticket, stored, mut settled } => {
                match committed {
                    Ok(()) if settled.is_empty() => settled.push(Settled::Sent(ticket)),
                    Ok(()) => {}
                    Err(why) => settled.extend(stored.into_iter().map(|index| Settled::Failed {
                        ticket,
                        index,
                        error: SendError::InDoubt(why.clone()),
                    })),
                }
                tray.put(settled);
            }
            Self::Put(reply, place) => {
                let doubt = |why: &String| SendError::InDoubt(why.clone());
                answer(&reply, Ok(committed.as_ref().map(|()| place).map_err(doubt)));
            }
            Self::Fenced(reply, holder) => answer(&reply, lost(committed, holder)),
            Self::Written(reply) => answer(&reply, lost(committed, ())),
            Self::Made(reply, created) => answer(&reply, lost(committed, created)),
        }
    }
}

fn lost<T>(committed: &Result<(), String>, answer: T) -> Result<T, LogError> {
    committed.as_ref().map(|()| answer).map_err(|why| LogError::Lost(why.clone()))
}

/// Whoever asked may have gone; then nobody needs the answer.
fn answer<T>(reply: &Reply<T>, answer: Result<T, LogError>) {
    reply.send(answer).ok();
}
