//! What saga files are to one another.

use saga::{Checked, Source, check, check_all, check_beside};

fn no_imports(_: &str) -> Result<String, String> {
    Err("no such file".to_owned())
}

/// Of each file its findings as `CODE line:column message`.
fn found(files: &[&str]) -> Vec<Vec<String>> {
    let sources: Vec<_> = files.iter().map(|text| Source { text, load: &no_imports }).collect();
    check_all(&sources).iter().map(said).collect()
}

fn said(checked: &Checked) -> Vec<String> {
    let show = |found: &saga::Diagnostic| {
        format!("{} {}:{} {}", found.code, found.line, found.column, found.message)
    };
    checked.diagnostics.iter().map(show).collect()
}

const PAY: &str = "name: Pay\ntasks: [{id: charge, agent: bank, kind: pivot}]\n";

#[test]
fn a_child_with_a_pivot_can_not_be_undone() {
    let parent =
        |rest: &str| format!("name: order\ntasks:\n  - {{id: p, saga: pay, timeout: 1m{rest}}}\n");
    let error = "E409 3:19 child saga `pay` has a pivot, so `p` cannot be undone";
    assert_eq!(found(&[&parent(""), PAY]), [vec![error.to_owned()], vec![]]);
    assert_eq!(found(&[PAY, &parent("")]), [vec![], vec![error.to_owned()]]);
    for rest in [", kind: pivot", ", kind: retriable", ", compensate: {agent: bank, type: refund}"]
    {
        assert_eq!(found(&[&parent(rest), PAY]), [vec![""; 0], vec![]], "{rest}");
    }
    // Alone, and beside a child that can be undone, nothing is wrong.
    assert_eq!(said(&check(&parent(""))), [""; 0]);
    assert_eq!(found(&[&parent(""), &PAY.replace("pivot", "readonly")]), [vec![""; 0], vec![]]);
    // Of another version of the child nothing is known.
    let other = parent("").replace("saga: pay", "saga: {name: pay, hash: 0123456789ab}");
    assert_eq!(found(&[&other, PAY]), [vec![""; 0], vec![]]);
}

#[test]
fn a_child_is_found_in_groups_and_cases_and_fallbacks() {
    let parent = "name: order
inputs: [{name: v, type: boolean}]
tasks:
  - id: g
    sequential:
      - {id: a, saga: pay, timeout: 1m}
      - id: c
        choice:
          - {when: \"${inputs.v}\", then: [{id: b, saga: {name: pay}, timeout: 1m}]}
          - {else: []}
  - {id: d, agent: x, kind: readonly, fallback: {saga: pay, timeout: 1m}}
";
    let places: Vec<String> = found(&[parent, PAY])[0]
        .iter()
        .filter_map(|said| Some(said.strip_prefix("E409 ")?.split(' ').next()?.to_owned()))
        .collect();
    assert_eq!(places, ["6:23", "9:63", "11:56"]);
}

#[test]
fn sagas_that_call_each_other_are_told_so_each_where_it_calls() {
    let calls = |name: &str, other: &str, depth: u32| {
        format!(
            "name: {name}\ntasks: [{{id: t, saga: {{name: {other}, max_depth: {depth}}}, timeout: 1m}}]\n"
        )
    };
    let (a, b, c) = (calls("a", "b", 3), calls("b", "c", 2), calls("c", "a", 7));
    let circle =
        |names: &str| vec![format!("W10 2:30 sagas call each other: {names}; ends at depth 2")];
    assert_eq!(
        found(&[&a, &b, &c]),
        [circle("a → b → c → a"), circle("b → c → a → b"), circle("c → a → b → c")]
    );
    assert_eq!(found(&[&a, &b]), [vec![""; 0], vec![]]);
}

const ORDERS: &str = "name: orders
key: ${inputs.id}
inputs: [{name: id, type: string}]
triggers: [{event: shop/Placed, inputs: {id: \"${event.key}\"}}]
tasks: [{id: ready, emit: shop/Ready}]
";

const SHIPPING: &str = "name: shipping
topics: {shop: {topic: shop}}
key: ${inputs.id}
inputs: [{name: id, type: string}]
triggers: [{event: shop/Ready, inputs: {id: \"${event.key}\"}}]
tasks:
  - {id: ship, agent: x, compensate: {emit: shop/Placed, inputs: {}}}
";

#[test]
fn events_that_go_round_are_refused_unless_a_condition_stands_between() {
    let errors = found(&[ORDERS, SHIPPING]);
    let loops = |starts: &str| errors.iter().flatten().any(|said| said.starts_with(starts));
    assert!(
        loops(
            "E411 5:27 event loop: orders emits shop/Ready, which starts shipping, which emits shop/Placed, which starts orders"
        ),
        "{errors:?}"
    );
    assert!(loops("E411 7:45 event loop: shipping emits shop/Placed"), "{errors:?}");
    let guarded =
        SHIPPING.replace("Ready, inputs", "Ready, where: \"${event.value.n > 1}\", inputs");
    let errors = found(&[ORDERS, &guarded]);
    assert!(!errors.iter().flatten().any(|said| said.starts_with("E411")), "{errors:?}");
}

#[test]
fn a_file_is_held_against_sagas_that_are_known() {
    let child = check(PAY).plan.unwrap();
    let parent = "name: order\ntasks: [{id: p, saga: pay, timeout: 1m}]\n";
    let checked = check_beside(parent, &[&child]);
    assert!(checked.plan.is_none());
    assert!(said(&checked)[0].starts_with("E409 2:23"), "{checked:?}");
    // The file itself stands for the saga of its name, not the one that was known.
    let own = check("name: order\ntasks: [{id: a, agent: x, kind: pivot}]\n").plan.unwrap();
    assert_eq!(said(&check_beside(parent, &[&own])), [""; 0]);
}

#[test]
fn two_files_of_one_saga_are_refused() {
    let other = PAY.replace("Pay", "pay").replace("charge", "take");
    let error = "E201 1:7 saga `pay` is given twice: a file before this one is it, too";
    assert_eq!(found(&[PAY, &other]), [vec![], vec![error.to_owned()]]);
    assert_eq!(found(&[PAY, &other.replace("name: pay", "name: paying")]), [vec![""; 0], vec![]]);
    // A new version of what is deployed is no second one.
    let deployed = check(PAY).plan.unwrap();
    assert_eq!(said(&check_beside(&other, &[&deployed])), [""; 0]);
}
