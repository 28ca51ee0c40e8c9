//! Judges what is left when nothing moves any more, by topics and books.

mod effects;
mod outside;
mod runs;
mod sent;

use std::collections::{BTreeMap, BTreeSet};

use events::{AgentName, Offset};
use stream::Origin;

use crate::book::Book;
use crate::fold::Fold;
use crate::sagas::Deployed;
use crate::store::Store;
use crate::user::Asked;

/// The journals, folded.
pub(crate) fn folds(store: &Store) -> Vec<Fold> {
    let fold = |lane| {
        let mut fold = Fold::new(store.lanes);
        let journal = store.part(Store::JOURNAL, lane);
        // A journal that can not be folded has been told of by whoever has tried before.
        let _told = fold.fold_to(&journal.records, journal.next);
        fold
    };
    (0..store.lanes).map(fold).collect()
}

/// What promises are broken.
pub(crate) fn judge(
    store: &Store,
    folds: &[Fold],
    sagas: &[Deployed],
    asked: &Asked,
    (books, is_at_rest): (&BTreeMap<AgentName, Book>, bool),
) -> Vec<String> {
    let mut broken = Vec::new();
    for (lane, fold) in folds.iter().enumerate() {
        one_verdict(lane, fold, &mut broken);
    }
    sent::judge(store, folds, &mut broken);
    let runs = runs::read(store, &mut broken);
    runs::judge(&runs, sagas, asked, &mut broken);
    effects::judge(&runs, sagas, books, &mut broken);
    dead_letters(store, asked, &mut broken);
    outside::judge(store, books, is_at_rest, &mut broken);
    broken
}

/// Each input is decided on once at most, in order.
fn one_verdict(lane: usize, fold: &Fold, broken: &mut Vec<String>) {
    let mut inputs: BTreeSet<Offset> = BTreeSet::new();
    let mut time = events::Timestamp::default();
    for (at, decide, _) in &fold.valid {
        if let Origin::Input(offset) = decide.source {
            let behind = inputs.last().is_none_or(|last| *last < offset);
            if !behind {
                broken.push(format!("one-verdict: lane {lane}: input {offset} again at {at}"));
            }
            inputs.insert(offset);
            if decide.position != offset + 1 {
                broken.push(format!(
                    "one-verdict: lane {lane}: {at} leaves out what is after {offset}"
                ));
            }
        }
        if decide.time < time {
            broken.push(format!("lane {lane}: time runs backwards at {at}"));
        }
        time = decide.time;
    }
}

/// Each piece of nonsense is a dead letter, byte for byte.
fn dead_letters(store: &Store, asked: &Asked, broken: &mut Vec<String>) {
    for place in &asked.nonsense {
        let number = store.topic(&place.topic);
        let source = number.and_then(|number| {
            let records = &store.part(number, place.partition).records;
            records.iter().find(|record| record.place == *place)
        });
        let letters = store.topic(&store.topics.dead_letters(&place.topic));
        let parts = letters.map(|number| &store.logs[number].parts);
        let mut letters = parts.into_iter().flatten().flat_map(|part| &part.records);
        let offset = place.offset.to_string();
        let partition = place.partition.to_string();
        let is_it = |letter: &&events::Record| {
            letter.header_text("__dlq.errors.offset") == Some(&offset)
                && letter.header_text("__dlq.errors.partition") == Some(&partition)
        };
        match (source, letters.find(is_it)) {
            (Some(source), Some(letter)) => {
                if letter.value != source.value || letter.key != source.key {
                    broken.push(format!("the dead letter of {place} is not what was sent"));
                }
            }
            _ => broken.push(format!("nothing became of the nonsense at {place}")),
        }
    }
}
