//! What sound files name, looked up on a cluster.
#![allow(clippy::unwrap_used, reason = "in a test, that is an assertion")]

use std::collections::BTreeSet;

use saga::{Cluster, Source, check_all_on};

const FILE: &str = r#"version: "2.0"
name: orders
key: ${inputs.k}
inputs: [{name: k, type: string}]
topics:
  stock: {topic: shop.stock, correlate: "${event.value.k}"}
  risk: {topic: shop.risk}
triggers:
  - {event: shop.orders/OrderPlaced, inputs: {k: "${event.key}"}}
tasks:
  - {id: reserve, emit: stock/Reserve, inputs: {}, kind: readonly}
  - {id: reserved, await: {event: [stock/Reserved, shop.late/Reserved], failed: shop.refused/Refused}, depends_on: [reserve], timeout: 1m}
  - {id: signed, await: signal/signed, timeout: 1m}
  - id: answer
    depends_on: [reserved]
    choice:
      - {event: risk/Cleared, then: [{id: pay, agent: cards, inputs: {}, compensate: {agent: refunds, inputs: {}}}]}
      - {event: shop.answers/No, then: []}
      - {after: 1h, then: []}
  - {id: child, saga: Deliver Goods, inputs: {}, depends_on: [answer], timeout: 1h, fallback: {agent: couriers, inputs: {}}}
  - {id: again, saga: orders, inputs: {k: x}, when: "${inputs.k == 'y'}", depends_on: [answer], timeout: 1h}
"#;

fn set(names: &str) -> BTreeSet<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

/// The findings that an empty cluster adds, as `line:column code message`.
#[track_caller]
fn check(cluster: &Cluster, expected: &[&str]) {
    let load = |_: &str| Err("nothing is imported".to_owned());
    let [checked] =
        check_all_on(&[Source { text: FILE, load: &load }], cluster).try_into().unwrap();
    let found: Vec<String> = checked
        .diagnostics
        .iter()
        .filter(|found| found.code.starts_with("E") || found.code == "W11")
        .map(|it| format!("{}:{} {} {}", it.line, it.column, it.code, it.message))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(checked.plan.is_some(), expected.iter().all(|found| !found.contains(" E6")));
}

#[test]
fn each_name_is_looked_up_where_it_stands() {
    let cluster = Cluster { topics: Some(BTreeSet::new()), ..Cluster::default() };
    check(
        &cluster,
        &[
            "6:18 E601 topic `shop.stock` does not exist",
            "7:17 E601 topic `shop.risk` does not exist",
            "9:13 E601 topic `shop.orders` does not exist",
            "12:52 E601 topic `shop.late` does not exist",
            "12:81 E601 topic `shop.refused` does not exist",
            "17:55 W11 no agent named `cards` has announced itself",
            "17:94 W11 no agent named `refunds` has announced itself",
            "18:17 E601 topic `shop.answers` does not exist",
            "20:23 E601 saga `deliver-goods` does not exist",
            "20:103 W11 no agent named `couriers` has announced itself",
        ],
    );
}

#[test]
fn what_is_there_is_passed_over() {
    let topics = "shop.stock shop.risk shop.orders shop.late shop.refused shop.answers";
    let (sagas, agents) = (set("deliver-goods"), set("cards refunds couriers"));
    check(
        &Cluster { topics: Some(set(topics)), sagas: sagas.clone(), agents: agents.clone() },
        &[],
    );
    check(&Cluster { topics: None, sagas, agents }, &[]);
}
