use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn scope() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        (
            "inputs",
            json!({
                "total": 129.5, "count": 3, "name": "Ada", "big": 18_446_744_073_709_551_615_u64,
                "lines": [{"sku": "a", "n": 2}, {"sku": "b", "n": 1}], "flag": true, "none": null,
                "map": {"z": 1, "a": 2, "m": 3}
            }),
        ),
        ("tasks", json!({"pay": {"output": {"id": "p-1"}, "status": "done"}})),
        ("original", json!({"output": null, "status": "in_doubt"})),
    ])
}

/// One line an expression: its text, then the value or the error.
fn check(expression: &str, expect: Value) {
    let value = Expr::compile(expression).and_then(|expr| expr.eval(&scope()));
    assert_eq!(value, Ok(expect), "{expression}");
}

fn fails(expression: &str, expect: &str) {
    let error = Expr::compile(expression).and_then(|expr| expr.eval(&scope())).unwrap_err();
    assert!(error.to_string().contains(expect), "{expression}: {error}");
}

#[test]
fn an_expression_has_the_value_that_cel_gives_it() {
    check("inputs.total", json!(129.5));
    check("inputs.total > 100", json!(true));
    check("inputs.count == 3.0", json!(true));
    check("inputs.count + 1", json!(4));
    check("inputs.big", json!(18_446_744_073_709_551_615_u64));
    check("inputs[\"name\"] + '!'", json!("Ada!"));
    check("inputs.lines.map(l, l.sku)", json!(["a", "b"]));
    check("inputs.lines.exists(l, l.n > 1) && inputs.flag", json!(true));
    check("inputs.lines[0].sku", json!("a"));
    check("inputs.lines.map(l, [1, 2].map(i, i * l.n))", json!([[2, 4], [1, 2]]));
    check("size(inputs.lines)", json!(2));
    check("{'a': inputs.count, 'b': [1, 2.5]}", json!({"a": 3, "b": [1, 2.5]}));
    check("inputs.none == null", json!(true));
    check("string(inputs.count)", json!("3"));
    check("inputs.flag ? tasks.pay.output.id : ''", json!("p-1"));
}

#[test]
fn has_asks_whether_a_field_is_there() {
    check("has(inputs.name)", json!(true));
    check("has(inputs.other)", json!(false));
    check("has(original.output.id) ? original.output.id : 'none'", json!("none"));
    check("original.output == null", json!(true));
}

#[test]
fn the_functions_of_the_language_work_as_calls_and_as_methods() {
    check("sum(inputs.lines.map(l, l.n))", json!(3));
    check("sum([1, 2.5])", json!(3.5));
    check("min(3, 1.5)", json!(1.5));
    check("max([3, 1, 2])", json!(3));
    check("['a', 'b'].join('-')", json!("a-b"));
    check("split('a,b', ',')", json!(["a", "b"]));
    check("inputs.name.lower() + upper('x')", json!("adaX"));
    check("' a '.trim()", json!("a"));
    check("'2026-11-22T10'.substring(0, 10)", json!("2026-11-22"));
    check("substring('äöü', 1)", json!("öü"));
    check("json({'b': 1, 'a': 2})", json!("{\"a\":2,\"b\":1}"));
    check("parse_json('[1]')[0]", json!(1));
    check(
        "sha256('abc')",
        json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    );
    check("merge({'a': 1, 'b': 1}, {'b': 2})", json!({"a": 1, "b": 2}));
}

#[test]
fn a_loop_over_a_map_goes_by_the_order_of_its_keys() {
    check("inputs.map.map(k, k)", json!(["a", "m", "z"]));
    check("{'q': 1, 'b': 2, 'x': 3}.map(k, k).join()", json!("bqx"));
}

#[test]
fn an_error_names_the_expression_the_reason_and_the_values() {
    fails("inputs.count + inputs.name", "`inputs.count + inputs.name`: ");
    fails("inputs.count + inputs.name", "inputs.count = 3, inputs.name = \"Ada\"");
    fails("inputs.nmae", "`inputs` has no field `nmae`");
    fails("inputs.name.x", "`inputs.name` is the text \"Ada\" and has no field `x`");
    fails("tasks.other.output == 1", "there is no field `other`");
    fails("1 / 0", "division by zero");
    fails("9223372036854775807 + 1", "does not fit into 64 bits");
    fails("1.0 / 0.0", "no number in JSON");
    fails("inputs.lines[7]", "inputs.lines");
    fails("nobody.x", "`nobody` does not stand for anything here");
    fails("lower(3)", "lower: it wants text, found the number 3");
    fails("parse_json('{')", "parse_json: not JSON");
    fails("b'abc'", "of type bytes");
    fails("{1: 2}", "a map's keys must be text");
}

