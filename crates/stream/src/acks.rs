//! Which events ask to be told that what follows from them is acknowledged.

use std::ops::Range;

use events::Offset;

use crate::service::Service;

/// An event that asks for it, among those of one decision.
#[derive(Clone, Debug)]
pub(crate) struct Wish<E> {
    /// Its place among the decision's events.
    pub(crate) index: u32,
    /// The places of its records among all that follow from the decision.
    pub(crate) records: Range<usize>,
    /// The event.
    pub(crate) event: E,
}

/// An event of which everything is acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Acked<E> {
    /// The journal record that it stands in.
    pub(crate) offset: Offset,
    /// Its place in that.
    pub(crate) index: u32,
    /// The event.
    pub(crate) event: E,
}

/// The wishes of a decision's events. Formats once more what follows from them, where there are any: it is
/// cheaper to do so for the few than to count for all.
pub(crate) fn wishes<S: Service>(events: &[S::Event]) -> Vec<Wish<S::Event>> {
    let Some(last) = events.iter().rposition(S::wants_ack) else { return Vec::new() };
    let mut wishes = Vec::new();
    let mut start = 0;
    for (index, event) in (0..).zip(events.iter().take(last + 1)) {
        let records = start..start + S::react(event).len();
        start = records.end;
        if S::wants_ack(event) {
            wishes.push(Wish { index, records, event: event.clone() });
        }
    }
    wishes
}
