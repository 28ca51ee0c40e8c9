//! Reading requests: queries, bodies, durations, cursors.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Query;
use axum::http::{HeaderMap, Uri};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// No call waits longer.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Items of a page where the query does not say.
const LIMIT: usize = 50;
/// Items of any page.
const LIMIT_MAX: usize = 500;

/// The query, or a problem that says what is wrong with it.
pub(crate) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    Query::try_from_uri(uri)
        .map(|Query(query)| query)
        .map_err(|error| Problem::bad("query", error.to_string()))
}

/// The body as JSON, whatever media type the request names.
pub(crate) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad("body", format!("the body is not what is wanted: {error}")))
}

/// A page's size.
pub(crate) fn limit(given: Option<usize>) -> Result<usize, Problem> {
    match given.unwrap_or(LIMIT) {
        0 => Err(Problem::bad("query", "`limit` must be 1 or more")),
        limit => Ok(limit.min(LIMIT_MAX)),
    }
}

/// `30s`, `500ms`, `1h30m`; bounded by five minutes.
pub(crate) fn duration(name: &str, text: &str) -> Result<Duration, Problem> {
    let parsed = parse(text).ok_or_else(|| {
        Problem::bad(
            "query",
            format!("`{name}` must be a duration like 30s or 500ms, not `{text}`"),
        )
    })?;
    Ok(parsed.min(WAIT_MAX))
}

fn parse(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit())?;
        let (number, behind) = rest.split_at_checked(digits)?;
        let unit_end = behind.find(|char: char| char.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at_checked(unit_end)?;
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

/// A header of the request as text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A cursor: any text as hexadecimal digits, which stand in a URL as they are.
pub(crate) fn cursor_of(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The text of a cursor.
pub(crate) fn read_cursor(cursor: &str) -> Option<String> {
    let (pairs, rest) = cursor.as_bytes().as_chunks::<2>();
    let digit = |pair: &[u8; 2]| {
        std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    let bytes: Option<Vec<u8>> = pairs.iter().map(digit).collect();
    bytes.filter(|_| rest.is_empty()).and_then(|bytes| String::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, millis) in [("30s", 30_000), ("500ms", 500), ("1m30s", 90_000), ("9h", 300_000)]
        {
            assert_eq!(duration("wait", text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "30", "s", "1d", "-1s", "99999999999999999999s", "1.5s"] {
            assert!(duration("wait", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cursor_reads_back() {
        let text = "1795341600123~orders:ä/ö 17";
        assert_eq!(read_cursor(&cursor_of(text)).as_deref(), Some(text));
        assert_eq!(read_cursor("0"), None);
        assert_eq!(read_cursor("zz"), None);
    }
}
