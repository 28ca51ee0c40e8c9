//! Sagas judged from outside, on a real Apache Kafka: what stands on the topic `events`, and participants that
//! are clients of it. `cargo xtask test` sets up all that this needs.
#![cfg(feature = "real-kafka")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test, that is an assertion")]

#[allow(dead_code, reason = "the tests on Kafka share it; none of them uses all of it")]
mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use events::AgentName;
use serde_json::{Value, json};
use stream::{Broker, Follow, Purpose, Start};
use system::{PATIENCE, System};
use tests::outside::{
    Api, Books, Event, Serving, World, children_are_undone_through_the_tree,
    each_pattern_runs_as_it_says, random_sagas_keep_their_word, serve_over_broker,
};

struct OnKafka {
    api: Api,
    broker: Arc<kafka::Kafka>,
    groups: AtomicUsize,
    system: System,
}

impl OnKafka {
    fn start() -> Self {
        let system = System::start("outside");
        let (api, broker) = (Api::at(&system.url()), Arc::new(system.broker()));
        Self { api, broker, groups: AtomicUsize::new(0), system }
    }
}

impl World for OnKafka {
    fn api(&self) -> &Api {
        &self.api
    }

    fn serve(&self, agents: &[AgentName], books: &Arc<Books>) -> Serving {
        let number = self.groups.fetch_add(1, Ordering::Relaxed);
        let group = self.broker.topics().group(&format!("outside-{number}"));
        serve_over_broker(Arc::clone(&self.broker), &group, agents, books)
    }

    fn make_topic(&self, name: &str) {
        self.broker.create(&name.into(), Purpose::Tasks).unwrap();
    }

    /// What comes twice after a crash is passed over, as the contract of `events` says.
    fn histories(&self, workflows: &BTreeSet<String>) -> BTreeMap<String, Vec<Event>> {
        let topic = self.broker.topics().events();
        let mut follow = self.broker.follow(vec![(topic, Start::Earliest)]).unwrap();
        let mut found: BTreeMap<String, Vec<Event>> = BTreeMap::new();
        let deadline = Instant::now() + PATIENCE;
        let is_whole = |found: &BTreeMap<String, Vec<Event>>| {
            workflows.iter().all(|id| found.get(id).is_some_and(|of| of.iter().any(Event::is_end)))
        };
        while !is_whole(&found) {
            assert!(Instant::now() < deadline, "{found:#?} of {workflows:?}");
            for record in follow.next(Duration::from_millis(200)).unwrap() {
                let event = Event::read(&record);
                let of = found.entry(event.workflow.clone()).or_default();
                if of.last().is_none_or(|last| last.sequence < event.sequence) {
                    of.push(event);
                }
            }
        }
        found
    }
}

/// `pavane check --live` on a topic that nobody has made, and one that stands.
///
/// shows: P4
fn a_topic_that_does_not_exist_is_named(world: &OnKafka) {
    let topic = world.system.topic("live.orders");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("live.yaml");
    let check = |topic: &str| -> Value {
        let saga = format!(
            "version: \"2.0\"
name: live
key: ${{inputs.k}}
inputs: [{{name: k, type: string}}]
tasks: [{{id: told, await: {topic}/Placed, timeout: 1h}}]
"
        );
        std::fs::write(&file, saga).unwrap();
        let said = world.system.try_pavane(&["check", file.to_str().unwrap(), "--live"]);
        serde_json::from_slice(&said.stdout).unwrap()
    };
    let sound = check(&topic);
    assert_eq!((&sound["ok"], &sound["not_asked"]), (&json!(true), &json!(["E602"])), "{sound}");
    let found = check(&format!("{topic}s"));
    let first = &found["diagnostics"][0];
    assert_eq!((&first["code"], &first["line"]), (&json!("E601"), &json!(5)), "{found}");
    assert_eq!(first["label"], format!("did you mean `{topic}`?"), "{found}");
}

/// One system for all of them, so that they are in each other's way as they would be.
///
/// shows: G1, G2, G3, G4, G5, G6, G7, G8, G9, G10
#[test]
fn sagas_keep_their_word_on_kafka() {
    let world = &OnKafka::start();
    std::thread::scope(|scope| {
        let runs: [fn(&dyn World); 3] = [
            each_pattern_runs_as_it_says,
            children_are_undone_through_the_tree,
            random_sagas_keep_their_word,
        ];
        for run in runs {
            scope.spawn(move || run(world));
        }
        scope.spawn(|| a_topic_that_does_not_exist_is_named(world));
    });
}
