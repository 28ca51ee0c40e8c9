//! Dead letters beside the records that they came from.

use std::collections::{BTreeMap, VecDeque};

use crate::Invariant as I;
use crate::bench::{Bench, hash_of, hash_of_nullable};
use crate::record::{Header, Record};

/// The classes of docs/reference/dead-letters.md.
const CLASSES: &[&str] = &[
    "undecodable",
    "invalid",
    "unknown_workflow",
    "unknown_saga",
    "too_large",
    "crashed",
    "undeliverable",
    "task_failed",
];

/// Hashes of the newest records of a partition, by offset.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    hashes: VecDeque<(i64, u64)>,
    /// Below it, nothing is known any more.
    forgotten: i64,
}

impl Sources {
    pub(crate) fn keep(&mut self, record: &Record<'_>, max: usize) {
        self.hashes.push_back((record.offset, hash_of_source(record, record.headers)));
        if self.hashes.len() > max
            && let Some((offset, _)) = self.hashes.pop_front()
        {
            self.forgotten = offset + 1;
        }
    }

    fn hash(&self, offset: i64) -> Option<u64> {
        let place = self.hashes.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        self.hashes.get(place).map(|(_, hash)| *hash)
    }
}

pub(crate) fn hash_of_source(record: &Record<'_>, headers: &[Header<'_>]) -> u64 {
    let headers = headers.iter().flat_map(|(name, value)| [Some(name.as_bytes()), *value]);
    hash_of_nullable([record.key, record.value].into_iter().chain(headers))
}

/// A source's place: topic, partition, offset.
type Place = (Box<str>, u32, i64);

#[derive(Clone, Copy, Debug)]
struct Letter {
    source: u64,
    why: u64,
    matched: bool,
}

/// The dead letters of a system.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    by_place: BTreeMap<Place, Letter>,
}

/// What became of a dead letter's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    New,
    Again,
}

impl Letters {
    pub(crate) fn is_dead(&self, topic: &str, partition: u32, offset: i64) -> bool {
        self.by_place.contains_key(&(topic.into(), partition, offset))
    }

    /// Judges a letter by itself, and by its source where that is at hand.
    pub(crate) fn take<'s>(
        &mut self,
        record: &Record<'_>,
        of: &str,
        sources: impl Fn(&str, u32) -> Option<&'s Sources>,
        bench: &mut Bench,
    ) -> Taken {
        let here = format!("{}/{}/{}", record.topic, record.partition, record.offset);
        let class = record.header("pavane_error_class").unwrap_or_default();
        if !CLASSES.contains(&class) {
            bench.blame(I::DeadLetter, format!("{here} has the class `{class}`"));
        }
        let from = record.header("__dlq.errors.topic").unwrap_or_default();
        if from != of {
            bench.blame(I::DeadLetter, format!("{here} says that it came from `{from}`"));
        }
        let number = |name: &str| record.header(name).and_then(|text| text.parse::<i64>().ok());
        let (partition, offset) = (number("__dlq.errors.partition"), number("__dlq.errors.offset"));
        // Whoever sent a command, or kept an event, does not know its offset.
        let (Some(partition), Some(offset)) = (partition, offset) else { return Taken::New };
        let Ok(partition) = u32::try_from(partition) else { return Taken::New };
        let added = record.headers.iter().rposition(|(name, _)| *name == "__dlq.errors.topic");
        let own = record.headers.get(..added.unwrap_or_default()).unwrap_or_default();
        let code = record.header("pavane_error_code").unwrap_or_default();
        let mut letter = Letter {
            source: hash_of_source(record, own),
            why: hash_of([class.as_bytes(), code.as_bytes()]),
            matched: false,
        };
        let place = (Box::from(of), partition, offset);
        if let Some(known) = self.by_place.get(&place) {
            if (known.source, known.why) != (letter.source, letter.why) {
                let message = format!("{here} is another dead letter of {of}/{partition}/{offset}");
                bench.blame(I::SameAgain, message);
            }
            return Taken::Again;
        }
        let hash = sources(of, partition).and_then(|sources| sources.hash(offset));
        if let Some(hash) = hash {
            letter.matched = true;
            compare(&place, hash, letter, bench);
        }
        self.by_place.insert(place, letter);
        Taken::New
    }

    /// Judges what could not be judged before; `whole`: whether all of that topic was given.
    pub(crate) fn settle<'s>(
        &self,
        sources: impl Fn(&str, u32) -> Option<&'s Sources>,
        whole: impl Fn(&str) -> bool,
        bench: &mut Bench,
    ) {
        for (place, letter) in self.by_place.iter().filter(|(_, letter)| !letter.matched) {
            let (topic, partition, offset) = place;
            let kept = sources(topic, *partition);
            match kept.and_then(|kept| kept.hash(*offset)) {
                Some(hash) => compare(place, hash, *letter, bench),
                None if whole(topic) && kept.is_none_or(|kept| *offset >= kept.forgotten) => {
                    let message =
                        format!("a dead letter of {topic}/{partition}/{offset}, where nothing is");
                    bench.blame(I::DeadLetter, message);
                }
                None => {}
            }
        }
    }
}

fn compare(place: &Place, hash: u64, letter: Letter, bench: &mut Bench) {
    if hash != letter.source {
        let (topic, partition, offset) = place;
        let message = format!(
            "the dead letter of {topic}/{partition}/{offset} is not its key, value and headers"
        );
        bench.blame(I::DeadLetter, message);
    }
}
