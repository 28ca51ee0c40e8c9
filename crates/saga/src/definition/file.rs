//! A file's keys but for its tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use super::computed;
use super::defaults::Defaults;
use super::draft::{At, Draft, InputDraft, OutputDraft, Written};
use super::findings::{Finding, Findings, Span};
use super::inputs::Known;
use super::keys;
use super::node::FailureDraft;
use super::read;
use super::retry::Compensation;
use super::task::{TASKS_MAX, Tasks};
use super::topics::{read_topics, read_triggers};
use crate::expr::{Expr, Template};
use crate::plan::{OnDuplicate, Strategy};
use crate::types::Type;
use crate::yaml::{Content, Node};

const NAME_CHARS_MAX: usize = 100;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const KEEP_EARLY: Duration = Duration::from_secs(10 * 60);
const MAX_PARALLEL: usize = 100;
const MAX_PARALLEL_MOST: u64 = 10_000;

/// Reads the whole file. `None`: it is not a map, which is then among the findings.
pub(super) fn read(root: &Node, findings: &mut Findings) -> Option<Draft> {
    let entries = match &root.content {
        Content::Map(entries) => entries.as_slice(),
        Content::Null => &[],
        Content::Bool(_) | Content::Number(_) | Content::Text(_) | Content::List(_) => {
            let help = "a saga file begins with `version: \"2.0\"` and `name: ...`";
            findings.push(read::must_be("the file", "a map of keys", root).help(help));
            return None;
        }
    };
    keys::FILE.check(entries, findings);
    check_head(root, findings);
    let defaults =
        root.get("defaults").map(|node| Defaults::read(node, findings)).unwrap_or_default();
    let compensation =
        root.get("compensation").map(|node| Compensation::read(node, findings)).unwrap_or_default();
    let inputs = root.get("inputs").and_then(|node| read_inputs(node, findings));
    let topics = root.get("topics").map(|node| read_topics(node, findings)).unwrap_or_default();
    let triggers =
        root.get("triggers").map(|node| read_triggers(node, &topics, findings)).unwrap_or_default();
    let known = Known::of(root, inputs.as_deref());
    let mut tasks = Tasks::of(known, &topics, &defaults, &compensation, findings);
    if let Some(node) = root.get("tasks") {
        tasks.read_top(node);
    }
    let on_failure = tasks.read_failure(root.get("on_failure"), None);
    let tasks = tasks.into_read();
    if tasks.len() > TASKS_MAX {
        let span = root.get("tasks").unwrap_or(root).span;
        let message = format!("the file has {} tasks, {TASKS_MAX} at most", tasks.len());
        findings.push(Finding::error("E108", span, message).help("split the saga"));
        return None;
    }
    Some(Draft {
        name: root.get("name").and_then(|node| read_name(node, findings)),
        description: root
            .get("description")
            .and_then(|node| read::text("description", node, findings)),
        key: root.get("key").and_then(|node| read_key(node, findings)),
        on_duplicate: root.get("on_duplicate").map_or(OnDuplicate::Ignore, |node| {
            let words = [("ignore", OnDuplicate::Ignore), ("reject", OnDuplicate::Reject)];
            read::word("on_duplicate", node, &words, findings).unwrap_or(OnDuplicate::Ignore)
        }),
        inputs,
        topics,
        triggers,
        tasks,
        on_failure: on_failure
            .unwrap_or(FailureDraft { strategy: Strategy::Compensate, then: Vec::new() }),
        keep_early: root
            .get("keep_early")
            .and_then(|node| read::duration("keep_early", node, findings))
            .map_or(KEEP_EARLY, |kept| kept.it),
        outputs: root.get("outputs").map(|node| read_outputs(node, findings)).unwrap_or_default(),
        timeout: root
            .get("timeout")
            .and_then(|node| read::duration("timeout", node, findings))
            .unwrap_or(At { it: DAY, span: (root.span.0, root.span.0) }),
        max_parallel: root
            .get("max_parallel")
            .and_then(|node| read::integer("max_parallel", node, (1, MAX_PARALLEL_MOST), findings))
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(MAX_PARALLEL),
        compensation,
    })
}

/// What a file must have, and what no plan shows.
fn check_head(root: &Node, findings: &mut Findings) {
    let short_forms = ["workflow_dsl", "scenario", "workflow", "orchestration", "choreography"];
    let is_short = short_forms.iter().any(|key| root.get(key).is_some());
    for (key, example) in
        [("name", "name: order-processing"), ("tasks", "tasks: [{id: a, agent: x}]")]
    {
        if root.get(key).is_none() && !is_short {
            let span = (root.span.0, root.span.0);
            let message = format!("the file lacks `{key}`");
            findings.push(Finding::error("E105", span, message).help(format!("as in `{example}`")));
        }
    }
    if let Some(node) = root.get("version")
        && node.text() != Some("2.0")
    {
        let finding = read::must_be("version", "the text \"2.0\"", node);
        findings.push(finding.help("write `version: \"2.0\"`, with the quotes"));
    }
    if let Some(node) = root.get("labels") {
        read::labels(node, findings);
    }
}

fn read_name(node: &Node, findings: &mut Findings) -> Option<At<String>> {
    let name = read::constant("name", node, findings)?;
    let identity = events::saga_name_of(&name);
    if name.chars().count() > NAME_CHARS_MAX || identity.as_str().is_empty() {
        let what = format!("a name of up to {NAME_CHARS_MAX} characters, with a letter or a digit");
        findings.push(read::must_be("name", &what, node));
        return None;
    }
    Some(At { it: name, span: node.span })
}

