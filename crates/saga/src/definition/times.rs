//! Whether the times of a file fit into one another.

use std::time::Duration;

use super::draft::{Draft, TaskDraft};
use super::findings::{Finding, Findings};
use super::graph::Graph;
use crate::duration::text;
use crate::plan::{Kind, RetryPlan};

/// Attempts against deadlines, and the longest path against the saga's timeout.
pub(super) fn check(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    for task in &draft.tasks {
        check_task(task, findings);
    }
    check_path(draft, graph, findings);
}

fn check_task(task: &TaskDraft, findings: &mut Findings) {
    let Some(deadline) = &task.deadline else { return };
    let id = &task.id.it;
    if task.timeout.it > deadline.it {
        let message = format!(
            "`timeout` {} of `{id}` exceeds {} of its `deadline`",
            text(task.timeout.it),
            text(deadline.it)
        );
        let help = "one attempt has `timeout`, all attempts and waits together have `deadline`";
        findings.push(Finding::error("E501", deadline.span, message).help(help));
    }
    let waits = waits(&task.retry.it);
    if task.kind != Kind::Retriable && waits > deadline.it {
        let message = format!(
            "{} attempts of `{id}` wait {}, its `deadline` is {}",
            task.retry.it.max_attempts,
            text(waits),
            text(deadline.it)
        );
        let help = "fewer attempts, a shorter `backoff`, or a longer `deadline`";
        findings.push(Finding::error("E502", deadline.span, message).help(help));
    }
}

/// All waits between attempts together.
fn waits(retry: &RetryPlan) -> Duration {
    let mut wait = retry.backoff.min(retry.max_backoff);
    let mut total = Duration::ZERO;
    for _ in 1..retry.max_attempts {
        total = total.saturating_add(wait);
        let next = wait.as_secs_f64() * retry.factor;
        wait = Duration::try_from_secs_f64(next).unwrap_or(Duration::MAX).min(retry.max_backoff);
    }
    // To the millisecond, as a file writes it.
    Duration::from_millis(u64::try_from(total.as_millis()).unwrap_or(u64::MAX))
}

/// How long a task may take that fails or succeeds at the last moment. A retriable one has no such
/// bound: it counts once.
fn worst(task: &TaskDraft) -> Duration {
    let attempts = match task.kind {
        Kind::Retriable => task.timeout.it,
        Kind::Compensatable | Kind::Pivot | Kind::ReadOnly => task
            .timeout
            .it
            .saturating_mul(task.retry.it.max_attempts)
            .saturating_add(waits(&task.retry.it)),
    };
    task.deadline.as_ref().map_or(attempts, |deadline| attempts.min(deadline.it))
}

/// W02
fn check_path(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    let count = draft.tasks.len();
    let mut ends = vec![Duration::ZERO; count];
    let mut through: Vec<Option<usize>> = vec![None; count];
    let end = |ends: &[Duration], task: usize| ends.get(task).copied().unwrap_or_default();
    for at in &graph.order {
        let Some(task) = draft.tasks.get(*at) else { continue };
        let last = graph.before(*at).iter().copied().max_by_key(|before| end(&ends, *before));
        let begins = last.map_or(Duration::ZERO, |last| end(&ends, last));
        if let (Some(mine), Some(way)) = (ends.get_mut(*at), through.get_mut(*at)) {
            *mine = begins.saturating_add(worst(task));
            *way = last;
        }
    }
    let Some(longest) = graph.order.iter().copied().max_by_key(|at| end(&ends, *at)) else {
        return;
    };
    let total = end(&ends, longest);
    if total <= draft.timeout.it {
        return;
    }
    let mut path = Vec::new();
    let mut next = Some(longest);
    while let Some(at) = next {
        path.extend(draft.tasks.get(at).map(|task| task.id.it.as_str()));
        next = through.get(at).copied().flatten();
    }
    path.reverse();
    let message = format!(
        "worst case along {} is {}, `timeout` is {}",
        path.join(" → "),
        text(total),
        text(draft.timeout.it)
    );
    let help = "a longer `timeout`, or fewer attempts; tasks are failed when it is over";
    findings.push(Finding::warning("W02", draft.timeout.span, message).help(help));
}
