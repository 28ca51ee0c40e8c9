//! Every key: its type, its default, and why one would change it. The reference page is made from
//! this table (`pavane config --keys`).

use toml::Value;

/// What a key's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Any text.
    Text,
    /// A whole number, not negative.
    Count,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `host:port`
    Address,
    /// Names below it are free; each value is a text.
    Table,
}

/// Whether a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// It may.
    Open,
    /// It is masked wherever it is printed, and may come from a file.
    Secret,
}

/// A value as it is printed.
pub(crate) fn shown(value: &Value) -> String {
    serde_json::json!(value).to_string()
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    /// `section.key`
    pub(crate) path: &'static str,
    pub(crate) form: Form,
    /// As text; `None`: not set.
    pub(crate) default: Option<&'static str>,
    pub(crate) secrecy: Secrecy,
    /// A short name in the environment, besides `PAVANE_SECTION__KEY`.
    pub(crate) short: Option<&'static str>,
    /// What it is for, with its unit, and why it has its default.
    pub(crate) about: &'static str,
}

const fn key(
    path: &'static str,
    form: Form,
    default: Option<&'static str>,
    about: &'static str,
) -> Key {
    Key { path, form, default, secrecy: Secrecy::Open, short: None, about }
}

const fn secret(path: &'static str, about: &'static str) -> Key {
    Key { secrecy: Secrecy::Secret, ..key(path, Form::Text, None, about) }
}

impl Key {
    const fn short(self, short: &'static str) -> Self {
        Self { short: Some(short), ..self }
    }

    /// The name in the environment.
    pub(crate) fn env(&self) -> String {
        format!("PAVANE_{}", self.path.replace('.', "__").to_uppercase())
    }

    /// A text, as the environment and flags give it, in the form that the key wants.
    pub(crate) fn read(&self, text: &str) -> Result<Value, String> {
        match self.form {
            Form::Count => match text.parse::<u32>() {
                Ok(count) => Ok(Value::Integer(i64::from(count))),
                Err(_) => Err(self.wants(&format!("`{text}`"))),
            },
            Form::Text | Form::OneOf(_) | Form::Address | Form::Table => {
                let value = Value::String(text.to_owned());
                self.admit(&value).map(|()| value)
            }
        }
    }

    /// Whether a value has the form that the key wants.
    pub(crate) fn admit(&self, value: &Value) -> Result<(), String> {
        let fits = match self.form {
            Form::Text => value.is_str(),
            Form::Count => value.as_integer().is_some_and(|count| u32::try_from(count).is_ok()),
            Form::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Form::Address => value
                .as_str()
                .is_some_and(|address| address.parse::<std::net::SocketAddr>().is_ok()),
            Form::Table => value.is_str(),
        };
        let shown = match self.secrecy {
            Secrecy::Open => format!("`{}`", shown(value)),
            Secrecy::Secret => format!("a {}", value.type_str()),
        };
        if fits { Ok(()) } else { Err(self.wants(&shown)) }
    }

    fn wants(&self, found: &str) -> String {
        let wanted = match self.form {
            Form::Text => "a text".to_owned(),
            Form::Count => "a whole number".to_owned(),
            Form::OneOf(words) => format!("one of {}", words.join(", ")),
            Form::Address => "an address such as 127.0.0.1:7070".to_owned(),
            Form::Table => "a table of texts".to_owned(),
        };
        format!("`{}` must be {wanted}, found {found}", self.path)
    }
}

