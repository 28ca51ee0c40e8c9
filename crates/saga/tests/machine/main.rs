//! The state machine: what follows from each input, as text; and random schedules against an oracle.

mod parse;
mod random;
mod scenarios;
mod table;
mod world;
