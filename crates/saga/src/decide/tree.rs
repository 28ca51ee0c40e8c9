//! Which tasks there are: those of the plan that stand once, and the bodies of `for_each` once for each
//! element; and who stands in whom.

use events::TaskId;

use super::Draft;
use crate::phase::TaskRef;
use crate::plan::{Role, Slot, TaskPlan};
use crate::workflow::Expansion;

/// A slot within the body of a `for_each`.
#[derive(Clone, Copy)]
struct Copy<'d> {
    expansion: &'d Expansion,
    /// Which element.
    index: u32,
    /// Which of the body's slots, from 0.
    offset: u32,
}

impl Copy<'_> {
    fn first(&self) -> Slot {
        self.expansion.first as Slot + (self.index * self.expansion.width) as Slot
    }
}

impl<'a> Draft<'a> {
    /// All tasks, in the plan's order.
    pub(crate) fn slots(&self) -> std::ops::Range<Slot> {
        let last = self.head.expansions.last();
        0..last.map_or(self.plan.fixed, |last| last.end() as Slot)
    }

    fn copy(&self, slot: Slot) -> Option<Copy<'_>> {
        let slot = u32::try_from(slot).ok()?;
        let at = self.head.expansions.partition_point(|each| each.end() <= slot);
        let expansion = self.head.expansions.get(at).filter(|each| each.first <= slot)?;
        let within = slot - expansion.first;
        let (index, offset) = (within / expansion.width, within % expansion.width);
        Some(Copy { expansion, index, offset })
    }

    /// Where it stands in the plan.
    fn planned(&self, slot: Slot) -> Slot {
        self.copy(slot).map_or(slot, |copy| (copy.expansion.body + copy.offset) as Slot)
    }

    /// A task as the saga file has it.
    #[allow(clippy::indexing_slicing, reason = "slots come from the plan and nowhere else")]
    pub(crate) fn task_plan(&self, slot: Slot) -> &'a TaskPlan {
        &self.plan.tasks[self.planned(slot)]
    }

    /// The task that one of the plan's is, seen from `slot`: in the same element, or in one around it.
    pub(crate) fn seen_from(&self, slot: Slot, planned: Slot) -> Slot {
        let mut from = slot;
        while let Some(copy) = self.copy(from) {
            let body =
                copy.expansion.body as Slot..(copy.expansion.body + copy.expansion.width) as Slot;
            if body.contains(&planned) {
                return copy.first() + (planned - body.start);
            }
            from = copy.expansion.of as Slot;
        }
        planned
    }

    /// The group that it stands in.
    pub(crate) fn parent(&self, slot: Slot) -> Option<Slot> {
        let plan = self.task_plan(slot);
        match plan.role {
            Role::Item => self.copy(slot).map(|copy| copy.expansion.of as Slot),
            // While it runs it stands in its task's place, and its task holds it.
            Role::Fallback(of) => Some(self.seen_from(slot, of)),
            Role::Child | Role::Case(_) | Role::Closing => {
                plan.parent.map(|parent| self.seen_from(slot, parent))
            }
        }
    }

    /// What is done with a group: without its fallback, and without what follows its failure.
    pub(crate) fn children(&self, group: Slot) -> impl DoubleEndedIterator<Item = Slot> + '_ {
        // The elements of a `for_each` stand one body behind the other.
        let is_body = self.task_plan(group).action.for_each().is_some();
        let elements = self.head.expansions.iter().find(|each| is_body && each.of as Slot == group);
        let (range, step) = match elements {
            Some(each) => (each.first as Slot..each.end() as Slot, each.width as Slot),
            None => (0..0, 1),
        };
        let inner = if is_body { &[] } else { self.index.children(self.planned(group)) };
        let inner = inner.iter().map(move |child| self.seen_from(group, *child));
        range.step_by(step).chain(inner)
    }

    /// What is done with the workflow.
    pub(crate) fn top(&self) -> impl DoubleEndedIterator<Item = Slot> + '_ {
        self.index.top().iter().copied()
    }

    /// The groups around a task, the nearest first.
    pub(crate) fn around(&self, slot: Slot) -> impl Iterator<Item = Slot> + '_ {
        std::iter::successors(self.parent(slot), |group| self.parent(*group))
    }

    /// The same; and whether what stands in the group there takes its place: a fallback, which is not undone
    /// with it, and waits until it is.
    pub(crate) fn around_placed(&self, slot: Slot) -> impl Iterator<Item = (Slot, bool)> + '_ {
        let inner = std::iter::once(slot).chain(self.around(slot));
        inner
            .zip(self.around(slot))
            .map(|(inner, group)| (group, matches!(self.task_plan(inner).role, Role::Fallback(_))))
    }

    /// Whether it is that one, or stands in it.
    pub(crate) fn is_within(&self, slot: Slot, group: Slot) -> bool {
        slot == group || self.around(slot).any(|around| around == group)
    }

    /// What a task depends on.
    pub(crate) fn before(&self, slot: Slot) -> impl Iterator<Item = Slot> + '_ {
        self.task_plan(slot).depends_on.iter().map(move |before| self.seen_from(slot, *before))
    }

    /// A task's fallback.
    pub(crate) fn fallback(&self, slot: Slot) -> Option<Slot> {
        self.task_plan(slot).fallback.map(|fallback| self.seen_from(slot, fallback))
    }

    /// The elements around a task, the nearest first: the slot of the `for_each`, and which element.
    pub(crate) fn elements(&self, slot: Slot) -> Vec<(Slot, u32)> {
        let mut elements = Vec::new();
        let mut from = slot;
        while let Some(copy) = self.copy(from) {
            from = copy.expansion.of as Slot;
            elements.push((from, copy.index));
        }
        elements
    }

    /// The task's name in events: its id, and behind it the elements that it stands in.
    pub(crate) fn name(&self, slot: Slot) -> TaskRef {
        // A workflow has at most ten thousand tasks.
        let number = u32::try_from(slot).unwrap_or(u32::MAX);
        let elements = self.elements(slot);
        let id = &self.task_plan(slot).id;
        if elements.is_empty() {
            return TaskRef { slot: number, id: id.clone() };
        }
        let mut text = id.to_string();
        for (_, index) in elements.iter().rev() {
            text.push_str(&format!("[{index}]"));
        }
        TaskRef { slot: number, id: TaskId::from(text) }
    }

    /// The task of that name.
    pub(crate) fn named(&self, id: &TaskId) -> Option<Slot> {
        let (plain, elements) = id.as_str().split_once('[').unwrap_or((id.as_str(), ""));
        let innermost = elements.rsplit('[').next().and_then(|last| last.strip_suffix(']'));
        let index = innermost.and_then(|index| index.parse::<Slot>().ok());
        let is = |slot: &Slot| self.name(*slot).id == *id;
        self.index.named(self.plan, plain).find_map(|planned| match index {
            None => Some(planned).filter(|slot| *slot < self.plan.fixed),
            Some(index) => {
                let bodies = self.head.expansions.iter().filter(|each| {
                    let offset = planned.checked_sub(each.body as Slot);
                    offset.is_some_and(|offset| offset < each.width as Slot)
                        && index < each.count as Slot
                });
                let copy = |each: &Expansion| {
                    let offset = planned - each.body as Slot;
                    each.first as Slot + index * each.width as Slot + offset
                };
                bodies.map(copy).find(is)
            }
        })
    }
}
