//! Which topics the members of groups read.

use std::collections::BTreeSet;

use events::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use stream::LogError;

use crate::reader::Plain;
use crate::settings;

/// What groups of other kinds, Connect's workers for example, are not.
const CONSUMERS: &str = "consumer";

/// The topics that members of any group of consumers have subscribed to.
pub(crate) fn read(asking: &BaseConsumer<Plain>) -> Result<BTreeSet<Topic>, LogError> {
    let groups = asking
        .fetch_group_list(None, settings::ASK)
        .map_err(|error| LogError::Lost(format!("asking for the groups: {error}")))?;
    let consumers = groups.groups().iter().filter(|group| group.protocol_type() == CONSUMERS);
    let members = consumers.flat_map(|group| group.members());
    Ok(members.flat_map(|member| subscribed(member.metadata().unwrap_or_default())).collect())
}

/// The topics of a member's subscription, `ConsumerProtocolSubscription` of Apache Kafka: a version and a
/// list of names come first in each of its versions. What is cut off is left out.
fn subscribed(metadata: &[u8]) -> Vec<Topic> {
    let names = || {
        let (_version, rest) = metadata.split_first_chunk::<2>()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let mut names = Vec::new();
        for _ in 0..i32::from_be_bytes(*count) {
            let (bytes, more) = rest.split_first_chunk::<2>()?;
            let (name, more) = more.split_at_checked(u16::from_be_bytes(*bytes).into())?;
            names.extend(std::str::from_utf8(name).ok().map(Topic::from));
            rest = more;
        }
        Some(names)
    };
    names().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_names_its_topics() {
        let whole = b"\0\x03\0\0\0\x02\0\x01a\0\x03b.c\xff\xff\xff\xff";
        assert_eq!(subscribed(whole), ["a", "b.c"].map(Topic::from));
        assert!(subscribed(b"\0\x03\0\0\0\x02\0\x05a").is_empty());
        assert!(subscribed(b"").is_empty());
    }
}
