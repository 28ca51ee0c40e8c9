//! The places of tasks in the plan: those that stand once in a workflow in the order of the file, and
//! behind them the body of each `for_each`, in one piece.

use std::ops::Range;

use super::draft::Draft;
use super::node::ActionDraft;
use crate::plan::{Role, Slot};

pub(super) struct Layout {
    /// The place in the file of each slot.
    pub(super) order: Vec<usize>,
    /// The slot of each place in the file.
    slots: Vec<Slot>,
    /// How many stand once.
    pub(super) fixed: usize,
    /// The slots of a body, by the place in the file of its root.
    bodies: Vec<(usize, Range<Slot>)>,
}

impl Layout {
    pub(super) fn of(draft: &Draft) -> Self {
        let roots = roots(draft);
        let of = |root: Option<usize>| {
            roots.iter().enumerate().filter(move |(_, of)| **of == root).map(|(at, _)| at)
        };
        let mut order: Vec<usize> = of(None).collect();
        let fixed = order.len();
        let mut bodies = Vec::new();
        // Bodies that stand in a body come behind it.
        let mut at = 0;
        while let Some(place) = order.get(at).copied() {
            if let Some(ActionDraft::ForEach(each)) =
                draft.tasks.get(place).map(|task| &task.action)
            {
                let begin = order.len();
                order.extend(of(Some(each.root)));
                bodies.push((each.root, begin..order.len()));
            }
            at += 1;
        }
        let mut slots = vec![0; draft.tasks.len()];
        for (slot, place) in order.iter().enumerate() {
            if let Some(of) = slots.get_mut(*place) {
                *of = slot;
            }
        }
        Self { order, slots, fixed, bodies }
    }

    pub(super) fn slot(&self, place: usize) -> Slot {
        self.slots.get(place).copied().unwrap_or_default()
    }

    pub(super) fn slots_of(&self, places: &[usize]) -> Vec<Slot> {
        places.iter().map(|place| self.slot(*place)).collect()
    }

    pub(super) fn body(&self, root: usize) -> Range<Slot> {
        let body = self.bodies.iter().find(|(of, _)| *of == root);
        body.map_or(0..0, |(_, slots)| slots.clone())
    }

    pub(super) fn role(&self, role: Role) -> Role {
        match role {
            Role::Fallback(of) => Role::Fallback(self.slot(of)),
            Role::Child | Role::Case(_) | Role::Item | Role::Closing => role,
        }
    }
}

/// The root of the innermost body that each task stands in. What a task stands in comes before it.
fn roots(draft: &Draft) -> Vec<Option<usize>> {
    let mut roots: Vec<Option<usize>> = Vec::with_capacity(draft.tasks.len());
    for (at, task) in draft.tasks.iter().enumerate() {
        let of_host = task.stand.host.and_then(|host| roots.get(host).copied().flatten());
        roots.push(if task.stand.role == Role::Item { Some(at) } else { of_host });
    }
    roots
}
