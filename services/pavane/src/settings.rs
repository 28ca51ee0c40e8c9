//! From the configuration to what the brokers want.

use std::path::Path;
use std::sync::Arc;

use events::Topics;
use kafka::{Kafka, KafkaError};
use local::{Durability, Local, LocalError, Options};
use stream::{LogError, SystemClock};

use crate::config::{self, Config};
use crate::failure::Failure;

/// librdkafka's names of what the configuration has names of its own for.
fn properties(kafka: &config::Kafka) -> Result<kafka::Properties, Failure> {
    let mut properties = kafka.properties.clone();
    let named = [
        ("security.protocol", "security_protocol", &kafka.security_protocol),
        ("sasl.mechanism", "sasl_mechanism", &kafka.sasl_mechanism),
        ("sasl.username", "username", &kafka.username),
        ("sasl.password", "password", &kafka.password),
        ("ssl.ca.location", "ca_file", &kafka.ca_file),
        ("ssl.certificate.location", "certificate_file", &kafka.certificate_file),
        ("ssl.key.location", "key_file", &kafka.key_file),
        ("ssl.key.password", "key_password", &kafka.key_password),
    ];
    for (property, key, value) in named {
        let Some(value) = value else { continue };
        if properties.insert(property.to_owned(), value.clone()).is_some() {
            return Err(Failure::usage(format!(
                "`kafka.{key}` and `kafka.properties.{property}` say the same thing; leave one out"
            )));
        }
    }
    Ok(kafka::Properties(properties))
}

fn registry(config: &Config) -> Option<kafka::SchemaRegistry> {
    let registry = &config.schema_registry;
    let url = registry.url.clone()?;
    Some(kafka::SchemaRegistry {
        url,
        user: registry.username.clone(),
        password: registry.password.clone(),
    })
}

/// A connection to the Kafka that is configured.
pub(crate) fn connect(config: &Config) -> Result<Kafka, Failure> {
    let Some(bootstrap) = config.kafka.bootstrap.clone() else {
        return Err(Failure::usage("no Kafka is named").next(
            "--kafka HOST:PORT, or PAVANE_KAFKA, or `bootstrap` under [kafka] in pavane.toml",
        ));
    };
    let wanted = kafka::Config {
        bootstrap,
        prefix: config.kafka.prefix.clone(),
        application: config.kafka.application.clone(),
        partitions: config.kafka.partitions,
        replication: match config.kafka.replication {
            0 => -1,
            count => i32::try_from(count).unwrap_or(i32::MAX),
        },
        session_timeout_ms: config.kafka.session_timeout_ms,
        properties: properties(&config.kafka)?,
        schema_registry: registry(config),
    };
    Kafka::connect(wanted, events::schemas()).map_err(refused)
}

/// Registers the schemas where a registry is configured; says how many, and where.
pub(crate) fn register(config: &Config) -> Result<Option<(usize, String)>, Failure> {
    let Some(registry) = registry(config) else { return Ok(None) };
    let ids = kafka::register_all(&registry, events::schemas()).map_err(refused)?;
    Ok(Some((ids.len(), registry.url)))
}

fn refused(error: KafkaError) -> Failure {
    let failure = Failure::from_error("no connection to Kafka", &error);
    match error {
        KafkaError::Config(_) | KafkaError::ReservedProperty { .. } | KafkaError::Refused(_) => {
            Failure::usage(failure.message).next("pavane config")
        }
        KafkaError::Unreachable { .. } => {
            Failure::unreachable(failure.message).next("--kafka HOST:PORT of a broker that runs")
        }
        KafkaError::MissingSubject { .. } => failure.next("pavane topics create"),
        KafkaError::Registry { .. } => Failure::unreachable(failure.message).next("pavane config"),
    }
}

/// The embedded log in a folder.
pub(crate) fn open(folder: &Path, config: &Config) -> Result<Local, Failure> {
    let options = Options {
        durability: match config.local.durability {
            config::Durability::Disk => Durability::Disk,
            config::Durability::Os => Durability::Os,
        },
        lanes: config.local.lanes.unwrap_or_else(lanes_here),
        topics: Topics::default(),
        clock: Arc::new(SystemClock),
        schema_ids: Arc::new(schema_id),
        record_bytes_max: local::RECORD_BYTES_MAX,
    };
    let opened = match config.local.lanes {
        Some(_) => Local::open(folder, options),
        None => Local::open_as_made(folder, options),
    };
    opened.map_err(|error| unopened(folder, &error))
}

/// The lanes of a new folder for which nobody says how many: one for two processors, since whoever writes to the
/// log, serves and takes part needs the others; four at most, since they share one log.
fn lanes_here() -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(processors / 2).unwrap_or(u32::MAX).clamp(1, 4)
}

fn unopened(folder: &Path, error: &LocalError) -> Failure {
    let what = format!("the embedded log in {} can not be opened", folder.display());
    Failure::from_error(&what, error).next("--data with another folder")
}

/// What a broker said, as a verb's failure.
pub(crate) fn lost(what: &str, error: &LogError) -> Failure {
    Failure::from_error(what, error)
}

/// The id that a schema has where no registry gives it one.
fn schema_id(name: &str) -> Option<u32> {
    events::schemas().iter().find(|schema| schema.name == name).map(|schema| schema.id)
}
