//! Bodies of tasks that are written once: `templates` and `use`, in the file and out of other files.

use std::collections::BTreeMap;

use saga::{Checked, Colour, Load, Source, bundle, check, check_all, render};

/// The version that a sound file has.
#[track_caller]
fn version(source: &str, checked: Checked) -> String {
    let said = render("a.yaml", source, &checked, Colour::None);
    let Some(plan) = checked.plan else { panic!("{source}\n{said}") };
    assert_eq!(said, "", "{source}");
    plan.version.as_str().to_owned()
}

fn check_with(text: &str, load: &Load<'_>) -> Checked {
    check_all(&[Source { text, load }]).remove(0)
}

/// Each finding as `CODE file line:column message; label; help`.
fn found(checked: &Checked) -> Vec<String> {
    let show = |found: &saga::Diagnostic| {
        let file = found.file.as_deref().map(|file| format!("{file} ")).unwrap_or_default();
        let more = [&found.label, &found.help].into_iter().flatten();
        let more = more.filter(|more| !more.starts_with("keys here: "));
        let more: String = more.map(|more| format!("; {more}")).collect();
        format!("{} {file}{}:{} {}{more}", found.code, found.line, found.column, found.message)
    };
    checked.diagnostics.iter().map(show).collect()
}

#[track_caller]
fn same(source: &str, full: &str) {
    assert_eq!(version(source, check(source)), version(full, check(full)), "{source}");
}

#[track_caller]
fn finds(source: &str, expect: &[&str]) {
    assert_eq!(found(&check(source)), expect, "{source}");
}

