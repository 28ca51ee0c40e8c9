//! Requests reach the broker when they do: also after whoever sent them has given up, or is dead.

use bytes::Bytes;
use events::{Header, Lifecycle, Offset, Partition, Record, header};
use stream::{Key, LogError, SendError, Settled, Ticket};

use crate::store::{Letter, Reply, Store};
use crate::world::{Bell, Event, Inner, Micros, ProcessId};

/// A request on its way.
pub(crate) struct Landing {
    /// Who has sent it; `None`: what lands whatever becomes of its sender.
    pub(crate) by: Option<ProcessId>,
    pub(crate) request: Request,
}

/// What is asked.
pub(crate) enum Request {
    /// To a lane's journal.
    Append { lane: u32, entries: Vec<Bytes>, answer: Option<Answer>, tells_offsets: bool },
    /// To any topic.
    Send { topic: usize, partition: Partition, letter: Letter, acks: Option<Acks> },
    /// To any topic, by somebody who waits.
    Put { topic: usize, partition: Partition, letter: Letter, answer: Option<Answer> },
    /// To a lane's snapshots.
    Write { lane: u32, holder: u64, written: Written, answer: Option<Answer> },
}

/// What a holder writes.
pub(crate) enum Written {
    Claim,
    Snapshot(Vec<(Key, Option<Bytes>)>, Bytes),
}

/// Where an answer goes, and how long it takes.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) slot: u64,
    pub(crate) after: Micros,
}

/// Whose ticket it is, and how long its acknowledgement takes.
#[derive(Clone, Copy)]
pub(crate) struct Acks {
    pub(crate) outlet: u64,
    pub(crate) ticket: Ticket,
    pub(crate) after: Micros,
}

impl Inner {
    pub(crate) fn land(&mut self, landing: Landing) {
        if let Some(process) = landing.by {
            let process = &self.processes[process];
            let was_on_its_way = self.now <= process.cut;
            if !process.alive && !was_on_its_way {
                return;
            }
            if process.alive && process.paused_until > self.now && !was_on_its_way {
                // It never left the process that stands still.
                self.at(process.paused_until, Event::Land(landing));
                return;
            }
        }
        match landing.request {
            Request::Append { lane, entries, answer, tells_offsets } => {
                let mut offsets = Vec::with_capacity(entries.len());
                for entry in entries {
                    let at = self.append(lane, entry);
                    self.appended(lane);
                    offsets.push(tells_offsets.then_some(at));
                }
                self.ring(Bell::Topic(Store::JOURNAL));
                self.answer(answer, Reply::Appended(Ok(offsets)));
            }
            Request::Send { topic, partition, letter, acks } => {
                self.deliver(topic, partition, letter);
                if let Some(acks) = acks {
                    let at = self.now + acks.after;
                    self.at(at, Event::Settle(acks, None));
                }
            }
            Request::Put { topic, partition, letter, answer } => {
                let place = self.deliver(topic, partition, letter);
                self.answer(answer, Reply::Put(Ok(place)));
            }
            Request::Write { lane, holder, written, answer } => {
                let result = self.write(lane, holder, &written);
                self.answer(answer, Reply::Written(result));
            }
        }
    }

    fn append(&mut self, lane: u32, entry: Bytes) -> Offset {
        let letter = Letter { key: None, value: Some(entry), headers: Vec::<Header>::new() };
        self.deliver(Store::JOURNAL, lane, letter).offset
    }

    fn deliver(&mut self, topic: usize, partition: Partition, letter: Letter) -> events::Place {
        let hole = i64::from(topic == Store::INBOX && self.dice.one_in(20));
        let wall = self.wall();
        self.trace.mix(&self.now.to_le_bytes());
        self.trace.mix(letter.value.as_deref().unwrap_or_default());
        let place = self.store.store(topic, partition, letter, (wall, hole));
        let now = self.now;
        let stored = self.store.part(topic, partition).records.last();
        self.trace
            .note(|| format!("{now:>12} stored {place} {}", stored.map_or_else(String::new, told)));
        self.ring(Bell::Topic(topic));
        place
    }

    fn write(&mut self, lane: u32, holder: u64, written: &Written) -> Result<(), LogError> {
        if self.store.held(lane).holder != holder {
            return Err(LogError::Fenced);
        }
        match written {
            Written::Claim => {}
            Written::Snapshot(changed, marker) => {
                self.store.held(lane).write(changed, marker);
                self.trace.mix(marker);
                let now = self.now;
                let keys: Vec<&Key> = changed.iter().map(|(key, _)| key).collect();
                self.trace
                    .note(|| format!("{now:>12} snapshot of lane {lane} by {holder}: {keys:?}"));
                self.snapshot_landed(lane);
            }
        }
        Ok(())
    }

    pub(crate) fn answer(&mut self, answer: Option<Answer>, reply: Reply) {
        if let Some(Answer { slot, after }) = answer {
            self.store.replies.insert(slot, reply);
            self.at(self.now + after, Event::Answer(slot));
        }
    }

    /// One record of a ticket is settled; with the last of them, the ticket.
    pub(crate) fn settle(&mut self, acks: Acks, failed: Option<(usize, SendError)>) {
        let Acks { outlet, ticket, .. } = acks;
        let open = self.store.open.entry((outlet, ticket.0)).or_default();
        open.left = open.left.saturating_sub(1);
        if let Some((index, error)) = failed {
            open.failed.push(Settled::Failed { ticket, index, error });
        }
        if open.left > 0 {
            return;
        }
        let open = self.store.open.remove(&(outlet, ticket.0)).unwrap_or_default();
        let news = if open.failed.is_empty() { vec![Settled::Sent(ticket)] } else { open.failed };
        self.store.settled.entry(outlet).or_default().extend(news);
        self.ring(Bell::Outlet(outlet));
    }
}

/// A record, for the story.
fn told(record: &Record) -> String {
    let text = |name| record.header_text(name).unwrap_or_default();
    let value = record.value.as_deref().unwrap_or_default();
    if let Ok(event) =
        events::unframe(value).and_then(|(_, datum)| Lifecycle::decode(text(header::TYPE), datum))
    {
        let Lifecycle { workflow, run, sequence, what, .. } = event;
        return format!("{workflow} run {} #{sequence} {what:?}", run.0);
    }
    let value: String = String::from_utf8_lossy(value).chars().take(120).collect();
    let value = value.replace('\n', " ");
    let subject = match text(header::SUBJECT) {
        "" => record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned(),
        subject => subject.to_owned(),
    };
    match text(header::TYPE) {
        "" => String::new(),
        kind => format!("{kind} {subject} {value}"),
    }
}
