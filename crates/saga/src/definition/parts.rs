//! Where tasks stand in the tree of a file, before it is read: in the file and in groups, in cases, and
//! as what stands in for a task or undoes it.

use crate::yaml::{Content, Node};

/// What holds tasks, or is one.
pub(super) enum Part<'n> {
    /// A list under `tasks`.
    Tasks(&'n mut Node),
    /// A list under `sequential`.
    Sequential(&'n mut Node),
    /// A list under a case's `then` or `else`.
    Case(&'n mut Node),
    /// A list under `then` of `on_failure`.
    Closing(&'n mut Node),
    /// The body under `fallback`.
    Fallback(&'n mut Node),
    /// What stands under `compensate`, an id or a body.
    Undo(&'n mut Node),
}

impl<'n> Part<'n> {
    /// The bodies of tasks that it is or holds.
    pub(super) fn bodies(self) -> &'n mut [Node] {
        match self {
            Self::Tasks(list) | Self::Sequential(list) | Self::Case(list) | Self::Closing(list) => {
                elements(list)
            }
            Self::Fallback(body) | Self::Undo(body) => std::slice::from_mut(body),
        }
    }
}

/// What stands directly in the file, or in the body of a task.
pub(super) fn of(holder: &mut Node) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let Content::Map(entries) = &mut holder.content else { return parts };
    for entry in entries {
        let value = &mut entry.value;
        match entry.key.as_str() {
            "tasks" => parts.push(Part::Tasks(value)),
            "sequential" => parts.push(Part::Sequential(value)),
            "fallback" => parts.push(Part::Fallback(value)),
            "compensate" => parts.push(Part::Undo(value)),
            "choice" => {
                for case in elements(value) {
                    parts.extend(under(case, &["then", "else"]).map(Part::Case));
                }
            }
            "on_failure" => parts.extend(under(value, &["then"]).map(Part::Closing)),
            _ => {}
        }
    }
    parts
}

/// Shows every body in the file or in a body, outer ones first.
pub(super) fn each_body(holder: &mut Node, see: &mut dyn FnMut(&mut Node)) {
    for part in of(holder) {
        for body in part.bodies() {
            see(body);
            each_body(body, see);
        }
    }
}

fn elements(list: &mut Node) -> &mut [Node] {
    match &mut list.content {
        Content::List(list) => list,
        Content::Null
        | Content::Bool(_)
        | Content::Number(_)
        | Content::Text(_)
        | Content::Map(_) => &mut [],
    }
}

fn under<'n>(map: &'n mut Node, keys: &'static [&str]) -> impl Iterator<Item = &'n mut Node> {
    let entries = match &mut map.content {
        Content::Map(entries) => entries.as_mut_slice(),
        Content::Null
        | Content::Bool(_)
        | Content::Number(_)
        | Content::Text(_)
        | Content::List(_) => &mut [],
    };
    entries
        .iter_mut()
        .filter(|entry| keys.contains(&entry.key.as_str()))
        .map(|entry| &mut entry.value)
}
