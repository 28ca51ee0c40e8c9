//! Append, confirm, act: what stands between a decision and its effects.

use std::collections::BTreeSet;
use std::time::Duration;

use events::{Offset, Record, planted};

use super::{Given, Lane};
use crate::acks::wishes;
use crate::broker::{Log, LogError, Snapshots, Source};
use crate::journal::{Decide, Origin, Stand, Written, reactions};
use crate::proposal::{Proposal, Proposed};
use crate::reader::{ReadError, Ruling};
use crate::semconv;
use crate::service::Service;
use crate::takeover::End;

impl<S: Service, L: Log, N: Snapshots + 'static> Lane<'_, S, L, N> {
    /// Appends, confirms, and only then acts (`acts-after-ack`).
    pub(super) fn commit(&mut self, proposal: Proposal<S::Event>) -> Result<(), End> {
        if proposal.is_empty() {
            return Ok(());
        }
        let started = self.given.clock.now();
        let (proposed, entries) = proposal.into_parts();
        if planted("acts-before-the-ack") {
            let expected: Vec<Offset> = (self.context.next..).take(proposed.len()).collect();
            self.act(&proposed, &expected)?;
        }
        let offsets = semconv::append("journal", self.given.lane.0, entries.len())
            .in_scope(|| self.log.append(&entries));
        let offsets = match offsets {
            Err(LogError::InDoubt(_)) if planted("doubt-taken-for-stored") => {
                (self.context.next..).take(entries.len()).map(Some).collect()
            }
            offsets => offsets?,
        };
        // Not when the answer was heard: this process may have stood still meanwhile.
        self.confirmed_at =
            if planted("fresh-when-heard") { self.given.clock.now() } else { started };
        metrics::histogram!("pavane_lane_append_duration_seconds")
            .record(self.given.clock.now().since(started).as_secs_f64());
        metrics::counter!("pavane_journal_records_total").increment(entries.len() as u64);
        let placed = self.confirm(&proposed, &offsets)?;
        self.journalled_at = self.confirmed_at;
        self.resting = proposed.iter().all(|proposed| proposed.decide.source == Origin::Skip)
            && !planted("skipped-again");
        if planted("acts-before-the-ack") {
            return Ok(());
        }
        self.act(&proposed, &placed)
    }

    /// An acknowledgement confirms if its offset is the one expected and its record the next in sequence.
    /// Gives back where each decision stands.
    fn confirm(
        &mut self,
        proposed: &[Proposed<S::Event>],
        offsets: &[Option<Offset>],
    ) -> Result<Vec<Offset>, End> {
        let expected = self.context.next..;
        let below = offsets.iter().flatten().zip(expected.clone()).any(|(at, want)| *at < want);
        if below {
            return Err(End::Refused(format!(
                "an append was acknowledged at {offsets:?}, below the expected {}: the journal was cut off",
                self.context.next
            )));
        }
        let as_expected = offsets.len() == proposed.len()
            && offsets.iter().zip(expected).all(|(at, want)| *at == Some(want))
            || planted("offsets-unchecked");
        if !as_expected {
            return self.read_back(proposed);
        }
        let mut placed = Vec::with_capacity(proposed.len());
        for one in proposed {
            let offset = self.context.next;
            let ruling = self.context.judge_decide(offset, &one.decide)?;
            assert_eq!(
                ruling,
                Ruling::Valid,
                "one-epoch: an own record at the expected offset holds"
            );
            placed.push(offset);
        }
        Ok(placed)
    }

    /// Reads the journal from the next offset to its end: a higher announcement, or an own record void or
    /// missing, ends the epoch; else the own ones are confirmed where they stand.
    fn read_back(&mut self, outstanding: &[Proposed<S::Event>]) -> Result<Vec<Offset>, End> {
        metrics::counter!("pavane_lane_read_backs_total").increment(1);
        let end = self.log.kept(Source::Journal)?.end;
        if end < self.context.next {
            return Err(End::Refused(format!(
                "the journal ends at offset {end}, below the expected {}: it was cut off",
                self.context.next
            )));
        }
        let mut placed = Vec::with_capacity(outstanding.len());
        while self.context.next < end {
            let records = self.read_journal(self.context.next)?;
            if records.is_empty() {
                return Err(End::Lost("reading the journal back brought nothing".to_owned()));
            }
            for record in &records {
                let bytes = record.value.as_deref().unwrap_or_default();
                self.read_back_one(record.place.offset, bytes, outstanding, &mut placed)?;
            }
        }
        if placed.len() != outstanding.len() && !planted("missing-taken-for-placed") {
            return Err(End::Lost("an own record is missing from the journal".to_owned()));
        }
        Ok(placed)
    }

