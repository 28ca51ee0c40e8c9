//! Runs of a child before the one that is under way: it had ended, and its parent had it begun anew.

use events::Run;
use minicbor::{Decode, Encode};

use super::{Stage, Workflow};
use crate::phase::TaskRef;

/// A run of a child that had ended, and was begun anew.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Before {
    #[n(0)]
    pub(crate) run: Run,
    /// Tasks that may still report a success: nothing undoes it any more.
    #[n(1)]
    pub(crate) late: Vec<TaskRef>,
}

/// So many of them are remembered.
const BEFORE_MAX: usize = 32;

impl Workflow {
    /// Whether it is a child that has ended, so that its parent may have it begun anew.
    pub(crate) fn may_begin_anew(&self) -> bool {
        self.head.parent.is_some() && matches!(self.head.stage, Stage::Ended { .. })
    }

    /// What a run that follows this one remembers.
    pub(crate) fn with_those_before(&self) -> Option<Vec<Before>> {
        let is_open =
            |task: &&TaskRef| self.tasks.get(task.index()).is_none_or(|task| task.output.is_none());
        let late = match &self.head.stage {
            Stage::Ended { late, .. } => late.iter().filter(is_open).cloned().collect(),
            Stage::Forward
            | Stage::Deferred(_)
            | Stage::Compensating(_)
            | Stage::Failing(_)
            | Stage::Closing { .. } => Vec::new(),
        };
        let mut before = self.head.before.clone().unwrap_or_default();
        before.push(Before { run: self.head.run, late });
        let from = before.len().saturating_sub(BEFORE_MAX);
        Some(before.split_off(from))
    }
}
