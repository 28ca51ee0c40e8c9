//! Pages that are made from what they describe. `PAVANE_WRITE_DOCS=1 cargo test -p pavane-tests --test
//! tidy pages` writes them anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::tree::{none, root, texts_ending};

/// That a page reads so, or makes it so where that is asked for.
fn reads(page: &str, expected: &str) {
    let path = root().join(page);
    if std::env::var_os("PAVANE_WRITE_DOCS").is_some() {
        fs::write(path, expected).unwrap();
        return;
    }
    let found = fs::read_to_string(path).unwrap();
    let differs = found.lines().zip(expected.lines()).position(|(found, wanted)| found != wanted);
    assert!(
        found == expected,
        "{page} is not what it is made from, from line {} on; PAVANE_WRITE_DOCS=1 writes it anew",
        differs.unwrap_or(found.lines().count().min(expected.lines().count())) + 1
    );
}

const MARK: &str = "<!-- file: ";

/// The page with each mark followed by the file that it names.
fn with_files(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let _ = writeln!(out, "{line}");
        let Some(path) = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->")) else {
            continue;
        };
        let language = match path.rsplit('.').next() {
            Some("py") => "python",
            Some("sh") => "bash",
            Some("yaml") => "yaml",
            Some(_) | None => "text",
        };
        let file = fs::read_to_string(root().join(path)).unwrap();
        let _ = write!(out, "```{language}\n{file}```\n");
        if lines.peek().is_some_and(|next| next.starts_with("```")) {
            lines.next();
            lines.by_ref().take_while(|line| *line != "```").for_each(drop);
        }
    }
    out
}

#[test]
fn files_shown_on_pages_are_the_files() {
    for page in texts_ending(".md") {
        if page.text.contains(MARK) {
            reads(&page.path, &with_files(&page.text));
        }
    }
}

