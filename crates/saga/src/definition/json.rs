//! A tree as JSON, which is YAML too.

use serde_json::Value;

use crate::yaml::{Content, Entry, Node};

/// On one line, keys sorted: the same for all that say the same.
pub(super) fn compact(node: &Node) -> String {
    let mut text = String::new();
    write_compact(node, &mut text);
    text
}

/// For people too: in the order of the file, a key or an element a line.
pub(super) fn indented(node: &Node) -> String {
    let mut text = String::new();
    write_indented(node, "\n", &mut text);
    text.push('\n');
    text
}

fn write_compact(node: &Node, text: &mut String) {
    match &node.content {
        Content::Map(entries) => {
            let mut sorted: Vec<&Entry> = entries.iter().collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            text.push('{');
            for (at, entry) in sorted.into_iter().enumerate() {
                write_comma(at, text);
                write_key(&entry.key, text);
                write_compact(&entry.value, text);
            }
            text.push('}');
        }
        Content::List(list) => {
            text.push('[');
            for (at, each) in list.iter().enumerate() {
                write_comma(at, text);
                write_compact(each, text);
            }
            text.push(']');
        }
        Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_) => {
            text.push_str(&node.value().to_string());
        }
    }
}

/// `edge`: a line break, and how far its line is indented.
fn write_indented(node: &Node, edge: &str, text: &mut String) {
    let inner = format!("{edge}  ");
    match &node.content {
        Content::Map(entries) if !entries.is_empty() => {
            text.push('{');
            for (at, entry) in entries.iter().enumerate() {
                write_comma(at, text);
                text.push_str(&inner);
                write_key(&entry.key, text);
                text.push(' ');
                write_indented(&entry.value, &inner, text);
            }
            text.push_str(edge);
            text.push('}');
        }
        Content::List(list) if !list.is_empty() => {
            text.push('[');
            for (at, each) in list.iter().enumerate() {
                write_comma(at, text);
                text.push_str(&inner);
                write_indented(each, &inner, text);
            }
            text.push_str(edge);
            text.push(']');
        }
        Content::Null
        | Content::Bool(_)
        | Content::Number(_)
        | Content::Text(_)
        | Content::List(_)
        | Content::Map(_) => text.push_str(&node.value().to_string()),
    }
}

fn write_comma(at: usize, text: &mut String) {
    if at > 0 {
        text.push(',');
    }
}

fn write_key(key: &str, text: &mut String) {
    text.push_str(&Value::from(key).to_string());
    text.push(':');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Findings;
    use crate::yaml;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let hard = "a: \"q\\\" b\\\\ \\t \\n / \\u0001 \\x7f \\u2028 é 𝄞 \\ud7ff\"\n'k: #{': [1, -2.5, 1e300, 18446744073709551615, true, ~, '2.0', yes, {}, []]\nb: {c: {d: [{e: f}]}}\n";
        let mut findings = Findings::of(hard);
        let node = yaml::read(hard, &mut findings).unwrap();
        for written in [compact(&node), indented(&node)] {
            let mut findings = Findings::of(&written);
            let again = yaml::read(&written, &mut findings);
            assert!(!findings.has_errors(), "{written}: {findings:?}");
            assert_eq!(again.unwrap().value(), node.value(), "{written}");
        }
    }
}
