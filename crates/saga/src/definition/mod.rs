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
mod imports;
mod inputs;
mod json;
mod keys;
mod kinds;
mod layout;
mod links;
mod live;
mod lookup;
mod names;
mod nested;
mod never;
mod node;
mod outputs;
mod parts;
mod read;
mod remedies;
mod render;
mod retry;
mod said;
mod schema;
mod spelling;
mod task;
mod templates;
mod times;
mod together;
mod topics;
mod undo;
mod unused;

pub(crate) use findings::{Finding, Findings, Span, nearest};
pub use imports::Load;
pub use live::Cluster;
pub use render::{Colour, render, to_json};
pub use schema::schema;

use std::collections::BTreeMap;

use draft::Draft;
use graph::Graph;
use live::Named;
use together::Places;

use crate::plan::Plan;
use crate::yaml::{self, Node};

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
    /// The imported file that it is in, relative to the folder of the file itself; `None`: that one.
    pub file: Option<String>,
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
    /// The texts of the files that it imports, by path.
    pub imported: BTreeMap<String, String>,
}

/// A file to check.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Its text.
    pub text: &'a str,
    /// Reads what it imports.
    pub load: &'a Load<'a>,
}

impl Checked {
    fn of(plan: Option<Plan>, findings: Findings) -> Self {
        let (diagnostics, imported) = findings.into_diagnostics();
        Self { plan, diagnostics, imported }
    }
}

/// Checks a saga file that imports nothing, or whose imports were put in by [`bundle`].
#[must_use]
pub fn check(source: &str) -> Checked {
    check_beside(source, &[])
}

/// Checks a file like [`check`], and what it is to sagas that are known.
#[must_use]
pub fn check_beside(source: &str, known: &[&Plan]) -> Checked {
    let mut judged = [Judged::of(source, None)];
    compare(&mut judged, known);
    let [judged] = judged;
    judged.checked()
}

/// Checks saga files with what they import, and what they are to each other.
#[must_use]
pub fn check_all(files: &[Source<'_>]) -> Vec<Checked> {
    together(files).into_iter().map(Judged::checked).collect()
}

/// Checks files like [`check_all`], and whether what the sound ones name is there.
#[must_use]
pub fn check_all_on(files: &[Source<'_>], cluster: &Cluster) -> Vec<Checked> {
    let mut judged = together(files);
    let plans = judged.iter().filter_map(|judged| judged.plan.as_ref());
    let beside = plans.map(|plan| plan.name.to_string()).collect();
    for Judged { named, findings, .. } in &mut judged {
        named.check(cluster, &beside, findings);
    }
    judged.into_iter().map(Judged::checked).collect()
}

fn together(files: &[Source<'_>]) -> Vec<Judged> {
    let judge = |file: &Source<'_>| Judged::of(file.text, Some(file.load));
    let mut judged: Vec<Judged> = files.iter().map(judge).collect();
    compare(&mut judged, &[]);
    judged
}

/// The file with what it uses of its imports put in: one text that stands for itself, of the same
/// version. A file without `imports` is given back as it is.
///
/// # Errors
/// What is wrong with the file's form or with its imports.
pub fn bundle(source: &str, load: &Load<'_>) -> Result<String, Box<Checked>> {
    let mut findings = Findings::of(source);
    let bundled = bundled(source, load, &mut findings);
    match bundled.filter(|_| !findings.has_errors()) {
        Some(text) => Ok(text),
        None => Err(Box::new(Checked::of(None, findings))),
    }
}

fn bundled(source: &str, load: &Load<'_>, findings: &mut Findings) -> Option<String> {
    let root = tree(source, findings)?;
    if root.get("imports").is_none() {
        return Some(source.to_owned());
    }
    let mut root = root;
    imports::resolve(&mut root, Some(load), findings);
    let text = json::indented(&root);
    fits(&text, "the file with its imports", findings).then_some(text)
}

/// A file that was looked at by itself.
struct Judged {
    plan: Option<Plan>,
    places: Places,
    named: Named,
    findings: Findings,
}

impl Judged {
    fn of(source: &str, load: Option<&Load<'_>>) -> Self {
        let mut findings = Findings::of(source);
        let understood = understood(source, load, &mut findings).filter(|_| !findings.has_errors());
        let named = understood.as_ref().map(|understood| Named::of(&understood.root));
        let (plan, places) = understood.and_then(Understood::plan).unzip();
        let (places, named) = (places.unwrap_or_default(), named.unwrap_or_default());
        Self { plan, places, named, findings }
    }

    fn checked(self) -> Checked {
        let plan = self.plan.filter(|_| !self.findings.has_errors());
        Checked::of(plan, self.findings)
    }
}

fn compare(judged: &mut [Judged], known: &[&Plan]) {
    let files = judged.iter_mut().filter_map(|judged| {
        let Judged { plan, places, findings, .. } = judged;
        Some(together::File { plan: plan.as_ref()?, places, findings })
    });
    together::check(&mut files.collect::<Vec<_>>(), known);
}

/// The plan of a file that stands for itself and whose only errors are about what it would do, not about
/// what it says. Such a plan is never run but in thought.
pub(crate) fn plan_in_thought(source: &str) -> Option<Plan> {
    let mut findings = Findings::of(source);
    let understood = understood(source, None, &mut findings)?;
    let is_about_runs = |code: &str| code == "E205" || code.starts_with("E4");
    let (plan, _) = understood.plan().filter(|_| findings.errors().all(is_about_runs))?;
    Some(plan)
}

/// A file whose form is known.
struct Understood {
    root: Node,
    draft: Draft,
    graph: Graph,
}

impl Understood {
    fn plan(self) -> Option<(Plan, Places)> {
        let version = hash::of(&self.root);
        Some((build::plan(self.draft, &self.graph, version)?, Places::of(&self.root)))
    }
}

/// Each stage needs what the one before has made sure of; within a stage all errors are found.
fn understood(
    source: &str,
    load: Option<&Load<'_>>,
    findings: &mut Findings,
) -> Option<Understood> {
    let mut root = tree(source, findings)?;
    let unknown = imports::resolve(&mut root, load, findings);
    templates::expand(&mut root, &unknown, findings);
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
    Some(Understood { root, draft, graph })
}

/// The file in full form.
fn tree(source: &str, findings: &mut Findings) -> Option<Node> {
    if !fits(source, "the file", findings) {
        return None;
    }
    let root = yaml::read(source, findings)?;
    Some(spelling::rewrite(root, findings))
}

fn fits(text: &str, what: &str, findings: &mut Findings) -> bool {
    let fits = text.len() <= FILE_BYTES_MAX;
    if !fits {
        let message = format!("{what} exceeds {} KiB", FILE_BYTES_MAX / 1024);
        findings.push(Finding::error("E108", (0, 0), message).help("split the saga"));
    }
    fits
}
