//! The other spellings that the language accepts, rewritten into the one that is read.

use super::findings::{Finding, Findings, Span};
use super::parts::{self, Part};
use super::{keys, nearest, read};
use crate::yaml::{Content, Entry, Node};

const LISTS: [&str; 3] = ["workflow", "orchestration", "choreography"];
/// What a step of the short form may consist of, named or not.
const GROUPS: [&str; 4] = ["parallel", "sequential", "agents", "conditional"];

/// The file in full form. What is made stands where what it is made from does.
pub(super) fn rewrite(root: Node, findings: &mut Findings) -> Node {
    let mut root = unwrapped(root, findings);
    let Content::Map(entries) = &mut root.content else { return root };
    rename(entries, &["scenario"], "name", findings);
    let in_order = rename(entries, &LISTS, "tasks", findings);
    let mut rewriting = Rewriting { unnamed: 0, findings };
    rewriting.holder(&mut root, in_order);
    let Content::Map(entries) = &mut root.content else { return root };
    for entry in entries {
        match (entry.key.as_str(), &mut entry.value.content) {
            ("templates", Content::Map(templates)) => {
                templates.iter_mut().for_each(|each| rewriting.holder(&mut each.value, false));
            }
            ("tasks", Content::List(tasks)) if in_order => chain(tasks, rewriting.findings),
            _ => {}
        }
    }
    root
}

/// What stands under `workflow_dsl`.
fn unwrapped(root: Node, findings: &mut Findings) -> Node {
    let Some(wrapped) = root.get("workflow_dsl").cloned() else { return root };
    for entry in root.entries().unwrap_or_default() {
        if entry.key != "workflow_dsl" {
            let message = format!("unknown key `{}` beside `workflow_dsl`", entry.key);
            let help = "all of the file stands under `workflow_dsl`, or nothing";
            findings.push(Finding::error("E102", entry.key_span, message).help(help));
        }
    }
    wrapped
}

/// Whether one of the keys was there, and now is the other one.
fn rename(entries: &mut Vec<Entry>, from: &[&str], to: &str, findings: &mut Findings) -> bool {
    let mut renamed = false;
    let mut first: Option<Span> = None;
    entries.retain_mut(|entry| {
        if entry.key != to && !from.contains(&entry.key.as_str()) {
            return true;
        }
        if let Some(first) = first {
            findings.push(said_twice(to, &entry.key, entry.key_span, first, findings));
            return false;
        }
        first = Some(entry.key_span);
        renamed = entry.key != to;
        to.clone_into(&mut entry.key);
        true
    });
    renamed
}

fn said_twice(key: &str, by: &str, span: Span, first: Span, findings: &Findings) -> Finding {
    let line = findings.line_of(first.0);
    let same = if by == key { String::new() } else { format!(": `{by}` is the same") };
    let message = format!("key `{key}` is given twice, first at line {line}{same}");
    Finding::error("E201", span, message)
}

/// At the top of a file there is no `sequential`: each task depends on the one before.
fn chain(tasks: &mut [Node], findings: &mut Findings) {
    let mut before: Option<Node> = None;
    for task in tasks {
        let id = task.get("id").cloned();
        let Content::Map(entries) = &mut task.content else { continue };
        let said = entries.iter().find(|entry| entry.key == "depends_on");
        if let Some(said) = said {
            findings.push(in_order_already(said.key_span));
        } else if let Some(before) = before {
            let span = before.span;
            entries.push(entry("depends_on", span, Content::List(vec![before])));
        }
        before = id;
    }
}

fn in_order_already(span: Span) -> Finding {
    Finding::error(
        "E102",
        span,
        "unknown key `depends_on` in a list that is the order of its tasks",
    )
    .help("leave it out, or list the tasks under `tasks`")
}

struct Rewriting<'f> {
    /// Groups without a name, so far.
    unnamed: usize,
    findings: &'f mut Findings,
}

