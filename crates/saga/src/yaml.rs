//! YAML as saga files use it: the 1.2 core schema, one document, no anchors, aliases, tags or merge
//! keys. Every node knows its bytes.

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks};
use serde_json::{Map, Number, Value};

use crate::definition::{Finding, Findings, Span};

/// Maps and lists within one another.
const DEPTH_MAX: usize = 64;
/// Keys of one map: twice the tasks that a file may have.
const KEYS_MAX: usize = 2_000;
/// What to do without what the language does not have.
const UNDECORATED: &str = "anchors, aliases, tags and merge keys are no part of the language: write \
                           the value out, or put it under `defaults`; quote a text that begins \
                           with `*` or `&`";

/// A value of the file.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// The text, where it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            Content::Null
            | Content::Bool(_)
            | Content::Number(_)
            | Content::List(_)
            | Content::Map(_) => None,
        }
    }

    /// The entries, where it is a map.
    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        match &self.content {
            Content::Map(entries) => Some(entries),
            Content::Null
            | Content::Bool(_)
            | Content::Number(_)
            | Content::Text(_)
            | Content::List(_) => None,
        }
    }

    /// The elements, where it is a list.
    pub(crate) fn list(&self) -> Option<&[Self]> {
        match &self.content {
            Content::List(list) => Some(list),
            Content::Null
            | Content::Bool(_)
            | Content::Number(_)
            | Content::Text(_)
            | Content::Map(_) => None,
        }
    }

    /// The value of a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// As JSON.
    pub(crate) fn value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(is) => Value::Bool(*is),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(list) => Value::Array(list.iter().map(Self::value).collect()),
            Content::Map(entries) => {
                let pairs = entries.iter().map(|entry| (entry.key.clone(), entry.value.value()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}

/// Reads the file's one document; `None` where its form is not known, which is then among the findings.
pub(crate) fn read(source: &str, findings: &mut Findings) -> Option<Node> {
    read_at(0, source, findings)
}

/// Reads the one document of an imported file, whose spans begin at `base`.
pub(crate) fn read_at(base: usize, source: &str, findings: &mut Findings) -> Option<Node> {
    let mut reading = Reading {
        places: Places::of(base, source),
        open: Vec::new(),
        root: None,
        documents: 0,
        refused: false,
        findings,
    };
    let mut parser = Parser::new_from_str(source);
    loop {
        match parser.next_event() {
            None => break,
            Some(Ok((Event::StreamEnd, _))) => break,
            Some(Ok((event, marks))) => reading.take(event, marks)?,
            Some(Err(error)) => {
                let at = reading.places.byte(error.marker().index());
                let reason = error.info().to_owned();
                reading.not_yaml(source, at, &reason);
                return None;
            }
        }
    }
    if reading.refused {
        // What an alias or a merge would have brought is not there: the rest would be misjudged.
        return None;
    }
    let empty = Node { span: (base, base), content: Content::Null };
    Some(reading.root.unwrap_or(empty))
}

/// A map or list whose end has not come.
struct Open {
    span: Span,
    of: OpenOf,
}

enum OpenOf {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, Span)> },
}

struct Reading<'f> {
    places: Places,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    refused: bool,
    findings: &'f mut Findings,
}

