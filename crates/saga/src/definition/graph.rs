//! Who comes before whom, within each list of tasks and from one list to another.

use std::collections::BTreeMap;

use super::draft::{At, Draft};
use super::findings::{Finding, Findings};
use super::task::TOP;
use crate::plan::Role;

/// The tasks as a graph; a place is one among `Draft::tasks`.
pub(super) struct Graph {
    /// What each depends on, in the order of the file.
    before: Vec<Vec<usize>>,
    /// What depends on each.
    after: Vec<Vec<usize>>,
    /// `reach[t][u]`: u is before t, at once or by way of others.
    reach: Vec<Vec<bool>>,
    /// Each after all that it depends on; those of a cycle, and behind one, are left out.
    pub(super) order: Vec<usize>,
    /// Whether each has a place in the order.
    ordered: Vec<bool>,
    /// Whether all that each comes after is there.
    known: Vec<bool>,
    /// Each and all that it stands in, the innermost first.
    chains: Vec<Vec<usize>>,
}

impl Graph {
    /// Whether `first` is before `second`, its sibling, directly or not.
    pub(super) fn is_before(&self, first: usize, second: usize) -> bool {
        self.reach.get(second).and_then(|row| row.get(first)).copied().unwrap_or(false)
    }

    /// Whether all of `first` is over when `second` begins, whatever they stand in.
    pub(super) fn is_over_before(&self, first: usize, second: usize) -> bool {
        self.chain(first).iter().any(|first| self.comes_after(second, *first))
    }

    /// Whether `first` is over when `second` begins: a sibling of it, or of what it stands in, that comes
    /// before.
    pub(super) fn comes_after(&self, second: usize, first: usize) -> bool {
        self.chain(second).iter().any(|second| self.is_before(first, *second))
    }

    /// Whether an expression of `reader` may read what `other` has given.
    pub(super) fn sees(&self, draft: &Draft, reader: usize, other: usize) -> bool {
        let of = |task: usize| draft.tasks.get(task).map(|task| &task.stand);
        self.comes_after(reader, other)
            || self.chain(reader).iter().filter_map(|at| of(*at)).any(|stand| match stand.role {
                Role::Fallback(failed) => failed == other,
                Role::Closing => match stand.host {
                    Some(host) => host == other,
                    None => of(other).is_some_and(|other| other.list == TOP),
                },
                Role::Child | Role::Case(_) | Role::Item => false,
            })
    }

    /// It and all that it stands in, the innermost first.
    pub(super) fn chain(&self, task: usize) -> &[usize] {
        self.chains.get(task).map_or(&[], Vec::as_slice)
    }

    /// Whether it has a place in the order: a cycle has none.
    pub(super) fn is_ordered(&self, task: usize) -> bool {
        self.chain(task).iter().all(|at| self.ordered.get(*at).copied().unwrap_or(false))
    }

    fn has_place(&self, task: usize) -> bool {
        self.ordered.get(task).copied().unwrap_or(false)
    }

    /// Whether all that it comes after, directly or not, is known.
    pub(super) fn is_known(&self, task: usize) -> bool {
        self.known.get(task).copied().unwrap_or(false)
    }

    pub(super) fn before(&self, task: usize) -> &[usize] {
        self.before.get(task).map_or(&[], Vec::as_slice)
    }

    pub(super) fn after(&self, task: usize) -> &[usize] {
        self.after.get(task).map_or(&[], Vec::as_slice)
    }
}

