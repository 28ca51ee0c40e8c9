//! Every bound of the embedded log, and how they hang together.

use std::time::Duration;

use stream::Purpose;

/// The largest record of the inbox and of users' topics, as Kafka's `max.message.bytes` has it.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// What a dead letter has beside its source: a message of 8 KiB and the other headers.
const DEAD_LETTER_EXTRA: usize = 64 * 1024;
/// What a command or a journal record has beside the user's bytes.
const ENVELOPE_EXTRA: usize = 64 * 1024;

/// Topics of one folder. Each costs a few hundred bytes of memory for each partition.
pub(crate) const TOPICS_MAX: usize = 2_000;
/// Kafka's own bound on a topic's name.
pub(crate) const TOPIC_NAME_BYTES_MAX: usize = 249;
/// Of a group.
pub(crate) const GROUP_NAME_BYTES_MAX: usize = 249;
/// Of one folder.
pub(crate) const LANES_MAX: u32 = 1_024;
/// Of a state's key: the storage library takes 65,535 bytes for a key, ours in front included.
pub(crate) const STATE_KEY_BYTES_MAX: usize = 60_000;

/// Waiting for the writer; whoever hands over more waits for room.
pub(crate) const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Of requests waiting for the writer.
pub(crate) const QUEUE_REQUESTS_MAX: usize = 100_000;
/// Of one batch; one request may go beyond it.
pub(crate) const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Of requests in one batch.
pub(crate) const BATCH_REQUESTS_MAX: usize = 10_000;
/// How long what a group has done may wait for a batch that is written anyway. What a crash takes of
/// it is read once more.
pub(crate) const COMMITS_WAIT: Duration = Duration::from_millis(20);
/// How long what was sent may wait for the sync of an append, and its acknowledgement with it.
pub(crate) const SYNC_WAIT: Duration = Duration::from_millis(1);
/// What has become of tickets and nobody has asked for yet.
pub(crate) const UNSETTLED_MAX: usize = 1_000_000;

/// Of a block, which one record may go beyond: a reader of one record has all of its block in memory.
pub(crate) const BLOCK_BYTES_MAX: usize = 32 * 1024;
/// Of the ends of all partitions in memory together.
pub(crate) const TAILS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Of records that one read gives.
pub(crate) const READ_RECORDS_MAX: usize = 1_000;
/// Of bytes that one read gives; one record may go beyond it.
pub(crate) const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Between two looks for what has grown too old.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Records looked at, and blocks removed, in one step; between steps the writer serves whoever waits.
pub(crate) const SWEEP_RECORDS_MAX: usize = 256;

/// The largest record that a topic takes: key, value and headers together.
pub(crate) fn record_bytes_max(purpose: Purpose, of_source: usize, inbox: usize) -> usize {
    match purpose {
        Purpose::Inbox | Purpose::User => inbox,
        Purpose::Journal | Purpose::Snapshots => 8 * inbox,
        Purpose::Events | Purpose::Tasks | Purpose::Definitions | Purpose::Redrives => {
            2 * inbox + ENVELOPE_EXTRA
        }
        Purpose::DeadLetters => of_source + DEAD_LETTER_EXTRA,
    }
}

/// How long a record is kept; `None` where it is kept until it is trimmed, or for good.
pub(crate) fn retention(purpose: Purpose) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    match purpose {
        Purpose::Inbox | Purpose::Tasks | Purpose::User => Some(7 * DAY),
        Purpose::Events | Purpose::DeadLetters => Some(30 * DAY),
        Purpose::Journal | Purpose::Snapshots | Purpose::Definitions | Purpose::Redrives => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_hang_together() {
        let inbox = RECORD_BYTES_MAX;
        let of = |purpose| record_bytes_max(purpose, inbox, inbox);
        assert!(of(Purpose::Journal) > 2 * inbox + 64 * 1024);
        assert!(of(Purpose::Tasks) >= 2 * inbox + 64 * 1024);
        assert!(of(Purpose::DeadLetters) > inbox);
        assert!(
            record_bytes_max(Purpose::DeadLetters, of(Purpose::Tasks), inbox) > of(Purpose::Tasks)
        );
        assert!(QUEUE_BYTES_MAX > of(Purpose::Journal));
        assert!(TAILS_BYTES_MAX > of(Purpose::Tasks) + BLOCK_BYTES_MAX);
    }
}
