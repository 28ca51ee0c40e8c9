//! The broker, as one process sees it.

use std::ops::Range;

use bytes::Bytes;
use events::{
    Offset, Outgoing, Partition, Payload, Place, Record, Topic, Topics, partition_of, schemas,
};
use stream::{Broker, Created, Follow, LaneId, LogError, Purpose, SendError, Share, Start};

use crate::faults::Call;
use crate::groups::SimFeed;
use crate::landing::{Answer, Landing, Request};
use crate::lane::{SimLog, SimSnapshots};
use crate::outlet::SimOutlet;
use crate::store::{Letter, Reply, Store};
use crate::world::{Bell, Event, Inner, Micros, ProcessId, SECOND, World};

/// The largest record that a topic takes, bytes.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// How long a waiting call is answered at the latest.
pub(crate) const CALL_WAIT: Micros = 10 * SECOND;

/// The broker in a seeded world.
#[derive(Clone)]
pub struct SimBroker {
    pub(crate) world: World,
    pub(crate) process: Option<ProcessId>,
    topics: Topics,
}

impl SimBroker {
    /// A broker by itself, in which nothing ever goes wrong.
    #[must_use]
    pub fn alone(seed: u64, lanes: u32) -> Self {
        Self::of(&World::new(seed, lanes), None)
    }

    pub(crate) fn of(world: &World, process: Option<ProcessId>) -> Self {
        let topics = world.lock().store.topics.clone();
        Self { world: world.clone(), process, topics }
    }

    /// A call that changes nothing but what `ask` does at the broker.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&mut Inner) -> T) -> T {
        self.world.step(self.process);
        self.world.travel(self.process);
        ask(&mut self.world.lock())
    }

    /// Waits for an answer.
    pub(crate) fn await_reply(&self, slot: u64, until: Micros) -> Option<Reply> {
        loop {
            {
                let mut inner = self.world.lock();
                // Taken only once its way back is over: the bell rings then.
                if inner.store.arrived.remove(&slot) {
                    return inner.store.replies.remove(&slot);
                }
                if inner.now >= until {
                    return None;
                }
            }
            self.world.block(&[Bell::Slot(slot)], until);
        }
    }
}

/// Where a record goes, and what is stored of it.
pub(crate) fn address(
    store: &Store,
    record: Outgoing,
) -> Result<(usize, Partition, Letter), SendError> {
    let (topic, record) = store.topics.address(record);
    let headers = record.headers.iter().filter_map(|header| header.value.as_ref());
    let bytes = record.value.len() + headers.map(Bytes::len).sum::<usize>();
    if bytes > RECORD_BYTES_MAX {
        return Err(SendError::Never(format!("{bytes} bytes, {RECORD_BYTES_MAX} at most")));
    }
    let number = store
        .topic(&topic)
        .ok_or_else(|| SendError::Never(format!("there is no topic {topic}")))?;
    let count = store.partitions(number);
    let partition = match (record.partition, &record.key) {
        (Some(partition), _) => partition,
        (None, Some(key)) => partition_of(key, count),
        (None, None) => 0,
    };
    let value = match record.value {
        Payload::Null => None,
        Payload::Bytes(bytes) => Some(bytes),
        Payload::Avro { schema, datum } => {
            let id = schemas().iter().find(|known| known.name == schema).map_or(0, |it| it.id);
            Some(events::frame(id, &datum))
        }
    };
    Ok((number, partition, Letter { key: record.key, value, headers: record.headers }))
}

impl Broker for SimBroker {
    type Log = SimLog;
    type Snapshots = SimSnapshots;
    type Feed = SimFeed;
    type Follow = SimFollow;
    type Outlet = SimOutlet;

    fn topics(&self) -> &Topics {
        &self.topics
    }

    fn lanes(&self) -> Result<u32, LogError> {
        Ok(self.ask(|inner| inner.store.lanes))
    }

    fn open(&self, lane: LaneId) -> Result<SimLog, LogError> {
        Ok(SimLog::new(self.clone(), lane, self.outlet()?))
    }

    fn fence(&self, lane: LaneId) -> Result<SimSnapshots, LogError> {
        self.world.lock().fences(self.process, lane.0);
        self.world.call(self.process, Call::Fence);
        let holder = self.ask(|inner| {
            let holder = inner.id();
            inner.store.held(lane.0).fence(holder);
            holder
        });
        self.world.call(self.process, Call::Fence);
        Ok(SimSnapshots::new(self.clone(), lane, holder))
    }

    fn join(&self, group: &str, share: Share) -> Result<SimFeed, LogError> {
        SimFeed::join(self.clone(), group, share)
    }

