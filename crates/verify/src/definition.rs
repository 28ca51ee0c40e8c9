//! What a saga file says of the order of its tasks and of how they are undone, read from
//! docs/reference/saga-file.md. Expressions, times and retries are not read: nothing is judged by them.

use std::collections::BTreeMap;

use crate::yaml::{self, Yaml};

/// When a task may begin, by those that it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// All of them are settled.
    All,
    /// So many of them are done; the others may be let go.
    Some(usize),
}

/// What may become of a task once it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Compensatable,
    Pivot,
    Retriable,
    ReadOnly,
}

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A command to an agent.
    Agent,
    /// An event, a wait, a child: no command on a topic of ours.
    Other,
    /// Others stand in it: a group, a choice, a `for_each`.
    Around,
}

/// One task of the file; an element of a `for_each` is the same task with a place behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) id: String,
    /// How many `for_each` stand around it.
    pub(crate) depth: usize,
    pub(crate) parent: Option<usize>,
    pub(crate) deps: Vec<usize>,
    pub(crate) join: Join,
    pub(crate) kind: Kind,
    pub(crate) action: Action,
    pub(crate) is_each: bool,
    pub(crate) has_undo: bool,
    /// Whether its undo carries what was recorded, and nothing that the file says.
    pub(crate) undo_is_whole: bool,
    /// Its undo says when there is something to undo: where there is not, it ends without being sent.
    pub(crate) undo_may_be_nothing: bool,
    pub(crate) fallback: Option<usize>,
    pub(crate) fallback_of: Option<usize>,
    /// Whether it runs once a failure is dealt with.
    pub(crate) closing: bool,
}

/// The graph of one version of a saga.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) nodes: Vec<Node>,
    by_id: BTreeMap<String, usize>,
    pub(crate) strict: bool,
    pub(crate) goes_on: bool,
}

/// A task of a run: which of the file, and in which elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) node: usize,
    pub(crate) at: Vec<usize>,
}

/// What the fallback of a task is called in events: of `research[2]` it is `research~fallback[2]`.
pub(crate) fn fallback_of(task: &str) -> String {
    let (id, element) = task.split_at(task.find('[').unwrap_or(task.len()));
    format!("{id}~fallback{element}")
}

impl Definition {
    /// `None` where the file is written in one of the other spellings, or is none.
    pub(crate) fn read(source: &str) -> Option<Self> {
        let file = yaml::read(source)?;
        let tasks = file.get("tasks")?;
        let defaults = file.get("defaults");
        let mut reading = Reading {
            definition: Self::default(),
            templates: file.get("templates"),
            kind: defaults.and_then(|it| it.text_of("kind")),
        };
        let top = Around::default();
        reading.list(tasks, &top, false)?;
        reading.closing(&file, &top)?;
        let mut definition = reading.definition;
        let of = |key: &str| file.get("compensation").and_then(|it| it.text_of(key));
        definition.strict = of("order") == Some("strict");
        definition.goes_on = of("on_blocked") == Some("go_on");
        Some(definition)
    }

    pub(crate) fn node(&self, place: &Place) -> Option<&Node> {
        self.nodes.get(place.node)
    }

    /// The place of a task's id in events: `research[2]`, `payment~fallback`.
    pub(crate) fn find(&self, id: &str) -> Option<Place> {
        let (plain, elements) = id.split_once('[').map_or((id, ""), |(id, rest)| (id, rest));
        let at: Option<Vec<usize>> = elements
            .split('[')
            .filter(|part| !part.is_empty())
            .map(|part| part.strip_suffix(']')?.parse().ok())
            .collect();
        let (node, at) = (*self.by_id.get(plain)?, at?);
        let known = self.nodes.get(node)?;
        let fits = at.len() == known.depth || known.is_each && at.len() == known.depth + 1;
        fits.then_some(Place { node, at })
    }

    pub(crate) fn name(&self, place: &Place) -> String {
        let mut name = self.node(place).map_or_else(String::new, |node| node.id.clone());
        for index in &place.at {
            name.push_str(&format!("[{index}]"));
        }
        name
    }

