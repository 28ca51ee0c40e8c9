//! What the coordinator has sent is what follows from the journal's valid records: all of it, nothing else, first
//! occurrences in order, and what came again the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use coordinator::Coordinator;
use events::{Offset, Partition, Record, header};
use stream::{LaneId, Origin, Stand, reactions};

use crate::broker::address;
use crate::fold::Fold;
use crate::store::{Letter, Store};

/// What tells records of a partition apart: all of them.
type Content = (Option<Bytes>, Option<Bytes>, Vec<(String, Option<Bytes>)>);

fn of_letter(letter: &Letter) -> Content {
    let headers = letter.headers.iter().map(|one| (one.name.to_string(), one.value.clone()));
    (letter.key.clone(), letter.value.clone(), headers.collect())
}

fn of_record(record: &Record) -> Content {
    let Record { key, value, headers, .. } = record.clone();
    of_letter(&Letter { key, value, headers })
}

/// One thing that must have been sent.
struct Owed {
    content: Content,
    lane: usize,
    offset: Offset,
    /// It may be missing: the lane has given it up, and its workflow was told.
    is_parked: bool,
}

pub(super) fn judge(store: &Store, folds: &[Fold], broken: &mut Vec<String>) {
    let mut owed: BTreeMap<(usize, Partition), Vec<Owed>> = BTreeMap::new();
    for (lane, fold) in folds.iter().enumerate() {
        collect(store, lane, fold, &mut owed, broken);
    }
    let doubted: BTreeSet<Content> = store.doubted.iter().map(of_letter).collect();
    for ((topic, partition), owed) in &owed {
        let records = &store.part(*topic, *partition).records;
        let name = &store.logs[*topic].name;
        compare(&format!("{name}/{partition}"), (owed, &doubted), records, broken);
    }
    no_phantoms(store, &owed, broken);
}

fn collect(
    store: &Store,
    lane: usize,
    fold: &Fold,
    owed: &mut BTreeMap<(usize, Partition), Vec<Owed>>,
    broken: &mut Vec<String>,
) {
    let parked: BTreeSet<(Offset, usize)> = fold
        .valid
        .iter()
        .filter_map(|(_, decide, _)| match decide.source {
            Origin::Parked(at, index) => Some((at, usize::try_from(index).unwrap_or(0))),
            Origin::Input(_) | Origin::Timer(_) | Origin::Skip | Origin::Acked(..) => None,
        })
        .collect();
    for (offset, decide, events) in &fold.valid {
        let number = u32::try_from(lane).unwrap_or(u32::MAX);
        let stand = Stand { lane: LaneId(number), lanes: store.lanes, offset: *offset };
        let records = reactions::<Coordinator>(decide, events, stand);
        for (index, record) in records.into_iter().enumerate() {
            match address(store, record) {
                Ok((topic, partition, letter)) => {
                    let is_parked = parked.contains(&(*offset, index));
                    let content = of_letter(&letter);
                    let one = Owed { content, lane, offset: *offset, is_parked };
                    owed.entry((topic, partition)).or_default().push(one);
                }
                Err(error) => broken.push(format!("lane {lane}: {offset}: {error}")),
            }
        }
    }
}

fn compare(
    place: &str,
    (owed, doubted): (&[Owed], &BTreeSet<Content>),
    records: &[Record],
    broken: &mut Vec<String>,
) {
    let mut seen: BTreeMap<Content, usize> = BTreeMap::new();
    for (at, record) in records.iter().enumerate() {
        seen.entry(of_record(record)).or_insert(at);
    }
    // By lane and key: the last first occurrence.
    let mut last: BTreeMap<(usize, Option<Bytes>), usize> = BTreeMap::new();
    for one in owed {
        let Owed { content, lane, offset, is_parked } = one;
        let Some(at) = seen.get(content) else {
            if !is_parked {
                broken.push(format!(
                    "nothing is lost: what follows from lane {lane}'s journal offset {offset} is not on \
                     {place}: {:?}",
                    text(content)
                ));
            }
            continue;
        };
        // The first dead letter finds no topic, and waits until it is made; those behind it do not. What was
        // lost is given up, or sent again by another epoch.
        if *is_parked || doubted.contains(content) || place.contains(".dlq/") {
            continue;
        }
        let last = last.entry((*lane, content.0.clone())).or_insert(*at);
        if at < last {
            broken.push(format!(
                "first occurrences in order: on {place}, {at} came before {last}: {:?}",
                text(content)
            ));
        }
        *last = (*last).max(*at);
    }
}

/// Nothing that only coordinators write stands there without a decision.
fn no_phantoms(
    store: &Store,
    owed: &BTreeMap<(usize, Partition), Vec<Owed>>,
    broken: &mut Vec<String>,
) {
    for (topic, log) in store.logs.iter().enumerate() {
        let name = &log.name;
        let ours = *name == store.topics.events()
            || store.topics.agent_of(name).is_some()
            || *name == store.topics.dead_letters(&store.topics.inbox());
        if !ours {
            continue;
        }
        for (partition, part) in (0..).zip(&log.parts) {
            let known: BTreeSet<&Content> = owed
                .get(&(topic, partition))
                .into_iter()
                .flatten()
                .map(|one| &one.content)
                .collect();
            let mut phantoms: VecDeque<&Record> =
                part.records.iter().filter(|record| !known.contains(&of_record(record))).collect();
            if let Some(first) = phantoms.pop_front() {
                broken.push(format!(
                    "acts-after-ack: {} follows from no decision: {:?} {:?}",
                    first.place,
                    first.header_text(header::TYPE),
                    first.header_text(header::SUBJECT)
                ));
            }
        }
    }
}

fn text((key, _, headers): &Content) -> (Option<String>, Vec<String>) {
    let lossy = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let named = |name: &str| {
        headers.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_ref())
    };
    let told = [header::TYPE, header::SUBJECT, header::SEQUENCE];
    (key.as_ref().map(lossy), told.iter().filter_map(|name| named(name).map(lossy)).collect())
}