    fn follow(&self, from: Vec<(Topic, Start)>) -> Result<SimFollow, LogError> {
        let positions = self.ask(|inner| {
            let mut positions = Vec::new();
            for (name, start) in from {
                let topic = known(inner, &name)?;
                for (partition, part) in (0..).zip(&inner.store.logs[topic].parts) {
                    let kept = part.kept();
                    let from = match &start {
                        Start::Earliest => kept.start,
                        Start::End => kept.end,
                        Start::At(places) => places
                            .iter()
                            .find(|(named, _)| *named == partition)
                            .map_or(kept.start, |(_, offset)| (*offset).max(kept.start)),
                    };
                    positions.push((topic, partition, from));
                }
            }
            Ok::<_, LogError>(positions)
        })?;
        Ok(SimFollow { broker: self.clone(), positions })
    }

    fn outlet(&self) -> Result<SimOutlet, LogError> {
        Ok(SimOutlet::new(self.clone()))
    }

    fn put(&self, record: Outgoing) -> Result<Place, SendError> {
        self.world.step(self.process);
        let (slot, until) = {
            let mut inner = self.world.lock();
            let (topic, partition, letter) = address(&inner.store, record)?;
            let (there, back) = (inner.latency(), inner.latency());
            let slot = inner.id();
            let answer = Some(Answer { slot, after: back });
            let request = Request::Put { topic, partition, letter, answer };
            let at = inner.now + there;
            inner.at(at, Event::Land(Landing { by: self.process, request }));
            (slot, inner.now + CALL_WAIT)
        };
        let reply = self.await_reply(slot, until);
        self.world.step(self.process);
        match reply {
            Some(Reply::Put(result)) => result,
            Some(Reply::Appended(_) | Reply::Written(_)) | None => {
                Err(SendError::InDoubt("no answer".to_owned()))
            }
        }
    }

    fn kept(&self, topic: &Topic) -> Result<Option<Vec<Range<Offset>>>, LogError> {
        Ok(self.ask(|inner| {
            let topic = inner.store.topic(topic)?;
            Some(inner.store.logs[topic].parts.iter().map(crate::store::Part::kept).collect())
        }))
    }

    fn create(&self, topic: &Topic, _: Purpose) -> Result<Created, LogError> {
        Ok(self.ask(|inner| inner.store.create(topic)))
    }

    fn inventory(&self) -> Result<stream::Inventory, LogError> {
        Ok(self.ask(|inner| {
            let name = |log: &crate::store::Log| log.name.clone();
            let read = inner.groups.read();
            stream::Inventory {
                topics: inner.store.logs.iter().map(name).collect(),
                read: read.into_iter().map(|topic| name(&inner.store.logs[topic])).collect(),
                makes_users_topics: false,
            }
        }))
    }
}

pub(crate) fn known(inner: &Inner, name: &Topic) -> Result<usize, LogError> {
    inner.store.topic(name).ok_or_else(|| LogError::Lost(format!("there is no topic {name}")))
}

/// A reader of whole topics.
pub struct SimFollow {
    broker: SimBroker,
    positions: Vec<(usize, Partition, Offset)>,
}

impl SimFollow {
    fn look(&mut self) -> Result<Vec<Record>, LogError> {
        let inner = self.broker.world.lock();
        let mut found = Vec::new();
        for (topic, partition, from) in &mut self.positions {
            let part = inner.store.part(*topic, *partition);
            let records = part.read((*from).max(part.start))?;
            if let Some(last) = records.last() {
                *from = last.place.offset + 1;
            }
            found.extend(records);
        }
        Ok(found)
    }
}

impl Follow for SimFollow {
    fn next(&mut self, wait: std::time::Duration) -> Result<Vec<Record>, LogError> {
        let SimBroker { world, process, .. } = self.broker.clone();
        world.step(process);
        let until = after(&world, wait);
        loop {
            let records = self.look()?;
            if !records.is_empty() || world.lock().now >= until {
                world.step(process);
                return Ok(records);
            }
            let bells: Vec<Bell> =
                self.positions.iter().map(|(topic, ..)| Bell::Topic(*topic)).collect();
            world.block(&bells, until);
        }
    }
}

/// So long from now.
pub(crate) fn after(world: &World, wait: std::time::Duration) -> Micros {
    world.lock().now.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(Micros::MAX))
}

/// Bytes of an entry.
pub(crate) fn bytes_of(entries: &[stream::Entry]) -> Vec<Bytes> {
    entries.iter().map(|entry| entry.0.clone()).collect()
}
