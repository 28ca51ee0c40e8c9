//! The functions that an expression may call: CEL's own and those of docs/reference/saga-file.md.

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{Expr, IdedExpr, operators};
use cel::common::functions::Function;
use cel::common::types::{CelList, CelMap, CelString, DYN_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::bounds::Offsets;
use super::tree::{children, literal_text};
use super::{arithmetic, calendar, convert, loops, patterns, times};

/// What a loop goes over; no name that a file could write.
pub(super) const EACH: &str = "@each";

/// Ours: name, how many arguments, what it does.
const OURS: [(&str, &[usize], Function); 13] = [
    ("sum", &[1], |args| call("sum", &args, sum)),
    ("min", &[1, 2], |args| extreme("min", args, Ordering::Less)),
    ("max", &[1, 2], |args| extreme("max", args, Ordering::Greater)),
    ("join", &[1, 2], |args| call("join", &args, join)),
    ("split", &[2], |args| call("split", &args, split)),
    ("lower", &[1], |args| call("lower", &args, |args| Ok(text(args, 0)?.to_lowercase().into()))),
    ("upper", &[1], |args| call("upper", &args, |args| Ok(text(args, 0)?.to_uppercase().into()))),
    ("trim", &[1], |args| call("trim", &args, |args| Ok(text(args, 0)?.trim().into()))),
    ("substring", &[2, 3], |args| call("substring", &args, substring)),
    ("json", &[1], |args| call("json", &args, |args| Ok(value(args, 0)?.to_string().into()))),
    ("parse_json", &[1], |args| call("parse_json", &args, parse_json)),
    ("sha256", &[1], |args| call("sha256", &args, |args| Ok(hash(text(args, 0)?).into()))),
    ("merge", &[2], |args| call("merge", &args, merge)),
];

/// CEL's own, beside what it asks of times and durations.
const STANDARD: [&str; 15] = [
    "size",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "dyn",
    "type",
    "contains",
    "startsWith",
    "endsWith",
    patterns::MATCHES,
    "timestamp",
    "duration",
];

/// The functions, which are the same for every expression.
pub(super) fn environment() -> Arc<Env> {
    static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(build()));
    Arc::clone(&ENVIRONMENT)
}

fn build() -> Env {
    let mut env = Env::stdlib().with_optional_support(false);
    for (name, arities, function) in OURS {
        for arity in arities {
            let types = |count: usize| (0..count).map(|_| DYN_TYPE).collect::<Vec<_>>();
            let global =
                env.add_overload(name, &format!("{name}_{arity}"), types(*arity), function);
            let member = format!("{name}_member_{arity}");
            let member =
                env.add_member_overload(name, &member, DYN_TYPE, types(arity - 1), function);
            assert!(global.is_ok() && member.is_ok(), "the function {name} is declared once");
        }
    }
    let each = env.add_overload(EACH, "each", vec![DYN_TYPE], each);
    assert!(each.is_ok(), "{EACH} is declared once");
    arithmetic::declare(&mut env);
    calendar::declare(&mut env);
    loops::declare(&mut env);
    patterns::declare(&mut env);
    env
}

/// Refuses calls of what there is not, of ours with the wrong number of arguments, and of CEL's with a
/// text that can not be what it is to be.
pub(super) fn check_calls(node: &IdedExpr, offsets: &Offsets) -> Result<(), (usize, String)> {
    if let Expr::Call(call) = &node.expr {
        let given = call.args.len() + usize::from(call.target.is_some());
        let text = call.args.first().and_then(literal_text).filter(|_| call.args.len() == 1);
        let checked = check_call(&call.func_name, given)
            .and_then(|()| text.map_or(Ok(()), |text| calendar::check(&call.func_name, text)));
        if let Err(reason) = checked {
            // The parser places a call at its bracket, which the name stands before.
            let bracket = offsets.get(&node.id).copied().unwrap_or(0);
            return Err((bracket.saturating_sub(call.func_name.len()), reason));
        }
    }
    children(node).into_iter().try_for_each(|child| check_calls(child, offsets))
}

