//! The file's `defaults`, and what tasks say in their place.

use std::time::Duration;

use super::draft::At;
use super::findings::Findings;
use super::keys;
use super::read;
use super::retry;
use crate::plan::{InDoubt, Kind, RetryPlan};
use crate::yaml::Node;

pub(super) const KINDS: [(&str, Kind); 4] = [
    ("compensatable", Kind::Compensatable),
    ("pivot", Kind::Pivot),
    ("retriable", Kind::Retriable),
    ("readonly", Kind::ReadOnly),
];
pub(super) const IN_DOUBT: [(&str, InDoubt); 3] =
    [("undo", InDoubt::Undo), ("query", InDoubt::Query), ("hold", InDoubt::Hold)];

/// For the tasks that do not say.
#[derive(Default)]
pub(super) struct Defaults {
    pub(super) timeout: Option<At<Duration>>,
    pub(super) deadline: Option<At<Duration>>,
    pub(super) retry: Option<At<RetryPlan>>,
    pub(super) in_doubt: Option<InDoubt>,
    pub(super) kind: Option<At<Kind>>,
}

impl Defaults {
    pub(super) fn read(node: &Node, findings: &mut Findings) -> Self {
        let Some(entries) = read::map("defaults", node, findings) else { return Self::default() };
        keys::DEFAULTS.check(entries, findings);
        let mut duration =
            |key: &str| node.get(key).and_then(|node| read::duration(key, node, findings));
        let (timeout, deadline) = (duration("timeout"), duration("deadline"));
        let retry = node.get("retry").map(|node| {
            let it = retry::read(node, &retry::of_tasks(), findings);
            At { it, span: node.span }
        });
        let in_doubt =
            node.get("in_doubt").and_then(|node| read::word("in_doubt", node, &IN_DOUBT, findings));
        let kind = node.get("kind").and_then(|node| {
            Some(At { it: read::word("kind", node, &KINDS, findings)?, span: node.span })
        });
        Self { timeout, deadline, retry, in_doubt, kind }
    }
}
