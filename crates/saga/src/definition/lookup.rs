//! What a path of names leads to, from where it stands.

use std::collections::BTreeSet;

use super::draft::{Draft, InputsDraft};
use super::findings::Findings;
use super::graph::{Graph, some_of};
use super::nearest;
use crate::types::Type;

/// Where an expression stands, which says what it sees.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Key,
    Event,
    Task(usize),
    Undo(usize),
    Output,
}

impl Place {
    const fn roots(self) -> &'static [&'static str] {
        match self {
            Self::Key => &["inputs"],
            Self::Event => &["event"],
            Self::Task(_) | Self::Output => &["inputs", "tasks", "saga"],
            Self::Undo(_) => &["inputs", "tasks", "saga", "original"],
        }
    }
}

/// All that names are looked up in.
pub(super) struct Names<'c> {
    pub(super) draft: &'c Draft,
    pub(super) graph: &'c Graph,
    pub(super) findings: &'c mut Findings,
}

/// Why a path leads nowhere.
pub(super) struct Astray {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) near: Option<String>,
    pub(super) help: Option<String>,
}

impl Names<'_> {
    /// The type of a path, or why it leads nowhere.
    pub(super) fn look_up(&self, path: &[String], place: Place) -> Result<Type, Astray> {
        let [root, rest @ ..] = path else { return Ok(Type::Any) };
        let roots = place.roots();
        if !roots.contains(&root.as_str()) {
            let message = format!("`{}` does not exist here", path.join("."));
            let help = format!("to be seen here: {}", roots.join(" "));
            let near = nearest(root, roots.iter().copied()).map(str::to_owned);
            return Err(Astray { code: "E301", message, near, help: Some(help) });
        }
        match root.as_str() {
            "inputs" => self.input(path, rest),
            "tasks" => self.task(path, rest, place),
            "original" => match place {
                Place::Undo(at) => self.original(path, rest, at),
                Place::Key | Place::Event | Place::Task(_) | Place::Output => Ok(Type::Any),
            },
            "event" => member(path, &event(), rest),
            _ => member(path, &saga(), rest),
        }
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
        let Some(other) = self.draft.tasks.iter().position(|task| task.id.it == *name) else {
            if self.draft.ids.contains(name) {
                return Ok(Type::Any);
            }
            let ids: Vec<&str> = self.draft.ids.iter().map(String::as_str).collect();
            let help = format!("tasks: {}", some_of(&ids));
            return Err(astray(path, nearest(name, ids), Some(help)));
        };
        match place {
            Place::Task(reader) | Place::Undo(reader)
                if self.graph.is_ordered(reader) && !self.graph.is_before(other, reader) =>
            {
                let id = self.draft.tasks.get(reader).map_or("", |task| task.id.it.as_str());
                let (message, help) = if reader == other {
                    let message = format!("`{id}` reads its own `tasks.{name}`");
                    (message, "an undo sees what its task did as `original`".to_owned())
                } else {
                    let message = format!(
                        "`{id}`, or its undo, reads `tasks.{name}` but does not come after it"
                    );
                    (message, format!("`depends_on: [{name}]` on `{id}`"))
                };
                return Err(Astray { code: "E304", message, near: None, help: Some(help) });
            }
            Place::Task(_) | Place::Undo(_) | Place::Key | Place::Event | Place::Output => {}
        }
        let output = self.draft.tasks.get(other).and_then(|task| task.returns.clone());
        let result = Type::Record(vec![
            ("output".into(), output.unwrap_or(Type::Any), true),
            ("status".into(), Type::String, true),
            ("error".into(), Type::Record(vec![("code".into(), Type::String, true)]), true),
            ("attempts".into(), Type::Integer, true),
        ]);
        member(path, &result, rest)
    }

    fn original(&self, path: &[String], rest: &[String], at: usize) -> Result<Type, Astray> {
        let task = self.draft.tasks.get(at);
        let output = task.and_then(|task| task.returns.clone()).unwrap_or(Type::Any);
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
        astray(path, near, help)
    })
}

fn astray(path: &[String], near: Option<&str>, help: Option<String>) -> Astray {
    let message = format!("`{}` does not exist", path.join("."));
    Astray { code: "E301", message, near: near.map(str::to_owned), help }
}
