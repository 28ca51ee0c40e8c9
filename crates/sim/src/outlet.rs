//! Sends records without waiting. One outlet's records to one partition keep their order; where one is lost,
//! all behind it are, until the sender has been told.

use std::collections::BTreeMap;
use std::time::Duration;

use events::{Outgoing, Partition};
use stream::{LogError, Outlet, SendError, Settled, Ticket};

use crate::broker::{SimBroker, address, after};
use crate::faults::SendFate;
use crate::landing::{Acks, Landing, Request};
use crate::store::{Letter, Open};
use crate::world::{Bell, Event, Inner, Micros, ProcessId, SECOND};

/// After so long without an acknowledgement a record is in doubt.
const SEND_WAIT: Micros = 30 * SECOND;

/// A sender.
pub struct SimOutlet {
    broker: SimBroker,
    id: u64,
    ways: BTreeMap<(usize, Partition), Way>,
}

/// To one partition.
#[derive(Clone, Copy, Default)]
struct Way {
    /// When the last record on it arrives.
    arrives: Micros,
    /// A record on it is lost, and will be said to be at this time: until the sender has heard that, all
    /// behind it are lost as well, or what is sent again would come behind them.
    cut: Option<Micros>,
}

impl SimOutlet {
    pub(crate) fn new(broker: SimBroker) -> Self {
        let id = broker.world.lock().id();
        Self { broker, id, ways: BTreeMap::new() }
    }
}

fn doubt() -> SendError {
    SendError::InDoubt("no acknowledgement in time".to_owned())
}

/// One record to send.
struct Posted {
    topic: usize,
    partition: Partition,
    letter: Letter,
    index: usize,
}

impl Way {
    fn post(&mut self, inner: &mut Inner, by: Option<ProcessId>, acks: Acks, posted: Posted) {
        let Posted { topic, partition, letter, index } = posted;
        let fate = if self.cut.is_some() { SendFate::Lost } else { inner.send_fate() };
        let there = inner.latency();
        self.arrives = self.arrives.max(inner.now + there);
        let land = |inner: &mut Inner, acks| {
            let request = Request::Send { topic, partition, letter: letter.clone(), acks };
            inner.at(self.arrives, Event::Land(Landing { by, request }));
        };
        if fate == SendFate::Lost {
            inner.store.doubted.push(letter.clone());
        }
        match fate {
            SendFate::Well => land(inner, Some(acks)),
            SendFate::Twice => {
                land(inner, None);
                land(inner, Some(acks));
            }
            SendFate::Unacknowledged => {
                land(inner, None);
                inner.at(inner.now + SEND_WAIT, Event::Settle(acks, Some((index, doubt()))));
            }
            SendFate::Lost => {
                let at = *self.cut.get_or_insert(inner.now + SEND_WAIT);
                inner.at(at, Event::Settle(acks, Some((index, doubt()))));
            }
        }
    }
}

impl Outlet for SimOutlet {
    fn send(&mut self, ticket: Ticket, records: Vec<Outgoing>) -> Result<(), LogError> {
        let process = self.broker.process;
        self.broker.world.step(process);
        let mut inner = self.broker.world.lock();
        let open = Open { left: records.len().max(1), failed: Vec::new() };
        inner.store.open.insert((self.id, ticket.0), open);
        let none = records.is_empty();
        for (index, record) in records.into_iter().enumerate() {
            let after = inner.latency();
            let acks = Acks { outlet: self.id, ticket, after };
            match address(&inner.store, record) {
                Ok((topic, partition, letter)) => {
                    let way = self.ways.entry((topic, partition)).or_default();
                    let posted = Posted { topic, partition, letter, index };
                    way.post(&mut inner, process, acks, posted);
                }
                Err(error) => {
                    let at = inner.now + after;
                    inner.at(at, Event::Settle(acks, Some((index, error))));
                }
            }
        }
        if none {
            let acks = Acks { outlet: self.id, ticket, after: 0 };
            let at = inner.now;
            inner.at(at, Event::Settle(acks, None));
        }
        Ok(())
    }

    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError> {
        let (world, process) = (&self.broker.world, self.broker.process);
        world.step(process);
        let until = after(world, wait);
        loop {
            {
                let mut inner = world.lock();
                let settled = inner.store.settled.remove(&self.id).unwrap_or_default();
                if !settled.is_empty() || inner.now >= until {
                    let now = inner.now;
                    if settled.iter().any(|one| matches!(one, Settled::Failed { .. })) {
                        let heard = |way: &&mut Way| way.cut.is_some_and(|at| at <= now);
                        self.ways.values_mut().filter(heard).for_each(|way| way.cut = None);
                    }
                    return Ok(settled);
                }
            }
            world.block(&[Bell::Outlet(self.id)], until);
        }
    }
}
