//! A world in memory for this crate's tests: one lane's logs, any number of processes that think they hold
//! it, and faults on demand. Single-threaded and deterministic.

mod schedules;
pub(crate) mod tally;
pub(crate) mod told;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use events::{Header, Offset, Outgoing, Partition, Place, Record, Timestamp, Topic, Topics};

use crate::broker::*;
use crate::inventory::Inventory;
use crate::seams::Clock;
use crate::snapshot::read_marker;
use told::{Told, check_proposed, lowest_unanswered, told};

/// What befalls an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Stored, acknowledged with its offset.
    Lands,
    /// Stored, acknowledged without an offset.
    LandsUnplaced,
    /// Stored, but the process hears that it is in doubt.
    LandsInDoubt,
    /// Not stored now, but later, when the world pleases; the process hears that it is in doubt.
    Late,
    /// Never stored; in doubt.
    Vanishes,
    /// The first of it is never stored, the rest is; in doubt.
    LosesHead,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) now: i64,
    pub(crate) inbox: Vec<Record>,
    /// The inbox is kept from here on.
    pub(crate) inbox_from: Offset,
    pub(crate) journal: Vec<(Offset, Bytes)>,
    /// The same, but never trimmed.
    pub(crate) history: Vec<(Offset, Bytes)>,
    pub(crate) trimmed_below: Offset,
    pub(crate) states: BTreeMap<Key, Bytes>,
    pub(crate) marker: Option<Bytes>,
    pub(crate) holder: u64,
    pub(crate) sent: Vec<Outgoing>,
    pub(crate) fate: Option<Fate>,
    pub(crate) late: Vec<Entry>,
    /// The next sends are lost and never acknowledged, as when the process dies right after handing over.
    pub(crate) drop_sends: bool,
    /// Nobody hears what became of what was sent.
    pub(crate) hold_acks: bool,
    /// What was heard of as acknowledged, by anybody.
    pub(crate) acknowledged: BTreeSet<Told>,
    pub(crate) refuse_topic: Option<&'static str>,
    /// The largest journal entry, bytes; `None`: any.
    pub(crate) entry_bytes_max: Option<usize>,
    pub(crate) rival: Option<Rival>,
}

/// Somebody else who writes a snapshot and trims the journal below it, while a takeover is under way.
pub(crate) struct Rival {
    /// Once the journal is read; else once its end is asked for.
    pub(crate) at_read: bool,
    pub(crate) marker: Bytes,
    pub(crate) states: BTreeMap<Key, Bytes>,
}

impl World {
    fn rival_comes(&mut self, at_read: bool) {
        let Some(rival) = self.rival.take_if(|rival| rival.at_read == at_read) else { return };
        self.trim(read_marker(&rival.marker).unwrap().next);
        (self.marker, self.states) = (Some(rival.marker), rival.states);
    }

    fn trim(&mut self, below: Offset) {
        self.journal.retain(|(offset, _)| *offset >= below);
        self.trimmed_below = self.trimmed_below.max(below);
    }

    pub(crate) fn put(&mut self, key: &str, value: &str) {
        let offset = Offset::try_from(self.inbox.len()).unwrap();
        self.inbox.push(Record {
            place: Place { topic: Topic::from("pavane.inbox"), partition: 0, offset },
            timestamp: Timestamp::from_millis(self.now),
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: vec![Header::text("traceparent", "00-trace-01")],
        });
    }

    pub(crate) fn journal_end(&self) -> Offset {
        self.journal.last().map_or(self.trimmed_below, |(offset, _)| offset + 1)
    }

    fn store(&mut self, entry: &Entry) -> Offset {
        let offset = self.journal_end();
        self.journal.push((offset, entry.0.clone()));
        self.history.push((offset, entry.0.clone()));
        offset
    }

