//! Judges what is left when nothing moves any more, by topics and books.

mod effects;
mod outside;
mod runs;
mod sent;
mod verdicts;

use std::collections::BTreeMap;

use events::{AgentName, WorkflowId};
use saga::State;
use verify::Violation;

use crate::book::Book;
use crate::fold::Fold;
use crate::sagas::Deployed;
use crate::store::Store;
use crate::user::Asked;

pub(crate) use verdicts::judge as verdicts;

/// What the judge says.
pub(crate) struct Judged {
    /// Promises that are broken.
    pub(crate) broken: Vec<String>,
    /// The first that is found from outside, with its timeline.
    pub(crate) violation: Option<Violation>,
    /// Runs by their status.
    pub(crate) statuses: BTreeMap<&'static str, u64>,
}

/// Judges. `timeline_max`: moments of a timeline.
pub(crate) fn judge(
    store: &Store,
    folds: &[Fold],
    sagas: &[Deployed],
    asked: &Asked,
    (books, is_at_rest, timeline_max): (&BTreeMap<AgentName, Book>, bool, usize),
) -> Judged {
    let mut broken = Vec::new();
    sent::judge(store, folds, &mut broken);
    let runs = runs::read(store, &mut broken);
    runs::judge(&runs, sagas, asked, &mut broken);
    effects::judge(&runs, sagas, books, &mut broken);
    dead_letters(store, asked, &mut broken);
    let violation = outside::judge(store, books, (is_at_rest, timeline_max), &mut broken);
    let mut statuses = BTreeMap::new();
    for ((workflow, _), events) in &runs {
        let status = events.iter().find_map(|event| runs::end_of(&event.what));
        *statuses.entry(status.unwrap_or_else(|| unfinished(folds, workflow))).or_default() += 1;
    }
    Judged { broken, violation, statuses }
}

/// The status of a workflow that has not ended.
fn unfinished(folds: &[Fold], workflow: &WorkflowId) -> &'static str {
    let states = folds.iter().find_map(|fold| fold.states.get(workflow.as_str()));
    match states.map(|state| &state.0) {
        Some(State::Workflow(workflow)) => workflow.status(),
        Some(State::Definition(_) | State::Newest(_) | State::Early(_)) | None => "running",
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
