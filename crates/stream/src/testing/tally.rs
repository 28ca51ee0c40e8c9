//! A small service to test lanes with: per key, the list of values added, in order. An input's value says
//! what it does: a text is added; `later:<ms>` adds `rang` at that time; `again` is ignored where the last
//! value is `again` already; `poison` is refused; `panic` panics; `task` sends a command; `often:<n>` is
//! added n times; `emit` sends a record to a user's topic too, and asks to be told: then `sent:<n>` is added,
//! or `parked:<n>` where that can not be sent; `emit twice` does so twice in one decision; under the key `panics` to be told panics.

use bytes::Bytes;
use events::{AgentName, Class, Destination, Outgoing, Payload, Record, Refusal, Timestamp};

use crate::broker::Key;
use crate::service::*;
use crate::states::States;

pub(crate) struct Tally;

pub(crate) struct Add {
    pub(crate) key: Key,
    pub(crate) what: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Added {
    pub(crate) key: Key,
    pub(crate) what: String,
    /// Its place in the list.
    pub(crate) n: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct List {
    pub(crate) all: Vec<String>,
    pub(crate) due: Option<i64>,
}

impl Service for Tally {
    type Input = Add;
    type Event = Added;
    type State = List;

    fn parse(&self, record: &Record) -> Result<Add, Refusal> {
        let text = |bytes: &Option<Bytes>| {
            String::from_utf8(bytes.clone().unwrap_or_default().to_vec()).unwrap()
        };
        let what = text(&record.value);
        if what == "poison" {
            return Err(Refusal::new(Class::Undecodable, "poison", "it is poison"));
        }
        Ok(Add { key: text(&record.key).into(), what })
    }

    fn home(input: &Add) -> Option<Key> {
        Some(input.key.clone())
    }

    fn decide(
        &self,
        held: &States<List>,
        cause: Cause<'_, Add, Added>,
        now: Timestamp,
    ) -> Verdict<Added> {
        let (key, what) = match cause {
            Cause::Input(input) => (&input.key, input.what.clone()),
            Cause::Wake(key) => {
                let due = held.get(key).unwrap().due.unwrap();
                assert!(now.as_millis() >= due, "woken too early");
                (key, "rang".to_owned())
            }
            Cause::Sent(event) if &*event.key == "panics" => panic!("as the key says"),
            Cause::Sent(event) => (&event.key, format!("sent:{}", event.n)),
            Cause::Parked(parked) => {
                let text = text_of(&parked.record);
                let n = text.strip_suffix(":emit");
                (&parked.key, n.map_or("parked".to_owned(), |n| format!("parked:{n}")))
            }
        };
        let answers = |n: &str| {
            let all = held.get(key).map(|list| &list.all).into_iter().flatten();
            all.filter(|what| **what == format!("sent:{n}") || **what == format!("parked:{n}"))
                .count()
        };
        if let Some(n) = what.strip_prefix("sent:") {
            assert_eq!(answers(n), 0, "acked-then-told: told of {n} after it was answered");
        }
        if what.strip_prefix("parked:").is_some_and(|n| answers(n) > 0) {
            return Verdict::Ignored(Stale("known"));
        }
        let is_input = |what: &&String| *what != "rang" && !is_answer(what);
        let last = held.get(key).and_then(|list| list.all.iter().rfind(is_input));
        if what == "again" && last.is_some_and(|last| last == "again") {
            return Verdict::Ignored(Stale("again"));
        }
        assert_ne!(what, "panic", "as the input says");
        let n = held.get(key).map_or(0, |list| list.all.len());
        let (what, times) = match what.strip_prefix("often:") {
            Some(times) => (what.clone(), times.parse().unwrap()),
            None if what == "emit twice" => ("emit".to_owned(), 2),
            None => (what, 1),
        };
        let added = (n..n + times).map(|n| Added { key: key.clone(), what: what.clone(), n });
        Verdict::Accepted(added.collect())
    }

    fn evolve(state: &mut Option<List>, event: &Added) {
        let list = state.get_or_insert_default();
        match event.what.strip_prefix("later:") {
            Some(at) => list.due = Some(at.parse().unwrap()),
            None if event.what == "rang" => list.due = None,
            None => {}
        }
        list.all.push(event.what.clone());
    }

    fn react(event: &Added) -> Vec<Outgoing> {
        let to = if event.what == "task" {
            Destination::Tasks(AgentName::from("worker"))
        } else {
            Destination::Events
        };
        let value = Payload::Bytes(Bytes::from(format!("{}:{}", event.n, event.what)));
        let key = Some(Bytes::copy_from_slice(event.key.as_bytes()));
        let record = Outgoing { to, partition: None, key, value, headers: Vec::new() };
        let emitted = Self::wants_ack(event)
            .then(|| Outgoing { to: Destination::Named("shop.out".into()), ..record.clone() });
        std::iter::once(record).chain(emitted).collect()
    }

    fn wants_ack(event: &Added) -> bool {
        event.what == "emit"
    }

    fn wake_at(state: &List) -> Option<Timestamp> {
        state.due.map(Timestamp::from_millis)
    }
}

/// Whether that is said of an event that asked to be told.
pub(crate) fn is_answer(what: &str) -> bool {
    what.starts_with("sent:") || what.starts_with("parked:")
}

/// A record's value.
pub(crate) fn text_of(record: &Outgoing) -> String {
    match &record.value {
        Payload::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Payload::Null | Payload::Avro { .. } => String::new(),
    }
}

impl Journaled for Added {
    fn key(&self) -> Key {
        self.key.clone()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{}\n{}\n{}", self.key, self.n, self.what).as_bytes());
    }
    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let mut lines = text.splitn(3, '\n');
        let mut line = || lines.next().ok_or("no line");
        let (key, n, what) = (line()?.into(), line()?, line()?.to_owned());
        Ok(Self { key, what, n: n.parse().map_err(|_| "no number")? })
    }
}

impl Stored for List {
    fn encode(&self) -> Vec<u8> {
        format!(
            "{}\n{}",
            self.due.map(|due| due.to_string()).unwrap_or_default(),
            self.all.join(",")
        )
        .into_bytes()
    }
    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let (due, all) = text.split_once('\n').ok_or("no line")?;
        let all = all.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect();
        Ok(Self { all, due: due.parse().ok() })
    }
    fn may_rest(&self) -> bool {
        true
    }
}
