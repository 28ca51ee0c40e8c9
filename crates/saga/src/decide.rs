//! What is to be done. Pure: the same states, the same cause and the same time give the same events.
//!
//! A decision works on a [`Draft`]: an overlay of the workflow on which each event is folded as it is
//! decided. First the cause is taken in (`answer`, `operator`, `timer`, `unsent`), then `advance`
//! draws what follows from the graph until nothing more does.

mod advance;
mod answer;
mod child;
mod concern;
mod deploy;
mod draft;
mod failure;
mod group;
mod late;
mod operator;
mod ready;
mod schedule;
mod seen;
mod sent;
mod start;
mod status;
mod stop;
mod task;
mod timer;
mod tree;
mod undo;
mod unsent;

use events::{Class, Outgoing, Refusal, Timestamp, planted};

use crate::event::{About, Event};
use crate::input::Input;
use crate::plan::{Index, Plan};
use crate::state::{State, definition_text, newest_key};
use crate::workflow::Workflow;

pub(crate) use draft::Draft;

/// The states that a decision may read.
pub trait Held {
    /// The state under that key.
    fn state(&self, key: &str) -> Option<&State>;
}

/// Why a decision is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a> {
    /// An inbox record, decoded.
    Input(&'a Input),
    /// The time that [`crate::wake_at`] named for this key has come.
    Wake(&'a str),
    /// All records that followed from this event have been acknowledged; asked of those for which
    /// [`crate::wants_ack`] is true.
    Sent(&'a Event),
    /// A record that [`crate::react`] gave could not be sent.
    Undeliverable {
        /// The key of the event that it followed from.
        key: &'a str,
        /// The record.
        record: &'a Outgoing,
        /// Whether it may still arrive.
        unsent: Unsent,
        /// Why.
        reason: &'a str,
    },
}

/// How certain it is that a record was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// It was certainly not stored, and never will be.
    Never,
    /// It may be stored, now or later.
    InDoubt,
}

/// What is to be done.
#[must_use]
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// These events, in this order. Not empty.
    Accepted(Vec<Event>),
    /// A duplicate, or too late; the label of a metric.
    Ignored(&'static str),
    /// It can never work.
    DeadLetter(Refusal),
}

/// What ends a decision without events.
#[derive(Debug)]
enum Stop {
    Ignored(&'static str),
    Refused(Refusal),
}

impl Stop {
    /// Only inputs become dead letters: anything else that is refused is ignored, as `label`.
    fn silent(self, label: &'static str) -> Self {
        match self {
            Self::Ignored(_) => self,
            Self::Refused(_) => Self::Ignored(label),
        }
    }
}

impl From<Stop> for Decision {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Ignored(why) => Self::Ignored(why),
            Stop::Refused(refusal) => Self::DeadLetter(refusal),
        }
    }
}

fn refused<T>(class: Class, code: &str, message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Refused(Refusal::new(class, code, message)))
}

fn invalid<T>(code: &str, message: impl Into<String>) -> Result<T, Stop> {
    refused(Class::Invalid, code, message)
}

