//! Contract, end to end and tidy tests.

pub mod contract;
