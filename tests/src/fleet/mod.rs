//! `pavane` as processes, with work that never ends and participants that outlive all that is done to them.

mod participant;
mod process;

pub use participant::{Answers, Serving, serve_over_broker};
pub use process::{Process, Signal, binary, pavane};
