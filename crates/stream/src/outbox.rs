//! What was decided and sent, until it is acknowledged: the dispatch cursor.

use std::collections::BTreeMap;

use events::{Offset, Outgoing};

use crate::broker::{LogError, Outlet, SendError, Settled, Ticket};

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
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    unsettled: BTreeMap<Offset, Wait>,
    records: usize,
}

#[derive(Debug)]
struct Wait {
    records: usize,
    /// Failed records that are not parked yet.
    unparked: usize,
    failed: bool,
}

impl Outbox {
    /// Hands over what follows from the decision at `offset`. Called in offset order (`acts-after-ack`:
    /// only with confirmed decisions).
    ///
    /// # Errors
    /// Of the outlet.
    pub(crate) fn send(
        &mut self,
        outlet: &mut impl Outlet,
        offset: Offset,
        records: Vec<Outgoing>,
    ) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        let wait = Wait { records: records.len(), unparked: 0, failed: false };
        self.records += wait.records;
        self.unsettled.insert(offset, wait);
        outlet.send(ticket_of(offset), records)
    }

    /// Takes in what became of tickets; gives back what could not be sent.
    pub(crate) fn settle(&mut self, settled: Vec<Settled>) -> Vec<Unsent> {
        let mut unsent = Vec::new();
        for outcome in settled {
            match outcome {
                Settled::Sent(ticket) => self.close(offset_of(ticket)),
                Settled::Failed { ticket, index, error } => {
                    let offset = offset_of(ticket);
                    if let Some(wait) = self.unsettled.get_mut(&offset) {
                        wait.failed = true;
                        wait.unparked += 1;
                        unsent.push(Unsent { offset, index, error });
                    }
                }
            }
        }
        unsent
    }

    /// One failed record of the decision at `offset` stands in the journal as parked.
    pub(crate) fn parked(&mut self, offset: Offset) {
        let Some(wait) = self.unsettled.get_mut(&offset) else { return };
        wait.unparked = wait.unparked.saturating_sub(1);
        if wait.unparked == 0 && wait.failed {
            self.close(offset);
        }
    }

    fn close(&mut self, offset: Offset) {
        if let Some(wait) = self.unsettled.remove(&offset) {
            self.records -= wait.records;
        }
    }

    /// The lowest offset of which something is not acknowledged; `next` where all is.
    #[must_use]
    pub(crate) fn cursor(&self, next: Offset) -> Offset {
        self.unsettled.keys().next().map_or(next, |offset| (*offset).min(next))
    }

    /// Records sent and not acknowledged.
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
