//! `pavane demo orders`: the order choreography with everything that it needs in one process, and a
//! summary that is checked.

mod journey;
mod ledger;
mod orders;
mod picture;
mod stage;

pub(crate) use stage::{Stage, play};
