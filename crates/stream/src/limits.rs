//! Every bound of a lane, and how they relate.

use std::time::Duration;

use crate::shelf::Spill;

/// What a journal record has beside the inbox record that it keeps: why it is refused, above all.
pub(crate) const BESIDE_KEPT_BYTES_MAX: usize = 16 * 1024;
/// Of a reason, where the record is left out.
pub(crate) const PLACE_MESSAGE_BYTES_MAX: usize = 400;

/// Bounds of a lane. The defaults hold in production; tests take smaller ones.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Records proposed in one append.
    pub proposal_records_max: usize,
    /// Bytes proposed in one append, unless a single record is larger.
    pub proposal_bytes_max: usize,
    /// Bytes of one journal record. Larger than any inbox record with its headers, so that each can be
    /// refused with its bytes.
    pub journal_record_bytes_max: usize,
    /// Sent records that are not yet acknowledged; beyond it the lane takes no more inputs.
    pub unsettled_max: usize,
    /// The longest wait for inputs: how late a lane hears that it should stop.
    pub wait_max: Duration,
    /// The longest wait for the group's word: how late a host hears that it should stop.
    pub group_wait: Duration,
    /// A lane with nothing else to do waits so long for acknowledgements that its service asks for, before it
    /// looks for inputs again.
    pub ack_wait: Duration,
    /// A lane with nothing in flight compares the journal's end with its own next offset this often.
    pub look_every: Duration,
    /// Before sending, when the last confirmation is older than this, the lane looks first.
    pub confirm_fresh_for: Duration,
    /// How long a takeover waits to meet its own announcement.
    pub announce_wait: Duration,
    /// States of a lane that are kept decoded; the others are at rest, as their bytes.
    pub awake_max: usize,
    /// What those may take of memory, all lanes of a process together, and where the others lie.
    pub spill: Spill,
    /// How often changed states are captured.
    pub snapshot_every: Duration,
    /// Journal records below a snapshot are kept this long, for audit.
    pub journal_kept_for: Duration,
    /// A `skip` record follows when the position is so many offsets ahead of the last record's...
    pub skip_after_offsets: i64,
    /// ...or so much time.
    pub skip_after: Duration,
    /// A lane gone quiet writes down its dispatch cursor after this time.
    pub quiet_after: Duration,
    /// Panics in a row, with fewer than `crash_calm` inputs between them, after which the lane refuses.
    pub crashes_max: u32,
    /// Inputs decided without a panic after which the count begins anew.
    pub crash_calm: u32,
    /// The first wait before taking over again; doubles up to `back_off_max`.
    pub back_off: Duration,
    /// The longest such wait.
    pub back_off_max: Duration,
    /// A lane that a rival has taken waits for a new generation of the group, or for this time (longer
    /// than the heartbeat interval, so that a later heartbeat has confirmed the assignment).
    pub superseded_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            proposal_records_max: 1_000,
            proposal_bytes_max: 4 << 20,
            journal_record_bytes_max: 8 << 20,
            unsettled_max: 20_000,
            wait_max: Duration::from_millis(100),
            group_wait: Duration::from_millis(20),
            ack_wait: Duration::from_millis(5),
            look_every: Duration::from_secs(1),
            confirm_fresh_for: Duration::from_secs(5),
            announce_wait: Duration::from_secs(10),
            awake_max: 10_000,
            spill: Spill::never(),
            snapshot_every: Duration::from_secs(5),
            journal_kept_for: Duration::from_secs(24 * 3600),
            skip_after_offsets: 10_000,
            skip_after: Duration::from_secs(60),
            quiet_after: Duration::from_secs(1),
            crashes_max: 5,
            crash_calm: 100,
            back_off: Duration::from_millis(100),
            back_off_max: Duration::from_secs(10),
            superseded_wait: Duration::from_secs(4),
        }
    }
}

impl Limits {
    /// # Panics
    /// Where the bounds contradict each other (`all-bounded`).
    pub fn assert_consistent(&self) {
        assert!(self.proposal_records_max > 0, "all-bounded: an append holds at least one record");
        assert!(
            self.journal_record_bytes_max >= 2 << 20,
            "all-bounded: a journal record must hold any inbox record with its headers"
        );
        assert!(self.back_off <= self.back_off_max, "all-bounded: waits grow");
        assert!(self.crashes_max > 0, "all-bounded: one panic alone must not stop a lane");
    }
}