#[test]
fn what_can_not_work_is_refused_before_it_runs() {
    fails("", "nothing to compute");
    fails("1 +", "`1 +`: ");
    fails("'abc", "a text is not closed");
    fails("lowr('x')", "there is no function `lowr`; did you mean `lower`?");
    fails("trim('a', 'b')", "`trim` takes 1 arguments, not 2");
    fails("'a'.matches('b')", "not in this build");
    fails("Foo{a: 1}", "there is no type `Foo`");
    fails("inputs.?name", "unsupported syntax");
}

#[test]
fn an_expression_is_bounded() {
    fails(&"1".repeat(5000), "it has 5000 bytes, 4096 at most");
    fails(&"(".repeat(2000), "nested too deep");
    fails(&format!("a{}", ".a".repeat(2000)), "nested too deep");
    fails(&format!("[a][0]{}", ".a".repeat(90)), "nested more than 24 levels deep");
    fails(&format!("1{}", "+1".repeat(50)), "nested more than 24 levels deep");
    fails(&"1+".repeat(2000), "nested too deep");
    fails(&"-".repeat(2000), "nested too deep");
    fails(&"a?b:".repeat(1000), "nested too deep");
    fails(&format!("[{}0]", "0,".repeat(1500)), "more than 1000 parts");
    fails("[1].map(a, [1].map(b, [1].map(c, c)))", "loops are nested more than 2 deep");
    let long: Vec<u32> = (0..10_001).collect();
    let scope = BTreeMap::from([("inputs", json!({"long": long, "text": "x".repeat(300_000)}))]);
    let thousands: Vec<u32> = (0..2_000).collect();
    let scope_of_loops = BTreeMap::from([("inputs", json!({"l": thousands}))]);
    let loops = Expr::compile("inputs.l.map(a, inputs.l.map(b, 0))").unwrap();
    let error = loops.eval(&scope_of_loops).unwrap_err();
    assert!(error.to_string().contains("more than 1000000 turns"), "{error}");
    for (expression, expect) in
        [("size(inputs.long)", "a list of 10001"), ("inputs.text + 'x'", "more than 256 KiB")]
    {
        let error = Expr::compile(expression).unwrap().eval(&scope).unwrap_err();
        assert!(error.to_string().contains(expect), "{expression}: {error}");
    }
    // A bare path computes nothing and passes on what it names.
    assert_eq!(Expr::compile("inputs.text").unwrap().eval(&scope).unwrap(), "x".repeat(300_000));
}

#[test]
fn what_the_bounds_let_through_fits_on_a_small_stack() {
    let deepest = [
        format!("a{}", ".a".repeat(98)),
        format!("1{}", "+1".repeat(23)),
        format!("{}1{}", "size(".repeat(12), ")".repeat(12)),
        format!("{}1{}", "[1][".repeat(12), "]".repeat(12)),
        format!("[1].map(a, [1].map(b, {}a{}))", "-(".repeat(18), ")".repeat(18)),
        format!("{}1{}", "(".repeat(22), ")".repeat(22)),
        format!("{}1{}", "[".repeat(22), "]".repeat(22)),
        "a?b:".repeat(20) + "c",
        format!("{}true", "!".repeat(98)),
        format!("true{}", " && true".repeat(300)),
        format!("{}1{}{}", "(".repeat(22), "+1)".repeat(22), "+1".repeat(50)),
    ];
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let run = move || {
        for text in deepest {
            // Whether it has a value is not the question: parsing and running it come to an end.
            let _ = Expr::compile(&text).map(|expr| expr.eval(&scope()));
        }
    };
    thread.spawn(run).unwrap().join().unwrap();
}

#[test]
fn in_a_text_a_value_becomes_text_unless_it_has_none() {
    let piece = |text: &str| Piece::Computed(Expr::compile(text).unwrap());
    let text = |expression| {
        Template::Text(vec![Piece::Plain("n=".into()), piece(expression)]).eval(&scope())
    };
    assert_eq!(text("inputs.count"), Ok(json!("n=3")));
    assert_eq!(text("inputs.flag"), Ok(json!("n=true")));
    for expression in ["inputs.none", "inputs.lines", "inputs.map"] {
        let error = text(expression).unwrap_err();
        assert!(error.reason.contains("can not stand within a text"), "{error}");
    }
}

#[test]
fn the_paths_that_are_read_are_known() {
    let expr =
        Expr::compile("inputs.a + tasks.t.output['x'].y + [1].map(i, i + inputs.b)[0]").unwrap();
    let paths: Vec<String> = expr.paths().iter().map(|path| path.join(".")).collect();
    assert_eq!(paths, ["inputs.a", "tasks.t.output.x.y", "inputs.b"]);
}
