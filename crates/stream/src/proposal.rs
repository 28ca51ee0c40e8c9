//! What a turn proposes: journal records in sequence, not yet decided by the log.

use bytes::Bytes;
use events::{Offset, Timestamp};

use crate::broker::Entry;
use crate::journal::{Body, Decide, Origin, Owner};
use crate::limits::Limits;
use crate::reader::Context;
use crate::service::Journaled;

/// A proposed record, with its events as they were before encoding.
pub(crate) struct Proposed<E> {
    pub(crate) decide: Decide,
    pub(crate) events: Vec<E>,
}

/// Records of one append.
pub(crate) struct Proposal<E> {
    epoch: u64,
    owner: Owner,
    seq: u64,
    cursor: Offset,
    now: Timestamp,
    proposed: Vec<Proposed<E>>,
    entries: Vec<Entry>,
    bytes: usize,
}

impl<E: Journaled> Proposal<E> {
    pub(crate) fn new(context: &Context, owner: Owner, now: Timestamp, cursor: Offset) -> Self {
        assert_eq!(context.owner, owner, "one-epoch: only the journal's owner proposes");
        Self {
            epoch: context.epoch,
            owner,
            seq: context.seq,
            cursor,
            now,
            proposed: Vec::new(),
            entries: Vec::new(),
            bytes: 0,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.proposed.is_empty()
    }

    pub(crate) fn is_full(&self, limits: &Limits) -> bool {
        self.proposed.len() >= limits.proposal_records_max
            || self.bytes >= limits.proposal_bytes_max
    }

    /// Adds the record of these events if it has `bytes_max` at most; says whether it has. `fold` is then
    /// given them.
    pub(crate) fn push(
        &mut self,
        source: Origin,
        events: Vec<E>,
        position: Offset,
        bytes_max: usize,
        fold: impl FnOnce(&[E]),
    ) -> bool {
        let (decide, bytes) = self.record(source, Body::of(&events), position);
        let fits = bytes.len() <= bytes_max;
        if fits {
            fold(&events);
            self.add(decide, events, bytes);
        }
        fits
    }

    /// Adds a record without events. It always fits: limits are asserted so that a journal record holds any
    /// inbox record.
    pub(crate) fn push_eventless(&mut self, source: Origin, body: Body, position: Offset) {
        let (decide, bytes) = self.record(source, body, position);
        self.add(decide, Vec::new(), bytes);
    }

    fn record(&self, source: Origin, body: Body, position: Offset) -> (Decide, Bytes) {
        let decide = Decide {
            epoch: self.epoch,
            owner: self.owner,
            seq: self.seq + 1,
            position,
            cursor: self.cursor,
            time: self.now,
            source,
            body,
        };
        let bytes = decide.encode();
        (decide, bytes)
    }

    fn add(&mut self, decide: Decide, events: Vec<E>, bytes: Bytes) {
        self.seq = decide.seq;
        self.bytes += bytes.len();
        self.proposed.push(Proposed { decide, events });
        self.entries.push(Entry(bytes));
    }

    pub(crate) fn into_parts(self) -> (Vec<Proposed<E>>, Vec<Entry>) {
        (self.proposed, self.entries)
    }
}
