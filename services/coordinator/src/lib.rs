//! The stateful service for sagas: glue between `saga`, which decides, and `stream`, which journals and sends.
//! Nothing is decided here.

use events::{Outgoing, Record, Refusal, Timestamp};
use saga::{Decision, Event, Held, Input, State, Unsent};
use stream::{Cause, Journaled, Key, SendError, Service, Stale, States, Stored, Verdict};

/// Sagas as a service over the journal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coordinator;

impl Service for Coordinator {
    type Input = Input;
    type Event = Decided;
    type State = Remembered;

    fn parse(&self, record: &Record) -> Result<Input, Refusal> {
        saga::parse(record)
    }

    fn home(input: &Input) -> Option<Key> {
        let workflow = match input {
            Input::Start(start) => &start.workflow,
            Input::Answer { subject, .. } => &subject.workflow,
            Input::Operator { workflow, .. }
            | Input::Seen { workflow, .. }
            | Input::Signal { workflow, .. }
            | Input::Unwind { workflow, .. } => workflow,
            // A definition stands on every partition.
            Input::Deploy(_) => return None,
        };
        Some(Key::from(workflow.as_str()))
    }

    fn decide(
        &self,
        held: &States<Remembered>,
        cause: Cause<'_, Input, Decided>,
        now: Timestamp,
    ) -> Verdict<Decided> {
        let cause = match &cause {
            Cause::Input(input) => saga::Cause::Input(input),
            Cause::Wake(key) => saga::Cause::Wake(key),
            Cause::Sent(event) => saga::Cause::Sent(&event.0),
            Cause::Parked(parked) => {
                let (unsent, reason) = match &parked.error {
                    SendError::Never(reason) => (Unsent::Never, reason),
                    SendError::InDoubt(reason) => (Unsent::InDoubt, reason),
                };
                saga::Cause::Undeliverable {
                    key: &parked.key,
                    record: &parked.record,
                    unsent,
                    reason,
                }
            }
        };
        match saga::decide(&Lane(held), cause, now) {
            Decision::Accepted(events) => {
                Verdict::Accepted(events.into_iter().map(Decided).collect())
            }
            Decision::Ignored(why) => Verdict::Ignored(Stale(why)),
            Decision::DeadLetter(refusal) => Verdict::DeadLetter(refusal),
        }
    }

    fn evolve(state: &mut Option<Remembered>, event: &Decided) {
        let mut inner = state.take().map(|Remembered(state)| state);
        saga::evolve(&mut inner, &event.0);
        *state = inner.map(Remembered);
    }

    fn react(event: &Decided) -> Vec<Outgoing> {
        saga::react(&event.0)
    }

    fn wants_ack(event: &Decided) -> bool {
        saga::wants_ack(&event.0)
    }

    fn wake_at(state: &Remembered) -> Option<Timestamp> {
        saga::wake_at(&state.0)
    }
}

/// The states of a lane, as a decision reads them.
struct Lane<'a>(&'a States<Remembered>);

impl Held for Lane<'_> {
    fn state(&self, key: &str) -> Option<&State> {
        self.0.get(key).map(|Remembered(state)| state)
    }
}

/// An event of a saga, as the journal holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided(pub Event);

impl Journaled for Decided {
    fn key(&self) -> Key {
        self.0.key()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        Event::decode(bytes).map(Self).map_err(|error| error.to_string())
    }
}

/// A state of a saga, as a lane holds it.
#[derive(Clone, Debug)]
pub struct Remembered(pub State);

impl Stored for Remembered {
    fn encode(&self) -> Vec<u8> {
        self.0.encode()
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        State::decode(bytes).map(Self).map_err(|error| error.to_string())
    }

    fn may_rest(&self) -> bool {
        match self.0 {
            State::Workflow(_) | State::Early(_) => true,
            // A plan is compiled, and every decision of its saga asks for it.
            State::Definition(_) | State::Newest(_) => false,
        }
    }
}
