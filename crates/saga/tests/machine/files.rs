//! Scenarios beside their sagas, `NAME.scenario` beside `NAME.yaml`: what happens in which order, and the
//! history that must follow. Those under `rules` hold one rule of the language each, that was broken once.
//!
//! A line that begins with `>` is what happens: `> start KEY INPUTS`, `> TASK done OUTPUT`, `> TASK failed CODE`
//! (`final`: it is not to be tried again; `unknown`: it may have worked), `> TASK.undo done`, `> event TOPIC/NAME
//! VALUE`, `> signal NAME DATA`, `> wait` (until the next timer) or `> wait 30s`, `> sleep 30s` (nobody looks
//! meanwhile), `> acked` (the broker has what was emitted), `> cancel`, `> retry TASK`, `> skip TASK`, `> resolve TASK done|not_done|undone`, `> continue`. The lines
//! below it are the public events that follow, in their order. `= STATUS` is how the workflow then stands. `#`
//! begins a comment.

use std::path::{Path, PathBuf};

use crate::world::{World, show};

/// Every scenario of the repository.
fn scenarios() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sagas = here.join("../../sagas");
    let mut found = Vec::new();
    for folder in [sagas.clone(), sagas.join("patterns"), here.join("tests/machine/rules")] {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        found.extend(files.filter(|path| path.extension().is_some_and(|is| is == "scenario")));
    }
    found.sort();
    found
}

/// What differs, with the line of the scenario.
fn play(saga: &str, scenario: &str) -> Result<(), String> {
    let mut world = World::deploy(saga);
    let name = saga::check(saga).plan.unwrap().name;
    let mut said: Vec<String> = Vec::new();
    for (at, line) in scenario.lines().enumerate() {
        let line = line.trim();
        let here = |what: String| Err(format!("line {}: {what}", at + 1));
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let happens = line.strip_prefix('>').map(str::trim);
        if !said.is_empty() && (happens.is_some() || line.starts_with('=')) {
            return here(format!("before this, `{}` has followed as well", said[0]));
        }
        if let Some(status) = line.strip_prefix('=') {
            if world.status() != status.trim() {
                return here(format!("it is {}, not {}", world.status(), status.trim()));
            }
        } else if let Some(happens) = happens {
            let happens = happens.replacen("start ", &format!("start {name} "), 1);
            let told = show(&world.play(&happens));
            said = told.lines().map(|line| line.trim().to_owned()).collect();
        } else if said.is_empty() {
            return here(format!("`{line}` does not follow"));
        } else if said[0] == line {
            said.remove(0);
        } else {
            return here(format!("`{}` has followed, not `{line}`", said[0]));
        }
    }
    match said.first() {
        Some(more) => Err(format!("at the end: `{more}` has followed as well")),
        None => Ok(()),
    }
}

#[test]
fn every_scenario_tells_what_happens() {
    let all = scenarios();
    assert!(all.len() >= 20, "{all:?}");
    for path in all {
        let saga = std::fs::read_to_string(path.with_extension("yaml")).unwrap();
        let scenario = std::fs::read_to_string(&path).unwrap();
        if let Err(what) = play(&saga, &scenario) {
            panic!("{}: {what}", path.display());
        }
    }
}

#[test]
fn a_scenario_that_is_not_what_happens_says_where() {
    let saga = "version: \"2.0\"\nname: s\ntasks: [{id: a, agent: a, retry: 1, timeout: 10s}]\n";
    let begun = "> start k {}\nWorkflowStarted\nTaskScheduled a 1 until 10.0s\n";
    let said = |more: &str| play(saga, &format!("{begun}{more}")).unwrap_err();
    assert_eq!(
        said("> a done 1\nTaskCompleted a 1 2\n"),
        "line 5: `TaskCompleted a 1 1` has followed, not `TaskCompleted a 1 2`"
    );
    assert_eq!(
        said("> a done 1\nTaskCompleted a 1 1\n"),
        "at the end: `WorkflowCompleted {}` has followed as well"
    );
    assert_eq!(said("= completed\n"), "line 4: it is running, not completed");
    assert_eq!(said("TaskFailed a\n"), "line 4: `TaskFailed a` does not follow");
}
