//! Timers: fired once everything that came in before they were due is decided on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Lane;
use crate::broker::{Key, Log, Snapshots, Source};
use crate::journal::Origin;
use crate::proposal::Proposal;
use crate::service::{Cause, Service, Verdict};
use crate::takeover::{End, ended_by};

impl<S: Service, L: Log, N: Snapshots + 'static> Lane<'_, S, L, N> {
    /// Fires what is due.
    pub(super) fn fire_timers(
        &mut self,
        proposal: &mut Proposal<S::Event>,
        end_of_inbox: bool,
    ) -> Result<(), End> {
        if self.catch_up_to.is_some_and(|end| self.position >= end || end_of_inbox) {
            self.catch_up_to = None;
        }
        let now = proposal.now();
        if !self.inbox.is_empty() || !self.caught_up() || self.states.due(now).is_none() {
            return Ok(());
        }
        // An input that the broker took before the timer was due goes first, even if it was not read yet.
        if !end_of_inbox && self.position < self.log.kept(Source::Inbox)?.end {
            return Ok(());
        }
        if now.since(self.confirmed_at) >= self.given.limits.look_every {
            self.look()?;
        }
        while let Some((_, key)) = self.states.due(now) {
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
                self.accept(Origin::Timer(key.to_string()), events, self.position, proposal)
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
