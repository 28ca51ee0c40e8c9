//! `pavane publish`: records to a topic, as any producer would write them.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::api::{Api, segment};
use crate::cli::Publish;
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::{read_file, shown};

/// Publishes the value, or each line of an ndjson file.
pub(crate) fn run(publish: &Publish, api: &Api, output: Output) -> Result<(), Failure> {
    let mut headers = Map::new();
    for header in &publish.headers {
        let Some((name, value)) = header.split_once('=') else {
            return Err(Failure::usage(format!("--header `{header}` is not NAME=VALUE"))
                .next("--header ce_type=OrderPlaced"));
        };
        headers.insert(name.to_owned(), Value::from(value));
    }
    let path = format!("/v1/topics/{}/records", segment(&publish.topic));
    let mut published = Vec::new();
    for value in values(&publish.value)? {
        let mut body = json!({"key": publish.key, "headers": headers});
        if let Some(body) = body.as_object_mut() {
            body.extend([value]);
        }
        let (_, place) = api.post(&path, &body)?;
        if !output.is_json() {
            let [topic, partition, offset] =
                ["topic", "partition", "offset"].map(|field| shown(&place, field));
            output.line(format!("{topic}/{partition}/{offset}"))?;
        }
        published.push(place);
    }
    if output.is_json() { output.value(&Value::Array(published)) } else { Ok(()) }
}

/// Each value as the field of the body that carries it. Text goes out as its own bytes, so that what
/// was typed or stood in the file is what stands in the record.
fn values(argument: &str) -> Result<Vec<(String, Value)>, Failure> {
    let text = |text: &str| ("value".to_owned(), Value::from(text));
    let Some(file) = argument.strip_prefix('@') else { return Ok(vec![text(argument)]) };
    let bytes = read_file(Path::new(file))?;
    if !file.ends_with(".ndjson") {
        return Ok(vec![match std::str::from_utf8(&bytes) {
            Ok(whole) => text(whole),
            Err(_) => ("value_base64".to_owned(), Value::from(base64(&bytes))),
        }]);
    }
    let whole = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::usage(format!("{file} is not UTF-8; ndjson is text")))?;
    Ok(whole.lines().filter(|line| !line.trim().is_empty()).map(text).collect())
}

/// RFC 4648 section 4, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = (0..3).fold(0_usize, |word, index| {
            word << 8 | usize::from(group.get(index).copied().unwrap_or(0))
        });
        for place in 0..4 {
            let digit = ALPHABET.get(word >> (18 - 6 * place) & 63).copied().unwrap_or(b'=');
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_travel_as_base64() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
