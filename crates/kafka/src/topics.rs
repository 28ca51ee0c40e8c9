//! Our topics: made with the settings of their purpose, and checked against them.

use events::{Destination, Topic};
use rdkafka::admin::ConfigResource;
use stream::{Broker as _, Created, LogError, Purpose};

use crate::settings::{DEAD_LETTER_EXTRA, INBOX_BYTES, JOURNAL_BYTES, TASKS_BYTES};
use crate::{Kafka, admin, reader};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// What Kafka takes where a topic does not say (`message.max.bytes` of a broker).
const KAFKA_RECORD_BYTES: usize = 1_048_588;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Promises do not hold with it.
    Error,
    /// They hold, until something else goes wrong too.
    Warning,
}

/// Something about a topic that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The topic.
    pub topic: Topic,
    /// How bad.
    pub severity: Severity,
    /// What is wrong and what to do.
    pub message: String,
}

/// Our topics by purpose, but for those of agents and of users.
fn ours(kafka: &Kafka) -> Vec<(Topic, Purpose)> {
    let topics = kafka.topics();
    vec![
        (topics.inbox(), Purpose::Inbox),
        (topics.journal(), Purpose::Journal),
        (topics.snapshots(), Purpose::Snapshots),
        (topics.events(), Purpose::Events),
        (topics.definitions(), Purpose::Definitions),
        (topics.resolve(&Destination::Inbox.dead_letters()), Purpose::DeadLetters),
    ]
}

/// Makes all topics of ours that are missing, with so many lanes.
///
/// # Errors
/// `Lost`; also where the lanes' topics stand already with another count, for it is fixed for life.
pub fn create_all(kafka: &Kafka, partitions: u32) -> Result<Vec<(Topic, Created)>, LogError> {
    let mut made = Vec::new();
    for (topic, purpose) in ours(kafka) {
        let created = create(kafka, &topic, purpose, partitions)?;
        made.push((topic, created));
    }
    let lanes = kafka.lanes()?;
    if lanes == partitions {
        Ok(made)
    } else {
        Err(LogError::Lost(format!(
            "the lanes' topics stand with {lanes} partitions, not {partitions}: the number is fixed \
             for life"
        )))
    }
}

pub(crate) fn create(
    kafka: &Kafka,
    topic: &Topic,
    purpose: Purpose,
    lanes: u32,
) -> Result<Created, LogError> {
    let admin = &kafka.shared.admin;
    if admin.standing(topic)?.is_some() {
        return Ok(Created::Before);
    }
    let replication = match kafka.shared.config.replication {
        -1 => admin.default_replication()?,
        named => named,
    };
    let config = settings(kafka, topic, purpose, replication)?;
    let count = partitions(purpose, lanes);
    let created = admin.create(topic, count, replication, &config)?;
    // A leader is named before it is ready, and until then refuses records as if there were no topic.
    for partition in admin::numbers(count) {
        reader::kept(&kafka.shared.committed, topic, partition)?;
    }
    Ok(created)
}

fn partitions(purpose: Purpose, lanes: u32) -> u32 {
    match purpose {
        Purpose::Inbox
        | Purpose::Journal
        | Purpose::Snapshots
        | Purpose::Events
        | Purpose::Tasks
        | Purpose::User => lanes,
        // Read whole, by few, in order.
        Purpose::Definitions | Purpose::Redrives | Purpose::DeadLetters => 1,
    }
}

