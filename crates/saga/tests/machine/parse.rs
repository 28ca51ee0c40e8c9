//! What the inbox takes, and what it refuses.

use std::fmt::Write as _;

use bytes::Bytes;
use events::{Header, Place, Record, Timestamp, Topic, ce_type, header};
use insta::assert_snapshot;
use proptest::prelude::*;
use saga::{INBOX_BYTES_MAX, Input, parse};

fn record(key: Option<&str>, ce_type: &str, headers: &[(&str, &str)], value: &[u8]) -> Record {
    let mut all = vec![Header::text(header::TYPE, ce_type)];
    all.extend(headers.iter().map(|(name, value)| Header::text((*name).to_owned(), *value)));
    Record {
        place: Place { topic: Topic::from("pavane.inbox"), partition: 3, offset: 17 },
        timestamp: Timestamp::from_millis(1),
        key: key.map(|key| Bytes::from(key.to_owned())),
        value: Some(Bytes::from(value.to_vec())),
        headers: all,
    }
}

fn told(record: &Record) -> String {
    match parse(record) {
        Ok(input) => format!("{input:?}"),
        Err(refusal) => format!("! {refusal}"),
    }
}

#[test]
fn the_inbox_reads_what_the_contract_says() {
    let subject = |text| [(header::SUBJECT, text)];
    let of_do = subject("s:k/t/7.do1");
    let of_task = [(header::SUBJECT, "s:k/t"), (header::ACTOR, "ann")];
    let (failed, status) = (ce_type::TASK_FAILED, ce_type::TASK_STATUS);
    let cases: Vec<Record> = vec![
        record(Some("s:k"), ce_type::START_WORKFLOW, &[], b"{\"a\": 1}"),
        record(
            Some("s:k"),
            ce_type::START_WORKFLOW,
            &[(header::ID, "me"), (header::VERSION, "v")],
            b"",
        ),
        record(None, ce_type::START_WORKFLOW, &subject("s:k/1"), b"{}"),
        record(None, ce_type::START_WORKFLOW, &[], b"{}"),
        record(Some("nokey"), ce_type::START_WORKFLOW, &[], b"{}"),
        record(Some("s:k"), ce_type::START_WORKFLOW, &[], b"{not json"),
        record(Some("s:k"), ce_type::TASK_COMPLETED, &of_do, b"[1]"),
        record(None, ce_type::TASK_COMPLETED, &of_do, b""),
        record(Some("s:x"), ce_type::TASK_COMPLETED, &of_do, b"1"),
        record(None, ce_type::TASK_COMPLETED, &[], b"1"),
        record(None, ce_type::TASK_COMPLETED, &subject("nonsense"), b"1"),
        record(None, ce_type::TASK_COMPLETED, &subject("s:k/t/7.query1"), b"1"),
        record(None, failed, &of_do, b""),
        record(
            None,
            failed,
            &of_do,
            br#"{"code":"x","message":"m","retryable":false,"effects":"unknown"}"#,
        ),
        record(None, failed, &of_do, br#"{"effects":"some"}"#),
        record(None, failed, &of_do, br#"{"retryable":"yes"}"#),
        record(None, failed, &of_do, b"[]"),
        record(None, ce_type::NOTHING_TO_UNDO, &subject("s:k/t/7.undo2"), b""),
        record(None, ce_type::NOTHING_TO_UNDO, &of_do, b""),
        record(None, status, &subject("s:k/t/7.query1"), br#"{"status":"done","output":{"a":1}}"#),
        record(None, status, &subject("s:k/t/7.query1"), br#"{"status":"perhaps"}"#),
        record(None, ce_type::TASK_PROGRESS, &of_do, br#"{"percent": 12.5, "note": "half"}"#),
        record(None, ce_type::TASK_PROGRESS, &of_do, br#"{"percent": 120}"#),
        record(Some("s:k/1"), ce_type::CANCEL_WORKFLOW, &[], br#"{"reason":"why"}"#),
        record(None, ce_type::CANCEL_WORKFLOW, &subject("s:k/1"), b""),
        record(Some("s:k"), ce_type::CONTINUE_WORKFLOW, &subject("s:k"), b""),
        record(None, ce_type::RETRY_TASK, &of_task, b""),
        record(Some("s:k"), ce_type::RETRY_TASK, &[], b""),
        record(Some("s:z"), ce_type::RETRY_TASK, &of_task, b""),
        record(None, ce_type::SKIP_TASK, &of_task, br#"{"output":[]}"#),
        record(
            None,
            ce_type::RESOLVE_TASK,
            &of_task,
            br#"{"outcome":"done","output":1,"reason":"r"}"#,
        ),
        record(None, ce_type::RESOLVE_TASK, &of_task, br#"{"outcome":"well"}"#),
        record(Some("s:k"), "pavane.Signal", &[], b"{}"),
        record(Some("s:k"), "pavane.DomainEvent", &[], b"{}"),
        record(Some("s:k"), "OrderPlaced", &[], b"{}"),
        record(None, ce_type::DEPLOY_SAGA, &[(header::SAGA, "s"), (header::VERSION, "v")], b"x"),
        record(
            None,
            ce_type::DEPLOY_SAGA,
            &[(header::SAGA, "s"), (header::VERSION, "v"), (header::REVISION, "9")],
            b"name: s",
        ),
    ];
    let mut all = String::new();
    for record in &cases {
        writeln!(all, "{}", told(record)).unwrap();
    }
    assert_snapshot!(all);
}

#[test]
fn the_inbox_reads_events_signals_and_children() {
    let event = |place, more: &[(&'static str, &'static str)], value: &[u8]| {
        let mut headers = vec![(header::EVENT, "shop.orders/Paid"), (header::EVENT_RECORD, place)];
        headers.extend(more);
        record(Some("s:k"), ce_type::DOMAIN_EVENT, &headers, value)
    };
    let signal = |headers: &[_], value: &[u8]| record(Some("s:k"), ce_type::SIGNAL, headers, value);
    let named = |event| [(header::EVENT, event), (header::EVENT_RECORD, "shop.orders/0/5")];
    let unwind = |headers: &[_]| record(Some("s:k"), ce_type::UNWIND_WORKFLOW, headers, b"");
    let child = |headers: &[_]| record(Some("s:k"), ce_type::START_WORKFLOW, headers, b"{}");
    let (parent, depth) = (header::PARENT, header::DEPTH);
    let cases: Vec<Record> = vec![
        event("shop.orders/0/5", &[], b"{\"paid\":1.50}"),
        event(
            "shop.orders/0/5",
            &[
                (header::EVENT_KEY, "o-17"),
                (header::EVENT_TIME, "2026-11-22T10:00:00.000Z"),
                (header::EVENT_HEADERS, r#"{"source":"shop"}"#),
            ],
            b"null",
        ),
        event("shop.orders/0/5", &[], b""),
        event("shop.orders/0/5", &[], b"{"),
        event("shop.orders/0/-5", &[], b"1"),
        event("shop.payments/0/5", &[], b"1"),
        event("shop.orders/0/5", &[(header::EVENT_TIME, "noon")], b"1"),
        event("shop.orders/0/5", &[(header::EVENT_HEADERS, r#"{"n":1}"#)], b"1"),
        event("shop.orders/0/5", &[(header::EVENT_HEADERS, "[]")], b"1"),
        record(Some("s:k"), ce_type::DOMAIN_EVENT, &[], b"1"),
        record(Some("s:k"), ce_type::DOMAIN_EVENT, &named("Paid")[..1], b"1"),
        record(Some("s:k"), ce_type::DOMAIN_EVENT, &named("shop.orders/"), b"1"),
        record(Some("s:k"), ce_type::DOMAIN_EVENT, &named("shop.orders/Paid")[..1], b"1"),
        record(None, ce_type::DOMAIN_EVENT, &named("shop.orders/Paid"), b"1"),
        record(Some("nokey"), ce_type::DOMAIN_EVENT, &named("shop.orders/Paid"), b"1"),
        signal(&[(header::SIGNAL, "approve")], b"{\"by\":\"ann\"}"),
        signal(&[(header::SIGNAL, "approve"), (header::ID, "once")], b""),
        signal(&[(header::SIGNAL, "approve")], b"yes"),
        signal(&[(header::SIGNAL, "")], b"1"),
        signal(&[], b"1"),
        record(None, ce_type::SIGNAL, &[(header::SIGNAL, "approve")], b"1"),
        unwind(&[(header::SUBJECT, "p:k/child/7.undo1")]),
        unwind(&[(header::SUBJECT, "p:k/child/7.do1")]),
        unwind(&[(header::SUBJECT, "p:k/child/7.query1")]),
        unwind(&[(header::SUBJECT, "p:k")]),
        unwind(&[(header::SUBJECT, "nokey/child/7.do1")]),
        unwind(&[]),
        record(None, ce_type::UNWIND_WORKFLOW, &[(header::SUBJECT, "p:k/child/7.undo1")], b""),
        child(&[(parent, "p:k/child[2]/7.do3"), (depth, "2")]),
        child(&[(parent, "p:k/child/7.do3")]),
        child(&[(depth, "1")]),
        child(&[(parent, "p:k/child/7.undo3"), (depth, "1")]),
        child(&[(parent, "p:k"), (depth, "1")]),
        child(&[(parent, "p:k/child/7.do3"), (depth, "0")]),
    ];
    let mut all = String::new();
    for record in &cases {
        writeln!(all, "{}", told(record)).unwrap();
    }
    assert_snapshot!(all);
}

#[test]
fn what_is_no_text_or_too_large_is_refused() {
    let mut broken = record(None, ce_type::START_WORKFLOW, &[], b"{}");
    broken.key = Some(Bytes::from_static(b"\xff:1"));
    assert!(told(&broken).starts_with("! undecodable (utf8)"));
    broken.headers =
        vec![Header { name: header::TYPE.into(), value: Some(Bytes::from_static(b"\xff")) }];
    assert!(told(&broken).starts_with("! undecodable (utf8)"));
    broken.headers.clear();
    assert!(told(&broken).starts_with("! invalid (no_type)"));
    let large = vec![b' '; INBOX_BYTES_MAX + 1];
    let large = record(Some("s:k"), ce_type::START_WORKFLOW, &[], &large);
    assert!(told(&large).starts_with("! too_large (value)"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_record_brings_the_parser_down(
        key in prop::option::of(any::<Vec<u8>>()),
        which in 0..17_usize,
        subject in "(s:k)?(/?[a-z.0-9]{0,6}){0,4}",
        word in "[a-z/0-9{}\":]{0,12}",
        value in prop_oneof![any::<Vec<u8>>(), "\\{?(\"(code|status|outcome|percent)\":)?[0-9a-z\"\\[]{0,8}\\}?".prop_map(String::into_bytes)],
    ) {
        let types = [
            ce_type::START_WORKFLOW, ce_type::DEPLOY_SAGA, ce_type::TASK_COMPLETED,
            ce_type::TASK_FAILED, ce_type::NOTHING_TO_UNDO, ce_type::TASK_STATUS,
            ce_type::TASK_PROGRESS, ce_type::CANCEL_WORKFLOW, ce_type::RETRY_TASK,
            ce_type::SKIP_TASK, ce_type::RESOLVE_TASK, ce_type::CONTINUE_WORKFLOW, "", "x",
            ce_type::DOMAIN_EVENT, ce_type::SIGNAL, ce_type::UNWIND_WORKFLOW,
        ];
        let headers = [
            (header::SUBJECT, &*subject),
            (header::EVENT, &word),
            (header::EVENT_RECORD, &word),
            (header::EVENT_HEADERS, &word),
            (header::PARENT, &subject),
            (header::DEPTH, &word),
        ];
        let mut record = record(None, types[which], &headers, &value);
        record.key = key.map(Bytes::from);
        match parse(&record) {
            Ok(Input::Answer { subject: read, .. }) => prop_assert_eq!(read.to_string(), subject),
            Ok(
                Input::Start(_)
                | Input::Deploy(_)
                | Input::Operator { .. }
                | Input::Seen { .. }
                | Input::Signal { .. }
                | Input::Unwind { .. },
            )
            | Err(_) => {}
        }
    }
}
