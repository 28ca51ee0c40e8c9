//! The whole system on one thread, in a seeded world: the real coordinator, intake and participants' kit over a
//! broker in memory, with virtual time. The seed decides all that chance decides elsewhere: what users do, what goes
//! wrong, and who goes on when. Two runs of a seed are the same to the bit.
//!
//! ```
//! let outcome = sim::run(&sim::Case { seed: 7, ..sim::Case::default() });
//! assert!(outcome.broken.is_empty(), "{:#?}", outcome.broken);
//! ```
#![allow(
    clippy::indexing_slicing,
    reason = "an index that is not there is a fault of the simulator, and should stop it"
)]

mod agents;
mod book;
mod broker;
mod case;
mod conduct;
mod dice;
mod drawn;
mod faults;
mod fibers;
mod fold;
mod groups;
mod in_time;
mod judge;
mod landing;
mod lane;
mod mistakes;
mod orders;
mod outlet;
mod play;
mod referee;
mod rest;
mod sagas;
mod seams;
mod services;
mod shown;
mod shrink;
mod steps;
mod store;
mod tally;
mod trace;
mod user;
mod weather;
mod world;

pub use broker::{SimBroker, SimFollow};
pub use case::{Case, Counts, Kept, Outcome, run};
pub use faults::{AppendFate, Call, Fault, SendFate};
pub use groups::SimFeed;
pub use lane::{SimLog, SimSnapshots};
pub use mistakes::{MISTAKES, Mistake};
pub use outlet::SimOutlet;
pub use play::{Play, Unplayable};
pub use shown::Shown;
pub use shrink::{replay, shrink};
pub use tally::Struck;
