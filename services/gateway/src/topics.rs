//! `GET /v1/topics`: what there is on the broker, for those who ask what a saga file may name.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use events::{AgentName, Topic};
use serde_json::{Value, json};
use stream::{Broker, Purpose};

use crate::api::Api;
use crate::problem::Problem;

/// Makes a topic of a user's that there is not, where the broker is one that does so unasked.
///
/// # Errors
/// Why it is not made.
pub(crate) fn make_for_user<B: Broker>(broker: &B, topic: &Topic) -> Result<(), String> {
    let makes = broker.inventory().map_err(|error| error.to_string())?.makes_users_topics;
    if !makes {
        return Err("on a Kafka its owner makes it".to_owned());
    }
    broker.create(topic, Purpose::User).map(drop).map_err(|error| error.to_string())
}

/// All topics by name; of one with commands, whose they are; and whether somebody reads it now.
pub(crate) async fn list<B: Broker>(
    State(api): State<Arc<Api<B>>>,
) -> Result<Json<Value>, Problem> {
    let broker = Arc::clone(&api.broker);
    let inventory = api.blocking(move || Ok(broker.inventory()?)).await?;
    let names = api.broker.topics();
    let items: Vec<Value> = inventory
        .topics
        .iter()
        .map(|topic| {
            let agent = names.agent_of(topic);
            json!({
                "topic": topic.as_str(),
                "agent": agent.as_ref().map(AgentName::as_str),
                "read": inventory.read.contains(topic),
            })
        })
        .collect();
    Ok(Json(json!({
        "items": items,
        "next_cursor": null,
        "makes_users_topics": inventory.makes_users_topics,
    })))
}
