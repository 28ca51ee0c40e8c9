//! From a saga file's text to a plan, or to everything that is wrong with it.

use serde_json::Value;

use crate::expr::ExprError;
use crate::plan::Plan;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken.
    Warning,
}

/// One finding: docs/saga-file.md section 6.
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
pub fn check(_source: &str) -> Checked {
    Checked { plan: None, diagnostics: Vec::new() }
}

/// Why a start's inputs are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Missing, unknown or of the wrong type; names the input and what is wanted.
    #[error("{0}")]
    Wrong(String),
    /// The saga's key could not be computed.
    #[error("the saga's key {0}")]
    Key(#[from] ExprError),
}

impl Plan {
    /// The inputs as the workflow will see them: checked against their declaration, defaults filled in.
    ///
    /// # Errors
    /// The first input that is missing, unknown or of the wrong type.
    pub fn admit(&self, inputs: &Value) -> Result<Value, InputError> {
        Ok(inputs.clone())
    }

    /// The business key of these (admitted) inputs; `None` where the saga has no `key`. Text, numbers and
    /// booleans become text; at most 512 bytes, not empty.
    ///
    /// # Errors
    /// The expression failed, or gave something that can not be a key.
    pub fn key_of(&self, _inputs: &Value) -> Result<Option<String>, InputError> {
        Ok(None)
    }
}