impl Rewriting<'_> {
    /// Rewrites what stands in the file or in the body of a task. `in_order`: its `tasks` are.
    fn holder(&mut self, holder: &mut Node, in_order: bool) {
        let mut undone: Option<Span> = None;
        for part in parts::of(holder) {
            match part {
                Part::Tasks(list) => undone = undone.or(self.list(list, in_order)),
                Part::Sequential(list) => undone = undone.or(self.list(list, true)),
                Part::Case(list) | Part::Closing(list) => {
                    if let Some(span) = self.list(list, false) {
                        let message = "`compensation` has no place in this list";
                        let help = "it stands in the list of the file or of a group";
                        self.findings.push(Finding::error("E102", span, message).help(help));
                    }
                }
                Part::Fallback(body) | Part::Undo(body) => self.holder(body, false),
            }
        }
        let (Some(span), Content::Map(entries)) = (undone, &mut holder.content) else { return };
        match entries.iter().find(|entry| entry.key == "on_failure") {
            Some(said) => {
                let first = said.key_span;
                let by = "compensation";
                self.findings.push(said_twice("on_failure", by, span, first, self.findings));
            }
            None => entries.push(text_entry("on_failure", "compensate", span)),
        }
    }

    /// Rewrites the tasks of a list; where they are in order each may look at the one before. Gives
    /// the place of a `compensation` that it has held.
    fn list(&mut self, list: &mut Node, in_order: bool) -> Option<Span> {
        let Content::List(items) = &mut list.content else { return None };
        let mut undone = None;
        let mut tasks: Vec<Node> = Vec::new();
        for item in std::mem::take(items) {
            if let Some([only]) = item.entries()
                && only.key == "compensation"
            {
                let _ = read::text("compensation", &only.value, self.findings);
                undone = Some(only.key_span);
                continue;
            }
            let before = tasks.last().filter(|_| in_order);
            let mut task = self.item(item, before);
            self.holder(&mut task, false);
            tasks.push(task);
        }
        if let Some(span) = undone {
            tasks.iter_mut().for_each(|task| undo(task, span));
        }
        *items = tasks;
        undone
    }

    fn item(&mut self, item: Node, before: Option<&Node>) -> Node {
        let Some([only]) = item.entries() else { return item };
        let is_group = GROUPS.contains(&only.key.as_str());
        let is_full = keys::TASK.knows(&only.key) || nearest(&only.key, ["agent"]).is_some();
        if is_full && !is_group {
            return item;
        }
        let mut entries = Vec::new();
        if is_group {
            self.unnamed += 1;
            entries.push(text_entry("id", format!("step_{}", self.unnamed), only.key_span));
            self.group(only, before, &mut entries);
        } else {
            let id = self.id(&only.key, only.key_span);
            entries.push(text_entry("id", id.as_str(), only.key_span));
            match (&only.value.content, only.value.entries()) {
                (_, Some([inner])) if GROUPS.contains(&inner.key.as_str()) => {
                    self.group(inner, before, &mut entries);
                }
                (Content::Text(said), _) => {
                    let key = if read::is_id(said) { "type" } else { "description" };
                    entries.push(text_entry("agent", id, only.key_span));
                    entries.push(text_entry(key, said, only.value.span));
                }
                _ => {
                    let what = "text, or one of `parallel` `sequential` `agents` `conditional`";
                    let help = format!("write the task in full: `{{id: {id}, agent: {id}}}`");
                    self.findings.push(read::must_be(&only.key, what, &only.value).help(help));
                    entries.push(text_entry("agent", id, only.key_span));
                }
            }
        }
        Node { span: item.span, content: Content::Map(entries) }
    }

    /// A name that can be an id; where the file's can not, that is said, and a good one given.
    fn id(&mut self, name: &str, span: Span) -> String {
        let node = Node { span, content: Content::Text(name.to_owned()) };
        match read::id("id", &node, self.findings) {
            Some(id) => id.it,
            None => read::good_id(name),
        }
    }

    fn group(&mut self, group: &Entry, before: Option<&Node>, entries: &mut Vec<Entry>) {
        let key = group.key.as_str();
        let (key, content) = match (key, &group.value.content) {
            ("conditional", Content::List(cases)) => {
                let path = self.outcome(group, before);
                let read = self.cases(cases, &path);
                if read.is_empty() && !cases.is_empty() {
                    entries.push(text_entry("agent", "unknown", group.key_span));
                    return;
                }
                ("choice", Content::List(read))
            }
            ("sequential", Content::List(_)) => ("sequential", group.value.content.clone()),
            (_, Content::List(_)) => ("tasks", group.value.content.clone()),
            _ => {
                self.findings.push(read::must_be(key, "a list", &group.value));
                entries.push(text_entry("agent", "unknown", group.key_span));
                return;
            }
        };
        let value = Node { span: group.value.span, content };
        entries.push(Entry { key: key.to_owned(), key_span: group.key_span, value });
    }

    /// The outcome that a `conditional` asks for.
    fn outcome(&mut self, conditional: &Entry, before: Option<&Node>) -> String {
        if let Some(path) = before.and_then(output_of) {
            return format!("tasks.{path}.outcome");
        }
        let message =
            "`conditional` asks for the outcome of the task before, and here is none that has one";
        let help =
            "put it behind a task or a group in a list that is in order, or write a `choice`";
        self.findings.push(Finding::error("E105", conditional.key_span, message).help(help));
        "saga.name".to_owned()
    }

    fn cases(&mut self, cases: &[Node], path: &str) -> Vec<Node> {
        let mut read = Vec::new();
        for case in cases {
            let said = match case.entries() {
                Some([only]) => only.key.strip_prefix("if_").map(|outcome| (only, outcome)),
                Some(_) | None => None,
            };
            let fits = said.filter(|(_, outcome)| read::is_id(outcome));
            let Some((only, outcome)) = fits else {
                let finding = read::must_be("a case", "`if_OUTCOME: AGENT`", case);
                self.findings.push(finding.help("as in `- if_valid: load`"));
                continue;
            };
            let Some(name) = read::text(&only.key, &only.value, self.findings) else { continue };
            let at = only.value.span;
            let id = self.id(&name, at);
            let task = vec![text_entry("id", id.as_str(), at), text_entry("agent", id, at)];
            let task = Node { span: at, content: Content::Map(task) };
            let when = format!("${{{path} == \"{outcome}\"}}");
            let then = vec![
                text_entry("when", when, only.key_span),
                entry("then", at, Content::List(vec![task])),
            ];
            read.push(Node { span: case.span, content: Content::Map(then) });
        }
        read
    }
}