const TEMPLATES: &str = "templates:
  pay:
    description: Takes money
    agent: payment
    type: charge
    timeout: 10s
    inputs: {currency: EUR, amount: \"${inputs.total}\"}
    compensate: {type: refund}
";

fn file(rest: &str) -> String {
    format!("name: n\ninputs: [{{name: total, type: number}}]\n{rest}")
}

#[test]
fn a_task_that_uses_a_template_says_only_what_differs() {
    same(
        &file(&format!(
            "{TEMPLATES}tasks:\n  - {{id: p, use: pay, timeout: 5s, inputs: {{currency: CHF, note: x}}}}\n"
        )),
        &file(
            "tasks:\n  - {id: p, agent: payment, type: charge, timeout: 5s, compensate: {type: refund}, \
             inputs: {currency: CHF, amount: \"${inputs.total}\", note: x}}\n",
        ),
    );
}

#[test]
fn lists_of_inputs_are_merged_too() {
    same(
        "name: n\ntemplates: {t: {agent: x, inputs: [a, b]}}\ntasks: [{id: p, use: t, inputs: [b, c]}]",
        "name: n\ntasks: [{id: p, agent: x, inputs: [a, b, c]}]",
    );
}

#[test]
fn inputs_of_two_forms_are_refused() {
    finds(
        "name: n\ntemplates: {t: {agent: x, inputs: [a]}}\ntasks: [{id: p, use: t, inputs: {b: 1}}]",
        &[
            "E104 3:33 `inputs` must be of the form of the template's, found a map; both are merged by \
           name: write two maps, or two lists of names",
        ],
    );
}

#[test]
fn a_template_may_be_an_undo() {
    same(
        "name: n\ntemplates: {back: {agent: y, type: u}}\ntasks: [{id: p, agent: x, compensate: {use: back}}]",
        "name: n\ntasks: [{id: p, agent: x, compensate: {agent: y, type: u}}]",
    );
}

#[test]
fn a_template_that_there_is_not_is_named_with_the_nearest() {
    finds(
        &file(&format!(
            "{TEMPLATES}tasks: [{{id: p, use: pya}}, {{id: q, use: pay, inputs: {{}}}}]"
        )),
        &["E203 11:22 `pya` is not a template; did you mean `pay`?; templates here: pay"],
    );
    finds(
        "name: n\ntasks: [{id: p, use: [a]}, {id: q, use: t, agent: x}]",
        &[
            "E104 2:22 `use` must be text, found a list of 1",
            "E203 2:41 `t` is not a template; the file has no `templates`",
        ],
    );
}

#[test]
fn a_template_neither_names_its_task_nor_uses_another() {
    finds(
        "name: n\ntemplates: {t: {id: a, use: u, agent: x}, u: 5, v-w: {agent: y}}\ntasks: [{id: p, use: t}]",
        &[
            "E102 2:17 unknown key `id` in a template; the id is that of the task that uses it",
            "E102 2:24 unknown key `use` in a template; a template does not use another one: write \
             its keys out",
            "E104 2:46 `template u` must be a map, found the number 5",
            "E104 2:49 `template` must be an id, found the text \"v-w\"; letters, digits and `_`, 63 \
             at most, a letter first: `v_w`",
        ],
    );
}

#[test]
fn a_template_that_nobody_uses_is_a_warning() {
    finds(
        "name: n\ntemplates: {t: {agent: x}}\ntasks: [{id: p, agent: x}]",
        &["W07 2:13 template `t` is not used"],
    );
}

#[test]
fn what_is_wrong_in_a_template_is_said_where_it_stands_and_once() {
    finds(
        "name: n\ntemplates:\n  t: {agent: x, timeout: 5, typ: y}\ntasks: [{id: p, use: t}, {id: q, use: t}]",
        &[
            "E104 3:26 `timeout` must be a duration, found the number 5; write `5s` for 5 seconds",
            "E102 3:29 unknown key `typ` in a task; did you mean `type`?",
        ],
    );
}

#[test]
fn templates_that_are_used_too_often_are_refused() {
    let note = "n".repeat(60_000);
    let tasks: Vec<String> = (0..20).map(|at| format!("{{id: t{at}, use: t}}")).collect();
    let source = format!(
        "name: n\ntemplates: {{t: {{agent: x, inputs: {{note: {note}}}}}}}\ntasks: [{}]",
        tasks.join(", ")
    );
    let codes: Vec<&str> = check(&source).diagnostics.iter().map(|found| found.code).collect();
    assert!(codes.contains(&"E108"), "{codes:?}");
}

/// A folder of files to import.
struct Folder(BTreeMap<&'static str, String>);

impl Folder {
    fn of<const N: usize>(files: [(&'static str, &str); N]) -> Self {
        Self(files.map(|(path, text)| (path, text.to_owned())).into())
    }

    fn load(&self) -> impl Fn(&str) -> Result<String, String> + '_ {
        |path| self.0.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }

    #[track_caller]
    fn finds(&self, source: &str, expect: &[&str]) {
        let checked = check_with(source, &self.load());
        assert_eq!(found(&checked), expect, "{source}");
    }
}

const MONEY: &str = "# Tasks of the bank.
templates:
  pay: {agent: payment, type: charge, inputs: {currency: EUR}, compensate: refund}
  look: {agent: payment, type: look}
";

const ORDER: &str = "name: n
imports: {money: common/money.yaml}
templates:
  tell: {agent: mail}
tasks:
  - {id: p, use: money.pay, inputs: {amount: 3}}
  - {id: t, use: tell, kind: readonly, inputs: {}, depends_on: [p]}
";

#[test]
fn a_file_is_bundled_with_what_it_uses_of_its_imports() {
    let folder = Folder::of([("common/money.yaml", MONEY)]);
    let bundled = bundle(ORDER, &folder.load()).unwrap();
    let full = "name: n\ntasks: [{id: p, agent: payment, type: charge, inputs: {currency: EUR, amount: 3}, \
                compensate: refund}, {id: t, agent: mail, kind: readonly, inputs: {}, depends_on: [p]}]";
    let expect = version(full, check(full));
    assert_eq!(version(ORDER, check_with(ORDER, &folder.load())), expect);
    assert_eq!(version(&bundled, check(&bundled)), expect);
    insta::assert_snapshot!("bundled", bundled);
    // Once bundled, there is nothing more to put in.
    assert_eq!(bundle(&bundled, &Folder::of([]).load()).unwrap(), bundled);
    let alone = "name: n # as it is\ntasks: [{id: a, agent: x}]\n";
    assert_eq!(bundle(alone, &Folder::of([]).load()).unwrap(), alone);
}

#[test]
fn a_file_that_imports_does_not_stand_alone() {
    finds(
        "name: n\nimports: {m: m.yaml}\ntasks: [{id: p, use: m.pay}]",
        &["E108 2:1 the file has `imports`, and stands here without the files that it names; \
             `pavane check` and `pavane deploy` put them in"],
    );
}

#[test]
fn a_path_stays_in_the_folder() {
    let what = "must be a relative path that stays in the folder of the saga file";
    for path in
        ["/etc/x.yaml", "../x.yaml", "a/../../x.yaml", "c:/x.yaml", "'a\\b.yaml'", "''", "a/.."]
    {
        let source = format!("name: n\nimports: {{m: {path}}}\ntasks: [{{id: p, agent: x}}]");
        let checked = check_with(&source, &Folder::of([]).load());
        let found = found(&checked);
        assert!(found.len() == 1 && found[0].contains(what), "{path}: {found:?}");
    }
    // One that leaves a folder and comes back does.
    let folder = Folder::of([
        ("a/b/c.yaml", "imports: {d: ../d.yaml}\ntemplates: {t: {agent: x}}"),
        ("a/d.yaml", "templates: {u: {agent: y}}"),
    ]);
    let source = "name: n\nimports: {c: ./a/x/../b//c.yaml}\ntasks: [{id: p, use: c.t}]";
    folder.finds(source, &[]);
}

#[test]
fn imports_that_there_are_not_and_circles_are_refused() {
    let folder = Folder::of([
        ("a.yaml", "imports:\n  b: b.yaml\ntemplates: {t: {agent: x}}"),
        ("b.yaml", "templates: {u: {agent: y}}\nimports: {a: a.yaml, c: c.yaml}"),
    ]);
    let missing = |at: &str, path: &str| {
        let help = "its path is relative to the folder of the file that imports it";
        format!("E108 {at} import `{path}` not found; no such file; {help}")
    };
    folder.finds(
        "name: n\nimports: {a: a.yaml, d: d.yaml}\ntasks: [{id: p, use: a.t}]",
        &[
            &missing("2:25", "d.yaml"),
            "E108 b.yaml 2:14 imports in a circle: a.yaml → b.yaml → a.yaml",
            &missing("b.yaml 2:25", "c.yaml"),
        ],
    );
}

#[test]
fn findings_in_an_imported_file_name_it() {
    let folder = Folder::of([(
        "sub/m.yaml",
        "# äöü\nspeling: 1\ntemplates:\n  t: {agent: x, tmeout: 5s}\n  u: {agent: y}\n",
    )]);
    let source = "name: n\nimports: {m: sub/m.yaml}\ntasks: [{id: p, use: m.t}, {id: q, use: m.w}]";
    let checked = check_with(source, &folder.load());
    let said = found(&checked);
    assert_eq!(
        said[0],
        "E203 3:41 `m.w` is not a template; did you mean `m.t`?; templates here: m.t"
    );
    assert!(
        said[1].starts_with("E102 sub/m.yaml 2:1 unknown key `speling` in the file"),
        "{said:?}"
    );
    assert_eq!(
        said[2],
        "E102 sub/m.yaml 4:17 unknown key `tmeout` in a task; did you mean `timeout`?"
    );
    let text = render("sagas/order.yaml", source, &checked, Colour::None);
    assert!(text.contains("sagas/sub/m.yaml:4:17"), "{text}");
    assert!(text.contains("t: {agent: x, tmeout: 5s}"), "{text}");
    let json = saga::to_json("sagas/order.yaml", &checked);
    assert_eq!(json[2]["file"], "sagas/sub/m.yaml");
}

#[test]
fn an_import_without_use_is_a_warning() {
    let folder = Folder::of([("m.yaml", MONEY), ("e.yaml", "{}")]);
    folder.finds(
        "name: n\nimports: {m: m.yaml, e: e.yaml}\ntasks: [{id: p, agent: x}]",
        &[
            "W07 2:11 import `m` is not used",
            "W07 2:22 import `e` is not used",
            "W07 2:25 `e.yaml` has no `templates`, so nothing can be imported from it",
        ],
    );
}

#[test]
fn an_import_that_is_not_yaml_says_where() {
    let folder = Folder::of([("m.yaml", "templates:\n  é: {\n")]);
    let source = "name: n\nimports: {m: m.yaml}\ntasks: [{id: p, use: m.t}]";
    let checked = check_with(source, &folder.load());
    assert!(checked.plan.is_none());
    assert!(found(&checked).iter().any(|said| said.starts_with("E101 m.yaml 3:1")), "{checked:?}");
    assert!(bundle(source, &folder.load()).is_err());
}
