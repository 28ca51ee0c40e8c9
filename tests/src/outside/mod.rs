//! Sagas that are judged from outside: what stands on the topic `events` and in the participants' own book,
//! beside what the file says. Runs on any system that has a gateway; knows nothing of the engine.

mod api;
mod books;
mod chance;
mod children;
pub(crate) mod drawn;
mod event;
mod judge;
mod patterns;
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use events::AgentName;

pub use api::{Api, Serving, serve_over_broker, serve_over_http};
pub use books::Books;
pub(crate) use books::drawn_output;
pub(crate) use chance::Chance;
pub use children::children_are_undone_through_the_tree;
pub use event::Event;
pub use patterns::each_pattern_runs_as_it_says;
pub use random::random_sagas_keep_their_word;

/// A system that runs, on some broker.
pub trait World: Sync {
    /// Its gateway.
    fn api(&self) -> &Api;

    /// Serves these agents until it is dropped.
    fn serve(&self, agents: &[AgentName], books: &Arc<Books>) -> Serving;

    /// Makes a user's topic, where that is not done unasked.
    fn make_topic(&self, name: &str);

    /// All that has happened to these workflows, in order, once each of them has ended.
    fn histories(&self, workflows: &BTreeSet<String>) -> BTreeMap<String, Vec<Event>>;
}