type Settings = Vec<(&'static str, String)>;

/// The settings of a topic, by what it is for.
fn settings(
    kafka: &Kafka,
    topic: &Topic,
    purpose: Purpose,
    replication: i32,
) -> Result<Settings, LogError> {
    let mut settings = match purpose {
        Purpose::User => return Ok(Vec::new()),
        Purpose::Inbox => deleted_after(7, true),
        Purpose::Tasks => deleted_after(7, true),
        Purpose::DeadLetters => deleted_after(30, true),
        Purpose::Events => deleted_after(30, false),
        Purpose::Journal => vec![
            ("cleanup.policy", "delete".to_owned()),
            // Only ever trimmed below a snapshot; Kafka lets go of whole segments, so they are small.
            ("retention.ms", "-1".to_owned()),
            ("retention.bytes", "-1".to_owned()),
            ("segment.bytes", (128 * 1024 * 1024).to_string()),
        ],
        Purpose::Snapshots => vec![
            ("cleanup.policy", "compact".to_owned()),
            // Longer than a load takes, so that no reader misses that a state has gone.
            ("delete.retention.ms", DAY_MS.to_string()),
            // Only closed segments are compacted.
            ("segment.ms", (60 * 60 * 1000).to_string()),
        ],
        Purpose::Definitions => vec![("cleanup.policy", "compact".to_owned())],
        Purpose::Redrives => vec![
            ("cleanup.policy", "compact,delete".to_owned()),
            ("retention.ms", (30 * DAY_MS).to_string()),
        ],
    };
    settings.push(("max.message.bytes", record_bytes(kafka, topic, purpose)?.to_string()));
    // An old copy that became the leader would take acknowledged decisions back.
    settings.push(("unclean.leader.election.enable", "false".to_owned()));
    if replication >= 3 {
        // Acknowledged means on two disks at least; with fewer copies it would stop at the first fault.
        settings.push(("min.insync.replicas", "2".to_owned()));
    }
    Ok(settings)
}

fn deleted_after(days: u64, append_time: bool) -> Settings {
    let mut settings = vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", (days * DAY_MS).to_string()),
    ];
    if append_time {
        settings.push(("message.timestamp.type", "LogAppendTime".to_owned()));
    }
    settings
}

/// The largest record of a topic: journal above inbox, commands above twice the inbox, dead letters
/// above their source.
fn record_bytes(kafka: &Kafka, topic: &Topic, purpose: Purpose) -> Result<usize, LogError> {
    Ok(match purpose {
        Purpose::Inbox => INBOX_BYTES,
        Purpose::Tasks | Purpose::Events => TASKS_BYTES,
        Purpose::Journal | Purpose::Snapshots => JOURNAL_BYTES,
        Purpose::Definitions | Purpose::Redrives => INBOX_BYTES + DEAD_LETTER_EXTRA,
        Purpose::User => KAFKA_RECORD_BYTES,
        Purpose::DeadLetters => {
            let admin = &kafka.shared.admin;
            let source = topic.as_str().strip_suffix(".dlq").map(Topic::from);
            let source_bytes = match source {
                Some(source) if admin.standing(&source)?.is_some() => {
                    admin.record_bytes_max(&source)?
                }
                Some(_) | None => KAFKA_RECORD_BYTES,
            };
            source_bytes + DEAD_LETTER_EXTRA
        }
    })
}

/// Says what about our topics is not as it should be. Empty: all is well.
///
/// # Errors
/// `Lost`, where Kafka does not answer.
pub fn verify(kafka: &Kafka) -> Result<Vec<Finding>, LogError> {
    let mut findings = Vec::new();
    let mut sizes = Vec::new();
    for (topic, purpose) in all(kafka)? {
        match kafka.shared.admin.standing(&topic)? {
            None => findings.push(Finding {
                message: "does not exist: run `pavane topics create`".to_owned(),
                topic,
                severity: Severity::Error,
            }),
            Some(standing) => {
                let config = kafka.shared.admin.topic_config(&topic)?;
                check_copies(&topic, standing.replication, &config, &mut findings);
                check_settings(kafka, &topic, purpose, &config, &mut findings)?;
                if let Some(bytes) = number(&config, "max.message.bytes") {
                    sizes.push((topic, purpose, bytes));
                }
            }
        }
    }
    check_sizes(&sizes, &mut findings);
    if let Err(error) = kafka.lanes()
        && findings.iter().all(|finding| finding.severity != Severity::Error)
    {
        let message = error.to_string();
        findings.push(Finding {
            topic: kafka.topics().inbox(),
            severity: Severity::Error,
            message,
        });
    }
    Ok(findings)
}

