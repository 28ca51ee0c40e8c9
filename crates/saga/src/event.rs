//! What was decided. Each event holds all that its records need, and changes the state of one key.

mod body;

use std::sync::Arc;

use events::{Json, Run, SagaName, Timestamp, Version, WorkflowId};
use minicbor::{Decode, Encode};

use crate::phase::{TaskError, TaskRef, Via};
use crate::state::{Newest, Source, definition_key, newest_key};
use crate::workflow::Kept;

pub(crate) use body::Body;

/// One journalled event.
///
/// The fields are numbered: a later build may add optional ones. An unknown variant is an error,
/// which is why no `Option` holds an enum of ours: minicbor would read an unknown one as absent.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Event(#[n(0)] pub(crate) About);

/// Whose event.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) enum About {
    #[n(0)]
    Workflow(#[n(0)] Box<WorkflowEvent>),
    /// A version of a saga is known from here on.
    #[n(1)]
    Defined(#[n(0)] Source),
    /// It is the newest.
    #[n(2)]
    Newest(#[n(0)] Newest),
    /// An event came for a workflow that there is not yet.
    #[n(3)]
    Early {
        #[n(0)]
        workflow: WorkflowId,
        #[n(1)]
        kept: Kept,
    },
    /// It did not come in time: it goes to the dead letters.
    #[n(4)]
    Unmatched {
        #[n(0)]
        workflow: WorkflowId,
        #[n(1)]
        kept: Kept,
        #[n(2)]
        time: Timestamp,
    },
    /// A parent is told what became of a child that there is not, or that is at rest.
    #[n(5)]
    Told {
        #[n(0)]
        workflow: WorkflowId,
        #[n(1)]
        time: Timestamp,
        #[n(2)]
        reply: Reply,
    },
}

/// A child's answer to its parent's command.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Reply {
    /// The command's subject.
    #[n(0)]
    pub(crate) command: String,
    #[n(1)]
    pub(crate) said: Said,
}

/// What a child says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Said {
    #[n(0)]
    Completed {
        #[n(0)]
        output: Json,
    },
    /// `effects`: something may stand.
    #[n(1)]
    Failed {
        #[n(0)]
        error: TaskError,
        #[n(1)]
        effects: bool,
    },
    #[n(2)]
    NothingToUndo,
    /// An undo in it has failed for good. `undo`: its subject.
    #[n(3)]
    Blocked {
        #[n(0)]
        error: TaskError,
        #[n(1)]
        undo: String,
    },
}

/// An event of one workflow.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct WorkflowEvent {
    #[n(0)]
    pub(crate) workflow: WorkflowId,
    #[n(1)]
    pub(crate) run: Run,
    /// Of this event if it is public, else of the last public one.
    #[n(2)]
    pub(crate) sequence: u64,
    #[n(3)]
    pub(crate) time: Timestamp,
    #[n(4)]
    pub(crate) saga: SagaName,
    #[n(5)]
    pub(crate) version: Version,
    #[n(6)]
    pub(crate) epoch: u32,
    #[n(7)]
    pub(crate) trace: Option<String>,
    #[n(8)]
    pub(crate) body: Body,
}

/// What follows from doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Doubt {
    #[n(0)]
    Undo,
    #[n(1)]
    Query {
        #[n(0)]
        until: Timestamp,
    },
    #[n(2)]
    Hold,
}

/// What a task that has no command begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Begun {
    /// What stands in it is under way.
    #[n(0)]
    Group {
        #[n(0)]
        due: Option<Timestamp>,
    },
    /// An event is waited for.
    #[n(1)]
    Await {
        #[n(0)]
        due: Option<Timestamp>,
    },
    /// A time is waited for.
    #[n(2)]
    Wait {
        #[n(0)]
        until: Timestamp,
    },
    /// What happens first.
    #[n(3)]
    Race {
        #[n(0)]
        until: Option<Timestamp>,
    },
}

/// Why a task is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Skip {
    /// What it waits for did not run, or has failed.
    #[n(0)]
    Upstream,
    /// An operator goes on without it.
    #[n(1)]
    Operator,
    /// An operator has given up its undo: it stands.
    #[n(2)]
    Undo,
    /// Its `when` is false.
    #[n(3)]
    When,
    /// Its case is not taken.
    #[n(4)]
    Case,
    /// What it waits for has failed, and the rest goes on.
    #[n(5)]
    Failed,
}

impl Skip {
    /// The reason in the public event.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Operator => "operator",
            Self::Undo => "undo",
            Self::When => "when",
            Self::Case => "case",
            Self::Failed => "failed",
        }
    }
}

/// What a workflow leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Rest {
    /// Done, and not undone.
    #[n(0)]
    pub(crate) stands: Vec<events::TaskId>,
    #[n(1)]
    pub(crate) undone: Vec<events::TaskId>,
    #[n(2)]
    pub(crate) in_doubt: Vec<events::TaskId>,
    /// May still report a success, which must then be undone. Not public.
    #[n(3)]
    pub(crate) late: Vec<TaskRef>,
}

/// Whether [`crate::Cause::Sent`] is to tell when the records that follow from this event have been
/// acknowledged: what is emitted is done only then.
#[must_use]
pub fn wants_ack(event: &Event) -> bool {
    let About::Workflow(event) = &event.0 else { return false };
    matches!(
        &event.body,
        Body::TaskScheduled { command, .. } | Body::UndoScheduled { command, .. }
            if matches!(command.via, Via::Event { alone: true, .. })
    )
}

impl Event {
    /// The key whose state it changes.
    #[must_use]
    pub fn key(&self) -> Arc<str> {
        match &self.0 {
            About::Workflow(event) => event.workflow.as_str().into(),
            About::Defined(source) => definition_key(&source.saga, &source.version),
            About::Newest(newest) => newest_key(&newest.saga),
            About::Early { workflow, .. }
            | About::Unmatched { workflow, .. }
            | About::Told { workflow, .. } => workflow.as_str().into(),
        }
    }
}
