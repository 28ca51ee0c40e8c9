//! Contract, end to end and tidy tests.
