//! Where violations are written down, each with its timeline.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::report::{Moment, Violation};
use crate::run::Run;
use crate::status::{NONE, TaskNo};
use crate::{Invariant, Options};

pub(crate) struct Bench {
    violations_max: usize,
    timeline_max: usize,
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) found: Vec<Violation>,
    pub(crate) total: u64,
}

impl Bench {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            violations_max: options.violations_max,
            timeline_max: options.timeline_max,
            topics: Vec::new(),
            found: Vec::new(),
            total: 0,
        }
    }

    /// Of no run.
    pub(crate) fn blame(&mut self, invariant: Invariant, message: String) {
        self.write(|_| Violation {
            invariant,
            workflow: None,
            run: None,
            message,
            timeline: Vec::new(),
        });
    }

    /// Of a run; `about`: the tasks that are concerned.
    pub(crate) fn blame_run(
        &mut self,
        invariant: Invariant,
        workflow: &Arc<str>,
        run: &Run,
        about: &[TaskNo],
        message: String,
    ) {
        self.write(|bench| Violation {
            invariant,
            workflow: Some(Arc::clone(workflow)),
            run: Some(run.number),
            message,
            timeline: bench.timeline(run, about),
        });
    }

    fn write(&mut self, violation: impl FnOnce(&Self) -> Violation) {
        self.total += 1;
        if self.found.len() < self.violations_max {
            self.found.push(violation(self));
        }
    }

    /// What was seen of the run as a whole and of these tasks.
    fn timeline(&self, run: &Run, about: &[TaskNo]) -> Vec<Moment> {
        let concerned = run
            .history
            .iter()
            .filter(|seen| seen.task == NONE && seen.sequence > 0 || about.contains(&seen.task));
        let mut moments: Vec<Moment> = concerned
            .map(|seen| Moment {
                time: seen.time,
                topic: self.topics.get(seen.topic as usize).cloned().unwrap_or_else(|| "".into()),
                partition: seen.partition,
                offset: seen.offset,
                what: seen.kind.name(),
                task: run.task(seen.task).map(|task| Arc::clone(&task.name)),
                sequence: seen.sequence,
                n: seen.n,
            })
            .collect();
        moments.sort_by_key(|moment| moment.time);
        let skipped = moments.len().saturating_sub(self.timeline_max);
        moments.drain(..skipped);
        moments
    }
}

/// A hash of parts that is the same on every machine.
pub(crate) fn hash_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    parts.into_iter().fold(0, |hash, part| xxh3_64_with_seed(part, hash ^ part.len() as u64))
}

/// The same of parts that may be null, which is not empty.
pub(crate) fn hash_of_nullable<'a>(parts: impl IntoIterator<Item = Option<&'a [u8]>>) -> u64 {
    parts.into_iter().fold(0, |hash, part| match part {
        Some(part) => xxh3_64_with_seed(part, hash ^ part.len() as u64),
        None => hash.rotate_left(1) ^ u64::MAX,
    })
}