/// The path to the output of a task, of a group's last one; `None`: it has none of its own.
fn output_of(task: &Node) -> Option<String> {
    let mut path = format!("{}.output", task.get("id")?.text()?);
    let mut at = task;
    loop {
        if ["choice", "for_each", "outputs"].iter().any(|key| at.get(key).is_some()) {
            return None;
        }
        let Some(children) = at.get("sequential").or_else(|| at.get("tasks")) else {
            return Some(path);
        };
        at = children.list()?.last()?;
        path = format!("{path}.{}", at.get("id")?.text()?);
    }
}

/// Gives a task, or all in a group, the undo that `compensation` promises.
fn undo(task: &mut Node, span: Span) {
    if let Content::Map(entries) = &mut task.content {
        let has = |key: &str| entries.iter().any(|entry| entry.key == key);
        if has("agent") && !has("compensate") && !has("kind") {
            entries.push(text_entry("compensate", "undo", span));
        }
    }
    for part in parts::of(task) {
        match part {
            Part::Tasks(_) | Part::Sequential(_) | Part::Case(_) => {
                part.bodies().iter_mut().for_each(|task| undo(task, span));
            }
            Part::Closing(_) | Part::Fallback(_) | Part::Undo(_) => {}
        }
    }
}

fn text_entry(key: &str, text: impl Into<String>, span: Span) -> Entry {
    entry(key, span, Content::Text(text.into()))
}

fn entry(key: &str, span: Span, content: Content) -> Entry {
    Entry { key: key.to_owned(), key_span: span, value: Node { span, content } }
}
