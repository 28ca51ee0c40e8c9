//! Who comes before whom.

use super::draft::Draft;
use super::findings::{Finding, Findings};

/// The tasks as a graph; a place is one among `Draft::tasks`.
pub(super) struct Graph {
    /// What each depends on, in the order of the file.
    pub(super) before: Vec<Vec<usize>>,
    /// What depends on each.
    pub(super) after: Vec<Vec<usize>>,
    /// `reach[t][u]`: u is before t, at once or by way of others.
    reach: Vec<Vec<bool>>,
    /// Each after all that it depends on; those of a cycle, and behind one, are left out.
    pub(super) order: Vec<usize>,
    /// Whether each has a place in the order.
    ordered: Vec<bool>,
    /// Whether each depends on something that there is not.
    astray: Vec<bool>,
}

impl Graph {
    /// Whether `first` is before `second`, directly or not.
    pub(super) fn is_before(&self, first: usize, second: usize) -> bool {
        self.reach.get(second).and_then(|row| row.get(first)).copied().unwrap_or(false)
    }

    /// Whether it has a place in the order: a cycle has none.
    pub(super) fn is_ordered(&self, task: usize) -> bool {
        self.ordered.get(task).copied().unwrap_or(false)
    }

    /// Whether all that it comes after, directly or not, is known.
    pub(super) fn is_known(&self, task: usize) -> bool {
        let mut astray = self.astray.iter().enumerate().filter(|(_, astray)| **astray);
        !astray.any(|(at, _)| at == task || self.is_before(at, task))
    }

    pub(super) fn before(&self, task: usize) -> &[usize] {
        self.before.get(task).map_or(&[], Vec::as_slice)
    }
}

/// Looks up what is depended on; unknown names and cycles are findings.
pub(super) fn check(draft: &Draft, findings: &mut Findings) -> Graph {
    let count = draft.tasks.len();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut astray = vec![false; count];
    for (at, (task, mine)) in draft.tasks.iter().zip(&mut before).enumerate() {
        for name in &task.depends_on {
            let Some(other) = draft.tasks.iter().position(|other| other.id.it == name.it) else {
                if draft.ids.contains(&name.it) {
                    continue;
                }
                if let Some(is) = astray.get_mut(at) {
                    *is = true;
                }
                let ids = draft.ids.iter().map(String::as_str);
                let ids: Vec<&str> = ids.filter(|id| *id != task.id.it).collect();
                let message = format!("`{}` is not a task", name.it);
                let finding =
                    Finding::error("E203", name.span, message).near(&name.it, ids.clone());
                findings.push(finding.help(format!("tasks: {}", some_of(&ids))));
                continue;
            };
            if mine.contains(&other) {
                let message = format!("`{}` is given twice", name.it);
                findings.push(Finding::error("E201", name.span, message));
                continue;
            }
            mine.push(other);
            if let Some(others) = after.get_mut(other) {
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
    let graph = Graph { before, after, reach, order, ordered, astray };
    if graph.order.len() < count {
        report_cycle(draft, &graph, findings);
    }
    graph
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

/// E202: one cycle, which is found by going from a task that has no place to one of those that it
/// depends on and has none either, until one comes again.
fn report_cycle(draft: &Draft, graph: &Graph, findings: &mut Findings) {
    let mut path: Vec<usize> = Vec::new();
    let mut next = graph.ordered.iter().position(|ordered| !ordered);
    while let Some(task) = next {
        if let Some(begin) = path.iter().position(|passed| *passed == task) {
            path.drain(..begin);
            break;
        }
        path.push(task);
        next = graph.before(task).iter().copied().find(|other| !graph.is_ordered(*other));
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
