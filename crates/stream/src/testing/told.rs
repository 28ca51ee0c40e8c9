//! What acknowledgements owe: told of only when all has been acknowledged, answered once, and never passed
//! by the cursor or by a snapshot before the answer stands.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::Bytes;
use events::{Offset, Outgoing, Topics};

use super::tally::{Added, Tally, text_of};
use crate::acks::wishes;
use crate::broker::Entry;
use crate::journal::{Decide, Origin, Written};
use crate::reader::{Context, Ruling};
use crate::service::Service;

/// A record as it can be told from others: topic, key, value.
pub(crate) type Told = (String, Bytes, String);

pub(crate) fn told(record: &Outgoing) -> Told {
    let topic = Topics::default().resolve(&record.to).to_string();
    (topic, record.key.clone().unwrap_or_default(), text_of(record))
}

fn events_of(decide: &Decide) -> Vec<Added> {
    decide.body.events().unwrap()
}

/// Whoever proposes an answer to an acknowledgement has been told of each record.
pub(crate) fn check_proposed(
    history: &[(Offset, Bytes)],
    acknowledged: &BTreeSet<Told>,
    entries: &[Entry],
) {
    for Entry(bytes) in entries {
        let Ok(Written::Decide(Decide { source: Origin::Acked(at, index), .. })) =
            Written::decode(bytes)
        else {
            continue;
        };
        let (_, bytes) = history.iter().find(|(offset, _)| *offset == at).unwrap();
        let Written::Decide(decide) = Written::decode(bytes).unwrap() else { panic!("{at}") };
        let event = &events_of(&decide)[usize::try_from(index).unwrap()];
        for record in Tally::react(event) {
            assert!(
                acknowledged.contains(&told(&record)),
                "acked-then-told: {event:?} is answered before {record:?} is acknowledged"
            );
        }
    }
}

/// Reads the whole journal: each event that asks is answered once at most, and no record's cursor passes
/// one that is not answered in it or before. Gives the lowest offset of one that is not answered.
pub(crate) fn lowest_unanswered(history: &[(Offset, Bytes)]) -> Option<Offset> {
    let mut context = Context::empty(1);
    let mut asking: BTreeMap<(Offset, u32), Range<usize>> = BTreeMap::new();
    for (offset, bytes) in history {
        let written = Written::decode(bytes).unwrap();
        let ruling = context.judge(*offset, &written).unwrap();
        let (Ruling::Valid, Written::Decide(decide)) = (ruling, written) else { continue };
        match decide.source {
            Origin::Acked(at, index) => {
                let was_open = asking.remove(&(at, index)).is_some();
                assert!(was_open, "acked-then-told: event {index} of {at} is answered twice");
            }
            Origin::Parked(at, record) => {
                let record = usize::try_from(record).unwrap();
                asking.retain(|(offset, _), records| *offset != at || !records.contains(&record));
            }
            Origin::Input(_) | Origin::Timer(_) | Origin::Skip => {}
        }
        for wish in wishes::<Tally>(&events_of(&decide)) {
            asking.insert((*offset, wish.index), wish.records);
        }
        if let Some(((at, index), _)) = asking.first_key_value() {
            let cursor = decide.cursor;
            assert!(
                cursor <= *at,
                "acked-then-told: at {offset} the cursor {cursor} passes event {index} of {at}"
            );
        }
    }
    asking.first_key_value().map(|((at, _), _)| *at)
}
