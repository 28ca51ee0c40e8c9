//! The saga as the reference sees it: a tree of tasks, and the same tree as a list of nodes.

use std::collections::BTreeSet;

#[derive(Clone)]
pub(crate) struct Saga {
    pub(crate) tasks: Vec<Task>,
    pub(crate) strategy: Strategy,
    /// Of `then`.
    pub(crate) closing: Vec<Task>,
    pub(crate) max_parallel: usize,
    pub(crate) strict: bool,
    pub(crate) go_on: bool,
    /// Seconds; `None`: the default of a day.
    pub(crate) timeout: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) action: Action,
    pub(crate) join: Join,
    /// Ids of siblings that stand before it.
    pub(crate) depends_on: Vec<String>,
    pub(crate) when: Option<When>,
    pub(crate) alone: bool,
    pub(crate) for_each: Option<ForEach>,
    /// How its participant is told, and heard.
    pub(crate) talk: Talk,
    pub(crate) kind: Kind,
    pub(crate) in_doubt: Option<InDoubt>,
    pub(crate) attempts: u32,
    /// `idempotency: none`
    pub(crate) once: bool,
    /// Its undo says what it is given.
    pub(crate) declared: bool,
    /// Seconds for all attempts together.
    pub(crate) deadline: Option<u64>,
    /// Of a group: the one in it whose output is its own.
    pub(crate) gives: Option<String>,
    pub(crate) optional: bool,
    pub(crate) fallback: Option<Box<Task>>,
    pub(crate) strategy: Option<Strategy>,
    pub(crate) inputs: Inputs,
    /// What its participant does in each attempt; behind the last: `Done`.
    pub(crate) acts: Vec<Act>,
    /// What its participant does with each undo; behind the last: `Done`.
    pub(crate) undos: Vec<UndoAct>,
    /// What stands in its output.
    pub(crate) n: i64,
}

/// How a task and whoever does it talk with one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    /// Commands, and answers to them.
    Agent,
    /// `emit` and `await`: events on topics of ours.
    Request,
    /// `emit` alone: done when the broker has it.
    Emit,
    /// `await` alone: somebody else does it, and says so on a topic.
    Await,
    /// `await` of a signal.
    Signal,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// A participant of the same name.
    Agent,
    /// Seconds.
    Wait(u64),
    Group(Vec<Task>),
    Sequential(Vec<Task>),
    Choice {
        many: bool,
        cases: Vec<Case>,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Is this input true? `None`: `else`.
    pub(crate) when: Option<bool>,
    /// Of a choice on events and time.
    pub(crate) on: Option<On>,
    pub(crate) tasks: Vec<Task>,
}

/// What has to happen for a case to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// An event of the case's own name.
    Event,
    /// Seconds from when the choice began.
    After(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    All,
    Any,
    NOf { n: usize, cancel: bool },
    Discriminator,
}

impl Join {
    /// How many must be done; `None`: it asks whether they are settled.
    pub(crate) fn wants(self) -> Option<usize> {
        match self {
            Self::All => None,
            Self::Any | Self::Discriminator => Some(1),
            Self::NOf { n, .. } => Some(n),
        }
    }

    pub(crate) fn cancels(self) -> bool {
        matches!(self, Self::Discriminator | Self::NOf { cancel: true, .. })
    }
}

