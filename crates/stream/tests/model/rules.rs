//! What the protocol rests on, each rule by itself, and how far an exploration goes.

/// The rules. All hold in the code; each can be broken here, to see that it is needed. The comment names
/// where the code has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each rule is broken by itself")]
pub(crate) struct Rules {
    // The reader: `Context::judge`.
    /// An announcement takes effect only if its epoch is greater.
    pub(crate) newer_epoch_only: bool,
    /// A decision under another epoch is void.
    pub(crate) epoch_matches: bool,
    /// A decision under another owner is void.
    pub(crate) owner_matches: bool,
    /// A decision whose number is not the next is void.
    pub(crate) seq_is_next: bool,

    // The takeover: `take_over`.
    /// The fence is taken strictly before the announcement.
    pub(crate) fences_first: bool,
    /// A journal that begins above the snapshot is refused only if no newer snapshot is there.
    pub(crate) loads_again: bool,
    /// The journal is folded up to the own announcement, not to the end seen before.
    pub(crate) folds_to_own_announcement: bool,
    /// The own announcement is found by its owner, not by its epoch.
    pub(crate) finds_by_owner: bool,
    /// Active is who still holds the fence after winning the journal.
    pub(crate) claims: bool,
    /// What may not have been sent is sent again.
    pub(crate) sends_again: bool,

    // The lane: `Lane::commit`, `confirm`, `read_back`, `look`.
    /// Nothing is sent before its record is acknowledged.
    pub(crate) acts_after_ack: bool,
    /// An acknowledgement confirms only at the expected offset.
    pub(crate) expects_offset: bool,
    /// Where it came at another offset, the journal is read back; that offset is not adopted.
    pub(crate) reads_back: bool,
    /// An append in doubt ends the epoch; it is never made again.
    pub(crate) doubt_ends_epoch: bool,
    /// A lane with nothing in flight looks at the journal's end.
    pub(crate) looks_when_idle: bool,
    /// Every record carries the position past what was ignored before it.
    pub(crate) carries_position: bool,

    // Sending: `Outbox`, `Restored::note_answered`.
    /// The cursor stays at what is not acknowledged.
    pub(crate) cursor_waits_for_acks: bool,
    /// The cursor stays at what was not told of yet.
    pub(crate) cursor_waits_for_answers: bool,
    /// What was answered is remembered by whoever takes over.
    pub(crate) notes_answers: bool,
    /// The service is told only of what is acknowledged.
    pub(crate) tells_after_ack: bool,

    // Snapshots: `Camera`.
    /// Only confirmed states are captured.
    pub(crate) captures_confirmed: bool,
    /// A snapshot is written only once the cursor has passed all that it holds.
    pub(crate) snapshot_waits_for_cursor: bool,
    /// The marker is the reader's whole context.
    pub(crate) whole_marker: bool,
    /// States and marker become visible as one.
    pub(crate) marker_with_states: bool,
    /// A holder that was fenced can not write.
    pub(crate) fence_holds: bool,
    /// A holder that was fenced ends its epoch; it does not take the fence again in place.
    pub(crate) fenced_is_lost: bool,
    /// The journal is trimmed only below what was written.
    pub(crate) trims_below_written: bool,
}

impl Rules {
    /// As the code has them.
    pub(crate) const ALL: Self = Self {
        newer_epoch_only: true,
        epoch_matches: true,
        owner_matches: true,
        seq_is_next: true,
        fences_first: true,
        loads_again: true,
        folds_to_own_announcement: true,
        finds_by_owner: true,
        claims: true,
        sends_again: true,
        acts_after_ack: true,
        expects_offset: true,
        reads_back: true,
        doubt_ends_epoch: true,
        looks_when_idle: true,
        carries_position: true,
        cursor_waits_for_acks: true,
        cursor_waits_for_answers: true,
        notes_answers: true,
        tells_after_ack: true,
        captures_confirmed: true,
        snapshot_waits_for_cursor: true,
        whole_marker: true,
        marker_with_states: true,
        fence_holds: true,
        fenced_is_lost: true,
        trims_below_written: true,
    };
}

/// How far an exploration goes: what there is to do, and how often each fault may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Processes that think they hold the lane. Any may pause at any step and go on at any later one, or die.
    pub(crate) processes: usize,
    /// Attempts to take over, of all processes.
    pub(crate) owners: u8,
    /// Records in the inbox. The second is ignored while the timer is set.
    pub(crate) inputs: u8,
    /// Whether the first input sets a timer. It fires at any time from then on, once.
    pub(crate) timer: bool,
    /// Whether what follows from the first input asks to be told of its acknowledgement.
    pub(crate) tells: bool,
    /// Records in one append.
    pub(crate) batch: usize,
    /// Snapshots captured.
    pub(crate) snapshots: u8,
    /// Records of an append that are never stored; the process hears that the append is in doubt.
    pub(crate) losses: u8,
    /// Records stored, but acknowledged without an offset.
    pub(crate) unplaced: u8,
    /// Appends that the process hears are in doubt while they are still on their way.
    pub(crate) doubts: u8,
    /// Records stored twice.
    pub(crate) repeats: u8,
    /// From one of so many states each process is run alone to the end. 1: from all.
    pub(crate) alone_every: u64,
}

impl Bounds {
    /// Two processes, two takeovers, two inputs, no faults but pauses, deaths and late appends.
    pub(crate) const SMALL: Self = Self {
        processes: 2,
        owners: 2,
        inputs: 2,
        timer: false,
        tells: false,
        batch: 2,
        snapshots: 0,
        losses: 0,
        unplaced: 0,
        doubts: 0,
        repeats: 0,
        alone_every: 1,
    };
}

/// A protocol and how far to explore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) rules: Rules,
    pub(crate) bounds: Bounds,
}
