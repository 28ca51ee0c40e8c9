//! From a saga file's text to a plan, or to everything that is wrong with it.

mod body;
mod build;
mod computed;
mod defaults;
mod draft;
mod file;
mod findings;
mod graph;
mod hash;
mod inputs;
mod keys;
mod kinds;
mod layout;
mod lookup;
mod names;
mod nested;
mod node;
mod outputs;
mod read;
mod render;
mod retry;
mod said;
mod task;
mod times;
mod topics;
mod undo;
mod unused;

pub(crate) use findings::{Finding, Findings, Span, nearest};
pub use render::{render, to_json};

use crate::plan::Plan;
use crate::yaml;

/// Bytes of a file.
const FILE_BYTES_MAX: usize = 256 * 1024;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken.
    Warning,
}

/// One finding; docs/reference/saga-file.md lists the codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// `E203`, `W01`...
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// Bytes of the source that it is about: from, to.
    pub span: (usize, usize),
    /// What stands beneath the caret.
    pub label: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// `None` where there are errors.
    pub plan: Option<Plan>,
    /// Errors and warnings, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks a saga file.
#[must_use]
pub fn check(source: &str) -> Checked {
    let mut findings = Findings::of(source);
    let plan = checked_plan(source, &mut findings);
    Checked { plan, diagnostics: findings.into_diagnostics() }
}

/// Each stage needs what the one before has made sure of; within a stage all errors are found.
fn checked_plan(source: &str, findings: &mut Findings) -> Option<Plan> {
    if source.len() > FILE_BYTES_MAX {
        let message = format!("the file exceeds {} KiB", FILE_BYTES_MAX / 1024);
        findings.push(Finding::error("E108", (0, 0), message).help("split the saga"));
        return None;
    }
    let root = yaml::read(source, findings)?;
    let draft = file::read(&root, findings)?;
    let graph = graph::check(&draft, findings);
    names::check(&draft, &graph, findings);
    kinds::check(&draft, &graph, findings);
    times::check(&draft, &graph, findings);
    unused::check(&draft, &graph, findings);
    if findings.has_errors() {
        return None;
    }
    build::plan(draft, &graph, hash::of(&root))
}
