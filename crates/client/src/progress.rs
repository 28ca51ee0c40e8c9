//! Answers on their way, and how far each partition is done.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use events::{Offset, Outgoing, Partition, Place, Timestamp, Topic};
use stream::{LogError, Outlet, SendError, Settled, Ticket};
use tracing::warn;

/// How far one partition is done.
#[derive(Debug, Default)]
struct Watermark {
    /// Offsets at or above the watermark that were read: how often, less how often answered. An offset
    /// is read twice where the partition was lost and came back.
    open: BTreeMap<Offset, u32>,
    /// Everything below is done; `None` until something was.
    done_below: Option<Offset>,
    /// Whether that has changed since it was last taken.
    is_news: bool,
}

impl Watermark {
    fn begin(&mut self, offset: Offset) {
        *self.open.entry(offset).or_insert(0) += 1;
    }

    fn end(&mut self, offset: Offset) {
        if let Some(count) = self.open.get_mut(&offset) {
            *count = count.saturating_sub(1);
        }
        while let Some(first) = self.open.first_entry()
            && *first.get() == 0
        {
            self.done_below = Some(first.remove_entry().0.saturating_add(1));
            self.is_news = true;
        }
    }
}

/// Why the outbox has given up.
#[derive(Debug)]
pub(crate) enum Overdue {
    /// The outlet has failed.
    Lost(LogError),
    /// The answer to the command at that place can not be sent, or was in doubt for too long.
    Unsent(Place, SendError),
}

/// Commands that are read and not committed, at most; beyond, the reader waits.
const OPEN_MAX: usize = 10_000;

struct Sent {
    place: Place,
    answer: Outgoing,
    first_sent_at: Timestamp,
}

/// Sends answers and remembers them until they are acknowledged.
pub(crate) struct Outbox<O> {
    outlet: O,
    give_up: Duration,
    next_ticket: u64,
    unacknowledged: HashMap<Ticket, Sent>,
    partitions: BTreeMap<(Topic, Partition), Watermark>,
}

impl<O: Outlet> Outbox<O> {
    pub(crate) fn new(outlet: O, give_up: Duration) -> Self {
        Self {
            outlet,
            give_up,
            next_ticket: 0,
            unacknowledged: HashMap::new(),
            partitions: BTreeMap::new(),
        }
    }

