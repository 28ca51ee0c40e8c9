//! The five services in one process, over HTTP.

use std::sync::Arc;

use crate::gateway::{Asked, Gateway};
use client::{Http, Serving};
use orders::{Mood, OverHttp, Service, Shop};
use serde_json::{Value, json};

fn shop(gateway: &Gateway, folder: &std::path::Path) -> Shop {
    let http = Http::new(&gateway.url).unwrap();
    let runtime = gateway.runtime.handle().clone();
    let door = OverHttp { http, runtime, serving: Serving::default() };
    Shop::open(folder, Arc::new(door)).unwrap()
}

fn ask(
    agent: &'static str,
    verb: &'static str,
    operation: &'static str,
    value: Value,
) -> Asked<'static> {
    Asked { agent, verb, operation, order: 1, n: 1, value }
}

fn charge(customer: &str, total: f64) -> Value {
    json!({"order_id": "o-1", "customer_id": customer, "total": total})
}

#[test]
fn what_an_order_comes_to_is_in_its_content() {
    let gateway = Gateway::start();
    let folder = tempfile::tempdir().unwrap();
    let mut shop = shop(&gateway, folder.path());
    shop.start_all();
    let mut order = 0;
    let mut check = |asked: Asked<'_>, expect: &str| {
        order += 1;
        let asked = Asked { order, ..asked };
        gateway.ask(&asked);
        gateway.wait_for(order);
        let answer = gateway.answer(&asked);
        let code = answer["value"]["code"].as_str().unwrap_or("done");
        assert_eq!(code, expect, "{answer}");
    };
    let lines = |sku: &str, quantity: u64| json!({"order_id": "o-1", "lines": [{"sku": sku, "quantity": quantity}]});
    check(ask("inventory", "do", "reserve_stock", lines("tea", 1_000_000)), "done");
    check(ask("inventory", "do", "reserve_stock", lines("cup", 1_000_001)), "out_of_stock");
    check(ask("inventory", "do", "reserve_stock", lines("slow-sold-out-tea", 1)), "out_of_stock");
    check(ask("payment", "do", "charge", charge("ann", 10.5)), "done");
    check(ask("payment", "do", "charge", charge("ann", 1_000_000.01)), "card_declined");
    check(ask("payment", "do", "charge", charge("ann", -1.0)), "bad_total");
    check(ask("payment", "do", "charge", charge("declined-bob", 0.01)), "card_declined");
    check(ask("payment", "do", "charge", json!({"order_id": "o-1"})), "inputs");
    check(ask("payment", "do", "steal", charge("ann", 1.0)), "unknown_operation");
    check(ask("fraud", "do", "screen", charge("ann", 10.5)), "done");
    check(ask("fraud", "do", "screen", charge("fraud-eve", 10.5)), "fraud_suspected");
    let parcel = json!({"order_id": "o-1", "reservation": "r-1"});
    check(ask("fulfillment", "do", "prepare_shipment", parcel), "done");
    let notice = json!({"customer_id": "ann", "tracking": "t-1"});
    check(ask("notification", "do", "notification", notice), "done");
}

#[test]
fn a_charge_and_its_refund_leave_the_books_as_they_were() {
    let gateway = Gateway::start();
    let folder = tempfile::tempdir().unwrap();
    let mut shop = shop(&gateway, folder.path());
    shop.start_all();

    gateway.ask(&ask("payment", "do", "charge", charge("ann", 19.99)));
    gateway.wait_for(1);
    let moved = shop.totals().unwrap().payment;
    assert_eq!((moved.captures, moved.captured_cents), (1, 1_999));
    assert_eq!(moved.balances + moved.captured_cents, moved.opening);

    let refund = json!({"payment_id": "o-1/payment", "amount": 19.99});
    gateway.ask(&ask("payment", "undo", "refund", refund));
    gateway.wait_for(2);
    let back = shop.totals().unwrap().payment;
    assert_eq!((back.captures, back.captured_cents, back.balances), (0, 0, back.opening));
}

#[test]
fn what_is_sent_to_a_stopped_service_waits_for_it() {
    let gateway = Gateway::start();
    let folder = tempfile::tempdir().unwrap();
    let mut shop = shop(&gateway, folder.path());
    shop.start_all();
    shop.stop(Service::Fulfillment);
    assert!(!shop.is_running(Service::Fulfillment));

    let parcel = json!({"order_id": "o-1", "reservation": "r-1"});
    gateway.ask(&ask("fulfillment", "do", "prepare_shipment", parcel));
    gateway.ask(&ask("fraud", "do", "screen", charge("ann", 1.0)));
    gateway.wait_for(1);
    assert_eq!(shop.totals().unwrap().fulfillment.shipments, 0);

    shop.start(Service::Fulfillment);
    gateway.wait_for(2);
    assert_eq!(shop.totals().unwrap().fulfillment.shipments, 1);
}

#[test]
fn a_flaky_service_refuses_before_it_touches_anything() {
    let gateway = Gateway::start();
    let folder = tempfile::tempdir().unwrap();
    let mut shop = shop(&gateway, folder.path());
    shop.set_mood(Service::Payment, Mood::Flaky { every: std::num::NonZeroU64::MIN });
    shop.start(Service::Payment);

    let asked = ask("payment", "do", "charge", charge("ann", 1.0));
    gateway.ask(&asked);
    gateway.wait_for(1);
    let answer = gateway.answer(&asked);
    assert_eq!(
        (&answer["value"]["code"], &answer["value"]["retryable"]),
        (&json!("unwell"), &json!(true))
    );
    assert_eq!(shop.totals().unwrap().payment.captures, 0);
}
