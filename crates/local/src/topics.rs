//! Topics: what each is for, how many partitions it has, which names there may be.

use events::{Topic, Topics};
use minicbor::{Decode, Encode};
use stream::Purpose;

use crate::limits::{self, TOPIC_NAME_BYTES_MAX};

const DEAD_LETTERS: &str = ".dlq";

/// A topic as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) id: u32,
    pub(crate) partitions: u32,
    pub(crate) purpose: Purpose,
}

/// The stored form of [`Described`].
#[derive(Encode, Decode)]
struct Stored {
    #[n(0)]
    id: u32,
    #[n(1)]
    partitions: u32,
    #[n(2)]
    purpose: u8,
}

const PURPOSES: [Purpose; 9] = [
    Purpose::Inbox,
    Purpose::Journal,
    Purpose::Snapshots,
    Purpose::Events,
    Purpose::Tasks,
    Purpose::Definitions,
    Purpose::Redrives,
    Purpose::DeadLetters,
    Purpose::User,
];

impl Described {
    pub(crate) fn encode(self) -> Vec<u8> {
        let purpose = PURPOSES.iter().position(|purpose| *purpose == self.purpose).unwrap_or(0);
        let purpose = u8::try_from(purpose).unwrap_or(u8::MAX);
        let stored = Stored { id: self.id, partitions: self.partitions, purpose };
        // Writing to a Vec can not fail.
        minicbor::to_vec(stored).unwrap_or_default()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let Stored { id, partitions, purpose } = minicbor::decode(bytes).ok()?;
        let purpose = *PURPOSES.get(usize::from(purpose))?;
        (partitions > 0).then_some(Self { id, partitions, purpose })
    }
}

/// The topics that stand from the beginning.
pub(crate) fn internal(topics: &Topics) -> [(Topic, Purpose); 5] {
    [
        (topics.inbox(), Purpose::Inbox),
        (topics.journal(), Purpose::Journal),
        (topics.snapshots(), Purpose::Snapshots),
        (topics.events(), Purpose::Events),
        (topics.definitions(), Purpose::Definitions),
    ]
}

/// What a topic that is first sent to is for.
pub(crate) fn purpose_of(topics: &Topics, topic: &Topic) -> Purpose {
    if topic.as_str().ends_with(DEAD_LETTERS) {
        Purpose::DeadLetters
    } else if topics.agent_of(topic).is_some() {
        Purpose::Tasks
    } else {
        Purpose::User
    }
}

/// The topic whose dead letters this one holds.
pub(crate) fn source_of(topic: &Topic) -> Option<Topic> {
    topic.as_str().strip_suffix(DEAD_LETTERS).filter(|name| !name.is_empty()).map(Topic::from)
}

/// How many partitions a new topic gets. `source`: those of the topic whose dead letters it holds.
pub(crate) fn partitions_of(purpose: Purpose, lanes: u32, source: Option<u32>) -> u32 {
    match purpose {
        Purpose::Inbox
        | Purpose::Journal
        | Purpose::Snapshots
        | Purpose::Events
        | Purpose::Tasks
        | Purpose::User => lanes,
        Purpose::Definitions | Purpose::Redrives => 1,
        Purpose::DeadLetters => source.unwrap_or(lanes),
    }
}

/// The largest record that a topic takes, by its name where it holds dead letters.
pub(crate) fn record_bytes_max(
    topics: &Topics,
    topic: &Topic,
    purpose: Purpose,
    inbox: usize,
) -> usize {
    let of_source = match (purpose, source_of(topic)) {
        (Purpose::DeadLetters, Some(source)) => {
            let purpose = internal(topics)
                .into_iter()
                .find_map(|(name, purpose)| (name == source).then_some(purpose))
                .unwrap_or_else(|| purpose_of(topics, &source));
            record_bytes_max(topics, &source, purpose, inbox)
        }
        _ => inbox,
    };
    limits::record_bytes_max(purpose, of_source, inbox)
}

/// Checks a name as Kafka does (`org.apache.kafka.common.internals.Topic.validate`).
pub(crate) fn check_name(topic: &Topic) -> Result<(), String> {
    let name = topic.as_str();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > TOPIC_NAME_BYTES_MAX || matches!(name, "." | "..") {
        return Err(format!(
            "`{name}` can not be a topic's name: it must have 1 to {TOPIC_NAME_BYTES_MAX} characters \
             and not be `.` or `..`"
        ));
    }
    match name.bytes().all(legal) {
        true => Ok(()),
        false => Err(format!(
            "`{name}` can not be a topic's name: use only ASCII letters, digits, `.`, `_` and `-`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_kafka_checks_them() {
        let long = "x".repeat(250);
        for (name, good) in [
            ("orders.placed", true),
            ("A-b_c.9", true),
            (&long[..249], true),
            (long.as_str(), false),
            ("", false),
            (".", false),
            ("..", false),
            ("a b", false),
            ("a/b", false),
            ("größe", false),
        ] {
            assert_eq!(check_name(&Topic::from(name)).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn a_topic_is_known_by_its_name() {
        let topics = Topics::default();
        for (name, purpose) in [
            ("pavane.tasks.stock", Purpose::Tasks),
            ("pavane.tasks.stock.dlq", Purpose::DeadLetters),
            ("pavane.inbox.dlq", Purpose::DeadLetters),
            ("orders.placed", Purpose::User),
        ] {
            assert_eq!(purpose_of(&topics, &Topic::from(name)), purpose, "{name}");
        }
    }

    #[test]
    fn dead_letters_take_more_than_their_source() {
        let topics = Topics::default();
        let max =
            |name: &str, purpose| record_bytes_max(&topics, &Topic::from(name), purpose, 1000);
        assert!(
            max("pavane.tasks.a.dlq", Purpose::DeadLetters) > max("pavane.tasks.a", Purpose::Tasks)
        );
        assert!(
            max("pavane.inbox.dlq", Purpose::DeadLetters) > max("pavane.inbox", Purpose::Inbox)
        );
        assert!(max("a.dlq.dlq", Purpose::DeadLetters) > max("a.dlq", Purpose::DeadLetters));
    }

    #[test]
    fn a_description_reads_back() {
        for (id, purpose) in (0..).zip(PURPOSES) {
            let described = Described { id, partitions: id + 1, purpose };
            assert_eq!(Described::decode(&described.encode()), Some(described));
        }
    }
}
