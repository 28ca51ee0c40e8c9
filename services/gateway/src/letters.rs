//! Dead letters: what was refused, and its bytes.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use deadletter::{Filter, Letter};
use events::{Class, Place, Record};
use serde::Deserialize;
use serde_json::{Value, json};
use stream::Broker;

use crate::api::Api;
use crate::problem::Problem;
use crate::query;

/// How long one letter is waited for.
const READ_WAIT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    topic: Option<String>,
    class: Option<String>,
    source: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /v1/dead-letters`
pub(crate) async fn list<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    uri: Uri,
) -> Result<Json<deadletter::Page>, Problem> {
    let which: Which = query::query(&uri)?;
    let limit = query::limit(which.limit.as_deref())?;
    if let Some(class) = &which.class {
        is_class(class)?;
    }
    let source = which.source.as_deref().map(place).transpose()?;
    let filter =
        Filter { topic: which.topic, class: which.class, source, cursor: which.cursor, limit };
    let wrong =
        || Problem::bad("query", "`cursor` is not one; take `next_cursor` of the page before");
    api.letters.list(&filter).map(Json).ok_or_else(wrong)
}

fn is_class(class: &str) -> Result<(), Problem> {
    let all = Class::ALL.map(Class::as_str);
    if all.contains(&class) {
        return Ok(());
    }
    let what = format!("`class` can not be `{class}`; there are {}", all.join(", "));
    Err(Problem::bad("query", what))
}

fn place(source: &str) -> Result<Place, Problem> {
    deadletter::parse_id(source).ok_or_else(|| {
        let what = format!("`source` is a record's place, topic~partition~offset, not `{source}`");
        Problem::bad("query", what)
    })
}

/// `GET /v1/dead-letters/{topic~partition~offset}`
pub(crate) async fn show<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let missing = |id: &str| {
        Problem::missing(
            "unknown_letter",
            format!("there is no dead letter `{id}`, or none any more"),
        )
    };
    let place = deadletter::parse_id(&id).filter(|place| place.topic.as_str().ends_with(".dlq"));
    let place = place.ok_or_else(|| missing(&id))?;
    let broker = Arc::clone(&api.broker);
    let record = api
        .blocking(move || deadletter::read(&*broker, &place, READ_WAIT).map_err(Problem::from))
        .await?;
    let record = record.ok_or_else(|| missing(&id))?;
    Ok(Json(whole(&record)))
}

fn whole(record: &Record) -> Value {
    let mut shown = serde_json::to_value(Letter::of(record)).unwrap_or_default();
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|header| {
            let [text, base64] = both(header.value.as_deref());
            json!({"name": &*header.name, "value": text, "value_base64": base64})
        })
        .collect();
    let [key, key_base64] = both(record.key.as_deref());
    let [value, value_base64] = both(record.value.as_deref());
    if let Some(shown) = shown.as_object_mut() {
        let message = record.header_text("__dlq.errors.message");
        shown.extend([
            ("message".to_owned(), message.into()),
            ("key".to_owned(), key),
            ("key_base64".to_owned(), key_base64),
            ("value".to_owned(), value),
            ("value_base64".to_owned(), value_base64),
            ("headers".to_owned(), headers.into()),
        ]);
    }
    shown
}

/// Bytes as text where they are UTF-8, and as they are in any case.
fn both(bytes: Option<&[u8]>) -> [Value; 2] {
    let Some(bytes) = bytes else { return [Value::Null, Value::Null] };
    let text = std::str::from_utf8(bytes).map_or(Value::Null, Value::from);
    [text, Value::from(STANDARD.encode(bytes))]
}
