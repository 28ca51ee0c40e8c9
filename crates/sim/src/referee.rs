//! The reader's rules once more, so that one who breaks them in the code does not break them here.

use events::Offset;
use stream::{Announce, Decide, Owner, Ruling, Written};

/// What the rules ask for.
#[derive(Default)]
pub(crate) struct Referee {
    epoch: u64,
    owner: Owner,
    seq: u64,
    position: Offset,
    cursor: Offset,
}

impl Referee {
    /// Whether the code's reader rules as the rules say.
    pub(crate) fn agrees(&mut self, at: Offset, written: &Written, ruling: Ruling) -> bool {
        match written {
            Written::Announce(Announce { epoch, owner, .. }) => {
                let newer = *epoch > self.epoch;
                if newer {
                    (self.epoch, self.owner, self.seq) = (*epoch, *owner, 0);
                }
                newer == (ruling == Ruling::Announced)
            }
            Written::Decide(Decide { epoch, owner, seq, position, cursor, .. }) => {
                let is_valid = (*epoch, *owner) == (self.epoch, self.owner)
                    && *seq == self.seq + 1
                    && *position >= self.position
                    && *cursor <= at;
                if is_valid {
                    (self.seq, self.position) = (*seq, *position);
                    self.cursor = self.cursor.max(*cursor);
                }
                is_valid == (ruling == Ruling::Valid)
            }
        }
    }

    /// The dispatch cursor.
    pub(crate) fn cursor(&self) -> Offset {
        self.cursor
    }
}
