//! Random sagas. What is drawn is a tree of bare numbers; a saga is made of it that the checker takes.
//! Zeros make the simplest saga, so a failure shrinks to a small one.

use proptest::prelude::*;

use crate::features::Feature;
use crate::tree::{
    Act, Action, AtLeast, Case, ForEach, InDoubt, Inputs, Join, Kind, On, Saga,
    Strategy as OnFailure, Talk, Task, Tree, UndoAct, When,
};

/// Tasks of a saga.
const TASKS_MAX: usize = 60;
/// The language lets 8 stand in one another, fallbacks and elements included.
const DEPTH_MAX: usize = 4;

/// A task as numbers.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    bits: [u8; 20],
    edges: u8,
    acts: Vec<u8>,
    undos: Vec<u8>,
    children: Vec<Raw>,
}

/// Which number says what.
#[derive(Clone, Copy)]
enum Bit {
    Shape,
    Kind,
    InDoubt,
    Attempts,
    Join,
    When,
    Failing,
    ForEach,
    AtLeast,
    Strategy,
    Alone,
    Inputs,
    Output,
    Cases,
    Talk,
    More,
}

impl Raw {
    fn bit(&self, bit: Bit) -> u8 {
        self.bits[bit as usize]
    }
}

/// How much may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Luck {
    /// All that participants can do to us.
    Bad,
    /// Nothing whose end depends on who is faster.
    Plain,
}

pub(crate) fn sagas(luck: Luck, features: &'static [Feature]) -> impl Strategy<Value = Saga> {
    let numbers = || prop::collection::vec(any::<u8>(), 0..5);
    let task =
        (any::<[u8; 20]>(), any::<u8>(), numbers(), prop::collection::vec(any::<u8>(), 0..3));
    let task = task.prop_map(|(bits, edges, acts, undos)| {
        let children = Vec::new();
        Raw { bits, edges, acts, undos, children }
    });
    let task = task.prop_recursive(3, 12, 4, |inner| {
        (inner.clone(), prop::collection::vec(inner, 0..5)).prop_map(|(mut raw, children)| {
            raw.children = children;
            raw
        })
    });
    let few = prop::collection::vec(task.clone(), 1..7);
    let many = prop::collection::vec(task.clone(), 7..25);
    let crowd = prop::collection::vec(task.clone(), 25..TASKS_MAX);
    let tasks = prop_oneof![24 => few, 2 => many, 1 => crowd];
    let closing = prop::collection::vec(task, 0..3);
    (tasks, closing, any::<[u8; 6]>()).prop_map(move |(tasks, closing, file)| {
        Drawing { left: TASKS_MAX, next: 0, loops: 0, luck, features }.saga(&tasks, &closing, file)
    })
}

struct Drawing {
    left: usize,
    next: usize,
    /// How many `for_each` are around.
    loops: usize,
    luck: Luck,
    features: &'static [Feature],
}

/// Where a task stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spot {
    Free,
    /// The order is that of the list.
    Ordered,
    Fallback,
    Closing,
}

impl Drawing {
    fn saga(mut self, tasks: &[Raw], closing: &[Raw], file: [u8; 6]) -> Saga {
        let mut saga = Saga {
            tasks: self.list(tasks, Spot::Free, 0),
            strategy: OnFailure::Compensate,
            closing: Vec::new(),
            max_parallel: if file[0] < 128 { 100 } else { usize::from(file[0] % 4) + 1 },
            strict: self.has(Feature::Strict) && file[1] % 4 == 1,
            go_on: file[2] % 2 == 1,
            timeout: None,
        };
        if self.has(Feature::Strategies) {
            saga.strategy = strategy(file[4]).unwrap_or(OnFailure::Compensate);
        }
        if self.luck == Luck::Bad && file[3] % 8 == 1 {
            saga.timeout = Some(120);
        }
        if self.has(Feature::Closing) && saga.strategy != OnFailure::Pause {
            saga.closing = self.list(closing, Spot::Closing, DEPTH_MAX);
        }
        let topics = (self.has(Feature::Topics), self.has(Feature::Await));
        kinds(&mut saga, tasks, file[5], topics);
        saga
    }

