//! The sagas that the world runs, and values for them.

use std::sync::Arc;

use saga::{Plan, Props, Type};
use serde_json::{Map, Value, json};

use crate::dice::Dice;
use crate::drawn;

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
    file!("order-choreography.yaml", "order_id"),
    file!("patterns/g04-exclusive-choice.yaml", "claim"),
    file!("patterns/g07-discriminator.yaml", "parcel"),
    file!("patterns/g08-n-out-of-m.yaml", "paper"),
    file!("patterns/g09-deferred-choice.yaml", "quote"),
    file!("patterns/g10-interleaved-routing.yaml", "plate"),
    File { text: include_str!("../sagas/chain.yaml"), key: "id" },
];

/// A saga that is deployed.
#[derive(Clone)]
pub(crate) struct Deployed {
    pub(crate) plan: Arc<Plan>,
    pub(crate) text: Arc<str>,
    pub(crate) key: &'static str,
    /// The highest of a name is the newest.
    pub(crate) revision: u64,
    /// Whether a run may end well without a task that has failed for good.
    pub(crate) forgives: bool,
    /// What the world gives to workflows of a user's file; ours say it by their types.
    pub(crate) props: Option<Arc<Props>>,
}

/// What makes it so.
const FORGIVING: &[&str] = &[
    "optional: true",
    "fallback:",
    "at_least",
    "continue",
    "fail_fast",
    "pause",
    "any:",
    "discriminator",
    "n_of",
];

/// Checks a file; ours are right.
pub(crate) fn deployed(text: &str, key: &'static str, revision: u64) -> Deployed {
    let checked = saga::check(text);
    let found = checked.diagnostics;
    let plan = checked.plan.unwrap_or_else(|| unreachable!("{found:#?}"));
    let forgives = FORGIVING.iter().any(|word| text.contains(word));
    Deployed { plan: plan.shared(), text: Arc::from(text), key, revision, forgives, props: None }
}

/// What a world runs: mostly one or two files of ours, or sagas that are drawn, with what they may have as a
/// child. What has a revision above 1 is deployed while others run.
pub(crate) fn draw(dice: &mut Dice) -> Vec<Deployed> {
    let mut sagas = Vec::new();
    let ours = dice.range(0, 3);
    let mut files: Vec<&File> = FILES.iter().collect();
    dice.shuffle(&mut files);
    let files = files.into_iter().take(usize::try_from(ours).unwrap_or(0));
    sagas.extend(files.map(|file| {
        // Two days are more than anybody here waits for.
        deployed(&file.text.replace("after: 48h", "after: 20s"), file.key, 1)
    }));
    if sagas.is_empty() || dice.one_in(2) {
        let text = drawn::draw("drawn", dice);
        sagas.push(deployed(&text, "id", 1));
        if dice.one_in(3) {
            sagas.push(deployed(&drawn::newer(&text), "id", 2));
        }
        if sagas.iter().any(|saga| saga.text.contains("saga: leaf")) {
            sagas.push(deployed(include_str!("../sagas/leaf.yaml"), "leaf", 1));
        }
    }
    sagas
}

/// The saga of that name, in that version.
pub(crate) fn of_version<'s>(
    sagas: &'s [Deployed],
    name: &str,
    version: &str,
) -> Option<&'s Deployed> {
    let is_it =
        |saga: &&Deployed| saga.plan.name.as_str() == name && saga.plan.version.as_str() == version;
    sagas.iter().find(is_it)
}

impl Deployed {
    /// A user's file that is sound, with what it imports put in.
    pub(crate) fn of_file(text: &str) -> Self {
        let deployed = deployed(text, "", 1);
        let props = Some(Arc::new(Props::of(&deployed.plan)));
        Self { props, ..deployed }
    }

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
