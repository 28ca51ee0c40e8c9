//! What a plan is asked for over and over, looked up once.

use super::{Plan, Role, Slot};

/// What follows from a plan.
#[derive(Debug)]
pub(crate) struct Index {
    /// All slots, by the id of their task; of the same id in their order.
    by_id: Box<[Slot]>,
    /// For each slot, what is done with it as a group: [`Role::is_child`].
    children: Box<[Box<[Slot]>]>,
    /// What is done with the workflow.
    top: Box<[Slot]>,
    /// Whether a task must not run beside another.
    has_alone: bool,
}

impl Index {
    /// Of that plan.
    #[allow(clippy::indexing_slicing, reason = "slots of the plan, in lists as long as its tasks")]
    pub(crate) fn of(plan: &Plan) -> Self {
        let tasks = &plan.tasks;
        let mut by_id: Box<[Slot]> = (0..tasks.len()).collect();
        by_id.sort_by_key(|slot| (tasks[*slot].id.as_str(), *slot));
        let mut children = vec![Vec::new(); tasks.len()];
        for (slot, task) in tasks.iter().enumerate() {
            if let Some(parent) = task.parent.filter(|_| task.role.is_child()) {
                children[parent].push(slot);
            }
        }
        let is_top =
            |slot: &Slot| tasks[*slot].parent.is_none() && tasks[*slot].role == Role::Child;
        Self {
            by_id,
            children: children.into_iter().map(Vec::into_boxed_slice).collect(),
            top: (0..plan.fixed).filter(is_top).collect(),
            has_alone: tasks.iter().any(|task| task.alone),
        }
    }

    /// The slots of the tasks with that id.
    pub(crate) fn named<'a>(
        &'a self,
        plan: &'a Plan,
        id: &'a str,
    ) -> impl Iterator<Item = Slot> + 'a {
        let id_of = |slot: &Slot| plan.tasks.get(*slot).map_or("", |task| task.id.as_str());
        let first = self.by_id.partition_point(move |slot| id_of(slot) < id);
        let behind = self.by_id.get(first..).unwrap_or_default().iter().copied();
        behind.take_while(move |slot| id_of(slot) == id)
    }

    /// What is done with a group, in order.
    pub(crate) fn children(&self, group: Slot) -> &[Slot] {
        self.children.get(group).map_or(&[], |children| children)
    }

    /// What is done with the workflow, in order.
    pub(crate) fn top(&self) -> &[Slot] {
        &self.top
    }

    /// Whether a task must not run beside another.
    pub(crate) const fn has_alone(&self) -> bool {
        self.has_alone
    }
}
