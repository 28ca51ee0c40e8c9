//! A record at the wrong partition goes on to its own, once, and can be told apart there as before.

use events::{Destination, Header, Outgoing, Payload, Place, Record, header, partition_of};

/// Marks that a forwarded record had no key at first.
pub(crate) const KEYED: &str = "pavane_forwarded_keyed";

/// The record again, to the partition that its key belongs to. Without an id of its own it is given the
/// one that it had by its place, so that it is still told apart by it.
pub(crate) fn forwarded(record: Record, lanes: u32) -> Outgoing {
    let place = record.place.to_string();
    let mut headers = record.headers.clone();
    if record.header(header::ID).is_none() {
        headers.push(Header::text(header::ID, place.as_str()));
    }
    headers.push(Header::text(header::FORWARDED, place));
    let partition = record.key.as_ref().map(|key| partition_of(key, lanes));
    Outgoing {
        to: Destination::Inbox,
        partition,
        key: record.key,
        value: record.value.map_or(Payload::Null, Payload::Bytes),
        headers,
    }
}

/// The record as its sender wrote it, where it wrote it: without what forwarding added.
pub(crate) fn as_it_came(mut record: Record) -> Record {
    let last = |record: &Record, name: &str| {
        record.headers.last().is_some_and(|header| &*header.name == name)
    };
    let from = record.header_text(header::FORWARDED).and_then(|text| place(text, &record.place));
    let Some(from) = from.filter(|_| last(&record, header::FORWARDED)) else { return record };
    record.headers.pop();
    let id = record.header_text(header::ID).is_some_and(|id| id == from.to_string());
    if id && last(&record, header::ID) {
        record.headers.pop();
    }
    if last(&record, KEYED) {
        record.headers.pop();
        record.key = None;
    }
    record.place = from;
    record
}

/// A place in the topic where `now` is.
fn place(text: &str, now: &Place) -> Option<Place> {
    let (rest, offset) = text.rsplit_once('/')?;
    let (topic, partition) = rest.rsplit_once('/')?;
    let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
    (topic == now.topic.as_str()).then(|| Place { topic: now.topic.clone(), partition, offset })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use events::{Class, Refusal, Timestamp, Topic, dead_letter};

    use crate::broker::LaneId;
    use crate::journal::{Body, Decide, Kept, Origin, Owner, Stand, reactions};
    use crate::testing::tally::Tally;

    use super::*;

    fn reaction(body: Body) -> Outgoing {
        let decide = Decide {
            epoch: 1,
            owner: Owner::default(),
            seq: 1,
            position: 1,
            cursor: 0,
            time: Timestamp::from_millis(9),
            source: Origin::Input(0),
            body,
        };
        let stand = Stand { lane: LaneId(1), lanes: 8, offset: 3 };
        reactions::<Tally>(&decide, &[], stand).remove(0)
    }

    /// A record that was sent so, forwarded, and refused where it belongs.
    fn check(key: Option<&'static str>, headers: Vec<Header>) {
        let place =
            |partition, offset| Place { topic: Topic::new("pavane.inbox"), partition, offset };
        let sent = Record {
            place: place(1, 17),
            timestamp: Timestamp::from_millis(5),
            key: key.map(Bytes::from),
            value: Some(Bytes::from_static(b"{}")),
            headers,
        };
        let refusal = Refusal::new(Class::Invalid, "bad_start", "no");
        let on = reaction(Body::Forwarded(Kept::from(&sent).keyed("order:7")));
        assert_eq!(on.key, Some(Bytes::from_static(b"order:7")));
        let Payload::Bytes(value) = on.value else { panic!("{:?}", on.value) };
        let come = Record {
            place: place(on.partition.unwrap(), 4),
            key: on.key,
            value: Some(value),
            headers: on.headers,
            ..sent.clone()
        };
        assert!(come.header(header::ID).is_some(), "told apart where it belongs");
        let letter = reaction(Body::Refused(Kept::from(&come), refusal.clone()));
        let expected = dead_letter(&sent, &refusal, "coordinator", Timestamp::from_millis(9));
        assert_eq!(letter, Outgoing { to: Destination::Inbox.dead_letters(), ..expected });
    }

    #[test]
    fn the_dead_letter_of_a_forwarded_record_is_of_the_record_as_it_was_sent() {
        let typed = || Header::text(header::TYPE, "pavane.StartWorkflow");
        check(Some("order:7"), vec![typed()]);
        check(Some("order:7"), vec![Header::text(header::ID, "mine"), typed()]);
        check(Some("order:7"), vec![typed(), Header::text(header::ID, "mine")]);
        check(Some("order:7"), Vec::new());
        check(None, vec![typed()]);
        check(None, vec![typed(), Header::text(header::ID, "mine")]);
    }
}
