//! Set-up of tracing and of the metrics exporter.
