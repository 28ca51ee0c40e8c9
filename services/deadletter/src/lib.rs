//! An index of the dead letters: what was refused, why, and where its bytes are.

mod follow;
mod index;

pub use follow::{read, run};
pub use index::{Filter, Index, Letter, Page, Source, parse_id};
