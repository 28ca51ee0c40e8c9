//! Inputs: each inbox record gets its one verdict, in the order of the inbox.

use std::panic::{AssertUnwindSafe, catch_unwind};

use events::{Class, Record, Refusal, Timestamp, partition_of, planted};

use super::Lane;
use crate::broker::{Key, Log, Snapshots};
use crate::journal::{Body, Kept, Origin};
use crate::limits::{BESIDE_KEPT_BYTES_MAX, PLACE_MESSAGE_BYTES_MAX};
use crate::proposal::Proposal;
use crate::semconv;
use crate::service::{Cause, Service, Verdict};
use crate::takeover::{End, ended_by};

impl<S: Service, L: Log, N: Snapshots + 'static> Lane<'_, S, L, N> {
    pub(super) fn take_inputs(&mut self, proposal: &mut Proposal<S::Event>) -> Result<(), End> {
        while let Some(record) = self.inbox.front() {
            if proposal.is_full(self.given.limits) {
                if planted("input-dropped-at-a-full-batch") {
                    self.position = record.place.offset + 1;
                    self.inbox.pop_front();
                }
                return Ok(());
            }
            // A timer that was due before this record was appended goes first.
            let before = Timestamp::from_millis(record.timestamp.as_millis().saturating_sub(1));
            if self.caught_up()
                && let Some((_, key)) = self.states.due(before.min(proposal.now()))
            {
                self.fire(&key, proposal)?;
                continue;
            }
            let Some(record) = self.inbox.pop_front() else { return Ok(()) };
            self.admit(&record, proposal)?;
            self.position = record.place.offset + 1;
            if self.blame.culprit == Some(record.place.offset) {
                // Its refusal is written down before another record can make us panic.
                self.blame.culprit = None;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Gives an inbox record its one verdict (`one-verdict`).
    fn admit(&mut self, record: &Record, proposal: &mut Proposal<S::Event>) -> Result<(), End> {
        let _span = semconv::process(record, "coordinator").entered();
        let offset = record.place.offset;
        if self.blame.culprit == Some(offset) {
            let refusal = Refusal::new(
                Class::Crashed,
                "panicked",
                "deciding on this record made the coordinator panic; see its log, and report it",
            );
            self.refuse(record, refusal, proposal);
            return Ok(());
        }
        let verdict = catch_unwind(AssertUnwindSafe(|| self.judge(record, proposal.now())))
            .map_err(|panic| ended_by(&*panic, End::Crashed(offset)))?;
        self.blame.calm = self.blame.calm.saturating_add(1);
        match verdict {
            Judged::Decided(Verdict::Accepted(events)) => {
                count("accepted");
                if !self.accept(Origin::Input(offset), events, offset + 1, proposal) {
                    let why =
                        "what follows from this record is larger than a journal record may be";
                    let refusal = Refusal::new(Class::TooLarge, "decision", why);
                    self.refuse(record, refusal, proposal);
                }
            }
            Judged::Decided(Verdict::Ignored(stale)) => {
                metrics::counter!("pavane_lane_ignored_total", "reason" => stale.0).increment(1);
                count("ignored");
            }
            Judged::Decided(Verdict::DeadLetter(refusal)) => {
                self.refuse(record, refusal, proposal);
            }
            Judged::Misplaced(home) => {
                let kept = Kept::from(record).keyed(&home);
                if !self.holds(&kept) {
                    let why = "the key does not belong to this partition, and the record is too large \
                               to be passed on";
                    let refusal = Refusal::new(Class::TooLarge, "misplaced", why);
                    self.refuse(record, refusal, proposal);
                } else if !planted("stray-dropped") {
                    count("forwarded");
                    let body = Body::Forwarded(kept);
                    proposal.push_eventless(Origin::Input(offset), body, offset + 1);
                }
            }
        }
        Ok(())
    }

    fn judge(&self, record: &Record, now: Timestamp) -> Judged<S::Event> {
        let input = match self.given.service.parse(record) {
            Ok(input) => input,
            Err(refusal) => return Judged::Decided(Verdict::DeadLetter(refusal)),
        };
        let home = S::home(&input)
            .filter(|key| partition_of(key.as_bytes(), self.given.lanes) != self.given.lane.0);
        let Some(home) = home else {
            let cause = Cause::Input(&input);
            return Judged::Decided(self.given.service.decide(&self.states, cause, now));
        };
        if record.header(events::header::FORWARDED).is_some() {
            let refusal = Refusal::new(
                Class::Invalid,
                "misplaced",
                "the key does not belong to this partition; place inbox records by murmur2 over the key",
            );
            return Judged::Decided(Verdict::DeadLetter(refusal));
        }
        Judged::Misplaced(home)
    }

    /// Whether a journal record holds this one whole, with what is said about it.
    fn holds(&self, kept: &Kept) -> bool {
        kept.bytes().saturating_add(BESIDE_KEPT_BYTES_MAX) <= self.log.entry_bytes_max()
    }

    /// Gives it to the dead letters. One that a journal record can not hold, which the topics' settings allow
    /// only by mistake, is named by its place: nothing blocks a lane.
    fn refuse(&mut self, record: &Record, mut refusal: Refusal, proposal: &mut Proposal<S::Event>) {
        count("dead_letter");
        metrics::counter!(
            "pavane_dead_letters_total",
            "topic" => record.place.topic.to_string(), "reason" => refusal.class.as_str()
        )
        .increment(1);
        tracing::warn!(place = %record.place, %refusal, "refused an inbox record");
        let offset = record.place.offset;
        let mut kept = Kept::from(record);
        if !self.holds(&kept) {
            kept = kept.place_alone();
            refusal.message.truncate(refusal.message.floor_char_boundary(PLACE_MESSAGE_BYTES_MAX));
            refusal.message.push_str(
                "; the record is larger than the journal takes: it is not in this letter",
            );
        }
        if planted("refusal-dropped") {
            return;
        }
        let body = Body::Refused(kept, refusal);
        proposal.push_eventless(Origin::Input(offset), body, offset + 1);
    }
}

enum Judged<E> {
    Decided(Verdict<E>),
    Misplaced(Key),
}

pub(super) fn count(verdict: &'static str) {
    metrics::counter!("pavane_lane_inputs_total", "verdict" => verdict).increment(1);
}
