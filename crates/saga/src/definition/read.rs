//! The small things of a file: words, numbers, durations. What is not of its form is a
//! finding, and the reader goes on, so that all of a file's errors are shown at once.

use std::time::Duration;

use super::draft::At;
use super::findings::{Finding, Findings};
use crate::duration;
use crate::types::described;
use crate::yaml::{Content, Entry, Node};

/// Words that an id may not be: CEL keeps them for itself.
const RESERVED: [&str; 20] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "while",
];
const ID_CHARS_MAX: usize = 63;

/// E104 for the value of a key.
pub(super) fn must_be(key: &str, what: &str, node: &Node) -> Finding {
    let found = described(&node.value());
    Finding::error("E104", node.span, format!("`{key}` must be {what}, found {found}"))
}

/// A text; a number or a boolean is shown with the quotes that it lacks.
pub(super) fn text(key: &str, node: &Node, findings: &mut Findings) -> Option<String> {
    if let Some(text) = node.text() {
        return Some(text.to_owned());
    }
    let mut finding = must_be(key, "text", node);
    if matches!(node.content, Content::Bool(_) | Content::Number(_)) {
        finding = finding.help(format!("write \"{}\"", findings.text(node.span)));
    }
    findings.push(finding);
    None
}

/// A text that names something and is never computed.
pub(super) fn constant(key: &str, node: &Node, findings: &mut Findings) -> Option<String> {
    let text = text(key, node, findings)?;
    if text.contains("${") {
        let message = format!("`{key}` must be constant");
        let help = "the checker knows all names; put what varies into `inputs`";
        findings.push(Finding::error("E305", node.span, message).help(help));
        return None;
    }
    Some(text)
}

/// An id of our own form.
pub(super) fn id(key: &str, node: &Node, findings: &mut Findings) -> Option<At<String>> {
    let text = constant(key, node, findings)?;
    if is_id(&text) {
        return Some(At { it: text, span: node.span });
    }
    let help = if RESERVED.contains(&text.as_str()) {
        let good = good_id(&text);
        format!("`{text}` is a word of the expression language: write `{good}`")
    } else {
        format!(
            "letters, digits and `_`, {ID_CHARS_MAX} at most, a letter first: `{}`",
            good_id(&text)
        )
    };
    findings.push(must_be(key, "an id", node).help(help));
    None
}

/// Whether a text can be an id.
pub(super) fn is_id(text: &str) -> bool {
    text.len() <= ID_CHARS_MAX
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
        && !RESERVED.contains(&text)
}

/// An id that is like a text.
pub(super) fn good_id(text: &str) -> String {
    let good = |char: char| if char.is_ascii_alphanumeric() { char } else { '_' };
    let made: String = text.trim().chars().map(good).take(ID_CHARS_MAX - 2).collect();
    if RESERVED.contains(&made.as_str()) {
        format!("{made}_")
    } else if made.starts_with(|first: char| first.is_ascii_alphabetic()) {
        made
    } else {
        format!("t_{made}")
    }
}

/// An agent's or a topic's name: it becomes (part of) a Kafka topic's.
pub(super) fn topic_name(key: &str, node: &Node, findings: &mut Findings) -> Option<String> {
    const CHARS_MAX: usize = 200;
    let text = constant(key, node, findings)?;
    let fits = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    if !text.is_empty()
        && text.len() <= CHARS_MAX
        && text.chars().all(fits)
        && text != "."
        && text != ".."
        && !text.ends_with(".dlq")
    {
        return Some(text);
    }
    let help = "letters, digits, `.`, `_` and `-`, 200 at most; a name that ends in `.dlq` is a dead-letter topic's";
    findings.push(must_be(key, "a name that can stand in a topic's", node).help(help));
    None
}

