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
    effects(&mut judge, books);
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

/// All books; what undoes another agent's work comes behind that.
fn effects(judge: &mut Judge, books: &BTreeMap<AgentName, Book>) {
    let books: Vec<_> = books.iter().map(|(agent, book)| (agent, book.effects())).collect();
    let mut by: BTreeMap<&str, &AgentName> = BTreeMap::new();
    for (agent, effects) in &books {
        let done = effects.iter().filter(|effect| !effect.is_undo);
        by.extend(done.map(|effect| (effect.key.as_str(), *agent)));
    }
    let mut behind = Vec::new();
    for (agent, effects) in &books {
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for effect in effects {
            let key = effect.key.as_str();
            let op = if effect.is_undo { Op::Undo } else { Op::Do };
            let of_another = effect.is_undo && by.get(key).is_some_and(|by| by != agent);
            // An undo of what was never done has changed nothing.
            let applied = !effect.is_undo || of_another || done.contains(key);
            done.insert(key);
            let service = Some(agent.to_string());
            let effect = Effect { service, key: key.to_owned(), op, applied };
            match of_another {
                true => behind.push(effect),
                false => judge.book(&effect),
            }
        }
    }
    behind.iter().for_each(|effect| judge.book(effect));
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
