//! Names of spans and their attributes: OpenTelemetry's messaging conventions, version 1.44.0, which are
//! still under development; so they stand in this one place.

use events::{Record, header};
use tracing::Span;

/// The span of one record being processed for a consumer group: a lane deciding on an input, intake judging
/// an event, a participant working on a command. It names the producer's trace, which travels in the
/// record's `traceparent` header.
#[must_use]
pub fn process(record: &Record, group: &str) -> Span {
    let place = &record.place;
    tracing::debug_span!(
        "process",
        messaging.system = "kafka",
        messaging.operation.type = "process",
        messaging.operation.name = "process",
        messaging.destination.name = place.topic.as_str(),
        messaging.destination.partition.id = place.partition,
        messaging.kafka.offset = place.offset,
        messaging.consumer.group.name = group,
        messaging.message.id = record.header_text(header::ID),
        link = record.header_text(header::TRACEPARENT),
    )
}

/// The span of one append to the journal, which ends once it is acknowledged.
#[must_use]
pub(crate) fn append(topic: &str, lane: u32, records: usize) -> Span {
    tracing::debug_span!(
        "append",
        messaging.system = "kafka",
        messaging.operation.type = "send",
        messaging.operation.name = "append",
        messaging.destination.name = topic,
        messaging.destination.partition.id = lane,
        messaging.batch.message_count = records,
    )
}
