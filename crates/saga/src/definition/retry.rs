//! `retry`, of tasks and of undos, and `compensation`.

use std::time::Duration;

use super::findings::{Finding, Findings};
use super::keys;
use super::read;
use crate::plan::{CompensationPlan, OnBlocked, RetryPlan};
use crate::yaml::{Content, Node};

const ATTEMPTS_MOST: u64 = 1000;
/// Larger is a mistake: the second wait would be the longest already.
const FACTOR_MOST: f64 = 100.0;

/// What a task does that says nothing.
pub(super) fn of_tasks() -> RetryPlan {
    RetryPlan {
        max_attempts: 3,
        backoff: Duration::from_secs(1),
        factor: 2.0,
        max_backoff: Duration::from_secs(60),
        jitter: 0.5,
        only: None,
        never: Vec::new(),
    }
}

/// What an undo does that says nothing: about an hour.
fn of_undos() -> RetryPlan {
    RetryPlan { max_attempts: 20, max_backoff: Duration::from_secs(5 * 60), ..of_tasks() }
}

/// `retry: 5`, or a map; what it does not say is as in `base`.
pub(super) fn read(node: &Node, base: &RetryPlan, findings: &mut Findings) -> RetryPlan {
    let mut retry = base.clone();
    let attempts = |node: &Node, findings: &mut Findings| {
        let count = read::integer("max_attempts", node, (1, ATTEMPTS_MOST), findings)?;
        u32::try_from(count).ok()
    };
    if let Content::Number(_) = node.content {
        retry.max_attempts = attempts(node, findings).unwrap_or(retry.max_attempts);
        return retry;
    }
    let Some(entries) = node.entries() else {
        findings.push(read::must_be("retry", "a count or a map", node).help("as in `retry: 5`"));
        return retry;
    };
    keys::RETRY.check(entries, findings);
    if let Some(count) = node.get("max_attempts").and_then(|node| attempts(node, findings)) {
        retry.max_attempts = count;
    }
    if let Some(wait) =
        node.get("backoff").and_then(|node| read::duration("backoff", node, findings))
    {
        retry.backoff = wait.it;
        // A first wait that is longer than the default longest one is then the longest.
        retry.max_backoff = retry.max_backoff.max(wait.it);
    }
    if let Some(factor) = node
        .get("factor")
        .and_then(|node| read::number("factor", node, (1.0, FACTOR_MOST), findings))
    {
        retry.factor = factor;
    }
    if let Some(node) = node.get("max_backoff")
        && let Some(most) = read::duration("max_backoff", node, findings)
    {
        if most.it < retry.backoff {
            let message = "`max_backoff` is shorter than the first wait, `backoff`";
            findings.push(Finding::error("E104", most.span, message));
        }
        retry.max_backoff = most.it;
    }
    if let Some(jitter) =
        node.get("jitter").and_then(|node| read::number("jitter", node, (0.0, 1.0), findings))
    {
        retry.jitter = jitter;
    }
    if let Some(only) = node.get("only") {
        retry.only = Some(codes("only", only, findings));
    }
    if let Some(never) = node.get("never") {
        retry.never = codes("never", never, findings);
    }
    retry
}

fn codes(key: &str, node: &Node, findings: &mut Findings) -> Vec<String> {
    let list = read::list(key, node, findings).unwrap_or_default();
    list.iter().filter_map(|code| read::constant(key, code, findings)).collect()
}

/// The file's `compensation`, for all undos that do not say.
#[derive(Debug)]
pub(super) struct Compensation {
    pub(super) retry: RetryPlan,
    pub(super) timeout: Duration,
    strict: bool,
    grace: Duration,
    on_blocked: OnBlocked,
}

impl Default for Compensation {
    fn default() -> Self {
        Self {
            retry: of_undos(),
            timeout: Duration::from_secs(60),
            strict: false,
            grace: Duration::from_secs(30),
            on_blocked: OnBlocked::Wait,
        }
    }
}

impl Compensation {
    pub(super) fn read(node: &Node, findings: &mut Findings) -> Self {
        let mut this = Self::default();
        let Some(entries) = read::map("compensation", node, findings) else { return this };
        keys::COMPENSATION.check(entries, findings);
        if let Some(order) = node.get("order") {
            let words = [("graph", false), ("strict", true)];
            this.strict = read::word("order", order, &words, findings).unwrap_or(false);
        }
        if let Some(retry) = node.get("retry") {
            this.retry = read(retry, &this.retry, findings);
        }
        for (key, duration) in [("timeout", &mut this.timeout), ("grace", &mut this.grace)] {
            if let Some(read) = node.get(key).and_then(|node| read::duration(key, node, findings)) {
                *duration = read.it;
            }
        }
        if let Some(node) = node.get("on_blocked") {
            let words = [("wait", OnBlocked::Wait), ("go_on", OnBlocked::GoOn)];
            this.on_blocked =
                read::word("on_blocked", node, &words, findings).unwrap_or(this.on_blocked);
        }
        this
    }

    pub(super) fn plan(&self) -> CompensationPlan {
        CompensationPlan { strict: self.strict, grace: self.grace, on_blocked: self.on_blocked }
    }
}