/// A type as a reader would say it.
fn type_of(node: &Value) -> String {
    match node {
        Value::String(name) => name.clone(),
        Value::Array(branches) => {
            let names: Vec<String> = branches.iter().map(type_of).collect();
            names.join(" or ")
        }
        Value::Object(of) => match (of.get("logicalType"), of.get("type"), of.get("symbols")) {
            (Some(logical), ..) => {
                format!("{}, {}", type_of(&of["type"]), logical.as_str().unwrap())
            }
            (_, Some(Value::String(kind)), _) if kind == "array" => {
                format!("list of {}", type_of(&of["items"]))
            }
            (_, Some(Value::String(kind)), Some(symbols)) if kind == "enum" => {
                let symbols: Vec<&str> =
                    symbols.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
                format!("one of {}", symbols.join(", "))
            }
            (_, Some(Value::String(kind)), _) if kind == "record" => {
                let fields = of["fields"].as_array().unwrap().iter();
                let fields: Vec<String> = fields
                    .map(|it| format!("{}: {}", it["name"].as_str().unwrap(), type_of(&it["type"])))
                    .collect();
                format!("{{{}}}", fields.join("; "))
            }
            (_, inner, _) => type_of(inner.unwrap()),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => panic!("no type: {node}"),
    }
}

fn rows(fields: &[Value], out: &mut String) {
    let _ = writeln!(out, "| field | type | |\n|---|---|---|");
    for field in fields {
        let (name, doc) = (field["name"].as_str().unwrap(), field["doc"].as_str().unwrap());
        let _ = writeln!(out, "| `{name}` | {} | {doc} |", type_of(&field["type"]));
    }
}

const COMMON_FIELDS: usize = 6;

fn events_page() -> String {
    let mut out = fs::read_to_string(root().join("tests/tests/tidy/events.head.txt")).unwrap();
    for (place, schema) in events::schemas().iter().enumerate() {
        let parsed: Value = serde_json::from_str(schema.text).unwrap();
        let fields = parsed["fields"].as_array().unwrap();
        if place == 0 {
            out.push_str("\n## Fields of every event\n\n");
            rows(&fields[..COMMON_FIELDS], &mut out);
            out.push_str("\n## Events\n");
        }
        let short = parsed["name"].as_str().unwrap();
        let file = format!("{short}.v{}.avsc", schema.version);
        let doc = parsed["doc"].as_str().unwrap();
        let _ = write!(
            out,
            "\n### {short}\n\n{doc} Schema [{file}](../../schemas/{file}), id {} in the built-in \
             registry.\n\n",
            schema.id
        );
        rows(&fields[COMMON_FIELDS..], &mut out);
    }
    out
}

#[test]
fn the_events_page_is_what_the_schemas_say() {
    reads("docs/reference/events.md", &events_page());
}

/// The names in backticks that begin with `pavane_`, and those in the code's metrics.
#[test]
fn the_metrics_page_names_every_metric() {
    let page = fs::read_to_string(root().join("docs/reference/metrics.md")).unwrap();
    let documented: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    let mut counted = BTreeSet::new();
    for file in texts_ending(".rs") {
        for kind in ["counter!(", "gauge!(", "histogram!("] {
            for call in file.text.split(kind).skip(1) {
                let name = call.trim_start().strip_prefix('"').and_then(|it| it.split('"').next());
                counted.extend(name.filter(|it| it.starts_with("pavane_")).map(str::to_owned));
            }
        }
    }
    assert!(counted.len() > 10, "the code's metrics were not found: {counted:?}");
    assert_eq!(documented, counted);
}

#[test]
fn the_page_of_dead_letters_names_every_class() {
    let page = fs::read_to_string(root().join("docs/reference/dead-letters.md")).unwrap();
    for class in events::Class::ALL {
        assert!(page.contains(&format!("| `{class}` |")), "{class}");
    }
}

/// The keys of the language stand in `keys.rs` or in files beside it, those that this build refuses by
/// name too: the page names them all.
#[test]
fn the_page_of_the_saga_file_names_every_key() {
    let page = fs::read_to_string(root().join("docs/reference/saga-file.md")).unwrap();
    let mut words = BTreeSet::new();
    for file in texts_ending(".rs") {
        if file.path.starts_with("crates/saga/src/definition/keys") {
            words.extend(keys_in(&file.text));
        }
    }
    assert!(words.len() > 60, "the lists were not found: {words:?}");
    let told: BTreeSet<&str> =
        page.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').collect();
    let missing: Vec<&String> = words.iter().filter(|word| !told.contains(word.as_str())).collect();
    assert!(missing.is_empty(), "docs/reference/saga-file.md does not name {missing:?}");
}

/// What stands first in `key("...", ...)` and in `("...", ...)`, and all texts of a list of names.
fn keys_in(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut opened = false;
    for line in source.lines().map(str::trim) {
        let first = line.strip_prefix("key(").or_else(|| line.strip_prefix('(')).unwrap_or("");
        if opened || first.starts_with('"') {
            let text = if opened { line } else { first };
            found.extend(text.split('"').nth(1).map(str::to_owned));
        } else if line.starts_with('"') || line.starts_with("here: &[\"") {
            found.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
        }
        opened = line == "key(";
    }
    found.retain(|word| {
        !word.is_empty() && word.chars().all(|it| it.is_ascii_lowercase() || it == '_')
    });
    found
}

#[test]
fn the_page_of_diagnostics_names_every_code() {
    let page = fs::read_to_string(root().join("docs/reference/diagnostics.md")).unwrap();
    let is_code = |text: &&str| {
        let number = text.strip_prefix('E').filter(|it| it.len() == 3);
        let number = number.or_else(|| text.strip_prefix('W').filter(|it| it.len() == 2));
        number.is_some_and(|it| it.chars().all(|it| it.is_ascii_digit()))
    };
    let sources = texts_ending(".rs").into_iter();
    let sources: Vec<_> =
        sources.filter(|file| file.path.starts_with("crates/saga/src/")).collect();
    let codes: BTreeSet<&str> =
        sources.iter().flat_map(|file| file.text.split('"')).filter(is_code).collect();
    assert!(codes.len() > 20, "the codes were not found: {codes:?}");
    let told = |code: &&str| page.contains(&format!("| {code} |"));
    let missing: Vec<&str> = codes.into_iter().filter(|code| !told(code)).collect();
    assert!(missing.is_empty(), "docs/reference/diagnostics.md does not name {missing:?}");
}

/// A block of YAML on a page is a whole saga, or begins with its tasks or with what stands beside them.
fn as_saga(block: &str) -> String {
    let first = block.split(':').next().unwrap_or_default();
    match first {
        "version" | "name" | "scenario" | "workflow_dsl" => block.to_owned(),
        _ if block.starts_with('#') => block.to_owned(),
        _ => format!("version: \"2.0\"\nname: example\nkey: ${{inputs.id}}\n{block}"),
    }
}

fn said(path: &str, source: &str, found: &saga::Diagnostic) -> String {
    let line = source.lines().nth(found.line - 1).unwrap_or_default();
    format!("{path}: {} {}: {line}", found.code, found.message)
}

#[test]
fn sagas_on_pages_have_no_errors() {
    let mut sagas = 0;
    let mut findings = Vec::new();
    for page in texts_ending(".md").into_iter().filter(|page| page.path.starts_with("docs/")) {
        for block in page.text.split("```yaml\n").skip(1) {
            let source = as_saga(block.split("```").next().unwrap_or_default());
            let found = saga::check(&source).diagnostics;
            let errors = found.iter().filter(|found| found.severity == saga::Severity::Error);
            findings.extend(errors.map(|found| said(&page.path, &source, found)));
            sagas += 1;
        }
    }
    assert!(sagas > 15, "only {sagas} sagas were found");
    none("sagas on pages that have errors", &findings);
}

#[test]
fn sagas_of_this_tree_have_no_errors_and_those_in_full_form_no_warnings() {
    let mut sagas = 0;
    let mut findings = Vec::new();
    for file in texts_ending(".yaml").into_iter().filter(|file| file.path.starts_with("sagas/")) {
        let mut found = saga::check(&file.text).diagnostics;
        if file.path.starts_with("sagas/short/") {
            found.retain(|found| found.severity == saga::Severity::Error);
        }
        findings.extend(found.iter().map(|found| said(&file.path, &file.text, found)));
        sagas += 1;
    }
    assert!(sagas > 15, "only {sagas} sagas were found");
    none("sagas that are not sound", &findings);
}

#[test]
fn the_configuration_page_names_every_key() {
    let page = fs::read_to_string(root().join("docs/reference/configuration.md")).unwrap();
    let source = fs::read_to_string(root().join("services/pavane/src/config/keys.rs")).unwrap();
    let (_, table) = source.split_once("const KEYS").unwrap();
    let mut keys = BTreeSet::new();
    for call in table.split("key(").chain(table.split("secret(")).skip(1) {
        let first = call.trim_start().strip_prefix('"').and_then(|it| it.split('"').next());
        keys.extend(first.filter(|it| it.contains('.') && !it.contains(' ')));
    }
    assert!(keys.len() > 20, "the keys were not found: {keys:?}");
    let documented: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(documented, keys);
}
