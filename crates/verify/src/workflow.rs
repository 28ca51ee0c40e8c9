//! All that is held of one workflow's id.

use std::sync::Arc;

use crate::Invariant as I;
use crate::bench::Bench;
use crate::events::At;
use crate::record::Record;
use crate::run::{Lists, Run};
use crate::status::{Kind, NONE, Seen};
use crate::wire;

/// A start as it stands in the inbox.
pub(crate) struct Start {
    pub(crate) partition: u32,
    pub(crate) offset: i64,
    pub(crate) id: Box<str>,
    pub(crate) time: i64,
}

/// One workflow's id and all its lives.
pub(crate) struct Workflow {
    pub(crate) id: Arc<str>,
    pub(crate) runs: Vec<Run>,
    pub(crate) starts: Vec<Start>,
    /// Runs that were judged and dropped.
    pub(crate) dropped: Vec<i64>,
}

/// Whether an event is the run's next.
pub(crate) enum Next {
    Takes,
    Again,
    Unjudged,
}

pub(crate) fn course(
    workflow: &Arc<str>,
    run: &mut Run,
    event: &wire::Event<'_>,
    hash: u64,
    whole: bool,
    bench: &mut Bench,
) -> Next {
    let n = event.sequence;
    if n <= run.sequence {
        let known = usize::try_from(n - 1).ok().and_then(|place| run.hashes.get(place));
        if known.is_some_and(|known| *known != hash && *known != 0) {
            let message = format!("event {n} of the run came again, and is another");
            bench.blame_run(I::SameAgain, workflow, run, &[], message);
        }
        return Next::Again;
    }
    if run.sequence == 0 {
        (run.saga, run.version) = (event.saga.into(), event.version.into());
        run.from_start = n == 1 || whole;
    }
    if !run.from_start {
        run.sequence = n;
        return Next::Unjudged;
    }
    if n != run.sequence + 1 {
        let message = format!("event {n} of the run follows event {}", run.sequence);
        bench.blame_run(I::Sequence, workflow, run, &[], message);
    }
    let len = usize::try_from(n).unwrap_or(usize::MAX).min(run.hashes.len() + 10_000);
    run.hashes.resize(len.saturating_sub(1), 0);
    run.hashes.push(hash);
    Next::Takes
}

/// Whether both runs were asked for by the same task, one attempt behind the other, and the first has left nothing.
fn begins_anew(before: &Run, event: &wire::Event<'_>) -> bool {
    let attempt = |start_id: &str| {
        let (task, n) = start_id.rsplit_once(".do")?;
        Some((task.to_owned(), n.parse::<u64>().ok()?))
    };
    let wire::What::Started { start_id } = &event.what else { return false };
    let attempts = before.start_id.as_deref().and_then(attempt).zip(attempt(start_id));
    let is_next = attempts.is_some_and(|(first, then)| first.0 == then.0 && first.1 < then.1);
    let has_left = |lists: &Lists| !(lists.stands.is_empty() && lists.in_doubt.is_empty());
    is_next && before.end.is_some() && !before.lists.as_deref().is_some_and(has_left)
}

impl Workflow {
    /// A new run only once the one before is over, and no longer remembered; or of a child whose parent's task asks
    /// for it again, once nothing of the one before stands.
    pub(crate) fn one_at_a_time(
        &self,
        event: &wire::Event<'_>,
        remember_ms: i64,
        bench: &mut Bench,
    ) {
        for run in self.runs.iter().filter(|run| run.from_start && run.sequence > 0) {
            let over = run.end.map(|(_, end)| end.saturating_add(remember_ms));
            if over.is_none_or(|over| event.time < over) && !begins_anew(run, event) {
                let message = format!("run {} begins while run {} counts", event.run, run.number);
                bench.blame_run(I::OneStart, &self.id, run, &[], message);
            }
        }
    }

    pub(crate) fn note(&mut self, number: i64, seen: Seen) -> Option<&mut Run> {
        if self.dropped.contains(&number) {
            return None;
        }
        let place = self.runs.iter().position(|run| run.number == number).unwrap_or_else(|| {
            self.runs.push(Run::new(number));
            self.runs.len() - 1
        });
        let run = self.runs.get_mut(place)?;
        run.history.push(seen);
        Some(run)
    }
}

impl Seen {
    pub(crate) fn beside(record: &Record<'_>, at: At, kind: Kind, n: i64) -> Self {
        Self {
            time: record.timestamp,
            offset: at.offset,
            sequence: 0,
            n,
            topic: at.topic,
            partition: at.partition,
            task: NONE,
            kind,
            by: false,
        }
    }
}
