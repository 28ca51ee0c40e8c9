//! An active lane: it reads, decides, appends and acts. One batch is in flight at a time, so between
//! turns the states in memory are the fold of what is confirmed; any doubt ends the epoch, and memory is
//! dropped and rebuilt, never repaired (`fold-only`).

mod blame;
mod commit;
mod park;
mod tell;
mod timers;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use events::{Class, Offset, Record, Refusal, Timestamp, partition_of, planted};

use crate::acks::wishes;
use crate::broker::{Key, LaneId, Log, Snapshots, Source};
use crate::journal::{Body, Kept, Origin, Owner, Stand, reactions};
use crate::limits::{BESIDE_KEPT_BYTES_MAX, Limits, PLACE_MESSAGE_BYTES_MAX};
use crate::outbox::{Outbox, Unsent};
use crate::proposal::Proposal;
use crate::reader::Context;
use crate::seams::Clock;
use crate::semconv;
use crate::service::{Cause, Service, Verdict};
use crate::snapshot::{Camera, Writer};
use crate::states::States;
use crate::takeover::{End, Won, ended_by, evolve_all, journal_now};

pub(crate) use blame::Blame;

/// What a lane is given by its host.
pub(crate) struct Given<'a, S> {
    pub(crate) service: &'a S,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) limits: &'a Limits,
    pub(crate) lane: LaneId,
    pub(crate) lanes: u32,
}

/// An active lane.
pub(crate) struct Lane<'a, S: Service, L, N> {
    given: Given<'a, S>,
    log: L,
    owner: Owner,
    context: Context,
    states: States<S::State>,
    outbox: Outbox<S::Event>,
    camera: Camera<N>,
    /// Read, not yet decided on.
    inbox: VecDeque<Record>,
    /// The inbox offset to read next.
    position: Offset,
    /// To be parked.
    unsent: VecDeque<Unsent>,
    blame: &'a mut Blame,
    /// Timers fire only once the inbox has been read to the end seen at takeover.
    catch_up_to: Option<Offset>,
    confirmed_at: Timestamp,
    looked_at: Timestamp,
    journalled_at: Timestamp,
    /// Nothing was sent since the last record that says how far sending has got.
    resting: bool,
    /// The inbox was empty when it was last looked at.
    idle: bool,
}

