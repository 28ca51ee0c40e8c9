//! Saga files and expressions.

use std::collections::BTreeMap;

use saga::{Colour, Expr, Severity};
use serde_json::json;

use crate::corpus::{Target, turn};

/// The checker finds something wrong, or gives a plan; what it finds stands in the file.
#[test]
fn saga_files_from_any_bytes() {
    let _turn = turn();
    let target = Target {
        name: "sagas",
        made: vec![include_bytes!("../../../sagas/order-processing.yaml").to_vec()],
        words: &[
            b"&a ",
            b"*a",
            b"<<: ",
            b"!!binary ",
            b"? ",
            b"- ",
            b": ",
            b"[[[[[[[[",
            b"{a: {b: {c: ",
            b"${",
            b"}",
            b"|\n",
            b">-\n",
            b"\t",
            b"---\n",
            b"%YAML 1.2\n",
            b"\xef\xbb\xbf",
            b"\xe2\x80\xa8",
            b"for_each: ${inputs.items}\n",
            b"depends_on: [",
            b"compensate: ",
            b"timeout: 99999999999h\n",
            b"max_attempts: 1e9\n",
            b"concurrency: -1\n",
            b"version: \"2.0\"\n",
            b"tasks:\n",
        ],
        inputs: 1_500,
        bytes_max: 16 << 20,
        bytes_for_each: 3_000,
    };
    target.run(|input| {
        let source = String::from_utf8_lossy(input);
        let checked = saga::check(&source);
        let has_errors = checked.diagnostics.iter().any(|found| found.severity == Severity::Error);
        assert_eq!(checked.plan.is_none(), has_errors);
        for found in &checked.diagnostics {
            assert!(source.get(found.span.0..found.span.1).is_some(), "{found:?}");
        }
        let _ = saga::render("any.yaml", &source, &checked, Colour::None);
    });
}

/// An expression compiles or says why not, and gives a value or says why not; a value is JSON that reads back.
#[test]
fn expressions_from_any_bytes() {
    let _turn = turn();
    let deep = (0..60).fold(json!(1), |inner, _| json!([inner]));
    let scope = BTreeMap::from([
        (
            "inputs",
            json!({"a": [1, 2, 3], "t": "2026-11-22T10:00:00Z", "n": -1.5, "s": "ä", "deep": deep}),
        ),
        ("event", json!({"value": {"order": "7"}, "timestamp": "9999-12-31T23:59:59.999Z"})),
        ("tasks", json!({"a": {"output": {"x": null, "big": i64::MAX}}})),
    ]);
    let target = Target {
        name: "expressions",
        made: Vec::new(),
        words: &[
            b"inputs.",
            b"event.value",
            b"tasks.a.output.big",
            b".map(x, ",
            b".filter(y, ",
            b".all(z, ",
            b"has(",
            b"size(",
            b"matches(",
            b"timestamp(",
            b"duration('",
            b"string(",
            b"int(",
            b"double(",
            b"'0001-01-01T00:00:00Z'",
            b"'9999-12-31T23:59:59Z'",
            b" + ",
            b" * ",
            b" % 0",
            b" / 0",
            b" ? ",
            b" : ",
            b"9223372036854775807",
            b"-9223372036854775808",
            b"1e308",
            b"r'''",
            b"b'",
            b"\\u",
            b"((((((((",
            b"[[[[[[[[",
            b"{'a': ",
            b" in ",
            b"!!!!",
            b"----",
            b"'(a+)+$'",
        ],
        inputs: 6_000,
        bytes_max: 24 << 20,
        bytes_for_each: 3_000,
    };
    let mut values = 0;
    target.run(|input| {
        let source = String::from_utf8_lossy(input);
        let Ok(expr) = Expr::compile(&source) else { return };
        if let Ok(value) = expr.eval(&scope) {
            values += 1;
            let text = value.to_string();
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read.to_string(), text);
        }
    });
    assert!(values > 100, "only {values} expressions gave a value");
}
