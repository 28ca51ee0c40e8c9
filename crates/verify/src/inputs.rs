//! The inbox and the commands.

use std::sync::Arc;

use serde_json::Value;

use crate::Invariant as I;
use crate::bench::{Bench, hash_of};
use crate::events::At;
use crate::fold::canonical;
use crate::judge::Judge;
use crate::letters::hash_of_source;
use crate::record::Record;
use crate::run::{Answer, Body};
use crate::status::{Kind, Seen};
use crate::wire::{Asks, subject};
use crate::workflow::{Start, Workflow};

impl Judge {
    /// A record of the inbox.
    pub(crate) fn input(&mut self, record: &Record<'_>, at: At) {
        if let Some(from) = record.header("pavane_forwarded") {
            let mut parts = from.rsplit('/').map(str::parse::<i64>);
            if let (Some(Ok(offset)), Some(Ok(partition))) = (parts.next(), parts.next()) {
                self.forwarded.insert((u32::try_from(partition).unwrap_or(u32::MAX), offset));
            }
        }
        match record.header("ce_type").unwrap_or_default() {
            "pavane.StartWorkflow" => self.start(record, at),
            "pavane.DeploySaga" => {
                let text = std::str::from_utf8(record.value.unwrap_or_default());
                let saga = record.header("pavane_saga");
                let version = record.header("pavane_version");
                if let (Ok(text), Some(saga), Some(version)) = (text, saga, version) {
                    self.definition(saga, version, text);
                }
            }
            "pavane.TaskCompleted" => {
                let value = record.value.filter(|value| !value.is_empty()).unwrap_or(b"null");
                self.answer(record, at, Some((hash_of([value]), canonical(value))));
            }
            "pavane.TaskStatus" => {
                let value = serde_json::from_slice::<Value>(record.value.unwrap_or_default());
                let done = value.ok().filter(|value| value.get("status") == Some(&"done".into()));
                let output = done.map(|value| value.get("output").cloned().unwrap_or_default());
                let hashes = output.map(|it| hash_of([it.to_string().as_bytes()]));
                self.answer(record, at, hashes.map(|it| (it, it)));
            }
            "pavane.TaskFailed" | "pavane.NothingToUndo" => self.answer(record, at, None),
            _ => self.counts.passed_over += 1,
        }
    }

    fn start(&mut self, record: &Record<'_>, at: At) {
        self.counts.starts += 1;
        let Some(id) = record.key_text().or(record.header("ce_subject")) else { return };
        let here = || format!("{}/{}/{}", record.topic, record.partition, record.offset);
        let ce_id = record.header("ce_id").map_or_else(here, str::to_owned);
        let place = self.workflow(id);
        let Some(workflow) = self.workflows.get_mut(place) else { return };
        workflow.starts.push(Start {
            partition: at.partition,
            offset: at.offset,
            id: ce_id.into(),
            time: record.timestamp,
        });
    }

    /// `done`: what was given, where it is a success: as it came, and canonical.
    fn answer(&mut self, record: &Record<'_>, at: At, done: Option<(u64, u64)>) {
        self.counts.answers += 1;
        let Some(subject) = record.header("ce_subject").and_then(subject) else { return };
        let place = self.workflow(subject.workflow);
        let Some(workflow) = self.workflows.get_mut(place) else { return };
        let kind = Kind::Answer { to: subject.asks, done: done.is_some() };
        let seen = Seen::beside(record, at, kind, subject.n);
        let Some(run) = workflow.note(subject.run, seen) else { return self.counts.unjudged += 1 };
        let number = run.number_of(subject.task);
        if let Some(last) = run.history.last_mut() {
            last.task = number;
        }
        let (Some((raw, hash)), false) = (done, subject.asks == Asks::Undo) else { return };
        let answer = Answer {
            raw,
            hash,
            time: record.timestamp,
            partition: at.partition,
            offset: at.offset,
        };
        if let Some(task) = run.task_mut(number)
            && task.answers.iter().all(|known| known.hash != hash)
        {
            task.answers.push(answer);
        }
    }

