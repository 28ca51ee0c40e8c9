//! How long the judge takes for a record: `cargo run --release -p pavane-verify --example judge_speed`.

#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::io::Write as _;
use std::time::Instant;

use events::{Json, Lifecycle, Run, Timestamp, What, frame};
use verify::{Judge, Options, Record};

const RUNS: i64 = 50_000;
const SAGA: &str = "name: s\ntasks:\n  - {id: a, agent: a, compensate: u}\n  \
                    - {id: b, agent: a, depends_on: [a]}\n  - {id: c, agent: a, depends_on: [b]}\n";
const INPUTS: &str = r#"{"order_id":"o-17","lines":[{"sku":"lamp","quantity":1}],"total":12.5}"#;

struct Owned {
    topic: &'static str,
    offset: i64,
    key: String,
    headers: Vec<(&'static str, String)>,
    value: Vec<u8>,
}

#[allow(clippy::disallowed_methods, reason = "it measures time")]
fn main() -> std::io::Result<()> {
    let records = records();
    let mut judge = Judge::new(Options { quiet_ms: Some(0), ..Options::default() });
    judge.definition("s", "v", SAGA);
    for topic in ["inbox", "inbox.dlq", "events", "tasks.a"] {
        judge.whole(&format!("pavane.{topic}"));
    }
    let began = Instant::now();
    for owned in &records {
        let headers: Vec<verify::Header<'_>> =
            owned.headers.iter().map(|(name, value)| (*name, Some(value.as_bytes()))).collect();
        judge.record(&Record {
            topic: owned.topic,
            partition: 0,
            offset: owned.offset,
            timestamp: 0,
            key: Some(owned.key.as_bytes()),
            headers: &headers,
            value: Some(&owned.value),
        });
    }
    let read = began.elapsed();
    let report = judge.finish();
    let (all, count) = (began.elapsed(), report.counts.records);
    let each = |time: std::time::Duration| time.as_nanos() / u128::from(count.max(1));
    let (reading, whole) = (each(read), each(all));
    let broken = report.violations_total;
    writeln!(
        std::io::stdout(),
        "{count} records of {RUNS} runs: {reading} ns each, {whole} ns with the rules of the end; \
         {broken} violations"
    )
}

fn records() -> Vec<Owned> {
    (0..RUNS).flat_map(run).collect()
}

/// A start, three tasks one after the other, and the end.
fn run(number: i64) -> Vec<Owned> {
    let run = number * 10;
    let workflow = format!("s:o-{number}");
    let json = || Json::from_value(&serde_json::from_str(INPUTS).unwrap_or_default());
    let mut sequence = 0;
    let mut event = |what| {
        sequence += 1;
        event(&workflow, run, sequence, what)
    };
    let record = |topic, headers: Vec<(&'static str, String)>, value: &str| {
        let offset = run + i64::from(value != "{}");
        Owned { topic, offset, key: workflow.clone(), headers, value: value.as_bytes().to_vec() }
    };
    let of = |kind: &str| ("ce_type", format!("pavane.{kind}"));
    let start_id = format!("start-{number}");
    let headers = vec![of("StartWorkflow"), ("ce_id", start_id.clone())];
    let mut records = vec![record("pavane.inbox", headers, "{}")];
    records.push(event(What::WorkflowStarted { start_id, inputs: json() }));
    for task in ["a", "b", "c"] {
        let command = format!("{workflow}/{task}/{run}.do1");
        records.push(event(What::TaskScheduled {
            task: task.into(),
            attempt: 1,
            agent: "a".into(),
            task_type: task.to_owned(),
            command: command.clone(),
            inputs: json(),
            deadline: Timestamp::from_millis(60_000),
        }));
        let headers = vec![
            of("DoTask"),
            ("ce_id", command.clone()),
            ("ce_subject", command.clone()),
            ("pavane_saga", "s".to_owned()),
            ("pavane_type", task.to_owned()),
            ("pavane_run", run.to_string()),
            ("pavane_idempotency_key", format!("{workflow}/{task}/{run}.1")),
            ("pavane_epoch", "0".to_owned()),
            ("pavane_deadline", "2026-11-22T10:01:00.000Z".to_owned()),
            ("pavane_fence", format!("0/1/{run}")),
        ];
        records.push(record("pavane.tasks.a", headers, json().as_str()));
        records.push(record(
            "pavane.inbox",
            vec![of("TaskCompleted"), ("ce_subject", command)],
            INPUTS,
        ));
        let task = task.into();
        records.push(event(What::TaskCompleted { task, attempt: 1, output: json(), by: None }));
    }
    records.push(event(What::WorkflowCompleted { outputs: json() }));
    records
}

fn event(workflow: &str, run: i64, sequence: u64, what: What) -> Owned {
    let event = Lifecycle {
        workflow: workflow.into(),
        run: Run(run),
        sequence,
        time: Timestamp::from_millis(0),
        saga: "s".into(),
        version: "v".into(),
        what,
    };
    let headers = vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", format!("{workflow}/{run}/{sequence}")),
        ("ce_source", "pavane/coordinator".to_owned()),
        ("ce_type", event.schema().to_owned()),
        ("ce_subject", workflow.to_owned()),
        ("ce_time", "2026-11-22T10:00:00.000Z".to_owned()),
        ("ce_sequence", sequence.to_string()),
        ("ce_sequencetype", "Integer".to_owned()),
        ("pavane_run", run.to_string()),
        ("content-type", "application/avro".to_owned()),
    ];
    let value = frame(1, &event.encode()).to_vec();
    Owned { topic: "pavane.events", offset: run, key: workflow.to_owned(), headers, value }
}
