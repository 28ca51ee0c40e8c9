//! What can be typed behind `verify`.

use std::path::PathBuf;

use clap::Args;

/// With `verify`'s help.
pub(crate) const EXAMPLE: &str = "Example:\n  pavane verify --kafka localhost:9092\n  pavane verify --data \
                                  ./pavane-data --quiet-for 0s --books stock.ndjson";

/// `verify`
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Brokers of a Kafka, or PAVANE_KAFKA
    #[arg(long, value_name = "HOST:PORT,...")]
    pub(crate) kafka: Option<String>,
    /// Folder of an embedded log that no process has open
    #[arg(long, value_name = "DIR", conflicts_with = "kafka")]
    pub(crate) data: Option<PathBuf>,
    /// A participant's book: a line of JSON for each effect; given once for each file
    #[arg(long, value_name = "FILE")]
    pub(crate) books: Vec<PathBuf>,
    /// What is older has had its time: what is missing then is a violation
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = millis)]
    pub(crate) quiet_for: i64,
    /// Ended runs that are held for what may still come about them
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub(crate) hold: u32,
}

/// `500ms`, `30s`, `10m` or `2h`.
fn millis(text: &str) -> Result<i64, String> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60 * 1000),
        "h" => Some(60 * 60 * 1000),
        _ => None,
    };
    let millis = number.parse::<i64>().ok().zip(factor).and_then(|(n, by)| n.checked_mul(by));
    millis.ok_or_else(|| "a duration is a number and `ms`, `s`, `m` or `h`, as in `10m`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, expect) in [("0s", 0), ("500ms", 500), ("10m", 600_000), ("2h", 7_200_000)] {
            assert_eq!(millis(text), Ok(expect));
        }
        for wrong in ["", "10", "m", "1d", "-1s", "9999999999999999999s", "99999999999999999h"] {
            assert!(millis(wrong).is_err(), "{wrong}");
        }
    }
}
