//! A lane's logs and its snapshots.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use events::{Offset, Outgoing, Record};
use stream::{
    EachState, Entry, Key, LaneId, Log, LogError, Outlet, Settled, Snapshot, Snapshots, Source,
    Ticket,
};

use crate::broker::{CALL_WAIT, SimBroker, after, bytes_of};
use crate::faults::{AppendFate, Call};
use crate::landing::{Answer, Landing, Request, Written};
use crate::outlet::SimOutlet;
use crate::store::{Reply, Store};
use crate::world::{Bell, Event, Inner, MS, Micros, SECOND};

/// The largest entry of a journal, bytes.
const ENTRY_BYTES_MAX: usize = 1 << 20;

/// A lane's inbox and journal.
pub struct SimLog {
    broker: SimBroker,
    lane: LaneId,
    outlet: SimOutlet,
    /// By which the broker knows it.
    id: u64,
    /// Records that one read gives, at most.
    read_max: usize,
}

impl SimLog {
    pub(crate) fn new(broker: SimBroker, lane: LaneId, outlet: SimOutlet) -> Self {
        let (id, read_max) = {
            let mut inner = broker.world.lock();
            (inner.opened(broker.process, lane.0), *inner.dice.of(&[1, 5, 64, 64]))
        };
        Self { broker, lane, outlet, id, read_max }
    }
}

impl Drop for SimLog {
    fn drop(&mut self) {
        self.broker.world.lock().closed(self.id);
    }
}

fn topic_of(source: Source) -> usize {
    match source {
        Source::Inbox => Store::INBOX,
        Source::Journal => Store::JOURNAL,
    }
}

impl Outlet for SimLog {
    fn send(&mut self, ticket: Ticket, records: Vec<Outgoing>) -> Result<(), LogError> {
        let (world, process) = (&self.broker.world, self.broker.process);
        world.lock().sends(self.id);
        world.call(process, Call::Send);
        self.outlet.send(ticket, records)?;
        world.call(process, Call::Send);
        Ok(())
    }

    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError> {
        self.outlet.settled(wait)
    }
}

impl Log for SimLog {
    fn kept(&mut self, source: Source) -> Result<Range<Offset>, LogError> {
        let (world, process) = (&self.broker.world, self.broker.process);
        if source == Source::Journal {
            world.lock().hears(self.id);
            world.call(process, Call::Look);
        }
        let lane = self.lane.0;
        let kept = self.broker.ask(|inner| {
            if source == Source::Inbox {
                inner.looks(self.id);
            }
            inner.store.part(topic_of(source), lane).kept()
        });
        if source == Source::Journal {
            world.call(process, Call::Look);
        }
        Ok(kept)
    }

    fn read(
        &mut self,
        source: Source,
        from: Offset,
        wait: Duration,
    ) -> Result<Vec<Record>, LogError> {
        let (world, process) = (&self.broker.world, self.broker.process);
        match source {
            Source::Journal => world.lock().hears(self.id),
            Source::Inbox => world.lock().reads(self.id),
        }
        let is_inbox = source == Source::Inbox;
        if is_inbox {
            world.call(process, Call::Read);
        }
        world.step(process);
        world.travel(process);
        let until = after(world, wait);
        loop {
            let mut records = world.lock().store.part(topic_of(source), self.lane.0).read(from)?;
            records.truncate(self.read_max);
            if is_inbox {
                world.lock().looks(self.id);
            }
            if !records.is_empty() || world.lock().now >= until {
                world.step(process);
                if is_inbox {
                    world.call(process, if records.is_empty() { Call::Idle } else { Call::Read });
                }
                return Ok(records);
            }
            world.block(&[Bell::Topic(topic_of(source))], until);
        }
    }

    fn entry_bytes_max(&self) -> usize {
        ENTRY_BYTES_MAX
    }

    fn append(&mut self, entries: &[Entry]) -> Result<Vec<Option<Offset>>, LogError> {
        if let Some(large) = entries.iter().find(|entry| entry.0.len() > ENTRY_BYTES_MAX) {
            return Err(LogError::TooLarge { bytes: large.0.len() });
        }
        let (world, process) = (&self.broker.world, self.broker.process);
        world.lock().appends(self.id);
        world.lock().decides(self.id, entries);
        world.call(process, Call::Append);
        world.step(process);
        let slot = {
            let mut inner = world.lock();
            let fate = inner.append_fate();
            if fate == AppendFate::Refused {
                return Err(LogError::Lost("no space left on device".to_owned()));
            }
            let slot = inner.id();
            inner.send_append(process, self.lane.0, bytes_of(entries), (slot, fate));
            slot
        };
        let until = world.lock().now + CALL_WAIT;
        let reply = self.broker.await_reply(slot, until);
        world.call(process, Call::Append);
        world.step(process);
        match reply {
            Some(Reply::Appended(result)) => result,
            Some(Reply::Written(_) | Reply::Put(_)) | None => {
                Err(LogError::InDoubt("no acknowledgement in time".to_owned()))
            }
        }
    }

