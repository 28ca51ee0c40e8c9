//! Times and the durations between them, CEL's `timestamp` and `duration`, in milliseconds as the journal
//! counts them. No clock, and no data on time zones: the same expression gives the same everywhere.

use std::any::Any;
use std::cmp::Ordering;
use std::time;

use cel::ExecutionError;
use cel::common::ast::operators;
use cel::common::traits::{Adder, Comparer, Subtractor};
use cel::common::types::{DURATION_TYPE, TIMESTAMP_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use chrono::FixedOffset;
use events::Timestamp;

use crate::types::described;

/// The years that RFC 3339 can write, 1 to 9999.
const MILLIS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;
/// Ten thousand years, more than lies between any two times.
const SPAN_MILLIS_MAX: i64 = 10_000 * 366 * 86_400_000;

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

/// A duration, which may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span(i64);

impl Moment {
    /// Milliseconds since 1970, where that is a time.
    pub(super) fn new(millis: Option<i64>) -> Result<Self, String> {
        let millis = millis.filter(|millis| MILLIS.contains(millis));
        millis.map(Self).ok_or_else(|| "the time is not within the years 1 to 9999".to_owned())
    }

    /// RFC 3339, finer than a millisecond cut off.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let time = text.parse::<Timestamp>().map_err(|_| {
            let found = described(&text.into());
            format!("a time such as 2026-11-22T10:00:00Z is wanted, found {found}")
        })?;
        Self::new(Some(time.as_millis()))
    }

    pub(super) const fn millis(self) -> i64 {
        self.0
    }
}

impl Span {
    fn new(millis: Option<i64>) -> Result<Self, String> {
        let millis = millis.filter(|millis| millis.abs() <= SPAN_MILLIS_MAX);
        millis.map(Self).ok_or_else(|| "the duration is longer than 10000 years".to_owned())
    }

    /// `1h30m` as in a file, and what CEL takes beside it: `-1h`, `1.5s`, `250us`, any order. Finer than
    /// a millisecond is cut off.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const UNITS: [(&str, i128); 7] = [
            ("d", 86_400_000_000_000),
            ("h", 3_600_000_000_000),
            ("ms", 1_000_000),
            ("us", 1000),
            ("ns", 1),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
        ];
        let wrong = || {
            let found = described(&text.into());
            format!("a duration such as 1h30m is wanted, found {found}")
        };
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut nanos: i128 = 0;
        while !rest.is_empty() {
            let (whole, after) = rest.split_at(digits(rest));
            let point = after.strip_prefix('.');
            let (part, after) = point.map_or(("", after), |after| after.split_at(digits(after)));
            // Twelve digits are more than there are milliseconds in ten thousand years.
            if whole.is_empty()
                || whole.len() > 18
                || part.len() > 18
                || point.is_some() == part.is_empty()
            {
                return Err(wrong());
            }
            let unit =
                UNITS.iter().find_map(|(unit, size)| Some((after.strip_prefix(unit)?, size)));
            let (after, size) = unit.ok_or_else(wrong)?;
            let whole: i128 = whole.parse().map_err(|_| wrong())?;
            let fraction: i128 =
                if part.is_empty() { 0 } else { part.parse().map_err(|_| wrong())? };
            let tens = u32::try_from(part.len()).map_or(1, |len| 10_i128.pow(len));
            nanos += whole * size + fraction * size / tens;
            rest = after;
        }
        Self::new(i64::try_from(sign * nanos / 1_000_000).ok())
    }

    pub(super) const fn millis(self) -> i64 {
        self.0
    }
}

/// The text of a time or a duration: what it is outside of an expression.
pub(super) fn text_of(value: &dyn Val) -> Option<String> {
    if let Some(Moment(millis)) = value.downcast_ref::<Moment>() {
        return Some(Timestamp::from_millis(*millis).to_string());
    }
    let Span(millis) = value.downcast_ref::<Span>()?;
    let text = crate::duration::text(time::Duration::from_millis(millis.unsigned_abs()));
    Some(if *millis < 0 { format!("-{text}") } else { text })
}