    /// Appends that were in doubt land now.
    pub(crate) fn land_late(&mut self) {
        for entry in std::mem::take(&mut self.late) {
            self.store(&entry);
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Memory(pub(crate) Arc<Mutex<World>>);

impl Memory {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl Clock for Memory {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.world().now)
    }
}

impl Broker for Memory {
    type Log = MemoryLog;
    type Snapshots = MemorySnapshots;
    type Feed = Nothing;
    type Follow = Nothing;
    type Outlet = Nothing;

    fn topics(&self) -> &Topics {
        unimplemented!("lanes do not ask")
    }
    fn lanes(&self) -> Result<u32, LogError> {
        Ok(1)
    }
    fn open(&self, _: LaneId) -> Result<MemoryLog, LogError> {
        Ok(MemoryLog { memory: self.clone(), settled: VecDeque::new(), cut_off: false })
    }
    fn fence(&self, _: LaneId) -> Result<MemorySnapshots, LogError> {
        let mut world = self.world();
        world.holder += 1;
        Ok(MemorySnapshots { memory: self.clone(), holder: world.holder })
    }
    fn join(&self, _: &str, _: Share) -> Result<Nothing, LogError> {
        Ok(Nothing)
    }
    fn follow(&self, _: Vec<(Topic, Start)>) -> Result<Nothing, LogError> {
        Ok(Nothing)
    }
    fn outlet(&self) -> Result<Nothing, LogError> {
        Ok(Nothing)
    }
    fn put(&self, _: Outgoing) -> Result<Place, SendError> {
        Err(SendError::Never("lanes do not ask".to_owned()))
    }
    fn kept(&self, _: &Topic) -> Result<Option<Vec<Range<Offset>>>, LogError> {
        Ok(None)
    }
    fn create(&self, _: &Topic, _: Purpose) -> Result<Created, LogError> {
        Ok(Created::Before)
    }
    fn inventory(&self) -> Result<Inventory, LogError> {
        unimplemented!("lanes do not ask")
    }
}

pub(crate) struct MemoryLog {
    memory: Memory,
    /// By ticket: what became of it, and which records were acknowledged.
    settled: VecDeque<(Vec<Settled>, Vec<Told>)>,
    /// Order is kept: once a send is lost, so is all that this process sends after it.
    cut_off: bool,
}

impl Outlet for MemoryLog {
    fn send(&mut self, ticket: Ticket, records: Vec<Outgoing>) -> Result<(), LogError> {
        let mut world = self.memory.world();
        self.cut_off |= world.drop_sends;
        if self.cut_off {
            return Ok(());
        }
        let refused = world.refuse_topic;
        let mut failed = Vec::new();
        let mut stored = Vec::new();
        for (index, record) in records.into_iter().enumerate() {
            let topic = Topics::default().resolve(&record.to);
            if refused == Some(topic.as_str()) {
                let error = SendError::Never(format!("there is no topic {topic}"));
                failed.push(Settled::Failed { ticket, index, error });
            } else {
                stored.push(told(&record));
                world.sent.push(record);
            }
        }
        if failed.is_empty() {
            failed.push(Settled::Sent(ticket));
        }
        self.settled.push_back((failed, stored));
        Ok(())
    }

    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError> {
        let mut world = self.memory.world();
        if world.hold_acks || self.settled.is_empty() {
            world.now += i64::try_from(wait.as_millis()).unwrap();
            return Ok(Vec::new());
        }
        let mut settled = Vec::new();
        for (outcomes, stored) in self.settled.drain(..) {
            settled.extend(outcomes);
            world.acknowledged.extend(stored);
        }
        Ok(settled)
    }
}

impl Log for MemoryLog {
    fn kept(&mut self, source: Source) -> Result<Range<Offset>, LogError> {
        let mut world = self.memory.world();
        Ok(match source {
            Source::Inbox => world.inbox_from..Offset::try_from(world.inbox.len()).unwrap(),
            Source::Journal => {
                world.rival_comes(false);
                world.trimmed_below..world.journal_end()
            }
        })
    }

    fn read(
        &mut self,
        source: Source,
        from: Offset,
        wait: Duration,
    ) -> Result<Vec<Record>, LogError> {
        let mut world = self.memory.world();
        if source == Source::Journal {
            world.rival_comes(true);
        }
        let records: Vec<Record> = match source {
            Source::Inbox => {
                world.inbox.iter().skip(usize::try_from(from).unwrap()).cloned().collect()
            }
            Source::Journal if from < world.trimmed_below => {
                return Err(LogError::Gone { kept_from: world.trimmed_below });
            }
            Source::Journal => world
                .journal
                .iter()
                .filter(|(offset, _)| *offset >= from)
                .map(|(offset, value)| Record {
                    place: Place {
                        topic: Topic::from("pavane.journal"),
                        partition: 0,
                        offset: *offset,
                    },
                    timestamp: Timestamp::from_millis(world.now),
                    key: None,
                    value: Some(value.clone()),
                    headers: Vec::new(),
                })
                .collect(),
        };
        if records.is_empty() {
            // Waiting is what moves the time in this world.
            world.now += i64::try_from(wait.as_millis()).unwrap();
        }
        Ok(records)
    }

    fn entry_bytes_max(&self) -> usize {
        self.memory.world().entry_bytes_max.unwrap_or(usize::MAX)
    }

    fn append(&mut self, entries: &[Entry]) -> Result<Vec<Option<Offset>>, LogError> {
        let most = self.entry_bytes_max();
        if let Some(Entry(large)) = entries.iter().find(|Entry(bytes)| bytes.len() > most) {
            return Err(LogError::TooLarge { bytes: large.len() });
        }
        let mut world = self.memory.world();
        check_proposed(&world.history, &world.acknowledged, entries);
        let fate = world.fate.take().unwrap_or(Fate::Lands);
        let doubt = Err(LogError::InDoubt(format!("{fate:?}")));
        match fate {
            Fate::Late => {
                world.late.extend_from_slice(entries);
                return doubt;
            }
            Fate::Vanishes => return doubt,
            Fate::Lands | Fate::LandsUnplaced | Fate::LandsInDoubt | Fate::LosesHead => {}
        }
        let lost = usize::from(fate == Fate::LosesHead);
        let offsets = entries.iter().skip(lost).map(|entry| world.store(entry));
        let offsets: Vec<Option<Offset>> =
            offsets.map(|offset| (fate == Fate::Lands).then_some(offset)).collect();
        if matches!(fate, Fate::LandsInDoubt | Fate::LosesHead) { doubt } else { Ok(offsets) }
    }

    fn trim(&mut self, below: Offset) -> Result<(), LogError> {
        self.memory.world().trim(below);
        Ok(())
    }
}

pub(crate) struct MemorySnapshots {
    memory: Memory,
    holder: u64,
}

impl Snapshots for MemorySnapshots {
    fn read(&mut self, each: EachState<'_>) -> Result<Option<Bytes>, LogError> {
        let world = self.memory.world();
        world.states.iter().for_each(|(key, state)| each(key.clone(), Some(state.clone())));
        Ok(world.marker.clone())
    }

    fn write(&mut self, changed: &[(Key, Option<Bytes>)], marker: &Bytes) -> Result<(), LogError> {
        let mut world = self.memory.world();
        if world.holder != self.holder {
            return Err(LogError::Fenced);
        }
        for (key, state) in changed {
            match state {
                Some(state) => world.states.insert(key.clone(), state.clone()),
                None => world.states.remove(key),
            };
        }
        let below = read_marker(marker).unwrap().next;
        let open = lowest_unanswered(&world.history);
        assert!(open.is_none_or(|at| at >= below), "a snapshot to {below} passes {open:?}");
        world.marker = Some(marker.clone());
        Ok(())
    }

    fn claim(&mut self, _: &Bytes) -> Result<(), LogError> {
        if self.memory.world().holder == self.holder { Ok(()) } else { Err(LogError::Fenced) }
    }
}

/// What lanes do not ask for.
pub(crate) struct Nothing;

impl Outlet for Nothing {
    fn send(&mut self, _: Ticket, _: Vec<Outgoing>) -> Result<(), LogError> {
        Ok(())
    }
    fn settled(&mut self, _: Duration) -> Result<Vec<Settled>, LogError> {
        Ok(Vec::new())
    }
}

impl Feed for Nothing {
    fn next(&mut self, _: Duration) -> Result<Fed, LogError> {
        Ok(Fed::Idle)
    }
    fn commit(&mut self, _: &[(Topic, Partition, Offset)]) -> Result<(), LogError> {
        Ok(())
    }
    fn reshare(&mut self, _: Share) -> Result<(), LogError> {
        Ok(())
    }
    fn rewind(&mut self, _: &Topic, _: Partition, _: Offset) -> Result<(), LogError> {
        Ok(())
    }
}

impl Follow for Nothing {
    fn next(&mut self, _: Duration) -> Result<Vec<Record>, LogError> {
        Ok(Vec::new())
    }
}