    fn list(&mut self, raws: &[Raw], spot: Spot, depth: usize) -> Vec<Task> {
        let mut tasks: Vec<Task> = Vec::new();
        for raw in raws {
            if self.left == 0 {
                break;
            }
            let task = self.task(raw, spot, depth, &tasks);
            tasks.push(task);
        }
        tasks
    }

    fn id(&mut self) -> String {
        self.next += 1;
        self.left = self.left.saturating_sub(1);
        format!("t{}", self.next)
    }

    fn task(&mut self, raw: &Raw, spot: Spot, depth: usize, before: &[Task]) -> Task {
        let id = self.id();
        let for_each = self.for_each(raw).filter(|_| matches!(spot, Spot::Free | Spot::Ordered));
        let inner = depth + 1 + usize::from(for_each.is_some());
        self.loops += usize::from(for_each.is_some());
        let action = self.action(raw, spot, inner, for_each.is_some());
        self.loops -= usize::from(for_each.is_some());
        let depends_on: Vec<String> = match spot {
            Spot::Free | Spot::Closing => before
                .iter()
                .rev()
                .take(8)
                .enumerate()
                .filter(|(k, _)| raw.edges >> k & 1 == 1)
                .map(|(_, task)| task.id.clone())
                .rev()
                .collect(),
            Spot::Ordered | Spot::Fallback => Vec::new(),
        };
        let join = match spot {
            Spot::Free if self.has(Feature::Joins) => join(raw.bit(Bit::Join), depends_on.len()),
            Spot::Free | Spot::Ordered | Spot::Fallback | Spot::Closing => Join::All,
        };
        // What has surely come before it.
        let known: Vec<&Task> = match (spot, join) {
            (Spot::Ordered, _) => before.last().into_iter().collect(),
            (_, Join::All) => before.iter().filter(|t| depends_on.contains(&t.id)).collect(),
            _ => Vec::new(),
        };
        let is_agent = matches!(action, Action::Agent);
        let mut task = Task {
            when: self.when(raw, spot, &known),
            inputs: inputs(raw, &action, &known),
            id,
            action,
            join,
            // One that cancels others and has to wait for one of them: who has lost is seen too late.
            alone: self.has(Feature::Alone)
                && spot == Spot::Free
                && !join.cancels()
                && raw.bit(Bit::Alone) % 5 == 1,
            depends_on,
            for_each,
            talk: Talk::Agent,
            kind: Kind::ReadOnly,
            in_doubt: None,
            attempts: u32::from(raw.bit(Bit::Attempts) % 3) + 1,
            once: false,
            declared: false,
            deadline: None,
            gives: None,
            optional: false,
            fallback: None,
            strategy: None,
            acts: raw.acts.iter().map(|act| self.act(*act, spot)).collect(),
            undos: raw.undos.iter().map(|act| self.undo(*act)).collect(),
            n: i64::from(raw.bit(Bit::Output) % 10),
        };
        if matches!(spot, Spot::Free | Spot::Ordered) {
            self.failing(raw, &mut task, is_agent);
        }
        self.more(raw, &mut task, spot);
        task
    }

    /// What is said beside that.
    fn more(&self, raw: &Raw, task: &mut Task, spot: Spot) {
        let drawn = raw.bit(Bit::More);
        task.declared = self.has(Feature::Declared) && drawn % 4 == 1;
        task.once = self.has(Feature::Once) && drawn / 4 % 8 == 1 && spot != Spot::Closing;
        let is_one = !task.action.waits() && task.for_each.is_none();
        let is_here = matches!(spot, Spot::Free | Spot::Ordered);
        let may_end = self.luck == Luck::Bad && is_here && is_one;
        if may_end && self.has(Feature::Deadline) && drawn / 32 % 4 == 1 {
            task.deadline = Some(u64::from(drawn % 16) + 10);
        }
        if let (Action::Group(tasks) | Action::Sequential(tasks), true, true) =
            (&task.action, self.has(Feature::Gives), drawn % 4 == 2)
        {
            task.gives = Some(tasks[usize::from(drawn) % tasks.len()].id.clone());
        }
    }

