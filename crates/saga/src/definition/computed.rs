//! Templates of the file: what is in `${...}` is compiled, nothing else is.

use serde_json::Value;

use super::draft::Written;
use super::findings::{Finding, Findings, Span};
use super::remedies;
use crate::expr::{Expr, ExprError, Piece, Template};
use crate::yaml::{Content, Entry, Node};

/// What is computed: one `${...}` and nothing else.
pub(super) fn computed(key: &str, node: &Node, findings: &mut Findings) -> Option<Written> {
    let written = template(node, findings)?;
    if matches!(written.template, Template::Computed(_)) {
        return Some(written);
    }
    let finding =
        Finding::error("E305", node.span, format!("`{key}` is computed and needs `${{...}}`"));
    findings.push(match node.text() {
        Some(text) if !text.contains("${") => finding.help(format!("write ${{{text}}}")),
        _ => finding.help("one `${...}` and nothing beside it"),
    });
    None
}

/// A value in which every `${...}` is computed. `None`: one of them does not compile.
pub(super) fn template(node: &Node, findings: &mut Findings) -> Option<Written> {
    let mut exprs = Vec::new();
    let template = template_of(node, &mut exprs, findings)?;
    Some(Written { template, span: node.span, exprs })
}

fn template_of(node: &Node, exprs: &mut Vec<Span>, findings: &mut Findings) -> Option<Template> {
    match &node.content {
        Content::Null | Content::Bool(_) | Content::Number(_) => {
            Some(Template::Constant(node.value()))
        }
        Content::Text(text) => text_template(text, node.span, exprs, findings),
        Content::List(list) => {
            // All are looked at before any is given up.
            list.iter().for_each(|each| refuse_secret(each, findings));
            let made: Vec<_> = list.iter().map(|each| template_of(each, exprs, findings)).collect();
            let made: Vec<Template> = made.into_iter().collect::<Option<_>>()?;
            Some(Template::List(made))
        }
        Content::Map(entries) => {
            for entry in entries.iter().filter(|entry| entry.key.contains("${")) {
                let message = format!("the key `{}` must be constant", shortened(&entry.key));
                let help = "one `${...}` in the place of the whole map may make its keys";
                findings.push(Finding::error("E305", entry.key_span, message).help(help));
            }
            entries.iter().for_each(|entry| refuse_secret(&entry.value, findings));
            let made: Vec<_> = entries
                .iter()
                .map(|entry| Some((entry.key.clone(), template_of(&entry.value, exprs, findings)?)))
                .collect();
            Some(Template::Map(made.into_iter().collect::<Option<_>>()?))
        }
    }
}

/// The form that names a secret is for `auth` alone: as a value it would send the secret's name as a text.
fn refuse_secret(node: &Node, findings: &mut Findings) {
    let Content::Map(entries) = &node.content else { return };
    let [Entry { key, key_span, value }] = entries.as_slice() else { return };
    if key == "secret" && value.text().is_some_and(|name| !name.contains("${")) {
        let message = "a secret is used outside `auth`";
        let help = "data travels in the open: let the participant hold the secret";
        findings.push(Finding::error("E305", *key_span, message).help(help));
    }
}

/// A text with its `${...}` taken apart.
fn text_template(
    text: &str,
    span: Span,
    exprs: &mut Vec<Span>,
    findings: &mut Findings,
) -> Option<Template> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut sound = true;
    // Where the search for the next expression in the source begins.
    let mut from = span.0;
    while let Some((plain, after)) = rest.split_once("${") {
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain.to_owned()));
        }
        let Some(end) = closing_brace(after) else {
            let finding = Finding::error("E302", span, "expression: `${` is not closed by `}`");
            let help = "an unquoted ` #` begins a comment: quote the expression, \"${...}\"";
            findings.push(finding.help(help));
            return None;
        };
        let (source, after) = after.split_at(end);
        let place = place_of(source, (from, span.1), findings).unwrap_or(span);
        from = place.1.min(span.1);
        match Expr::compile(source) {
            Ok(expr) => {
                exprs.push(place);
                pieces.push(Piece::Computed(expr));
            }
            Err(error) => {
                sound = false;
                findings.push(broken(&error, source, place, findings));
            }
        }
        rest = after.strip_prefix('}').unwrap_or_default();
    }
    if !rest.is_empty() {
        pieces.push(Piece::Plain(rest.to_owned()));
    }
    if !sound {
        return None;
    }
    let only = if pieces.len() == 1 { pieces.pop() } else { None };
    Some(match only {
        Some(Piece::Computed(expr)) => Template::Computed(expr),
        Some(Piece::Plain(text)) => Template::Constant(Value::String(text)),
        None if pieces.is_empty() => Template::Constant(Value::String(String::new())),
        None => Template::Text(pieces),
    })
}

/// E302, the caret within the expression where the source has it as it is.
fn broken(error: &ExprError, source: &str, place: Span, findings: &Findings) -> Finding {
    let at = if findings.text(place) == source { place.0 + error.at } else { place.0 };
    let end = if error.at == 0 { place.1 } else { (at + 1).min(place.1).max(at) };
    let finding = Finding::error("E302", (at, end), format!("expression: {}", error.reason))
        .help(remedies::of_expression(&error.reason));
    if source.is_empty() { finding } else { finding.label(format!("in `{}`", shortened(source))) }
}

fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

/// Where an expression's text stands within a span; `None` where quotes or folds have changed it.
fn place_of(source: &str, within: Span, findings: &Findings) -> Option<Span> {
    let at = within.0 + findings.text(within).find(source)?;
    Some((at, at + source.len()))
}

/// The `}` that closes what `${` has opened; braces and texts within are passed over.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        match (quote, char) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(begun), char) if begun == char => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(char),
            (None, '{') => open += 1,
            (None, '}') if open == 0 => return Some(at),
            (None, '}') => open -= 1,
            (None, _) => {}
        }
    }
    None
}
