//! The journal protocol, once: what a broker is asked for, and everything that makes a log a journal.

pub mod broker;
pub mod service;
mod states;
mod stop;

pub use broker::{
    Broker, Clock, Created, Entry, Fed, Feed, Follow, Key, LaneId, Log, LogError, Outlet, Purpose,
    SendError, Settled, Share, Snapshot, Snapshots, Source, Start, Ticket,
};
pub use service::{Cause, Journaled, Parked, Service, Stale, Stored, Verdict};
pub use states::States;
pub use stop::{Stop, SystemClock};
