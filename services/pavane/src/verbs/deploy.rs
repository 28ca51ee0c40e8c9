//! `pavane deploy`: saga files to the gateway.

use serde_json::Value;

use crate::api::Api;
use crate::cli::Files;
use crate::failure::Failure;
use crate::output::Output;
use crate::verbs::{imports_of, read_text, shown};

/// Deploys each file, in order; stops at the first that is refused.
pub(crate) fn run(files: &Files, api: &Api, output: Output) -> Result<(), Failure> {
    let mut deployed = Vec::new();
    for file in &files.files {
        let source = read_text(file)?;
        let name = file.display().to_string();
        // The gateway judges; a look from here first shows the lines of the file as it is called here.
        let checked = saga::check_with(&source, &imports_of(file));
        if !checked.diagnostics.is_empty() {
            Output::note(saga::render(&name, &source, &checked).trim_end());
        }
        let refused = || {
            Failure::failed(format!("{name} has errors and was not deployed"))
                .next(format!("pavane check {name}"))
        };
        if checked.plan.is_none() {
            return Err(refused());
        }
        let bundled = saga::bundle(&source, &imports_of(file)).map_err(|checked| {
            Output::note(saga::render(&name, &source, &checked).trim_end());
            refused()
        })?;
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
