use super::*;

const ORDERS: &str = include_str!("../../../../sagas/order-processing.yaml");

#[test]
fn the_order_saga_checks_clean() {
    let checked = check(ORDERS);
    assert_eq!(render("sagas/order-processing.yaml", ORDERS, &checked), "");
    let plan = checked.plan.unwrap();
    assert_eq!(plan.name.as_str(), "order-processing");
    assert_eq!(plan.tasks.len(), 5);
}