fn read_key(node: &Node, findings: &mut Findings) -> Option<Written> {
    let written = computed::template(node, findings)?;
    if matches!(written.template, Template::Computed(_) | Template::Text(_)) {
        return Some(written);
    }
    let finding = Finding::error("E305", node.span, "`key` is computed and needs `${...}`");
    findings.push(finding.help("as in `key: ${inputs.order_id}`"));
    None
}

fn read_inputs(node: &Node, findings: &mut Findings) -> Option<Vec<InputDraft>> {
    let list = read::list("inputs", node, findings)?;
    let mut inputs: Vec<InputDraft> = Vec::new();
    for each in list {
        let Some(entries) = read::map("an input", each, findings) else { continue };
        keys::INPUT.check(entries, findings);
        let Some(input) = read_input(each, findings) else { continue };
        match inputs.iter().find(|known| known.name.it == input.name.it) {
            Some(first) => {
                findings.push(given_twice("input", &input.name, first.name.span, findings))
            }
            None => inputs.push(input),
        }
    }
    Some(inputs)
}

fn read_input(node: &Node, findings: &mut Findings) -> Option<InputDraft> {
    if let Some(description) = node.get("description") {
        let _ = read::text("description", description, findings);
    }
    let of = node.get("type").map_or(Some(Type::Any), |of| read_type("type", of, findings));
    let required = node.get("required").and_then(|is| read::boolean("required", is, findings));
    let default = node.get("default").map(Node::value);
    let name = match node.get("name") {
        Some(name) => read::id("name", name, findings),
        None => {
            findings.push(lacks("an input", "name", node, "{name: order_id, type: string}"));
            None
        }
    };
    // Of an unknown type is nothing known: who names the input is not wrong.
    let (name, of) = (name?, of.unwrap_or(Type::Any));
    if let (Some(value), Some(at)) = (&default, node.get("default"))
        && let Err(reason) = of.accept(value, &name.it)
    {
        findings.push(Finding::error("E104", at.span, format!("`default`: {reason}")));
    }
    Some(InputDraft { name, of, required: required.unwrap_or(default.is_none()), default })
}

/// A type without `?`.
fn read_type(key: &str, node: &Node, findings: &mut Findings) -> Option<Type> {
    let (of, optional) = read_field_type(key, node, findings)?;
    if optional {
        let finding = read::must_be(key, "a type without `?`", node);
        findings.push(finding.help("an input that may be absent has `required: false`"));
        return None;
    }
    Some(of)
}

/// A type, and whether the field may be absent.
pub(super) fn read_field_type(
    key: &str,
    node: &Node,
    findings: &mut Findings,
) -> Option<(Type, bool)> {
    let text = read::constant(key, node, findings)?;
    match Type::parse(&text) {
        Ok(read) => Some(read),
        Err(part) => {
            let help = "types: string integer number boolean timestamp duration object any dataset \
                        list<T> map<T>";
            findings.push(read::must_be(key, "a type", node).near(&part, Type::words()).help(help));
            None
        }
    }
}

/// E201 for what has a name.
pub(super) fn given_twice(
    what: &str,
    second: &At<String>,
    first: Span,
    findings: &Findings,
) -> Finding {
    let line = findings.line_of(first.0);
    let message = format!("{what} `{}` is given twice, first at line {line}", second.it);
    Finding::error("E201", second.span, message)
}

/// E105.
pub(super) fn lacks(place: &str, key: &str, node: &Node, example: &str) -> Finding {
    Finding::error("E105", (node.span.0, node.span.0), format!("{place} lacks `{key}`"))
        .help(format!("as in `{example}`"))
}

/// Names, and what they stand for.
pub(super) fn read_outputs(node: &Node, findings: &mut Findings) -> Vec<OutputDraft> {
    let mut outputs = Vec::new();
    let mut names: BTreeMap<String, Span> = BTreeMap::new();
    for each in read::list("outputs", node, findings).unwrap_or_default() {
        let Some(entries) = read::map("an output", each, findings) else { continue };
        keys::OUTPUT.check(entries, findings);
        for key in ["name", "from"] {
            if each.get(key).is_none() {
                let example = "{name: tracking, from: shipment.output.tracking}";
                findings.push(lacks("an output", key, each, example));
            }
        }
        let name = each.get("name").and_then(|name| read::id("name", name, findings));
        let from = each.get("from").and_then(|from| read_from(from, findings));
        let (Some(name), Some(from)) = (name, from) else { continue };
        match names.get(&name.it) {
            Some(first) => findings.push(given_twice("output", &name, *first, findings)),
            None => {
                names.insert(name.it.clone(), name.span);
                outputs.push(OutputDraft { name: name.it, from });
            }
        }
    }
    outputs
}

/// `analyze.output.report`, or `${...}`.
fn read_from(node: &Node, findings: &mut Findings) -> Option<Written> {
    let path = match node.text() {
        Some(text) if !text.contains("${") => text.trim(),
        _ => return computed::template(node, findings),
    };
    let is_path = path.split('.').count() > 1
        && path.split('.').all(|part| {
            !part.is_empty() && part.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
        });
    let source = if path.starts_with("inputs.") || path.starts_with("saga.") {
        path.to_owned()
    } else {
        format!("tasks.{}", path.strip_prefix("tasks.").unwrap_or(path))
    };
    match Expr::compile(&source) {
        Ok(expr) if is_path => Some(Written {
            template: Template::Computed(expr),
            span: node.span,
            exprs: vec![node.span],
        }),
        Ok(_) | Err(_) => {
            let finding = read::must_be("from", "a path or `${...}`", node);
            findings.push(finding.help("as in `from: shipment.output.tracking`"));
            None
        }
    }
}