/// All keys, in the order in which they are printed.
pub(crate) const KEYS: &[Key] = &[
    key(
        "kafka.bootstrap",
        Form::Text,
        None,
        "host:port of some of a Kafka's brokers, separated by commas. Without it `up` runs on the \
         embedded log",
    )
    .short("PAVANE_KAFKA"),
    key(
        "kafka.prefix",
        Form::Text,
        Some("pavane."),
        "stands before the names of the product's own topics, and before its groups; changes neither types nor headers",
    ),
    key(
        "kafka.partitions",
        Form::Count,
        Some("4"),
        "partitions of inbox, journal and snapshots when they are made: one lane each, fixed for \
         life, so the most coordinators that can share the work",
    ),
    key(
        "kafka.replication",
        Form::Count,
        Some("0"),
        "replicas of the product's topics when they are made; 0 leaves it to the brokers' default",
    ),
    key(
        "kafka.session_timeout_ms",
        Form::Count,
        Some("6000"),
        "a process that was not heard of for so many milliseconds is taken for dead, and others take its \
         lanes over. 6000 is the least that brokers allow unless their `group.min.session.timeout.ms` is \
         set",
    ),
    key(
        "kafka.application",
        Form::Text,
        None,
        "names this installation in transactional ids, so that two on one Kafka do not fence each \
         other. Not set: the topics' prefix without its last dot",
    ),
    key(
        "kafka.security_protocol",
        Form::OneOf(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]),
        None,
        "how to speak to the brokers. Not set: plaintext",
    ),
    key(
        "kafka.sasl_mechanism",
        Form::OneOf(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        None,
        "how to log in, where the protocol is one of the sasl ones",
    ),
    key("kafka.username", Form::Text, None, "the name for SASL"),
    secret("kafka.password", "the password for SASL"),
    key("kafka.ca_file", Form::Text, None, "PEM file of the authority that signed the brokers"),
    key("kafka.certificate_file", Form::Text, None, "PEM file of this client's certificate"),
    key("kafka.key_file", Form::Text, None, "PEM file of this client's private key"),
    secret("kafka.key_password", "what the private key is encrypted with"),
    key(
        "kafka.properties",
        Form::Table,
        None,
        "any other librdkafka property, by its own name, as a text. Those that the protocol rests on \
         (acks, idempotence, offsets, isolation, transactional id) are refused",
    ),
    key(
        "local.data",
        Form::Text,
        Some("./pavane-data"),
        "folder of the embedded log; one process at a time",
    ),
    key(
        "local.durability",
        Form::OneOf(&["disk", "os"]),
        Some("disk"),
        "when an append counts as stored: `disk`, after fdatasync; `os`, once the operating system \
         has it, which a power cut may lose",
    ),
    key(
        "local.lanes",
        Form::Count,
        None,
        "partitions of inbox, journal and snapshots there; fixed when the folder is made. Not set: as it was made, \
         and a new one gets one for every two processors, four at most",
    ),
    key(
        "state.memory_mib",
        Form::Count,
        Some("1024"),
        "what the states of workflows that wait may take of a process's memory, in MiB; beyond it they lie in a file \
         without a name, which is gone with the process",
    ),
    key(
        "state.folder",
        Form::Text,
        None,
        "where that file is made. Not set: the system's folder for temporary files, which should not be one in \
         memory",
    ),
    key(
        "gateway.listen",
        Form::Address,
        Some("127.0.0.1:7070"),
        "address for HTTP. Only this machine by default: there is no log-in",
    ),
    key(
        "schema_registry.url",
        Form::Text,
        None,
        "a Confluent-compatible schema registry. Without it the gateway serves the product's schemas \
         read-only",
    ),
    key("schema_registry.username", Form::Text, None, "the name for basic authentication there"),
    secret("schema_registry.password", "the password for it"),
    key(
        "client.url",
        Form::Text,
        Some("http://127.0.0.1:7070"),
        "the gateway that the other verbs speak to",
    )
    .short("PAVANE_URL"),
    key(
        "log.filter",
        Form::Text,
        Some("info"),
        "which log lines are written to stderr: a level, or levels by module. Verbs that only ask a \
         gateway are quiet below `warn` unless it is set",
    )
    .short("PAVANE_LOG"),
    key("log.format", Form::OneOf(&["text", "json"]), Some("text"), "how log lines look"),
];
