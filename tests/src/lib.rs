//! Contract, end to end and tidy tests.

pub mod contract;
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a check panics where a promise is broken"
)]
pub mod outside;
