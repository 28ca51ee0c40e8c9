//! What a path of names leads to, from where it stands.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::draft::Draft;
use super::findings::Findings;
use super::graph::{Graph, some_of};
use super::nearest;
use super::node::{ActionDraft, InputsDraft};
use super::said::Sees;
use super::task::TOP;
use crate::plan::Role;
use crate::types::Type;

/// Where an expression stands, which says what it sees.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Key,
    Event,
    Task(usize, Sees),
    Output,
}

impl Place {
    const fn roots(self) -> &'static [&'static str] {
        match self {
            Self::Key => &["inputs"],
            Self::Event | Self::Task(_, Sees::EventAlone) => &["event"],
            Self::Task(_, Sees::Itself | Sees::Inside) | Self::Output => {
                &["inputs", "tasks", "saga"]
            }
            Self::Task(_, Sees::Event) => &["inputs", "tasks", "saga", "event"],
            Self::Task(_, Sees::Undo) => &["inputs", "tasks", "saga", "original"],
            Self::Task(_, Sees::UndoEvent) => &["inputs", "tasks", "saga", "original", "event"],
        }
    }
}

/// All that names are looked up in.
pub(super) struct Names<'c> {
    pub(super) draft: &'c Draft,
    pub(super) graph: &'c Graph,
    pub(super) findings: &'c mut Findings,
    /// The types of outputs that are known already.
    pub(super) outputs: RefCell<BTreeMap<usize, Type>>,
    /// The types of elements that are known already.
    pub(super) elements: RefCell<BTreeMap<usize, Type>>,
    /// How many outputs are being typed, each for the one before.
    pub(super) depth: Cell<usize>,
}

/// Why a path leads nowhere.
pub(super) struct Astray {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) near: Option<String>,
    pub(super) help: Option<String>,
}

impl<'c> Names<'c> {
    pub(super) fn of(draft: &'c Draft, graph: &'c Graph, findings: &'c mut Findings) -> Self {
        let (outputs, elements) = (RefCell::default(), RefCell::default());
        Self { draft, graph, findings, outputs, elements, depth: Cell::new(0) }
    }
}

