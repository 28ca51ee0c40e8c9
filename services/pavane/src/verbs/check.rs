//! `pavane check`: what is wrong with saga files.

use saga::Severity;
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
    let colour = Output::colour(&std::io::stdout());
    let (mut errors, mut warnings) = (0_usize, 0_usize);
    let mut found: Vec<Value> = Vec::new();
    let files = SagaFile::read(&check.files)?;
    let checked = if check.live {
        let checked = SagaFile::check_on(&files, &live::cluster(&api()?)?);
        Output::note(live::NOT_ASKED);
        checked
    } else {
        SagaFile::check(&files)
    };
    for (file, checked) in files.iter().zip(checked) {
        let shown = &file.shown;
        let count = |severity| {
            checked.diagnostics.iter().filter(|found| found.severity == severity).count()
        };
        errors += count(Severity::Error);
        warnings += count(Severity::Warning);
        if output.is_json() {
            found.push(saga::to_json(shown, &checked));
        } else if !checked.diagnostics.is_empty() {
            output.line(saga::render(shown, &file.text, &checked, colour).trim_end())?;
        }
        if let Some(plan) = checked.plan.filter(|_| !output.is_json()) {
            let tasks = plan.tasks.len();
            output.line(format!("{shown}: {} is sound, {tasks} tasks", plan.name))?;
        }
    }
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
            "diagnostics": found.iter().filter_map(Value::as_array).flatten().collect::<Vec<_>>(),
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
