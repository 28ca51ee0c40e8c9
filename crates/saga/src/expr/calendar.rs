//! The functions on times and durations, as CEL has them.

use cel::common::functions::Function;
use cel::common::types::{CelInt, CelString, DURATION_TYPE, INT_TYPE, STRING_TYPE, TIMESTAMP_TYPE};
use cel::common::value::CowVal;
use cel::{Env, ExecutionError};
use chrono::{DateTime, Datelike, FixedOffset, Timelike};

use super::times::{Moment, Span, moment, text_of, zone};

/// What is asked of a time, in UTC or in the zone that is given.
const OF_TIMES: [(&str, Function); 10] = [
    ("getFullYear", |args| of_time("getFullYear", &args, |time| time.year().into())),
    ("getMonth", |args| of_time("getMonth", &args, |time| time.month0().into())),
    ("getDate", |args| of_time("getDate", &args, |time| time.day().into())),
    ("getDayOfMonth", |args| of_time("getDayOfMonth", &args, |time| time.day0().into())),
    ("getDayOfWeek", |args| {
        of_time("getDayOfWeek", &args, |time| time.weekday().num_days_from_sunday().into())
    }),
    ("getDayOfYear", |args| of_time("getDayOfYear", &args, |time| time.ordinal0().into())),
    ("getHours", |args| of_time("getHours", &args, |time| time.hour().into())),
    ("getMinutes", |args| of_time("getMinutes", &args, |time| time.minute().into())),
    ("getSeconds", |args| of_time("getSeconds", &args, |time| time.second().into())),
    ("getMilliseconds", |args| {
        of_time("getMilliseconds", &args, |time| time.timestamp_subsec_millis().into())
    }),
];

/// What is asked of a duration: all of it in one unit.
const OF_SPANS: [(&str, Function); 4] = [
    ("getHours", |args| of_span(&args, 3_600_000)),
    ("getMinutes", |args| of_span(&args, 60_000)),
    ("getSeconds", |args| of_span(&args, 1000)),
    ("getMilliseconds", |args| of_span(&args, 1)),
];

pub(super) fn declare(env: &mut Env) {
    let conversions: [(&str, &str, _, Function); 8] = [
        ("timestamp", "time_of_text", STRING_TYPE, time_of_text),
        ("timestamp", "time_of_int", INT_TYPE, time_of_int),
        ("timestamp", "time_of_time", TIMESTAMP_TYPE, same),
        ("duration", "duration_of_text", STRING_TYPE, duration_of_text),
        ("duration", "duration_of_duration", DURATION_TYPE, same),
        ("string", "text_of_time", TIMESTAMP_TYPE, text),
        ("string", "text_of_duration", DURATION_TYPE, text),
        ("int", "int_of_time", TIMESTAMP_TYPE, int_of_time),
    ];
    for (name, id, of, function) in conversions {
        let declared = env.add_overload(name, id, vec![of], function);
        assert!(declared.is_ok(), "{id} is declared once");
    }
    for (name, function) in OF_TIMES {
        let id = format!("{name}_of_time");
        let utc = env.add_member_overload(name, &id, TIMESTAMP_TYPE, Vec::new(), function);
        let (id, zone) = (format!("{name}_in_zone"), vec![STRING_TYPE]);
        let zoned = env.add_member_overload(name, &id, TIMESTAMP_TYPE, zone, function);
        assert!(utc.is_ok() && zoned.is_ok(), "{name} is declared once");
    }
    for (name, function) in OF_SPANS {
        let id = format!("{name}_of_duration");
        let declared = env.add_member_overload(name, &id, DURATION_TYPE, Vec::new(), function);
        assert!(declared.is_ok(), "{name} is declared once");
    }
    let named = [TIMESTAMP_TYPE, DURATION_TYPE].map(|of| env.add_type(of).is_ok());
    assert!(named.iter().all(|is| *is), "the types are declared once");
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OF_TIMES.iter().map(|(name, _)| *name)
}

/// What is wrong with a text that stands in a call.
pub(super) fn check(function: &str, text: &str) -> Result<(), String> {
    match function {
        "timestamp" => Moment::parse(text).map(drop),
        "duration" => Span::parse(text).map(drop),
        name if names().any(|known| known == name) => zone(text).map(drop),
        _ => Ok(()),
    }
}

fn only<'a, 'b, 'v>(args: &'a [CowVal<'b, 'v>]) -> Result<&'a CowVal<'b, 'v>, ExecutionError> {
    args.first().ok_or(ExecutionError::MissingArgumentOrTarget)
}

fn same<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    only(&args).cloned()
}

fn time_of_text<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = only(&args)?.downcast_ref::<CelString>().map_or("", CelString::inner);
    Moment::parse(text)
        .map(CowVal::owned)
        .map_err(|reason| ExecutionError::function_error("timestamp", reason))
}

/// Seconds since 1970.
fn time_of_int<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let seconds = only(&args)?.downcast_ref::<CelInt>().map(|int| *int.inner());
    moment(seconds.and_then(|seconds| seconds.checked_mul(1000)))
}

fn int_of_time<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let time =
        only(&args)?.downcast_ref::<Moment>().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    Ok(CowVal::owned(CelInt::from(time.millis().div_euclid(1000))))
}

fn duration_of_text<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = only(&args)?.downcast_ref::<CelString>().map_or("", CelString::inner);
    Span::parse(text)
        .map(CowVal::owned)
        .map_err(|reason| ExecutionError::function_error("duration", reason))
}

fn text<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    Ok(CowVal::owned(CelString::from(text_of(only(&args)?.as_ref()).unwrap_or_default())))
}

fn of_time<'b, 'v>(
    name: &str,
    args: &[CowVal<'b, 'v>],
    field: impl Fn(&DateTime<FixedOffset>) -> i64,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let time = only(args)?.downcast_ref::<Moment>().copied();
    let utc = time.and_then(|time| DateTime::from_timestamp_millis(time.millis()));
    let zone = match args.get(1).and_then(|zone| zone.downcast_ref::<CelString>()) {
        Some(text) => zone(text.inner()),
        None => zone("UTC"),
    };
    let zone = zone.map_err(|reason| ExecutionError::function_error(name, reason))?;
    let utc = utc.ok_or(ExecutionError::MissingArgumentOrTarget)?;
    Ok(CowVal::owned(CelInt::from(field(&utc.with_timezone(&zone)))))
}

fn of_span<'b, 'v>(args: &[CowVal<'b, 'v>], unit: i64) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let span = only(args)?.downcast_ref::<Span>().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    Ok(CowVal::owned(CelInt::from(span.millis() / unit)))
}
