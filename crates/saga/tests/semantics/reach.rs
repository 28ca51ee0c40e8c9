//! How far a failure goes: what the language says of `fallback`, `optional` and `on_failure`.

use crate::tree::{AtLeast, Place, Strategy, Tree};

/// What follows from the failure of a task whose fallback, if any, has failed too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It may fail: the run goes on.
    Optional,
    /// Its dependents are skipped, the rest goes on, and the run ends as partial.
    Accepted,
    /// What stands in that is undone, and then that has failed.
    Caught(Place),
    /// An element of a `for_each` that does not need all of them: that element has failed.
    Element,
    /// The whole run: `Compensate`, `FailFast` or `Pause`.
    Run(Strategy),
}

impl Tree<'_> {
    pub(crate) fn reach(&self, failed: &Place) -> Reach {
        let node = &self.nodes[failed.node];
        if self.is_optional(failed) {
            return Reach::Optional;
        }
        let is_root = failed.at.len() > node.depth;
        if is_root && self.tolerates(failed) {
            return Reach::Element;
        }
        let own = node.task.strategy.filter(|_| !is_root);
        let only_catch = match own {
            Some(Strategy::Continue) => return Reach::Accepted,
            Some(strategy @ (Strategy::FailFast | Strategy::Pause)) => return Reach::Run(strategy),
            // A savepoint has undone what stands in it; what follows is for what it stands in.
            Some(Strategy::Compensate) => !node.is_container(),
            None => false,
        };
        for around in self.line(failed).into_iter().skip(1) {
            let node = &self.nodes[around.node];
            let is_root = around.at.len() > node.depth;
            let catches = match is_root {
                true => self.tolerates(&around),
                false => {
                    let strategy = node.task.strategy;
                    node.task.optional
                        || node.fallback.is_some()
                        || strategy == Some(Strategy::Compensate)
                }
            };
            match node.task.strategy.filter(|_| !is_root && !only_catch) {
                Some(Strategy::Continue) => return Reach::Accepted,
                Some(strategy @ (Strategy::FailFast | Strategy::Pause)) => {
                    return Reach::Run(strategy);
                }
                Some(Strategy::Compensate) | None => {}
            }
            if catches {
                return Reach::Caught(around);
            }
        }
        match self.saga.strategy {
            _ if only_catch => Reach::Run(Strategy::Compensate),
            Strategy::Continue => Reach::Accepted,
            strategy => Reach::Run(strategy),
        }
    }

    /// Whether it is the file that says what follows from its failure; where a task or a group says it, the
    /// file's `then` is not asked either.
    pub(crate) fn is_the_files(&self, failed: &Place) -> bool {
        let says = |place: &Place| {
            let node = &self.nodes[place.node];
            let own = node.task.strategy.filter(|_| place.at.len() == node.depth);
            // What a group says of `compensate` is about what stands in it.
            let inner = place == failed && node.is_container();
            own.is_some_and(|strategy| !(inner && strategy == Strategy::Compensate))
        };
        !self.line(failed).iter().any(says)
    }

    /// Whether the `for_each` of this root of a body can do without some elements.
    fn tolerates(&self, root: &Place) -> bool {
        let each = self.nodes[root.node].task.for_each.unwrap();
        each.at_least != AtLeast::All
    }
}
