//! What there is on a broker, for those who ask.

use std::collections::BTreeSet;

use events::Topic;

/// What there is on a broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// All topics but those that the broker keeps for itself.
    pub topics: BTreeSet<Topic>,
    /// Those whose records members of groups share now, whoever they are. One that nobody has joined yet is
    /// not in it; nor, for a moment, one whose group is deciding anew.
    pub read: BTreeSet<Topic>,
    /// Whether a user's topic that does not exist is made when it is needed.
    pub makes_users_topics: bool,
}
