//! The broker over a durable log in one directory.
