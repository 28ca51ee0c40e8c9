//! Rules about source files.

use crate::tree::{Text, none, texts, texts_ending};

const LINES_MAX: usize = 400;
const BANNED: &[&str] = &["manager", "helper", "helpers", "util", "utils", "common", "handler"];
/// These say nothing as the last word of a type's name.
const EMPTY_ENDINGS: &[&str] = &["data", "info", "processor"];

fn is_test(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "testing" | "benches" | "tests.rs"))
}

/// Lines of a source file that are not its tests'.
fn own_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0].trim() == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    });
    tests.unwrap_or(lines.len())
}

#[test]
fn files_are_short_enough_to_read() {
    let findings: Vec<String> = texts_ending(".rs")
        .iter()
        .filter(|file| !is_test(&file.path))
        .map(|file| (own_lines(&file.text), &file.path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    none("files over 400 lines without their tests", &findings);
}

/// The words of a name in camel or snake case, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for char in name.chars() {
        if (char.is_uppercase() || char == '_') && !words.last().unwrap().is_empty() {
            words.push(String::new());
        }
        if char != '_' {
            words.last_mut().unwrap().extend(char.to_lowercase());
        }
    }
    words
}

/// The name that a line of Rust defines.
fn defined(line: &str) -> Option<&str> {
    let mut line = line.trim_start();
    for prefix in ["pub ", "pub(crate) ", "pub(super) ", "unsafe ", "async ", "const "] {
        line = line.strip_prefix(prefix).unwrap_or(line);
    }
    let (keyword, rest) = line.split_once(' ')?;
    if !matches!(keyword, "struct" | "enum" | "trait" | "type" | "mod" | "fn") {
        return None;
    }
    rest.split(|char: char| !char.is_alphanumeric() && char != '_').next()
}

fn says_nothing(name: &str) -> bool {
    let words = words(name);
    let is_type = name.starts_with(char::is_uppercase);
    let ending = words.last().is_some_and(|last| EMPTY_ENDINGS.contains(&last.as_str()));
    words.iter().any(|word| BANNED.contains(&word.as_str())) || is_type && ending
}

#[test]
fn names_say_what_the_thing_is() {
    let mut findings = Vec::new();
    for file in texts_ending(".rs") {
        let stem = file.path.rsplit('/').next().unwrap().trim_end_matches(".rs");
        if says_nothing(stem) {
            findings.push(file.path.clone());
        }
        for (line, at) in file.text.lines().zip(1..) {
            if defined(line).is_some_and(says_nothing) {
                findings.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    none("names for what a thing could hold", &findings);
}

#[test]
fn empty_names_would_be_found() {
    for line in ["pub struct LaneManager;", "fn parse_helper(", "mod utils {", "enum LaneInfo {"] {
        assert!(defined(line).is_some_and(says_nothing), "{line}");
    }
    for line in ["struct Lane;", "fn data_of(", "let info = 1;", "struct Database;"] {
        assert!(!defined(line).is_some_and(says_nothing), "{line}");
    }
}

/// The lines of these files in which `wrong` finds something.
fn lines(files: &[Text], wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files {
        for (line, at) in file.text.lines().zip(1..) {
            if wrong(line) {
                findings.push(format!("{}:{at}: {}", file.path, line.trim()));
            }
        }
    }
    findings
}

#[test]
fn what_is_left_to_do_has_an_issue() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let without_issue = |line: &str| {
        marks.iter().any(|mark| {
            line.split_once(mark).is_some_and(|(_, rest)| !rest.starts_with("(#"))
                && line.contains(&format!("{mark}:"))
        })
    };
    assert!(without_issue(concat!("// TO", "DO: later")));
    assert!(!without_issue(concat!("// TO", "DO(#7): later")));
    none("work left without an issue", &lines(&texts(), without_issue));
}

/// A path of one machine makes the tree work on that machine alone.
#[test]
fn no_file_names_a_machine() {
    let paths = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
    ];
    let own = |text: &str| paths.iter().any(|path| text.contains(path));
    let files: Vec<Text> = texts().into_iter().filter(|file| file.path != "Cargo.lock").collect();
    none("paths of one machine", &lines(&files, own));
}

#[test]
fn nothing_is_ignored_and_nothing_sleeps_in_tests() {
    let ignored = concat!("#[ign", "ore");
    let sleeps = concat!("thread::", "sleep");
    let files = texts_ending(".rs");
    none("ignored tests", &lines(&files, |line| line.trim_start().starts_with(ignored)));
    let tests: Vec<Text> =
        files.into_iter().filter(|file| file.path.split('/').any(|part| part == "tests")).collect();
    none("tests that sleep", &lines(&tests, |line| line.contains(sleeps)));
}
