//! The state machine: what follows from each input, as text; and random schedules against an oracle.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic; clippy knows only functions marked as tests"
)]

mod children;
mod computed;
mod constructs;
mod corners;
mod files;
mod late;
mod orders;
mod parse;
mod random;
mod records;
mod scenarios;
mod settling;
mod strategies;
mod table;
mod undoing;
mod waiting;
mod world;
