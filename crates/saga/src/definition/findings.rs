//! What is wrong with a file, gathered while it is read.

use std::collections::BTreeMap;

use super::{Diagnostic, Severity};

/// Findings of one file that are shown; who writes a file mends a few at a time.
const SHOWN_MAX: usize = 500;

/// Bytes of the source: from, to. Those of imported files follow on those of the file itself.
pub(crate) type Span = (usize, usize);

/// One finding before its line and column are counted.
#[derive(Debug)]
pub(crate) struct Finding {
    code: &'static str,
    severity: Severity,
    span: Span,
    message: String,
    label: Option<String>,
    help: Option<String>,
}

impl Finding {
    pub(crate) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        let severity = Severity::Error;
        Self { code, severity, span, message: message.into(), label: None, help: None }
    }

    pub(crate) fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        let severity = Severity::Warning;
        Self { code, severity, span, message: message.into(), label: None, help: None }
    }

    /// What stands beneath the caret.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// What to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// `did you mean ...?` beneath the caret, where something is near.
    pub(crate) fn near<'n>(self, name: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        match nearest(name, known) {
            Some(near) => self.label(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

/// The findings of a file and of those that it imports.
#[derive(Debug)]
pub(crate) struct Findings {
    /// The file itself, and what it imports behind it.
    files: Vec<Text>,
    found: Vec<Finding>,
}

/// A file's text, and its place among all bytes that a span may name.
#[derive(Debug)]
struct Text {
    /// `None`: the file itself.
    path: Option<String>,
    base: usize,
    source: String,
    /// Where each line begins, bytes.
    lines: Vec<usize>,
}

impl Findings {
    pub(crate) fn of(source: &str) -> Self {
        Self { files: vec![Text::of(None, 0, source)], found: Vec::new() }
    }

    /// Takes in the text of an imported file. Its spans are to begin at the byte that this gives.
    pub(super) fn import(&mut self, path: &str, source: &str) -> usize {
        // One more than its bytes: an empty span at its end is in it too.
        let base = self.files.last().map_or(0, |last| last.base + last.source.len() + 1);
        self.files.push(Text::of(Some(path.to_owned()), base, source));
        base
    }

    pub(crate) fn push(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// The bytes of a span.
    pub(crate) fn text(&self, span: Span) -> &str {
        let Some(file) = self.file_of(span.0) else { return "" };
        let (from, upto) = (span.0 - file.base, span.1.saturating_sub(file.base));
        file.source.get(from..upto).unwrap_or_default()
    }

    /// The line of a byte within its file, from 1.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.file_of(at).map_or(1, |file| file.line_of(at - file.base))
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// The codes of the errors.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &'static str> + '_ {
        let errors = self.found.iter().filter(|finding| finding.severity == Severity::Error);
        errors.map(|finding| finding.code)
    }

    /// All, in the order of the file, and the texts of the imported files by their paths.
    pub(crate) fn into_diagnostics(mut self) -> (Vec<Diagnostic>, BTreeMap<String, String>) {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by(|a, b| (a.span.0, a.code, &a.message).cmp(&(b.span.0, b.code, &b.message)));
        found.dedup_by(|a, b| (a.span, a.code, &a.message) == (b.span, b.code, &b.message));
        let more = found.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            // Errors before warnings: a file that has one must not look sound.
            found.sort_by_key(|finding| finding.severity != Severity::Error);
            found.truncate(SHOWN_MAX);
            if let Some(last) = found.last_mut() {
                last.help = Some(format!("{more} more findings are not shown"));
            }
        }
        let diagnostics = found.into_iter().filter_map(|finding| self.place(finding)).collect();
        let imported = self.files.into_iter().filter_map(|file| Some((file.path?, file.source)));
        (diagnostics, imported.collect())
    }

    fn place(&self, finding: Finding) -> Option<Diagnostic> {
        let file = self.file_of(finding.span.0)?;
        let start = file.floor(finding.span.0 - file.base);
        let end = file.floor(finding.span.1.saturating_sub(file.base)).max(start);
        let line = file.line_of(start);
        Some(Diagnostic {
            code: finding.code,
            severity: finding.severity,
            message: finding.message,
            file: file.path.clone(),
            line,
            column: file.column_of(start, line),
            span: (start, end),
            label: finding.label,
            help: finding.help,
        })
    }

    fn file_of(&self, at: usize) -> Option<&Text> {
        self.files.iter().rev().find(|file| file.base <= at)
    }
}

impl Text {
    fn of(path: Option<String>, base: usize, source: &str) -> Self {
        let breaks = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { path, base, source: source.to_owned(), lines }
    }

    /// The nearest byte before that begins a character.
    fn floor(&self, at: usize) -> usize {
        let at = at.min(self.source.len());
        (0..=at).rev().find(|at| self.source.is_char_boundary(*at)).unwrap_or(0)
    }

    fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= at).max(1)
    }

    fn column_of(&self, at: usize, line: usize) -> usize {
        let begin = self.lines.get(line - 1).copied().unwrap_or(0);
        self.source.get(begin..at).map_or(0, |before| before.chars().count()) + 1
    }
}

/// The known name that was probably meant.
pub(crate) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const NAME_BYTES_MAX: usize = 100;
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), known))
        .filter(|(distance, known)| {
            let shorter = known.chars().count().min(lower.chars().count());
            *distance < shorter && *distance <= 1 + shorter / 4
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
