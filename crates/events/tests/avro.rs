//! The hand-written codec against `apache-avro`, the golden examples, and the schemas' evolution.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use events::{
    AgentName, By, CodecError, How, Json, Lifecycle, Problem, Run, SagaName, Schema, TaskId,
    Timestamp, Version, What, WorkflowId, frame, schemas, unframe,
};
use proptest::prelude::*;

fn parsed(schema: &Schema) -> apache_avro::Schema {
    apache_avro::Schema::parse_str(schema.text)
        .unwrap_or_else(|error| panic!("{} v{}: {error}", schema.name, schema.version))
}

fn newest(name: &str) -> &'static Schema {
    schemas().iter().filter(|schema| schema.name == name).max_by_key(|it| it.version).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

fn file_names(folder: &Path, ending: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(ending).map(str::to_owned))
        .collect();
    names.sort();
    names
}

#[test]
fn every_schema_file_is_in_the_list_and_has_an_example() {
    let mut listed: Vec<String> = schemas()
        .iter()
        .map(|it| format!("{}.v{}", it.name.strip_prefix("pavane.").unwrap(), it.version))
        .collect();
    listed.sort();
    assert_eq!(listed, file_names(&folder(), ".avsc"));
    assert_eq!(listed, file_names(&folder().join("examples"), ".json"));
}

#[test]
fn ids_are_places_in_the_list_and_versions_count_up() {
    let mut versions = BTreeMap::<&str, u32>::new();
    for (schema, id) in schemas().iter().zip(1..) {
        let last = versions.entry(schema.name).or_default();
        *last += 1;
        assert_eq!((schema.id, schema.version), (id, *last), "{}", schema.name);
    }
}

/// The ids that have been given. A line here is never changed: records that carry it are out there.
#[test]
fn ids_that_were_given_stay_as_they_are() {
    let given: Vec<String> =
        schemas().iter().map(|it| format!("{} {} v{}", it.id, it.name, it.version)).collect();
    let expect = "1 pavane.WorkflowStarted v1, 2 pavane.WorkflowCompleted v1, \
         3 pavane.WorkflowFailed v1, 4 pavane.WorkflowCancelled v1, 5 pavane.WorkflowPaused v1, \
         6 pavane.WorkflowResumed v1, 7 pavane.CompensationStarted v1, \
         8 pavane.CompensationCompleted v1, 9 pavane.CompensationBlocked v1, \
         10 pavane.TaskScheduled v1, 11 pavane.TaskStarted v1, 12 pavane.TaskCompleted v1, \
         13 pavane.TaskFailed v1, 14 pavane.TaskRetried v1, 15 pavane.TaskTimedOut v1, \
         16 pavane.TaskInDoubt v1, 17 pavane.TaskSkipped v1, 18 pavane.TaskCancelled v1, \
         19 pavane.UndoScheduled v1, 20 pavane.UndoCompleted v1, 21 pavane.UndoFailed v1, \
         22 pavane.TimerFired v1, 23 pavane.SignalReceived v1";
    assert_eq!(given.join(", "), expect);
}

#[test]
fn every_field_has_a_doc_optional_fields_default_to_null_and_enums_have_a_default() {
    fn check(at: &str, node: &serde_json::Value) {
        let text = |key: &str| node.get(key).and_then(serde_json::Value::as_str);
        if let Some(items) = node.as_array() {
            items.iter().for_each(|item| check(at, item));
            return;
        }
        match text("type") {
            Some("record") => assert!(text("doc").is_some(), "{at} has no doc"),
            Some("enum") => assert!(text("default").is_some(), "{at} has no default"),
            _ => {}
        }
        if node.get("symbols").is_none() && node.get("fields").is_none() && text("name").is_some() {
            assert!(text("doc").is_some(), "{at} has no doc");
            if node["type"].is_array() {
                assert_eq!(node["type"][0], "null", "{at}: null comes first");
                assert!(node.get("default").is_some_and(serde_json::Value::is_null), "{at}");
            }
        }
        for (key, child) in node.as_object().into_iter().flatten() {
            if child.is_object() || child.is_array() {
                check(&format!("{at}/{}", text("name").unwrap_or(key)), child);
            }
        }
    }
    for schema in schemas() {
        check(schema.name, &serde_json::from_str(schema.text).unwrap());
    }
}

