//! The checker takes any text: it finds something wrong, or gives a plan, and never panics.

use proptest::prelude::*;

const ORDERS: &str = include_str!("../../../sagas/order-processing.yaml");

/// Pieces of which files are made, sound and not.
const PIECES: [&str; 60] = [
    "tasks:",
    "name: x\n",
    "- id: a\n",
    "  agent: x",
    "\n",
    " ",
    "  ",
    "{",
    "}",
    "[",
    "]",
    ",",
    ": ",
    "- ",
    "${",
    "inputs.",
    "event.value",
    "\"",
    "'",
    "#",
    "|",
    ">",
    "&a ",
    "*a",
    "!!str ",
    "<<",
    "? ",
    "---\n",
    "...\n",
    "\t",
    "\r\n",
    "depends_on: [a]",
    "kind: pivot",
    "compensate: u",
    "timeout: 1s",
    "ä→",
    "\u{feff}",
    "%YAML 1.2\n",
    "triggers:\n",
    "key: ",
    "tasks: [{id: g, tasks: [{id: b, agent: x}]}]",
    "for_each: [1, 2]\n",
    "choice: [{when: \"${true}\", then: []}, {else: []}]",
    "sequential:\n",
    "emit: t/E",
    "await: t/E\n",
    "saga: x\n",
    "wait: 1m\n",
    "fallback: {agent: y}",
    "on_failure: {strategy: continue, then: []}",
    "depends_on: {any: [a, b]}",
    "depends_on: {n_of: 2, tasks: [a]}",
    "when: \"${tasks.a.output.v}\"",
    "inputs: [a, b, c]",
    "- id: b\n",
    "- id: c\n",
    "outputs: [{name: o, from: a.output.b}]",
    "idempotency: none",
    "optional: true\n",
    "in_doubt: query",
];

/// A file that uses much of the language.
const NESTED: &str = include_str!("sound/nested.yaml");

/// Pieces of which expressions are made.
const WORDS: [&str; 34] = [
    "inputs",
    ".",
    "a",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "'",
    "\"",
    "r'",
    "'''",
    "\\",
    "1",
    "2.5",
    "9e99",
    "+",
    "-",
    "!",
    "?",
    ":",
    "&&",
    "||",
    "==",
    "<",
    "%",
    "/",
    "//",
    ".map(x, x)",
    "has(",
    "size(",
    "ä",
    "\n",
];

fn look(source: &str) {
    let checked = saga::check(source);
    let has_errors =
        checked.diagnostics.iter().any(|found| found.severity == saga::Severity::Error);
    assert_eq!(checked.plan.is_none(), has_errors, "{source:?}");
    for found in &checked.diagnostics {
        assert!(source.get(found.span.0..found.span.1).is_some(), "{found:?} of {source:?}");
        assert!(found.line <= source.split('\n').count(), "{found:?} of {source:?}");
    }
    let _ = saga::render("any.yaml", source, &checked, saga::Colour::None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_taken(source in "\\PC{0,200}") {
        look(&source);
    }

    #[test]
    fn any_bytes_that_are_text_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        look(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_heap_of_pieces_is_taken(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        look(&pieces.concat());
    }

    #[test]
    fn a_sound_file_with_a_hole_or_a_piece_too_much_is_taken(
        at in 0..ORDERS.len(),
        len in 0..40_usize,
        piece in prop::sample::select(&PIECES[..]),
    ) {
        let floor = |at: usize| (0..=at.min(ORDERS.len())).rev().find(|at| ORDERS.is_char_boundary(*at)).unwrap();
        let (from, upto) = (floor(at), floor(at + len));
        look(&format!("{}{piece}{}", &ORDERS[..from], &ORDERS[upto..]));
    }

    #[test]
    fn a_nested_file_with_a_hole_or_a_piece_too_much_is_taken(
        at in 0..NESTED.len(),
        len in 0..60_usize,
        piece in prop::sample::select(&PIECES[..]),
    ) {
        let floor = |at: usize| (0..=at.min(NESTED.len())).rev().find(|at| NESTED.is_char_boundary(*at)).unwrap();
        let (from, upto) = (floor(at), floor(at + len));
        look(&format!("{}{piece}{}", &NESTED[..from], &NESTED[upto..]));
    }

    #[test]
    fn any_expression_is_taken(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..40)) {
        let source = words.concat();
        let scope = std::collections::BTreeMap::from([("inputs", serde_json::json!({"a": [1, 2]}))]);
        if let Ok(expr) = saga::Expr::compile(&source) {
            let _ = expr.eval(&scope);
        }
    }
}
