//! The judge of `pavane verify`, over all topics and books: it knows what each feature of the language demands.

use std::collections::{BTreeMap, BTreeSet};

use events::AgentName;
use verify::{Effect, Judge, Op, Options, Record, Violation};

use crate::book::Book;
use crate::store::Store;

/// What it finds, and the first of it with at most so many moments. `is_at_rest`: what is missing is missing for
/// good.
pub(super) fn judge(
    store: &Store,
    books: &BTreeMap<AgentName, Book>,
    (is_at_rest, timeline_max): (bool, usize),
    broken: &mut Vec<String>,
) -> Option<Violation> {
    let quiet_ms = is_at_rest.then_some(0);
    let options = Options { quiet_ms, now: Some(i64::MAX), timeline_max, ..Options::default() };
    let mut judge = Judge::new(options);
    for (agent, book) in books {
        let mut done: BTreeSet<String> = BTreeSet::new();
        for effect in book.effects() {
            let op = if effect.is_undo { Op::Undo } else { Op::Do };
            // An undo of what was never done has changed nothing.
            let applied = !effect.is_undo || done.contains(&effect.key);
            done.insert(effect.key.clone());
            let service = Some(agent.to_string());
            judge.book(&Effect { service, key: effect.key, op, applied });
        }
    }
    for topic in [store.topics.inbox(), store.topics.events()] {
        // Of what no nonsense ever was there is no topic of dead letters.
        judge.whole(store.topics.dead_letters(&topic).as_str());
    }
    // The definitions and what was asked come before what came of it.
    for log in &store.logs {
        judge.whole(log.name.as_str());
        for (partition, part) in (0..).zip(&log.parts) {
            for record in &part.records {
                take(&mut judge, log.name.as_str(), partition, record);
            }
        }
    }
    let violations = judge.finish().violations;
    for found in &violations {
        let workflow = found.workflow.as_deref().unwrap_or("-");
        let run = found.run.unwrap_or(0);
        broken.push(format!("{}: {workflow} run {run}: {}", found.invariant, found.message));
    }
    violations.into_iter().next()
}

fn take(judge: &mut Judge, topic: &str, partition: u32, record: &events::Record) {
    let headers: Vec<verify::Header<'_>> =
        record.headers.iter().map(|header| (&*header.name, header.value.as_deref())).collect();
    judge.record(&Record {
        topic,
        partition,
        offset: record.place.offset,
        timestamp: record.timestamp.as_millis(),
        key: record.key.as_deref(),
        headers: &headers,
        value: record.value.as_deref(),
    });
}