/// Looks up what is depended on; unknown names and cycles are findings.
pub(super) fn check(draft: &Draft, findings: &mut Findings) -> Graph {
    let count = draft.tasks.len();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut astray = vec![false; count];
    let places = places(draft);
    for (at, (task, mine)) in draft.tasks.iter().zip(&mut before).enumerate() {
        mine.extend(task.stand.follows);
        for name in &task.depends_on {
            let Some(other) = places.get(&(task.stand.list, name.it.as_str())).copied() else {
                if let Some(is) = astray.get_mut(at) {
                    *is = true;
                }
                findings.push(not_beside(draft, at, name));
                continue;
            };
            if mine.contains(&other) {
                let message = format!("`{}` is given twice", name.it);
                findings.push(Finding::error("E201", name.span, message));
                continue;
            }
            mine.push(other);
        }
        for other in mine {
            if let Some(others) = after.get_mut(*other) {
                others.push(at);
            }
        }
    }
    let order = sorted(&before, &after);
    let mut ordered = vec![false; count];
    for task in &order {
        if let Some(is) = ordered.get_mut(*task) {
            *is = true;
        }
    }
    let reach = reach(&before, &order);
    let chains = (0..count).map(|at| chain(draft, at)).collect();
    let known = Vec::new();
    let mut graph = Graph { before, after, reach, order, ordered, known, chains };
    let astray: Vec<usize> =
        astray.iter().enumerate().filter(|(_, is)| **is).map(|(at, _)| at).collect();
    let is_known = |task: usize| {
        let after = |at: &usize| graph.chain(task).contains(at) || graph.comes_after(task, *at);
        !astray.iter().any(after)
    };
    graph.known = (0..count).map(is_known).collect();
    report_cycles(draft, &graph, findings);
    graph
}

/// The first of each name in each list.
fn places(draft: &Draft) -> BTreeMap<(usize, &str), usize> {
    let mut places = BTreeMap::new();
    for (at, task) in draft.tasks.iter().enumerate() {
        places.entry((task.stand.list, task.id.it.as_str())).or_insert(at);
    }
    places
}

/// It and all that it stands in, the innermost first.
fn chain(draft: &Draft, task: usize) -> Vec<usize> {
    let mut chain = vec![task];
    let mut next = draft.tasks.get(task).and_then(|task| task.stand.host);
    while let Some(host) = next {
        chain.push(host);
        next = draft.tasks.get(host).and_then(|host| host.stand.host);
    }
    chain
}

/// E203: it is no task, or not one of those beside.
fn not_beside(draft: &Draft, at: usize, name: &At<String>) -> Finding {
    let Some(task) = draft.tasks.get(at) else {
        return Finding::error("E203", name.span, format!("`{}` is not a task", name.it));
    };
    let siblings: Vec<&str> = draft
        .tasks
        .iter()
        .enumerate()
        .filter(|(other, sibling)| *other != at && sibling.stand.list == task.stand.list)
        .map(|(_, sibling)| sibling.id.it.as_str())
        .filter(|id| !id.is_empty())
        .collect();
    let Some(other) = draft.tasks.iter().position(|other| other.id.it == name.it) else {
        let finding = Finding::error("E203", name.span, format!("`{}` is not a task", name.it));
        return finding.near(&name.it, siblings.clone()).help(those_beside(&siblings));
    };
    let (id, of) = (&task.id.it, chain(draft, other));
    let hosts = chain(draft, at);
    let id_of = |place: usize| draft.tasks.get(place).map_or("", |task| task.id.it.as_str());
    if hosts.contains(&other) {
        let message = format!("`{id}` is inside `{}` and can not wait for it", name.it);
        return Finding::error("E203", name.span, message);
    }
    let list_of = |place: usize| draft.tasks.get(place).map(|task| task.stand.list);
    // The two that stand beside one another, of what they stand in.
    let beside = of.iter().find_map(|theirs| {
        let mine = hosts.iter().find(|mine| list_of(**mine) == list_of(*theirs))?;
        Some((*mine, *theirs))
    });
    let within = draft.tasks.get(other).and_then(|task| task.stand.parent).map_or("", id_of);
    let (message, help) = match beside {
        Some((_, theirs)) if hosts.contains(&theirs) => (
            format!("`{}` is inside `{within}`, but not beside `{id}`", name.it),
            "what stands in different cases can not wait for one another".to_owned(),
        ),
        Some((mine, theirs)) if mine == at => (
            format!("`{}` is inside `{within}`", name.it),
            format!("depend on `{}`", id_of(theirs)),
        ),
        Some((mine, theirs)) => (
            format!("`{}` is not beside `{id}`: a task depends on its siblings only", name.it),
            format!("`depends_on: [{}]` on `{}`", id_of(theirs), id_of(mine)),
        ),
        None => (
            format!("`{}` is not beside `{id}`: a task depends on its siblings only", name.it),
            those_beside(&siblings),
        ),
    };
    Finding::error("E203", name.span, message).help(help)
}

