//! Acknowledgements: the service is told of an event that asked for it, once all that follows from it has been
//! taken. Until its answer is confirmed, the cursor does not pass the event (`acked-then-told`): whoever
//! takes the lane over before that sends again, and tells again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Lane;
use super::inputs::count;
use crate::acks::Acked;
use crate::broker::{Log, Snapshots};
use crate::journal::Origin;
use crate::proposal::Proposal;
use crate::service::{Cause, Service, Verdict};
use crate::takeover::{End, ended_by};

impl<S: Service, L: Log, N: Snapshots + 'static> Lane<'_, S, L, N> {
    /// Tells of what is acknowledged, before anything else is proposed.
    pub(super) fn tell(&mut self, proposal: &mut Proposal<S::Event>) -> Result<(), End> {
        while !proposal.is_full(self.given.limits) {
            let Some(acked) = self.outbox.next_acked() else { return Ok(()) };
            let is_written = self.tell_of(&acked, proposal)?;
            if !is_written {
                self.outbox.told(acked.offset);
            }
        }
        Ok(())
    }

    /// Says whether an answer stands in the proposal.
    fn tell_of(
        &mut self,
        acked: &Acked<S::Event>,
        proposal: &mut Proposal<S::Event>,
    ) -> Result<bool, End> {
        let Acked { offset, index, event } = acked;
        if self.blame.untold.contains(&(*offset, *index)) {
            tracing::error!(
                offset,
                index,
                "an acknowledgement made us panic; it is not told again"
            );
            return Ok(false);
        }
        let now = proposal.now();
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            self.given.service.decide(&self.states, Cause::Sent(event), now)
        }))
        .map_err(|panic| ended_by(&*panic, End::CrashedAck { offset: *offset, index: *index }))?;
        match verdict {
            Verdict::Accepted(events) => {
                count("acked");
                let origin = Origin::Acked(*offset, *index);
                let fits = self.accept(origin, events, self.position, proposal);
                if !fits {
                    tracing::error!(
                        offset,
                        index,
                        "what follows from an acknowledgement is too large"
                    );
                }
                Ok(fits)
            }
            Verdict::Ignored(_) | Verdict::DeadLetter(_) => Ok(false),
        }
    }
}
