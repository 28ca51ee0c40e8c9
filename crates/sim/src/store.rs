//! What the broker has stored: topics, and the lanes' snapshots. Records that were let go of are kept for the
//! judge; nobody else can see them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;
use events::{Header, Offset, Partition, Place, Record, Timestamp, Topic, Topics};
use stream::{Created, Key, LogError, SendError, Settled, Snapshot};

/// Records of a read, at most.
const READ_MAX: usize = 64;
/// Partitions of a topic that is neither inbox, journal nor compact.
const PARTITIONS: usize = 2;

/// One partition.
#[derive(Default)]
pub(crate) struct Part {
    /// The first offset that is kept.
    pub(crate) start: Offset,
    /// One past the last.
    pub(crate) next: Offset,
    /// All that ever stood here.
    pub(crate) records: Vec<Record>,
}

impl Part {
    pub(crate) fn kept(&self) -> Range<Offset> {
        self.start..self.next
    }

    /// Records from `from` on.
    pub(crate) fn read(&self, from: Offset) -> Result<Vec<Record>, LogError> {
        if from < self.start {
            return Err(LogError::Gone { kept_from: self.start });
        }
        if from > self.next {
            return Err(LogError::PastEnd { end: self.next });
        }
        let at = self.records.partition_point(|record| record.place.offset < from);
        Ok(self.records[at..].iter().take(READ_MAX).cloned().collect())
    }
}

/// One topic.
pub(crate) struct Log {
    pub(crate) name: Topic,
    pub(crate) parts: Vec<Part>,
}

/// A record that is to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<Header>,
}

/// A lane's snapshots.
#[derive(Default)]
pub(crate) struct Held {
    /// Who may write.
    pub(crate) holder: u64,
    pub(crate) marker: Option<Bytes>,
    pub(crate) states: BTreeMap<Key, Bytes>,
    /// What was written before the last, if anything.
    pub(crate) older: Option<Snapshot>,
    /// It is lost once nobody builds on it any more.
    pub(crate) is_doomed: bool,
}

/// What a waiting call is answered.
pub(crate) enum Reply {
    Appended(Result<Vec<Option<Offset>>, LogError>),
    Written(Result<(), LogError>),
    Put(Result<Place, SendError>),
}

/// A ticket that is not settled.
#[derive(Default)]
pub(crate) struct Open {
    pub(crate) left: usize,
    pub(crate) failed: Vec<Settled>,
}

/// Everything stored.
pub(crate) struct Store {
    pub(crate) topics: Topics,
    pub(crate) lanes: u32,
    by_name: BTreeMap<Topic, usize>,
    pub(crate) logs: Vec<Log>,
    pub(crate) snapshots: Vec<Held>,
    pub(crate) replies: BTreeMap<u64, Reply>,
    /// Slots whose answers have come.
    pub(crate) arrived: BTreeSet<u64>,
    pub(crate) settled: BTreeMap<u64, Vec<Settled>>,
    pub(crate) open: BTreeMap<(u64, u64), Open>,
    /// What was not acknowledged when it was sent: what is behind it may have come first.
    pub(crate) doubted: Vec<Letter>,
}

impl Store {
    pub(crate) const INBOX: usize = 0;
    pub(crate) const JOURNAL: usize = 1;

    pub(crate) fn new(lanes: u32) -> Self {
        let topics = Topics::default();
        let mut store = Self {
            topics: topics.clone(),
            lanes,
            by_name: BTreeMap::new(),
            logs: Vec::new(),
            snapshots: (0..lanes).map(|_| Held::default()).collect(),
            replies: BTreeMap::new(),
            arrived: BTreeSet::new(),
            settled: BTreeMap::new(),
            open: BTreeMap::new(),
            doubted: Vec::new(),
        };
        let count = usize::try_from(lanes).unwrap_or(1);
        store.make(&topics.inbox(), count);
        store.make(&topics.journal(), count);
        store.make(&topics.definitions(), 1);
        store.make(&topics.events(), PARTITIONS);
        store
    }

    /// The number of a topic.
    pub(crate) fn topic(&self, name: &Topic) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    fn make(&mut self, name: &Topic, partitions: usize) {
        self.by_name.insert(name.clone(), self.logs.len());
        let parts = (0..partitions).map(|_| Part::default()).collect();
        self.logs.push(Log { name: name.clone(), parts });
    }

    pub(crate) fn create(&mut self, name: &Topic) -> Created {
        if self.topic(name).is_some() {
            return Created::Before;
        }
        self.make(name, PARTITIONS);
        Created::Now
    }

    pub(crate) fn part(&self, topic: usize, partition: Partition) -> &Part {
        &self.logs[topic].parts[usize::try_from(partition).unwrap_or(usize::MAX)]
    }

    pub(crate) fn part_mut(&mut self, topic: usize, partition: Partition) -> &mut Part {
        &mut self.logs[topic].parts[usize::try_from(partition).unwrap_or(usize::MAX)]
    }

    pub(crate) fn partitions(&self, topic: usize) -> u32 {
        u32::try_from(self.logs[topic].parts.len()).unwrap_or(u32::MAX)
    }

    /// Stores a record behind `hole` offsets that nobody will ever find.
    pub(crate) fn store(
        &mut self,
        topic: usize,
        partition: Partition,
        letter: Letter,
        (timestamp, hole): (Timestamp, i64),
    ) -> Place {
        let name = self.logs[topic].name.clone();
        let part = self.part_mut(topic, partition);
        let place = Place { topic: name, partition, offset: part.next + hole };
        let Letter { key, value, headers } = letter;
        part.records.push(Record { place: place.clone(), timestamp, key, value, headers });
        part.next = place.offset + 1;
        place
    }

    /// The snapshots of a lane.
    pub(crate) fn held(&mut self, lane: u32) -> &mut Held {
        &mut self.snapshots[usize::try_from(lane).unwrap_or(usize::MAX)]
    }
}

impl Held {
    pub(crate) fn snapshot(&self) -> Snapshot {
        let states = self.states.iter().map(|(key, bytes)| (key.clone(), bytes.clone())).collect();
        Snapshot { marker: self.marker.clone(), states }
    }

    pub(crate) fn write(&mut self, changed: &[(Key, Option<Bytes>)], marker: &Bytes) {
        self.older = Some(self.snapshot());
        for (key, bytes) in changed {
            match bytes {
                Some(bytes) => self.states.insert(key.clone(), bytes.clone()),
                None => self.states.remove(key),
            };
        }
        self.marker = Some(marker.clone());
    }

    /// Another may write from here on.
    pub(crate) fn fence(&mut self, holder: u64) {
        self.holder = holder;
        if std::mem::take(&mut self.is_doomed) {
            self.lose();
        }
    }

    /// As if the newest was never written, or none ever.
    fn lose(&mut self) {
        let Snapshot { marker, states } = self.older.take().unwrap_or_default();
        self.marker = marker;
        self.states = states.into_iter().collect();
    }
}
