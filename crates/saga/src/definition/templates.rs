//! `templates` and `use`: bodies of tasks that are written once.

use std::collections::BTreeSet;

use super::findings::{Finding, Findings};
use super::{keys, parts, read};
use crate::yaml::{Content, Entry, Node};

/// Bytes of templates that may be copied into a file's tasks.
const COPIED_BYTES_MAX: usize = 1024 * 1024;

/// Puts each template in the place of its `use`; what comes out knows of neither. `unknown`: aliases
/// under which there may be anything.
pub(super) fn expand(root: &mut Node, unknown: &[String], findings: &mut Findings) {
    let Content::Map(entries) = &mut root.content else { return };
    let templates = match entries.iter().position(|entry| entry.key == "templates") {
        Some(at) => known(&entries.remove(at).value, findings),
        None => Vec::new(),
    };
    let used = BTreeSet::new();
    let mut expanding = Expanding { templates, unknown, used, copied: 0, findings };
    parts::each_body(root, &mut |body| expanding.body(body));
    let Expanding { templates, used, findings, .. } = expanding;
    if findings.has_errors() {
        return;
    }
    for template in templates.iter().filter(|template| !used.contains(&template.key)) {
        let message = format!("template `{}` is not used", template.key);
        findings.push(Finding::warning("W07", template.key_span, message));
    }
}

/// The names that are used, be there such templates or not.
pub(super) fn used(root: &mut Node) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    parts::each_body(root, &mut |body| {
        used.extend(body.get("use").and_then(Node::text).map(str::to_owned));
    });
    used
}

/// The templates of a file that can be used.
fn known(node: &Node, findings: &mut Findings) -> Vec<Entry> {
    let mut known = Vec::new();
    for entry in read::map("templates", node, findings).unwrap_or_default() {
        // `alias.name` is what was `name` in an imported file.
        let name = entry.key.split_once('.').map_or(entry.key.as_str(), |(_, name)| name);
        let name = Node { span: entry.key_span, content: Content::Text(name.to_owned()) };
        let _ = read::id("template", &name, findings);
        let mut template = entry.clone();
        let what = format!("template {}", entry.key);
        if read::map(&what, &entry.value, findings).is_some() {
            refuse(&mut template.value, "id", "the id is that of the task that uses it", findings);
            refuse_use(&mut template.value, findings);
            let within = &mut |body: &mut Node| refuse_use(body, findings);
            parts::each_body(&mut template.value, within);
        }
        known.push(template);
    }
    known
}

fn refuse_use(body: &mut Node, findings: &mut Findings) {
    refuse(body, "use", "a template does not use another one: write its keys out", findings);
}

fn refuse(body: &mut Node, key: &str, help: &str, findings: &mut Findings) {
    let Content::Map(entries) = &mut body.content else { return };
    entries.retain(|entry| {
        if entry.key == key {
            let message = format!("unknown key `{key}` in a template");
            findings.push(Finding::error("E102", entry.key_span, message).help(help));
        }
        entry.key != key
    });
}

struct Expanding<'f> {
    templates: Vec<Entry>,
    unknown: &'f [String],
    used: BTreeSet<String>,
    copied: usize,
    findings: &'f mut Findings,
}

impl Expanding<'_> {
    fn body(&mut self, body: &mut Node) {
        let Content::Map(entries) = &mut body.content else { return };
        let Some(at) = entries.iter().position(|entry| entry.key == "use") else { return };
        let name = entries.remove(at).value;
        let Some(template) = self.template(&name) else {
            // What it would have done is not known: that it does nothing is not its fault.
            if !entries.iter().any(|entry| keys::ACTIONS.contains(&entry.key.as_str())) {
                let value = Node { span: name.span, content: Content::Text("unknown".to_owned()) };
                entries.push(Entry { key: "agent".to_owned(), key_span: name.span, value });
            }
            return;
        };
        self.copied += template.span.1.saturating_sub(template.span.0);
        if self.copied > COPIED_BYTES_MAX {
            let message = "the file exceeds 1 MiB once its templates stand in their places";
            self.findings.push(Finding::error("E108", name.span, message).help("split the saga"));
            return;
        }
        let Content::Map(mut merged) = template.content else { return };
        for entry in std::mem::take(entries) {
            match merged.iter_mut().find(|known| known.key == entry.key) {
                Some(known) if entry.key == "inputs" => self.merge(&mut known.value, entry.value),
                Some(known) => *known = entry,
                None => merged.push(entry),
            }
        }
        *entries = merged;
    }

    fn template(&mut self, name: &Node) -> Option<Node> {
        let text = read::constant("use", name, self.findings)?;
        let found = self.templates.iter().find(|template| template.key == text);
        let Some(found) = found else {
            let alias = text.split_once('.').map_or("", |(alias, _)| alias);
            if self.unknown.iter().any(|unknown| unknown == alias) {
                return None;
            }
            let names: Vec<&str> = self.templates.iter().map(|each| each.key.as_str()).collect();
            let help = if names.is_empty() {
                "the file has no `templates`".to_owned()
            } else {
                format!("templates here: {}", names.join(" "))
            };
            let finding = Finding::error("E203", name.span, format!("`{text}` is not a template"));
            self.findings.push(finding.near(&text, names).help(help));
            return None;
        };
        self.used.insert(text);
        Some(found.value.clone())
    }

    /// Inputs are merged by name, be they maps or lists of names.
    fn merge(&mut self, into: &mut Node, from: Node) {
        let (span, found) = (from.span, from.value());
        match (&mut into.content, from.content) {
            (Content::Map(known), Content::Map(said)) => {
                for entry in said {
                    match known.iter_mut().find(|known| known.key == entry.key) {
                        Some(known) => *known = entry,
                        None => known.push(entry),
                    }
                }
            }
            (Content::List(known), Content::List(said)) => {
                for name in said {
                    if !known.iter().any(|known| known.text() == name.text()) {
                        known.push(name);
                    }
                }
            }
            (Content::Map(_) | Content::List(_), _) | (_, Content::Map(_) | Content::List(_)) => {
                let found = crate::types::described(&found);
                let message =
                    format!("`inputs` must be of the form of the template's, found {found}");
                let help = "both are merged by name: write two maps, or two lists of names";
                self.findings.push(Finding::error("E104", span, message).help(help));
            }
            // One of both will be refused for what it is.
            (
                Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_),
                content
                @ (Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_)),
            ) => *into = Node { span, content },
        }
    }
}
