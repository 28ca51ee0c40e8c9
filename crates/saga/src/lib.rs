//! The saga core: definition to checked plan, and the pure functions decide, evolve and react.
//! No clock, no chance, no I/O, no threads; knows nothing of topics' brokers or of lanes.

mod admit;
mod definition;
mod duration;
mod expr;
mod plan;
mod types;
mod yaml;

pub use admit::{InputError, StartError, event_name};
pub use definition::{Checked, Diagnostic, Severity, check, render, to_json};
pub use expr::{Expr, ExprError, Piece, Scope, Template};
pub use plan::{
    CompensationPlan, InDoubt, InputPlan, Inputs, Kind, OnBlocked, OnDuplicate, OutputPlan, Plan,
    RetryPlan, Slot, TaskPlan, TriggerPlan, UndoPlan,
};
pub use types::Type;
