//! The saga core: definition to checked plan, and the pure functions decide, evolve and react.
//! No clock, no chance, no I/O, no threads; knows nothing of topics' brokers or of lanes.

mod admit;
mod codec;
mod decide;
mod definition;
mod duration;
mod event;
mod evolve;
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

pub use admit::{InputError, StartError, event_name};
pub use codec::CodecError;
pub use decide::{Cause, Decision, Held, Unsent, decide};
pub use definition::{Checked, Diagnostic, Severity, check, render, to_json};
pub use event::Event;
pub use evolve::evolve;
pub use expr::{Expr, ExprError, Piece, Scope, Template};
pub use input::{Answer, Deploy, Effects, Failure, Input, Known, Outcome, Start, Verb};
pub use limits::{
    BUSINESS_KEY_BYTES_MAX, COMMAND_BYTES_MAX, INBOX_BYTES_MAX, LATE_UNDO, REMEMBERED,
    UNDO_BYTES_MAX, WORKFLOW_BYTES_MAX,
};
pub use parse::parse;
pub use plan::{
    CompensationPlan, InDoubt, InputPlan, Inputs, Kind, OnBlocked, OnDuplicate, OutputPlan, Plan,
    RetryPlan, Slot, TaskPlan, TriggerPlan, UndoPlan,
};
pub use react::react;
pub use state::{Definition, Newest, State, definition_key, newest_key, wake_at};
pub use types::Type;
pub use workflow::Workflow;
