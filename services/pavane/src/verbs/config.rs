//! `pavane config`: what is in force, and where it came from.

use serde_json::{Value, json};

use crate::config::{KEYS, Layers, Secrecy, shown};
use crate::failure::Failure;
use crate::output::{Output, table};

/// Every key with its value and origin; secrets are masked.
pub(crate) fn run(layers: &Layers, output: Output) -> Result<(), Failure> {
    let rows: Vec<(String, String, String)> = layers
        .rows()
        .into_iter()
        .map(|(path, value, origin)| {
            let value = value.map_or_else(|| "-".to_owned(), |value| shown(&value));
            let origin = origin.map_or_else(|| "not set".to_owned(), |origin| origin.to_string());
            (path, value, origin)
        })
        .collect();
    let items: Vec<Value> = layers
        .rows()
        .into_iter()
        .map(|(path, value, origin)| {
            let origin = origin.map(|origin| origin.to_string());
            json!({"key": path, "value": value, "origin": origin})
        })
        .collect();
    output.either(&json!({"items": items}), || {
        table(
            ["KEY", "VALUE", "FROM"],
            rows.into_iter().map(|(key, value, from)| [key, value, from]),
        )
    })
}

/// The reference of all keys.
pub(crate) fn keys(output: Output) -> Result<(), Failure> {
    let items: Vec<Value> = KEYS
        .iter()
        .map(|key| {
            json!({
                "key": key.path,
                "default": key.default,
                "environment": key.env(),
                "secret": key.secrecy == Secrecy::Secret,
                "about": key.about,
            })
        })
        .collect();
    output.either(&json!({"items": items}), || {
        let mut text = String::new();
        for key in KEYS {
            let default = key.default.unwrap_or("not set");
            let short = key.short.map(|short| format!(" or {short}")).unwrap_or_default();
            let file = match key.secrecy {
                Secrecy::Open => String::new(),
                Secrecy::Secret => format!(", or a file's name in {}_FILE", key.env()),
            };
            text += &format!(
                "{} [{default}]\n    {}\n    {}{short}{file}\n",
                key.path,
                key.about,
                key.env(),
            );
        }
        text.trim_end().to_owned()
    })
}
