//! The one way to stdout. Data goes there; everything else goes to stderr.

use std::io::{ErrorKind, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use crate::failure::{Failure, Kind};

/// Where a verb's data goes, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Text for people, or JSON where `--json` was given.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether a person is looking at stderr, where progress is drawn.
    pub(crate) fn is_live() -> bool {
        std::io::stderr().is_terminal()
    }

    /// Colours where a person is looking who has not said no to them.
    pub(crate) fn colour(to: &impl IsTerminal) -> saga::Colour {
        let said_no = std::env::var_os("NO_COLOR").is_some_and(|said| !said.is_empty());
        if to.is_terminal() && !said_no { saga::Colour::Ansi } else { saga::Colour::None }
    }

    /// A line of data.
    pub(crate) fn line(self, text: impl AsRef<str>) -> Result<(), Failure> {
        write(&[text.as_ref().as_bytes(), b"\n"])
    }

    /// A JSON value, indented.
    pub(crate) fn value(self, value: &Value) -> Result<(), Failure> {
        self.line(format!("{value:#}"))
    }

    /// JSON as asked, or else the text.
    pub(crate) fn either(
        self,
        value: &Value,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.json { self.value(value) } else { self.line(text()) }
    }

    /// A word to the person, not part of the data.
    pub(crate) fn note(text: impl AsRef<str>) {
        // With stderr gone there is nobody left to tell, and the verb's work does not depend on it.
        let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
    }
}

/// A table for people.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled).set_header(head);
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

fn write(parts: &[&[u8]]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    parts.iter().try_for_each(|part| out.write_all(part)).and_then(|()| out.flush()).map_err(
        |error| match error.kind() == ErrorKind::BrokenPipe {
            true => Failure { kind: Kind::ReaderGone, message: String::new(), next: None },
            false => Failure::from_error("stdout can not be written", &error),
        },
    )
}
