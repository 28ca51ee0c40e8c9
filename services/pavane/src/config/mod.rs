//! What can be configured, and what is in force: defaults, then `pavane.toml`, then the environment,
//! then flags.

mod keys;
mod layers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use stream::Spill;

pub(crate) use keys::{KEYS, Secrecy, shown};
pub(crate) use layers::{Flag, Layers};

use crate::failure::Failure;

/// Everything that can be configured, a section for each part. What a key means stands in
/// [`keys::KEYS`], from which `pavane config --keys` prints it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) kafka: Kafka,
    pub(crate) local: Local,
    pub(crate) state: State,
    pub(crate) gateway: Gateway,
    pub(crate) schema_registry: SchemaRegistry,
    pub(crate) client: Client,
    pub(crate) log: Log,
}

/// `[kafka]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kafka {
    pub(crate) bootstrap: Option<String>,
    pub(crate) prefix: String,
    pub(crate) partitions: u32,
    pub(crate) replication: u32,
    pub(crate) session_timeout_ms: u32,
    pub(crate) application: Option<String>,
    pub(crate) security_protocol: Option<String>,
    pub(crate) sasl_mechanism: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) ca_file: Option<String>,
    pub(crate) certificate_file: Option<String>,
    pub(crate) key_file: Option<String>,
    pub(crate) key_password: Option<String>,
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, String>,
}

/// `[local]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Local {
    pub(crate) data: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) lanes: Option<u32>,
}

/// `[state]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub(crate) memory_mib: u32,
    pub(crate) folder: Option<PathBuf>,
}

impl State {
    /// Where states at rest lie.
    pub(crate) fn spill(&self) -> Spill {
        let memory_max =
            usize::try_from(self.memory_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        Spill::past(memory_max, self.folder.clone().unwrap_or_else(std::env::temp_dir))
    }
}

/// When an append on the embedded log counts as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// After fdatasync.
    Disk,
    /// Once the operating system has it.
    Os,
}

/// `[gateway]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gateway {
    pub(crate) listen: SocketAddr,
}

/// `[schema_registry]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SchemaRegistry {
    pub(crate) url: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
}

/// `[client]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    pub(crate) url: String,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) filter: String,
    pub(crate) format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

impl Config {
    /// The typed form of the layers.
    pub(crate) fn of(layers: &Layers) -> Result<Self, Failure> {
        layers.nested().try_into().map_err(|error: toml::de::Error| {
            Failure::usage(format!("the configuration is wrong: {}", error.message()))
                .next("pavane config --keys")
        })
    }
}
