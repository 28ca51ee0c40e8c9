//! What the file says of its tasks, as far as a judge of public events must know it.

use events::TaskId;

use super::places::{Place, Places};
use super::samples::Samples;
use crate::plan::{Join, Kind, Plan, Rest, Role, Slot, Strategy};

/// What a judge goes by.
pub(super) struct Law<'s> {
    pub(super) plan: &'s Plan,
    pub(super) places: &'s Places,
    pub(super) samples: &'s Samples,
}

impl Law<'_> {
    pub(super) fn kind(&self, task: &TaskId) -> Option<Kind> {
        let place = self.places.find(task.as_str())?;
        Some(self.plan.tasks.get(place.slot)?.kind)
    }

    /// Whether it runs once a failure is dealt with.
    pub(super) fn closes(&self, place: &Place) -> bool {
        self.places.any_around(self.plan, place, |slot| {
            self.plan.tasks.get(slot).is_some_and(|task| task.role == Role::Closing)
        })
    }

    /// Whether the file asks for a pause.
    pub(super) fn pauses_as_said(&self, place: &Place) -> bool {
        let said = |slot: Slot| self.plan.tasks.get(slot)?.on_failure.as_ref();
        self.plan.on_failure.strategy == Strategy::Pause
            || self.places.any_around(self.plan, place, |slot| {
                said(slot).is_some_and(|said| said.strategy == Strategy::Pause)
            })
    }

    pub(super) fn is_leaf(&self, slot: Slot) -> bool {
        !self.plan.tasks.iter().any(|task| {
            task.parent == Some(slot) && task.role.is_child() || task.role == Role::Fallback(slot)
        })
    }

    /// The tasks that wait for a task, or for a group around it, only until enough others are done.
    pub(super) fn lets_go(&self, place: &Place) -> Vec<Place> {
        let is_let_go = |later: &&Slot| {
            self.plan.tasks.get(**later).is_some_and(|task| {
                matches!(task.join, Join::Discriminator | Join::NOf { rest: Rest::Cancel, .. })
            })
        };
        let around = self.places.chain(self.plan, place);
        let later = around.iter().flat_map(|around| {
            let task = self.plan.tasks.get(around.slot);
            let later = task.into_iter().flat_map(|task| &task.dependents).filter(is_let_go);
            later.map(|later| self.places.beside(around, *later))
        });
        later.collect()
    }
}