    /// A record of a topic of tasks.
    pub(crate) fn command(&mut self, record: &Record<'_>, agent: &Arc<str>, at: At) {
        let asks = match record.header("ce_type") {
            Some("pavane.DoTask") => Asks::Do,
            Some("pavane.UndoTask") => Asks::Undo,
            Some("pavane.QueryTask") => Asks::Query,
            Some("pavane.CancelTask") => Asks::Cancel,
            Some(_) | None => return self.counts.passed_over += 1,
        };
        let Some(subject) = record.header("ce_subject").and_then(subject) else {
            return self.counts.passed_over += 1;
        };
        if let Some(fence) = record.header("pavane_fence") {
            self.fence(fence);
        }
        let key = record.header("pavane_idempotency_key").unwrap_or_default();
        self.books.commanded(key);
        let place = self.workflow(subject.workflow);
        let Some(workflow) = self.workflows.get_mut(place) else { return };
        let seen = Seen::beside(record, at, Kind::Command(asks), subject.n);
        let id = Arc::clone(&workflow.id);
        let Some(run) = workflow.note(subject.run, seen) else { return self.counts.unjudged += 1 };
        let number = run.number_of(subject.task);
        if let Some(last) = run.history.last_mut() {
            last.task = number;
        }
        let Some(task) = run.task_mut(number) else { return };
        let mut wrong = None;
        if !task.takes(key) {
            wrong = Some((I::OneKey, format!("two keys for `{}`: the newest is {key}", task.name)));
        }
        let epoch = record.header("pavane_epoch").and_then(|text| text.parse().ok());
        let body = Body {
            agent: Arc::clone(agent),
            hash: hash_of([record.value.unwrap_or_default()]),
            epoch: epoch.unwrap_or(-1),
            time: record.timestamp,
            deadline: i64::MAX,
        };
        let whole = hash_of_source(record, record.headers);
        let again = task.order(asks, subject.n).is_some_and(|order| {
            if order.sent.is_none() {
                (order.sent, order.whole) = (Some(body), whole);
                return false;
            }
            if order.whole != whole {
                let message = format!(
                    "`{}` came again, and is another",
                    record.header("ce_id").unwrap_or("-")
                );
                wrong = Some((I::SameAgain, message));
            }
            true
        });
        match again {
            true => self.counts.repeats += 1,
            false => self.counts.commands += 1,
        }
        if let Some((invariant, message)) = wrong {
            self.bench.blame_run(invariant, &id, run, &[number], message);
        }
    }

    /// `partition/lane epoch/journal offset`
    fn fence(&mut self, fence: &str) {
        let mut parts = fence.split('/').map(str::parse::<i64>);
        let (Some(Ok(lane)), Some(Ok(epoch)), Some(Ok(offset))) =
            (parts.next(), parts.next(), parts.next())
        else {
            return;
        };
        let lane = self.lanes.entry(u32::try_from(lane).unwrap_or(u32::MAX)).or_default();
        let below = lane.range(..=offset).next_back().map(|(_, epoch)| *epoch);
        let above = lane.range(offset..).next().map(|(_, epoch)| *epoch);
        if below.is_some_and(|below| below > epoch) || above.is_some_and(|above| above < epoch) {
            let message = format!(
                "epoch {epoch} at journal offset {offset}, between {below:?} and {above:?}: {fence}"
            );
            self.bench.blame(I::LaneEpoch, message);
        }
        // Only where the epoch changes is anything to be remembered.
        if below != Some(epoch) || above != Some(epoch) {
            lane.insert(offset, epoch);
        }
    }

    /// That each start has one outcome. `given`: whether all of inbox, events and the inbox's dead letters is.
    pub(crate) fn starts(
        &self,
        given: [bool; 3],
        is_dead: &dyn Fn(u32, i64) -> bool,
        bench: &mut Bench,
    ) {
        let [inbox, events, letters] = given;
        let quiet_since = self.quiet_since().filter(|_| events && letters);
        for workflow in &self.workflows {
            for start in &workflow.starts {
                workflow.outcome(
                    start,
                    is_dead(start.partition, start.offset),
                    self.forwarded.contains(&(start.partition, start.offset)),
                    quiet_since,
                    bench,
                );
            }
            if !inbox {
                continue;
            }
            for run in workflow.runs.iter().filter(|run| run.from_start) {
                let known = workflow.starts.iter().any(|start| {
                    start.offset == run.number && run.start_id.as_deref() == Some(&*start.id)
                });
                if !known {
                    let message = format!(
                        "no start with the id {:?} stands at offset {}",
                        run.start_id, run.number
                    );
                    bench.blame_run(I::KnownStart, &workflow.id, run, &[], message);
                }
            }
        }
    }
}

impl Workflow {
    fn outcome(
        &self,
        start: &Start,
        is_dead: bool,
        is_forwarded: bool,
        quiet_since: Option<i64>,
        bench: &mut Bench,
    ) {
        let runs = || self.runs.iter().filter(|run| run.sequence > 0);
        let run = runs().find(|run| {
            run.number == start.offset && run.start_id.as_deref().is_none_or(|id| id == &*start.id)
        });
        if let (Some(run), true) = (run, is_dead) {
            let message = format!("the start {} is a run, and a dead letter too", start.id);
            bench.blame_run(I::OneOutcome, &self.id, run, &[], message);
        }
        let there_was = !self.dropped.is_empty() || runs().next().is_some();
        let is_old = quiet_since.is_some_and(|since| start.time <= since);
        if is_old && !there_was && !is_dead && !is_forwarded {
            let (partition, offset) = (start.partition, start.offset);
            let message = format!(
                "the start {} of {} at {partition}/{offset} of the inbox came to nothing",
                start.id, self.id
            );
            bench.blame(I::OneOutcome, message);
        }
    }
}
