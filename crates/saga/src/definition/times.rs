//! Whether the times of a file fit into one another.

use std::collections::BTreeMap;
use std::time::Duration;

use super::draft::Draft;
use super::findings::{Finding, Findings};
use super::graph::Graph;
use super::node::{ActionDraft, RaceOnDraft, TaskDraft, WaitDraft};
use super::task::TOP;
use crate::duration::text;
use crate::plan::{Join, Kind, RetryPlan, Role};

/// Attempts against deadlines, and the longest path against the saga's timeout.
pub(super) fn check(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    for (at, task) in draft.tasks.iter().enumerate() {
        check_task(task, findings);
        check_within(draft, graph, at, findings);
    }
    let times = Times::of(draft, graph);
    if !times.check_waits(findings) {
        times.check_path(findings);
    }
}

fn check_task(task: &TaskDraft, findings: &mut Findings) {
    let Some(deadline) = task.deadline_within() else { return };
    let id = &task.id.it;
    if let Some(timeout) = task.timeout.as_ref().filter(|timeout| timeout.it > deadline.it) {
        let message = format!(
            "`timeout` {} of `{id}` exceeds {} of its `deadline`",
            text(timeout.it),
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

/// A timeout that is said, against the times of what it stands in.
fn check_within(draft: &Draft, graph: &Graph, at: usize, findings: &mut Findings) {
    let Some(task) = draft.tasks.get(at).filter(|task| task.timeout_said) else { return };
    let Some(timeout) = &task.timeout else { return };
    let around = graph.chain(at).iter().skip(1).filter_map(|host| draft.tasks.get(*host));
    for host in around.take_while(|_| task.stand.role != Role::Closing) {
        let bounds = [("deadline", host.deadline_within()), ("timeout", host.timeout.as_ref())];
        let exceeded = bounds.iter().find_map(|(key, bound)| {
            bound
                .filter(|bound| host.action.is_container() && timeout.it > bound.it)
                .map(|bound| (key, bound))
        });
        let Some((key, bound)) = exceeded else { continue };
        let message = format!(
            "`timeout` {} of `{}` exceeds {} of the `{key}` of `{}`, in which it stands",
            text(timeout.it),
            task.id.it,
            text(bound.it),
            host.id.it
        );
        let help = "what stands in a group has no more time than the group";
        findings.push(Finding::error("E501", timeout.span, message).help(help));
        return;
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

/// A way through a list of tasks, and how long it takes.
struct Way {
    takes: Duration,
    through: Vec<usize>,
}

struct Times<'d> {
    draft: &'d Draft,
    graph: &'d Graph,
    /// The tasks of each list, each after all that it depends on.
    lists: BTreeMap<usize, Vec<usize>>,
    /// The lists that stand in each task, but for what runs when it has failed.
    inner: BTreeMap<usize, Vec<usize>>,
}

impl<'d> Times<'d> {
    fn of(draft: &'d Draft, graph: &'d Graph) -> Self {
        let mut lists: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut inner: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in &graph.order {
            let Some(task) = draft.tasks.get(*at) else { continue };
            let list = lists.entry(task.stand.list).or_default();
            if let (true, Some(host)) = (list.is_empty(), task.stand.host)
                && matches!(task.stand.role, Role::Child | Role::Case(_) | Role::Item)
            {
                inner.entry(host).or_default().push(task.stand.list);
            }
            list.push(*at);
        }
        Self { draft, graph, lists, inner }
    }

    /// The longest way through a list, by what each task takes.
    fn longest(&self, list: usize, takes: &dyn Fn(usize) -> Duration) -> Way {
        let mut ends: BTreeMap<usize, (Duration, Option<usize>)> = BTreeMap::new();
        for at in self.lists.get(&list).into_iter().flatten() {
            let end = |at: &usize| ends.get(at).map_or(Duration::ZERO, |(end, _)| *end);
            let join = self.draft.tasks.get(*at).map(|task| task.join.it);
            let before = self.graph.before(*at).iter().copied();
            let last = match join {
                Some(Join::All) | None => before.max_by_key(end),
                // It need not wait for the others.
                Some(Join::Any | Join::NOf { .. } | Join::Discriminator) => before.min_by_key(end),
            };
            let begins = last.as_ref().map_or(Duration::ZERO, end);
            ends.insert(*at, (begins.saturating_add(takes(*at)), last));
        }
        let mut next = ends.iter().max_by_key(|(_, (end, _))| *end).map(|(at, _)| *at);
        let takes = next.and_then(|at| ends.get(&at)).map_or(Duration::ZERO, |(end, _)| *end);
        let mut through = Vec::new();
        while let Some(at) = next {
            through.push(at);
            next = ends.get(&at).and_then(|(_, last)| *last);
        }
        through.reverse();
        Way { takes, through }
    }

    /// The longest of the lists that stand in a task.
    fn inside(&self, at: usize, takes: &dyn Fn(usize) -> Duration) -> Duration {
        let lists = self.inner.get(&at).into_iter().flatten();
        lists.map(|list| self.longest(*list, takes).takes).max().unwrap_or_default()
    }

    /// How long a task may take that fails or succeeds at the last moment. What has no bound counts
    /// nothing, what is repeated without bound counts once.
    fn worst(&self, at: usize) -> Duration {
        let Some(task) = self.draft.tasks.get(at) else { return Duration::ZERO };
        let inside = self.inside(at, &|at| self.worst(at));
        let attempt = match &task.action {
            ActionDraft::Wait(WaitDraft::For(wait)) => wait.it,
            ActionDraft::Race { cases } => {
                let afters = cases.iter().filter_map(|case| match &case.on {
                    RaceOnDraft::After(after) => Some(after.it),
                    RaceOnDraft::Event { .. } => None,
                });
                afters.max().unwrap_or_default().saturating_add(inside)
            }
            ActionDraft::Broken
            | ActionDraft::Agent { .. }
            | ActionDraft::Emit(_)
            | ActionDraft::Await(_)
            | ActionDraft::Request(..)
            | ActionDraft::Wait(WaitDraft::Until(_))
            | ActionDraft::Choice { .. }
            | ActionDraft::Group { .. }
            | ActionDraft::Saga(_)
            | ActionDraft::ForEach(_) => match &task.timeout {
                Some(timeout) if task.action.is_container() => inside.min(timeout.it),
                Some(timeout) => timeout.it,
                None => inside,
            },
        };
        let attempts = match task.kind {
            Kind::Retriable => attempt,
            Kind::Compensatable | Kind::Pivot | Kind::ReadOnly => attempt
                .saturating_mul(task.retry.it.max_attempts)
                .saturating_add(waits(&task.retry.it)),
        };
        let attempts = if task.action.is_container() { attempt } else { attempts };
        let fallback = task.fallback.map_or(Duration::ZERO, |fallback| self.worst(fallback));
        let within = task.deadline_within().map_or(attempts, |deadline| attempts.min(deadline.it));
        within.saturating_add(fallback)
    }

    /// How long a task takes at least, if all goes well: its waits.
    fn least(&self, at: usize) -> Duration {
        let Some(task) = self.draft.tasks.get(at).filter(|task| task.when.is_none()) else {
            return Duration::ZERO;
        };
        match &task.action {
            ActionDraft::Wait(WaitDraft::For(wait)) => wait.it,
            ActionDraft::Group { .. } => self.inside(at, &|at| self.least(at)),
            ActionDraft::Broken
            | ActionDraft::Agent { .. }
            | ActionDraft::Emit(_)
            | ActionDraft::Await(_)
            | ActionDraft::Request(..)
            | ActionDraft::Wait(WaitDraft::Until(_))
            | ActionDraft::Choice { .. }
            | ActionDraft::Race { .. }
            | ActionDraft::Saga(_)
            | ActionDraft::ForEach(_) => Duration::ZERO,
        }
    }

    fn path(&self, way: &Way) -> String {
        let ids = way.through.iter().filter_map(|at| self.draft.tasks.get(*at));
        ids.map(|task| task.id.it.as_str()).collect::<Vec<_>>().join(" → ")
    }

    /// E502: waits alone take longer than there is time. Whether those of the whole saga do.
    fn check_waits(&self, findings: &mut Findings) -> bool {
        let mut check = |list: usize, bound: &super::draft::At<Duration>, what: &str| {
            let way = self.longest(list, &|at| self.least(at));
            if way.takes <= bound.it {
                return false;
            }
            let (path, takes, bound_text) = (self.path(&way), text(way.takes), text(bound.it));
            let message = format!("waits along {path} take {takes}, {what} is {bound_text}");
            let help = "shorter waits, or more time";
            findings.push(Finding::error("E502", bound.span, message).help(help));
            true
        };
        if check(TOP, &self.draft.timeout, "`timeout` of the saga") {
            return true;
        }
        for (host, lists) in &self.inner {
            let Some(task) = self.draft.tasks.get(*host) else { continue };
            for (key, bound) in
                [("deadline", task.deadline_within()), ("timeout", task.timeout.as_ref())]
            {
                let Some(bound) = bound else { continue };
                let what = format!("`{key}` of `{}`", task.id.it);
                let _ = lists.iter().any(|list| check(*list, bound, &what));
            }
        }
        false
    }

    /// W02
    fn check_path(&self, findings: &mut Findings) {
        let bound = &self.draft.timeout;
        let way = self.longest(TOP, &|at| self.worst(at));
        if way.takes <= bound.it {
            return;
        }
        let (path, takes) = (self.path(&way), text(way.takes));
        let message =
            format!("worst case along {path} is {takes}, `timeout` is {}", text(bound.it));
        let help = "a longer `timeout`, or fewer attempts; tasks are failed when it is over";
        findings.push(Finding::warning("W02", bound.span, message).help(help));
    }
}
