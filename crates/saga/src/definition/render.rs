//! Findings as text, each with its place and its line of the file, and as JSON.

use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};
use serde_json::{Value, json};

use super::{Checked, Diagnostic, Severity};

/// A line of the source is shown up to here, so that a file of one line does not fill the screen.
const LINE_CHARS_MAX: usize = 160;
/// Messages are wrapped here.
const WIDTH: usize = 120;

/// Whether a text is for a terminal that shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    None,
    /// With ANSI's escapes.
    Ansi,
}

/// All findings, each with its line of the source, or nothing where there are none.
#[must_use]
pub fn render(file_name: &str, source: &str, checked: &Checked, colour: Colour) -> String {
    let mut text = String::new();
    for found in &checked.diagnostics {
        if !text.is_empty() {
            text.push('\n');
        }
        let imported = found.file.as_ref().and_then(|path| checked.imported.get(path));
        let source = imported.map_or(source, String::as_str);
        let line = Line::of(path_of(file_name, found), source, found);
        // Writing to a String does not fail, and the line is there.
        let _ = drawn_by(found, colour).render_report(&mut text, &Report { found, line });
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

/// One line says severity, code and message, where miette has a sign.
fn drawn_by(found: &Diagnostic, colour: Colour) -> GraphicalReportHandler {
    let mut theme = match colour {
        Colour::None => GraphicalTheme::unicode_nocolor(),
        Colour::Ansi => GraphicalTheme::unicode(),
    };
    let sign = format!("{}[{}]:", word(found.severity), found.code);
    theme.characters.error.clone_from(&sign);
    theme.characters.warning = sign;
    GraphicalReportHandler::new_themed(theme)
        .with_width(WIDTH)
        .with_break_words(false)
        .with_context_lines(0)
        .with_links(false)
}

/// A finding as miette takes it.
#[derive(Debug)]
struct Report<'a> {
    found: &'a Diagnostic,
    line: Line,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.found.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.found.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.found.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = self.found.label.clone();
        let label = LabeledSpan::new_primary_with_span(label, self.line.marked.clone());
        Some(Box::new(std::iter::once(label)))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.line)
    }
}

/// What is shown of the source: one line or, of a long one, what stands around the place.
#[derive(Debug)]
struct Line {
    path: String,
    /// From 1.
    number: usize,
    column: usize,
    text: String,
    /// Bytes of the text.
    marked: std::ops::Range<usize>,
}

impl Line {
    fn of(path: String, source: &str, found: &Diagnostic) -> Self {
        let whole = source.split('\n').nth(found.line - 1).unwrap_or_default();
        let before = found.column - 1;
        let from = before.saturating_sub(LINE_CHARS_MAX / 2);
        let shown = whole.trim_end_matches('\r').chars().skip(from).take(LINE_CHARS_MAX);
        // A line break keeps a place behind the last character within the text.
        let text: String = shown.chain(['\n']).collect();
        let start = text.char_indices().nth(before - from).map_or(text.len() - 1, |(at, _)| at);
        let marked = source.get(found.span.0..found.span.1).unwrap_or_default();
        let width = marked.split('\n').next().unwrap_or_default().trim_end().len();
        let end = (start + width).min(text.len() - 1);
        Self { path, number: found.line, column: found.column, text, marked: start..end }
    }
}

impl SourceCode for Line {
    fn read_span<'a>(
        &'a self,
        _: &SourceSpan,
        _: usize,
        _: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let span = SourceSpan::from(0..self.text.len());
        let (line, column) = (self.number - 1, self.column - 1);
        let data = self.text.as_bytes();
        let name = self.path.clone();
        Ok(Box::new(MietteSpanContents::new_named(name, data, span, line, column, 1)))
    }
}
