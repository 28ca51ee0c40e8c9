//! `pavane check`: what is wrong with saga files.

use saga::Severity;
use serde_json::{Value, json};

use crate::cli::Check;
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::{imports_of, read_text};

/// Checks each file and shows everything that was found.
pub(crate) fn run(check: &Check, output: Output) -> Result<(), Failure> {
    let (mut errors, mut warnings) = (0_usize, 0_usize);
    let mut found: Vec<Value> = Vec::new();
    for file in &check.files {
        let source = read_text(file)?;
        let shown = file.display().to_string();
        let checked = saga::check_with(&source, &imports_of(file));
        let count = |severity| {
            checked.diagnostics.iter().filter(|found| found.severity == severity).count()
        };
        errors += count(Severity::Error);
        warnings += count(Severity::Warning);
        if output.is_json() {
            found.push(saga::to_json(&shown, &checked));
        } else if !checked.diagnostics.is_empty() {
            output.line(saga::render(&shown, &source, &checked).trim_end())?;
        }
        if let Some(plan) = checked.plan.filter(|_| !output.is_json()) {
            let tasks = plan.tasks.len();
            output.line(format!("{shown}: {} is sound, {tasks} tasks", plan.name))?;
        }
    }
    let strict = check.strict;
    let sound = errors == 0 && (warnings == 0 || !strict);
    if output.is_json() {
        output.value(&json!({
            "ok": sound, "errors": errors, "warnings": warnings,
            "diagnostics": found.iter().filter_map(Value::as_array).flatten().collect::<Vec<_>>(),
        }))?;
    }
    if sound {
        return Ok(());
    }
    let strictly = if errors == 0 { ", and --strict does not let warnings pass" } else { "" };
    Err(Failure::failed(format!("{errors} errors, {warnings} warnings{strictly}")))
}
