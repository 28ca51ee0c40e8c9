//! Reading requests: queries, bodies, durations, cursors.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{MatchedPath, Query, Request};
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use events::nesting;
use saga::JSON_DEPTH_MAX;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::Problem;

/// No call waits longer.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Items of a page where the query does not say.
const LIMIT: usize = 50;
/// Items of any page.
const LIMIT_MAX: usize = 500;

/// The parameters that a call takes; of all others none.
const PARAMETERS: [(&str, &[&str]); 5] = [
    ("/v1/workflows", &["saga", "status", "limit", "cursor"]),
    ("/v1/workflows/{id}", &["wait"]),
    ("/v1/agents/{agent}/commands", &["wait", "lease", "max"]),
    ("/v1/dead-letters", &["topic", "class", "source", "limit", "cursor"]),
    ("/v1/stream", &["workflow", "saga"]),
];

/// Refuses a parameter that a call does not take, by its name: one that is passed over in silence is
/// taken for one that works.
pub(crate) async fn known(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    match route.filter(|route| route.starts_with("/v1/")).map(|route| foreign(route, &request)) {
        Some(Err(problem)) => problem.into_response(),
        Some(Ok(())) | None => next.run(request).await,
    }
}

fn foreign(route: &str, request: &Request) -> Result<(), Problem> {
    let given: Vec<(String, String)> = query(request.uri())?;
    let taken = PARAMETERS.iter().find(|(of, _)| *of == route && request.method() != Method::POST);
    let taken = taken.map_or(&[][..], |(_, names)| names);
    let Some((name, _)) = given.iter().find(|(name, _)| !taken.contains(&name.as_str())) else {
        return Ok(());
    };
    let there = match taken {
        [] => "it takes none".to_owned(),
        names => format!("there are `{}`", names.join("`, `")),
    };
    let what = format!("`{name}` is no parameter of {} {route}; {there}", request.method());
    Err(Problem::bad("query", what))
}

/// The query, or a problem that says what is wrong with it.
pub(crate) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    Query::try_from_uri(uri).map(|Query(query)| query).map_err(|error| {
        let why = std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string);
        Problem::bad("query", why)
    })
}

/// The body as a JSON object, whatever media type the request names.
pub(crate) fn json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    // A list would be taken as the fields in their order.
    let found = match body.trim_ascii_start() {
        [b'{', ..] => return read(body),
        [] => "nothing",
        _ => match value(body)? {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        },
    };
    Err(Problem::bad("body", format!("the body must be a JSON object, and is {found}")))
}

/// The body as any JSON.
pub(crate) fn value(body: &Bytes) -> Result<Value, Problem> {
    read(body)
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    // A value within the body's object; what is deeper the coordinator would refuse.
    if nesting(body) > JSON_DEPTH_MAX + 1 {
        let what = format!("the body holds a value nested more than {JSON_DEPTH_MAX} deep");
        return Err(Problem::bad("too_deep", what));
    }
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad("body", format!("the body is not what is wanted: {error}")))
}

/// A page's size.
pub(crate) fn limit(given: Option<&str>) -> Result<usize, Problem> {
    Ok(number("limit", given)?.unwrap_or(LIMIT).min(LIMIT_MAX))
}

/// A number of things, 1 or more.
pub(crate) fn number(name: &str, given: Option<&str>) -> Result<Option<usize>, Problem> {
    let Some(text) = given else { return Ok(None) };
    match text.parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        Ok(_) | Err(_) => {
            let what = format!("`{name}` must be a whole number of 1 or more, not `{text}`");
            Err(Problem::bad("query", what))
        }
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
