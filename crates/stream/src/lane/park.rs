//! Commands that can not be sent: each is taken into its workflow, so that the cursor can pass it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use events::{Destination, planted};

use super::Lane;
use crate::broker::{Key, Log, Snapshots};
use crate::journal::{Body, Origin, Stand, Written, reactions};
use crate::outbox::Unsent;
use crate::proposal::Proposal;
use crate::service::{Cause, Journaled, Parked, Service, Verdict};
use crate::takeover::{End, ended_by};

/// Where a record can fail for good by what users do: a topic that is not there, say. What goes to our own
/// topics waits until those are well.
fn is_of_users(to: &Destination) -> bool {
    match to {
        Destination::Tasks(_) | Destination::Named(_) => true,
        Destination::Inbox
        | Destination::Events
        | Destination::Definitions
        | Destination::DeadLetters(_) => false,
    }
}

impl<S: Service, L: Log, N: Snapshots + 'static> Lane<'_, S, L, N> {
    /// Takes what could not be sent into its state, where retry or failure is decided.
    pub(super) fn park(&mut self, proposal: &mut Proposal<S::Event>) -> Result<(), End> {
        while let Some(unsent) = self.unsent.pop_front() {
            let parked = self.find(&unsent)?;
            if planted("parked-dropped") {
                self.outbox.parked(unsent.offset);
                continue;
            }
            if !is_of_users(&parked.record.to) {
                let why = parked.error.to_string();
                return Err(End::Unsent { to: parked.record.to, why });
            }
            tracing::warn!(key = %parked.key, error = %parked.error, "parked a command");
            let now = proposal.now();
            let verdict = catch_unwind(AssertUnwindSafe(|| {
                self.given.service.decide(&self.states, Cause::Parked(&parked), now)
            }))
            .map_err(|panic| ended_by(&*panic, End::CrashedTimer(parked.key.clone())))?;
            let index = u32::try_from(unsent.index).unwrap_or(u32::MAX);
            let origin = Origin::Parked(unsent.offset, index);
            let taken = match verdict {
                Verdict::Accepted(events) => {
                    self.accept(origin.clone(), events, self.position, proposal)
                }
                Verdict::Ignored(_) | Verdict::DeadLetter(_) => false,
            };
            if !taken {
                proposal.push_eventless(origin, Body::Nothing, self.position);
            }
        }
        Ok(())
    }

    /// The record that could not be sent, formatted anew from the journal.
    fn find(&mut self, unsent: &Unsent) -> Result<Parked, End> {
        let records = self.read_journal(unsent.offset)?;
        let decide = records
            .first()
            .filter(|record| record.place.offset == unsent.offset)
            .and_then(|record| Written::decode(record.value.as_deref().unwrap_or_default()).ok());
        let Some(Written::Decide(decide)) = decide else {
            return Err(End::Lost(format!(
                "the journal record at offset {} could not be read again",
                unsent.offset
            )));
        };
        let stand = Stand { lane: self.given.lane, lanes: self.given.lanes, offset: unsent.offset };
        let events = decide.body.events::<S::Event>().map_err(End::Refused)?;
        let record = reactions::<S>(&decide, &events, stand).into_iter().nth(unsent.index);
        let key = events
            .iter()
            .scan(0, |end, event| {
                *end += S::react(event).len();
                Some((*end, event.key()))
            })
            .find_map(|(end, key)| (unsent.index < end).then_some(key));
        let Some(record) = record else {
            return Err(End::Lost(format!("{unsent:?} is not among what follows from its record")));
        };
        let error = unsent.error.clone();
        let key = key.unwrap_or_else(|| Key::from(""));
        Ok(Parked { key, offset: unsent.offset, record, error })
    }
}
