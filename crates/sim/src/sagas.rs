//! The sagas that the world runs, and values for them.

use std::sync::Arc;

use saga::{Plan, Type};
use serde_json::{Map, Value, json};

use crate::dice::Dice;

/// A saga file, and the input that is its business key.
pub(crate) struct File {
    pub(crate) text: &'static str,
    pub(crate) key: &'static str,
}

macro_rules! file {
    ($path:literal, $key:literal) => {
        File { text: include_str!(concat!("../../../sagas/", $path)), key: $key }
    };
}

/// All of them.
pub(crate) const FILES: &[File] = &[
    file!("order-processing.yaml", "order_id"),
    file!("patterns/g04-exclusive-choice.yaml", "claim"),
    file!("patterns/g07-discriminator.yaml", "parcel"),
    file!("patterns/g08-n-out-of-m.yaml", "paper"),
    file!("patterns/g10-interleaved-routing.yaml", "plate"),
    File { text: include_str!("../sagas/chain.yaml"), key: "id" },
];

/// A saga that is deployed.
#[derive(Clone)]
pub(crate) struct Deployed {
    pub(crate) plan: Arc<Plan>,
    pub(crate) text: &'static str,
    pub(crate) key: &'static str,
}

/// Checks a file; ours are right.
pub(crate) fn deployed(file: &File) -> Deployed {
    let checked = saga::check(file.text);
    let found = checked.diagnostics;
    let plan = checked.plan.unwrap_or_else(|| unreachable!("{found:#?}"));
    Deployed { plan: plan.shared(), text: file.text, key: file.key }
}

impl Deployed {
    /// Inputs for a workflow of that key.
    pub(crate) fn inputs(&self, key: &str, dice: &mut Dice) -> Value {
        let inputs = self.plan.inputs.iter().flatten();
        let mut map: Map<String, Value> =
            inputs.map(|input| (input.name.clone(), value_of(&input.of, dice))).collect();
        map.insert(self.key.to_owned(), json!(key));
        Value::Object(map)
    }
}

/// A value of a type.
pub(crate) fn value_of(of: &Type, dice: &mut Dice) -> Value {
    match of {
        Type::String => json!(format!("s{}", dice.range(0, 1000))),
        Type::Integer => json!(dice.range(0, 1000)),
        Type::Number => json!(dice.range(0, 4000)),
        Type::Boolean => json!(dice.one_in(2)),
        Type::Timestamp => json!("2026-01-01T00:00:00Z"),
        Type::Duration => json!("1s"),
        Type::Object | Type::Any | Type::Map(_) => json!({}),
        Type::Dataset => json!("s3://x/x"),
        Type::List(of) => json!([value_of(of, dice), value_of(of, dice)]),
        Type::Record(fields) => {
            let fields = fields.iter().map(|(name, of, _)| (name.clone(), value_of(of, dice)));
            Value::Object(fields.collect())
        }
    }
}
