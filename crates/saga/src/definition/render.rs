//! Findings as text, each with its place and its line of the file, and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Checked, Diagnostic, Severity};

/// A line of the source is shown up to here, so that a file of one line does not fill the screen.
const LINE_CHARS_MAX: usize = 160;

/// All findings, each with its line of the source and a caret, or nothing where there are none.
#[must_use]
pub fn render(file_name: &str, source: &str, checked: &Checked) -> String {
    let mut text = String::new();
    for diagnostic in &checked.diagnostics {
        if !text.is_empty() {
            text.push('\n');
        }
        // Writing to a String does not fail.
        let imported = diagnostic.file.as_ref().and_then(|path| checked.imported.get(path));
        let source = imported.map_or(source, String::as_str);
        let _ = render_one(&path_of(file_name, diagnostic), source, diagnostic, &mut text);
    }
    text
}

/// All findings, for machines.
#[must_use]
pub fn to_json(file_name: &str, checked: &Checked) -> Value {
    let findings = checked.diagnostics.iter().map(|found| {
        json!({
            "code": found.code,
            "severity": word(found.severity),
            "message": found.message,
            "file": path_of(file_name, found),
            "line": found.line,
            "column": found.column,
            "span": [found.span.0, found.span.1],
            "label": found.label,
            "help": found.help,
        })
    });
    Value::Array(findings.collect())
}

/// An imported file is named as seen from where the file itself is.
fn path_of(file_name: &str, found: &Diagnostic) -> String {
    match (&found.file, file_name.rsplit_once('/')) {
        (None, _) => file_name.to_owned(),
        (Some(path), None) => path.clone(),
        (Some(path), Some((folder, _))) => format!("{folder}/{path}"),
    }
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn render_one(
    file_name: &str,
    source: &str,
    found: &Diagnostic,
    text: &mut String,
) -> std::fmt::Result {
    let (line, column) = (found.line, found.column);
    writeln!(text, "{}[{}]: {}", word(found.severity), found.code, found.message)?;
    writeln!(text, "  --> {file_name}:{line}:{column}")?;
    let shown = source.split('\n').nth(line - 1).unwrap_or_default().trim_end_matches('\r');
    let from = (column - 1).saturating_sub(LINE_CHARS_MAX / 2);
    let window: String = shown.chars().skip(from).take(LINE_CHARS_MAX).collect();
    let before: String = window
        .chars()
        .take(column - 1 - from)
        // A tab is as wide beneath as it is above.
        .map(|char| if char == '\t' { '\t' } else { ' ' })
        .collect();
    let marked = source.get(found.span.0..found.span.1).unwrap_or_default();
    let width = marked.split('\n').next().unwrap_or_default().trim_end().chars().count();
    let room = window.chars().count().saturating_sub(column - 1 - from);
    let carets = "^".repeat(width.min(room).max(1));
    let gutter = " ".repeat(line.to_string().len());
    writeln!(text, "{line} | {window}")?;
    let label = found.label.as_deref().map(|label| format!(" {label}")).unwrap_or_default();
    writeln!(text, "{gutter} | {before}{carets}{label}")?;
    if let Some(help) = &found.help {
        writeln!(text, "{gutter} = help: {help}")?;
    }
    Ok(())
}