    fn trim(&mut self, below: Offset) -> Result<(), LogError> {
        let lane = self.lane.0;
        self.broker.ask(|inner| {
            let part = inner.store.part_mut(Store::JOURNAL, lane);
            part.start = part.start.max(below.min(part.next));
        });
        Ok(())
    }
}

impl Inner {
    fn send_append(
        &mut self,
        process: Option<usize>,
        lane: u32,
        entries: Vec<Bytes>,
        (slot, fate): (u64, AppendFate),
    ) {
        let (there, back) = (self.latency(), self.latency());
        let answer = Answer { slot, after: back };
        let land = |inner: &mut Self, by, at: Micros, answer, tells_offsets| {
            let entries = entries.clone();
            let request = Request::Append { lane, entries, answer, tells_offsets };
            inner.at(at, Event::Land(Landing { by, request }));
        };
        let arrives = self.now + there;
        match fate {
            AppendFate::Well => land(self, process, arrives, Some(answer), true),
            AppendFate::Lost | AppendFate::Refused => {}
            AppendFate::Unacknowledged => land(self, process, arrives, None, true),
            AppendFate::Late => {
                let late = self.dice.scale(1, 20_000) * MS;
                land(self, None, self.now + CALL_WAIT + late, None, true);
            }
            AppendFate::Twice => {
                land(self, process, arrives, Some(answer), true);
                let later = self.dice.scale(1, 5_000) * MS;
                land(self, None, arrives + later, None, true);
            }
            AppendFate::NoOffsets => land(self, process, arrives, Some(answer), false),
            AppendFate::Nowhere => {
                let offsets = vec![None; entries.len()];
                self.answer(Some(answer), Reply::Appended(Ok(offsets)));
            }
        }
    }
}

/// A lane's snapshots, held by one holder.
pub struct SimSnapshots {
    broker: SimBroker,
    lane: LaneId,
    holder: u64,
    /// A write has failed: it is not to be used again.
    failed: bool,
}

impl SimSnapshots {
    pub(crate) fn new(broker: SimBroker, lane: LaneId, holder: u64) -> Self {
        Self { broker, lane, holder, failed: false }
    }

    fn put(&mut self, written: Written) -> Result<(), LogError> {
        let (world, process) = (&self.broker.world, self.broker.process);
        let call = match written {
            Written::Claim => Call::Claim,
            Written::Snapshot(..) => Call::Snapshot,
        };
        world.lock().holds(self.holder, self.failed);
        world.call(process, call);
        world.step(process);
        let is_claim = call == Call::Claim;
        let (slot, until) = {
            let mut inner = world.lock();
            let slot = inner.id();
            let (there, back) = (inner.latency(), inner.latency());
            let fate = inner.append_fate();
            if fate == AppendFate::Refused {
                self.failed = true;
                return Err(LogError::Lost("no space left on device".to_owned()));
            }
            let by = if fate == AppendFate::Late { None } else { process };
            let at = inner.now + if fate == AppendFate::Late { 4 * SECOND } else { there };
            let answers =
                matches!(fate, AppendFate::Well | AppendFate::Twice | AppendFate::NoOffsets);
            let answer = answers.then_some(Answer { slot, after: back });
            let (lane, holder) = (self.lane.0, self.holder);
            let request = Request::Write { lane, holder, written, answer };
            if !matches!(fate, AppendFate::Lost | AppendFate::Nowhere) {
                inner.at(at, Event::Land(Landing { by, request }));
            }
            (slot, inner.now + 2 * SECOND)
        };
        let reply = self.broker.await_reply(slot, until);
        world.call(process, call);
        world.step(process);
        let result = match reply {
            Some(Reply::Written(result)) => result,
            Some(Reply::Appended(_) | Reply::Put(_)) | None => {
                Err(LogError::InDoubt("no acknowledgement in time".to_owned()))
            }
        };
        self.failed |= result.is_err();
        if is_claim && result.is_ok() {
            world.lock().claimed(process, self.lane.0);
        }
        result
    }
}

impl Snapshots for SimSnapshots {
    fn read(&mut self, each: EachState<'_>) -> Result<Option<Bytes>, LogError> {
        let (world, process) = (&self.broker.world, self.broker.process);
        world.call(process, Call::Load);
        let lane = self.lane.0;
        let Snapshot { marker, states } =
            self.broker.ask(|inner| inner.store.held(lane).snapshot());
        world.call(process, Call::Load);
        states.into_iter().for_each(|(key, state)| each(key, Some(state)));
        Ok(marker)
    }

    fn write(&mut self, changed: &[(Key, Option<Bytes>)], marker: &Bytes) -> Result<(), LogError> {
        self.put(Written::Snapshot(changed.to_vec(), marker.clone()))
    }

    fn claim(&mut self, _: &Bytes) -> Result<(), LogError> {
        self.put(Written::Claim)
    }
}
