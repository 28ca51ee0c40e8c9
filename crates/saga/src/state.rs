//! What is remembered under each key: one workflow, or what came before it; one version of a definition;
//! or which version is the newest.

use std::fmt;
use std::sync::Arc;

use events::{SagaName, Timestamp, Version};
use minicbor::{Decode, Encode};

use crate::plan::{Index, Plan};
use crate::workflow::{Early, Workflow};

/// What stands under one key. A workflow stands under its id; what begins with `:saga/` is a
/// definition, since no workflow id can begin with a colon.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// A live or remembered workflow.
    Workflow(Box<Workflow>),
    /// One version of a saga.
    Definition(Definition),
    /// Which version of a saga is the newest.
    Newest(Newest),
    /// What came for a workflow that there is not yet, under its id.
    Early(Early),
}

/// One version of a saga, compiled.
#[derive(Clone)]
pub struct Definition {
    pub(crate) source: Source,
    /// `None`: this build can not compile the text that an earlier one took.
    pub(crate) plan: Option<Arc<Plan>>,
    /// What follows from the plan.
    pub(crate) index: Option<Arc<Index>>,
}

/// What a definition is made of.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Source {
    #[n(0)]
    pub(crate) saga: SagaName,
    #[n(1)]
    pub(crate) version: Version,
    #[n(2)]
    pub(crate) text: String,
}

/// The newest version of a saga.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Newest {
    #[n(0)]
    pub(crate) saga: SagaName,
    #[n(1)]
    pub(crate) version: Version,
    #[n(2)]
    pub(crate) revision: u64,
    /// The deployment's. Of two with the same revision the greater id counts as the newer, so that
    /// all partitions choose alike.
    #[n(3)]
    pub(crate) ce_id: String,
}

impl Definition {
    /// Compiles a definition's text. A pure function of it, so that replay gives the same.
    pub(crate) fn compile(source: Source) -> Self {
        let plan = crate::definition::check(&source.text).plan.map(Plan::shared);
        let index = plan.as_deref().map(|plan| Arc::new(Index::of(plan)));
        Self { source, plan, index }
    }

    /// A definition whose plan is known.
    #[must_use]
    pub fn of(plan: Arc<Plan>) -> Self {
        let (saga, version) = (plan.name.clone(), plan.version.clone());
        let source = Source { saga, version, text: String::new() };
        let index = Some(Arc::new(Index::of(&plan)));
        Self { source, plan: Some(plan), index }
    }

    /// The plan and its index.
    pub(crate) fn planned(&self) -> Option<(&Plan, &Index)> {
        Some((self.plan.as_deref()?, self.index.as_deref()?))
    }

    /// The plan; `None` where this build can not compile the text that an earlier one took.
    #[must_use]
    pub fn plan(&self) -> Option<&Arc<Plan>> {
        self.plan.as_ref()
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Definition({} {})", self.source.saga, self.source.version)
    }
}

/// The plan follows from the source.
impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// The key of one version of a saga.
#[must_use]
pub fn definition_key(saga: &SagaName, version: &Version) -> Arc<str> {
    definition_text(saga, version).into()
}

/// The same, to look it up.
pub(crate) fn definition_text(saga: &SagaName, version: &Version) -> String {
    [":saga/", saga.as_str(), "/", version.as_str()].concat()
}

/// The key under which stands which version of a saga is the newest.
#[must_use]
pub fn newest_key(saga: &SagaName) -> Arc<str> {
    format!(":saga/{saga}").into()
}

/// When the state next wants to be asked with [`crate::Cause::Wake`].
#[must_use]
pub fn wake_at(state: &State) -> Option<Timestamp> {
    match state {
        State::Workflow(workflow) => workflow.wake_at(),
        State::Early(early) => early.due(),
        State::Definition(_) | State::Newest(_) => None,
    }
}
