//! What a task comes to for those around it, beside where it is itself.

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