    fn is_element(&self, place: &Place) -> bool {
        self.node(place).is_some_and(|node| place.at.len() > node.depth)
    }

    /// Whether others stand in it, in this file.
    pub(crate) fn is_around(&self, place: &Place) -> bool {
        self.node(place).is_none_or(|node| {
            node.action == Action::Around || node.is_each && !self.is_element(place)
        })
    }

    /// What it stands in, directly.
    fn parent(&self, place: &Place) -> Option<Place> {
        let node = self.node(place)?;
        if self.is_element(place) {
            let at = place.at.get(..node.depth)?.to_vec();
            return Some(Place { node: place.node, at });
        }
        Some(Place { node: node.parent?, at: place.at.clone() })
    }

    /// It and all that it stands in, from the inside.
    pub(crate) fn line(&self, place: &Place) -> Vec<Place> {
        std::iter::successors(Some(place.clone()), |inner| self.parent(inner)).collect()
    }

    /// What it depends on by its own `depends_on`, and how many must be done.
    pub(crate) fn deps(&self, place: &Place) -> (Vec<Place>, Join) {
        let Some(node) = self.node(place) else { return (Vec::new(), Join::All) };
        if self.is_element(place) {
            return (Vec::new(), Join::All);
        }
        // A fallback stands where its task does.
        let base = node.fallback_of.and_then(|of| self.nodes.get(of)).unwrap_or(node);
        let at = |node: &usize| Place { node: *node, at: place.at.clone() };
        (base.deps.iter().map(at).collect(), base.join)
    }

    /// Whether `later` comes after `place` by the graph: it, or what it stands in, depends on `place` or on
    /// what that stands in, directly or not.
    pub(crate) fn comes_after(&self, later: &Place, place: &Place) -> bool {
        let mut line = self.line(place);
        // A fallback stands where its task does.
        let base = |part: &Place| {
            let node = self.node(part).filter(|_| !self.is_element(part))?.fallback_of?;
            Some(Place { node, at: part.at.clone() })
        };
        let bases: Vec<Place> = line.iter().filter_map(base).collect();
        line.extend(bases);
        let mut open: Vec<Place> = self.line(later);
        let mut seen: Vec<Place> = Vec::new();
        while let Some(next) = open.pop() {
            let (deps, _) = self.deps(&next);
            for dep in deps {
                if line.contains(&dep) {
                    return true;
                }
                if !seen.contains(&dep) {
                    seen.push(dep.clone());
                    open.push(dep);
                }
            }
        }
        false
    }

    pub(crate) fn fallback(&self, place: &Place) -> Option<Place> {
        let node = self.node(place)?.fallback.filter(|_| !self.is_element(place))?;
        Some(Place { node, at: place.at.clone() })
    }
}

/// Where a list of tasks stands.
#[derive(Clone, Copy, Default)]
struct Around {
    parent: Option<usize>,
    depth: usize,
    closing: bool,
}

struct Reading<'y> {
    definition: Definition,
    templates: Option<&'y Yaml>,
    kind: Option<&'y str>,
}

