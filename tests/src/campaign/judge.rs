//! The judge's word, and what the logs say.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::campaign::Outcome;
use crate::outside::Books;

/// Has all that stands on the topics, and the participants' book, judged by `pavane verify`, given where.
/// Nothing may be under way.
pub(super) fn judge(mut verify: Command, books: &Books, folder: &Path, outcome: &mut Outcome) {
    let book = folder.join("books.ndjson");
    std::fs::write(&book, books.lines()).unwrap();
    verify.args(["--quiet-for", "0s", "--json", "--books"]).arg(&book);
    let output = verify.output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    outcome.judged = said["counts"].clone();
    match output.status.code() {
        Some(0) if said["ok"] == true => {}
        Some(1) => {
            let violations = said["violations"].as_array().cloned().unwrap_or_default();
            outcome.wrong.extend(violations.iter().map(|it| format!("the judge: {it:#}")));
            if violations.is_empty() {
                outcome.wrong.push(format!("the judge: {}", text(&output.stderr)));
            }
        }
        code => {
            outcome.wrong.push(format!("the judge ended with {code:?}: {}", text(&output.stderr)))
        }
    }
    outcome.wrong.extend(books.broken_promises());
    outcome.wrong.extend(panics(folder));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lines of the processes' logs that no process of ours should ever write.
fn panics(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "log") {
            continue;
        }
        let log = text(&std::fs::read(&path).unwrap());
        let bad = ["panicked", "an operator must act"];
        let lines = log.lines().filter(|line| bad.iter().any(|bad| line.contains(bad)));
        found.extend(lines.map(|line| format!("{}: {line}", path.display())));
    }
    found
}
