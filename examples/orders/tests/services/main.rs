//! The services from outside: over HTTP, with a gateway that is unwell now and then.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where a promise is broken"
)]

mod gateway;
mod killed;
mod shop;
