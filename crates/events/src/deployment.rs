//! A value of the topic `definitions`: the newest deployment of one saga.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Offset, Partition};

/// What was deployed. Key: the saga's name. JSON, so that any Kafka client may read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The saga's identity.
    pub name: String,
    /// The first 12 hex digits of the definition's content hash.
    pub version: String,
    /// Counts the deployments of this saga; the highest is the newest.
    pub revision: u64,
    /// When it was deployed, RFC 3339.
    pub deployed_at: String,
    /// The definition with its imports bundled.
    pub text: String,
    /// The agents that are sent commands, each once.
    pub agents: Vec<String>,
    /// For each partition of its trigger topics, from which offset on a record can start a workflow:
    /// the end as it was noted at the deployment that first named the topic.
    pub starts_at: Vec<StartsAt>,
}

/// A place from which a saga listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StartsAt {
    /// The trigger topic's whole name.
    pub topic: String,
    /// A partition of it.
    pub partition: Partition,
    /// The first offset that counts.
    pub offset: Offset,
}

impl Deployment {
    /// Its bytes.
    ///
    /// # Errors
    /// None that can come up with these fields; serde_json's own.
    pub fn encode(&self) -> Result<Bytes, serde_json::Error> {
        serde_json::to_vec(self).map(Bytes::from)
    }

    /// Reads what [`Deployment::encode`] wrote; unknown fields are passed over, so that an older build
    /// reads what a newer one wrote.
    ///
    /// # Errors
    /// What serde_json says is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The topics that it listens to, each once, in order of name.
    #[must_use]
    pub fn topics(&self) -> Vec<&str> {
        let names: std::collections::BTreeSet<_> =
            self.starts_at.iter().map(|start| start.topic.as_str()).collect();
        names.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_reads_back_and_newer_fields_do_not_disturb() {
        let start = |partition| StartsAt { topic: "shop.orders".into(), partition, offset: 7 };
        let written = Deployment {
            name: "orders".into(),
            version: "3f9c2a1b77de".into(),
            revision: 2,
            deployed_at: "2026-11-22T10:00:00.000Z".into(),
            text: "name: orders".into(),
            agents: vec!["stock".into()],
            starts_at: vec![start(0), start(1)],
        };
        assert_eq!(Deployment::decode(&written.encode().unwrap()).unwrap(), written);
        assert_eq!(written.topics(), ["shop.orders"]);
        let mut newer: serde_json::Value =
            serde_json::from_slice(&written.encode().unwrap()).unwrap();
        newer["later"] = true.into();
        assert_eq!(Deployment::decode(newer.to_string().as_bytes()).unwrap(), written);
    }
}