impl Names<'_> {
    /// The type of a path, or why it leads nowhere.
    pub(super) fn look_up(&self, path: &[String], place: Place) -> Result<Type, Astray> {
        let [root, rest @ ..] = path else { return Ok(Type::Any) };
        let items = self.items(place);
        if let Some((_, for_each)) = items.iter().find(|(name, _)| name == root) {
            return member(path, &self.item_of(*for_each), rest);
        }
        if root == "index" && !items.is_empty() {
            return member(path, &Type::Integer, rest);
        }
        let roots = place.roots();
        if !roots.contains(&root.as_str()) {
            let message = format!("`{}` does not exist here", path.join("."));
            let index = (!items.is_empty()).then_some("index");
            let names = items.iter().map(|(name, _)| *name).chain(index);
            let roots: Vec<&str> = roots.iter().copied().chain(names).collect();
            let help = format!("to be seen here: {}", roots.join(" "));
            let near = nearest(root, roots).map(str::to_owned);
            return Err(Astray { code: "E301", message, near, help: Some(help) });
        }
        match root.as_str() {
            "inputs" => self.input(path, rest),
            "tasks" => self.task(path, rest, place),
            "original" => match place {
                Place::Task(at, _) => self.original(path, rest, at),
                Place::Key | Place::Event | Place::Output => Ok(Type::Any),
            },
            "event" => member(path, &event(), rest),
            _ => member(path, &saga(), rest),
        }
    }

    /// The elements of the `for_each` around it, the innermost first: their names, and where they are.
    pub(super) fn items(&self, place: Place) -> Vec<(&str, usize)> {
        let Place::Task(at, sees) = place else { return Vec::new() };
        if sees == Sees::EventAlone {
            return Vec::new();
        }
        let around = self.graph.chain(at).iter().filter_map(|at| {
            let stand = &self.draft.tasks.get(*at)?.stand;
            let for_each = stand.parent.filter(|_| stand.role == Role::Item)?;
            let action = &self.draft.tasks.get(for_each)?.action;
            let ActionDraft::ForEach(each) = action else { return None };
            Some((each.item.as_str(), for_each))
        });
        around.collect()
    }

    fn input(&self, path: &[String], rest: &[String]) -> Result<Type, Astray> {
        let (Some(inputs), [name, fields @ ..]) = (&self.draft.inputs, rest) else {
            return Ok(if rest.is_empty() { Type::Object } else { Type::Any });
        };
        let Some(input) = inputs.iter().find(|input| input.name.it == *name) else {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.it.as_str()).collect();
            let help = format!("inputs: {}", some_of(&names));
            return Err(astray(path, nearest(name, names), Some(help)));
        };
        member(path, &input.of, fields)
    }

    fn task(&self, path: &[String], rest: &[String], place: Place) -> Result<Type, Astray> {
        let [name, rest @ ..] = rest else { return Ok(Type::Object) };
        let named =
            self.draft.tasks.iter().position(|task| {
                task.id.it == *name && !matches!(task.stand.role, Role::Fallback(_))
            });
        let Some(other) = named else {
            let ids: Vec<&str> = self.ids_seen(place);
            let help = format!("tasks: {}", some_of(&ids));
            return Err(astray(path, nearest(name, ids), Some(help)));
        };
        match place {
            Place::Task(reader, sees) if self.graph.is_ordered(reader) => {
                let stand = self.draft.tasks.get(other).map(|task| &task.stand);
                let is_inside = sees == Sees::Inside
                    && stand.is_some_and(|stand| {
                        stand.parent == Some(reader) && stand.role == Role::Child
                    });
                if !is_inside && !self.graph.sees(self.draft, reader, other) {
                    return Err(self.unseen(reader, other));
                }
            }
            Place::Output => {
                let is_top = |at: &usize| {
                    let stand = self.draft.tasks.get(*at).map(|task| &task.stand);
                    stand.is_some_and(|stand| stand.list == TOP && stand.role == Role::Child)
                };
                let around = self.graph.chain(other).iter().copied().find(is_top);
                if around != Some(other) {
                    return Err(self.within(other, around));
                }
            }
            Place::Task(..) | Place::Key | Place::Event => {}
        }
        let result = Type::Record(vec![
            ("output".into(), self.output_of(other), true),
            ("status".into(), Type::String, true),
            ("error".into(), Type::Record(vec![("code".into(), Type::String, true)]), true),
            ("attempts".into(), Type::Integer, true),
        ]);
        member(path, &result, rest)
    }

    /// Ids that could be meant, the ones that can be read where there are any.
    fn ids_seen(&self, place: Place) -> Vec<&str> {
        let ids = |seen: &dyn Fn(usize) -> bool| -> Vec<&str> {
            let tasks = self.draft.tasks.iter().enumerate();
            let tasks = tasks.filter(|(at, task)| {
                matches!(task.stand.role, Role::Child | Role::Case(_) | Role::Closing)
                    && !task.id.it.is_empty()
                    && seen(*at)
            });
            tasks.map(|(_, task)| task.id.it.as_str()).collect()
        };
        let seen = match place {
            Place::Task(reader, _) => ids(&|at| self.graph.sees(self.draft, reader, at)),
            Place::Key | Place::Event | Place::Output => Vec::new(),
        };
        if seen.is_empty() { ids(&|_| true) } else { seen }
    }

    fn id_of(&self, task: usize) -> &str {
        self.draft.tasks.get(task).map_or("", |task| task.id.it.as_str())
    }

    /// Why a task that there is can not be read.
    fn unseen(&self, reader: usize, other: usize) -> Astray {
        let (id, name) = (self.id_of(reader), self.id_of(other));
        let late = |message: String, help: String| Astray {
            code: "E304",
            message,
            near: None,
            help: Some(help),
        };
        if id == name {
            let help = "an undo sees what its task did as `original`".to_owned();
            return late(format!("`{id}` reads its own `tasks.{name}`"), help);
        }
        let hosts = self.graph.chain(reader);
        if hosts.contains(&other) {
            let message =
                format!("`{id}` is inside `{name}`, which has no output before it is over");
            return late(message, "read the tasks before it, each by its id".to_owned());
        }
        let list = |at: usize| self.draft.tasks.get(at).map(|task| task.stand.list);
        let beside = self.graph.chain(other).iter().find_map(|theirs| {
            let mine = hosts.iter().find(|mine| list(**mine) == list(*theirs))?;
            Some((*mine, *theirs))
        });
        match beside {
            Some((mine, theirs)) if mine == theirs => late(
                format!(
                    "`{id}` reads `tasks.{name}`, which stands in another case of `{}`",
                    self.id_of(mine)
                ),
                "only one of them runs: read what is before the choice".to_owned(),
            ),
            Some((mine, theirs)) if theirs == other => late(
                format!("`{id}`, or its undo, reads `tasks.{name}` but does not come after it"),
                format!("`depends_on: [{name}]` on `{}`", self.id_of(mine)),
            ),
            Some((_, theirs)) => self.within(other, Some(theirs)),
            None => self.within(other, self.graph.chain(other).last().copied()),
        }
    }

    /// The way to a task through the outputs of what it stands in, where each gives those by id.
    fn path_within(&self, other: usize, around: usize) -> Option<String> {
        let mut path = self.id_of(other).to_owned();
        let mut next = other;
        while next != around {
            next = self.draft.tasks.get(next)?.stand.parent?;
            let parent = self.draft.tasks.get(next)?;
            if matches!(
                parent.action,
                ActionDraft::ForEach(_) | ActionDraft::Group { outputs: Some(_) }
            ) {
                return None;
            }
            let link = if next == around { ".output." } else { "." };
            path = format!("{}{link}{path}", parent.id.it);
        }
        Some(path)
    }

    /// E203: it is read through the output of what it stands in.
    fn within(&self, other: usize, around: Option<usize>) -> Astray {
        let name = self.id_of(other);
        let parent = self.draft.tasks.get(other).and_then(|task| task.stand.parent);
        let message = match parent.or(around) {
            Some(parent) => format!("`{name}` is inside `{}`", self.id_of(parent)),
            None => format!("`{name}` is not a task that runs before"),
        };
        let help = around.map(|around| {
            let of = self.id_of(around);
            match self.path_within(other, around) {
                Some(path) => format!("depend on `{of}` and read `tasks.{path}`"),
                None => format!("depend on `{of}` and read it through `tasks.{of}.output`"),
            }
        });
        Astray { code: "E203", message, near: None, help }
    }

    fn original(&self, path: &[String], rest: &[String], at: usize) -> Result<Type, Astray> {
        let task = self.draft.tasks.get(at);
        let output = self.output_of(at);
        let inputs = match task.map(|task| &task.inputs) {
            Some(InputsDraft::Computed(written)) => written.fields(),
            Some(InputsDraft::Absent) | None => Type::Any,
        };
        let original = Type::Record(vec![
            ("inputs".into(), inputs, true),
            ("output".into(), output, true),
            ("status".into(), Type::String, true),
        ]);
        member(path, &original, rest)
    }
}