/// Our topics, those of agents that stand, and the dead letters of both.
fn all(kafka: &Kafka) -> Result<Vec<(Topic, Purpose)>, LogError> {
    let mut all = ours(kafka);
    let metadata = kafka
        .shared
        .admin
        .metadata(None, crate::settings::ASK)
        .map_err(|error| LogError::Lost(format!("asking which topics there are: {error}")))?;
    let mut found: Vec<Topic> =
        metadata.topics().iter().map(|topic| Topic::from(topic.name())).collect();
    found.sort();
    for topic in found {
        if kafka.topics().agent_of(&topic).is_some() {
            all.push((topic, Purpose::Tasks));
        } else if topic.as_str().ends_with(".dlq") && !all.iter().any(|(known, _)| *known == topic)
        {
            all.push((topic, Purpose::DeadLetters));
        }
    }
    Ok(all)
}

fn check_copies(
    topic: &Topic,
    replication: usize,
    config: &ConfigResource,
    findings: &mut Vec<Finding>,
) {
    let mut warn = |message: String| {
        findings.push(Finding { topic: topic.clone(), severity: Severity::Warning, message });
    };
    let in_sync = number(config, "min.insync.replicas").unwrap_or(1);
    if replication < 2 {
        warn("has one copy: what its broker loses is lost".to_owned());
    } else if in_sync < 2 {
        warn("counts a record as stored on one disk: set min.insync.replicas to 2".to_owned());
    }
}

fn check_settings(
    kafka: &Kafka,
    topic: &Topic,
    purpose: Purpose,
    config: &ConfigResource,
    findings: &mut Vec<Finding>,
) -> Result<(), LogError> {
    for (name, wanted) in settings(kafka, topic, purpose, 1)? {
        let found = config.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
        let severity = match name {
            // Judged against each other, in `check_sizes`.
            "max.message.bytes" | "segment.bytes" | "segment.ms" => continue,
            "retention.ms" | "retention.bytes" | "delete.retention.ms"
                if is_longer(&found, &wanted) =>
            {
                continue;
            }
            "cleanup.policy" if same_words(&found, &wanted) => continue,
            _ if found == wanted => continue,
            "retention.ms" if purpose != Purpose::Journal => Severity::Warning,
            _ => Severity::Error,
        };
        let message = format!("{name} is {found}, and must be {wanted}");
        findings.push(Finding { topic: topic.clone(), severity, message });
    }
    Ok(())
}

/// Whether a time or size to keep is at least the one wanted; -1 is for ever.
fn is_longer(found: &str, wanted: &str) -> bool {
    match (found.parse::<i64>(), wanted.parse::<i64>()) {
        (Ok(-1), Ok(_)) => true,
        (Ok(_), Ok(-1)) => false,
        (Ok(found), Ok(wanted)) => found >= wanted,
        _ => false,
    }
}

fn same_words(found: &str, wanted: &str) -> bool {
    let sorted = |words: &str| {
        let mut words: Vec<String> = words.split(',').map(|word| word.trim().to_owned()).collect();
        words.sort();
        words
    };
    sorted(found) == sorted(wanted)
}

fn check_sizes(sizes: &[(Topic, Purpose, u64)], findings: &mut Vec<Finding>) {
    let of = |wanted: Purpose| {
        sizes.iter().find(|(_, purpose, _)| *purpose == wanted).map(|(_, _, bytes)| *bytes)
    };
    let Some(inbox) = of(Purpose::Inbox) else { return };
    for (topic, purpose, bytes) in sizes {
        let least = match purpose {
            Purpose::Journal | Purpose::Snapshots => inbox + 1,
            Purpose::Tasks | Purpose::Events => 2 * inbox + 65_536,
            Purpose::DeadLetters => {
                match sizes.iter().find(|(source, _, _)| format!("{source}.dlq") == topic.as_str())
                {
                    Some((_, _, source)) => source + 1,
                    None => continue,
                }
            }
            Purpose::Inbox | Purpose::Definitions | Purpose::Redrives | Purpose::User => continue,
        };
        if *bytes < least {
            findings.push(Finding {
                topic: topic.clone(),
                severity: Severity::Error,
                message: format!("max.message.bytes is {bytes}, and must be {least} or more"),
            });
        }
    }
}

fn number(config: &ConfigResource, name: &str) -> Option<u64> {
    config.get(name)?.value.as_deref()?.parse().ok()
}
