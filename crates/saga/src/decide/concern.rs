//! Which tasks a step forward concerns. Between decisions a workflow is at rest: whatever could start has started. So
//! where all goes well, only what depends on a change can start, and only what stands around one can be over.
//!
//! In any other case, and wherever nothing is left in flight, everything is looked at. A debug build looks at
//! everything each time, and holds that nothing was overlooked.

use std::ops::Range;

use super::Draft;
use crate::phase::Phase;
use crate::plan::{Role, Slot};
use crate::workflow::Stage;

/// What is to be looked at.
#[derive(Debug, Default)]
pub(super) struct Concern {
    /// Every task: what follows are no plain steps forward, or those before were not.
    all: bool,
    /// Those that may start, or need not run.
    pending: Slots,
    /// Groups that may be over.
    open: Slots,
}

/// Slots in their order, each once. Few, most of the time.
#[derive(Debug, Default)]
struct Slots(Vec<Slot>);

impl Slots {
    fn insert(&mut self, slot: Slot) {
        if let Err(at) = self.0.binary_search(&slot) {
            self.0.insert(at, slot);
        }
    }

    fn take_first(&mut self, of: Range<Slot>) -> Option<Slot> {
        let at = self.0.partition_point(|slot| *slot < of.start);
        let is_in = self.0.get(at).is_some_and(|slot| *slot < of.end);
        is_in.then(|| self.0.remove(at))
    }

    fn take_last_before(&mut self, end: Slot) -> Option<Slot> {
        let at = self.0.partition_point(|slot| *slot < end).checked_sub(1)?;
        Some(self.0.remove(at))
    }
}

impl Concern {
    /// Everything.
    pub(super) fn all() -> Self {
        Self { all: true, ..Self::default() }
    }
}

impl Draft<'_> {
    /// What is of concern before anything is decided about a workflow at rest.
    pub(super) fn concern_at_rest(&self) -> Concern {
        // What found no room waits for it.
        let had_room = self.tally.in_flight() < self.plan.max_parallel && !self.index.has_alone();
        Concern { all: !(had_room && self.is_plain_step()), ..Concern::default() }
    }

    pub(super) fn is_plain_step(&self) -> bool {
        let is_forward = matches!(self.head.stage, Stage::Forward);
        is_forward && self.is_plain() && self.head.paused_at.is_none()
    }

    /// Whether every task must be looked at.
    pub(super) fn concerns_all(&self) -> bool {
        self.concern.all
    }

    /// From here on every task must be looked at.
    pub(super) fn concern_all(&mut self) {
        self.concern = Concern::all();
    }

    /// Takes note of a task that has changed.
    pub(super) fn concern(&mut self, slot: Slot) {
        if self.concern.all {
            return;
        }
        let phase = self.task(slot).phase;
        let plan = self.task_plan(slot);
        if matches!(phase, Phase::Done | Phase::Skipped(_)) {
            for behind in &plan.dependents {
                let behind = self.seen_from(slot, *behind);
                self.may_start(behind);
            }
            if let Some(around) = self.parent(slot) {
                self.concern.open.insert(around);
            }
        }
        // Elements begin one behind the other, and so many at once.
        if plan.role == Role::Item
            && let Some(of) = self.parent(slot)
        {
            self.next_element(of);
        }
        if matches!(phase, Phase::Open { .. } | Phase::Skipped(_)) {
            self.concern.open.insert(slot);
            if plan.action.for_each().is_some() {
                self.next_element(slot);
            } else {
                let children: Vec<Slot> = self.children(slot).collect();
                children.into_iter().for_each(|child| self.may_start(child));
            }
        }
    }

    fn may_start(&mut self, slot: Slot) {
        if self.task(slot).phase == Phase::Pending {
            self.concern.pending.insert(slot);
        }
    }

    /// The next element of a `for_each` that has not begun: they begin in their order.
    fn next_element(&mut self, of: Slot) {
        let expansion = self.head.expansions.iter().find(|each| each.of as Slot == of);
        let Some((first, width, count)) =
            expansion.map(|each| (each.first as Slot, each.width as Slot, each.count as Slot))
        else {
            return;
        };
        let (mut begun, mut end) = (0, count);
        while begun < end {
            let middle = begun.midpoint(end);
            if self.task(first + middle * width).phase == Phase::Pending {
                end = middle;
            } else {
                begun = middle + 1;
            }
        }
        if begun < count {
            self.may_start(first + begun * width);
        }
    }

    /// The next task of these that may start.
    pub(super) fn next_pending(&mut self, mut of: Range<Slot>) -> Option<Slot> {
        if self.concern.all {
            return of.find(|slot| self.task(*slot).phase == Phase::Pending);
        }
        self.concern.pending.take_first(of)
    }

    /// The next group before `end` that may be over.
    pub(super) fn next_group(&mut self, end: Slot) -> Option<Slot> {
        if self.concern.all {
            return end.checked_sub(1);
        }
        self.concern.open.take_last_before(end)
    }
}
