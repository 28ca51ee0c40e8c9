//! A point in time, as the wire and the journal carry it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use minicbor::{Decode, Encode};

/// Milliseconds since 1970-01-01T00:00:00 UTC, as Kafka counts time. May be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Timestamp(#[n(0)] i64);

/// A text that is not an RFC 3339 time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 time such as 2026-11-22T10:00:00.000Z")]
pub struct TimestampError(String);

impl Timestamp {
    /// The time `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This time and `wait` more; stops at the end of what can be counted.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long from `earlier` to this time; zero where `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// RFC 3339, UTC, milliseconds: `2026-11-22T10:00:00.000Z`. A time outside the years that RFC 3339
/// can write is shown as its nearest bound, so that every timestamp has a text.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const YEAR_1: i64 = -62_135_596_800_000;
        const YEAR_9999_END: i64 = 253_402_300_799_999;
        let shown = self.0.clamp(YEAR_1, YEAR_9999_END);
        let time = DateTime::<Utc>::from_timestamp_millis(shown).unwrap_or_default();
        // What chrono's own formatter writes, without its detours: each record has some of these.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let year = u32::try_from(time.year()).unwrap_or(0);
        let parts = [
            (0..4, year),
            (5..7, time.month()),
            (8..10, time.day()),
            (11..13, time.hour()),
            (14..16, time.minute()),
            (17..19, time.second()),
            (20..23, time.timestamp_subsec_millis()),
        ];
        for (place, mut number) in parts {
            for digit in text.get_mut(place).into_iter().flatten().rev() {
                // Of a remainder by ten.
                *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        }
        out.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self(time.timestamp_millis()))
            .map_err(|_| TimestampError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;

    use super::*;

    #[test]
    fn a_time_reads_back_as_it_was_written() {
        for millis in [0, 1, -1, 1_795_341_600_123, -62_135_596_800_000, 253_402_300_799_999] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(time.to_string().parse::<Timestamp>().unwrap(), time);
            let chronos = DateTime::<Utc>::from_timestamp_millis(millis).unwrap();
            assert_eq!(time.to_string(), chronos.to_rfc3339_opts(SecondsFormat::Millis, true));
        }
        assert_eq!(
            Timestamp::from_millis(1_795_341_600_123).to_string(),
            "2026-11-22T10:00:00.123Z"
        );
    }

    #[test]
    fn time_is_counted_without_overflow() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.after(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Duration::ZERO);
    }
}
