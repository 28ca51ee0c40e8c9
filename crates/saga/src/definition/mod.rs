//! From a saga file's text to a plan, or to everything that is wrong with it.

mod body;
mod build;
mod computed;
mod defaults;
mod doubts;
mod draft;
mod file;
mod findings;
mod graph;
mod hash;
mod hints;
mod inputs;
mod keys;
mod kinds;
mod layout;
mod links;
mod lookup;
mod names;
mod nested;
mod never;
mod node;
mod outputs;
mod read;
mod render;
mod retry;
mod said;
mod task;
mod times;
mod together;
mod topics;
mod undo;
mod unused;

pub(crate) use findings::{Finding, Findings, Span, nearest};
pub use render::{render, to_json};

use events::Version;

use crate::plan::Plan;
use crate::yaml;
use draft::Draft;
use graph::Graph;
use together::Member;

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
    Reading::of(source).finish()
}

/// Checks saga files that belong together, each by itself and against the others: whether a child can be
/// undone, and whether sagas call or start one another without end. One result for each file.
#[must_use]
pub fn check_together(sources: &[&str]) -> Vec<Checked> {
    let mut readings: Vec<Reading> = sources.iter().map(|source| Reading::of(source)).collect();
    let mut members: Vec<Member<'_>> = readings
        .iter_mut()
        .filter_map(|reading| {
            let draft = &reading.read.as_ref()?.draft;
            Some(Member { draft, findings: &mut reading.findings })
        })
        .collect();
    together::check(&mut members);
    readings.into_iter().map(Reading::finish).collect()
}

/// A file that is looked at.
struct Reading {
    findings: Findings,
    /// `None`: its form is not known.
    read: Option<Read>,
}

struct Read {
    draft: Draft,
    graph: Graph,
    version: Version,
}

impl Reading {
    fn of(source: &str) -> Self {
        let mut findings = Findings::of(source);
        let read = read_and_check(source, &mut findings);
        Self { findings, read }
    }

    fn finish(self) -> Checked {
        let sound = self.read.filter(|_| !self.findings.has_errors());
        let plan = sound.and_then(|read| build::plan(read.draft, &read.graph, read.version));
        Checked { plan, diagnostics: self.findings.into_diagnostics() }
    }
}

/// Each stage needs what the one before has made sure of; within a stage all errors are found.
fn read_and_check(source: &str, findings: &mut Findings) -> Option<Read> {
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
    links::check(&draft, findings);
    never::check(&draft, &graph, findings);
    times::check(&draft, &graph, findings);
    hints::check(&draft, &graph, findings);
    doubts::check(&draft, &graph, findings);
    unused::check(&draft, &graph, findings);
    Some(Read { draft, graph, version: hash::of(&root) })
}