/// `UTC`, or an offset from it as `+02:00`.
pub(super) fn zone(text: &str) -> Result<FixedOffset, String> {
    let minutes = |text: &str| {
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (hours, minutes) = rest.split_once(':')?;
        let number = |text: &str, upto: i32| {
            let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number: &i32| is_number && *number < upto)
        };
        Some(sign * (number(hours, 24)? * 60 + number(minutes, 60)?))
    };
    let minutes = if text == "UTC" { Some(0) } else { minutes(text) };
    minutes.and_then(|minutes| FixedOffset::east_opt(minutes * 60)).ok_or_else(|| {
        let found = described(&text.into());
        format!("time zones by name are not in this build: `UTC` or an offset such as `+02:00`, not {found}")
    })
}

fn failed(function: &'static str) -> impl Fn(String) -> ExecutionError {
    move |reason| ExecutionError::function_error(function, reason)
}

pub(super) fn moment<'b, 'v>(millis: Option<i64>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    Moment::new(millis).map(CowVal::owned).map_err(failed("timestamp"))
}

pub(super) fn span<'b, 'v>(millis: Option<i64>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    Span::new(millis).map(CowVal::owned).map_err(failed("duration"))
}

fn refused(operator: &str, left: &dyn Val, right: &dyn Val) -> ExecutionError {
    let types = [left, right].map(|value| value.get_type().name().to_owned());
    ExecutionError::no_such_overload(operator, types.to_vec())
}

/// What both are to CEL: its own type, that compares, adds and subtracts.
macro_rules! value {
    ($name:ident, $of:ident) => {
        impl Val for $name {
            fn get_type(&self) -> &Type {
                <Self as Val>::cel_type()
            }

            fn cel_type() -> &'static Type {
                static TYPE: Type = $of;
                &TYPE
            }

            fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
            where
                Self: 'v,
            {
                Some(self)
            }

            fn as_comparer(&self) -> Option<&dyn Comparer> {
                Some(self)
            }

            fn as_subtractor<'b, 'v>(&'b self) -> Option<&'b (dyn Subtractor + 'v)>
            where
                Self: 'v,
            {
                Some(self)
            }

            fn equals(&self, other: &dyn Val) -> bool {
                other.downcast_ref::<Self>() == Some(self)
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
            where
                Self: 'v,
            {
                Box::new(*self)
            }

            fn as_any(&self) -> Option<&dyn Any> {
                Some(self)
            }
        }

        impl StaticVal for $name {}

        impl Comparer for $name {
            fn compare(&self, right: &dyn Val) -> Result<Ordering, ExecutionError> {
                let other = right.downcast_ref::<Self>();
                other.map(|other| self.cmp(other)).ok_or_else(|| refused("<", self, right))
            }
        }
    };
}

value!(Moment, TIMESTAMP_TYPE);
value!(Span, DURATION_TYPE);

impl Adder for Moment {
    fn add<'b, 'v>(&'b self, right: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        match right.downcast_ref::<Span>() {
            Some(Span(more)) => moment(self.0.checked_add(*more)),
            None => Err(refused(operators::ADD, self, right)),
        }
    }
}

impl Subtractor for Moment {
    fn sub<'b, 'v>(&'b self, right: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        if let Some(Self(earlier)) = right.downcast_ref::<Self>() {
            return span(self.0.checked_sub(*earlier));
        }
        match right.downcast_ref::<Span>() {
            Some(Span(less)) => moment(self.0.checked_sub(*less)),
            None => Err(refused(operators::SUBSTRACT, self, right)),
        }
    }
}

impl Adder for Span {
    fn add<'b, 'v>(&'b self, right: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        if let Some(Moment(time)) = right.downcast_ref::<Moment>() {
            return moment(time.checked_add(self.0));
        }
        match right.downcast_ref::<Self>() {
            Some(Self(more)) => span(self.0.checked_add(*more)),
            None => Err(refused(operators::ADD, self, right)),
        }
    }
}

impl Subtractor for Span {
    fn sub<'b, 'v>(&'b self, right: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        match right.downcast_ref::<Self>() {
            Some(Self(less)) => span(self.0.checked_sub(*less)),
            None => Err(refused(operators::SUBSTRACT, self, right)),
        }
    }
}
