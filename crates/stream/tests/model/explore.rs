//! Breadth first through everything that can happen, so that the first story that breaks a law is a
//! shortest one.

use std::collections::{HashSet, VecDeque};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::action::{Action, Told, lowest};
use crate::laws::STUCK;
use crate::rules::Model;
use crate::world::{Process, Stage, World};

/// How much was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) worlds: usize,
    pub(crate) steps: usize,
    pub(crate) depth: usize,
    pub(crate) runs_alone: usize,
}

/// How a law is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) law: &'static str,
    pub(crate) steps: Vec<Action>,
    pub(crate) text: String,
}

/// A world that was reached: from which, by what, after how many steps.
struct Reached {
    from: usize,
    by: Option<Action>,
    depth: usize,
}

/// Where two worlds have one print, the second is taken for the first: 64 bits make that less than one in
/// a million at these sizes.
fn print(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// Goes through all worlds.
///
/// # Errors
/// A shortest story that breaks a law.
pub(crate) fn explore(model: &Model) -> Result<Seen, Box<Story>> {
    let first = World::new(model).in_order();
    let mut prints = HashSet::from([print(&first)]);
    let mut reached = vec![Reached { from: 0, by: None, depth: 0 }];
    let mut open = VecDeque::from([(first, 0)]);
    let mut seen = Seen::default();
    while let Some((world, place)) = open.pop_front() {
        let depth = reached[place].depth;
        seen.depth = seen.depth.max(depth);
        if print(&world).is_multiple_of(model.bounds.alone_every) {
            for process in 0..world.processes.len() {
                seen.runs_alone += 1;
                if let Some(law) = alone(model, world.clone(), process) {
                    let owner = world.processes[process].owner;
                    let end = format!("then owner {owner} goes on alone, without faults");
                    return Err(Box::new(story(model, law, &reached, place, &end)));
                }
            }
        }
        for action in world.actions(model) {
            seen.steps += 1;
            let next = world.after(model, action);
            if let Some(law) = next.broken {
                let end = Told(&world, action).to_string();
                let mut story = story(model, law, &reached, place, &end);
                story.steps.push(action);
                return Err(Box::new(story));
            }
            if prints.insert(print(&next)) {
                reached.push(Reached { from: place, by: Some(action), depth: depth + 1 });
                open.push_back((next, reached.len() - 1));
            }
        }
    }
    seen.worlds = reached.len();
    Ok(seen)
}

fn story(model: &Model, law: &'static str, reached: &[Reached], end: usize, last: &str) -> Story {
    let mut steps = Vec::new();
    let mut place = end;
    while let Some(action) = reached[place].by {
        steps.push(action);
        place = reached[place].from;
    }
    steps.reverse();
    let mut text = format!("{law}\n");
    let mut world = World::new(model).in_order();
    for (number, action) in (1..).zip(&steps) {
        let _ = writeln!(text, "  {number:2}. {}", Told(&world, *action));
        world = world.after(model, *action);
    }
    let _ = writeln!(text, "   *. {last}");
    Story { law, steps, text }
}

/// One process goes on alone, without faults, until nothing is left to do. What it leaves undone breaks a law.
fn alone(model: &Model, mut world: World, process: usize) -> Option<&'static str> {
    // Whoever is alone may take over as often as it must.
    let model =
        Model { bounds: crate::rules::Bounds { owners: u8::MAX, ..model.bounds }, ..*model };
    let mut mine = process;
    for _ in 0..200 {
        let owner = world.processes[mine].owner;
        let is_down = world.processes[mine].stage == Stage::Down;
        let Some(action) = next_alone(&model, &world, mine) else {
            return world.judge_end(&model);
        };
        world = world.after(&model, action);
        if let Some(law) = world.broken {
            return Some(law);
        }
        let now = if is_down { world.used.owners } else { owner };
        let is_mine = |one: &Process| one.owner == now;
        // It may have ended: then it is one of those that are down, which are all the same.
        mine = world.processes.iter().position(is_mine).unwrap_or_default();
    }
    Some(STUCK)
}

/// What a process does next that meets no faults.
fn next_alone(model: &Model, world: &World, place: usize) -> Option<Action> {
    let process = &world.processes[place];
    if process.stage != Stage::Down
        && let Some(append) = world.appends.iter().position(|append| append.owner == process.owner)
    {
        return Some(Action::Land(append));
    }
    match process.stage {
        Stage::Down => Some(Action::Fence(place)),
        Stage::Fenced => Some(Action::Load(place)),
        Stage::Loaded => Some(Action::Fold(place)),
        Stage::Folded => Some(Action::Announce(place)),
        Stage::Announcing => Some(match world.own_announcement(model, place) {
            Some(own) => Action::Meet(place, own),
            // It waits for a while, and gives up.
            None => Action::Die(place),
        }),
        Stage::Won => Some(Action::Claim(place)),
        Stage::Active if process.heard.is_some() => Some(Action::Confirm(place)),
        Stage::Active if !process.to_send.is_empty() => Some(Action::Act(place)),
        Stage::Active if !process.proposed.is_empty() => Some(Action::Die(place)),
        Stage::Active => {
            if let Some(at) = lowest(process.open) {
                return Some(Action::Settle(place, at));
            }
            if model.rules.looks_when_idle && world.is_behind(place) {
                return Some(Action::Look(place));
            }
            let inputs_first = process.batches(model).into_iter().next();
            let ends = inputs_first.is_none_or(|batch| {
                matches!(batch, [Some(crate::reader::Cause::Timer | crate::reader::Cause::Skip), _])
            });
            (!ends).then(|| Action::Propose(place, inputs_first.unwrap_or_default()))
        }
    }
}
