//! Contract, end to end and tidy tests, and programs that try the built product.

#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "what can not be set up ends the program, with where it was"
)]
pub mod campaign;
pub mod contract;
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "what can not be set up ends the program, with where it was"
)]
pub mod fleet;
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a check panics where a promise is broken"
)]
pub mod outside;
#[cfg(feature = "campaigns")]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "what can not be set up ends the program, with where it was"
)]
pub mod takeover;