    /// Reads what this lane has written or is yet to read, which only a rival can have trimmed.
    pub(super) fn read_journal(&mut self, from: Offset) -> Result<Vec<Record>, End> {
        let read = self.log.read(Source::Journal, from, Duration::from_secs(5));
        read.map_err(|error| match error {
            // Only a holder trims, and only below its own snapshot: it is another by now.
            LogError::Gone { .. } => End::Superseded("a rival has trimmed the journal".to_owned()),
            LogError::PastEnd { .. }
            | LogError::InDoubt(_)
            | LogError::Fenced
            | LogError::TooLarge { .. }
            | LogError::Lost(_) => error.into(),
        })
    }

    fn read_back_one(
        &mut self,
        offset: Offset,
        bytes: &[u8],
        outstanding: &[Proposed<S::Event>],
        placed: &mut Vec<Offset>,
    ) -> Result<(), End> {
        let written =
            Written::decode(bytes).map_err(|what| ReadError::Unknown { at: offset, what })?;
        match (self.context.judge(offset, &written)?, &written) {
            (Ruling::Announced, _) if planted("rival-overlooked") => Ok(()),
            (Ruling::Announced, _) => {
                Err(End::Superseded(format!("a rival announced itself at journal offset {offset}")))
            }
            (Ruling::Valid, Written::Decide(decide))
                if outstanding.get(placed.len()).is_some_and(|own| own.decide == *decide) =>
            {
                placed.push(offset);
                Ok(())
            }
            (Ruling::Valid, _) => Err(End::Lost(format!(
                "the journal record at offset {offset} holds, but was not proposed now"
            ))),
            (Ruling::Void(_), Written::Decide(decide)) if decide.owner == self.owner => {
                Err(End::Lost(format!("the own record at journal offset {offset} is void")))
            }
            (Ruling::Void(_), _) => Ok(()),
        }
    }

    fn act(&mut self, proposed: &[Proposed<S::Event>], placed: &[Offset]) -> Result<(), End> {
        for (Proposed { decide, events }, offset) in proposed.iter().zip(placed) {
            match decide.source {
                Origin::Parked(at, _) => self.outbox.parked(at),
                Origin::Acked(at, _) => self.outbox.told(at),
                Origin::Input(_) | Origin::Timer(_) | Origin::Skip => {}
            }
            self.put(*offset, decide, events, &BTreeSet::new());
        }
        self.hand_over()
    }

    /// What follows from a confirmed decision is to be handed over. Of `answered` the service is not told again.
    pub(super) fn put(
        &mut self,
        offset: Offset,
        decide: &Decide,
        events: &[S::Event],
        answered: &BTreeSet<(Offset, u32)>,
    ) {
        let Given { lane, lanes, .. } = self.given;
        let records = reactions::<S>(decide, events, Stand { lane, lanes, offset });
        let mut wishes = wishes::<S>(events);
        wishes.retain(|wish| !answered.contains(&(offset, wish.index)));
        self.outbox.put(offset, records, wishes);
    }

    /// Whether what is known of the journal is new enough to send by.
    fn is_fresh(&self) -> bool {
        let since = self.given.clock.now().since(self.confirmed_at);
        since < self.given.limits.confirm_fresh_for
    }

    /// Hands over all that is to be.
    pub(super) fn hand_over(&mut self) -> Result<(), End> {
        while self.outbox.has_waiting() {
            // Somebody has paused this process, perhaps while it looked: a rival may have taken over and sent all
            // this long ago.
            while !self.is_fresh() && !planted("sent-unlooked") {
                self.look()?;
            }
            self.outbox.hand_over(&mut self.log)?;
        }
        Ok(())
    }

    /// Compares the journal's end with the own next offset: an idle owner would never find out.
    pub(crate) fn look(&mut self) -> Result<(), End> {
        let asked = self.given.clock.now();
        if self.log.kept(Source::Journal)?.end != self.context.next {
            self.read_back(&[])?;
        }
        self.confirmed_at = asked;
        Ok(())
    }
}
