//! What is wrong with a file, gathered while it is read.

use super::{Diagnostic, Severity};

/// Bytes of the source: from, to.
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

/// The findings of one file.
#[derive(Debug)]
pub(crate) struct Findings {
    /// Where each line begins, bytes.
    lines: Vec<usize>,
    source: String,
    found: Vec<Finding>,
}

impl Findings {
    pub(crate) fn of(source: &str) -> Self {
        let breaks = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { lines, source: source.to_owned(), found: Vec::new() }
    }

    pub(crate) fn push(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// The bytes of a span.
    pub(crate) fn text(&self, span: Span) -> &str {
        self.source.get(span.0..span.1).unwrap_or_default()
    }

    /// The line of a byte, from 1.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= at).max(1)
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// The codes of the errors.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &'static str> + '_ {
        let errors = self.found.iter().filter(|finding| finding.severity == Severity::Error);
        errors.map(|finding| finding.code)
    }

    /// All, in the order of the file.
    pub(crate) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by(|a, b| (a.span.0, a.code, &a.message).cmp(&(b.span.0, b.code, &b.message)));
        found.dedup_by(|a, b| (a.span, a.code, &a.message) == (b.span, b.code, &b.message));
        found.into_iter().map(|finding| self.place(finding)).collect()
    }

    fn place(&self, finding: Finding) -> Diagnostic {
        let floor = |at: usize| {
            (0..=at.min(self.source.len())).rev().find(|at| self.source.is_char_boundary(*at))
        };
        let start = floor(finding.span.0).unwrap_or(0);
        let end = floor(finding.span.1).unwrap_or(0).max(start);
        let line = self.line_of(start);
        let begin = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.source.get(begin..start).map_or(0, |before| before.chars().count()) + 1;
        Diagnostic {
            code: finding.code,
            severity: finding.severity,
            message: finding.message,
            line,
            column,
            span: (start, end),
            label: finding.label,
            help: finding.help,
        }
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
