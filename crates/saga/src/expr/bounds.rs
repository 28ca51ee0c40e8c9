//! What an expression may cost, known before it runs: docs/reference/saga-file.md.

use std::collections::BTreeMap;

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, SourceInfo};
use cel::parser::Parser;

use super::{ExprError, depth};

/// Bytes of source.
const SOURCE_BYTES_MAX: usize = 4096;
/// Nodes of the tree, macros expanded.
const NODES_MAX: usize = 1000;
/// Comprehensions within one another.
const NESTED_MAX: usize = 2;
/// Levels of the tree that the interpreter goes down. Measured: each takes 32 KB of stack in a build
/// without optimisation, and a thread has 2 MiB.
const LEVELS_MAX: usize = 24;

/// Where each node stands in the source, bytes.
pub(super) type Offsets = BTreeMap<u64, usize>;

/// Parses within the bounds.
pub(super) fn parse(source: &str) -> Result<(IdedExpr, Offsets), ExprError> {
    let error = |at: usize, reason: String| {
        let at = at.min(source.len());
        ExprError { source_text: source.to_owned(), reason, at }
    };
    if source.trim().is_empty() {
        return Err(error(0, "there is nothing to compute".into()));
    }
    if source.len() > SOURCE_BYTES_MAX {
        let reason = format!("it has {} bytes, {SOURCE_BYTES_MAX} at most", source.len());
        return Err(error(0, reason));
    }
    if let Some((at, reason)) = depth::refuse(source) {
        return Err(error(at, reason));
    }
    let (tree, positions) = Parser::default().parse_with_source_info(source).map_err(|errors| {
        let (at, reason) = first_of(source, &errors);
        error(at, reason)
    })?;
    let mut walk = Walk { nodes: 0, offsets: Offsets::new(), source, positions: &positions };
    walk.visit(&tree, Place::default()).map_err(|(at, reason)| error(at, reason))?;
    Ok((tree, walk.offsets))
}

/// The first of CEL's complaints, in its words, and where it stands.
fn first_of(source: &str, errors: &cel::ParseErrors) -> (usize, String) {
    let Some(first) = errors.errors.first() else { return (0, "not an expression".into()) };
    let line = usize::try_from(first.pos.0).unwrap_or(1).max(1);
    let column = usize::try_from(first.pos.1).unwrap_or(1).max(1);
    let before: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = source.get(before..).unwrap_or_default();
    let within = rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at);
    let reason = first.msg.lines().next().unwrap_or_default().trim();
    let reason = reason.strip_prefix("Syntax error: ").unwrap_or(reason);
    // What could have stood there is a list of the grammar's tokens, which helps nobody.
    let reason = reason.split(" expecting ").next().unwrap_or(reason);
    let reason = if reason.contains("'<EOF>'") {
        "it ends too early".to_owned()
    } else {
        let said = ["no viable alternative at input", "mismatched input", "extraneous input"];
        match said.iter().find_map(|said| reason.strip_prefix(said)) {
            Some(what) => format!("not understood:{what}"),
            None => reason.to_owned(),
        }
    };
    (before + within, reason)
}

/// Goes over a tree whose depth is bounded.
struct Walk<'a> {
    nodes: usize,
    offsets: Offsets,
    source: &'a str,
    positions: &'a SourceInfo,
}

type Refused = (usize, String);

/// How deep within the tree, and within how many loops.
#[derive(Clone, Copy, Default)]
struct Place {
    level: usize,
    loops: usize,
}

impl Place {
    fn below(self) -> Self {
        Self { level: self.level + 1, ..self }
    }
}

impl Walk<'_> {
    fn visit(&mut self, node: &IdedExpr, place: Place) -> Result<(), Refused> {
        let at = self.place(node.id);
        self.offsets.insert(node.id, at);
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err((at, format!("it has more than {NODES_MAX} parts")));
        }
        if place.level > LEVELS_MAX {
            return Err((at, format!("it is nested more than {LEVELS_MAX} levels deep")));
        }
        let below = place.below();
        match &node.expr {
            Expr::Unspecified => Err((at, "not an expression".into())),
            Expr::Ident(_) | Expr::Literal(_) => Ok(()),
            // The interpreter takes a chain of names at once.
            Expr::Select(select) if is_name(&select.operand) => Ok(()),
            Expr::Select(select) => self.visit(&select.operand, below),
            Expr::Call(call) => {
                call.target.iter().try_for_each(|target| self.visit(target, below))?;
                call.args.iter().try_for_each(|arg| self.visit(arg, below))
            }
            Expr::List(list) => list.elements.iter().try_for_each(|each| self.visit(each, below)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key, below)?;
                    self.visit(&entry.value, below)
                }
                EntryExpr::StructField(_) => Err((at, "a map's entries are `key: value`".into())),
            }),
            Expr::Struct(made) => {
                Err((at, format!("there is no type `{}` to make values of", made.type_name)))
            }
            Expr::Comprehension(loops) => self.visit_loop(at, loops, below),
        }
    }

    fn visit_loop(
        &mut self,
        at: usize,
        loops: &ComprehensionExpr,
        place: Place,
    ) -> Result<(), Refused> {
        if place.loops == NESTED_MAX {
            return Err((at, format!("loops are nested more than {NESTED_MAX} deep")));
        }
        self.visit(&loops.iter_range, place)?;
        let within = Place { loops: place.loops + 1, ..place };
        [&loops.accu_init, &loops.loop_cond, &loops.loop_step, &loops.result]
            .into_iter()
            .try_for_each(|part| self.visit(part, within))
    }

    /// The parser counts characters.
    fn place(&self, id: u64) -> usize {
        let (start, _) = self.positions.offset_for(id).unwrap_or_default();
        let start = usize::try_from(start).unwrap_or(0);
        self.source.char_indices().nth(start).map_or(self.source.len(), |(at, _)| at)
    }
}

/// `a.b.c`
fn is_name(mut node: &IdedExpr) -> bool {
    while let Expr::Select(select) = &node.expr
        && !select.test
    {
        node = &select.operand;
    }
    matches!(node.expr, Expr::Ident(_))
}
