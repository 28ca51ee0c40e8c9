//! Every file in `broken/` says on which lines what is wrong with it, by `#! CODE`, and the checker
//! must find just that. How it says it is a golden text.

use std::fs;
use std::path::Path;

/// The codes that each line announces.
fn announced(source: &str) -> Vec<(usize, String)> {
    let mut announced = Vec::new();
    for (at, line) in source.lines().enumerate() {
        let codes = line.split_once("#! ").map_or("", |(_, codes)| codes);
        announced.extend(
            codes.split(' ').filter(|code| !code.is_empty()).map(|code| (at + 1, code.to_owned())),
        );
    }
    announced.sort();
    announced
}

#[test]
fn every_error_of_a_broken_file_is_found_on_its_line() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 40, "only {} files", files.len());
    let mut golden = String::new();
    let mut wrong = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let source = fs::read_to_string(&path).unwrap();
        let checked = saga::check(&source);
        let mut found: Vec<(usize, String)> =
            checked.diagnostics.iter().map(|found| (found.line, found.code.to_owned())).collect();
        found.sort();
        if found != announced(&source) {
            wrong.push(format!("{name}\n  wants {:?}\n  found {found:?}", announced(&source)));
        }
        let has_errors =
            checked.diagnostics.iter().any(|found| found.severity == saga::Severity::Error);
        assert_eq!(checked.plan.is_none(), has_errors, "{name}");
        golden.push_str(&saga::render(&name, &source, &checked, saga::Colour::None));
        golden.push('\n');
    }
    assert!(wrong.is_empty(), "{}\n{golden}", wrong.join("\n"));
    insta::assert_snapshot!("broken_files", golden);
}