fn those_beside(siblings: &[&str]) -> String {
    match siblings {
        [] => "no task stands beside it: leave `depends_on` out".to_owned(),
        _ => format!("tasks beside it: {}", some_of(siblings)),
    }
}

/// The first few of a list.
pub(super) fn some_of(names: &[&str]) -> String {
    const SHOWN_MAX: usize = 12;
    let shown = names.get(..SHOWN_MAX).unwrap_or(names).join(", ");
    if names.len() > SHOWN_MAX { format!("{shown}, ...") } else { shown }
}

/// Kahn's algorithm, the earliest in the file first.
fn sorted(before: &[Vec<usize>], after: &[Vec<usize>]) -> Vec<usize> {
    let mut waits: Vec<usize> = before.iter().map(Vec::len).collect();
    let mut ready: std::collections::BTreeSet<usize> =
        waits.iter().enumerate().filter(|(_, waits)| **waits == 0).map(|(at, _)| at).collect();
    let mut order = Vec::with_capacity(before.len());
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for behind in after.get(next).into_iter().flatten() {
            if let Some(waits) = waits.get_mut(*behind) {
                *waits -= 1;
                if *waits == 0 {
                    ready.insert(*behind);
                }
            }
        }
    }
    order
}

fn reach(before: &[Vec<usize>], order: &[usize]) -> Vec<Vec<bool>> {
    let mut reach = vec![Vec::new(); before.len()];
    for task in order {
        let mut row = vec![false; before.len()];
        for direct in before.get(*task).into_iter().flatten() {
            for (mine, theirs) in row.iter_mut().zip(reach.get(*direct).into_iter().flatten()) {
                *mine |= *theirs;
            }
            if let Some(mine) = row.get_mut(*direct) {
                *mine = true;
            }
        }
        if let Some(place) = reach.get_mut(*task) {
            *place = row;
        }
    }
    reach
}

/// E202: one cycle of each list that has any.
fn report_cycles(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    let mut told = Vec::new();
    for (at, task) in draft.tasks.iter().enumerate() {
        if !graph.has_place(at) && !told.contains(&task.stand.list) {
            told.push(task.stand.list);
            report_cycle(draft, graph, at, findings);
        }
    }
}

/// It is found by going from a task that has no place to one of those that it depends on and has none
/// either, until one comes again.
fn report_cycle(draft: &Draft, graph: &Graph, from: usize, findings: &mut Findings) {
    let mut path: Vec<usize> = Vec::new();
    let mut next = Some(from);
    while let Some(task) = next {
        if let Some(begin) = path.iter().position(|passed| *passed == task) {
            path.drain(..begin);
            break;
        }
        path.push(task);
        next = graph.before(task).iter().copied().find(|other| !graph.has_place(*other));
    }
    // Followed from a task to what it waits for: said from what comes first.
    path.reverse();
    let first =
        path.iter().copied().min().and_then(|least| path.iter().position(|at| *at == least));
    path.rotate_left(first.unwrap_or(0));
    let ring: Vec<usize> = path.iter().chain(path.first()).copied().collect();
    let id = |task: usize| draft.tasks.get(task).map_or("", |task| task.id.it.as_str());
    let names: Vec<&str> = ring.iter().map(|task| id(*task)).collect();
    let mut span = None;
    let mut edges = Vec::new();
    for pair in ring.windows(2) {
        let [earlier, later] = pair else { continue };
        let named = draft.tasks.get(*later).into_iter().flat_map(|task| &task.depends_on);
        let Some(name) = named.into_iter().find(|name| name.it == id(*earlier)) else { continue };
        span = span.or(Some(name.span));
        let line = findings.line_of(name.span.0);
        edges.push(format!("line {line}: `{}` depends on `{}`", id(*later), id(*earlier)));
    }
    let message = format!("cycle: {}", names.join(" → "));
    let finding = Finding::error("E202", span.unwrap_or_default(), message);
    findings.push(finding.help(format!("{}; take one of them away", edges.join("; "))));
}
