//! `matches`: patterns of the `regex` crate, whose time is linear in the text. A pattern stands in the
//! expression, so that it is compiled once, and a bad one is found before anything runs.

use std::any::Any;
use std::sync::Arc;

use cel::common::ast::{Expr, IdedExpr};
use cel::common::types::{CelBool, CelString, STRING_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Context, Env, ExecutionError};
use regex::{Regex, RegexBuilder};

use super::bounds::Offsets;
use super::tree::{children_mut, literal_text};

pub(super) const MATCHES: &str = "matches";
/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 512;
/// Bytes of a compiled one: the time of a match is this, at worst, times the text.
const COMPILED_BYTES_MAX: usize = 256 * 1024;
/// Bytes that a search may remember.
const CACHE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a text that is searched.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A compiled pattern, as a value that only `matches` takes.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Arc<Regex>);

const PATTERN_TYPE: Type = Type::new_unspecified_type("pattern");

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        static TYPE: Type = PATTERN_TYPE;
        &TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

pub(super) fn declare(env: &mut Env) {
    let global = vec![STRING_TYPE, PATTERN_TYPE];
    let global = env.add_overload(MATCHES, "matches", global, matches);
    let member = vec![PATTERN_TYPE];
    let member = env.add_member_overload(MATCHES, "matches_member", STRING_TYPE, member, matches);
    assert!(global.is_ok() && member.is_ok(), "{MATCHES} is declared once");
}

/// Compiles the patterns of a tree and puts names in their places, which [`bind`] gives values.
pub(super) fn take(
    node: &mut IdedExpr,
    offsets: &Offsets,
    taken: &mut Vec<Pattern>,
) -> Result<(), (usize, String)> {
    if let Expr::Call(call) = &mut node.expr
        && call.func_name == MATCHES
    {
        let at = offsets.get(&node.id).copied().unwrap_or(0).saturating_sub(MATCHES.len());
        let given = call.args.len() + usize::from(call.target.is_some());
        let pattern = call.args.last_mut().filter(|_| given == 2).ok_or_else(|| {
            (at, format!("`{MATCHES}` takes a text and a pattern, not {given} arguments"))
        })?;
        let text = literal_text(pattern).ok_or_else(|| {
            (at, "the pattern of `matches` must stand here as text, not be computed".to_owned())
        })?;
        let compiled = compile(text).map_err(|reason| (at, reason))?;
        pattern.expr = Expr::Ident(name(taken.len()));
        taken.push(Pattern(Arc::new(compiled)));
    }
    children_mut(node).into_iter().try_for_each(|child| take(child, offsets, taken))
}

/// Gives one evaluation its patterns.
pub(super) fn bind(context: &mut Context<'_, '_>, patterns: &[Pattern]) {
    for (at, pattern) in patterns.iter().enumerate() {
        context.add_variable_as_val(name(at), Box::new(pattern.clone()));
    }
}

/// No name that a file could write.
fn name(at: usize) -> String {
    format!("@pattern{at}")
}

fn compile(text: &str) -> Result<Regex, String> {
    if text.len() > PATTERN_BYTES_MAX {
        let bytes = text.len();
        return Err(format!("the pattern has {bytes} bytes, {PATTERN_BYTES_MAX} at most"));
    }
    let mut builder = RegexBuilder::new(&of_ascii(text)?);
    builder.size_limit(COMPILED_BYTES_MAX).dfa_size_limit(CACHE_BYTES_MAX);
    builder.build().map_err(|error| {
        if matches!(error, regex::Error::CompiledTooBig(_)) {
            let most = COMPILED_BYTES_MAX / 1024;
            return format!("the pattern {text:?} takes more than {most} KiB: shorter repetitions");
        }
        // The last line says what; those before draw where.
        let said = error.to_string();
        let said = said.lines().last().unwrap_or_default();
        let said = said.strip_prefix("error: ").unwrap_or(said);
        format!("the pattern {text:?} is not one: {said}")
    })
}

/// `\w`, `\d`, `\s` and `\b` are ASCII's in CEL, as in RE2; where they are Unicode's, each takes 30 KiB.
fn of_ascii(pattern: &str) -> Result<String, String> {
    let mut made = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            made.push(char);
            continue;
        }
        match chars.next() {
            Some('d') => made.push_str("[0-9]"),
            Some('D') => made.push_str("[^0-9]"),
            Some('w') => made.push_str("[0-9A-Za-z_]"),
            Some('W') => made.push_str("[^0-9A-Za-z_]"),
            Some('s') => made.push_str(r"[\t\n\f\r ]"),
            Some('S') => made.push_str(r"[^\t\n\f\r ]"),
            Some('b') => made.push_str(r"(?-u:\b)"),
            Some('B') => return Err(r"in a pattern, `\B` is not in this build".to_owned()),
            other => {
                made.push('\\');
                made.extend(other);
            }
        }
    }
    Ok(made)
}

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [text, pattern] = args.as_slice() else {
        return Err(ExecutionError::function_error(MATCHES, "it takes a text and a pattern"));
    };
    let (Some(text), Some(Pattern(pattern))) =
        (text.downcast_ref::<CelString>(), pattern.downcast_ref::<Pattern>())
    else {
        return Err(ExecutionError::function_error(MATCHES, "it takes a text and a pattern"));
    };
    let bytes = text.inner().len();
    if bytes > TEXT_BYTES_MAX {
        let reason = format!("the text has {bytes} bytes, {TEXT_BYTES_MAX} at most");
        return Err(ExecutionError::function_error(MATCHES, reason));
    }
    Ok(CowVal::owned(CelBool::from(pattern.is_match(text.inner()))))
}
