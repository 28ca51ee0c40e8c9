//! The journal protocol, once: what a broker is asked for, and everything that makes a log a journal.
//!
//! A [`Service`] is a pure state machine; a lane feeds it one partition of the inbox, journals what it
//! decides, and only then sends what follows. [`Host`] tends the lanes of a process.

mod acks;
mod broker;
mod forward;
mod host;
mod inventory;
mod journal;
mod lane;
mod limits;
mod outbox;
mod proposal;
mod reader;
mod seams;
pub mod semconv;
mod service;
mod shelf;
mod snapshot;
mod states;
mod stop;
mod takeover;
#[cfg(test)]
mod testing;
mod threads;

pub use broker::{
    Broker, Created, EachState, Entry, Fed, Feed, Follow, Key, LaneId, Log, LogError, Outlet,
    Purpose, SendError, Settled, Share, Snapshot, Snapshots, Source, Start, Then, Ticket, Ticketed,
};
pub use host::{Board, Host, LaneStatus};
pub use inventory::Inventory;
pub use journal::{Announce, Body, Decide, FORMAT, Kept, Origin, Owner, Stand, Written, reactions};
pub use limits::Limits;
pub use reader::{Context, ReadError, Ruling};
pub use seams::{Chance, Clock};
pub use service::{Cause, Journaled, Parked, Service, Stale, Stored, Verdict};
pub use shelf::Spill;
pub use states::States;
pub use stop::{Stop, SystemChance, SystemClock};
pub use threads::{SystemThreads, Thread, Threads};