fn check_call(name: &str, given: usize) -> Result<(), String> {
    if is_operator(name) || STANDARD.contains(&name) || calendar::names().any(|it| it == name) {
        return Ok(());
    }
    if let Some((_, arities, _)) = OURS.iter().find(|(ours, ..)| *ours == name) {
        if arities.contains(&given) {
            return Ok(());
        }
        let wanted: Vec<String> = arities.iter().map(ToString::to_string).collect();
        return Err(format!("`{name}` takes {} arguments, not {given}", wanted.join(" or ")));
    }
    let ours = OURS.iter().map(|(name, ..)| *name);
    let known = ours.chain(STANDARD).chain(calendar::names()).chain(["has"]);
    Err(match crate::definition::nearest(name, known) {
        Some(near) => format!("there is no function `{name}`; did you mean `{near}`?"),
        None => format!("there is no function `{name}`"),
    })
}

fn is_operator(name: &str) -> bool {
    const NAMED: [&str; 5] = [
        operators::CONDITIONAL,
        operators::NEGATE,
        operators::LOGICAL_NOT,
        operators::NOT_STRICTLY_FALSE,
        operators::INDEX,
    ];
    NAMED.contains(&name)
        || name == operators::IN
        || name.strip_prefix('_').is_some_and(|rest| {
            let sign = rest.trim_end_matches('_');
            !sign.is_empty() && sign.chars().all(|char| "&|+-*/%=!<>".contains(char))
        })
}

/// One call: arguments as JSON, the result as CEL's.
fn call<'b, 'v>(
    name: &str,
    args: &[CowVal<'b, 'v>],
    function: impl Fn(&[Value]) -> Result<Value, String>,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let failed = |reason: String| ExecutionError::function_error(name, reason);
    let args: Result<Vec<Value>, String> =
        args.iter().map(|arg| convert::argument(arg.as_ref())).collect();
    let result = function(&args.map_err(failed)?).map_err(failed)?;
    Ok(CowVal::Owned(convert::all_to_cel(result).map_err(failed)?))
}

/// A list that is not too long, or the keys of a map in order.
fn each<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let failed = |reason: String| ExecutionError::function_error(EACH, reason);
    let Some(range) = args.pop() else { return Err(failed("nothing to go over".into())) };
    if let Some(list) = range.downcast_ref::<CelList>() {
        if list.inner().len() > convert::LIST_MAX {
            return Err(failed(convert::too_long(list.inner().len())));
        }
        return Ok(range);
    }
    let Some(map) = range.downcast_ref::<CelMap>() else {
        let name = range.get_type().name().to_owned();
        return Err(failed(format!("a loop goes over a list or a map, not over {name}")));
    };
    let keys: Option<Vec<String>> = map
        .inner()
        .keys()
        .map(|key| Some(key.inner().downcast_ref::<CelString>()?.inner().to_owned()))
        .collect();
    let Some(mut keys) = keys else { return Err(failed("a map's keys must be text".into())) };
    if keys.len() > convert::LIST_MAX {
        return Err(failed(convert::too_long(keys.len())));
    }
    keys.sort();
    let keys: Vec<Box<dyn Val>> =
        keys.into_iter().map(|key| Box::new(CelString::from(key)) as Box<dyn Val>).collect();
    Ok(CowVal::Owned(Box::new(CelList::from(keys))))
}

fn value(args: &[Value], at: usize) -> Result<&Value, String> {
    args.get(at).ok_or_else(|| "an argument is missing".to_owned())
}

fn wanted(what: &str, found: &Value) -> String {
    format!("it wants {what}, found {}", crate::types::described(found))
}

fn text(args: &[Value], at: usize) -> Result<&str, String> {
    let found = value(args, at)?;
    found.as_str().ok_or_else(|| wanted("text", found))
}

fn list(args: &[Value], at: usize) -> Result<&[Value], String> {
    let found = value(args, at)?;
    found.as_array().map(Vec::as_slice).ok_or_else(|| wanted("a list", found))
}

fn sum(args: &[Value]) -> Result<Value, String> {
    let numbers = list(args, 0)?;
    let mut whole = Some(0_i64);
    let mut total = 0.0;
    for number in numbers {
        total += number.as_f64().ok_or_else(|| wanted("numbers", number))?;
        whole = match (whole, number.as_i64()) {
            (Some(sum), Some(int)) => {
                Some(sum.checked_add(int).ok_or("the sum does not fit into 64 bits")?)
            }
            _ => None,
        };
    }
    Ok(whole.map_or_else(|| Value::from(total), Value::from))
}