#[derive(Clone, Debug)]
pub(crate) enum When {
    /// An input that is true, or false.
    Flag(bool),
    /// That task is done, and the number in its output is greater.
    Output(String, i64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ForEach {
    /// Elements: 10, 11, 12...
    pub(crate) count: usize,
    pub(crate) concurrency: usize,
    pub(crate) at_least: AtLeast,
}

impl ForEach {
    /// How many elements must succeed.
    pub(crate) fn needs(self) -> usize {
        match self.at_least {
            AtLeast::All => self.count,
            AtLeast::Count(n) => n,
            AtLeast::Percent(share) => (self.count * share).div_ceil(100),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtLeast {
    All,
    Count(usize),
    Percent(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ReadOnly,
    Retriable,
    Compensatable,
    Pivot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InDoubt {
    Undo,
    Query,
    Hold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    Compensate,
    Continue,
    FailFast,
    Pause,
}

#[derive(Clone, Debug)]
pub(crate) enum Inputs {
    Absent,
    Nothing,
    /// Constants and an input: `{c: 1, n: "${inputs.n}"}`.
    Map,
    /// Names of earlier siblings.
    Names(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Done,
    /// Done, and said twice.
    Twice,
    Retryable,
    Final,
    /// Failed, effects unknown; whether it was done.
    Unknown(bool),
    /// Never an answer; whether it was done.
    Silent(bool),
    /// Done, and said after the time is over.
    Late,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UndoAct {
    Done,
    Retryable,
    Final,
    Silent,
    Late,
}

/// What a node is to the one that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Child,
    Case(usize),
    Fallback(usize),
    Closing,
}

pub(crate) struct Node<'a> {
    pub(crate) task: &'a Task,
    pub(crate) parent: Option<usize>,
    pub(crate) role: Role,
    pub(crate) join: Join,
    pub(crate) deps: Vec<usize>,
    pub(crate) children: Vec<usize>,
    /// How many `for_each` it stands in; its own does not count.
    pub(crate) depth: usize,
    pub(crate) fallback: Option<usize>,
    /// `a~fallback` for the fallback of `a`.
    pub(crate) id: String,
}

impl Node<'_> {
    pub(crate) fn is_container(&self) -> bool {
        !matches!(self.task.action, Action::Agent | Action::Wait(_))
    }

    pub(crate) fn is_agent(&self) -> bool {
        matches!(self.task.action, Action::Agent)
    }

    /// Of a choice on events and time: what each case waits for.
    pub(crate) fn race(&self) -> Option<Vec<On>> {
        match &self.task.action {
            Action::Choice { cases, .. } => cases.iter().map(|case| case.on).collect(),
            _ => None,
        }
    }

    pub(crate) fn talk(&self) -> Talk {
        self.task.talk
    }
}

/// A node in the run of one element of each `for_each` around it. The root of a `for_each`'s body is the
/// same node with one element more than the `for_each` itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) node: usize,
    pub(crate) at: Vec<usize>,
}

pub(crate) struct Tree<'a> {
    pub(crate) saga: &'a Saga,
    pub(crate) nodes: Vec<Node<'a>>,
    pub(crate) top: Vec<usize>,
    pub(crate) closing: Vec<usize>,
}

impl<'a> Tree<'a> {
    pub(crate) fn of(saga: &'a Saga) -> Self {
        let (nodes, top, closing) = (Vec::new(), Vec::new(), Vec::new());
        let mut tree = Self { saga, nodes, top, closing };
        tree.top = tree.add_all(&saga.tasks, None, Role::Child, 0, false);
        tree.closing = tree.add_all(&saga.closing, None, Role::Closing, 0, false);
        tree
    }

    fn add_all(
        &mut self,
        tasks: &'a [Task],
        parent: Option<usize>,
        role: Role,
        depth: usize,
        in_order: bool,
    ) -> Vec<usize> {
        let mut added: Vec<usize> = Vec::new();
        for task in tasks {
            let named = |id: &String| {
                added.iter().copied().find(|node| &self.nodes[*node].task.id == id).unwrap()
            };
            let (join, deps) = match (in_order, added.last()) {
                (true, last) => (Join::All, last.copied().into_iter().collect()),
                (false, _) => (task.join, task.depends_on.iter().map(named).collect()),
            };
            added.push(self.add(task, parent, role, depth, (join, deps)));
        }
        added
    }

    fn add(
        &mut self,
        task: &'a Task,
        parent: Option<usize>,
        role: Role,
        depth: usize,
        (join, deps): (Join, Vec<usize>),
    ) -> usize {
        let node = self.nodes.len();
        let id = match role {
            Role::Fallback(of) => format!("{}~fallback", self.nodes[of].id),
            Role::Child | Role::Case(_) | Role::Closing => task.id.clone(),
        };
        let (children, fallback) = (Vec::new(), None);
        let new = Node { task, parent, role, join, deps, children, depth, fallback, id };
        self.nodes.push(new);
        let inner = depth + usize::from(task.for_each.is_some());
        let children = match &task.action {
            Action::Agent | Action::Wait(_) => Vec::new(),
            Action::Group(tasks) => self.add_all(tasks, Some(node), Role::Child, inner, false),
            Action::Sequential(tasks) => self.add_all(tasks, Some(node), Role::Child, inner, true),
            Action::Choice { cases, .. } => {
                let mut all = Vec::new();
                for (case, Case { tasks, .. }) in cases.iter().enumerate() {
                    all.extend(self.add_all(tasks, Some(node), Role::Case(case), inner, false));
                }
                all
            }
        };
        self.nodes[node].children = children;
        if let Some(fallback) = &task.fallback {
            let role = Role::Fallback(node);
            let added = self.add(fallback, parent, role, depth, (Join::All, Vec::new()));
            self.nodes[node].fallback = Some(added);
        }
        node
    }

    /// Whether that place is a `for_each` itself, not the run of an element.
    pub(crate) fn is_for_each(&self, place: &Place) -> bool {
        let node = &self.nodes[place.node];
        node.task.for_each.is_some() && place.at.len() == node.depth
    }

    /// What it stands in, if not at the top.
    pub(crate) fn parent(&self, place: &Place) -> Option<Place> {
        let node = &self.nodes[place.node];
        if place.at.len() > node.depth {
            let at = place.at[..node.depth].to_vec();
            return Some(Place { node: place.node, at });
        }
        Some(Place { node: node.parent?, at: place.at.clone() })
    }

    /// It, what it stands in, what that stands in...
    pub(crate) fn line(&self, place: &Place) -> Vec<Place> {
        let mut line = vec![place.clone()];
        while let Some(parent) = self.parent(line.last().unwrap()) {
            line.push(parent);
        }
        line
    }

    /// What stands in it: elements of a `for_each`, tasks of a group, tasks of all cases of a choice.
    pub(crate) fn inside(&self, place: &Place) -> Vec<Place> {
        let node = &self.nodes[place.node];
        if let (true, Some(each)) = (self.is_for_each(place), node.task.for_each) {
            let element = |k| Place { node: place.node, at: [&place.at[..], &[k]].concat() };
            return (0..each.count).map(element).collect();
        }
        node.children.iter().map(|child| Place { node: *child, at: place.at.clone() }).collect()
    }

    /// All that stands in it, at any depth, fallbacks included.
    pub(crate) fn deep(&self, place: &Place) -> Vec<Place> {
        let mut found = Vec::new();
        let mut open = self.inside(place);
        while let Some(next) = open.pop() {
            if let Some(fallback) = self.fallback(&next) {
                open.push(fallback);
            }
            open.extend(self.inside(&next));
            found.push(next);
        }
        found
    }

    /// What its join names; the root of a `for_each`'s body has none.
    pub(crate) fn deps(&self, place: &Place) -> Vec<Place> {
        let node = &self.nodes[place.node];
        let own = place.at.len() == node.depth;
        let deps = node.deps.iter().filter(|_| own);
        deps.map(|dep| Place { node: *dep, at: place.at.clone() }).collect()
    }

    pub(crate) fn fallback(&self, place: &Place) -> Option<Place> {
        let node = &self.nodes[place.node];
        let fallback = node.fallback.filter(|_| place.at.len() == node.depth)?;
        Some(Place { node: fallback, at: place.at.clone() })
    }

    pub(crate) fn is_optional(&self, place: &Place) -> bool {
        let node = &self.nodes[place.node];
        node.task.optional && place.at.len() == node.depth
    }

    /// `research[2]`, `chart[2][0]`, `payment~fallback`
    pub(crate) fn name(&self, place: &Place) -> String {
        let mut name = self.nodes[place.node].id.clone();
        for k in &place.at {
            name.push_str(&format!("[{k}]"));
        }
        name
    }

    /// The place of a task by the id in events and commands.
    pub(crate) fn find(&self, name: &str) -> Option<Place> {
        let bare = name.replace(']', "").replace("~fallback", "");
        let mut parts = bare.split('[');
        let id = parts.next()?;
        let at: Vec<usize> = parts.map(|k| k.parse().ok()).collect::<Option<_>>()?;
        let id = format!("{id}{}", "~fallback".repeat(name.matches("~fallback").count()));
        let node = self.nodes.iter().position(|node| node.id == id)?;
        let place = Place { node, at };
        (self.name(&place).len() == name.len()).then_some(place)
    }

    /// Whether `from` is over before `to` can begin, whatever happens: only joins of all say so.
    pub(crate) fn comes_before(&self, from: usize, to: usize) -> bool {
        let at = |node: &Node<'_>| Place { node: 0, at: vec![0; node.depth] };
        let lift = |node: usize| {
            let place = Place { node, ..at(&self.nodes[node]) };
            let line = self.line(&place).into_iter().map(|place| place.node);
            let base = line.map(|node| match self.nodes[node].role {
                Role::Fallback(of) => of,
                Role::Child | Role::Case(_) | Role::Closing => node,
            });
            base.collect::<Vec<_>>()
        };
        let (from, to) = (lift(from), lift(to));
        from.iter().any(|a| to.iter().any(|b| self.leads(*a, *b)))
    }

    fn leads(&self, from: usize, to: usize) -> bool {
        let node = &self.nodes[to];
        node.join == Join::All && node.deps.iter().any(|dep| *dep == from || self.leads(from, *dep))
    }

    /// What depends on that node, directly or not, by any join; siblings only.
    pub(crate) fn behind(&self, node: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            for (later, known) in self.nodes.iter().enumerate() {
                if known.deps.contains(&node) && found.insert(later) {
                    open.push(later);
                }
            }
        }
        found
    }
}
