//! The saga core: definition to checked plan, and the pure functions decide, evolve and react.
//! No clock, no chance, no I/O, no threads; knows nothing of topics' brokers or of lanes.

mod admit;
mod codec;
mod decide;
mod definition;
mod duration;
mod event;
mod evolve;
mod explore;
mod expr;
mod input;
mod limits;
mod parse;
mod phase;
mod plan;
mod react;
mod retry;
mod scope;
mod state;
mod types;
mod workflow;
mod yaml;

pub use admit::{CorrelateError, InputError, StartError};
pub use codec::CodecError;
pub use decide::{Cause, Decision, Held, Unsent, decide};
pub use definition::{
    Checked, Cluster, Colour, Diagnostic, Load, Severity, Source, bundle, check, check_all,
    check_all_on, check_beside, render, schema, to_json,
};
pub use event::{Event, wants_ack};
pub use evolve::evolve;
pub use explore::{
    Begin, Bounds, Counterexample, Explored, Gravity, Props, Publishable, Step, explore,
};
pub use expr::{Expr, ExprError, Piece, Scope, Template};
pub use input::{
    Answer, Deploy, DomainEvent, Effects, Failure, Input, Known, Outcome, Parent, Signal, Start,
    Verb,
};
pub use limits::{
    BUSINESS_KEY_BYTES_MAX, COMMAND_BYTES_MAX, EVENT_HEADERS_BYTES_MAX, EVENT_KEY_BYTES_MAX,
    INBOX_BYTES_MAX, JSON_DEPTH_MAX, LATE_UNDO, REMEMBERED, UNDO_BYTES_MAX, WORKFLOW_BYTES_MAX,
};
pub use parse::parse;
pub use plan::{
    Action, AtLeast, AwaitPlan, Awaited, CasePlan, CompensationPlan, Deadline, EmitPlan, EventName,
    FailurePlan, ForEachPlan, Idempotency, InDoubt, InputPlan, Inputs, Join, Kind, ListenPlan,
    OnBlocked, OnDuplicate, OutputPlan, Plan, RaceOn, RacePlan, Rest, RetryPlan, Role, Slot,
    Strategy, TaskPlan, TopicPlan, TriggerPlan, UndoPlan, WaitPlan,
};
pub use react::react;
pub use state::{Definition, Newest, State, definition_key, newest_key, wake_at};
pub use types::Type;
pub use workflow::{Early, Workflow};
