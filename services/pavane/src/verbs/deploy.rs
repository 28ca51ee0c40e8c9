//! `pavane deploy`: saga files to the gateway.

use saga::Checked;
use serde_json::Value;

use crate::api::Api;
use crate::cli::Files;
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::{SagaFile, shown};

/// Deploys each file, in order, if none has errors; stops at the first that the gateway refuses.
pub(crate) fn run(files: &Files, api: &Api, output: Output) -> Result<(), Failure> {
    let mut deployed = Vec::new();
    let files = SagaFile::read(&files.files)?;
    // The gateway judges; a look from here first shows the lines of the files as they are called here.
    let mut bundled = Vec::new();
    for (file, checked) in files.iter().zip(SagaFile::check(&files)) {
        show(file, &checked);
        bundled.push(match &checked.plan {
            Some(_) => saga::bundle(&file.text, &file.load()).map_err(|checked| {
                show(file, &checked);
                refused(file)
            })?,
            None => return Err(refused(file)),
        });
    }
    for (SagaFile { shown: name, .. }, bundled) in files.iter().zip(bundled) {
        let answer = api.post_yaml("/v1/sagas", bundled)?.map_err(|problem| {
            let diagnostics = problem.document.get("diagnostics").cloned();
            let failure = Failure::from(problem);
            let detail = diagnostics.map(|list| format!(": {list}")).unwrap_or_default();
            Failure { message: format!("{name}: {}{detail}", failure.message), ..failure }
        })?;
        if !output.is_json() {
            output.line(format!(
                "deployed {} version {} revision {}",
                shown(&answer, "name"),
                shown(&answer, "version"),
                shown(&answer, "revision"),
            ))?;
        }
        deployed.push(answer);
    }
    if output.is_json() { output.value(&Value::Array(deployed)) } else { Ok(()) }
}

fn show(file: &SagaFile<'_>, checked: &Checked) {
    if !checked.diagnostics.is_empty() {
        let colour = Output::colour(&std::io::stderr());
        Output::note(saga::render(&file.shown, &file.text, checked, colour).trim_end());
    }
}

fn refused(file: &SagaFile<'_>) -> Failure {
    let name = &file.shown;
    Failure::failed(format!("{name} has errors and was not deployed"))
        .next(format!("pavane check {name}"))
}
