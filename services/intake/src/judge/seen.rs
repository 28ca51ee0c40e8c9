//! An event as the workflow that it is about gets it.

use bytes::Bytes;
use events::{
    Class, Destination, Header, Outgoing, Payload, Record, Refusal, WorkflowId, ce_type, header,
};
use saga::{EVENT_HEADERS_BYTES_MAX, EVENT_KEY_BYTES_MAX};
use serde_json::{Map, Value};

/// A record's headers that are text.
pub(super) fn text_headers(record: &Record) -> Map<String, Value> {
    let texts = record.headers.iter().filter_map(|header| {
        let text = std::str::from_utf8(header.value.as_deref()?).ok()?;
        Some((header.name.to_string(), Value::from(text)))
    });
    texts.collect()
}

/// What its headers say to every workflow.
pub(super) fn headers(record: &Record, name: &str) -> Result<Vec<Header>, Refusal> {
    let place = &record.place;
    let mut headers = vec![
        Header::text(header::SPECVERSION, "1.0"),
        Header::text(header::SOURCE, "/pavane/intake"),
        Header::text(header::TYPE, ce_type::DOMAIN_EVENT),
        Header::text(header::TIME, record.timestamp.to_string()),
        Header::text(header::CONTENT_TYPE, header::JSON),
        Header::text(header::EVENT, format!("{}/{name}", place.topic)),
        Header::text(header::EVENT_RECORD, place.to_string()),
        Header::text(header::EVENT_TIME, record.timestamp.to_string()),
    ];
    if let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) {
        within("key", key.len(), EVENT_KEY_BYTES_MAX)?;
        headers.push(Header::text(header::EVENT_KEY, key));
    }
    let texts = text_headers(record);
    if !texts.is_empty() {
        let texts = Value::Object(texts).to_string();
        within("headers", texts.len(), EVENT_HEADERS_BYTES_MAX)?;
        headers.push(Header::text(header::EVENT_HEADERS, texts));
    }
    if let Some(trace) = record.header_text(header::TRACEPARENT) {
        headers.push(Header::text(header::TRACEPARENT, trace));
    }
    Ok(headers)
}

fn within(what: &str, bytes: usize, bytes_max: usize) -> Result<(), Refusal> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!("the {what} of an awaited event: {bytes} bytes, {bytes_max} at most");
    Err(Refusal::new(Class::TooLarge, what, message))
}

/// The event for one workflow; its value is the record's, byte for byte.
pub(super) fn event(record: &Record, mut headers: Vec<Header>, workflow: &WorkflowId) -> Outgoing {
    headers.push(Header::text(header::ID, format!("{}/{workflow}", record.place)));
    headers.push(Header::text(header::SUBJECT, workflow.as_str()));
    Outgoing {
        to: Destination::Inbox,
        partition: None,
        key: Some(Bytes::from(workflow)),
        value: record.value.clone().map_or(Payload::Null, Payload::Bytes),
        headers,
    }
}
