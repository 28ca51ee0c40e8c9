//! What a user says about their Kafka.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// Where the Kafka is and how to speak to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Brokers to begin with, `host:port,host:port`.
    pub bootstrap: String,
    /// Put before the name of each topic of ours. Default `pavane.`.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// Names this installation in transactional ids and client ids, so that two installations on one
    /// Kafka do not fence each other. Default: the prefix without its last dot.
    #[serde(default)]
    pub application: Option<String>,
    /// Lanes: partitions of inbox, journal and snapshots, fixed when the topics are made. Default 4:
    /// as many coordinators can share the work, and each lane more makes smaller appends.
    /// Where the topics stand already, theirs counts.
    #[serde(default = "default_partitions")]
    pub partitions: u32,
    /// Copies of each partition of the topics that we make; -1 leaves it to the brokers. Default -1.
    #[serde(default = "default_replication")]
    pub replication: i32,
    /// A member of a group that was not heard of for so long is taken for dead, milliseconds; its lanes and
    /// partitions go to others. Default 6000: the least that brokers allow unless their
    /// `group.min.session.timeout.ms` is set. What they refuse is an error wherever a group is joined.
    #[serde(default = "default_session_timeout_ms")]
    pub session_timeout_ms: u32,
    /// Settings of librdkafka, passed on as they are: TLS and SASL (`security.protocol`, `ssl.*`,
    /// `sasl.*`), addresses, buffers. Those on which the protocol rests are refused.
    #[serde(default)]
    pub properties: Properties,
    /// A schema registry with Confluent's interface. Without, the ids are those that the gateway
    /// serves.
    #[serde(default)]
    pub schema_registry: Option<SchemaRegistry>,
}

/// A schema registry.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRegistry {
    /// Its address, up to where `/subjects` begins.
    pub url: String,
    /// User for basic authentication.
    #[serde(default)]
    pub user: Option<String>,
    /// Password for basic authentication.
    #[serde(default)]
    pub password: Option<String>,
}

/// Settings of librdkafka by their names there. Their values are secrets as often as not, so they are
/// never shown.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Properties(pub BTreeMap<String, String>);

impl fmt::Debug for SchemaRegistry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SchemaRegistry")
            .field("url", &self.url)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

impl Config {
    /// A Kafka at these brokers, all else by default.
    #[must_use]
    pub fn at(bootstrap: &str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            prefix: default_prefix(),
            application: None,
            partitions: default_partitions(),
            replication: default_replication(),
            session_timeout_ms: default_session_timeout_ms(),
            properties: Properties::default(),
            schema_registry: None,
        }
    }

    pub(crate) fn application(&self) -> &str {
        match &self.application {
            Some(name) => name,
            None => self.prefix.trim_end_matches('.'),
        }
    }

    pub(crate) fn check(&self) -> Result<(), KafkaError> {
        if self.bootstrap.trim().is_empty() {
            return Err(KafkaError::Config("no brokers are named: set `bootstrap`".to_owned()));
        }
        if self.application().is_empty() {
            return Err(KafkaError::Config(
                "with an empty `prefix`, `application` must name this installation".to_owned(),
            ));
        }
        if self.partitions == 0 {
            return Err(KafkaError::Config("`partitions` must be at least 1".to_owned()));
        }
        if !SESSION_TIMEOUT_MS.contains(&self.session_timeout_ms) {
            return Err(KafkaError::Config(format!(
                "`session_timeout_ms` must be from {} to {}, and is {}",
                SESSION_TIMEOUT_MS.start(),
                SESSION_TIMEOUT_MS.end(),
                self.session_timeout_ms
            )));
        }
        match self.properties.0.keys().find_map(|name| Some((name, reserved(name)?))) {
            Some((name, why)) => {
                Err(KafkaError::ReservedProperty { name: name.clone(), why: why.to_owned() })
            }
            None => Ok(()),
        }
    }
}

fn default_prefix() -> String {
    "pavane.".to_owned()
}

const fn default_partitions() -> u32 {
    4
}

const fn default_replication() -> i32 {
    -1
}

const fn default_session_timeout_ms() -> u32 {
    6_000
}

/// Below, a pause of the machine is taken for a death; above is librdkafka's `max.poll.interval.ms`, by which
/// a member must have been heard of that hangs.
const SESSION_TIMEOUT_MS: std::ops::RangeInclusive<u32> = 250..=300_000;