/// What is to be done about `cause` at `now`.
///
/// # Panics
/// Where one of our own promises is broken (`one-end`, `undo-order`, `never-silent`, `all-bounded`).
pub fn decide(held: &dyn Held, cause: Cause<'_>, now: Timestamp) -> Decision {
    let (decided, workflow) = match cause {
        Cause::Input(input @ Input::Start(start)) => {
            let decided = start::start(held, start, now);
            (child::tell_parent(held, input, decided, now), Some(start.workflow.clone()))
        }
        Cause::Input(Input::Deploy(deploy)) => (deploy::deploy(held, deploy), None),
        Cause::Input(Input::Answer { subject, answer }) => {
            let decided =
                with(held, subject.workflow.as_str(), now, |d| answer::answer(d, subject, answer));
            (decided, Some(subject.workflow.clone()))
        }
        Cause::Input(Input::Operator { workflow, verb, by }) => {
            let decided = with(held, workflow.as_str(), now, |d| operator::operator(d, verb, by));
            (decided, Some(workflow.clone()))
        }
        Cause::Input(Input::Seen { workflow, event }) => {
            let decided = match held.state(workflow.as_str()) {
                Some(State::Workflow(_)) => {
                    with(held, workflow.as_str(), now, |d| seen::event(d, event))
                }
                Some(State::Definition(_) | State::Newest(_) | State::Early(_)) | None => {
                    seen::before_start(held, workflow, event, now)
                }
            };
            (decided, Some(workflow.clone()))
        }
        Cause::Input(Input::Signal { workflow, signal }) => {
            let decided = with(held, workflow.as_str(), now, |d| seen::signal(d, signal));
            (decided, Some(workflow.clone()))
        }
        Cause::Input(input @ Input::Unwind { workflow, command }) => {
            let decided = with(held, workflow.as_str(), now, |d| child::unwind(d, command));
            (child::tell_parent(held, input, decided, now), Some(workflow.clone()))
        }
        Cause::Sent(event) => (acknowledged(held, event, now), None),
        Cause::Wake(key) => (woken(held, key, now), None),
        Cause::Undeliverable { key, record, unsent, reason } => {
            let decided = with(held, key, now, |d| unsent::unsent(d, record, unsent, reason));
            // What can not be sent has nobody left to tell.
            (decided.map_err(|stop| stop.silent("unsent")), None)
        }
    };
    match (decided, workflow) {
        (Ok(events), _) if events.is_empty() => Decision::Ignored("nothing"),
        (Ok(events), _) => Decision::Accepted(events),
        (Err(Stop::Refused(refusal)), Some(workflow)) => {
            Decision::DeadLetter(refusal.about(&workflow))
        }
        (Err(stop), _) => stop.into(),
    }
}

fn workflow_of<'a>(held: &'a dyn Held, key: &str) -> Result<&'a Workflow, Stop> {
    match held.state(key) {
        Some(State::Workflow(workflow)) => Ok(workflow),
        Some(State::Definition(_) | State::Newest(_) | State::Early(_)) | None => {
            let message = format!("there is no workflow `{key}`, or it is no longer remembered");
            refused(Class::UnknownWorkflow, "unknown_workflow", message)
        }
    }
}

/// The plan that a workflow began with, and its index.
fn plan_of<'a>(held: &'a dyn Held, workflow: &Workflow) -> Result<(&'a Plan, &'a Index), Stop> {
    let head = &workflow.head;
    let mut version = &head.version;
    if planted("run-by-the-newest")
        && let Some(State::Newest(newest)) = held.state(&newest_key(&head.saga))
    {
        version = &newest.version;
    }
    match held.state(&definition_text(&head.saga, version)) {
        Some(State::Definition(definition)) => definition.planned(),
        Some(State::Workflow(_) | State::Newest(_) | State::Early(_)) | None => None,
    }
    .ok_or_else(|| {
        let message = format!(
            "version {} of saga `{}` can not be run by this build; deploy it again or go back",
            head.version, head.saga
        );
        Stop::Refused(Refusal::new(Class::UnknownSaga, "no_plan", message))
    })
}

/// Decides about a workflow that there is: takes the cause in, then draws what follows.
fn with(
    held: &dyn Held,
    key: &str,
    now: Timestamp,
    take: impl FnOnce(&mut Draft<'_>) -> Result<(), Stop>,
) -> Result<Vec<Event>, Stop> {
    let workflow = workflow_of(held, key)?;
    let plan = plan_of(held, workflow)?;
    let mut draft = Draft::over(held, workflow, plan, now);
    take(&mut draft)?;
    draft.advance();
    Ok(draft.finish())
}

fn acknowledged(held: &dyn Held, event: &Event, now: Timestamp) -> Result<Vec<Event>, Stop> {
    let About::Workflow(event) = &event.0 else { return Err(Stop::Ignored("no_ack_wanted")) };
    let decided = with(held, event.workflow.as_str(), now, |draft| sent::sent(draft, event));
    decided.map_err(|stop| stop.silent("late_ack"))
}

fn woken(held: &dyn Held, key: &str, now: Timestamp) -> Result<Vec<Event>, Stop> {
    if let Some(State::Early(early)) = held.state(key) {
        return Ok(seen::left_over(early, key, now));
    }
    let workflow = workflow_of(held, key).map_err(|_| Stop::Ignored("not_due"))?;
    if workflow.wake_at().is_none_or(|at| at > now) {
        return Err(Stop::Ignored("not_due"));
    }
    match with(held, key, now, timer::fire) {
        // Without a plan nothing can be decided, but time must not stand still for the other keys.
        Err(Stop::Refused(_)) => Ok(timer::postpone(&workflow.head, now)),
        decided => decided,
    }
}
