//! Sagas judged from outside, on the embedded log; `tests/tests/outside_kafka.rs` does the same on a Kafka.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test, that is an assertion")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use events::AgentName;
use support::{Place, Up, wait_for};
use tests::outside::{Api, Books, Event, Serving, World};

struct Embedded {
    api: Api,
    up: Up,
    _place: Place,
}

impl Embedded {
    fn start() -> Self {
        let place = Place::new();
        let up = place.up("data");
        Self { api: Api::at(&up.url), up, _place: place }
    }
}

impl World for Embedded {
    fn api(&self) -> &Api {
        &self.api
    }

    fn serve(&self, agents: &[AgentName], books: &Arc<Books>) -> Serving {
        tests::outside::serve_over_http(&self.up.url, agents, books)
    }

    fn make_topic(&self, _: &str) {}

    fn histories(&self, workflows: &BTreeSet<String>) -> BTreeMap<String, Vec<Event>> {
        let of = |id: &String| {
            let history = wait_for("the end", || {
                let history = self.api.history(id);
                history.iter().any(Event::is_end).then_some(history)
            });
            (id.clone(), history)
        };
        workflows.iter().map(of).collect()
    }
}

/// shows: G1, G2, G3, G4, G5, G6, G7, G8, G9, G10
#[test]
fn each_pattern_runs_as_it_says() {
    tests::outside::each_pattern_runs_as_it_says(&Embedded::start());
}

#[test]
fn children_are_undone_through_the_tree() {
    tests::outside::children_are_undone_through_the_tree(&Embedded::start());
}

#[test]
fn random_sagas_keep_their_word() {
    tests::outside::random_sagas_keep_their_word(&Embedded::start());
}