    /// What follows when it fails.
    fn failing(&mut self, raw: &Raw, task: &mut Task, is_agent: bool) {
        let wait = matches!(task.action, Action::Wait(_));
        match raw.bit(Bit::Failing) % 8 {
            1 | 2 if self.has(Feature::Optional) => task.optional = true,
            3 if self.has(Feature::Fallback)
                && (is_agent && task.for_each.is_none() || self.has(Feature::GroupFallback))
                && self.left > 0
                && !wait =>
            {
                let mut body = raw.clone();
                body.children = Vec::new();
                body.bits.reverse();
                body.acts.rotate_left(raw.acts.len().min(1));
                let mut body = self.task(&body, Spot::Fallback, DEPTH_MAX, &[]);
                body.id = format!("f{}", &task.id[1..]);
                task.fallback = Some(Box::new(body));
            }
            _ => {}
        }
        let drawn = strategy(raw.bit(Bit::Strategy));
        task.strategy = match drawn {
            _ if task.for_each.is_some() || wait => None,
            Some(OnFailure::Compensate | OnFailure::Continue)
                if !is_agent && self.has(Feature::Savepoints) && !task.optional =>
            {
                drawn
            }
            Some(OnFailure::Compensate) if !is_agent && self.has(Feature::Savepoints) => drawn,
            _ if is_agent && self.has(Feature::Strategies) && task.fallback.is_none() => drawn,
            _ => None,
        };
    }

    fn action(&mut self, raw: &Raw, spot: Spot, inner: usize, is_body: bool) -> Action {
        let leaf = raw.children.is_empty() || inner >= DEPTH_MAX || spot == Spot::Fallback;
        match raw.bit(Bit::Shape) % 8 {
            1 if self.has(Feature::Wait) && leaf && spot == Spot::Free && !is_body => {
                Action::Wait(u64::from(raw.bit(Bit::Cases) % 20) + 1)
            }
            _ if leaf => Action::Agent,
            1 | 2 if self.has(Feature::Groups) => {
                Action::Group(self.list(&raw.children, Spot::Free, inner))
            }
            3 if self.has(Feature::Groups) => {
                Action::Sequential(self.list(&raw.children, Spot::Ordered, inner))
            }
            4 | 5 if self.has(Feature::Choice) => self.choice(raw, inner),
            _ => Action::Agent,
        }
        .or_agent()
    }

    fn choice(&mut self, raw: &Raw, inner: usize) -> Action {
        let drawn = raw.bit(Bit::Cases);
        // The elements of a `for_each` would have to be told apart by what the events say.
        let races = self.has(Feature::Race) && self.loops == 0 && raw.bit(Bit::More) % 8 >= 5;
        let many = drawn % 3 == 1 && !races;
        let size = usize::from(drawn / 64 % 2) + 1;
        let mut cases: Vec<Case> = Vec::new();
        for (k, part) in raw.children.chunks(size).enumerate() {
            let tasks = self.list(part, Spot::Free, inner);
            let waits = u64::from(drawn % 32) + 1 + k as u64;
            let on = if drawn >> k & 1 == 0 { On::Event } else { On::After(waits) };
            cases.push(Case { when: Some(drawn >> k & 1 == 0), on: races.then_some(on), tasks });
        }
        // Mostly a last case without a condition.
        if let (false, true, Some(last)) =
            (many, cases.len() > 1 && drawn % 8 != 7, cases.last_mut())
        {
            last.when = None;
        }
        cases.retain(|case| !case.tasks.is_empty());
        if races {
            cases.iter_mut().for_each(|case| case.when = None);
            // One of them surely happens.
            if let Some(last) = cases.last_mut() {
                last.on = Some(On::After(u64::from(drawn % 16) + 5));
            }
        }
        Action::Choice { many, cases }
    }

