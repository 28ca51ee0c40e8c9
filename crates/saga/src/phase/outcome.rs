//! What a task comes to for those around it, beside where it is itself.

use events::{CommandKind, Subject};
use minicbor::{Decode, Encode};

/// What a task comes to that is undone while the workflow goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum After {
    /// It is not.
    #[n(0)]
    Nothing,
    /// It has failed then.
    #[n(1)]
    Fail,
    /// It is cancelled then.
    #[n(2)]
    Cancel,
    /// It has failed, and that counts as if it were done without an output.
    #[n(3)]
    Tolerated,
    /// It has failed, and what depends on it is skipped.
    #[n(4)]
    Accepted,
    /// It has failed then, and nothing in it is undone.
    #[n(6)]
    Drop,
}

/// How a failure is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Loss {
    /// Nobody has dealt with it yet.
    #[n(0)]
    Open,
    /// What depends on it is skipped: `continue`, of the file or of an operator.
    #[n(1)]
    Accepted,
    /// It counts as if it were done without an output: `optional`, `at_least`.
    #[n(2)]
    Tolerated,
}

/// What has become of a task's fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Cover {
    /// It was not called.
    #[n(0)]
    Uncalled,
    /// It is under way: what the task comes to is open.
    #[n(1)]
    Working,
    /// It has done the task.
    #[n(2)]
    Worked,
    /// It has failed, was passed over or stopped.
    #[n(3)]
    Spent,
}

/// Why a task was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Passed {
    /// It need not run; nor need what depends on nothing else.
    #[n(0)]
    Unneeded,
    /// It stands behind a failure that was accepted; so does what depends on nothing else.
    #[n(1)]
    Behind,
    /// An operator goes on without it.
    #[n(2)]
    ByHand,
}

/// The incarnations of a task that were undone: what is said of their commands is not about the one that
/// stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Earlier {
    #[n(0)]
    pub(crate) incarnations: u32,
    /// Their last attempt's number.
    #[n(1)]
    pub(crate) attempts: u32,
    /// Their last query's number.
    #[n(2)]
    pub(crate) queries: u32,
    /// Their last undo's number.
    #[n(3)]
    pub(crate) undos: u32,
    /// The last of them was known to have worked.
    #[n(4)]
    pub(crate) told: bool,
}

impl Earlier {
    /// Whether the command was one of theirs. Undos are told by `Task::undos_void`.
    pub(crate) fn counts(&self, subject: &Subject) -> bool {
        match subject.kind {
            CommandKind::Do => subject.n <= self.attempts,
            CommandKind::Query => subject.n <= self.queries,
            CommandKind::Undo => false,
        }
    }
}