fn event() -> Type {
    Type::Record(vec![
        ("value".into(), Type::Any, true),
        ("key".into(), Type::Any, true),
        ("name".into(), Type::String, true),
        ("headers".into(), Type::Map(Box::new(Type::String)), true),
        ("topic".into(), Type::String, true),
        ("timestamp".into(), Type::Timestamp, true),
    ])
}

fn saga() -> Type {
    let text = ["id", "key", "name", "hash"].map(|name| (name.to_owned(), Type::String, true));
    let times = ["started_at", "now"].map(|name| (name.to_owned(), Type::Timestamp, true));
    let parts = ["task", "code", "message"].map(|name| (name.to_owned(), Type::String, true));
    let error = ("error".to_owned(), Type::Record(parts.to_vec()), true);
    Type::Record(text.into_iter().chain(times).chain([error]).collect())
}

/// The type of fields of a type.
fn member(path: &[String], of: &Type, fields: &[String]) -> Result<Type, Astray> {
    of.at(fields).map_err(|(field, known)| {
        let names: BTreeSet<&str> = known.iter().map(String::as_str).collect();
        let near = nearest(&field, names.iter().copied());
        let help = (!known.is_empty()).then(|| {
            format!("fields: {}", some_of(&known.iter().map(String::as_str).collect::<Vec<_>>()))
        });
        astray(path, near, help.or_else(|| of_list(path, of, fields)))
    })
}

/// What to do with a list in the place of a field of it.
fn of_list(path: &[String], of: &Type, fields: &[String]) -> Option<String> {
    let count = (0..fields.len()).find(|count| {
        matches!(of.at(fields.get(..*count).unwrap_or_default()), Ok(Type::List(_)))
    })?;
    let begin = path.len() - fields.len();
    let list = path.get(..begin + count)?.join(".");
    let field = path.get(begin + count..)?.join(".");
    Some(format!("it is a list: `{list}.map(each, each.{field})`, or `{list}[0].{field}`"))
}

fn astray(path: &[String], near: Option<&str>, help: Option<String>) -> Astray {
    let message = format!("`{}` does not exist", path.join("."));
    Astray { code: "E301", message, near: near.map(str::to_owned), help }
}
