//! `pavane check --live` against a running system on the embedded log.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test, that is an assertion")]

mod support;

use std::sync::Arc;

use support::{Place, wait_for};
use tests::outside::{Books, serve_over_http};

const PARENT: &str = r#"version: "2.0"
name: journey
key: ${inputs.k}
inputs: [{name: k, type: string}]
tasks:
  - {id: flight, agent: travel, inputs: {}, kind: readonly}
  - {id: hotel, agent: travels, inputs: {}, kind: readonly, depends_on: [flight]}
  - {id: stay, saga: stays, inputs: {k: "${inputs.k}"}, timeout: 1h}
  - {id: told, await: shop.orders/OrderPlaced, timeout: 1h}
"#;
const CHILD: &str = r#"version: "2.0"
name: stay
key: ${inputs.k}
inputs: [{name: k, type: string}]
tasks:
  - {id: room, agent: travel, inputs: {}, kind: readonly}
"#;

/// The codes that were found, with their lines.
fn found(place: &Place, arguments: &[&str], code: i32) -> Vec<(String, u64)> {
    let said = place.run(arguments).exits(code);
    assert!(said.err.contains("not asked") && said.err.contains("E602"), "{said:?}");
    let said = said.json();
    assert_eq!(said["not_asked"], serde_json::json!(["E602"]));
    let findings = said["diagnostics"].as_array().unwrap().iter();
    findings
        .map(|it| (it["code"].as_str().unwrap().to_owned(), it["line"].as_u64().unwrap()))
        .collect()
}

/// shows: P4
#[test]
fn what_is_not_there_is_named_at_its_line() {
    let place = Place::new();
    let up = place.up("data");
    place.write("journey.yaml", PARENT);
    place.write("stay.yaml", CHILD);
    let check = ["check", "journey.yaml", "--live", "--json", "--url", &up.url];
    let finding = |code: &str, line| (code.to_owned(), line);
    let nobody = [finding("W11", 6), finding("W11", 7), finding("E601", 8)];
    assert_eq!(found(&place, &check, 1), nobody, "nobody answers, and nothing is deployed");

    place.run(&["deploy", "stay.yaml", "--url", &up.url]).exits(0);
    let books = Arc::new(Books::new(|_| serde_json::Value::Null));
    let _serving = serve_over_http(&up.url, &["travel".into()], &books);
    let expected = [finding("W11", 7), finding("E601", 8)];
    wait_for("the participant", || (found(&place, &check, 1) == expected).then_some(()));
    let shown = place.run(&["check", "journey.yaml", "--live", "--url", &up.url]).exits(1).out;
    assert!(shown.contains("saga `stays` does not exist"), "{shown}");
    assert!(shown.contains("did you mean `stay`?"), "{shown}");
    assert!(shown.contains("no agent named `travels` has announced itself"), "{shown}");
    assert!(shown.contains("did you mean `travel`?"), "{shown}");

    let sound = PARENT.replace("saga: stays", "saga: stay").replace("travels", "travel");
    place.write("journey.yaml", &sound);
    assert_eq!(found(&place, &check, 0), []);
    place.run(&["check", "journey.yaml", "--live", "--url", "http://127.0.0.1:9"]).exits(4);
}
