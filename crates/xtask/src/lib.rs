//! Tasks of this repository as a library: a real Kafka, a Python with Kafka clients, checks.

pub mod checks;
pub mod count;
pub mod docker;
mod faults;
pub mod flame;
mod host;
mod java;
pub mod kafka;
pub mod measure;
mod metadata;
pub mod python;
mod secured;
pub mod suite;

pub use anyhow::Error;
pub use host::{root, say, target};