/// A duration above zero.
pub(super) fn duration(key: &str, node: &Node, findings: &mut Findings) -> Option<At<Duration>> {
    let written = match (&node.content, node.text()) {
        (_, Some(text)) => text.to_owned(),
        (Content::Number(_), None) => findings.text(node.span).to_owned(),
        (
            Content::Null
            | Content::Bool(_)
            | Content::List(_)
            | Content::Map(_)
            | Content::Text(_),
            None,
        ) => {
            findings.push(must_be(key, "a duration", node).help("as in `30s` or `1h30m`"));
            return None;
        }
    };
    match duration::parse(&written) {
        Ok(duration) if duration.is_zero() => {
            findings.push(must_be(key, "a duration above zero", node));
            None
        }
        Ok(duration) => Some(At { it: duration, span: node.span }),
        Err(help) => {
            findings.push(must_be(key, "a duration", node).help(help));
            None
        }
    }
}

/// `true` or `false`.
pub(super) fn boolean(key: &str, node: &Node, findings: &mut Findings) -> Option<bool> {
    if let Content::Bool(is) = node.content {
        return Some(is);
    }
    let mut finding = must_be(key, "true or false", node);
    let near = match node.text().map(str::to_lowercase).as_deref() {
        Some("yes" | "on" | "true" | "y") => Some("true"),
        Some("no" | "off" | "false" | "n") => Some("false"),
        _ => None,
    };
    if let Some(near) = near {
        finding = finding.help(format!("write `{near}`"));
    }
    findings.push(finding);
    None
}

/// A whole number within bounds, both included.
pub(super) fn integer(
    key: &str,
    node: &Node,
    bounds: (u64, u64),
    findings: &mut Findings,
) -> Option<u64> {
    let (least, most) = bounds;
    let found = match &node.content {
        Content::Number(number) => number.as_u64(),
        Content::Null
        | Content::Bool(_)
        | Content::Text(_)
        | Content::List(_)
        | Content::Map(_) => None,
    };
    let fits = found.filter(|found| (least..=most).contains(found));
    if fits.is_none() {
        findings.push(must_be(key, &format!("a whole number from {least} to {most}"), node));
    }
    fits
}

/// A number within bounds, both included.
pub(super) fn number(
    key: &str,
    node: &Node,
    bounds: (f64, f64),
    findings: &mut Findings,
) -> Option<f64> {
    let (least, most) = bounds;
    let found = match &node.content {
        Content::Number(number) => number.as_f64(),
        Content::Null
        | Content::Bool(_)
        | Content::Text(_)
        | Content::List(_)
        | Content::Map(_) => None,
    };
    let fits = found.filter(|found| (least..=most).contains(found));
    if fits.is_none() {
        findings.push(must_be(key, &format!("a number from {least} to {most}"), node));
    }
    fits
}

/// One of a few words.
pub(super) fn word<T: Copy>(
    key: &str,
    node: &Node,
    words: &[(&str, T)],
    findings: &mut Findings,
) -> Option<T> {
    let text = constant(key, node, findings)?;
    let found = words.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let finding = must_be(key, &format!("one of `{}`", names.join(" ")), node);
        findings.push(finding.near(&text, names));
    }
    found.map(|(_, it)| *it)
}

/// The entries of a map.
pub(super) fn map<'n>(key: &str, node: &'n Node, findings: &mut Findings) -> Option<&'n [Entry]> {
    let entries = node.entries();
    if entries.is_none() {
        findings.push(must_be(key, "a map", node));
    }
    entries
}

/// The elements of a list.
pub(super) fn list<'n>(key: &str, node: &'n Node, findings: &mut Findings) -> Option<&'n [Node]> {
    let list = node.list();
    if list.is_none() {
        findings.push(must_be(key, "a list", node));
    }
    list
}

/// A map of text to text.
pub(super) fn labels(node: &Node, findings: &mut Findings) {
    for entry in map("labels", node, findings).unwrap_or_default() {
        let _ = text(&entry.key, &entry.value, findings);
    }
}
