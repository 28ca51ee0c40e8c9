//! Inbox records: decoded, decided on beside a running workflow, and what follows from them.

use std::collections::BTreeMap;

use bytes::Bytes;
use coordinator::{Coordinator, Decided, Remembered};
use events::{Header, Outgoing, Place, Record, Timestamp, Topic};
use stream::{Cause, Journaled, Service, Spill, States, Verdict};

use crate::corpus::{Target, turn};

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

const SAGA: &str = r#"version: "2.0"
name: orders
key: ${inputs.order}
inputs: [{name: order, type: string}, {name: total, type: number, default: 1}]
topics: {payments: {topic: shop.payments, correlate: "${event.value.order}"}}
outputs: [{name: total, from: "${inputs.total}"}, {name: label, from: reserve.output}]
tasks:
  - {id: reserve, agent: stock, inputs: [order, total], compensate: release}
  - {id: paid, await: payments/Paid, depends_on: [reserve]}
  - {id: approved, await: signal/Approve, depends_on: [reserve]}
  - {id: ship, agent: stock, depends_on: [paid, approved], inputs: [order], retry: {max_attempts: 3}}
"#;

/// The records that follow from an event.
pub(crate) fn react(event: &Decided) -> Vec<Outgoing> {
    Coordinator::react(event)
}

pub(crate) fn headers(of: &[(&str, &str)]) -> Vec<Header> {
    of.iter().map(|(name, value)| Header::text((*name).to_owned(), *value)).collect()
}

/// What a lane holds.
pub(crate) struct Held {
    pub(crate) states: States<Remembered>,
    copies: BTreeMap<String, Remembered>,
    offset: i64,
}

impl Held {
    /// A saga that is deployed, and a workflow of it that has begun; with all events.
    pub(crate) fn with_a_workflow() -> (Self, Vec<Decided>) {
        let mut held =
            Self { states: States::new(0, Spill::never()), copies: BTreeMap::new(), offset: 0 };
        let mut events = held.take(&record(
            None,
            &headers(&[
                ("ce_type", "pavane.DeploySaga"),
                ("pavane_saga", "orders"),
                ("pavane_version", saga::check(SAGA).plan.unwrap().version.as_str()),
                ("pavane_revision", "1"),
                ("ce_id", "d1"),
            ]),
            SAGA.as_bytes(),
        ));
        events.extend(held.take(&record(
            Some(b"orders:7"),
            &headers(&[("ce_type", "pavane.StartWorkflow"), ("ce_id", "s1")]),
            br#"{"order":"7","total":3.5}"#,
        )));
        assert!(held.copies.len() >= 2 && events.len() >= 3, "{events:?}");
        (held, events)
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = &Remembered> {
        use stream::Stored;
        self.copies.values().inspect(|state| assert!(!state.encode().is_empty()))
    }

    /// Decides on a record, and folds what was decided.
    pub(crate) fn take(&mut self, record: &Record) -> Vec<Decided> {
        let input = Coordinator.parse(record).unwrap();
        let verdict = Coordinator.decide(&self.states, Cause::Input(&input), NOW);
        let Verdict::Accepted(events) = verdict else { panic!("{verdict:?}") };
        for event in &events {
            let key = event.key();
            self.states.change(
                &key,
                |state| Coordinator::evolve(state, event),
                Coordinator::wake_at,
            );
            if let Some(state) = self.states.get(&key) {
                self.copies.insert(key.to_string(), state.clone());
            }
        }
        self.offset += 1;
        events
    }
}

fn record(key: Option<&[u8]>, headers: &[Header], value: &[u8]) -> Record {
    Record {
        place: Place { topic: Topic::from("pavane.inbox"), partition: 0, offset: 3 },
        timestamp: NOW,
        key: key.map(Bytes::copy_from_slice),
        value: (value != b"null!").then(|| Bytes::copy_from_slice(value)),
        headers: headers.to_vec(),
    }
}

/// The first line is the key (`-`: null), then lines `name: value` (`-`: null) up to an empty one; the rest is
/// the value (`null!`: null).
pub(crate) fn read(input: &[u8]) -> Record {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let key = lines.next().unwrap_or_default();
    let mut rest = lines.next().unwrap_or_default();
    let mut headers = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (line, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        let Some(at) = line.windows(2).position(|pair| pair == b": ") else { break };
        let value = &line[at + 2..];
        headers.push(Header {
            name: String::from_utf8_lossy(&line[..at]).into_owned().into(),
            value: (value != b"-").then(|| Bytes::copy_from_slice(value)),
        });
    }
    record((key != b"-").then_some(key), &headers, rest)
}

/// Every record is accepted, ignored or refused; what is accepted reads back from the journal, folds, and is
/// sent as JSON that whoever gets it can read.
#[test]
fn inbox_records_from_any_bytes() {
    let _turn = turn();
    let (held, _) = Held::with_a_workflow();
    let target = Target {
        name: "inbox",
        made: Vec::new(),
        words: &[
            b"ce_type: pavane.TaskCompleted\n",
            b"ce_type: pavane.TaskFailed\n",
            b"ce_type: pavane.SkipTask\n",
            b"ce_type: pavane.Signal\n",
            b"ce_type: pavane.DomainEvent\n",
            b"ce_type: pavane.StartWorkflow\n",
            b"ce_type: pavane.DeploySaga\n",
            b"ce_subject: orders:7/reserve/3.do1\n",
            b"orders:7",
            b"\n\n",
            b": ",
            b": -\n",
            b"null",
            b"1e400",
            b"-0.0",
            b"9223372036854775808",
            b"\\ud800",
            b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
            b"{\"a\":{\"a\":{\"a\":{\"a\":",
            b"0001-01-01T00:00:00Z",
            b"9999-12-31T23:59:59.999Z",
        ],
        inputs: 8_000,
        bytes_max: 8 << 20,
        bytes_for_each: 400,
    };
    let mut accepted = 0;
    target.run(|input| {
        let record = read(input);
        let Ok(input) = Coordinator.parse(&record) else { return };
        let home = Coordinator::home(&input);
        assert!(home.is_none_or(|home| home.len() <= 1_000));
        let verdict = Coordinator.decide(&held.states, Cause::Input(&input), record.timestamp);
        let Verdict::Accepted(events) = verdict else { return };
        accepted += 1;
        let mut states: BTreeMap<String, Option<Remembered>> = BTreeMap::new();
        for event in &events {
            let mut bytes = Vec::new();
            event.encode(&mut bytes);
            assert_eq!(Decided::decode(&bytes).unwrap(), *event);
            let key = event.key();
            let state =
                states.entry(key.to_string()).or_insert_with(|| held.states.get(&key).cloned());
            Coordinator::evolve(state, event);
            for record in react(event) {
                sound(&record);
            }
        }
    });
    assert!(
        accepted > 20,
        "only {accepted} records were accepted: the inputs are not what they should be"
    );
}

/// What is sent can be read.
fn sound(record: &Outgoing) {
    match &record.value {
        events::Payload::Null => {}
        events::Payload::Bytes(bytes) => {
            // The definition of a deployment is sent as the file that it is.
            let is_json = record.headers.iter().any(|header| {
                &*header.name == "content-type"
                    && header.value.as_deref() == Some(b"application/json")
            });
            // An empty value is null.
            if is_json && !bytes.is_empty() {
                let read = serde_json::from_slice::<serde_json::Value>(bytes);
                assert!(read.is_ok(), "{record:?}");
            }
        }
        events::Payload::Avro { schema, datum } => {
            events::Lifecycle::decode(schema, datum).unwrap();
        }
    }
}
