//! A lane's inbox and journal.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use events::{Offset, Outgoing, Record};
use stream::{Entry, LaneId, Log, LogError, Outlet, Purpose, Settled, Source, Ticket, Ticketed};

use crate::open::Shared;
use crate::outlet::LocalOutlet;
use crate::reader::Reader;
use crate::request::{Request, Stamped};
use crate::{codec, limits};

/// A lane's logs.
pub struct LocalLog {
    shared: Arc<Shared>,
    lane: LaneId,
    inbox: Reader,
    journal: Reader,
    outlet: LocalOutlet,
}

impl LocalLog {
    pub(crate) fn open(shared: Arc<Shared>, lane: LaneId) -> Result<Self, LogError> {
        let topics = &shared.options.topics;
        Ok(Self {
            inbox: Reader::new(&shared, topics.inbox(), lane.0)?,
            journal: Reader::new(&shared, topics.journal(), lane.0)?,
            outlet: LocalOutlet::new(Arc::clone(&shared)),
            shared,
            lane,
        })
    }

    fn reader(&self, source: Source) -> &Reader {
        match source {
            Source::Inbox => &self.inbox,
            Source::Journal => &self.journal,
        }
    }
}

impl Log for LocalLog {
    fn kept(&mut self, source: Source) -> Result<Range<Offset>, LogError> {
        Ok(self.reader(source).kept(&self.shared))
    }

    fn read(
        &mut self,
        source: Source,
        from: Offset,
        wait: Duration,
    ) -> Result<Vec<Record>, LogError> {
        self.reader(source).read(&self.shared, from, wait)
    }

    fn entry_bytes_max(&self) -> usize {
        let inbox = self.shared.options.record_bytes_max;
        limits::record_bytes_max(Purpose::Journal, inbox, inbox)
    }

    fn append(&mut self, entries: &[Entry]) -> Result<Vec<Option<Offset>>, LogError> {
        let most = self.entry_bytes_max();
        if let Some(Entry(large)) = entries.iter().find(|Entry(bytes)| bytes.len() > most) {
            return Err(LogError::TooLarge { bytes: large.len() });
        }
        let entries = entries.iter().map(|Entry(bytes)| Stamped {
            bytes: bytes.len(),
            stored: codec::encode(None, Some(&[bytes]), &[]),
        });
        let (topic, lane, entries) = (self.journal.topic(), self.lane.0, entries.collect());
        self.shared.ask(|reply| Request::Append { topic, lane, entries, reply })
    }

    fn trim(&mut self, below: Offset) -> Result<(), LogError> {
        let (topic, partition) = (self.journal.topic(), self.lane.0);
        self.shared.ask(|reply| Request::Trim { topic, partition, below, reply })
    }
}

impl Outlet for LocalLog {
    fn send(&mut self, ticket: Ticket, records: Vec<Outgoing>) -> Result<(), LogError> {
        self.outlet.send(ticket, records)
    }

    fn send_first(&mut self, waiting: &mut VecDeque<Ticketed>) -> Result<(), LogError> {
        self.outlet.send_first(waiting)
    }

    fn settled(&mut self, wait: Duration) -> Result<Vec<Settled>, LogError> {
        self.outlet.settled(wait)
    }
}
