//! What the checker found, as text with the line beneath it, and as JSON.

use std::fmt::Write;

use saga::{Diagnostic, Severity};
use serde_json::{Value, json};

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// One finding in `file`, whose text is `source`.
///
/// ```text
/// error[E203]: `fulfilment` is not a task
///   --> sagas/order-processing.yaml:35:18
/// 35 |     depends_on: [fulfilment]
///    |                  ^^^^^^^^^^ did you mean `fulfillment`?
/// ```
pub(crate) fn text(file: &str, source: &str, found: &Diagnostic) -> String {
    let Diagnostic { code, severity, message, line, column, span, label, help } = found;
    let mut out = format!("{}[{code}]: {message}\n  --> {file}:{line}:{column}", word(*severity));
    if let Some(shown) = line.checked_sub(1).and_then(|index| source.lines().nth(index)) {
        let margin = " ".repeat(line.to_string().len());
        let before: String = shown
            .chars()
            .take(column.saturating_sub(1))
            .map(|char| if char == '\t' { '\t' } else { ' ' })
            .collect();
        let rest = shown.chars().count().saturating_sub(before.chars().count());
        let spanned = source
            .get(span.0..span.1)
            .map_or(1, |text| text.lines().next().unwrap_or_default().chars().count());
        let carets = "^".repeat(spanned.clamp(1, rest.max(1)));
        let label = label.as_deref().map(|label| format!(" {label}")).unwrap_or_default();
        let _ = write!(out, "\n{line} | {shown}\n{margin} | {before}{carets}{label}");
    }
    if let Some(help) = help {
        let _ = write!(out, "\n  help: {help}");
    }
    out
}

/// The same as JSON.
pub(crate) fn value(file: &str, found: &Diagnostic) -> Value {
    json!({
        "file": file,
        "code": found.code,
        "severity": word(found.severity),
        "message": found.message,
        "line": found.line,
        "column": found.column,
        "span": [found.span.0, found.span.1],
        "label": found.label,
        "help": found.help,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_shown_beneath_its_line() {
        let source = "tasks:\n    depends_on: [fulfilment]\n";
        let found = Diagnostic {
            code: "E203",
            severity: Severity::Error,
            message: "`fulfilment` is not a task".into(),
            line: 2,
            column: 18,
            span: (24, 34),
            label: Some("did you mean `fulfillment`?".into()),
            help: None,
        };
        assert_eq!(
            text("a.yaml", source, &found),
            "error[E203]: `fulfilment` is not a task\n  --> a.yaml:2:18\n2 |     depends_on: \
             [fulfilment]\n  |                  ^^^^^^^^^^ did you mean `fulfillment`?"
        );
    }
}
