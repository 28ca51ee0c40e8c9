//! A command's subject, which is its id too.

use std::fmt;
use std::str::FromStr;

use crate::record::put_number;
use crate::{Run, TaskId, WorkflowId};

/// What a command asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommandKind {
    /// Do the task.
    Do,
    /// Undo it.
    Undo,
    /// Was it done?
    Query,
}

impl CommandKind {
    const ALL: [Self; 3] = [Self::Do, Self::Undo, Self::Query];

    /// The word in the subject: `do`, `undo` or `query`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Do => "do",
            Self::Undo => "undo",
            Self::Query => "query",
        }
    }
}

/// `<workflow>/<task>/<run>.do<n>`, `.undo<n>` or `.query<n>`. Read from the right, since a workflow
/// id may hold slashes and dots.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The workflow.
    pub workflow: WorkflowId,
    /// The task in it.
    pub task: TaskId,
    /// The life of the workflow's id.
    pub run: Run,
    /// What is asked.
    pub kind: CommandKind,
    /// Counts from 1 for each kind.
    pub n: u32,
}

/// A text that is not a command's subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a command's subject; copy the command's ce_subject, \
     which reads <workflow>/<task>/<run>.do<n>, .undo<n> or .query<n>"
)]
pub struct SubjectError(String);

impl Subject {
    /// Gives its text to `put`, piece by piece.
    pub(crate) fn put(&self, mut put: impl FnMut(&str)) {
        let Self { workflow, task, run, kind, n } = self;
        for piece in [workflow.as_str(), "/", task.as_str(), "/"] {
            put(piece);
        }
        run.put(&mut put);
        put(".");
        put(kind.word());
        put_number(u64::from(*n), put);
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text =
            String::with_capacity(self.workflow.as_str().len() + self.task.as_str().len() + 24);
        self.put(|piece| text.push_str(piece));
        text
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text())
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        parse(text).ok_or_else(|| SubjectError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Subject> {
    let (rest, last) = text.rsplit_once('/')?;
    let (workflow, task) = rest.rsplit_once('/')?;
    let (run, command) = last.split_once('.')?;
    let (kind, n) = CommandKind::ALL
        .iter()
        .find_map(|kind| Some((*kind, command.strip_prefix(kind.word())?)))?;
    let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if workflow.is_empty() || task.is_empty() || !plain(run) || !plain(n) {
        return None;
    }
    let (run, n) = (run.parse().ok()?, n.parse().ok().filter(|n| *n > 0)?);
    Some(Subject { workflow: workflow.into(), task: task.into(), run: Run(run), kind, n })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_from_the_right() {
        let text = "orders:eu/17.do3/x/research[2]/1042.query7";
        let subject: Subject = text.parse().unwrap();
        assert_eq!(subject.workflow.as_str(), "orders:eu/17.do3/x");
        assert_eq!(subject.task.as_str(), "research[2]");
        assert_eq!((subject.run, subject.kind, subject.n), (Run(1042), CommandKind::Query, 7));
        assert_eq!(subject.to_string(), text);
    }

    #[test]
    fn what_is_no_subject_is_refused() {
        for text in
            ["", "a/b", "a/b/1", "a/b/x.do1", "a/b/1.do", "a/b/1.do0", "a/b/1.redo1", "/b/1.do1"]
        {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }
}
