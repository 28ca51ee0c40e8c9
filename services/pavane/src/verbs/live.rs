//! What `pavane check --live` asks the gateway.

use std::collections::BTreeSet;

use saga::Cluster;
use serde_json::Value;

use crate::api::Api;
use crate::failure::Failure;

/// What no build of today can ask, said each time: nothing is passed over in silence.
pub(crate) const NOT_ASKED: &str =
    "not asked: whether events and their fields are in a schema registry (E602)";

/// What there is on the gateway's cluster.
pub(crate) fn cluster(api: &Api) -> Result<Cluster, Failure> {
    let answer = api.get("/v1/topics", &[])?;
    let (Some(items), Some(makes)) = (
        answer.get("items").and_then(Value::as_array),
        answer.get("makes_users_topics").and_then(Value::as_bool),
    ) else {
        return Err(Failure::failed("the gateway does not say which topics there are")
            .next("a gateway of this version"));
    };
    let text = |item: &Value, field: &str| item.get(field)?.as_str().map(str::to_owned);
    let is_read = |item: &&Value| item.get("read").and_then(Value::as_bool) == Some(true);
    let topics: BTreeSet<String> = items.iter().filter_map(|item| text(item, "topic")).collect();
    let agents = items.iter().filter(is_read).filter_map(|item| text(item, "agent")).collect();
    let sagas = api.get("/v1/sagas", &[])?;
    let sagas = sagas.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    Ok(Cluster {
        topics: (!makes).then_some(topics),
        sagas: sagas.iter().filter_map(|saga| text(saga, "name")).collect(),
        agents,
    })
}
