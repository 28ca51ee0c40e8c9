//! Everything that takes bytes from outside, given inputs that are kept in `tests/corpus` and what chance
//! makes of them, with a fixed seed. Nothing panics, nothing takes more memory than its input explains, and
//! what is taken is taken as it was meant.
//!
//! For as long as one likes: `PAVANE_FUZZ=1000000 PAVANE_FUZZ_SEED=7 cargo test -p pavane-tests --test fuzz`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test panics where a promise is broken"
)]

mod corpus;
mod decoders;
mod http;

mod inbox;
mod luck;
mod sagas;
mod store;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;