    fn act(&self, drawn: u8, spot: Spot) -> Act {
        let bad = self.luck == Luck::Bad;
        match drawn % 16 {
            // The language does not say what follows when these fail.
            11.. if spot == Spot::Closing => Act::Retryable,
            _ if spot == Spot::Closing => Act::Done,
            8 if bad => Act::Late,
            9 | 10 => Act::Retryable,
            11 => Act::Final,
            12 => Act::Unknown(true),
            13 => Act::Unknown(false),
            14 => Act::Silent(bad),
            15 if bad => Act::Silent(false),
            7 => Act::Twice,
            _ => Act::Done,
        }
    }

    fn undo(&self, drawn: u8) -> UndoAct {
        let bad = self.luck == Luck::Bad;
        match drawn % 8 {
            4 => UndoAct::Retryable,
            5 if bad => UndoAct::Final,
            6 if bad => UndoAct::Silent,
            7 if bad => UndoAct::Late,
            _ => UndoAct::Done,
        }
    }
}

impl Drawing {
    fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    fn for_each(&self, raw: &Raw) -> Option<ForEach> {
        let (drawn, least) = (raw.bit(Bit::ForEach), usize::from(raw.bit(Bit::AtLeast)));
        (self.has(Feature::ForEach) && drawn % 6 == 1).then(|| ForEach {
            count: usize::from(drawn / 6) % 5,
            concurrency: usize::from(drawn / 30) % 3 + 1,
            at_least: match least % 4 {
                1 => AtLeast::Count(least / 4 % 3 + 1),
                2 => AtLeast::Percent(50),
                _ => AtLeast::All,
            },
        })
    }

    fn when(&self, raw: &Raw, spot: Spot, known: &[&Task]) -> Option<When> {
        let drawn = raw.bit(Bit::When);
        if !self.has(Feature::When) || !matches!(spot, Spot::Free | Spot::Ordered) {
            return None;
        }
        match (drawn % 8, known.first()) {
            (1, _) => Some(When::Flag(true)),
            (2, _) => Some(When::Flag(false)),
            (3, Some(task)) if matches!(task.action, Action::Agent) && task.for_each.is_none() => {
                Some(When::Output(task.id.clone(), i64::from(drawn / 8 % 10)))
            }
            _ => None,
        }
    }
}

impl Action {
    /// Whether it takes its time by what the file says.
    fn waits(&self) -> bool {
        let any = |tasks: &[Task]| tasks.iter().any(|task| task.action.waits());
        match self {
            Self::Agent => false,
            Self::Wait(_) => true,
            Self::Group(tasks) | Self::Sequential(tasks) => any(tasks),
            Self::Choice { cases, .. } => {
                cases.iter().any(|case| case.on.is_some() || any(&case.tasks))
            }
        }
    }

    /// A container without anything in it is none.
    fn or_agent(self) -> Self {
        let is_empty = match &self {
            Self::Agent | Self::Wait(_) => false,
            Self::Group(tasks) | Self::Sequential(tasks) => tasks.is_empty(),
            Self::Choice { cases, .. } => cases.is_empty(),
        };
        if is_empty { Self::Agent } else { self }
    }
}

fn strategy(drawn: u8) -> Option<OnFailure> {
    match drawn % 12 {
        1 | 2 => Some(OnFailure::Continue),
        3 => Some(OnFailure::FailFast),
        4 => Some(OnFailure::Pause),
        5..=7 => Some(OnFailure::Compensate),
        _ => None,
    }
}