impl<'a, S: Service, L: Log, N: Snapshots + 'static> Lane<'a, S, L, N> {
    /// Begins where the takeover ended: sends again whatever may not have been sent.
    pub(crate) fn begin(
        given: Given<'a, S>,
        won: Won<S, L, N>,
        writer: Writer<N>,
        blame: &'a mut Blame,
    ) -> Result<Self, End> {
        let Won { mut log, holder, restored, owner } = won;
        let now = given.clock.now();
        let catch_up_to = Some(log.kept(Source::Inbox)?.end);
        let mut outbox = Outbox::default();
        let resting = restored.unsent.is_empty();
        for (offset, decide, events) in &restored.unsent {
            if planted("outbox-lost-at-takeover") {
                break;
            }
            let moved = i64::from(planted("sent-again-otherwise"));
            let stand = Stand { lane: given.lane, lanes: given.lanes, offset: *offset + moved };
            let mut wishes = wishes::<S>(events);
            wishes.retain(|wish| !restored.acked.contains(&(*offset, wish.index)));
            outbox.put(*offset, reactions::<S>(decide, events, stand), wishes);
        }
        while outbox.has_waiting() {
            outbox.hand_over(&mut log)?;
        }
        let mut states = restored.states;
        for key in &blame.silenced {
            states.silence(key);
        }
        Ok(Self {
            position: restored.context.position.unwrap_or_default(),
            camera: Camera::new(writer, holder, now),
            given,
            log,
            owner,
            context: restored.context,
            states,
            outbox,
            inbox: VecDeque::new(),
            unsent: VecDeque::new(),
            blame,
            catch_up_to,
            confirmed_at: now,
            looked_at: now,
            journalled_at: now,
            resting,
            idle: false,
        })
    }

    /// States held.
    pub(crate) fn held(&self) -> usize {
        self.states.len()
    }

    /// A state as it is now.
    #[cfg(test)]
    pub(crate) fn state(&self, key: &str) -> Option<&S::State> {
        self.states.get(key)
    }

    /// One turn. An error ends the epoch; the caller takes over anew, or stops.
    pub(crate) fn turn(&mut self) -> Result<(), End> {
        self.settle(self.patience_for_acks())?;
        if self.outbox.unsettled() >= self.given.limits.unsettled_max {
            // Back-pressure: what was decided must get out before more is taken in.
            return self.settle(Duration::from_millis(100));
        }
        let end_of_inbox = self.fill()?;
        let now = journal_now(self.given.clock, &self.context);
        let mut proposal =
            Proposal::new(&self.context, self.owner, now, self.outbox.cursor(self.context.next));
        self.tell(&mut proposal)?;
        self.park(&mut proposal)?;
        self.take_inputs(&mut proposal)?;
        self.fire_timers(&mut proposal, end_of_inbox)?;
        self.skip_ahead(&mut proposal, now);
        self.commit(proposal)?;
        let cursor = self.outbox.cursor(self.context.next);
        let trim = self.camera.tend::<S>(
            &mut self.states,
            &self.context,
            cursor,
            now,
            self.given.limits,
        )?;
        if let Some(below) = trim {
            self.log.trim(below)?;
        }
        self.look_if_idle(now)
    }

    /// Before it stops: writes down how far sending has got, so that little is sent again.
    pub(crate) fn rest(&mut self) -> Result<(), End> {
        self.settle(Duration::from_millis(50))?;
        let now = journal_now(self.given.clock, &self.context);
        let cursor = self.outbox.cursor(self.context.next);
        let mut proposal = Proposal::new(&self.context, self.owner, now, cursor);
        self.tell(&mut proposal)?;
        if cursor > self.context.cursor && !self.resting {
            proposal.push_eventless(Origin::Skip, Body::Nothing, self.position);
        }
        self.commit(proposal)
    }

    fn settle(&mut self, wait: Duration) -> Result<(), End> {
        let settled = self.log.settled(wait)?;
        self.unsent.extend(self.outbox.settle(settled));
        Ok(())
    }

    /// Reads on where everything read is decided on. Says whether the inbox was empty behind it.
    fn fill(&mut self) -> Result<bool, End> {
        self.idle = false;
        if !self.inbox.is_empty() {
            return Ok(false);
        }
        let records = self.log.read(Source::Inbox, self.position, self.patience())?;
        let empty = records.is_empty();
        self.inbox.extend(records);
        self.idle = empty;
        Ok(empty)
    }

    /// Where nothing else is to be done, acknowledgements that the service waits for are waited for.
    fn patience_for_acks(&self) -> Duration {
        if self.idle && self.outbox.awaits_acks() {
            self.given.limits.ack_wait
        } else {
            Duration::ZERO
        }
    }

    /// How long to wait for inputs: until the next timer, and never long.
    fn patience(&self) -> Duration {
        if !self.unsent.is_empty() || self.outbox.has_acked() || self.outbox.awaits_acks() {
            return Duration::ZERO;
        }
        let longest = self.given.limits.wait_max;
        let now = self.given.clock.now();
        self.states.next_wake().map_or(longest, |due| due.since(now).min(longest))
    }

    fn take_inputs(&mut self, proposal: &mut Proposal<S::Event>) -> Result<(), End> {
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

    fn caught_up(&self) -> bool {
        self.catch_up_to.is_none()
    }

    /// Folds and proposes; says whether the record fits into the journal, as both we and the broker bound it.
    fn accept(
        &mut self,
        origin: Origin,
        events: Vec<S::Event>,
        position: Offset,
        proposal: &mut Proposal<S::Event>,
    ) -> bool {
        assert!(!events.is_empty(), "one-verdict: an accepted cause has events");
        let bytes_max = self.given.limits.journal_record_bytes_max.min(self.log.entry_bytes_max());
        let fold = |events: &[S::Event]| evolve_all::<S>(&mut self.states, events);
        proposal.push(origin, events, position, bytes_max, fold)
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

    /// Where only ignored inputs, or nothing, came for a while, position and cursor are written down.
    fn skip_ahead(&mut self, proposal: &mut Proposal<S::Event>, now: Timestamp) {
        if !proposal.is_empty() {
            return;
        }
        let limits = self.given.limits;
        let ahead = self.position - self.context.position.unwrap_or(self.position);
        let quiet = now.since(self.journalled_at);
        let cursor_ahead = self.outbox.cursor(self.context.next) > self.context.cursor;
        let due = ahead >= limits.skip_after_offsets
            || ahead > 0 && quiet >= limits.skip_after
            || cursor_ahead && !self.resting && quiet >= limits.quiet_after;
        if due {
            proposal.push_eventless(Origin::Skip, Body::Nothing, self.position);
        }
    }

    fn look_if_idle(&mut self, now: Timestamp) -> Result<(), End> {
        if now.since(self.looked_at.max(self.confirmed_at)) < self.given.limits.look_every {
            return Ok(());
        }
        self.looked_at = now;
        self.look()
    }
}

enum Judged<E> {
    Decided(Verdict<E>),
    Misplaced(Key),
}

fn count(verdict: &'static str) {
    metrics::counter!("pavane_lane_inputs_total", "verdict" => verdict).increment(1);
}
