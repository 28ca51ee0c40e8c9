//! What librdkafka says on the side, told without a flood.
//!
//! A coordinator has dozens of clients, and while no broker answers each of them says so twice a second.
//! What it means for a record, a lane or a group is reported by the call that suffers from it.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use tracing::{debug, info, warn};

use crate::deliveries::lock;
use crate::settings;

/// Shared by all clients of one connection, so that one outage is one line now and then.
#[derive(Clone, Default)]
pub(crate) struct Remarks(Arc<Mutex<Outage>>);

#[derive(Default)]
struct Outage {
    told: Option<Instant>,
    untold: u64,
}

impl Remarks {
    /// What a client met; it goes on by itself.
    pub(crate) fn error(&self, error: &ClientError, reason: &str) {
        match error.rdkafka_error_code() {
            // rdkafka counts it among the errors, and it is met after nearly every record.
            Some(Code::PartitionEOF) => {}
            Some(
                Code::AllBrokersDown
                | Code::BrokerTransportFailure
                | Code::Resolve
                | Code::OperationTimedOut,
            ) => match self.due(Instant::now()) {
                Some(untold) => {
                    warn!(%error, reason, untold, "a broker does not answer; trying on")
                }
                None => debug!(%error, reason, "a broker does not answer"),
            },
            _ => warn!(%error, reason, "kafka client"),
        }
    }

    /// A line of librdkafka's own.
    pub(crate) fn line(&self, level: RDKafkaLogLevel, about: &str, line: &str) {
        match level {
            // A failed connection, which comes as an error too; a partition whose leader is being found.
            _ if matches!(about, "FAIL" | "METADATAUPDATE") => debug!(about, line, "librdkafka"),
            // Nobody has to act on what librdkafka calls an error: it goes on, or a call fails.
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => warn!(about, line, "librdkafka"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => info!(about, line, "librdkafka"),
            RDKafkaLogLevel::Debug => debug!(about, line, "librdkafka"),
        }
    }

    /// Whether it is time to tell of an outage, and how often it was not told since the last time.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut outage = lock(&self.0);
        let recent =
            |told: Instant| now.saturating_duration_since(told) < settings::TELL_OUTAGE_EVERY;
        if outage.told.is_some_and(recent) {
            outage.untold += 1;
            return None;
        }
        outage.told = Some(now);
        Some(std::mem::take(&mut outage.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outage_of_many_clients_is_one_line_now_and_then() {
        let one = Remarks::default();
        let other = one.clone();
        let start = Instant::now();
        assert_eq!(one.due(start), Some(0));
        assert_eq!(other.due(start), None);
        assert_eq!(one.due(start + settings::TELL_OUTAGE_EVERY / 2), None);
        assert_eq!(other.due(start + settings::TELL_OUTAGE_EVERY), Some(2));
        assert_eq!(one.due(start + settings::TELL_OUTAGE_EVERY), None);
    }
}
