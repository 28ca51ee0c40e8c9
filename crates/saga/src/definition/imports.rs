//! `imports`: templates out of other files.

use std::collections::BTreeMap;

use super::draft::At;
use super::findings::{Finding, Findings, Span};
use super::{keys, read, spelling, templates};
use crate::yaml::{self, Content, Entry, Node};

/// Files that one file may import, directly and through others.
const FILES_MAX: usize = 64;

/// Gives the text of an imported file: its path is relative to the importing file's folder, with `/`.
/// What it could not do it says in words.
pub type Load<'a> = dyn Fn(&str) -> Result<String, String> + 'a;

/// Puts the imported templates that are used among the file's own, as `alias.name`. Gives the aliases
/// of files that could not be imported: of what they hold nothing is known.
pub(super) fn resolve(
    root: &mut Node,
    load: Option<&Load<'_>>,
    findings: &mut Findings,
) -> Vec<String> {
    let mut unknown = Vec::new();
    let Content::Map(entries) = &mut root.content else { return unknown };
    let at = entries.iter().position(|entry| entry.key == "imports");
    let Some(said) = at.map(|at| entries.remove(at)) else { return unknown };
    let Some(load) = load else {
        let message = "the file has `imports`, and stands here without the files that it names";
        let help = "`pavane check` and `pavane deploy` put them in";
        findings.push(Finding::error("E108", said.key_span, message).help(help));
        unknown.extend(said.value.entries().into_iter().flatten().map(|entry| entry.key.clone()));
        return unknown;
    };
    let used = templates::used(root);
    let mut importing = Importing { load, files: BTreeMap::new(), open: Vec::new(), findings };
    let mut imported = Vec::new();
    for (alias, path) in importing.aliases(&said.value, "") {
        let Some(file) = path.and_then(|path| importing.file(&path.it, path.span)) else {
            unknown.push(alias.it);
            continue;
        };
        let before = imported.len();
        for template in file {
            let key = format!("{}.{}", alias.it, template.key);
            if used.contains(&key) {
                imported.push(Entry { key, ..template });
            }
        }
        if before == imported.len() && !used.iter().any(|used| is_of(used, &alias.it)) {
            let message = format!("import `{}` is not used", alias.it);
            importing.findings.push(Finding::warning("W07", alias.span, message));
        }
    }
    add(root, imported, said.key_span);
    unknown
}

fn is_of(used: &str, alias: &str) -> bool {
    used.split_once('.').is_some_and(|(of, _)| of == alias)
}

/// Adds templates to those of the file.
fn add(root: &mut Node, imported: Vec<Entry>, span: Span) {
    let Content::Map(entries) = &mut root.content else { return };
    match entries.iter_mut().find(|entry| entry.key == "templates") {
        Some(own) => {
            if let Content::Map(own) = &mut own.value.content {
                own.extend(imported);
            }
        }
        None if imported.is_empty() => {}
        None => {
            let value = Node { span, content: Content::Map(imported) };
            entries.push(Entry { key: "templates".to_owned(), key_span: span, value });
        }
    }
}

struct Importing<'a, 'f> {
    load: &'a Load<'a>,
    /// The templates of each file; `None`: it can not be used.
    files: BTreeMap<String, Option<Vec<Entry>>>,
    /// The files that are being read, each imported by the one before.
    open: Vec<String>,
    findings: &'f mut Findings,
}

impl Importing<'_, '_> {
    /// The aliases of a file and the paths that they stand for, if they stand for any.
    fn aliases(&mut self, imports: &Node, from: &str) -> Vec<(At<String>, Option<At<String>>)> {
        let mut aliases = Vec::new();
        let entries = read::map("imports", imports, self.findings).unwrap_or_default();
        for Entry { key, key_span, value } in entries {
            let name = Node { span: *key_span, content: Content::Text(key.clone()) };
            let Some(alias) = read::id("alias", &name, self.findings) else { continue };
            let path = read::constant(key, value, self.findings).and_then(|path| {
                let path = within(from, &path);
                if path.is_none() {
                    let what = "a relative path that stays in the folder of the saga file";
                    let finding = read::must_be(key, what, value);
                    self.findings.push(finding.help("as in `common/payments.yaml`"));
                }
                path
            });
            aliases.push((alias, path.map(|path| At { it: path, span: value.span })));
        }
        aliases
    }

    /// The templates of an imported file; `None`: there is something wrong with it, which is then known.
    fn file(&mut self, path: &str, span: Span) -> Option<Vec<Entry>> {
        if let Some(at) = self.open.iter().position(|open| open == path) {
            let mut circle: Vec<&str> = self.open.iter().skip(at).map(String::as_str).collect();
            circle.push(path);
            let message = format!("imports in a circle: {}", circle.join(" → "));
            self.findings.push(Finding::error("E108", span, message));
            return None;
        }
        if let Some(known) = self.files.get(path) {
            return known.clone();
        }
        self.open.push(path.to_owned());
        let templates = self.read(path, span);
        self.open.pop();
        self.files.insert(path.to_owned(), templates.clone());
        templates
    }

    fn read(&mut self, path: &str, span: Span) -> Option<Vec<Entry>> {
        if self.files.len() + self.open.len() > FILES_MAX {
            let message = format!("more than {FILES_MAX} files are imported");
            self.findings.push(Finding::error("E108", span, message).help("split the saga"));
            return None;
        }
        let source = match (self.load)(path) {
            Ok(source) => source,
            Err(reason) => {
                let message = format!("import `{path}` not found");
                let help = "its path is relative to the folder of the file that imports it";
                self.findings.push(Finding::error("E108", span, message).label(reason).help(help));
                return None;
            }
        };
        if source.len() > super::FILE_BYTES_MAX {
            let most = super::FILE_BYTES_MAX / 1024;
            let message = format!("import `{path}` exceeds {most} KiB");
            self.findings.push(Finding::error("E108", span, message).help("split the file"));
            return None;
        }
        let base = self.findings.import(path, &source);
        let root = yaml::read_at(base, &source, self.findings)?;
        let root = spelling::rewrite(root, self.findings);
        keys::FILE.check(read::map("the file", &root, self.findings)?, self.findings);
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if let Some(imports) = root.get("imports") {
            for path in self.aliases(imports, folder).into_iter().filter_map(|(_, path)| path) {
                let _ = self.file(&path.it, path.span);
            }
        }
        let Some(templates) = root.get("templates") else {
            let message =
                format!("`{path}` has no `templates`, so nothing can be imported from it");
            self.findings.push(Finding::warning("W07", span, message));
            return Some(Vec::new());
        };
        Some(read::map("templates", templates, self.findings)?.to_vec())
    }
}

/// A path from a folder, relative to the first file's; `None`: it is absolute, or leads out.
fn within(folder: &str, path: &str) -> Option<String> {
    if path.is_empty() || path.starts_with('/') || path.contains(['\\', ':', '\0']) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}
