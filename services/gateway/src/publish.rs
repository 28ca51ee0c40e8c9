//! `POST /v1/topics/{topic}/records`

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use events::{Destination, Header, Outgoing, Payload, Topic, Topics, ce_type, header};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use stream::Broker;

use crate::api::Api;
use crate::problem::Problem;
use crate::query;
use crate::topics::make_for_user;

/// Characters of a topic's name: Kafka's own bound.
const TOPIC_MAX: usize = 249;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publish {
    #[serde(default)]
    key: Option<String>,
    /// `Some(Null)`: it is given, and null.
    #[serde(default, deserialize_with = "given")]
    value: Option<Value>,
    #[serde(default)]
    value_base64: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
}

fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// Publishes a record, and answers with its place once it is stored.
pub(crate) async fn post<B: Broker>(
    State(api): State<Arc<Api<B>>>,
    Path(topic): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    is_topic_name(&topic)?;
    let publish: Publish = query::json(&body)?;
    let topic = Topic::from(topic);
    let headers = headers(&publish.headers)?;
    is_for_users(api.broker.topics(), &topic, &headers)?;
    let record = Outgoing {
        to: Destination::Named(topic.clone()),
        partition: None,
        key: publish.key.clone().map(Bytes::from),
        value: payload(&publish)?,
        headers,
    };
    let broker = Arc::clone(&api.broker);
    let place = api
        .blocking(move || {
            if broker.kept(&topic)?.is_none() {
                make_for_user(&*broker, &topic).map_err(|why| {
                    Problem::missing("unknown_topic", format!("there is no topic `{topic}`: {why}"))
                })?;
            }
            broker.put(record).map_err(Problem::from)
        })
        .await?;
    Ok(Json(json!({
        "topic": place.topic.as_str(), "partition": place.partition, "offset": place.offset,
    })))
}

/// What others of ours read as the truth is not for users to write: docs/reference/topics.md.
fn is_for_users(topics: &Topics, topic: &Topic, headers: &[Header]) -> Result<(), Problem> {
    let deploys = |header: &Header| {
        &*header.name == header::TYPE
            && header.value.as_deref() == Some(ce_type::DEPLOY_SAGA.as_bytes())
    };
    let what = match topics.only_writer(topic) {
        Some(writer) => format!(
            "`{topic}` is not for users to write: only {writer} does; write to `{}` or to a topic \
             of yours",
            topics.inbox()
        ),
        None if *topic == topics.inbox() && headers.iter().any(deploys) => {
            format!("{} is written by the gateway alone: POST /v1/sagas", ce_type::DEPLOY_SAGA)
        }
        None => return Ok(()),
    };
    Err(Problem::new(StatusCode::FORBIDDEN, "private", what))
}

fn payload(publish: &Publish) -> Result<Payload, Problem> {
    match (&publish.value, &publish.value_base64) {
        (Some(_), Some(_)) => Err(Problem::bad("body", "give `value` or `value_base64`, not both")),
        (None, None) => Err(Problem::bad("body", "`value` is missing; null is a tombstone")),
        (Some(Value::Null), None) => Ok(Payload::Null),
        (Some(Value::String(text)), None) => Ok(Payload::Bytes(Bytes::from(text.clone()))),
        (
            Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))),
            None,
        ) => Ok(Payload::Bytes(Bytes::from(other.to_string()))),
        (None, Some(text)) => STANDARD
            .decode(text)
            .map(|bytes| Payload::Bytes(Bytes::from(bytes)))
            .map_err(|error| Problem::bad("body", format!("`value_base64`: {error}"))),
    }
}

fn headers(given: &Map<String, Value>) -> Result<Vec<Header>, Problem> {
    given
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok(Header::text(name.clone(), text.as_str())),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => {
                Err(Problem::bad("body", format!("the header `{name}` must be text, not {value}")))
            }
        })
        .collect()
}

fn is_topic_name(topic: &str) -> Result<(), Problem> {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-');
    if topic.is_empty()
        || topic.len() > TOPIC_MAX
        || topic == "."
        || topic == ".."
        || !topic.chars().all(fits)
    {
        let what = format!(
            "`{topic}` can not be a topic's name: up to {TOPIC_MAX} letters, digits, `.`, `_`, `-`"
        );
        return Err(Problem::bad("topic", what));
    }
    Ok(())
}