impl Reading<'_> {
    /// `None`: nothing more can be made of the file.
    fn take(&mut self, event: Event<'_>, marks: Marks) -> Option<()> {
        let span = (self.places.byte(marks.start.index()), self.places.byte(marks.end.index()));
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "not YAML as a saga file has it: a second document begins here";
                    let help = "a file is one saga; put the other one into a file of its own";
                    self.findings.push(Finding::error("E101", span, message).help(help));
                    return None;
                }
            }
            Event::Alias(_) => {
                self.refuse(span, "aliases");
                self.add(Node { span, content: Content::Null });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_decoration(span, anchor > 0, tag.is_some());
                let content = match style {
                    ScalarStyle::Plain => plain(&text),
                    ScalarStyle::SingleQuoted
                    | ScalarStyle::DoubleQuoted
                    | ScalarStyle::Literal
                    | ScalarStyle::Folded => Content::Text(text.clone().into_owned()),
                };
                self.add_scalar(Node { span, content }, &text)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_decoration(span, anchor > 0, tag.is_some());
                self.begin(span, OpenOf::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_decoration(span, anchor > 0, tag.is_some());
                self.begin(span, OpenOf::Map { entries: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
        }
        Some(())
    }

    fn begin(&mut self, span: Span, of: OpenOf) -> Option<()> {
        if self.open.len() == DEPTH_MAX {
            let message = format!("the file is nested more than {DEPTH_MAX} deep");
            self.findings.push(Finding::error("E108", span, message));
            return None;
        }
        self.open.push(Open { span, of });
        Some(())
    }

    fn end(&mut self, span: Span) {
        let Some(open) = self.open.pop() else { return };
        let (content, last) = match open.of {
            OpenOf::List(list) => {
                let last = list.last().map_or(open.span.1, |node| node.span.1);
                (Content::List(list), last)
            }
            OpenOf::Map { entries, .. } => {
                let last = entries.last().map_or(open.span.1, |entry| entry.value.span.1);
                (Content::Map(entries), last)
            }
        };
        // Of a block, the end event stands where the next thing begins: the last child ends it. A
        // bracket is a character of its own.
        let end = if span.1 == span.0 + 1 { span.1 } else { last };
        self.add(Node { span: (open.span.0, end.max(open.span.0)), content });
    }

    fn add_scalar(&mut self, node: Node, text: &str) -> Option<()> {
        let map = self.open.last_mut().map(|open| &mut open.of);
        if let Some(OpenOf::Map { entries, key: key @ None }) = map {
            if entries.len() == KEYS_MAX {
                let message = format!("a map of the file has more than {KEYS_MAX} keys");
                self.findings.push(Finding::error("E108", node.span, message));
                return None;
            }
            *key = Some((text.to_owned(), node.span));
            if text == "<<" {
                self.refuse(node.span, "merge keys");
            }
            return Some(());
        }
        self.add(node);
        Some(())
    }

    fn add(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.of) {
            None => self.root = Some(node),
            Some(OpenOf::List(list)) => list.push(node),
            Some(OpenOf::Map { entries, key }) => match key.take() {
                Some((key, key_span)) => {
                    let first = entries.iter().find(|entry| entry.key == key);
                    if let Some(first) = first {
                        let line = self.findings.line_of(first.key_span.0);
                        let message = format!("key `{key}` is given twice, first at line {line}");
                        self.findings.push(Finding::error("E201", key_span, message));
                        return;
                    }
                    entries.push(Entry { key, key_span, value: node });
                }
                None => {
                    let message =
                        "not YAML as a saga file has it: a key is a word, not a map or a list";
                    let help = "quote a `${...}` that stands within `{ }` or `[ ]`";
                    self.findings.push(Finding::error("E101", node.span, message).help(help));
                    self.refused = true;
                    *key = Some((String::new(), node.span));
                }
            },
        }
    }

    fn refuse_decoration(&mut self, span: Span, anchor: bool, tag: bool) {
        if anchor {
            self.refuse(span, "anchors");
        }
        if tag {
            self.refuse(span, "tags");
        }
    }

    fn refuse(&mut self, span: Span, what: &str) {
        self.refused = true;
        let message = format!("{what} are not used here");
        self.findings.push(Finding::error("E101", span, message).help(UNDECORATED));
    }

    fn not_yaml(&mut self, source: &str, at: usize, reason: &str) {
        let span = (at, at + 1);
        let at = at - self.places.base;
        let mut finding = Finding::error("E101", span, format!("not YAML: {reason}"));
        let begin = source.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line = source.get(begin..).unwrap_or_default().lines().next().unwrap_or_default();
        // The line before is looked at too: a text that does not end is noticed late.
        let before = source.get(..begin.saturating_sub(1)).unwrap_or_default();
        let before = before.lines().next_back().unwrap_or_default();
        if reason.contains("anchor") {
            finding = finding.help(UNDECORATED);
        } else if line.contains("${") || before.contains("${") {
            finding = finding.help(
                "quote an expression that holds `: ` or ` #`, and any inside `{ }` or `[ ]`: \"${...}\"",
            );
        } else if line.contains('\t') {
            finding = finding.help("indent with spaces, not with tabs");
        }
        self.findings.push(finding);
    }
}

