//! Lifecycle events in Avro and JSON, and what the coordinator reads of its own: journal records,
//! events, states and markers.

use std::str::FromStr;

use coordinator::{Decided, Remembered};
use events::{
    Class, Deployment, How, Json, Lifecycle, Place, Problem, Record, Refusal, Run, Subject,
    Timestamp, Topic, What, schemas, unframe,
};
use stream::{
    Announce, Body, Context, Decide, FORMAT, Journaled, Kept, Origin, Owner, Stored, Written,
};

use crate::corpus::{Target, turn};
use crate::inbox::{self, Held};

fn lifecycle(what: What) -> Vec<u8> {
    let event = Lifecycle {
        workflow: "orders:7".into(),
        run: Run(4),
        sequence: 2,
        time: Timestamp::from_millis(1_795_341_600_000),
        saga: "orders".into(),
        version: "0123456789ab".into(),
        what,
    };
    let place = schemas().iter().position(|schema| schema.name == event.schema()).unwrap();
    let mut bytes = vec![u8::try_from(place).unwrap()];
    bytes.extend(event.encode());
    bytes
}

fn some_lifecycles() -> Vec<Vec<u8>> {
    let json =
        || Json::parse(br#"{"order":"7","items":[{"sku":"a","n":1.5}],"note":null}"#).unwrap();
    let problem =
        Problem { task: Some("a".into()), code: "no".to_owned(), message: "x".to_owned() };
    vec![
        lifecycle(What::WorkflowStarted { start_id: "1".to_owned(), inputs: json() }),
        lifecycle(What::WorkflowCompleted { outputs: json() }),
        lifecycle(What::WorkflowFailed {
            how: How::Compensated,
            problem: problem.clone(),
            outputs: Some(json()),
            stands: vec!["a".into(), "b".into()],
            undone: vec!["c".into()],
            in_doubt: vec![],
        }),
        lifecycle(What::TaskStarted {
            task: "a".into(),
            attempt: 1,
            percent: Some(12.5),
            note: Some("n".to_owned()),
        }),
        lifecycle(What::CompensationStarted { epoch: 1, problem }),
    ]
}

/// The first byte says which schema; the rest is the datum. What decodes encodes, and decodes to the same.
#[test]
fn lifecycle_events_from_any_bytes() {
    let _turn = turn();
    let target = Target {
        name: "events",
        made: some_lifecycles(),
        words: &[
            b"\x02",
            b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
            b"{\"a\":1}",
            b"[[[[",
            b"null",
        ],
        inputs: 20_000,
        bytes_max: 64 * 1024,
        bytes_for_each: 200,
    };
    target.run(|input| {
        let (first, datum) = input.split_first().unwrap_or((&0, &[]));
        let schema = schemas()[usize::from(*first) % schemas().len()].name;
        if let Ok(event) = Lifecycle::decode(schema, datum) {
            let again = event.encode();
            assert_eq!(Lifecycle::decode(schema, &again).unwrap().encode(), again);
        }
        if let Ok(json) = Json::parse(input) {
            assert_eq!(Json::parse(json.as_str().as_bytes()).unwrap(), json);
        }
        let _ = (unframe(input), Deployment::decode(input));
        if let Ok(text) = std::str::from_utf8(input) {
            if let Ok(subject) = Subject::from_str(text) {
                assert_eq!(Subject::from_str(&subject.to_string()).unwrap(), subject);
            }
            if let Ok(time) = Timestamp::from_str(text) {
                assert_eq!(Timestamp::from_str(&time.to_string()).unwrap(), time);
            }
        }
    });
}

fn decide(body: Body) -> Vec<u8> {
    Written::Decide(Decide {
        epoch: 3,
        owner: Owner([7; 16]),
        seq: 9,
        position: 12,
        cursor: 8,
        time: Timestamp::from_millis(1_795_341_600_000),
        source: Origin::Input(11),
        body,
    })
    .encode()
    .to_vec()
}

/// Records as a run of a workflow leaves them, and its states.
fn some_records() -> Vec<Vec<u8>> {
    let (held, events) = Held::with_a_workflow();
    let record = Record {
        place: Place { topic: Topic::from("pavane.inbox"), partition: 0, offset: 4 },
        timestamp: Timestamp::from_millis(5),
        key: Some("k".into()),
        value: Some("v".into()),
        headers: inbox::headers(&[("ce_type", "x")]),
    };
    let refusal = Refusal::new(Class::Invalid, "code", "message");
    let announce = Announce { epoch: 3, owner: Owner([7; 16]), format: FORMAT };
    let mut made = vec![
        Written::Announce(announce).encode().to_vec(),
        decide(Body::Nothing),
        decide(Body::Refused(Kept::from(&record), refusal)),
        decide(Body::Forwarded(Kept::from(&record))),
        decide(Body::of(&events)),
        minicbor::to_vec(Context::empty(3)).unwrap(),
    ];
    for event in &events {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        made.push(bytes);
    }
    made.extend(held.states().map(|state| state.encode()));
    made
}

/// What decodes encodes, and decodes to the same; what does not says so.
#[test]
fn journal_records_and_snapshots_from_any_bytes() {
    let _turn = turn();
    let target = Target {
        name: "journal",
        made: some_records(),
        words: &[
            b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"\x9f",
            b"\xbf",
            b"\xff",
            b"\x5b\x00\x00\x00\x10\x00\x00\x00\x00",
            b"\x82\x00\x81",
            b"\xf6",
        ],
        inputs: 20_000,
        bytes_max: 4 << 20,
        bytes_for_each: 400,
    };
    target.run(|input| {
        if let Ok(written) = Written::decode(input) {
            let again = written.encode();
            assert_eq!(Written::decode(&again).unwrap(), written);
            let mut context = Context::empty(1);
            let _ = context.judge(0, &written);
            if let Written::Decide(decide) = &written
                && let Ok(events) = decide.body.events::<Decided>()
            {
                for event in events {
                    let _ = inbox::react(&event);
                }
            }
        }
        if let Ok(event) = Decided::decode(input) {
            let mut again = Vec::new();
            event.encode(&mut again);
            assert_eq!(Decided::decode(&again).unwrap(), event);
        }
        if let Ok(state) = Remembered::decode(input) {
            let again = state.encode();
            assert_eq!(Remembered::decode(&again).unwrap().encode(), again);
        }
        let _ = minicbor::decode::<Context>(input);
    });
}
