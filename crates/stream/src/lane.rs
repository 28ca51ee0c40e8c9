//! An active lane: it reads, decides, appends and acts. One batch is in flight at a time, so between
//! turns the states in memory are the fold of what is confirmed; any doubt ends the epoch, and memory is
//! dropped and rebuilt, never repaired (`fold-only`).

mod blame;
mod commit;
mod inputs;
mod park;
mod tell;
mod timers;

use std::collections::VecDeque;
use std::time::Duration;

use events::{Offset, Record, Timestamp, planted};

use crate::broker::{LaneId, Log, Snapshots, Source};
use crate::journal::{Body, Origin, Owner};
use crate::limits::Limits;
use crate::outbox::{Outbox, Unsent};
use crate::proposal::Proposal;
use crate::reader::Context;
use crate::seams::Clock;
use crate::service::Service;
use crate::snapshot::{Camera, Writer};
use crate::states::States;
use crate::takeover::{End, Won, evolve_all, journal_now};

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
        let Won { mut log, holder, restored, owner, announced_at } = won;
        let now = given.clock.now();
        let catch_up_to = Some(log.kept(Source::Inbox)?.end);
        let mut states = restored.states;
        for key in &blame.silenced {
            states.silence(key);
        }
        // A lane that changes hands more often than snapshots are due must get to one all the same.
        let saved_at = restored.unsaved_since.map_or(now, |since| since.min(now));
        let past = i64::from(planted("input-dropped-at-takeover"));
        let mut lane = Self {
            position: restored.context.position.unwrap_or_default() + past,
            camera: Camera::new(writer, holder, saved_at),
            given,
            log,
            owner,
            context: restored.context,
            states,
            outbox: Outbox::default(),
            inbox: VecDeque::new(),
            unsent: VecDeque::new(),
            blame,
            catch_up_to,
            confirmed_at: announced_at,
            looked_at: now,
            journalled_at: now,
            resting: restored.unsent.is_empty(),
            idle: false,
        };
        for (offset, decide, events) in &restored.unsent {
            if planted("outbox-lost-at-takeover") {
                break;
            }
            let mut decide = decide.clone();
            decide.epoch += u64::from(planted("sent-again-otherwise"));
            lane.put(*offset, &decide, events, &restored.acked);
        }
        lane.hand_over()?;
        Ok(lane)
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
        // Before the inbox is looked into: what it does not hold then was not in time for what is due by then.
        let looked = journal_now(self.given.clock, &self.context);
        let end_of_inbox = self.fill()?;
        let now = journal_now(self.given.clock, &self.context);
        let mut proposal =
            Proposal::new(&self.context, self.owner, now, self.outbox.cursor(self.context.next));
        self.tell(&mut proposal)?;
        self.park(&mut proposal)?;
        self.take_inputs(&mut proposal)?;
        self.fire_timers(&mut proposal, looked, end_of_inbox)?;
        self.skip_ahead(&mut proposal, now);
        if planted("captured-before-the-commit") {
            let cursor = self.outbox.cursor(self.context.next);
            let Given { limits, .. } = self.given;
            self.camera.tend::<S>(&mut self.states, &self.context, cursor, now, limits)?;
        }
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
            let below = if planted("trimmed-too-far") { self.context.next } else { below };
            self.log.trim(below)?;
        }
        self.look_if_idle(now)
    }

    /// Before it stops: writes down how far sending has got, so that little is sent again.
    pub(crate) fn rest(&mut self) -> Result<(), End> {
        self.settle(Duration::from_millis(50))?;
        let now = journal_now(self.given.clock, &self.context);
        let cursor = self.outbox.cursor(self.context.next);
        let told = if planted("cursor-at-the-end-at-rest") { self.context.next } else { cursor };
        let mut proposal = Proposal::new(&self.context, self.owner, now, told);
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
        if planted("never-looked")
            || now.since(self.looked_at.max(self.confirmed_at)) < self.given.limits.look_every
        {
            return Ok(());
        }
        self.looked_at = now;
        self.look()
    }
}
