//! A module a verb, or a few that are alike.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod config;
#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod deploy;
pub(crate) mod dlq;
pub(crate) mod operate;
pub(crate) mod publish;
pub(crate) mod read;
pub(crate) mod start;
pub(crate) mod topics;
pub(crate) mod up;
pub(crate) mod watch;

use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;

/// A file's bytes.
pub(crate) fn read_file(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| {
        Failure::usage(format!("the file {} can not be read: {error}", file.display()))
    })
}

/// A saga file's text.
pub(crate) fn read_text(file: &Path) -> Result<String, Failure> {
    String::from_utf8(read_file(file)?)
        .map_err(|_| Failure::failed(format!("{} is not UTF-8 text", file.display())))
}

/// Reads what a saga file imports, from its folder.
pub(crate) fn imports_of(file: &Path) -> impl Fn(&str) -> Result<String, String> + '_ {
    |path| std::fs::read_to_string(file.with_file_name(path)).map_err(|error| error.to_string())
}

/// JSON as it was typed, or the file that holds it: `@FILE`.
pub(crate) fn json_argument(flag: &str, text: &str) -> Result<Value, Failure> {
    let (bytes, from) = match text.strip_prefix('@') {
        Some(file) => (read_file(Path::new(file))?, format!("{flag} {text}")),
        None => (text.as_bytes().to_vec(), flag.to_owned()),
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::usage(format!("{from} is not JSON: {error}")))
}

/// A field as text, for people; `-` where there is none.
pub(crate) fn shown(value: &Value, field: &str) -> String {
    match value.get(field) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
