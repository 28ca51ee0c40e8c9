//! `pavane` as processes, with participants that outlive all that is done to them.

mod participant;
mod process;
mod proxy;

pub use participant::{Answers, Serving, serve_over_broker, serve_over_http};
pub use process::{Process, Signal, binary, pavane};
pub use proxy::{Proxy, Weather};
