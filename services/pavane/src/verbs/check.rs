//! `pavane check`: what is wrong with saga files.

use saga::{Checked, Severity};
use serde_json::{Value, json};

use crate::api::Api;
use crate::cli::Check;
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::{SagaFile, explore, live};

/// Checks files, each by itself and among the others, and shows everything that was found.
pub(crate) fn run(
    check: &Check,
    api: impl FnOnce() -> Result<Api, Failure>,
    output: Output,
) -> Result<(), Failure> {
    if check.schema {
        return output.value(&saga::schema());
    }
    let files = SagaFile::read(&check.files)?;
    let checked = if check.live {
        let checked = SagaFile::check_on(&files, &live::cluster(&api()?)?);
        Output::note(live::NOT_ASKED);
        checked
    } else {
        SagaFile::check(&files)
    };
    let Found { mut errors, mut warnings, diagnostics: found } = show(&files, checked, output)?;
    let tried = match check.explore {
        Some(states) => Some(explore::explore(&files, states, output)?),
        None => None,
    };
    errors += tried.as_ref().map_or(0, |tried| tried.errors);
    warnings += tried.as_ref().map_or(0, |tried| tried.warnings);
    let strict = check.strict;
    let sound = errors == 0 && (warnings == 0 || !strict);
    if output.is_json() {
        let mut all = json!({
            "ok": sound, "errors": errors, "warnings": warnings,
            "diagnostics": found,
        });
        if let (Some(all), true) = (all.as_object_mut(), check.live) {
            all.insert("not_asked".to_owned(), json!(["E602"]));
        }
        if let (Some(all), Some(tried)) = (all.as_object_mut(), tried) {
            all.insert("explored".to_owned(), Value::Array(tried.values));
        }
        output.value(&all)?;
    }
    if sound {
        return Ok(());
    }
    let strictly = if errors == 0 { ", and --strict does not let warnings pass" } else { "" };
    Err(Failure::failed(format!("{errors} errors, {warnings} warnings{strictly}")))
}

/// Shows what is wrong with files, and is an error if one of them has errors: for verbs that go on with sound ones.
pub(crate) fn sound(files: &[SagaFile<'_>], output: Output) -> Result<(), Failure> {
    let checked = SagaFile::check(files);
    if checked.iter().all(|checked| checked.plan.is_some()) {
        return Ok(());
    }
    let Found { errors, warnings, diagnostics } = show(files, checked, output)?;
    if output.is_json() {
        output.value(&json!({
            "ok": false, "errors": errors, "warnings": warnings, "diagnostics": diagnostics,
        }))?;
    }
    Err(Failure::failed(format!("{errors} errors, {warnings} warnings")))
}

/// What checks have found.
#[derive(Default)]
struct Found {
    errors: usize,
    warnings: usize,
    /// For `--json`.
    diagnostics: Vec<Value>,
}

/// Shows people what was found.
fn show(files: &[SagaFile<'_>], checked: Vec<Checked>, output: Output) -> Result<Found, Failure> {
    let colour = Output::colour(&std::io::stdout());
    let mut found = Found::default();
    for (file, checked) in files.iter().zip(checked) {
        let shown = &file.shown;
        let count = |severity| {
            checked.diagnostics.iter().filter(|found| found.severity == severity).count()
        };
        found.errors += count(Severity::Error);
        found.warnings += count(Severity::Warning);
        if output.is_json() {
            let all = saga::to_json(shown, &checked);
            found.diagnostics.extend(all.as_array().into_iter().flatten().cloned());
        } else if !checked.diagnostics.is_empty() {
            output.line(saga::render(shown, &file.text, &checked, colour).trim_end())?;
        }
        if let Some(plan) = checked.plan.filter(|_| !output.is_json()) {
            let tasks = plan.tasks.len();
            output.line(format!("{shown}: {} is sound, {tasks} tasks", plan.name))?;
        }
    }
    Ok(found)
}
