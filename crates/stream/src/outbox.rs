//! What was decided and sent, until it is acknowledged: the dispatch cursor.

use std::collections::{BTreeMap, VecDeque};

use events::{Offset, Outgoing, planted};

use crate::acks::{Acked, Wish};
use crate::broker::{LogError, Outlet, SendError, Settled, Ticket, Ticketed};

/// A record that could not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsent {
    /// The journal record that it follows from.
    pub(crate) offset: Offset,
    /// Its place among what follows from that.
    pub(crate) index: usize,
    /// Why.
    pub(crate) error: SendError,
}

/// Sent records of confirmed decisions, by journal offset, which serves as the ticket too.
#[derive(Debug)]
pub(crate) struct Outbox<E> {
    open: BTreeMap<Offset, Wait<E>>,
    /// Of those that are open: everything is acknowledged, and the service is not yet told.
    acked: VecDeque<Acked<E>>,
    /// Of those that are open: not handed over yet.
    waiting: VecDeque<Ticketed>,
    records: usize,
    wishes: usize,
}

#[derive(Debug)]
struct Wait<E> {
    /// Not settled yet.
    records: usize,
    /// Failed records that are not parked yet.
    unparked: usize,
    /// Events to be told of once everything is settled.
    wishes: Vec<Wish<E>>,
    /// Acknowledged events of which the service has not been told, or its answer is not confirmed.
    untold: usize,
}

impl<E> Default for Outbox<E> {
    fn default() -> Self {
        let (acked, waiting) = (VecDeque::new(), VecDeque::new());
        Self { open: BTreeMap::new(), acked, waiting, records: 0, wishes: 0 }
    }
}

impl<E> Outbox<E> {
    /// Takes in what follows from the decision at `offset`. Called in offset order (`acts-after-ack`:
    /// only with confirmed decisions).
    pub(crate) fn put(&mut self, offset: Offset, records: Vec<Outgoing>, wishes: Vec<Wish<E>>) {
        if records.is_empty() && wishes.is_empty() {
            return;
        }
        self.records += records.len();
        self.wishes += wishes.len();
        let wait = Wait { records: records.len(), unparked: 0, wishes, untold: 0 };
        self.open.insert(offset, wait);
        if records.is_empty() || planted("told-before-the-ack") {
            // There is nothing to wait for.
            self.acknowledge(offset);
        }
        if !records.is_empty() {
            self.waiting.push_back((ticket_of(offset), records));
        }
    }

    /// Whether something is to be handed over.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Hands over the first of what waits, and what goes with it in one step.
    ///
    /// # Errors
    /// Of the outlet.
    pub(crate) fn hand_over(&mut self, outlet: &mut impl Outlet) -> Result<(), LogError> {
        outlet.send_first(&mut self.waiting)
    }

    /// Takes in what became of tickets; gives back what could not be sent.
    pub(crate) fn settle(&mut self, settled: Vec<Settled>) -> Vec<Unsent> {
        let mut unsent = Vec::new();
        for outcome in settled {
            match outcome {
                Settled::Sent(ticket) => self.acknowledge(offset_of(ticket)),
                Settled::Failed { ticket, index, error } => {
                    let offset = offset_of(ticket);
                    if planted("unsent-taken-for-sent") {
                        self.acknowledge(offset);
                    } else if let Some(wait) = self.open.get_mut(&offset) {
                        wait.unparked += usize::from(!planted("cursor-passes-the-failed"));
                        let wished = wait.wishes.len();
                        wait.wishes.retain(|wish| !wish.records.contains(&index));
                        self.wishes -= wished - wait.wishes.len();
                        unsent.push(Unsent { offset, index, error });
                    }
                }
            }
        }
        // All failures of a ticket come in one answer: what they do not name is acknowledged.
        let mut failed: Vec<Offset> = unsent.iter().map(|unsent| unsent.offset).collect();
        failed.dedup();
        failed.into_iter().for_each(|offset| self.acknowledge(offset));
        unsent
    }

    /// What has not failed of the decision at `offset` is acknowledged.
    fn acknowledge(&mut self, offset: Offset) {
        let Some(wait) = self.open.get_mut(&offset) else { return };
        self.records -= std::mem::take(&mut wait.records);
        let wishes = std::mem::take(&mut wait.wishes);
        self.wishes -= wishes.len();
        wait.untold += wishes.len();
        let acked =
            wishes.into_iter().map(|Wish { index, event, .. }| Acked { offset, index, event });
        self.acked.extend(acked);
        self.close_if_done(offset);
    }

    /// The next event of which the service is to be told.
    pub(crate) fn next_acked(&mut self) -> Option<Acked<E>> {
        self.acked.pop_front()
    }

    /// Whether the service is to be told of something.
    pub(crate) fn has_acked(&self) -> bool {
        !self.acked.is_empty()
    }

    /// Whether acknowledgements are on their way that the service waits for.
    pub(crate) fn awaits_acks(&self) -> bool {
        self.wishes > 0
    }

    /// What was decided on an acknowledged event of the decision at `offset` stands in the journal, or
    /// nothing is to be written.
    pub(crate) fn told(&mut self, offset: Offset) {
        let Some(wait) = self.open.get_mut(&offset) else { return };
        wait.untold = wait.untold.saturating_sub(1);
        self.close_if_done(offset);
    }

    /// One failed record of the decision at `offset` stands in the journal as parked.
    pub(crate) fn parked(&mut self, offset: Offset) {
        let Some(wait) = self.open.get_mut(&offset) else { return };
        wait.unparked = wait.unparked.saturating_sub(1);
        self.close_if_done(offset);
    }

    fn close_if_done(&mut self, offset: Offset) {
        let is_done = |wait: &Wait<E>| wait.records == 0 && wait.unparked == 0 && wait.untold == 0;
        if self.open.get(&offset).is_some_and(is_done) {
            self.open.remove(&offset);
        }
    }

    /// The lowest offset of which something is not acknowledged, or not told of; `next` where all is.
    #[must_use]
    pub(crate) fn cursor(&self, next: Offset) -> Offset {
        if planted("cursor-at-the-end") {
            return next;
        }
        self.open.keys().next().map_or(next, |offset| (*offset).min(next))
    }

    /// Records sent of which it is not known what became of them.
    #[must_use]
    pub(crate) fn unsettled(&self) -> usize {
        self.records
    }
}

fn ticket_of(offset: Offset) -> Ticket {
    Ticket(offset.cast_unsigned())
}

fn offset_of(ticket: Ticket) -> Offset {
    ticket.0.cast_signed()
}
