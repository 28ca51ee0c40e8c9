//! What a stateful service is.

use events::{Offset, Outgoing, Record, Refusal, Timestamp};

use crate::broker::{Key, SendError};
use crate::states::States;

/// A deterministic state machine over keyed states. A lane feeds it inputs in the order of the inbox
/// and due timers, journals what it decides, and only then sends what follows.
///
/// `decide` may read every state that the lane holds, since they share one journal; `evolve` changes the
/// one that its event names. Same states, same cause, same `now`: same verdict.
pub trait Service: Send + Sync + 'static {
    /// A decoded inbox record.
    type Input: Send;
    /// What was decided.
    type Event: Journaled;
    /// What is remembered of one key.
    type State: Stored;

    /// Decodes an inbox record.
    ///
    /// # Errors
    /// The refusal, where the record can never work: it becomes a dead letter.
    fn parse(&self, record: &Record) -> Result<Self::Input, Refusal>;

    /// The key whose lane this input belongs to; a lane that is not that key's forwards it. `None`: it
    /// belongs wherever it stands.
    fn home(input: &Self::Input) -> Option<Key>;

    /// What is to be done. Pure.
    fn decide(
        &self,
        held: &States<Self::State>,
        cause: Cause<'_, Self::Input, Self::Event>,
        now: Timestamp,
    ) -> Verdict<Self::Event>;

    // No `self` from here on: neither configuration nor a cache can reach what is replayed.

    /// Folds one event into the state of its key.
    fn evolve(state: &mut Option<Self::State>, event: &Self::Event);

    /// The records that follow from one event, as pure formatting of it: what is sent again after a
    /// takeover is the same bytes.
    fn react(event: &Self::Event) -> Vec<Outgoing>;

    /// Whether [`Cause::Sent`] is to tell when all records that `react` gives for this event have been
    /// acknowledged.
    fn wants_ack(event: &Self::Event) -> bool;

    /// When the state next wants to be asked with [`Cause::Wake`].
    fn wake_at(state: &Self::State) -> Option<Timestamp>;
}

/// An event of a service.
pub trait Journaled: Clone + Send + Sync + std::fmt::Debug + 'static {
    /// The key whose state it changes.
    fn key(&self) -> Key;
    /// Appends its bytes.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads what `encode` of this or any released build wrote.
    ///
    /// # Errors
    /// What is unknown or broken. The lane then refuses; it never skips.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

/// A state of a service.
pub trait Stored: Clone + Send + Sync + 'static {
    /// Its bytes for a snapshot.
    fn encode(&self) -> Vec<u8>;
    /// Reads what `encode` of this or any released build wrote.
    ///
    /// # Errors
    /// What is unknown or broken. The lane then refuses; it never skips.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
    /// Whether it may be kept as its bytes while nothing asks for it: not what is dear to decode.
    fn may_rest(&self) -> bool;
}

/// Why the service is asked.
#[derive(Debug)]
pub enum Cause<'a, I, E> {
    /// An inbox record, decoded.
    Input(&'a I),
    /// The time that `wake_at` named for this key has come.
    Wake(&'a Key),
    /// All records that `react` gave for this event, which [`Service::wants_ack`], are acknowledged. Told
    /// until an answer stands in the journal, also by those that take the lane over meanwhile; not told of
    /// an event of which a record was parked. To answer `Ignored` is to know it already.
    Sent(&'a E),
    /// A record that `react` gave can not be sent. To answer `Ignored` drops it for good.
    Parked(&'a Parked),
}

/// A record that could not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The key of the event that it followed from.
    pub key: Key,
    /// The journal offset of that event's record.
    pub offset: Offset,
    /// The record.
    pub record: Outgoing,
    /// Why.
    pub error: SendError,
}

/// What a service answers.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<E> {
    /// Journalled, then acted on. Not empty.
    Accepted(Vec<E>),
    /// A duplicate, or too late: counted, not written. No effect at all.
    Ignored(Stale),
    /// Can never work: journalled with its bytes, then sent to the dead letters. Only for inputs.
    DeadLetter(Refusal),
}

/// Why an input has no effect. The text is a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale(pub &'static str);