/// The smallest or the largest, of times and durations too, which stay what they are.
fn extreme<'b, 'v>(
    name: &str,
    args: Vec<CowVal<'b, 'v>>,
    side: Ordering,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let list = args.first().filter(|_| args.len() == 1);
    let among: Vec<&(dyn Val + 'v)> = match list.and_then(|list| list.downcast_ref::<CelList>()) {
        Some(list) => list.inner().iter().map(AsRef::as_ref).collect(),
        None => args.iter().map(AsRef::as_ref).collect(),
    };
    if !among.iter().any(|each| times::text_of(*each).is_some()) {
        return call(name, &args, |args| extreme_of_data(args, side));
    }
    let mut best: Option<&(dyn Val + 'v)> = None;
    for each in among {
        let order = best.map(|best| match each.as_comparer() {
            Some(comparer) => comparer.compare(best),
            None => Err(ExecutionError::MissingArgumentOrTarget),
        });
        match order {
            Some(Err(_)) => {
                let types = [best, Some(each)].into_iter().flatten();
                let types = types.map(|value| value.get_type().name().to_owned()).collect();
                return Err(ExecutionError::no_such_overload(name, types));
            }
            Some(Ok(order)) if order != side => {}
            Some(Ok(_)) | None => best = Some(each),
        }
    }
    let best = best.ok_or(ExecutionError::MissingArgumentOrTarget)?;
    Ok(CowVal::Owned(best.clone_as_boxed()))
}

fn extreme_of_data(args: &[Value], side: Ordering) -> Result<Value, String> {
    let among = if args.len() == 1 { list(args, 0)? } else { args };
    let mut best: Option<&Value> = None;
    for each in among {
        let better = match best {
            None => each.is_number() || each.is_string(),
            Some(best) => compare(each, best)? == side,
        };
        if best.is_none() && !better {
            return Err(wanted("numbers or texts", each));
        }
        if better {
            best = Some(each);
        }
    }
    best.cloned().ok_or_else(|| "the list is empty".to_owned())
}

fn compare(left: &Value, right: &Value) -> Result<Ordering, String> {
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)),
        },
        _ => None,
    };
    order.ok_or_else(|| format!("{left} and {right} can not be compared"))
}

fn join(args: &[Value]) -> Result<Value, String> {
    let separator = if args.len() > 1 { text(args, 1)? } else { "" };
    let texts: Result<Vec<&str>, String> = list(args, 0)?
        .iter()
        .map(|each| each.as_str().ok_or_else(|| wanted("texts", each)))
        .collect();
    Ok(texts?.join(separator).into())
}

fn split(args: &[Value]) -> Result<Value, String> {
    let (whole, separator) = (text(args, 0)?, text(args, 1)?);
    if separator.is_empty() {
        return Err("the separator is empty".to_owned());
    }
    Ok(Value::Array(whole.split(separator).map(Value::from).collect()))
}

/// Counts characters; an end beyond the text is its end.
fn substring(args: &[Value]) -> Result<Value, String> {
    let whole = text(args, 0)?;
    let index = |at: usize| {
        let found = value(args, at)?;
        let index = found.as_u64().ok_or_else(|| wanted("a position from 0", found))?;
        usize::try_from(index).map_err(|_| "the position is too large".to_owned())
    };
    let from = index(1)?;
    let upto = if args.len() > 2 { index(2)? } else { usize::MAX };
    if upto < from {
        return Err(format!("it ends at {upto}, before it begins at {from}"));
    }
    Ok(whole.chars().skip(from).take(upto - from).collect::<String>().into())
}

fn parse_json(args: &[Value]) -> Result<Value, String> {
    serde_json::from_str(text(args, 0)?).map_err(|error| format!("not JSON: {error}"))
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The right one's fields stand over the left one's.
fn merge(args: &[Value]) -> Result<Value, String> {
    let map = |at: usize| {
        let found = value(args, at)?;
        found.as_object().ok_or_else(|| wanted("maps", found))
    };
    let mut merged: Map<String, Value> = map(0)?.clone();
    merged.extend(map(1)?.clone());
    Ok(Value::Object(merged))
}