fn join(drawn: u8, count: usize) -> Join {
    let n = usize::from(drawn / 8) % count.max(1) + 1;
    match drawn % 8 {
        _ if count < 2 => Join::All,
        1 => Join::Any,
        2 => Join::NOf { n, cancel: false },
        3 => Join::NOf { n, cancel: true },
        4 => Join::Discriminator,
        _ => Join::All,
    }
}

fn inputs(raw: &Raw, action: &Action, known: &[&Task]) -> Inputs {
    // A wait is given nothing; a choice has nothing to give but what its cases read by themselves.
    match raw.bit(Bit::Inputs) % 8 {
        _ if matches!(action, Action::Wait(_)) => Inputs::Absent,
        1 => Inputs::Nothing,
        2 => Inputs::Map,
        3 if !known.is_empty() => Inputs::Names(known.iter().map(|task| task.id.clone()).collect()),
        _ => Inputs::Absent,
    }
}

/// The number that draws a task's kind, by id.
fn drawn_kinds(raws: &[Raw], out: &mut Vec<(u8, u8, u8)>) {
    for raw in raws {
        out.push((raw.bit(Bit::Kind), raw.bit(Bit::InDoubt), raw.bit(Bit::Talk)));
        drawn_kinds(&raw.children, out);
    }
}

/// What a checked file could say: before the pivot anything, beside it and after it nothing that would
/// have to be undone.
fn kinds(saga: &mut Saga, raws: &[Raw], drawn: u8, (topics, awaits): (bool, bool)) {
    let mut numbers = Vec::new();
    drawn_kinds(raws, &mut numbers);
    let shape = saga.clone();
    let tree = Tree::of(&shape);
    let pivots: Vec<usize> =
        (0..tree.nodes.len()).filter(|node| may_be_pivot(&tree, *node)).collect();
    let pivot = (drawn % 2 == 1 && !pivots.is_empty())
        .then(|| pivots[usize::from(drawn / 2) % pivots.len()]);
    for (node, known) in tree.nodes.iter().enumerate().filter(|(_, known)| known.is_agent()) {
        let (kind, doubt, talk) = numbers[node % numbers.len()];
        let free = pivot.is_none_or(|pivot| tree.comes_before(node, pivot));
        let closing = tree.closing.contains(&node);
        let kind = match kind % 4 {
            _ if pivot == Some(node) => Kind::Pivot,
            _ if closing && known.task.acts.contains(&Act::Retryable) => Kind::Retriable,
            1 | 2 if free && !closing => Kind::Compensatable,
            3 => Kind::Retriable,
            _ => Kind::ReadOnly,
        };
        let in_doubt = match (kind, doubt % 4) {
            (Kind::Compensatable, 1) => Some(InDoubt::Undo),
            (Kind::Compensatable | Kind::Pivot, 2) => Some(InDoubt::Query),
            (Kind::Compensatable | Kind::Pivot, 3) => Some(InDoubt::Hold),
            _ => None,
        };
        // The elements of a `for_each` would have to be told apart by what the events say.
        let is_one = known.depth == 0 && known.task.for_each.is_none() && !closing;
        // An await says nothing that could be repeated.
        let may_wait = matches!(kind, Kind::ReadOnly | Kind::Compensatable);
        let base = match known.role {
            crate::tree::Role::Fallback(of) => &tree.nodes[of].task.id,
            _ => &known.task.id,
        };
        let is_read = tree.nodes.iter().any(|other| {
            let when = other.task.when.as_ref();
            matches!(when, Some(When::Output(id, _)) if id == base)
        });
        let talk = match talk % 8 {
            1 | 2 if topics && is_one => Talk::Request,
            // It gives nothing.
            3 if topics && !closing && !is_read => Talk::Emit,
            4 if awaits && is_one && may_wait => Talk::Await,
            5 if awaits && is_one && may_wait => Talk::Signal,
            _ => Talk::Agent,
        };
        let task = by_id(saga, &known.task.id).unwrap();
        (task.kind, task.in_doubt, task.talk) = (kind, in_doubt, talk);
        task.once &= talk == Talk::Agent && kind != Kind::Retriable;
        task.deadline = task.deadline.filter(|_| talk == Talk::Agent && kind != Kind::Retriable);
        over_topics(task);
    }
    // Whether the time of a group counts waits for the pivot in it.
    if let Some(pivot) = pivot {
        let place = crate::tree::Place { node: pivot, at: Vec::new() };
        for around in tree.line(&place) {
            by_id(saga, &tree.nodes[around.node].task.id).unwrap().deadline = None;
        }
    }
}

