//! Set-up of tracing and of the metrics exporter. Called once, by the binary; everything else speaks
//! to the `tracing` and `metrics` facades.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter's text is not understood.
    #[error(
        "`{filter}` is not a log filter; write a level, or levels by module, \
         such as `info,pavane_kafka=debug`"
    )]
    Filter {
        /// The text.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// A subscriber stands already.
    #[error("tracing is already set up in this process")]
    Tracing(#[source] TryInitError),
    /// A recorder stands already, or the buckets are refused.
    #[error("metrics can not be set up in this process")]
    Metrics(#[source] BuildError),
}

/// Upper bounds of every histogram, seconds: from a step of the embedded log to the slowest wait that
/// anybody would look for in a histogram.
const BUCKETS_SECONDS: [f64; 15] =
    [0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Writes log lines to stderr: those that `filter` lets through (`info`,
/// `warn,pavane_stream=debug`...).
///
/// # Errors
/// A filter that is not understood; a second call in one process.
pub fn log(filter: &str, format: Format) -> Result<(), TelemetryError> {
    let env = EnvFilter::try_new(filter)
        .map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(env)
        // At the level `debug`, each hop of an event says how long it took.
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(std::io::stderr)
        .with_ansi(colour);
    match format {
        Format::Text => lines.finish().try_init(),
        Format::Json => lines.json().flatten_event(true).finish().try_init(),
    }
    .map_err(TelemetryError::Tracing)
}

/// What the process has counted so far.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Begins to collect. Opens no port of its own: the gateway serves what [`Metrics::render`] gives.
    ///
    /// # Errors
    /// A second call in one process.
    pub fn collect() -> Result<Self, TelemetryError> {
        PrometheusBuilder::new()
            .set_buckets(&BUCKETS_SECONDS)
            .and_then(PrometheusBuilder::install_recorder)
            .map(Self)
            .map_err(TelemetryError::Metrics)
    }

    /// The text exposition format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        // Histograms gather samples until somebody folds them; a scrape is when it is needed.
        self.0.run_upkeep();
        self.0.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_have_buckets_and_counters_their_names() {
        let metrics = Metrics::collect().unwrap();
        metrics::counter!("pavane_dead_letters_total", "reason" => "invalid").increment(2);
        metrics::histogram!("pavane_lane_append_duration_seconds").record(0.004);
        let text = metrics.render();
        assert!(text.contains("pavane_dead_letters_total{reason=\"invalid\"} 2"), "{text}");
        assert!(text.contains("append_duration_seconds_bucket{le=\"0.003\"} 0"), "{text}");
        assert!(text.contains("append_duration_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        assert!(Metrics::collect().is_err());
    }

    #[test]
    fn a_broken_filter_is_refused() {
        let error = log("info,pavane=loud", Format::Text).unwrap_err();
        assert!(error.to_string().contains("`info,pavane=loud`"), "{error}");
    }
}
