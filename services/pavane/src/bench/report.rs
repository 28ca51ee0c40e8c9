//! What was measured.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::output::table;

/// The figures of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    count: u64,
    seconds: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Report {
    /// The figures of these latencies (microseconds) over this time.
    pub(crate) fn of(latencies: &Histogram<u64>, took: Duration) -> Self {
        let millis = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1_000.0;
        Self {
            count: latencies.len(),
            seconds: took.as_secs_f64(),
            p50_ms: millis(latencies.value_at_quantile(0.50)),
            p95_ms: millis(latencies.value_at_quantile(0.95)),
            p99_ms: millis(latencies.value_at_quantile(0.99)),
            max_ms: millis(latencies.max()),
        }
    }

    fn per_second(&self) -> f64 {
        let count = u32::try_from(self.count).map_or(f64::MAX, f64::from);
        if self.seconds > 0.0 { count / self.seconds } else { 0.0 }
    }

    /// The stable form: `count`, `seconds`, `per_second`, `p50_ms`, `p95_ms`, `p99_ms`, `max_ms`.
    pub(crate) fn value(&self) -> Value {
        let round = |figure: f64| (figure * 1_000.0).round() / 1_000.0;
        json!({
            "count": self.count,
            "seconds": round(self.seconds),
            "per_second": round(self.per_second()),
            "p50_ms": round(self.p50_ms),
            "p95_ms": round(self.p95_ms),
            "p99_ms": round(self.p99_ms),
            "max_ms": round(self.max_ms),
        })
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let figure = |figure: f64| format!("{figure:.2}");
        table(
            ["COUNT", "SECONDS", "PER SECOND", "P50 MS", "P95 MS", "P99 MS", "MAX MS"],
            [[
                self.count.to_string(),
                figure(self.seconds),
                figure(self.per_second()),
                figure(self.p50_ms),
                figure(self.p95_ms),
                figure(self.p99_ms),
                figure(self.max_ms),
            ]],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_become_milliseconds() {
        let mut latencies = Histogram::new_with_bounds(1, 600_000_000, 3).unwrap();
        for micros in 1..=1_000 {
            latencies.record(micros * 10).unwrap();
        }
        let value = Report::of(&latencies, Duration::from_secs(2)).value();
        assert_eq!(value["count"], 1_000);
        assert_eq!(value["per_second"], 500.0);
        assert!((value["p50_ms"].as_f64().unwrap() - 5.0).abs() < 0.01, "{value}");
        assert!((value["max_ms"].as_f64().unwrap() - 10.0).abs() < 0.01, "{value}");
    }
}
