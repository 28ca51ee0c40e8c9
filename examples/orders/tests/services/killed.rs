//! A service that is killed with SIGKILL, again and again, in the middle of its work.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::gateway::{Asked, Gateway};
use orders::books::Books;
use orders::inventory;
use serde_json::json;

const ORDERS: usize = 150;
const KILLS: usize = 6;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // SIGKILL on Unix.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn spawn(gateway: &Gateway, data: &Path) -> Killed {
    let mut program = Command::new(env!("CARGO_BIN_EXE_orders"));
    program.args(["inventory", "--url", &gateway.url, "--data"]).arg(data);
    Killed(program.stderr(Stdio::null()).spawn().unwrap())
}

fn reserve(order: usize, n: u32) -> Asked<'static> {
    let lines = json!([{"sku": "tea", "quantity": 2}, {"sku": "cup", "quantity": 1}]);
    let value = json!({"order_id": format!("o-{order}"), "lines": lines});
    Asked { agent: "inventory", verb: "do", operation: "reserve_stock", order, n, value }
}

fn release(order: usize) -> Asked<'static> {
    let value = json!({"inputs": {}, "output": {}, "status": "done", "key": ""});
    Asked { agent: "inventory", verb: "undo", operation: "release_stock", order, n: 1, value }
}

/// Lets the service answer all that waits, `count` subjects, and kills it several times on the way.
fn work_under_kills(gateway: &Gateway, data: &Path, answered: usize, count: usize) {
    for kill in 1..=KILLS {
        let service = spawn(gateway, data);
        gateway.wait_for(answered + count * kill / KILLS);
        drop(service);
    }
    let _service = spawn(gateway, data);
    gateway.wait_for_all();
}

#[test]
fn a_service_that_is_killed_in_the_middle_reserves_once_and_releases_once() {
    let gateway = Gateway::start();
    let data = tempfile::tempdir().unwrap();
    let check_books = |standing: u64| {
        let books = Books::open(&data.path().join("inventory")).unwrap();
        let totals = inventory::totals(&books).unwrap();
        assert_eq!(totals.reservations, standing);
        assert_eq!((totals.reserved, totals.in_reservations), (3 * standing, 3 * standing));
        assert_eq!(totals.available + totals.reserved, totals.opening);
    };

    (0..ORDERS).for_each(|order| gateway.ask(&reserve(order, 1)));
    work_under_kills(&gateway, data.path(), 0, ORDERS);
    check_books(ORDERS as u64);

    // A second attempt at each, as after a lost answer.
    (0..ORDERS).for_each(|order| gateway.ask(&reserve(order, 2)));
    work_under_kills(&gateway, data.path(), ORDERS, ORDERS);
    check_books(ORDERS as u64);
    for order in 0..ORDERS {
        let first = gateway.answer(&reserve(order, 1));
        assert_eq!(first["type"], "pavane.TaskCompleted");
        assert_eq!(first["value"], gateway.answer(&reserve(order, 2))["value"]);
    }

    (0..ORDERS).step_by(2).for_each(|order| gateway.ask(&release(order)));
    work_under_kills(&gateway, data.path(), 2 * ORDERS, ORDERS / 2);
    check_books(ORDERS as u64 / 2);
}
