//! A definition's version: what it says, not how it is written.

use std::fmt::Write;

use events::Version;
use sha2::{Digest, Sha256};

use crate::expr::hex;
use crate::yaml::{Content, Entry, Node};

const VERSION_DIGITS: usize = 12;

/// The first digits of the SHA-256 of the file as compact JSON: keys sorted, without comments,
/// descriptions and labels.
pub(super) fn of(root: &Node) -> Version {
    let mut text = String::new();
    write_file(root, &mut text);
    let hash = hex(&Sha256::digest(text.as_bytes()));
    Version::from(hash.get(..VERSION_DIGITS).unwrap_or(&hash))
}

/// Descriptions are left out where the language has them, and nowhere else: a task's inputs may well
/// have one of their own.
fn write_file(root: &Node, text: &mut String) {
    write_map(root.entries().unwrap_or_default(), is_said, text, |entry, text| {
        match entry.key.as_str() {
            "inputs" => write_each(&entry.value, text, |input, text| {
                write_said(input, text, |entry, text| write_whole(&entry.value, text));
            }),
            _ => write_of_task(entry, text),
        }
    });
}

/// A key of a task, or of what other tasks stand in.
fn write_of_task(entry: &Entry, text: &mut String) {
    match entry.key.as_str() {
        "tasks" | "sequential" | "then" | "else" | "choice" => {
            write_each(&entry.value, text, |task, text| write_said(task, text, write_of_task));
        }
        "fallback" | "on_failure" => write_said(&entry.value, text, write_of_task),
        "compensate" => write_said(&entry.value, text, |entry, text| {
            write_whole(&entry.value, text);
        }),
        _ => write_whole(&entry.value, text),
    }
}

fn write_each(list: &Node, text: &mut String, write: impl Fn(&Node, &mut String)) {
    match list.list() {
        Some(each) => write_list(each, text, write),
        None => write_whole(list, text),
    }
}

/// A map without its description and labels.
fn write_said(node: &Node, text: &mut String, write: impl Fn(&Entry, &mut String)) {
    match node.entries() {
        Some(entries) => write_map(entries, is_said, text, write),
        None => write_whole(node, text),
    }
}

fn is_said(entry: &Entry) -> bool {
    !matches!(entry.key.as_str(), "description" | "labels")
}

fn write_whole(node: &Node, text: &mut String) {
    match &node.content {
        Content::Map(entries) => {
            write_map(entries, |_| true, text, |entry, text| write_whole(&entry.value, text));
        }
        Content::List(list) => write_list(list, text, write_whole),
        Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_) => {
            // Writing to a String does not fail.
            let _ = write!(text, "{}", node.value());
        }
    }
}

fn write_list(list: &[Node], text: &mut String, write: impl Fn(&Node, &mut String)) {
    text.push('[');
    for (at, each) in list.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        write(each, text);
    }
    text.push(']');
}

fn write_map(
    entries: &[Entry],
    keep: impl Fn(&Entry) -> bool,
    text: &mut String,
    write: impl Fn(&Entry, &mut String),
) {
    let mut sorted: Vec<&Entry> = entries.iter().filter(|entry| keep(entry)).collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    text.push('{');
    for (at, entry) in sorted.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        let _ = write!(text, "{}:", serde_json::Value::from(entry.key.as_str()));
        write(entry, text);
    }
    text.push('}');
}
