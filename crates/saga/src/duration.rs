//! Durations as a file writes them: `500ms`, `30s`, `1h30m`, `7d`.

use std::time::Duration;

/// Largest first, which is the order that they are written in.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A hundred years: more is a mistake, and sums of them stay countable.
const MILLIS_MAX: u64 = 100 * 366 * 86_400_000;

/// Reads a duration.
///
/// # Errors
/// What to write in its place.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    const FORM: &str =
        "a duration is a number and `ms`, `s`, `m`, `h` or `d`, as in `30s` or `1h30m`";
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("write `{text}s` for {text} seconds"));
    }
    if let Some(near) = from_iso(text) {
        return Err(format!("write `{near}`"));
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit()).ok_or(FORM)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        // `find` moves on, so that a unit comes once, and after the larger ones.
        let (_, factor) = units.find(|(name, _)| *name == unit).ok_or(FORM)?;
        let number: u64 = number.parse().map_err(|_| FORM)?;
        millis = number
            .checked_mul(*factor)
            .and_then(|more| millis.checked_add(more))
            .filter(|millis| *millis <= MILLIS_MAX)
            .ok_or("it is longer than a hundred years")?;
        rest = after;
    }
    if text.is_empty() { Err(FORM.to_owned()) } else { Ok(Duration::from_millis(millis)) }
}

/// ISO 8601's `PT1H30M` as ours, for the hint.
fn from_iso(text: &str) -> Option<String> {
    let time = text.strip_prefix("PT").or_else(|| text.strip_prefix('P'))?;
    let near = time.to_ascii_lowercase().replace('t', "");
    let digit_first = near.starts_with(|first: char| first.is_ascii_digit());
    (digit_first && parse(&near).is_ok()).then_some(near)
}

/// The form in a file.
pub(crate) fn text(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, factor) in UNITS {
        let count = millis / factor;
        millis %= factor;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_it_is_written() {
        for (written, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("1m500ms", 60_500),
        ] {
            assert_eq!(parse(written).unwrap().as_millis(), millis);
            assert_eq!(text(parse(written).unwrap()), written);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_what_to_write() {
        for (written, hint) in [
            ("30", "write `30s` for 30 seconds"),
            ("PT30S", "write `30s`"),
            ("P1DT2H", "write `1d2h`"),
            ("", "a duration is"),
            ("5x", "a duration is"),
            ("1s1h", "a duration is"),
            ("1.5s", "a duration is"),
            ("99999999999999999999s", "a duration is"),
            ("9999999999d", "it is longer"),
        ] {
            let error = parse(written).unwrap_err();
            assert!(error.starts_with(hint), "{written}: {error}");
        }
    }
}
