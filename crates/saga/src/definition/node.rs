//! A task as it was read, and what it does.

use std::time::Duration;

use super::draft::{At, EventDraft, OutputDraft, Written};
use super::findings::Span;
use crate::plan::{AtLeast, InDoubt, Join, Kind, RetryPlan, Role, Strategy};
use crate::types::Type;

/// A task, a group, or what stands in one. Its place among `Draft::tasks` is its name to the checks.
#[derive(Debug)]
pub(super) struct TaskDraft {
    pub(super) id: At<String>,
    pub(super) stand: Stand,
    pub(super) action: ActionDraft,
    pub(super) inputs: InputsDraft,
    pub(super) returns: Option<Type>,
    pub(super) depends_on: Vec<At<String>>,
    /// Where `depends_on` says it.
    pub(super) join: At<Join>,
    pub(super) when: Option<Written>,
    pub(super) alone: bool,
    pub(super) timeout: Option<At<Duration>>,
    /// Whether the task says its timeout itself.
    pub(super) timeout_said: bool,
    pub(super) deadline: Option<DeadlineDraft>,
    pub(super) retry: At<RetryPlan>,
    pub(super) kind: Kind,
    /// Where the file says the kind, for this task or by default.
    pub(super) kind_said: Option<Span>,
    pub(super) in_doubt: Option<At<InDoubt>>,
    pub(super) undo: Option<UndoDraft>,
    pub(super) idempotency: IdempotencyDraft,
    /// Where the file says that it is.
    pub(super) optional: Option<Span>,
    pub(super) fallback: Option<usize>,
    pub(super) on_failure: Option<FailureDraft>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    /// The group, choice or `for_each`.
    pub(super) parent: Option<usize>,
    /// That, or the task that it falls back for, or whose failure it closes.
    pub(super) host: Option<usize>,
    pub(super) role: Role,
    /// The list of tasks: its siblings are those of the same one.
    pub(super) list: usize,
    /// Under `sequential`: the task before it.
    pub(super) follows: Option<usize>,
    /// Lists within lists.
    pub(super) depth: usize,
}

#[derive(Debug)]
pub(super) enum ActionDraft {
    /// It could not be read.
    Broken,
    Agent {
        agent: String,
        task_type: String,
    },
    Emit(Box<EmitDraft>),
    Await(Box<AwaitDraft>),
    Request(Box<EmitDraft>, Box<AwaitDraft>),
    Wait(WaitDraft),
    Choice {
        cases: Vec<CaseDraft>,
        many: bool,
    },
    Race {
        cases: Vec<RaceDraft>,
    },
    Group {
        outputs: Option<Vec<OutputDraft>>,
    },
    Saga(SagaDraft),
    ForEach(ForEachDraft),
}

#[derive(Debug)]
pub(super) struct EmitDraft {
    pub(super) event: EventDraft,
    pub(super) key: Option<Written>,
    pub(super) value: Option<Written>,
    pub(super) headers: Vec<(String, Written)>,
}

#[derive(Debug)]
pub(super) struct AwaitDraft {
    pub(super) awaited: Vec<AwaitedDraft>,
    pub(super) failed: Vec<EventDraft>,
    pub(super) filter: Option<Written>,
    pub(super) correlate: Option<Written>,
}

#[derive(Clone, Debug)]
pub(super) enum AwaitedDraft {
    Event(EventDraft),
    Signal(String),
}

#[derive(Debug)]
pub(super) enum WaitDraft {
    For(At<Duration>),
    Until(Written),
}

#[derive(Debug)]
pub(super) struct CaseDraft {
    pub(super) id: Option<At<String>>,
    /// `None`: `else`, or it could not be read.
    pub(super) when: Option<Written>,
    pub(super) is_else: bool,
    pub(super) span: Span,
}

#[derive(Debug)]
pub(super) struct RaceDraft {
    pub(super) id: Option<At<String>>,
    pub(super) on: RaceOnDraft,
}

#[derive(Debug)]
pub(super) enum RaceOnDraft {
    Event { awaited: AwaitedDraft, filter: Option<Box<Written>> },
    After(At<Duration>),
}

#[derive(Clone, Debug)]
pub(super) struct SagaDraft {
    pub(super) name: At<String>,
    pub(super) hash: Option<String>,
    pub(super) max_depth: u32,
}

#[derive(Debug)]
pub(super) struct ForEachDraft {
    pub(super) list: Written,
    pub(super) item: String,
    pub(super) concurrency: usize,
    pub(super) at_least: AtLeast,
    /// The root of its body.
    pub(super) root: usize,
}

