//! Child sagas: what one of them gives, how its failure reaches its parent, and how it is undone through
//! the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use client::Workflow;
use events::AgentName;
use serde_json::json;

use crate::outside::World;
use crate::outside::books::{Books, Effect, drawn_output};

const PARENT: &str = r#"
version: "2.0"
name: journey
key: ${inputs.k}
inputs: [{name: k, type: string}]
tasks:
  - {id: flight, agent: travel, inputs: {}, compensate: undo}
  - {id: stay, saga: stay, inputs: {k: "${inputs.k}"}, depends_on: [flight], timeout: 1m}
  - {id: insurance, agent: travel, inputs: {}, kind: readonly, depends_on: [stay]}
outputs: [{name: room, from: stay.output.room}]
"#;
const CHILD: &str = r#"
version: "2.0"
name: stay
key: ${inputs.k}
inputs: [{name: k, type: string}]
tasks:
  - {id: room, agent: hotel, inputs: {}, compensate: undo}
  - {id: meals, saga: meals, inputs: {k: "${inputs.k}"}, depends_on: [room], timeout: 1m}
outputs: [{name: room, from: room.output.by}]
"#;
const GRANDCHILD: &str = r#"
version: "2.0"
name: meals
key: ${inputs.k}
inputs: [{name: k, type: string}]
tasks:
  - {id: lunch, agent: hotel, inputs: {}, compensate: undo}
  - {id: dinner, agent: hotel, inputs: {}, compensate: undo, depends_on: [lunch]}
"#;
/// Calls itself: 0, 1, 2, and no more.
const DEEP: &str = r#"
version: "2.0"
name: deep
key: ${string(inputs.level)}
inputs: [{name: level, type: integer}]
tasks:
  - {id: here, agent: hotel, inputs: {}, compensate: undo}
  - {id: below, saga: {name: deep, max_depth: 2}, inputs: {level: "${inputs.level + 1}"}, depends_on: [here], timeout: 1m}
"#;

/// Where the tree stands in the books, by workflow.
fn books_say(books: &Books, workflows: &[String]) -> BTreeMap<String, Vec<(String, Effect)>> {
    let of = |id: &String| {
        let effects = books.effects(id).into_iter();
        (
            id.clone(),
            effects
                .flat_map(|(task, of)| of.into_iter().map(move |it| (task.clone(), it)))
                .collect(),
        )
    };
    workflows.iter().map(of).collect()
}

fn status(workflow: &Workflow, task: &str) -> String {
    let found = workflow.tasks.iter().find(|it| it.id == task);
    found.unwrap_or_else(|| panic!("{workflow:#?}")).status.clone()
}

/// What a child has done is undone through the tree, in reverse order, whether it fails or its parent does;
/// and a child that would be too deep is not started.
///
/// # Panics
/// Where it is otherwise.
pub fn children_are_undone_through_the_tree(world: &dyn World) {
    let books = Arc::new(Books::new(drawn_output));
    let _serving = world.serve(&["travel", "hotel"].map(AgentName::from), &books);
    for saga in [GRANDCHILD, CHILD, PARENT, DEEP] {
        world.api().deploy(saga);
    }
    let keys = ["well", "fail-insurance", "fail-dinner", "fail-room"];
    let started = keys.map(|key| world.api().start("journey", &json!({"k": key})));
    let deep = world.api().start("deep", &json!({"level": 0}));
    let ended = started.clone().map(|id| world.api().ended(&id).unwrap());
    let statuses = ended.each_ref().map(|workflow| workflow.status.as_str());
    assert_eq!(statuses, ["completed", "compensated", "compensated", "compensated"], "{ended:#?}");
    assert_eq!(ended[0].outputs, json!({"room": "room"}));
    assert_eq!(status(&ended[1], "stay"), "undone");
    assert_eq!(status(&ended[2], "stay"), "failed");
    assert_eq!(ended[2].error.as_ref().map(|error| error.code.as_str()), Some("refused"));
    let (stands, undone) = (Effect::Stands, Effect::Undone);
    let all = |effect| {
        [("journey", "flight"), ("stay", "room"), ("meals", "lunch"), ("meals", "dinner")]
            .map(|it| (it, effect))
    };
    let expected = [
        [&all(stands)[..], &[(("journey", "insurance"), stands)]].concat(),
        all(undone).to_vec(),
        all(undone)[..3].to_vec(),
        all(undone)[..1].to_vec(),
    ];
    for (key, expected) in keys.into_iter().zip(expected) {
        let tree = ["journey", "stay", "meals"].map(|saga| format!("{saga}:{key}"));
        let mut found = Vec::new();
        for (id, effects) in books_say(&books, &tree) {
            found.extend(effects.into_iter().map(|(task, effect)| (id.clone(), task, effect)));
        }
        let mut expected: Vec<_> = expected
            .into_iter()
            .map(|((saga, task), effect)| (format!("{saga}:{key}"), task.to_owned(), effect))
            .collect();
        expected.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        assert_eq!(found, expected, "{key}");
    }
    undone_from_below(world, "fail-insurance");
    too_deep(world, &books, &deep);
    assert_eq!(books.broken_promises(), Vec::<String>::new());
}

/// The child turns back before its parent is done with it, and within it the last goes first.
fn undone_from_below(world: &dyn World, key: &str) {
    let tree = ["journey", "stay", "meals"].map(|saga| format!("{saga}:{key}"));
    let histories = world.histories(&BTreeSet::from(tree.clone()));
    let undos = |id: &String| -> Vec<String> {
        let events = histories[id].iter().filter(|event| event.kind == "UndoCompleted");
        events.map(|event| event.task.clone().unwrap()).collect()
    };
    assert_eq!(
        tree.each_ref().map(undos),
        [
            vec!["stay".to_owned(), "flight".to_owned()],
            vec!["meals".to_owned(), "room".to_owned()],
            vec!["dinner".to_owned(), "lunch".to_owned()],
        ]
    );
}

fn too_deep(world: &dyn World, books: &Books, top: &str) {
    let workflow = world.api().ended(top).unwrap();
    assert_eq!(workflow.status.as_str(), "compensated", "{workflow:#?}");
    let tree: Vec<String> = (0..=3).map(|level| format!("deep:{level}")).collect();
    let found = books_say(books, &tree);
    let undone: Vec<&str> = found
        .iter()
        .filter(|(_, of)| of.as_slice() == [("here".to_owned(), Effect::Undone)])
        .map(|(id, _)| id.as_str())
        .collect();
    assert_eq!(undone, ["deep:0", "deep:1", "deep:2"], "{found:?}");
    assert!(found["deep:3"].is_empty(), "{found:?}");
    let lowest = world.api().ended("deep:2").unwrap();
    assert_eq!(status(&lowest, "below"), "failed", "{lowest:#?}");
}
