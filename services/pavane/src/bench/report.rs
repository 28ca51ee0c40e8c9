//! What was measured.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::output::table;

/// One run of a load, or several added up.
pub(crate) struct Measured {
    /// Microseconds.
    pub(crate) latencies: Histogram<u64>,
    /// From first to last.
    pub(crate) took: Duration,
    /// Processor time that was spent meanwhile.
    pub(crate) cpu: Option<Duration>,
}

impl Measured {
    /// Both runs as one.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        // The bounds are the same, so that nothing can be out of them.
        self.latencies.add(&other.latencies).unwrap_or_default();
        self.took += other.took;
        self.cpu = self.cpu.zip(other.cpu).map(|(one, other)| one + other);
        self
    }

    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        Duration::from_micros(self.latencies.value_at_quantile(quantile)).as_secs_f64() * 1_000.0
    }

    pub(crate) fn p50_ms(&self) -> f64 {
        self.quantile_ms(0.50)
    }

    fn count(&self) -> f64 {
        u32::try_from(self.latencies.len()).map_or(f64::MAX, f64::from)
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.count() / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Milliseconds of processor time for each.
    pub(crate) fn cpu_ms(&self) -> Option<f64> {
        self.cpu.map(|cpu| cpu.as_secs_f64() * 1_000.0 / self.count().max(1.0))
    }

    /// The stable form: `count`, `seconds`, `per_second`, `p50_ms`, `p95_ms`, `p99_ms`, `max_ms`, `cpu_ms`.
    pub(crate) fn value(&self) -> Map<String, Value> {
        let mut value = Map::new();
        value.insert("count".to_owned(), self.latencies.len().into());
        for (name, figure) in [
            ("seconds", self.took.as_secs_f64()),
            ("per_second", self.per_second()),
            ("p50_ms", self.p50_ms()),
            ("p95_ms", self.quantile_ms(0.95)),
            ("p99_ms", self.quantile_ms(0.99)),
            ("max_ms", self.quantile_ms(1.0)),
        ] {
            value.insert(name.to_owned(), rounded(figure));
        }
        value.insert("cpu_ms".to_owned(), self.cpu_ms().map_or(Value::Null, rounded));
        value
    }

    fn row(&self, name: &str) -> [String; 9] {
        let figure = |figure: f64| format!("{figure:.2}");
        [
            name.to_owned(),
            self.latencies.len().to_string(),
            figure(self.took.as_secs_f64()),
            figure(self.per_second()),
            figure(self.p50_ms()),
            figure(self.quantile_ms(0.95)),
            figure(self.quantile_ms(0.99)),
            figure(self.quantile_ms(1.0)),
            self.cpu_ms().map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.3}")),
        ]
    }
}

/// One pace: pavane, and the floor where there is one.
pub(crate) struct Pair {
    pub(crate) pavane: Measured,
    pub(crate) floor: Option<Measured>,
}

impl Pair {
    /// pavane's figures; with a floor `floor` and `ratio`, pavane's figure divided by the floor's.
    pub(crate) fn value(&self) -> Map<String, Value> {
        let mut value = self.pavane.value();
        if let Some(floor) = &self.floor {
            value.insert("floor".to_owned(), floor.value().into());
            let [p50, p99, rate] = self.ratios(floor);
            let ratio = json!({
                "p50": rounded(p50), "p99": rounded(p99), "per_second": rounded(rate)
            });
            value.insert("ratio".to_owned(), ratio);
        }
        value
    }

    fn ratios(&self, floor: &Measured) -> [f64; 3] {
        [
            self.pavane.p50_ms() / floor.p50_ms(),
            self.pavane.quantile_ms(0.99) / floor.quantile_ms(0.99),
            self.pavane.per_second() / floor.per_second(),
        ]
    }

    fn verdict(&self, pace: &str) -> Option<String> {
        let [p50, p99, rate] = self.ratios(self.floor.as_ref()?);
        Some(format!("{pace}: p50 {p50:.2} x, p99 {p99:.2} x, rate {rate:.2} x the floor's"))
    }
}

/// For people: a table of all, and below it what each pace came to.
pub(crate) fn text(paces: &[(&str, &Pair)]) -> String {
    let rows = paces.iter().flat_map(|(pace, Pair { pavane, floor })| {
        let floor = floor.iter().map(|floor| floor.row(&format!("floor, {pace}")));
        std::iter::once(pavane.row(&format!("pavane, {pace}"))).chain(floor).collect::<Vec<_>>()
    });
    let head = [
        "LOAD",
        "COUNT",
        "SECONDS",
        "PER SECOND",
        "P50 MS",
        "P95 MS",
        "P99 MS",
        "MAX MS",
        "CPU MS",
    ];
    let verdicts = paces.iter().filter_map(|(pace, pair)| pair.verdict(pace));
    std::iter::once(table(head, rows)).chain(verdicts).collect::<Vec<_>>().join("\n")
}

/// To three places behind the point.
pub(crate) fn rounded(figure: f64) -> Value {
    ((figure * 1_000.0).round() / 1_000.0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(micros: u64, seconds: u64) -> Measured {
        let mut latencies = Histogram::new_with_bounds(1, 600_000_000, 3).unwrap();
        for count in 1..=1_000 {
            latencies.record(count * micros).unwrap();
        }
        let cpu = Some(Duration::from_millis(500));
        Measured { latencies, took: Duration::from_secs(seconds), cpu }
    }

    fn near(value: &Value, wanted: f64) {
        let is = value.as_f64().unwrap();
        assert!((is - wanted).abs() < wanted / 100.0, "{is}, not {wanted}");
    }

    #[test]
    fn latencies_become_milliseconds() {
        let value = measured(10, 2).value();
        assert_eq!(value["count"], 1_000);
        assert_eq!(value["per_second"], 500.0);
        assert_eq!(value["cpu_ms"], 0.5);
        near(&value["p50_ms"], 5.0);
        near(&value["max_ms"], 10.0);
    }

    #[test]
    fn a_ratio_is_of_both_halves_of_the_floor() {
        let floor = measured(10, 1).and(&measured(10, 3));
        assert_eq!(floor.value()["count"], 2_000);
        let value = Pair { pavane: measured(20, 4), floor: Some(floor) }.value();
        near(&value["ratio"]["p50"], 2.0);
        near(&value["ratio"]["per_second"], 0.5);
    }
}