#[derive(Debug)]
pub(super) enum InputsDraft {
    Computed(Box<Written>),
    /// Not said: what it depends on, or what surrounds it.
    Absent,
}

#[derive(Debug)]
pub(super) enum DeadlineDraft {
    Within(At<Duration>),
    At(Written),
}

#[derive(Debug)]
pub(super) enum IdempotencyDraft {
    Key,
    Natural,
    /// Where it says so.
    Never(Span),
    Computed(Written),
}

#[derive(Debug)]
pub(super) struct FailureDraft {
    pub(super) strategy: Strategy,
    pub(super) then: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct UndoDraft {
    pub(super) span: Span,
    pub(super) action: ActionDraft,
    pub(super) inputs: Option<Written>,
    pub(super) when: Option<Written>,
    pub(super) timeout: Duration,
    pub(super) retry: RetryPlan,
}

impl TaskDraft {
    /// What follows when its outcome is unknown, with the default of its kind.
    pub(super) fn in_doubt(&self) -> InDoubt {
        match (&self.in_doubt, self.kind) {
            (Some(said), _) => said.it,
            (None, Kind::Compensatable) => InDoubt::Undo,
            // Only a pivot's is looked at: a readonly task fails, a retriable one is repeated.
            (None, Kind::Pivot | Kind::Retriable | Kind::ReadOnly) => InDoubt::Hold,
        }
    }

    /// Whether it comes after another one by its place or by its word.
    pub(super) fn depends(&self) -> bool {
        self.stand.follows.is_some() || !self.depends_on.is_empty()
    }

    /// The deadline, where it is a duration.
    pub(super) fn deadline_within(&self) -> Option<&At<Duration>> {
        match &self.deadline {
            Some(DeadlineDraft::Within(within)) => Some(within),
            Some(DeadlineDraft::At(_)) | None => None,
        }
    }
}

impl ActionDraft {
    /// Whether other tasks stand in it.
    pub(super) const fn is_container(&self) -> bool {
        match self {
            Self::Choice { .. } | Self::Race { .. } | Self::Group { .. } | Self::ForEach(_) => true,
            Self::Broken
            | Self::Agent { .. }
            | Self::Emit(_)
            | Self::Await(_)
            | Self::Request(..)
            | Self::Wait(_)
            | Self::Saga(_) => false,
        }
    }

    /// What it awaits, events and signals.
    pub(super) fn awaits(&self) -> Option<&AwaitDraft> {
        match self {
            Self::Await(awaits) | Self::Request(_, awaits) => Some(awaits),
            Self::Broken
            | Self::Agent { .. }
            | Self::Emit(_)
            | Self::Wait(_)
            | Self::Choice { .. }
            | Self::Race { .. }
            | Self::Group { .. }
            | Self::Saga(_)
            | Self::ForEach(_) => None,
        }
    }

    /// What it emits.
    pub(super) fn emits(&self) -> Option<&EmitDraft> {
        match self {
            Self::Emit(emit) | Self::Request(emit, _) => Some(emit),
            Self::Broken
            | Self::Agent { .. }
            | Self::Await(_)
            | Self::Wait(_)
            | Self::Choice { .. }
            | Self::Race { .. }
            | Self::Group { .. }
            | Self::Saga(_)
            | Self::ForEach(_) => None,
        }
    }

    /// The events that it waits for, each with where it is named.
    pub(super) fn events(&self) -> Vec<&EventDraft> {
        let awaited: Vec<&AwaitedDraft> = match self {
            Self::Await(awaits) | Self::Request(_, awaits) => awaits.awaited.iter().collect(),
            Self::Race { cases } => cases
                .iter()
                .filter_map(|case| match &case.on {
                    RaceOnDraft::Event { awaited, .. } => Some(awaited),
                    RaceOnDraft::After(_) => None,
                })
                .collect(),
            Self::Broken
            | Self::Agent { .. }
            | Self::Emit(_)
            | Self::Wait(_)
            | Self::Choice { .. }
            | Self::Group { .. }
            | Self::Saga(_)
            | Self::ForEach(_) => Vec::new(),
        };
        let events = awaited.into_iter().filter_map(|awaited| match awaited {
            AwaitedDraft::Event(event) => Some(event),
            AwaitedDraft::Signal(_) => None,
        });
        events.chain(self.awaits().iter().flat_map(|awaits| &awaits.failed)).collect()
    }
}
