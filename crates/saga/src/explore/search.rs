//! The search: the simplest runs first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use super::canonical::Mark;
use super::choice::{Choice, choices, happen};
use super::world::{Setting, World};
use super::{Bounds, Counterexample, Explored, Found, Gravity, story};
use crate::plan::{Role, Slot};

/// A number of a moment that was seen.
type Number = usize;

/// A moment, and how it was first come to.
struct Moment {
    before: Option<(Number, Choice)>,
    has_ended: bool,
    /// Those that may follow.
    after: Vec<Number>,
}

/// A step that may be made.
struct Next {
    troubles: u32,
    depth: usize,
    order: usize,
    of: Number,
    world: Arc<World>,
    choice: Choice,
}

impl Next {
    fn rank(&self) -> (u32, usize, usize) {
        (self.troubles, self.depth, self.order)
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Next {}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

struct Search<'s> {
    setting: &'s Setting,
    moments: Vec<Moment>,
    known: BTreeMap<Mark, Number>,
    open: BinaryHeap<Reverse<Next>>,
    order: usize,
    depth: usize,
    begun: BTreeSet<Slot>,
    found: BTreeMap<(&'static str, String), Case>,
}

/// What was found, and the run up to it.
struct Case {
    found: Found,
    run: Vec<Choice>,
}

/// Looks at what may happen, up to the bound.
pub(super) fn search(setting: &Setting, bounds: Bounds) -> Explored {
    let mut search = Search {
        setting,
        moments: Vec::new(),
        known: BTreeMap::new(),
        open: BinaryHeap::new(),
        order: 0,
        depth: 0,
        begun: BTreeSet::new(),
        found: BTreeMap::new(),
    };
    let world = World::new(setting);
    search.add(world, None, 0, 0);
    let mut stopped_at = None;
    while let Some(Reverse(next)) = search.open.pop() {
        if search.moments.len() >= bounds.states {
            stopped_at = Some(next.troubles);
            break;
        }
        search.go(next);
    }
    let complete = stopped_at.is_none();
    let troubles = match stopped_at {
        Some(level) => level.checked_sub(1),
        None => None,
    };
    if complete {
        search.stuck();
    }
    let unreached = search.never_begun(complete, troubles);
    search.told(complete, troubles, unreached)
}

impl Search<'_> {
    fn go(&mut self, next: Next) {
        let mut world = World::clone(&next.world);
        let told = happen(&mut world, self.setting, &next.choice);
        if told.ignored.is_some() && told.found.is_empty() && !changes(&next.choice) {
            return;
        }
        for slot in world.judge.begun.drain(..) {
            self.begun.insert(slot);
        }
        let mut found = told.found;
        if !told.is_broken {
            found.extend(world.silence(self.setting));
            found.extend(world.restart());
        }
        // That too few are done where some have failed is what the file says.
        found.retain(|found| found.code != "join" || next.troubles == 0);
        for found in found {
            self.note(found, next.of, &next.choice);
        }
        if told.is_broken {
            return;
        }
        let mark = world.mark();
        let number = match self.known.get(&mark) {
            Some(known) => *known,
            None => {
                self.known.insert(mark, self.moments.len());
                self.add(world, Some((next.of, next.choice)), next.troubles, next.depth)
            }
        };
        if let Some(moment) = self.moments.get_mut(next.of)
            && !moment.after.contains(&number)
        {
            moment.after.push(number);
        }
    }

    fn add(
        &mut self,
        world: World,
        before: Option<(Number, Choice)>,
        troubles: u32,
        depth: usize,
    ) -> Number {
        let number = self.moments.len();
        self.depth = self.depth.max(depth);
        let has_ended = world.judge.ended_at.is_some();
        self.moments.push(Moment { before, has_ended, after: Vec::new() });
        let world = Arc::new(world);
        for (choice, trouble) in choices(&world, self.setting) {
            self.order += 1;
            self.open.push(Reverse(Next {
                troubles: troubles + trouble,
                depth: depth + 1,
                order: self.order,
                of: number,
                world: Arc::clone(&world),
                choice,
            }));
        }
        number
    }

    /// The first run that shows it is the simplest one.
    fn note(&mut self, found: Found, of: Number, choice: &Choice) {
        // What one element shows, the others need not show again.
        let about = found.about.split('[').next().unwrap_or_default().to_owned();
        let key = (found.code, about);
        let is_worse = self.found.get(&key).is_none_or(|known| found.gravity < known.found.gravity);
        if is_worse {
            let mut run = self.run_to(of);
            run.push(choice.clone());
            self.found.insert(key, Case { found, run });
        }
    }

    fn run_to(&self, number: Number) -> Vec<Choice> {
        let mut run = Vec::new();
        let mut at = self.moments.get(number);
        while let Some((before, choice)) = at.and_then(|moment| moment.before.as_ref()) {
            run.push(choice.clone());
            at = self.moments.get(*before);
        }
        run.reverse();
        run
    }

    /// Moments from which no end can be reached any more.
    fn stuck(&mut self) {
        let mut before: Vec<Vec<Number>> = vec![Vec::new(); self.moments.len()];
        for (number, moment) in self.moments.iter().enumerate() {
            for after in &moment.after {
                before.get_mut(*after).into_iter().for_each(|of| of.push(number));
            }
        }
        let mut ends = vec![false; self.moments.len()];
        let mut open: Vec<Number> = Vec::new();
        for (number, moment) in self.moments.iter().enumerate() {
            if moment.has_ended {
                open.push(number);
            }
        }
        while let Some(number) = open.pop() {
            let Some(seen) = ends.get_mut(number).filter(|seen| !**seen) else { continue };
            *seen = true;
            open.extend(before.get(number).into_iter().flatten());
        }
        // They are in the order of the search.
        let stuck = ends.iter().position(|ends| !ends);
        let run = stuck.map(|number| self.run_to(number)).filter(|run| !run.is_empty());
        if let Some(run) = run {
            let message = "from here no end can be reached, whatever happens";
            let found = Found::of_ours("stuck", "", message);
            self.found.insert(("stuck", String::new()), Case { found, run });
        }
    }

    /// Tasks that have begun in no run. It is a mistake where enough was seen to say so.
    fn never_begun(&mut self, complete: bool, troubles: Option<u32>) -> Vec<String> {
        let mut unreached = Vec::new();
        for (slot, task) in self.setting.plan.tasks.iter().enumerate() {
            let is_own = task.role != Role::Item;
            if self.begun.contains(&slot) || !is_own {
                continue;
            }
            let needed = self.needed(slot);
            let is_sure = complete || troubles.is_some_and(|seen| seen >= needed);
            if !is_sure {
                unreached.push(task.id.to_string());
                continue;
            }
            let around = self
                .setting
                .places
                .beside(&super::places::Place { slot, elements: Vec::new() }, slot);
            let is_inside = self.setting.places.any_around(&self.setting.plan, &around, |of| {
                of != slot && !self.begun.contains(&of)
            });
            if is_inside {
                continue;
            }
            let known = self.found.remove(&("join", task.id.to_string()));
            let why = if known.is_some() { ": its join can not fire" } else { "" };
            let message = format!("`{}` starts in no run{why}", task.id);
            let found = Found::of_file("never-starts", Gravity::Error, task.id.as_str(), message);
            let run = known.map(|known| known.run).unwrap_or_default();
            self.found.insert(("never-starts", task.id.to_string()), Case { found, run });
        }
        unreached
    }

    /// How much must go wrong before it can start.
    fn needed(&self, slot: Slot) -> u32 {
        let place = super::places::Place { slot, elements: Vec::new() };
        let waits_for_failure = |slot: Slot| {
            let role = self.setting.plan.tasks.get(slot).map(|task| task.role);
            matches!(role, Some(Role::Fallback(_) | Role::Closing))
        };
        let is_for_failures =
            self.setting.places.any_around(&self.setting.plan, &place, waits_for_failure);
        if is_for_failures { 2 } else { 0 }
    }

    fn told(self, complete: bool, troubles: Option<u32>, unreached: Vec<String>) -> Explored {
        let mut findings: Vec<Counterexample> = self
            .found
            .into_values()
            .map(|Case { found, run }| Counterexample {
                code: found.code,
                gravity: found.gravity,
                task: Some(found.about).filter(|about| !about.is_empty()),
                message: found.message,
                steps: story::tell(self.setting, &run),
            })
            .collect();
        findings.sort_by_key(|finding| (finding.gravity, finding.steps.len()));
        Explored {
            saga: self.setting.plan.name.to_string(),
            states: self.moments.len(),
            depth: self.depth,
            troubles,
            complete,
            unreached,
            findings,
        }
    }
}

/// Whether the world around the coordinator has changed, even where nothing is decided.
fn changes(choice: &Choice) -> bool {
    match choice {
        Choice::Start(_)
        | Choice::Command(..)
        | Choice::Bare(_)
        | Choice::Late(_)
        | Choice::Acknowledged(_)
        | Choice::Comes(_)
        | Choice::Resolve(_) => true,
        Choice::Again(_)
        | Choice::Time
        | Choice::Cancel
        | Choice::Continue
        | Choice::Retry(_)
        | Choice::Skip(_) => false,
    }
}