/// FULL_TRANSITIVE: every version of a record reads every other, offline.
#[test]
fn every_version_reads_every_other() {
    for one in schemas() {
        for other in schemas().iter().filter(|other| other.name == one.name) {
            let verdict = SchemaCompatibility::mutual_read(&parsed(one), &parsed(other));
            let (name, a, b) = (one.name, one.version, other.version);
            assert_eq!(verdict.unwrap(), Compatibility::Full, "{name}: v{a} and v{b}");
        }
    }
}

#[test]
fn a_retyped_field_would_be_found() {
    let schema = newest("pavane.TaskCompleted");
    let retyped = schema.text.replace(r#""type": "long""#, r#""type": "string""#);
    assert_ne!(schema.text, retyped);
    let retyped = apache_avro::Schema::parse_str(&retyped).unwrap();
    assert!(SchemaCompatibility::mutual_read(&parsed(schema), &retyped).is_err());
}

/// The examples were written by another implementation (fastavro), once.
#[test]
fn golden_examples_still_decode_and_encode_to_the_same_bytes() {
    for name in file_names(&folder().join("examples"), ".json") {
        let text = fs::read(folder().join("examples").join(format!("{name}.json"))).unwrap();
        let example: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let schema = newest(example["schema"].as_str().unwrap());
        let datum = bytes_of(example["datum_hex"].as_str().unwrap());

        let event =
            Lifecycle::decode(schema.name, &datum).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(event.schema(), schema.name);
        assert_eq!(&event.encode()[..], &datum[..], "{name}");

        let fields = serde_json::Value::try_from(foreign_read(schema, &datum)).unwrap();
        assert_eq!(fields, example["fields"], "{name}");
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn foreign_read(schema: &Schema, mut datum: &[u8]) -> Value {
    let parsed = parsed(schema);
    let reader = GenericDatumReader::builder(&parsed).build().unwrap();
    let value = reader.read_value(&mut datum).unwrap();
    assert!(datum.is_empty(), "{} bytes are left over", datum.len());
    value
}

fn foreign_write(schema: &Schema, value: Value) -> Vec<u8> {
    let parsed = parsed(schema);
    let writer = GenericDatumWriter::builder(&parsed).build().unwrap();
    writer.write_value_to_vec(value).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_we_write_apache_avro_reads_and_what_it_writes_we_read(event in event()) {
        let datum = event.encode();
        let schema = newest(event.schema());
        let value = foreign_read(schema, &datum);
        if let Value::Record(fields) = &value {
            let text = |name: &str| fields.iter().find(|(field, _)| field == name).unwrap().1.clone();
            prop_assert_eq!(text("workflow_id"), Value::String(event.workflow.to_string()));
            prop_assert_eq!(text("time"), Value::TimestampMillis(event.time.as_millis()));
            prop_assert_eq!(text("run"), Value::Long(event.run.0));
        } else {
            prop_assert!(false, "not a record: {value:?}");
        }
        let written = foreign_write(schema, value);
        prop_assert_eq!(Lifecycle::decode(schema.name, &written), Ok(event.clone()));
        prop_assert_eq!(Lifecycle::decode(schema.name, &datum), Ok(event));
    }

    #[test]
    fn a_datum_cut_short_or_with_more_behind_is_refused(event in event(), cut in any::<prop::sample::Index>()) {
        let datum = event.encode();
        let short = &datum[..cut.index(datum.len())];
        prop_assert!(Lifecycle::decode(event.schema(), short).is_err());
        let mut long = datum.to_vec();
        long.push(0);
        let expected = CodecError::Broken { at: datum.len(), what: "the end" };
        prop_assert_eq!(Lifecycle::decode(event.schema(), &long), Err(expected));
    }

    #[test]
    fn any_bytes_are_read_or_refused(name in any::<prop::sample::Index>(), bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let schema = &schemas()[name.index(schemas().len())];
        if let Ok(event) = Lifecycle::decode(schema.name, &bytes) {
            prop_assert_eq!(Lifecycle::decode(schema.name, &event.encode()), Ok(event));
        }
    }

    #[test]
    fn one_byte_changed_is_read_or_refused(event in event(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut datum = event.encode().to_vec();
        let at = at.index(datum.len());
        datum[at] = byte;
        if let Ok(event) = Lifecycle::decode(event.schema(), &datum) {
            prop_assert_eq!(Lifecycle::decode(event.schema(), &event.encode()), Ok(event));
        }
    }

    #[test]
    fn a_frame_reads_back(id in any::<u32>(), datum in proptest::collection::vec(any::<u8>(), 0..50)) {
        let framed = frame(id, &datum);
        prop_assert_eq!(unframe(&framed), Ok((id, &datum[..])));
    }
}

#[test]
fn what_is_not_framed_is_refused() {
    for value in [&b""[..], b"\0", b"\0\0\0\0", b"{\"order\":1}", b"\x01\0\0\0\x01"] {
        assert!(unframe(value).is_err(), "{value:?}");
    }
}

#[test]
fn an_unknown_name_is_refused_by_name() {
    let event = check_event(What::WorkflowCompleted { outputs: Json::null() });
    let error = Lifecycle::decode("pavane.WorkflowVanished", &event.encode()).unwrap_err();
    assert_eq!(error.to_string(), "no lifecycle event is named `pavane.WorkflowVanished`");
}

/// A length is believed only as far as the bytes reach.
#[test]
fn lengths_that_lie_are_refused() {
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]; // i64::MAX
    let least = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]; // i64::MIN
    let event = check_event(What::CompensationCompleted { undone: Vec::new() });
    let datum = event.encode();
    let common = &datum[..datum.len() - 1];
    for count in [huge, least] {
        assert!(Lifecycle::decode(event.schema(), &count).is_err(), "a text's length");
        let mut bytes = common.to_vec();
        bytes.extend(count);
        assert!(Lifecycle::decode(event.schema(), &bytes).is_err(), "an array's count");
    }
}

/// Other writers may split an array into blocks, with their lengths.
#[test]
fn an_array_in_blocks_is_read() {
    let event = check_event(What::CompensationCompleted { undone: vec!["a".into(), "b".into()] });
    let whole = event.encode();
    let mut blocks = whole[..whole.len() - 6].to_vec();
    blocks.extend([0x02, 0x02, b'a', 0x01, 0x04, 0x02, b'b', 0x00]);
    assert_eq!(Lifecycle::decode(event.schema(), &blocks), Ok(event));
}

#[test]
fn a_text_that_is_not_json_is_refused_where_json_belongs() {
    let event = check_event(What::WorkflowCompleted { outputs: Json::null() });
    let mut datum = event.encode().to_vec();
    let last = datum.len() - 1;
    datum[last] = b'!';
    assert!(matches!(Lifecycle::decode(event.schema(), &datum), Err(CodecError::Broken { .. })));
}

fn check_event(what: What) -> Lifecycle {
    Lifecycle {
        workflow: WorkflowId::from("orders:o-17"),
        run: Run(7),
        sequence: 1,
        time: Timestamp::from_millis(1_795_341_600_123),
        saga: SagaName::from("orders"),
        version: Version::from("3f9c2a1b77de"),
        what,
    }
}

fn event() -> impl Strategy<Value = Lifecycle> {
    let sequence = prop_oneof![1..1000u64, Just(i64::MAX.cast_unsigned())];
    (text(), any::<i64>(), sequence, any::<i64>(), text(), text(), what()).prop_map(
        |(workflow, run, sequence, time, saga, version, what)| Lifecycle {
            workflow: WorkflowId::from(workflow),
            run: Run(run),
            sequence,
            time: Timestamp::from_millis(time),
            saga: SagaName::from(saga),
            version: Version::from(version),
            what,
        },
    )
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,12}", "\\PC{0,6}", Just("ü".repeat(200))]
}

fn task() -> impl Strategy<Value = TaskId> {
    text().prop_map(TaskId::from)
}

fn tasks() -> impl Strategy<Value = Vec<TaskId>> {
    proptest::collection::vec(task(), 0..4)
}

fn json() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::null()),
        text().prop_map(|text| Json::from_value(&serde_json::json!({ "a": [text, 1, null] }))),
        any::<f64>().prop_map(|number| Json::from_value(&serde_json::json!(number))),
    ]
}

