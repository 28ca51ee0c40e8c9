//! `pavane topics`: makes and checks what stands on a Kafka.

use kafka::topics::{Severity, create_all, verify};
use serde_json::{Value, json};
use stream::Created;

use crate::cli::Topics;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{Output, table};
use crate::settings::{connect, lost, register};

/// Makes, or checks.
pub(crate) fn run(topics: &Topics, config: &Config, output: Output) -> Result<(), Failure> {
    match topics {
        Topics::Create(_) => create(config, output),
        Topics::Verify(_) => check(config, output),
    }
}

fn create(config: &Config, output: Output) -> Result<(), Failure> {
    // Before connecting, which asks the registry for the ids of what is registered here.
    let registered = register(config)?;
    let kafka = connect(config)?;
    let made = create_all(&kafka, config.kafka.partitions)
        .map_err(|error| lost("the topics can not be made", &error).next("pavane topics verify"))?;
    let rows: Vec<[String; 2]> = made
        .iter()
        .map(|(topic, created)| {
            let word = match created {
                Created::Now => "created",
                Created::Before => "stood already",
            };
            [topic.to_string(), word.to_owned()]
        })
        .collect();
    let value = json!({
        "topics": rows.iter().map(|[topic, word]| json!({"topic": topic, "state": word}))
            .collect::<Vec<Value>>(),
        "schemas_registered": registered.as_ref().map(|(count, _)| count),
    });
    output.either(&value, || {
        let schemas = match &registered {
            Some((count, url)) => format!("{count} schemas are registered at {url}"),
            None => {
                "schemas: no `schema_registry.url` is set, so the gateway serves them".to_owned()
            }
        };
        format!("{}\n{schemas}", table(["TOPIC", "STATE"], rows.clone()))
    })
}

fn check(config: &Config, output: Output) -> Result<(), Failure> {
    let kafka = connect(config)?;
    let findings = verify(&kafka).map_err(|error| lost("the topics can not be checked", &error))?;
    let word = |severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let errors = findings.iter().filter(|found| found.severity == Severity::Error).count();
    let items: Vec<Value> = findings
        .iter()
        .map(|found| {
            json!({
                "topic": found.topic.as_str(),
                "severity": word(found.severity),
                "message": found.message,
            })
        })
        .collect();
    output.either(&json!({"ok": errors == 0, "findings": items}), || {
        if findings.is_empty() {
            return "all topics are as they should be".to_owned();
        }
        let lines = findings
            .iter()
            .map(|found| format!("{}: {}: {}", word(found.severity), found.topic, found.message));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    if errors == 0 {
        return Ok(());
    }
    Err(Failure::failed(format!("{errors} topics are not as the protocol needs them"))
        .next("pavane topics create"))
}