impl Reading<'_> {
    fn list(&mut self, list: &Yaml, around: &Around, sequential: bool) -> Option<()> {
        let mut ids = BTreeMap::new();
        let mut read = Vec::new();
        for task in list.list() {
            let body = self.body(task)?;
            let id = body.text_of("id")?.to_owned();
            let node = self.task(&id, &body, around)?;
            ids.insert(id, node);
            read.push((node, body));
        }
        let mut before = None;
        for (node, body) in read {
            let (names, join) = depends(&body)?;
            let mut deps: Vec<usize> =
                names.iter().map(|name| ids.get(*name).copied()).collect::<Option<_>>()?;
            deps.extend(before.filter(|_| sequential));
            let known = self.definition.nodes.get_mut(node)?;
            (known.deps, known.join) = (deps, join);
            before = Some(node);
        }
        Some(())
    }

    /// The keys of the task, then those of its template.
    fn body(&self, task: &Yaml) -> Option<Yaml> {
        let mut entries = task.entries().to_vec();
        if let Some(name) = task.text_of("use") {
            let template = self.templates?.get(name)?;
            let own = |key: &str| task.get(key).is_some();
            entries.extend(template.entries().iter().filter(|(key, _)| !own(key)).cloned());
        }
        Some(Yaml::Map(entries))
    }

    fn task(&mut self, id: &str, body: &Yaml, around: &Around) -> Option<usize> {
        let node = self.definition.nodes.len();
        let is_each = body.get("for_each").is_some();
        let undo = body.get("compensate");
        let inner = ["tasks", "sequential", "choice"].iter().any(|key| body.get(key).is_some());
        let action = match (inner, body.get("agent")) {
            (true, _) => Action::Around,
            (false, Some(_)) => Action::Agent,
            (false, None) => Action::Other,
        };
        let child = body.get("saga").is_some();
        let kind = match body.text_of("kind").or(self.kind.filter(|_| undo.is_none())) {
            Some("compensatable") => Kind::Compensatable,
            Some("pivot") => Kind::Pivot,
            Some("retriable") => Kind::Retriable,
            Some("readonly") => Kind::ReadOnly,
            Some(_) => return None,
            None if undo.is_some() || child => Kind::Compensatable,
            None => Kind::ReadOnly,
        };
        self.definition.by_id.insert(id.to_owned(), node);
        self.definition.nodes.push(Node {
            id: id.to_owned(),
            depth: around.depth,
            parent: around.parent,
            deps: Vec::new(),
            join: Join::All,
            kind,
            action,
            is_each,
            has_undo: undo.is_some() || child && kind == Kind::Compensatable,
            undo_may_be_nothing: undo.is_some_and(|undo| undo.get("when").is_some()),
            undo_is_whole: undo.is_some_and(|undo| {
                undo.text().is_some()
                    || undo.get("agent").or(undo.get("type")).is_some()
                        && ["inputs", "emit", "await", "saga"]
                            .iter()
                            .all(|key| undo.get(key).is_none())
            }),
            fallback: None,
            fallback_of: None,
            closing: around.closing,
        });
        let depth = around.depth + usize::from(is_each);
        let within = Around { parent: Some(node), depth, closing: around.closing };
        for (key, sequential) in [("tasks", false), ("sequential", true)] {
            if let Some(list) = body.get(key) {
                self.list(list, &within, sequential)?;
            }
        }
        for case in body.get("choice").map_or(&[][..], Yaml::list) {
            for list in ["then", "else"].iter().filter_map(|key| case.get(key)) {
                self.list(list, &within, false)?;
            }
        }
        self.closing(body, around)?;
        if let Some(fallback) = body.get("fallback") {
            self.fallback(node, id, fallback, around)?;
        }
        Some(node)
    }

    fn fallback(&mut self, of: usize, id: &str, body: &Yaml, around: &Around) -> Option<()> {
        let body = self.body(body)?;
        let node = self.task(&format!("{id}~fallback"), &body, around)?;
        self.definition.nodes.get_mut(node)?.fallback_of = Some(of);
        self.definition.nodes.get_mut(of)?.fallback = Some(node);
        Some(())
    }

    /// What runs once a failure is dealt with.
    fn closing(&mut self, body: &Yaml, around: &Around) -> Option<()> {
        let Some(then) = body.get("on_failure").and_then(|it| it.get("then")) else {
            return Some(());
        };
        self.list(then, &Around { closing: true, ..*around }, false)
    }
}

/// The names of a `depends_on`, and how many of them it wants.
fn depends(body: &Yaml) -> Option<(Vec<&str>, Join)> {
    let Some(on) = body.get("depends_on") else { return Some((Vec::new(), Join::All)) };
    fn names(list: &Yaml) -> Option<Vec<&str>> {
        list.list().iter().map(Yaml::text).collect()
    }
    if let Yaml::List(_) = on {
        return Some((names(on)?, Join::All));
    }
    if let Some(all) = on.get("all") {
        return Some((names(all)?, Join::All));
    }
    if let Some(any) = on.get("any").or(on.get("discriminator")) {
        return Some((names(any)?, Join::Some(1)));
    }
    let n = on.text_of("n_of")?.parse().ok()?;
    Some((names(on.get("tasks")?)?, Join::Some(n)))
}
