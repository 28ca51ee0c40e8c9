//! The rules of undoing.

use serde_json::{Value, json};

use crate::judge::Judge;
use crate::tree::{Kind, Place, Role};
use crate::view::{Back, Forward};

impl Judge<'_> {
    pub(crate) fn may_undo(&self, place: &Place, n: u32, inputs: Value) {
        let name = self.tree.name(place);
        let seen = self.seen(place);
        let inputs = self.original(place, inputs);
        assert_eq!(self.kind(place), Kind::Compensatable, "`{name}` has no undo");
        assert_eq!(n, seen.undo + 1, "undos of `{name}` are counted");
        // A late success: once more, with the output.
        let informed = self.told.get(place).is_some_and(|told| told.informed.is_some());
        let again = inputs["status"] == "done" && !informed;
        assert!(seen.back != Back::Running || again, "`{name}` is undone twice at once");
        // What was said later does not take back an undo that was sent.
        let may = self.possibly_done(place) || n > 1;
        assert!(may, "`{name}` was certainly not done, and is undone");
        assert!(
            self.view.compensating || self.is_local(place),
            "`{name}` is undone, but nothing of it has failed"
        );
        if self.past_pivot && !self.view.compensating {
            // Only what has failed by itself, or lost.
            assert!(self.is_local(place), "`{name}` is undone past the pivot");
        }
        self.carries(place, &inputs);
        // A later undo may meet what a late success has brought back; after the end, and while the tasks of
        // `then` run, all are sent at once.
        if n == 1 && self.view.end.is_none() && !self.is_closing() {
            self.reverse(place);
            if self.tree.saga.strict && self.view.compensating {
                self.strictly_last(place);
            }
        }
    }

    /// Whether it is undone though the run as a whole goes on.
    fn is_local(&self, place: &Place) -> bool {
        let seen = self.seen(place);
        let in_doubt =
            matches!(seen.forward, Forward::InDoubt | Forward::Failed | Forward::Cancelled);
        let fell = self
            .tree
            .line(place)
            .iter()
            .any(|around| self.falls(around) || self.is_given_up(around));
        in_doubt
            || seen.doubted
            || fell
            || self.is_short(place)
            || self.is_loser(place)
            || seen.undo > 0
            || self.stood_in_failed(place)
    }

    /// An element, or another container, that has failed with what stands in it.
    fn stood_in_failed(&self, place: &Place) -> bool {
        self.tree.line(place).iter().any(|around| self.seen(around).failures > 0)
    }

    /// The root of an element that failed and is not needed.
    fn is_given_up(&self, around: &Place) -> bool {
        matches!(self.seen(around).forward, Forward::Cancelled)
    }

    /// The real output when it was known, and nothing else.
    fn carries(&self, place: &Place, found: &Value) {
        let name = self.tree.name(place);
        let told = self.told.get(place).unwrap();
        let by_hand = self.seen(place).by_hand;
        let known = told.outputs.first().map(|output| output.value());
        assert_eq!(found["key"], json!(told.key), "the undo of `{name}` carries the key");
        if by_hand {
            return;
        }
        match known {
            Some(output) => {
                assert_eq!(found["status"], json!("done"), "the undo of `{name}`");
                assert_eq!(found["output"], output, "the undo of `{name}` carries its output");
            }
            None => {
                assert_eq!(found["status"], json!("in_doubt"), "the undo of `{name}`");
                assert_eq!(found["output"], Value::Null, "the undo of `{name}` knows no output");
            }
        }
    }

    /// All that depends on it, directly or not, is undone before.
    fn reverse(&self, place: &Place) {
        let name = self.tree.name(place);
        if let Some(later) = self.before_its_undo(place) {
            let (other, seen) = (self.tree.name(&later), self.seen(&later));
            panic!("`{name}` is undone while `{other}` is {}", seen.status());
        }
    }

    /// What depends on it and has to be undone before it.
    fn before_its_undo(&self, place: &Place) -> Option<Place> {
        let line = self.tree.line(place);
        for later in self.after_it(place) {
            // While the run goes on, only what has failed with it is undone at all.
            let around = |part: &Place| self.falling.contains(part) && line.contains(part);
            if !self.view.compensating && !self.tree.line(&later).iter().any(around) {
                continue;
            }
            let seen = self.seen(&later);
            let is_over = match seen.back {
                Back::Running | Back::Retrying => false,
                Back::Blocked => self.tree.saga.go_on,
                Back::Undone | Back::GivenUp => true,
                Back::Nothing => match seen.forward {
                    Forward::Running | Forward::InDoubt => false,
                    Forward::Done => {
                        self.kind(&later) != Kind::Compensatable || self.is_replaced(&later)
                    }
                    Forward::Retrying => {
                        // Between two attempts of what may have worked.
                        !(self.kind(&later) == Kind::Compensatable && self.possibly_done(&later))
                    }
                    Forward::Pending | Forward::Failed | Forward::Skipped | Forward::Cancelled => {
                        true
                    }
                },
            };
            if !is_over {
                return Some(later);
            }
        }
        None
    }

    /// Every task that comes after it by the graph: what depends on it or on what it stands in, all that
    /// stands in those, and their fallbacks.
    fn after_it(&self, place: &Place) -> Vec<Place> {
        let mut found = Vec::new();
        for part in self.tree.line(place) {
            let node = &self.tree.nodes[part.node];
            if part.at.len() > node.depth {
                continue;
            }
            // A fallback stands where its task does.
            let base = match node.role {
                Role::Fallback(of) => of,
                _ => part.node,
            };
            // A fallback of what it stands in has no need of it: that is over when it begins, and may be done late.
            let mut behind: Vec<usize> = self.tree.behind(base).into_iter().collect();
            let more: Vec<usize> =
                behind.iter().filter_map(|node| self.tree.nodes[*node].fallback).collect();
            behind.extend(more);
            for node in behind {
                let later = Place { node, at: part.at.clone() };
                found.extend(self.tree.deep(&later));
                found.push(later);
            }
        }
        found.retain(|place| self.is_agent(place));
        found
    }

    /// `order: strict`: one at a time, and of those whose turn it is by the graph the last that was finished.
    fn strictly_last(&self, place: &Place) {
        let name = self.tree.name(place);
        let seen = self.seen(place);
        for (id, other) in &self.view.tasks {
            let Some(there) = self.tree.find(id) else { continue };
            if *id == name || !self.is_agent(&there) {
                continue;
            }
            let is_out = matches!(other.back, Back::Running | Back::Retrying);
            let under_way = is_out && !other.overtaken;
            assert!(!under_way, "strict: `{name}` is undone while `{id}` is");
            let stands = other.back == Back::Nothing
                && other.forward == Forward::Done
                && !self.is_replaced(&there)
                && self.kind(&there) == Kind::Compensatable
                && self.before_its_undo(&there).is_none();
            if let (true, Some(here), Some(there)) = (stands, seen.done, other.done) {
                assert!(there < here, "strict: `{name}` is undone before `{id}`, finished later");
            }
        }
    }
}
