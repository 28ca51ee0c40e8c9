//! The stateful service for sagas: glue between saga and stream.
