//! Timers: fired once everything that came in before they were due is decided on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use events::{Timestamp, planted};

use super::Lane;
use crate::broker::{Key, Log, Snapshots, Source};
use crate::journal::Origin;
use crate::proposal::Proposal;
use crate::service::{Cause, Service, Verdict};
use crate::takeover::{End, ended_by};

impl<S: Service, L: Log, N: Snapshots + 'static> Lane<'_, S, L, N> {
    /// Fires what was due when the inbox was last looked into.
    pub(super) fn fire_timers(
        &mut self,
        proposal: &mut Proposal<S::Event>,
        looked: Timestamp,
        end_of_inbox: bool,
    ) -> Result<(), End> {
        if self.catch_up_to.is_some_and(|end| self.position >= end || end_of_inbox) {
            self.catch_up_to = None;
        }
        let is_rash = planted("timers-before-inputs");
        let early = if planted("timer-before-its-time") { 2_000 } else { 0 };
        let looked = if planted("timer-by-a-later-clock") { proposal.now() } else { looked };
        let by = Timestamp::from_millis(looked.as_millis() + early);
        let must_wait = !self.inbox.is_empty() || !self.caught_up();
        if self.states.due(by).is_none() || must_wait && !is_rash {
            return Ok(());
        }
        // An input that the broker took before the timer was due goes first, even if it was not read yet.
        if !end_of_inbox && !is_rash && self.position < self.log.kept(Source::Inbox)?.end {
            return Ok(());
        }
        if proposal.now().since(self.confirmed_at) >= self.given.limits.look_every {
            self.look()?;
        }
        while let Some((_, key)) = self.states.due(by) {
            if proposal.is_full(self.given.limits) {
                return Ok(());
            }
            self.fire(&key, proposal)?;
        }
        Ok(())
    }

    pub(super) fn fire(&mut self, key: &Key, proposal: &mut Proposal<S::Event>) -> Result<(), End> {
        let now = proposal.now();
        let given = &self.given;
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            given.service.decide(&self.states, Cause::Wake(key), now)
        }))
        .map_err(|panic| ended_by(&*panic, End::CrashedTimer(key.clone())))?;
        let fits = match verdict {
            Verdict::Accepted(events) => {
                let of_last =
                    self.context.position.filter(|_| planted("position-of-the-last-record"));
                let position = of_last.unwrap_or(self.position);
                self.accept(Origin::Timer(key.to_string()), events, position, proposal)
            }
            // Nothing to do, or nothing that can be done: asked again only once the state has changed.
            Verdict::Ignored(_) | Verdict::DeadLetter(_) => false,
        };
        if !fits {
            tracing::error!(key = %key, "a due timer led to nothing; silenced until its state changes");
            self.states.silence(key);
        }
        Ok(())
    }
}
