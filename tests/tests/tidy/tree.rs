//! The repository's files.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file, with its path from the repository's root.
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) text: String,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// All text files, but for what was built or belongs to git.
pub(crate) fn texts() -> Vec<Text> {
    let mut found = Vec::new();
    walk(&root(), &mut found);
    assert!(found.len() > 50, "only {} files: is {} the root?", found.len(), root().display());
    found
}

/// All text files whose name ends so.
pub(crate) fn texts_ending(ending: &str) -> Vec<Text> {
    texts().into_iter().filter(|text| text.path.ends_with(ending)).collect()
}

fn walk(folder: &Path, found: &mut Vec<Text>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        if matches!(name, ".git" | "target" | "pavane-data" | "__pycache__" | "node_modules") {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push(Text { path, text });
        }
    }
}

/// Fails with one line for each finding.
pub(crate) fn none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
