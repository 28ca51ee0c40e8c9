//! JSON to CEL's values and back. Integers become int, other numbers double; a time becomes text.

use std::collections::HashMap;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde_json::{Map, Number, Value};

use super::paths::Used;
use super::times;

/// Elements of a list.
pub(super) const LIST_MAX: usize = 10_000;
/// Bytes of a result, as compact JSON or a little less.
const RESULT_BYTES_MAX: usize = 256 * 1024;
/// Lists and maps within one another, in what goes in and what comes out.
const DEPTH_MAX: usize = 128;

/// What is used of a value, as CEL sees it.
pub(super) fn to_cel(value: Value, used: &Used) -> Result<Box<dyn Val>, String> {
    if used.is_whole() {
        return all_to_cel(value);
    }
    let mut map = match value {
        Value::Object(map) => map,
        // So that `has(x.y)` is false of an `x` that is null, as where an output is not known.
        Value::Null => Map::new(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return all_to_cel(value);
        }
    };
    let mut made: HashMap<CelMapKey<'static>, Box<dyn Val>> = HashMap::new();
    for name in used.members() {
        if let (Some(value), Some(used)) = (map.remove(&name), used.field(&name)) {
            made.insert(CelMapKey::from(name), to_cel(value, used)?);
        }
    }
    Ok(Box::new(CelMap::from(made)))
}

/// A value of CEL from one of JSON.
pub(super) fn all_to_cel(value: Value) -> Result<Box<dyn Val>, String> {
    Ok(match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(is) => Box::new(CelBool::from(is)),
        Value::Number(number) => number_to_cel(&number),
        Value::String(text) => Box::new(CelString::from(text)),
        Value::Array(list) => {
            if list.len() > LIST_MAX {
                return Err(too_long(list.len()));
            }
            let made: Result<Vec<_>, _> = list.into_iter().map(all_to_cel).collect();
            Box::new(CelList::from(made?))
        }
        Value::Object(map) => {
            let mut made: HashMap<CelMapKey<'static>, Box<dyn Val>> =
                HashMap::with_capacity(map.len());
            for (name, value) in map {
                made.insert(CelMapKey::from(name), all_to_cel(value)?);
            }
            Box::new(CelMap::from(made))
        }
    })
}

pub(super) fn too_long(len: usize) -> String {
    format!("a list of {len}, where {LIST_MAX} at most can be computed with")
}

fn number_to_cel(number: &Number) -> Box<dyn Val> {
    if let Some(int) = number.as_i64() {
        return Box::new(CelInt::from(int));
    }
    if let Some(uint) = number.as_u64() {
        return Box::new(CelUInt::from(uint));
    }
    // A `Number` is one of the three.
    Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN)))
}

/// A result as JSON, within the bounds of one.
pub(super) fn to_json(value: &dyn Val) -> Result<Value, String> {
    unbounded_json(value, &mut 0, 0)
}

/// The value of an argument of ours.
pub(super) fn argument(value: &dyn Val) -> Result<Value, String> {
    to_json(value)
}

fn charge(bytes: &mut usize, more: usize) -> Result<(), String> {
    *bytes += more;
    if *bytes > RESULT_BYTES_MAX {
        return Err(format!("the result has more than {} KiB", RESULT_BYTES_MAX / 1024));
    }
    Ok(())
}

fn unbounded_json(value: &dyn Val, bytes: &mut usize, depth: usize) -> Result<Value, String> {
    if depth > DEPTH_MAX {
        return Err(format!("the result is nested more than {DEPTH_MAX} deep"));
    }
    if let Some(text) = value.downcast_ref::<CelString>() {
        charge(bytes, text.inner().len() + 2)?;
        return Ok(Value::String(text.inner().to_owned()));
    }
    if let Some(list) = value.downcast_ref::<CelList>() {
        let list = list.inner();
        if list.len() > LIST_MAX {
            return Err(too_long(list.len()));
        }
        charge(bytes, list.len() + 2)?;
        let made: Result<_, _> =
            list.iter().map(|each| unbounded_json(each.as_ref(), bytes, depth + 1)).collect();
        return Ok(Value::Array(made?));
    }
    if let Some(map) = value.downcast_ref::<CelMap>() {
        charge(bytes, 2)?;
        let mut made = Map::new();
        let entries: Option<Vec<_>> = map
            .inner()
            .iter()
            .map(|(name, value)| {
                Some((name.inner().downcast_ref::<CelString>()?.inner().to_owned(), value))
            })
            .collect();
        let Some(mut entries) = entries else { return Err("a map's keys must be text".to_owned()) };
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, value) in entries {
            charge(bytes, name.len() + 4)?;
            made.insert(name, unbounded_json(value.as_ref(), bytes, depth + 1)?);
        }
        return Ok(Value::Object(made));
    }
    if let Some(text) = times::text_of(value) {
        charge(bytes, text.len() + 2)?;
        return Ok(Value::String(text));
    }
    charge(bytes, 8)?;
    scalar_json(value)
}

fn scalar_json(value: &dyn Val) -> Result<Value, String> {
    if value.downcast_ref::<CelNull>().is_some() {
        return Ok(Value::Null);
    }
    if let Some(is) = value.downcast_ref::<CelBool>() {
        return Ok(Value::Bool(*is.inner()));
    }
    if let Some(int) = value.downcast_ref::<CelInt>() {
        return Ok(Value::from(*int.inner()));
    }
    if let Some(uint) = value.downcast_ref::<CelUInt>() {
        return Ok(Value::from(*uint.inner()));
    }
    if let Some(double) = value.downcast_ref::<CelDouble>() {
        return Number::from_f64(*double.inner()).map(Value::Number).ok_or_else(|| {
            format!("the result is {}, which is no number in JSON", double.inner())
        });
    }
    Err(format!("the result is of type {}, which is no value in JSON", value.get_type().name()))
}
