//! Any heap of the pieces of short forms, templates and imports is taken, and a file that is sound with
//! its imports is the same saga once they are put in.

use proptest::prelude::*;
use saga::{Colour, Source, bundle, check, check_all, render};

const PIECES: [&str; 30] = [
    "workflow_dsl:\n",
    "scenario: s\n",
    "workflow:\n",
    "choreography: [",
    "templates:\n",
    "  t: {agent: x}\n",
    "imports: {m: m.yaml}\n",
    "imports: {m: n.yaml, o: ../x}\n",
    "tasks: [{id: p, use: m.t}, {id: q, use: t}]\n",
    "tasks:\n",
    "  - a: do_it\n",
    "  - a_b: Some prose\n",
    "  - parallel:\n",
    "    - c: d\n",
    "  - e: {sequential: [f: g, {id: h, agent: x}]}\n",
    "  - l: {conditional: [{if_valid: m}, {if_invalid: n}]}\n",
    "  - conditional: [if_x: y]\n",
    "  - compensation: Undo all\n",
    "  - {id: i, use: m.t, inputs: [v]}\n",
    "  - {id: j, use: t, inputs: {v: 1}}\n",
    "  - {id: k, agent: x, compensate: {use: m.u}}\n",
    "  - {id: r, choice: [{else: [s: t]}]}\n",
    "use: t\n",
    "  ",
    "    ",
    "]",
    "\n",
    "ä: ",
    "{}",
    "- ",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_heap_of_pieces_is_taken(
        file in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..12),
        other in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..4),
    ) {
        let (file, other) = (file.concat(), format!("templates:\n  t: {{agent: y}}\n{}", other.concat()));
        let load = |path: &str| {
            let found = path == "m.yaml";
            found.then(|| other.clone()).ok_or_else(|| "no such file".to_owned())
        };
        let steps: String = file.split_inclusive('\n').filter(|line| line.contains("- ")).collect();
        let head = "name: n\ntemplates: {t: {agent: x}}\nimports: {m: m.yaml}";
        for text in [file.clone(), format!("name: n\n{file}"), format!("{head}\nworkflow:\n{steps}")] {
            let checked = check_all(&[Source { text: &text, load: &load }]).remove(0);
            for found in &checked.diagnostics {
                let source = found.file.as_ref().map_or(&text, |path| &checked.imported[path]);
                prop_assert!(source.get(found.span.0..found.span.1).is_some(), "{found:?} of {text:?}");
            }
            let _ = render("any.yaml", &text, &checked, Colour::Ansi);
            let Some(plan) = checked.plan else { continue };
            let bundled = bundle(&text, &load).unwrap();
            let again = check(&bundled);
            let version = again.plan.as_ref().map(|plan| plan.version.clone());
            prop_assert_eq!(version, Some(plan.version), "{:?} became {:?}: {:?}", text, bundled, again);
        }
    }
}