fn by() -> impl Strategy<Value = By> {
    (text(), text()).prop_map(|(actor, reason)| By { actor, reason })
}

fn problem() -> impl Strategy<Value = Problem> {
    (proptest::option::of(task()), text(), text()).prop_map(|(task, code, message)| Problem {
        task,
        code,
        message,
    })
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![Just(How::Failed), Just(How::Compensated), Just(How::Partial)]
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

fn percent() -> impl Strategy<Value = Option<f64>> {
    proptest::option::of(0.0..=100.0)
}

/// A variant of `What` with each of its fields from a strategy.
macro_rules! any_of {
    ($name:ident { $($field:ident : $from:expr),* }) => {
        ($($from,)*).prop_map(|($($field,)*)| What::$name { $($field),* }).boxed()
    };
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![of_a_workflow(), of_a_task(), of_an_undo(), of_a_wait()]
}

fn of_a_workflow() -> impl Strategy<Value = What> {
    use proptest::option::of;
    proptest::strategy::Union::new([
        any_of!(WorkflowStarted { start_id: text(), inputs: json() }),
        any_of!(WorkflowCompleted { outputs: json() }),
        any_of!(WorkflowFailed {
            how: how(),
            problem: problem(),
            outputs: of(json()),
            stands: tasks(),
            undone: tasks(),
            in_doubt: tasks()
        }),
        any_of!(WorkflowCancelled {
            by: by(),
            stands: tasks(),
            undone: tasks(),
            in_doubt: tasks()
        }),
        any_of!(WorkflowPaused { problem: problem() }),
        any_of!(WorkflowResumed { by: by() }),
        any_of!(CompensationStarted { epoch: any::<u32>(), problem: problem() }),
        any_of!(CompensationCompleted { undone: tasks() }),
        any_of!(CompensationBlocked { problem: problem() }),
    ])
}

fn of_a_task() -> impl Strategy<Value = What> {
    use proptest::option::of;
    proptest::strategy::Union::new([
        any_of!(TaskScheduled {
            task: task(),
            attempt: any::<u32>(),
            agent: text().prop_map(AgentName::from),
            task_type: text(),
            command: text(),
            inputs: json(),
            deadline: time()
        }),
        any_of!(TaskStarted {
            task: task(),
            attempt: any::<u32>(),
            percent: percent(),
            note: of(text())
        }),
        any_of!(TaskCompleted {
            task: task(),
            attempt: any::<u32>(),
            output: json(),
            by: of(by())
        }),
        any_of!(TaskFailed {
            task: task(),
            attempt: any::<u32>(),
            code: text(),
            message: text(),
            by: of(by())
        }),
        any_of!(TaskRetried {
            task: task(),
            attempt: any::<u32>(),
            code: text(),
            message: text(),
            retry_at: time(),
            by: of(by())
        }),
        any_of!(TaskTimedOut { task: task(), attempt: any::<u32>(), deadline: time() }),
        any_of!(TaskInDoubt {
            task: task(),
            attempt: any::<u32>(),
            policy: text(),
            code: text(),
            message: text()
        }),
        any_of!(TaskSkipped { task: task(), reason: text(), output: of(json()), by: of(by()) }),
        any_of!(TaskCancelled { task: task(), attempt: any::<u32>(), reason: text() }),
    ])
}

fn of_an_undo() -> impl Strategy<Value = What> {
    use proptest::option::of;
    proptest::strategy::Union::new([
        any_of!(UndoScheduled {
            task: task(),
            n: any::<u32>(),
            agent: text().prop_map(AgentName::from),
            task_type: text(),
            command: text(),
            inputs: json(),
            deadline: time()
        }),
        any_of!(UndoCompleted {
            task: task(),
            n: any::<u32>(),
            nothing: any::<bool>(),
            by: of(by())
        }),
        any_of!(UndoFailed {
            task: task(),
            n: any::<u32>(),
            code: text(),
            message: text(),
            retry_at: of(time())
        }),
    ])
}

fn of_a_wait() -> impl Strategy<Value = What> {
    proptest::strategy::Union::new([
        any_of!(TimerFired { task: task() }),
        any_of!(SignalReceived {
            signal: text(),
            data: json(),
            task: proptest::option::of(task())
        }),
    ])
}

/// Else the properties above would pass over a new event in silence.
#[test]
fn the_strategy_knows_every_variant() {
    let mut seen = std::collections::BTreeSet::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..2000 {
        let tree = what().new_tree(&mut runner).unwrap();
        seen.insert(check_event(proptest::strategy::ValueTree::current(&tree)).schema());
    }
    let names: std::collections::BTreeSet<_> = schemas().iter().map(|it| it.name).collect();
    assert_eq!(seen, names);
}
