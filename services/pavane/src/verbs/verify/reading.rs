//! Topics up to their ends, as they are when the reading begins.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use events::{Deployment, Offset, Partition, Record, Topic};
use stream::{Broker, Follow, LogError, Start};
use verify::Judge;

use crate::output::Output;

/// So long may nothing come where something should: beyond the last record there may be marks of
/// transactions, which no reader is given.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives the judge all that it can judge: definitions, then inbox, events and tasks, then dead letters and
/// the records that they came from. Says which topics are no longer kept from their beginning.
pub(super) fn read<B: Broker>(
    broker: &B,
    names: BTreeSet<Topic>,
    judge: &mut Judge,
) -> Result<Vec<Topic>, LogError> {
    let topics = broker.topics();
    let mut heard = BTreeSet::new();
    let mut cut = Vec::new();
    let definitions = vec![topics.definitions()];
    pass(broker, definitions, judge, &mut cut, |record| {
        let deployment = record.value.as_deref().and_then(|value| Deployment::decode(value).ok());
        let named = deployment.iter().flat_map(Deployment::topics);
        heard.extend(named.map(|topic| topics.dead_letters(&topic.into())));
    })?;
    let is_ours = |topic: &Topic| {
        [topics.inbox(), topics.events()].contains(topic) || topics.agent_of(topic).is_some()
    };
    let (main, others): (Vec<Topic>, Vec<Topic>) = names.into_iter().partition(is_ours);
    let letters = |topic: &Topic| {
        let of = topic.as_str().strip_suffix(".dlq").map(Topic::from);
        of.is_some_and(|of| is_ours(&of)) || heard.contains(topic)
    };
    let letters: Vec<Topic> = others.into_iter().filter(letters).collect();
    // What there is not has nothing in it.
    judge.whole(topics.dead_letters(&topics.inbox()).as_str());
    // Compaction takes from the definitions by design.
    cut.clear();
    pass(broker, main, judge, &mut cut, |_| {})?;
    let mut sources: BTreeMap<Topic, BTreeMap<Partition, (Offset, Offset)>> = BTreeMap::new();
    pass(broker, letters, judge, &mut cut, |record| {
        if let Some((topic, partition, offset)) = source(record).filter(|(it, ..)| !is_ours(it)) {
            let range = sources.entry(topic).or_default().entry(partition);
            let range = range.or_insert((offset, offset + 1));
            *range = (range.0.min(offset), range.1.max(offset + 1));
        }
    })?;
    for (topic, ranges) in sources {
        let Some(kept) = broker.kept(&topic)? else { continue };
        let mut wanted = BTreeMap::new();
        let mut starts = Vec::new();
        for (range, partition) in kept.into_iter().zip(0..) {
            let (from, to) = ranges.get(&partition).copied().unwrap_or((range.end, range.end));
            starts.push((partition, from));
            wanted.insert((topic.clone(), partition), to.min(range.end).max(range.start));
            let is_wanted = ranges.contains_key(&partition) && from < range.end && to > range.start;
            if !is_wanted {
                wanted.remove(&(topic.clone(), partition));
            }
        }
        reach(broker, vec![(topic, Start::At(starts))], wanted, judge, |_| {})?;
    }
    Ok(cut)
}

/// Where a dead letter's record came from.
fn source(record: &Record) -> Option<(Topic, Partition, Offset)> {
    let text = |name: &str| record.header_text(name);
    let partition = text("__dlq.errors.partition")?.parse().ok()?;
    let offset = text("__dlq.errors.offset")?.parse().ok()?;
    Some((text("__dlq.errors.topic")?.into(), partition, offset))
}

/// Whole topics; `cut` is told of those whose beginning is gone.
fn pass<B: Broker>(
    broker: &B,
    topics: Vec<Topic>,
    judge: &mut Judge,
    cut: &mut Vec<Topic>,
    heed: impl FnMut(&Record),
) -> Result<(), LogError> {
    let mut wanted = BTreeMap::new();
    let mut from = Vec::new();
    for topic in topics {
        let Some(kept) = broker.kept(&topic)? else { continue };
        match kept.iter().all(|range| range.start == 0) {
            true => judge.whole(topic.as_str()),
            false => cut.push(topic.clone()),
        }
        for (range, partition) in kept.into_iter().zip(0..) {
            if range.start < range.end {
                wanted.insert((topic.clone(), partition), range.end);
            }
        }
        from.push((topic, Start::Earliest));
    }
    reach(broker, from, wanted, judge, heed)
}

/// Reads until every partition is at the offset that is wanted of it.
fn reach<B: Broker>(
    broker: &B,
    from: Vec<(Topic, Start)>,
    mut wanted: BTreeMap<(Topic, Partition), Offset>,
    judge: &mut Judge,
    mut heed: impl FnMut(&Record),
) -> Result<(), LogError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut follow = broker.follow(from)?;
    let mut heard = Instant::now();
    while !wanted.is_empty() {
        let records = follow.next(Duration::from_millis(100))?;
        if !records.is_empty() {
            heard = Instant::now();
        }
        for record in records {
            let partition = (record.place.topic.clone(), record.place.partition);
            let Some(end) = wanted.get(&partition).copied() else { continue };
            if record.place.offset < end {
                heed(&record);
                give(&record, judge);
            }
            if record.place.offset + 1 >= end {
                wanted.remove(&partition);
            }
        }
        if heard.elapsed() > PATIENCE {
            let left: Vec<String> = wanted
                .iter()
                .map(|((topic, partition), end)| format!("{topic}/{partition} up to {end}"))
                .collect();
            let left = left.join(", ");
            Output::note(format!(
                "nothing more came for {} s; what is left holds no records, or is not given: {left}",
                PATIENCE.as_secs()
            ));
            return Ok(());
        }
    }
    Ok(())
}

fn give(record: &Record, judge: &mut Judge) {
    let headers: Vec<verify::Header<'_>> =
        record.headers.iter().map(|header| (&*header.name, header.value.as_deref())).collect();
    judge.record(&verify::Record {
        topic: record.place.topic.as_str(),
        partition: record.place.partition,
        offset: record.place.offset,
        timestamp: record.timestamp.as_millis(),
        key: record.key.as_deref(),
        headers: &headers,
        value: record.value.as_deref(),
    });
}
