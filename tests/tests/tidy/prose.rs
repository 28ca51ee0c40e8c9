//! Rules about documents.

use std::collections::BTreeSet;
use std::path::Path;

use crate::tree::{none, root, texts, texts_ending};

/// The targets of a Markdown text's links, outside of code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut fenced = false;
    for (line, at) in text.lines().zip(1..) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for part in prose.split("](").skip(1) {
            if let Some((target, _)) = part.split_once(')') {
                links.push((at, target.to_owned()));
            }
        }
    }
    links
}

/// A heading's anchor, as GitHub makes it.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        if let (false, Some(heading)) = (fenced, line.strip_prefix('#')) {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
            anchors.insert(kept.map(|it| if it == ' ' { '-' } else { it }).collect());
        }
    }
    anchors
}

fn is_dead(page: &str, target: &str) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let page = root().join(page);
    let file =
        if path.is_empty() { page } else { page.parent().unwrap_or(Path::new("")).join(path) };
    if !file.exists() {
        return true;
    }
    !anchor.is_empty()
        && !std::fs::read_to_string(file).is_ok_and(|it| anchors(&it).contains(anchor))
}

#[test]
fn links_lead_somewhere() {
    let mut findings = Vec::new();
    for page in texts_ending(".md") {
        for (at, target) in links(&page.text) {
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !elsewhere && is_dead(&page.path, &target) {
                findings.push(format!("{}:{at}: {target}", page.path));
            }
        }
    }
    none("dead links", &findings);
}

#[test]
fn a_dead_link_would_be_found() {
    assert_eq!(links("see [it](a.md) and `[x](y)`"), [(1, "a.md".to_owned())]);
    assert!(is_dead("docs/index.md", "no-such-page.md"));
    assert!(is_dead("README.md", "docs/glossary.md#no-such-word"));
    assert!(!is_dead("docs/index.md", "../Cargo.toml"));
}

#[test]
fn every_document_is_reached_from_the_index_or_the_readme() {
    let pages = texts_ending(".md");
    let mut reached = BTreeSet::from(["README.md".to_owned()]);
    let mut open = vec!["README.md".to_owned()];
    while let Some(page) = open.pop() {
        let Some(text) = pages.iter().find(|it| it.path == page) else { continue };
        for (_, target) in links(&text.text) {
            let path = target.split('#').next().unwrap_or_default();
            let file = root().join(&page).parent().unwrap_or(Path::new("")).join(path);
            let Ok(file) = file.canonicalize() else { continue };
            let Ok(path) = file.strip_prefix(root().canonicalize().unwrap()) else { continue };
            let path = path.to_str().unwrap().to_owned();
            if reached.insert(path.clone()) {
                open.push(path);
            }
        }
    }
    let lost: Vec<String> = pages
        .iter()
        .filter(|page| page.path.starts_with("docs/") && !reached.contains(&page.path))
        .map(|page| page.path.clone())
        .collect();
    none("documents that no link leads to", &lost);
}

/// The glossary's synonyms that we do not use, where a word has one meaning here.
#[test]
fn one_word_for_one_thing() {
    let banned = [concat!("roll", "back"), concat!("poison", " pill"), concat!("D", "LT")];
    let mut findings = Vec::new();
    for file in texts() {
        if file.path == "docs/glossary.md" || file.path == "Cargo.lock" {
            continue;
        }
        for (line, at) in file.text.lines().zip(1..) {
            if banned.iter().any(|word| line.contains(word)) {
                findings.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    none("words that docs/glossary.md replaces", &findings);
}
