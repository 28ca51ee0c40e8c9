//! A point in time, as the wire and the journal carry it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::DateTime;
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

impl Timestamp {
    /// RFC 3339, UTC, milliseconds: `2026-11-22T10:00:00.000Z`. A time outside the years that RFC 3339
    /// can write is shown as its nearest bound, so that every timestamp has a text. Without chrono: each
    /// record has some of these.
    #[must_use]
    pub fn text(self) -> [u8; 24] {
        const YEAR_1: i64 = -62_135_596_800_000;
        const YEAR_9999_END: i64 = 253_402_300_799_999;
        const DAY: u64 = 86_400_000;
        // From 0001-01-01: nothing is negative from here on.
        let since = self.0.clamp(YEAR_1, YEAR_9999_END).abs_diff(YEAR_1);
        let (days, of_day) = (since / DAY, since % DAY);
        let (year, month, day) = date(days);
        let (seconds, millis) = (of_day / 1000, of_day % 1000);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let [
            y1,
            y2,
            y3,
            y4,
            _,
            m1,
            m2,
            _,
            d1,
            d2,
            _,
            h1,
            h2,
            _,
            i1,
            i2,
            _,
            s1,
            s2,
            _,
            f1,
            f2,
            f3,
            _,
        ] = &mut text;
        (*y1, *y2) = two_digits(year / 100);
        (*y3, *y4) = two_digits(year % 100);
        (*m1, *m2) = two_digits(month);
        (*d1, *d2) = two_digits(day);
        (*h1, *h2) = two_digits(seconds / 3600);
        (*i1, *i2) = two_digits(seconds / 60 % 60);
        (*s1, *s2) = two_digits(seconds % 60);
        *f1 = two_digits(millis / 100).1;
        (*f2, *f3) = two_digits(millis % 100);
        text
    }
}

/// Year, month and day, so many days after 0001-01-01: counted in years that begin in March, so that the day
/// that some of them have more is their last.
const fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    // From 0000-03-01.
    let days = days + 306;
    let (era, of_era) = (days / ERA, days % ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// Of a number below 100.
const fn two_digits(number: u64) -> (u8, u8) {
    (b'0' + (number / 10) as u8, b'0' + (number % 10) as u8)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
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
    use chrono::{SecondsFormat, Utc};

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
    fn every_day_has_its_date() {
        // A day and an odd time further each time, over all years that can be written.
        let mut millis = -62_135_596_800_000;
        while millis <= 253_402_300_799_999 {
            let chronos = DateTime::<Utc>::from_timestamp_millis(millis).unwrap();
            let text = chronos.to_rfc3339_opts(SecondsFormat::Millis, true);
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
            millis += 86_400_000 + 7_654_321;
        }
        assert_eq!(
            Timestamp::from_millis(i64::MAX).to_string(),
            Timestamp::from_millis(253_402_300_799_999).to_string()
        );
        assert_eq!(Timestamp::from_millis(i64::MIN).to_string(), "0001-01-01T00:00:00.000Z");
    }

    #[test]
    fn time_is_counted_without_overflow() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.after(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Duration::ZERO);
    }
}
