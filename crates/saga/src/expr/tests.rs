use std::collections::BTreeMap;

use events::Json;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::limits::RESULT_DEPTH_MAX;

fn scope() -> BTreeMap<&'static str, Value> {
    BTreeMap::from([
        (
            "inputs",
            json!({
                "total": 129.5, "count": 3, "name": "Ada", "big": 18_446_744_073_709_551_615_u64,
                "lines": [{"sku": "a", "n": 2}, {"sku": "b", "n": 1}], "flag": true, "none": null,
                "map": {"z": 1, "a": 2, "m": 3}, "at": "2026-02-28T23:30:00.250Z"
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
fn the_standard_functions_and_macros_are_all_there() {
    check("size('äöü') + size([1]) + size({'a': 1}) + [1, 2].size()", json!(7));
    check("2 in [1, 2.0] && 'a' in {'a': 1} && !(3 in [])", json!(true));
    check("'abc'.startsWith('ab') && 'abc'.endsWith('bc') && 'abc'.contains('b')", json!(true));
    check("[int('7'), int(7.9), int(-7.9), int(3u)]", json!([7, 7, -7, 3]));
    check("[double('1.5'), double(2)]", json!([1.5, 2.0]));
    check("[string(1), string(1.5), string(2.0), string(true)]", json!(["1", "1.5", "2", "true"]));
    check("bool('true') && !bool('false')", json!(true));
    check("uint(3) == 3u && string(bytes('a')) == 'a' && dyn(1) == 1", json!(true));
    check("type(1) == int && type(1.5) == double && type('') == string", json!(true));
    check("type([]) == list && type({}) == map && type(null) == null_type", json!(true));
    check("type(timestamp(0)) == google.protobuf.Timestamp", json!(true));
    check("type(duration('1s')) == google.protobuf.Duration", json!(true));
    check("[1, 2].all(n, n > 0) && [1, 2].exists(n, n > 1)", json!(true));
    check("[1, 2, 2].exists_one(n, n == 1) && ![1, 2, 2].exists_one(n, n == 2)", json!(true));
    check("[1, 2, 3].filter(n, n % 2 == 1).map(n, n * n)", json!([1, 9]));
    check("[1, 2, 3].map(n, n > 1, -n)", json!([-2, -3]));
    check("[1] + [2, 'a'] == [1, 2, 'a']", json!(true));
    check("has({'a': 1}.a) ? 'yes' : 'no'", json!("yes"));
}

#[test]
fn numbers_compare_and_compute_with_one_another() {
    check("1000.5 > 1000 && 2000 > 1000.5 && 2 == 2.0 && 1 <= 1.0", json!(true));
    check("inputs.count * 1.5", json!(4.5));
    check("1.5 * inputs.count + 1 - 0.5", json!(5.0));
    check("inputs.total / 2", json!(64.75));
    check("7 / 2", json!(3));
    check("7 / 2.0", json!(3.5));
    check("7 % 2", json!(1));
    check("inputs.lines.map(l, l.n * 0.5)", json!([1.0, 0.5]));
    fails("7.5 % 2", "`%` does not take double and int");
    fails("1 + 'a'", "`+` does not take int and string");
    fails("'a' - 'b'", "`-` does not take string and string");
}

#[test]
fn what_is_declared_a_number_is_a_double() {
    let number = Type::Number;
    let lists = Type::Record(vec![("all".into(), Type::List(Box::new(Type::Number)), true)]);
    let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
    let scope =
        BTreeMap::from([("inputs", json!({"a": 2, "b": 2, "of": {"all": [1, 2], "n": 3}}))]);
    let value = |text: &str| {
        let expr = Expr::compile(text).unwrap();
        let types = [("inputs.a", number.clone()), ("inputs.of", lists.clone())];
        expr.declare(types.map(|(text, of)| (path(text), of)).to_vec());
        expr.eval(&scope).unwrap()
    };
    assert_eq!(value("inputs.a / 4"), json!(0.5));
    assert_eq!(value("inputs.b / 4"), json!(0));
    assert_eq!(value("inputs.a * 1.5"), json!(3.0));
    assert_eq!(value("inputs.a > 1 && inputs.a == 2"), json!(true));
    assert_eq!(value("inputs.of.all.map(n, n / 2)"), json!([0.5, 1.0]));
    assert_eq!(
        value("inputs.of == inputs.of ? inputs.of : {}"),
        json!({"all": [1.0, 2.0], "n": 3})
    );
    // Nothing is computed: it is passed on as it came.
    assert_eq!(value("inputs.a").to_string(), "2");
}

#[test]
fn times_and_durations_are_computed_with() {
    check("timestamp('2026-11-22T10:00:00Z')", json!("2026-11-22T10:00:00.000Z"));
    check("timestamp('2026-11-22T12:00:00.1239+02:00')", json!("2026-11-22T10:00:00.123Z"));
    check("timestamp(inputs.at) + duration('2h')", json!("2026-03-01T01:30:00.250Z"));
    check("duration('2h') + timestamp(inputs.at)", json!("2026-03-01T01:30:00.250Z"));
    check("timestamp(inputs.at) - duration('1d')", json!("2026-02-27T23:30:00.250Z"));
    check("timestamp('2026-11-22T10:00:00Z') - timestamp(inputs.at)", json!("266d10h29m59s750ms"));
    check("timestamp(inputs.at) - timestamp('2026-03-01T00:00:00Z')", json!("-29m59s750ms"));
    check("duration('1h') + duration('90m') - duration('1m')", json!("2h29m"));
    check(
        "[duration('1.5h'), duration('-1.5s'), duration('1ms500us'), duration('0')]",
        json!(["1h30m", "-1s500ms", "1ms", "0s"]),
    );
    check("duration('90m') == duration('1h30m') && duration('1h') < duration('61m')", json!(true));
    check("timestamp(inputs.at) > timestamp('2026-02-28T23:30:00+01:00')", json!(true));
    check("timestamp(timestamp(1)) == timestamp('1970-01-01T00:00:01Z')", json!(true));
    check("int(timestamp('1969-12-31T23:59:59.5Z'))", json!(-1));
    check(
        "'at ' + string(timestamp(0)) + ' for ' + string(duration('90s'))",
        json!("at 1970-01-01T00:00:00.000Z for 1m30s"),
    );
    check("max(duration('1h'), duration('90m'))", json!("1h30m"));
    check("min([timestamp(2), timestamp(1)])", json!("1970-01-01T00:00:01.000Z"));
    check(
        "[1, 2].map(n, [timestamp(n)].map(t, t + duration('1s')))",
        json!([["1970-01-01T00:00:02.000Z"], ["1970-01-01T00:00:03.000Z"]]),
    );
    check("timestamp('2026-11-22T10:00:00Z') == '2026-11-22T10:00:00Z'", json!(false));
    fails("timestamp(inputs.at) + 1", "`+` does not take timestamp and int");
    fails("1 + timestamp(inputs.at)", "`+` does not take int and timestamp");
    fails("timestamp(inputs.at) < inputs.at", "`<` does not take timestamp and string");
    fails(
        "timestamp(inputs.at) + timestamp(inputs.at)",
        "`+` does not take timestamp and timestamp",
    );
    fails("duration('1h') * 2", "`*` does not take duration and int");
    fails("max(timestamp(0), 1)", "`max` does not take timestamp and int");
    fails("timestamp(inputs.name)", "timestamp: a time such as 2026-11-22T10:00:00Z is wanted");
    fails("timestamp('9999-12-31T23:59:59Z') + duration('1s')", "not within the years 1 to 9999");
    fails("timestamp(9223372036854775807)", "not within the years 1 to 9999");
    fails("duration('922337203685477580s')", "longer than 10000 years");
    fails("timestamp(true)", "`timestamp` does not take bool");
    for text in ["", "-", "1", "h", "1.h", ".5h", "1h ", "1 h", "--1h", "1hh", "1H", "1e3s"] {
        fails(&format!("duration('{text}')"), "a duration such as 1h30m is wanted");
    }
}

#[test]
fn a_time_has_its_fields_in_utc_or_at_an_offset() {
    let fields = "getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours \
                  getMinutes getSeconds getMilliseconds";
    for (zone, expect) in [
        ("", [2026, 1, 28, 27, 6, 58, 23, 30, 0, 250]),
        ("'UTC'", [2026, 1, 28, 27, 6, 58, 23, 30, 0, 250]),
        ("'+02:00'", [2026, 2, 1, 0, 0, 59, 1, 30, 0, 250]),
        ("'-05:45'", [2026, 1, 28, 27, 6, 58, 17, 45, 0, 250]),
    ] {
        for (field, expect) in fields.split_whitespace().zip(expect) {
            check(&format!("timestamp(inputs.at).{field}({zone})"), json!(expect));
        }
    }
    check("timestamp('0001-01-01T00:00:00Z').getFullYear('-01:00')", json!(0));
    check(
        "[duration('25h30m1s5ms')].map(d, [d.getHours(), d.getMinutes(), d.getSeconds()])[0]",
        json!([25, 1530, 91_801]),
    );
    check("duration('-1s500ms').getMilliseconds()", json!(-1500));
    for zone in ["Z", "utc", "+2", "+02:60", "+24:00", "02:0", "+-2:00", "Europe/Berlin", "local"] {
        fails(
            &format!("timestamp(0).getHours('{zone}')"),
            "time zones by name are not in this build",
        );
    }
    fails("timestamp(0).getHours(inputs.name)", "getHours: time zones by name are not");
    fails("timestamp(0).getHours(2)", "`getHours` does not take timestamp and int");
    fails("inputs.at.getHours()", "`getHours` does not take string");
}

#[test]
fn a_pattern_matches_a_part_of_a_text() {
    check("'foobar'.matches('o+b') && matches('foobar', '^[a-z]*$')", json!(true));
    check("inputs.name.matches('^[0-9]+$') || inputs.name.matches('(?i)^ADA$')", json!(true));
    check(r"'ada@example.org'.matches('^\\w+@[\\w.]+$')", json!(true));
    check(r"inputs.lines.all(l, l.sku.matches(r'^\p{L}$'))", json!(true));
    check("inputs.lines.filter(l, l.sku.matches('^a'))[0].n", json!(2));
    check(r"'a_1 é'.matches(r'^\w{3,20}\s\W$') && !'٣'.matches(r'\d')", json!(true));
    check(r"['\\d', '5-'].map(t, t.matches(r'^(\\d|[\d-]{2}|\bx)$'))", json!([true, true]));
    fails("inputs.count.matches('3')", "`matches` does not take int");
    // What takes a backtracking engine years.
    let scope = BTreeMap::from([("inputs", json!({"t": "a".repeat(60_000)}))]);
    let expr = Expr::compile("inputs.t.matches('^(a+)+b$')").unwrap();
    assert_eq!(expr.eval(&scope), Ok(json!(false)));
    let scope = BTreeMap::from([("inputs", json!({"t": "a".repeat(70_000)}))]);
    let error = expr.eval(&scope).unwrap_err();
    assert!(error.to_string().contains("the text has 70000 bytes, 65536 at most"), "{error}");
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
    fails("timestmp('x')", "did you mean `timestamp`?");
    fails("'a'.matches()", "takes a text and a pattern, not 1 arguments");
    fails("'a'.matches('a' + 'b')", "must stand here as text, not be computed");
    fails("'a'.matches('(b')", "the pattern \"(b\" is not one: unclosed group");
    fails(r"'a'.matches(r'\Ba')", "`\\B` is not in this build");
    fails("'a'.matches('(?=b)')", "look-around");
    fails("'a'.matches('(a{100}){100}')", "takes more than 256 KiB");
    fails(&format!("'a'.matches('{}')", "a".repeat(600)), "has 600 bytes, 512 at most");
    fails("timestamp('2026-11-22')", "2026-11-22T10:00:00Z is wanted, found the text");
    fails("timestamp('0000-12-31T23:59:59Z')", "not within the years 1 to 9999");
    fails("duration('1y')", "such as 1h30m is wanted, found the text \"1y\"");
    fails("timestamp(saga.now).getHours('Europe/Berlin')", "time zones by name are not in this");
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
    assert_eq!(text("inputs.count * 1.0"), Ok(json!("n=3")));
    assert_eq!(text("-0.0"), Ok(json!("n=0")));
    assert_eq!(text("inputs.total"), Ok(json!("n=129.5")));
    assert_eq!(text("timestamp(0)"), Ok(json!("n=1970-01-01T00:00:00.000Z")));
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

/// What a workflow holds: JSON as text, by the names that expressions give it.
#[derive(Debug)]
struct Texts {
    inputs: Json,
    output: Json,
}

impl Scope for Texts {
    fn root(&self, name: &str, _: &BTreeSet<String>) -> Option<Value> {
        match name {
            "inputs" => Some(self.inputs.value()),
            "tasks" => Some(json!({"t": {"output": self.output.value()}})),
            _ => None,
        }
    }

    fn text(&self, path: &[String]) -> Option<&str> {
        match path {
            [root, fields @ ..] if root == "inputs" => self.inputs.at(fields),
            [root, t, output, fields @ ..] if root == "tasks" && t == "t" && output == "output" => {
                self.output.at(fields)
            }
            _ => None,
        }
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("no JSON", |it| it.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        (RESULT_DEPTH_MAX - 3..RESULT_DEPTH_MAX + 1)
            .prop_map(|by| (0..by).fold(Value::Null, |value, _| json!([value]))),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("a|b|é|\"|\\\\|,", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn templates() -> impl Strategy<Value = Template> {
    let path = "(inputs|tasks\\.t\\.output)(\\.a|\\.b|\\[\"(é|,|\\\\\"|none)\"\\]){0,2}";
    let computed = path.prop_map(|path| Expr::compile(&path).unwrap());
    let pieces =
        computed.clone().prop_map(|expr| vec![Piece::Plain("=".into()), Piece::Computed(expr)]);
    let sum = Just("size([1]) + 1").prop_map(|text| Expr::compile(text).unwrap());
    let leaf = prop_oneof![
        4 => values().prop_map(Template::Constant),
        8 => computed.prop_map(Template::Computed),
        1 => sum.prop_map(Template::Computed),
        1 => pieces.prop_map(Template::Text),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let member = ("a|b|c|é|\"|\\\\", inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Template::List),
            prop::collection::vec(member, 0..4).prop_map(Template::Map),
        ]
    })
}

/// Whether it computes nothing, and names nothing that JSON would escape or that comes twice.
fn is_copied(template: &Template) -> bool {
    let is_plain = |name: &str| !name.contains(['"', '\\']);
    match template {
        Template::Constant(_) => true,
        Template::Computed(expr) => {
            expr.only_path().is_some_and(|path| path.iter().all(|name| is_plain(name)))
        }
        Template::Text(_) => false,
        Template::List(list) => list.iter().all(is_copied),
        Template::Map(map) => {
            let names: BTreeSet<&String> = map.iter().map(|(name, _)| name).collect();
            let fine = |(name, each): &(String, Template)| is_plain(name) && is_copied(each);
            names.len() == map.len() && map.iter().all(fine)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_copied_is_what_is_computed(
        template in templates(),
        inputs in values(),
        output in values(),
    ) {
        let scope = Texts { inputs: Json::from_value(&inputs), output: Json::from_value(&output) };
        let computed = template.eval(&scope).ok().map(|value| value.to_string());
        let copied = template.text(&scope);
        prop_assert!(copied.is_none() || copied == computed, "{copied:?}, not {computed:?}");
        if is_copied(&template) {
            prop_assert_eq!(&copied, &computed);
        }
        if let Template::Map(map) = &template {
            let members = map.iter().map(|(name, each)| (name.as_str(), each));
            let copied = map_text(members, &scope);
            prop_assert!(copied.is_none() || copied == computed, "{copied:?}, not {computed:?}");
        }
    }
}
