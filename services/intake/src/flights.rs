//! What was sent for source records and is not yet acknowledged.
//!
//! Of what one workflow is sent, nothing leaves before the record before it is acknowledged: a record that has
//! to be sent again would else arrive behind a later one, and pass for a duplicate.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use events::{Destination, Outgoing, Record, Timestamp};
use stream::Ticket;

/// What is sent for one source record.
pub(crate) struct Flight {
    pub(crate) source: Record,
    pub(crate) records: Vec<Outgoing>,
    /// Of the values, source and all, when it was sent.
    bytes: usize,
    /// Of the records to the inbox.
    keys: Vec<Bytes>,
    /// When to send it again, where it was not acknowledged.
    pub(crate) again_at: Option<Timestamp>,
    /// How often its dead letter was refused though there is a topic for it.
    pub(crate) refused: u32,
}

impl Flight {
    pub(crate) fn new(source: Record, records: Vec<Outgoing>) -> Self {
        let of_values = records.iter().map(|record| record.value.len()).sum::<usize>();
        let bytes = of_values + source.value.as_ref().map_or(0, Bytes::len);
        let to_inbox = records.iter().filter(|record| record.to == Destination::Inbox);
        let keys = to_inbox.filter_map(|record| record.key.clone()).collect();
        Self { source, records, bytes, keys, again_at: None, refused: 0 }
    }
}

/// All flights, in the order in which they were added.
#[derive(Default)]
pub(crate) struct Flights {
    sent: BTreeMap<Ticket, Flight>,
    /// Wait for another with the same key.
    held: VecDeque<Flight>,
    /// Keys of what is sent.
    busy: BTreeSet<Bytes>,
    bytes: usize,
    tickets: u64,
}

impl Flights {
    pub(crate) fn len(&self) -> usize {
        self.sent.len() + self.held.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a flight behind all others.
    pub(crate) fn add(&mut self, flight: Flight) {
        self.bytes += flight.bytes;
        self.held.push_back(flight);
    }

    /// What can be sent now, as it is to be handed over.
    pub(crate) fn ready(&mut self) -> Vec<(Ticket, Vec<Outgoing>)> {
        let mut ready = Vec::new();
        let mut behind = BTreeSet::new();
        for flight in std::mem::take(&mut self.held) {
            let must_wait =
                flight.keys.iter().any(|key| self.busy.contains(key) || behind.contains(key));
            if must_wait {
                behind.extend(flight.keys.iter().cloned());
                self.held.push_back(flight);
            } else {
                self.busy.extend(flight.keys.iter().cloned());
                ready.push(self.depart(flight));
            }
        }
        ready
    }

    /// What was not acknowledged and is to be sent again by now, as it is to be handed over.
    pub(crate) fn again(&mut self, now: Timestamp) -> Vec<(Ticket, Vec<Outgoing>)> {
        let is_due = |flight: &Flight| flight.again_at.is_some_and(|at| at <= now);
        let due: Vec<Ticket> =
            self.sent.iter().filter(|(_, it)| is_due(it)).map(|(ticket, _)| *ticket).collect();
        let due: Vec<Flight> = due.iter().filter_map(|ticket| self.sent.remove(ticket)).collect();
        due.into_iter().map(|flight| self.depart(Flight { again_at: None, ..flight })).collect()
    }

    fn depart(&mut self, flight: Flight) -> (Ticket, Vec<Outgoing>) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let records = flight.records.clone();
        self.sent.insert(ticket, flight);
        (ticket, records)
    }

    pub(crate) fn sent(&mut self, ticket: Ticket) -> Option<&mut Flight> {
        self.sent.get_mut(&ticket)
    }

    /// All of it is acknowledged.
    pub(crate) fn land(&mut self, ticket: Ticket) -> Option<Flight> {
        let flight = self.sent.remove(&ticket)?;
        self.bytes -= flight.bytes;
        for key in &flight.keys {
            self.busy.remove(key);
        }
        Some(flight)
    }
}

#[cfg(test)]
mod tests {
    use events::{Payload, Place, Topic};

    use super::*;

    /// What is handed over, as the source's offset and the keys.
    fn told(handed: &[(Ticket, Vec<Outgoing>)]) -> Vec<String> {
        let keys = |records: &[Outgoing]| {
            let texts = records
                .iter()
                .map(|record| String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap());
            texts.collect::<Vec<_>>().join("+")
        };
        handed.iter().map(|(ticket, records)| format!("{} {}", ticket.0, keys(records))).collect()
    }

    fn flight(offset: i64, keys: &[&str]) -> Flight {
        let place = Place { topic: Topic::from("shop.orders"), partition: 0, offset };
        let timestamp = Timestamp::from_millis(0);
        let source = Record { place, timestamp, key: None, value: None, headers: Vec::new() };
        let records = keys.iter().map(|key| Outgoing {
            to: Destination::Inbox,
            partition: None,
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: Payload::Bytes(Bytes::from_static(b"12345")),
            headers: Vec::new(),
        });
        Flight::new(source, records.collect())
    }

    #[test]
    fn what_is_for_one_workflow_leaves_one_by_one_and_in_order() {
        let mut flights = Flights::default();
        for (offset, keys) in
            [(0, vec!["a"]), (1, vec!["a", "b"]), (2, vec!["b"]), (3, vec!["c"]), (4, vec!["a"])]
        {
            flights.add(flight(offset, &keys));
        }
        assert_eq!((flights.len(), flights.bytes()), (5, 30));
        assert_eq!(told(&flights.ready()), ["1 a", "2 c"]);
        flights.land(Ticket(2)).unwrap();
        assert!(flights.ready().is_empty());
        // The first is not acknowledged: nothing passes it while it is sent again.
        let now = Timestamp::from_millis(5);
        flights.sent(Ticket(1)).unwrap().again_at = Some(now);
        assert!(flights.ready().is_empty());
        assert_eq!(told(&flights.again(now)), ["3 a"]);
        assert!(flights.again(now).is_empty());
        assert_eq!(flights.land(Ticket(3)).unwrap().source.place.offset, 0);
        assert_eq!(told(&flights.ready()), ["4 a+b"]);
        flights.land(Ticket(4)).unwrap();
        assert_eq!(told(&flights.ready()), ["5 b", "6 a"]);
        flights.land(Ticket(5)).unwrap();
        flights.land(Ticket(6)).unwrap();
        assert!(flights.is_empty() && flights.bytes() == 0);
    }
}