/// Why a property is not the user's to set; `None` where it is.
fn reserved(name: &str) -> Option<&'static str> {
    let why = match name {
        "bootstrap.servers" | "metadata.broker.list" => "use `bootstrap`",
        "acks" | "request.required.acks" => "a decision counts once all in-sync replicas have it",
        "enable.idempotence"
        | "max.in.flight"
        | "max.in.flight.requests.per.connection"
        | "enable.gapless.guarantee"
        | "retries"
        | "message.send.max.retries"
        | "queuing.strategy" => "records must be stored once and in order",
        "enable.auto.commit"
        | "auto.commit.enable"
        | "auto.commit.interval.ms"
        | "enable.auto.offset.store"
        | "auto.offset.reset"
        | "offset.store.method" => "offsets are kept by the journal, and never guessed",
        "isolation.level" => "what was rolled back must not be read",
        "transactional.id" | "transaction.timeout.ms" => "a lane's snapshots are fenced by it",
        "group.id" | "group.instance.id" | "group.protocol" | "partition.assignment.strategy" => {
            "who holds what is shared out by our own groups"
        }
        "partitioner" | "partitioner_cb" => "keys are placed by murmur2, as Java's client does",
        "session.timeout.ms" => "use `session_timeout_ms`",
        "heartbeat.interval.ms" => "it follows from `session_timeout_ms`",
        "enable.partition.eof" | "check.crcs" => "readers depend on it",
        "message.timeout.ms" | "delivery.timeout.ms" | "delivery.report.only.error" => {
            "what was not acknowledged is judged by it"
        }
        "allow.auto.create.topics" => "a topic made by accident has the wrong settings",
        "message.max.bytes" => "sizes are settings of the topics, and checked against each other",
        _ if name.starts_with("test.") => "it is for librdkafka's own tests",
        _ => return None,
    };
    Some(why)
}

/// Why there is no connection to a Kafka.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// Something in the configuration can not be.
    #[error("kafka configuration: {0}")]
    Config(String),
    /// A property on which the protocol rests.
    #[error("kafka property `{name}` can not be set: {why}")]
    ReservedProperty {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
    /// librdkafka refuses a property.
    #[error("librdkafka refuses the configuration: {0}")]
    Refused(String),
    /// No broker answers.
    #[error("no answer from kafka at `{bootstrap}` within {seconds} s: {reason}")]
    Unreachable {
        /// The brokers asked.
        bootstrap: String,
        /// How long.
        seconds: u64,
        /// What librdkafka says.
        reason: String,
    },
    /// The schema registry has not one of our schemas.
    #[error(
        "the schema registry at `{url}` has not our schema of the subject `{subject}`: run `pavane \
         topics create` to register ours"
    )]
    MissingSubject {
        /// The registry.
        url: String,
        /// The subject, which is the record's name.
        subject: String,
    },
    /// The schema registry does not answer, or refuses.
    #[error("the schema registry at `{url}`, subject `{subject}`: {reason}")]
    Registry {
        /// The registry.
        url: String,
        /// The subject asked for.
        subject: String,
        /// What it says.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_on_which_the_protocol_rests_is_refused_by_name() {
        for name in ["acks", "enable.idempotence", "isolation.level", "group.id", "partitioner"] {
            let mut config = Config::at("broker:9092");
            config.properties.0.insert(name.to_owned(), "1".to_owned());
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
        let mut config = Config::at("broker:9092");
        config.properties.0.insert("security.protocol".to_owned(), "ssl".to_owned());
        config.check().unwrap();
    }

    #[test]
    fn a_session_timeout_that_no_broker_would_keep_is_refused() {
        for (wanted, is_good) in [(0, false), (249, false), (250, true), (300_001, false)] {
            let config = Config { session_timeout_ms: wanted, ..Config::at("broker:9092") };
            let error = config.check().err().map(|error| error.to_string());
            assert_eq!(error.is_none(), is_good, "{wanted}: {error:?}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut config = Config::at("broker:9092");
        config.properties.0.insert("sasl.password".to_owned(), "hunter2".to_owned());
        config.schema_registry = Some(SchemaRegistry {
            url: "http://registry".to_owned(),
            user: None,
            password: Some("hunter2".to_owned()),
        });
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