    /// Whether nothing is waiting for an acknowledgement.
    pub(crate) fn is_empty(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// Whether no more should be read: one slow command keeps the offsets above it from being committed,
    /// and all of them would be read again after a crash.
    pub(crate) fn is_full(&self) -> bool {
        self.partitions.values().map(|watermark| watermark.open.len()).sum::<usize>() >= OPEN_MAX
    }

    /// A command was read that is to be answered.
    pub(crate) fn begin(&mut self, place: &Place) {
        let partition = (place.topic.clone(), place.partition);
        self.partitions.entry(partition).or_default().begin(place.offset);
    }

    /// Hands the answer to the command at `place` over.
    pub(crate) fn send(
        &mut self,
        place: Place,
        answer: Outgoing,
        now: Timestamp,
    ) -> Result<(), LogError> {
        self.post(Sent { place, answer, first_sent_at: now })
    }

    fn post(&mut self, sent: Sent) -> Result<(), LogError> {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let record = sent.answer.clone();
        self.unacknowledged.insert(ticket, sent);
        self.outlet.send(ticket, vec![record])
    }

    /// Learns what was acknowledged. What is in doubt is sent again: an answer may come twice.
    pub(crate) fn settle(&mut self, wait: Duration, now: Timestamp) -> Result<(), Overdue> {
        for settled in self.outlet.settled(wait).map_err(Overdue::Lost)? {
            match settled {
                Settled::Sent(ticket) => {
                    if let Some(Sent { place, .. }) = self.unacknowledged.remove(&ticket)
                        && let Some(watermark) =
                            self.partitions.get_mut(&(place.topic, place.partition))
                    {
                        watermark.end(place.offset);
                    }
                }
                Settled::Failed { ticket, error, .. } => {
                    if let Some(sent) = self.unacknowledged.remove(&ticket) {
                        self.send_again(sent, error, now)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn send_again(&mut self, sent: Sent, error: SendError, now: Timestamp) -> Result<(), Overdue> {
        match error {
            SendError::InDoubt(why) if now.since(sent.first_sent_at) < self.give_up => {
                warn!(place = %sent.place, why, "answer not acknowledged, sending it again");
                self.post(sent).map_err(Overdue::Lost)
            }
            SendError::InDoubt(_) | SendError::Never(_) => Err(Overdue::Unsent(sent.place, error)),
        }
    }

    /// How far partitions are done whose watermark has risen since the last call.
    pub(crate) fn take_done(&mut self) -> Vec<(Topic, Partition, Offset)> {
        self.partitions
            .iter_mut()
            .filter_map(|((topic, partition), watermark)| {
                let done_below = watermark.done_below?;
                std::mem::take(&mut watermark.is_news)
                    .then(|| (topic.clone(), *partition, done_below))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Takes what it is given, and settles as it is told.
    #[derive(Default)]
    struct Told {
        sent: Vec<Ticket>,
        outcome: VecDeque<Settled>,
    }

    impl Outlet for Told {
        fn send(&mut self, ticket: Ticket, _: Vec<Outgoing>) -> Result<(), LogError> {
            self.sent.push(ticket);
            Ok(())
        }

        fn settled(&mut self, _: Duration) -> Result<Vec<Settled>, LogError> {
            Ok(self.outcome.drain(..).collect())
        }
    }

    fn answered() -> (Place, Outgoing) {
        let place = Place { topic: Topic::from("tasks"), partition: 2, offset: 7 };
        let answer = Outgoing {
            to: events::Destination::Inbox,
            partition: None,
            key: None,
            value: events::Payload::Null,
            headers: Vec::new(),
        };
        (place, answer)
    }

    #[test]
    fn an_answer_is_sent_until_it_is_acknowledged_and_only_then_done() {
        let mut outbox = Outbox::new(Told::default(), Duration::from_secs(5));
        let (place, answer) = answered();
        let at = Timestamp::from_millis;
        let doubt = |ticket| Settled::Failed {
            ticket,
            index: 0,
            error: SendError::InDoubt("no answer".to_owned()),
        };
        outbox.begin(&place);
        outbox.send(place, answer, at(0)).unwrap();
        assert_eq!(outbox.take_done(), [], "it is on its way");
        outbox.outlet.outcome.push_back(doubt(Ticket(0)));
        outbox.settle(Duration::ZERO, at(4_999)).unwrap();
        assert_eq!(outbox.outlet.sent, [Ticket(0), Ticket(1)]);
        assert!(outbox.take_done().is_empty() && !outbox.is_empty());
        outbox.outlet.outcome.push_back(Settled::Sent(Ticket(1)));
        outbox.settle(Duration::ZERO, at(4_999)).unwrap();
        assert_eq!(outbox.take_done(), [(Topic::from("tasks"), 2, 8)]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn an_answer_in_doubt_for_too_long_is_given_up() {
        let mut outbox = Outbox::new(Told::default(), Duration::from_secs(5));
        let (place, answer) = answered();
        outbox.begin(&place);
        outbox.send(place.clone(), answer, Timestamp::from_millis(0)).unwrap();
        let error = SendError::InDoubt("no answer".to_owned());
        outbox.outlet.outcome.push_back(Settled::Failed { ticket: Ticket(0), index: 0, error });
        let given_up = outbox.settle(Duration::ZERO, Timestamp::from_millis(5_000));
        assert!(matches!(given_up, Err(Overdue::Unsent(at, _)) if at == place));
        assert_eq!(outbox.take_done(), [], "it comes again");
    }

    #[test]
    fn only_what_lies_below_every_open_command_is_done() {
        let mut watermark = Watermark::default();
        for offset in [3, 4, 7] {
            watermark.begin(offset);
        }
        watermark.end(4);
        assert_eq!(watermark.done_below, None);
        watermark.end(3);
        assert_eq!(watermark.done_below, Some(5));
        watermark.end(7);
        assert_eq!(watermark.done_below, Some(8));
    }

    #[test]
    fn a_command_that_was_read_twice_is_done_when_it_was_answered_twice() {
        let mut watermark = Watermark::default();
        watermark.begin(3);
        watermark.begin(3);
        watermark.end(3);
        assert_eq!(watermark.done_below, None);
        watermark.end(3);
        assert_eq!(watermark.done_below, Some(4));
    }
}
