//! Where the tasks of a running workflow stand in the plan, by their names in the public events, and which
//! comes after which.

use std::collections::BTreeMap;

use crate::plan::{Action, Join, Plan, Role, Slot};

/// A task of a workflow: where it stands in the plan, and in which elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: Slot,
    /// The outermost first.
    pub(super) elements: Vec<u32>,
}

/// The plan's tasks by name.
pub(super) struct Places {
    /// By id, and in how many elements it stands.
    by_name: BTreeMap<(String, usize), Slot>,
    depths: Vec<usize>,
    /// By slot: what comes after it among its siblings, directly or not.
    after: Vec<Vec<Slot>>,
}

impl Places {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut depths = vec![0; plan.tasks.len()];
        // A body stands behind the task whose it is.
        for slot in 0..plan.tasks.len() {
            if let Some(Action::ForEach(each)) = plan.tasks.get(slot).map(|task| &task.action) {
                let depth = depths.get(slot).copied().unwrap_or(0) + 1;
                for inner in each.body.clone() {
                    depths.get_mut(inner).into_iter().for_each(|at| *at = depth);
                }
            }
        }
        let names = plan.tasks.iter().zip(&depths).enumerate();
        let by_name = names.map(|(slot, (task, depth))| ((task.id.to_string(), *depth), slot));
        let by_name = by_name.collect();
        let after = (0..plan.tasks.len()).map(|slot| behind(plan, slot)).collect();
        Self { by_name, depths, after }
    }

    /// Where the task of that name stands.
    pub(super) fn find(&self, name: &str) -> Option<Place> {
        let mut parts = name.split('[');
        let id = parts.next()?;
        let elements: Vec<u32> =
            parts.filter_map(|part| part.trim_end_matches(']').parse().ok()).collect();
        let slot = *self.by_name.get(&(id.to_owned(), elements.len()))?;
        Some(Place { slot, elements })
    }

    /// Its name in the public events.
    pub(super) fn name(&self, plan: &Plan, place: &Place) -> String {
        let mut name =
            plan.tasks.get(place.slot).map(|task| task.id.to_string()).unwrap_or_default();
        for element in &place.elements {
            name.push_str(&format!("[{element}]"));
        }
        name
    }

    /// A task of the plan that stands in the same elements.
    pub(super) fn beside(&self, place: &Place, slot: Slot) -> Place {
        let depth = self.depths.get(slot).copied().unwrap_or(0);
        Place { slot, elements: place.elements.iter().copied().take(depth).collect() }
    }

    /// It, what it stands in, and so on.
    pub(super) fn chain(&self, plan: &Plan, place: &Place) -> Vec<Place> {
        let mut chain = vec![place.clone()];
        let mut at = place.clone();
        while let Some(task) = plan.tasks.get(at.slot) {
            let parent = match task.role {
                Role::Fallback(of) => Some(of),
                Role::Child | Role::Case(_) | Role::Item | Role::Closing => task.parent,
            };
            let Some(parent) = parent else { return chain };
            at = self.beside(&at, parent);
            chain.push(at.clone());
        }
        chain
    }

    /// Whether the one runs only after the other, since the graph says so.
    pub(super) fn comes_after(&self, plan: &Plan, later: &Place, earlier: &Place) -> bool {
        let (later, earlier) = (self.chain(plan, later), self.chain(plan, earlier));
        later.iter().any(|later| {
            earlier.iter().any(|earlier| {
                later.elements == earlier.elements
                    && self.after.get(earlier.slot).is_some_and(|all| all.contains(&later.slot))
            })
        })
    }

    /// Whether it, or something around it, satisfies this.
    pub(super) fn any_around(&self, plan: &Plan, place: &Place, is: impl Fn(Slot) -> bool) -> bool {
        self.chain(plan, place).iter().any(|place| is(place.slot))
    }

    /// What it waits for, where it waits for all of it.
    pub(super) fn all_before(&self, plan: &Plan, place: &Place) -> Vec<Place> {
        match plan.tasks.get(place.slot) {
            Some(task) if task.join == Join::All => {
                task.depends_on.iter().map(|slot| self.beside(place, *slot)).collect()
            }
            Some(_) | None => Vec::new(),
        }
    }
}

fn behind(plan: &Plan, slot: Slot) -> Vec<Slot> {
    let mut all = Vec::new();
    let mut open = vec![slot];
    while let Some(slot) = open.pop() {
        for (later, task) in plan.tasks.iter().enumerate() {
            if task.depends_on.contains(&slot) && !all.contains(&later) {
                all.push(later);
                open.push(later);
            }
        }
    }
    all
}