/// The core schema, but for its other spellings of null, true and false, which are text here.
fn plain(text: &str) -> Content {
    match text {
        "" | "~" | "null" => Content::Null,
        "true" => Content::Bool(true),
        "false" => Content::Bool(false),
        _ => number(text).map_or_else(|| Content::Text(text.to_owned()), Content::Number),
    }
}

/// `[-+]? [0-9]+`, or with a fraction or an exponent. Octal and hexadecimal forms, infinity and
/// not-a-number are text: no key of the language wants them.
fn number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let starts = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let fits = unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if !starts || !fits {
        return None;
    }
    let signed = text.strip_prefix('+').unwrap_or(text);
    if let Ok(int) = signed.parse::<i64>() {
        return Some(Number::from(int));
    }
    if let Ok(uint) = signed.parse::<u64>() {
        return Some(Number::from(uint));
    }
    Number::from_f64(signed.parse().ok()?)
}

/// The parser counts characters, diagnostics count bytes.
struct Places {
    /// The byte at which each character begins; `None`: all are of one byte.
    bytes: Option<Vec<usize>>,
    len: usize,
    /// Of the first.
    base: usize,
}

impl Places {
    fn of(base: usize, source: &str) -> Self {
        let bytes = (!source.is_ascii()).then(|| source.char_indices().map(|(at, _)| at).collect());
        Self { bytes, len: source.len(), base }
    }

    fn byte(&self, char: usize) -> usize {
        let at = match &self.bytes {
            None => char.min(self.len),
            Some(bytes) => bytes.get(char).copied().unwrap_or(self.len),
        };
        self.base + at
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(source: &str) -> Value {
        let mut findings = Findings::of(source);
        let node = read(source, &mut findings);
        assert!(!findings.has_errors(), "{source}: {findings:?}");
        node.unwrap().value()
    }

    #[test]
    fn a_text_stays_a_text() {
        let cases = [
            ("yes", json!("yes")),
            ("no", json!("no")),
            ("True", json!("True")),
            ("on", json!("on")),
            ("Null", json!("Null")),
            ("2026-11-22", json!("2026-11-22")),
            ("1_000", json!("1_000")),
            ("0x10", json!("0x10")),
            (".inf", json!(".inf")),
            ("1h30m", json!("1h30m")),
            ("'12'", json!("12")),
            ("\"true\"", json!("true")),
            ("true", json!(true)),
            ("~", json!(null)),
            ("", json!(null)),
            ("-12", json!(-12)),
            ("+3", json!(3)),
            ("2.0", json!(2.0)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ];
        for (written, expect) in cases {
            assert_eq!(value(&format!("k: {written}\n")), json!({"k": expect}), "{written}");
        }
    }

    #[test]
    fn the_forms_of_yaml_mean_the_same() {
        let expect = json!({"a": [{"b": "c"}, "d e"], "f": "g\nh\n"});
        for source in [
            "a:\n  - b: c\n  - d e\nf: |\n  g\n  h\n",
            "---\na: [{b: c}, \"d e\"]\nf: \"g\\nh\\n\"\n...\n",
            "# first\r\na:\r\n- {b: c} # then\r\n- d\r\n  e\r\nf: |\r\n  g\r\n  h\r\n",
        ] {
            assert_eq!(value(source), expect, "{source:?}");
        }
    }

    #[test]
    fn every_node_knows_its_bytes() {
        let source = "a: \"ä\"\nb: {c: [é, f]}\ng:\n  h: i\n  j: k\nl: m\n";
        let root = read(source, &mut Findings::of(source)).unwrap();
        let text = |node: &Node| source[node.span.0..node.span.1].to_owned();
        assert_eq!(text(root.get("a").unwrap()), "\"ä\"");
        assert_eq!(text(root.get("b").unwrap()), "{c: [é, f]}");
        assert_eq!(text(root.get("b").unwrap().get("c").unwrap()), "[é, f]");
        assert_eq!(text(root.get("g").unwrap()), "h: i\n  j: k");
        let key = &root.entries().unwrap()[3];
        assert_eq!(
            (&source[key.key_span.0..key.key_span.1], text(&key.value).as_str()),
            ("l", "m")
        );
    }
}