/// What can happen to one that talks over topics: nobody is asked, a failure is the last word, and the broker
/// takes all that is emitted.
fn over_topics(task: &mut Task) {
    let act = |act: Act| match (task.talk, act) {
        (Talk::Agent, act) | (_, act @ (Act::Done | Act::Late)) => act,
        (Talk::Emit, _) => Act::Done,
        (Talk::Signal, Act::Final) => Act::Silent(false),
        (_, Act::Retryable) => Act::Silent(false),
        (_, Act::Unknown(done)) => Act::Silent(done),
        (_, act @ (Act::Twice | Act::Final | Act::Silent(_))) => act,
    };
    task.acts = task.acts.iter().map(|drawn| act(*drawn)).collect();
    let undo = |undo: UndoAct| match (task.talk, undo) {
        // An await is undone by a command.
        (Talk::Agent | Talk::Await | Talk::Signal, undo) => undo,
        (_, undo @ (UndoAct::Done | UndoAct::Late)) => undo,
        (Talk::Emit, _) => UndoAct::Done,
        (Talk::Request, UndoAct::Retryable) => UndoAct::Silent,
        (Talk::Request, undo @ (UndoAct::Final | UndoAct::Silent)) => undo,
    };
    task.undos = task.undos.iter().map(|drawn| undo(*drawn)).collect();
    if matches!(task.talk, Talk::Await | Talk::Signal) {
        task.attempts = 1;
        task.acts.truncate(1);
    }
    if task.talk != Talk::Agent && task.in_doubt == Some(InDoubt::Query) {
        task.in_doubt = Some(InDoubt::Hold);
    }
}

/// A pivot can neither be optional nor stand where it could be stopped, undone or done twice.
fn may_be_pivot(tree: &Tree<'_>, node: usize) -> bool {
    let known = &tree.nodes[node];
    let place = crate::tree::Place { node, at: vec![0; known.depth] };
    let plain = |node: usize| {
        let known = &tree.nodes[node];
        let task = known.task;
        let cancelled =
            tree.nodes.iter().any(|other| other.deps.contains(&node) && other.join.cancels());
        task.for_each.is_none()
            && !task.optional
            && task.fallback.is_none()
            && task.strategy.is_none()
            && !cancelled
            && known.role == crate::tree::Role::Child
            && !matches!(task.action, Action::Choice { .. })
    };
    known.is_agent() && tree.line(&place).into_iter().all(|place| plain(place.node))
}

fn by_id<'s>(saga: &'s mut Saga, id: &str) -> Option<&'s mut Task> {
    fn search<'s>(tasks: &'s mut [Task], id: &str) -> Option<&'s mut Task> {
        for task in tasks {
            if task.id == id {
                return Some(task);
            }
            if let Some(fallback) = task.fallback.as_deref_mut()
                && fallback.id == id
            {
                return Some(fallback);
            }
            let found = match &mut task.action {
                Action::Agent | Action::Wait(_) => None,
                Action::Group(tasks) | Action::Sequential(tasks) => search(tasks, id),
                Action::Choice { cases, .. } => {
                    cases.iter_mut().find_map(|case| search(&mut case.tasks, id))
                }
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
    match search(&mut saga.tasks, id) {
        Some(task) => Some(task),
        None => search(&mut saga.closing, id),
    }
}
