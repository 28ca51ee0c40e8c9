//! The HTTP API and its view of the lifecycle events.
