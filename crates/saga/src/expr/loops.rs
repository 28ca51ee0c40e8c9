//! Loops: what they go over, in which order, and how often.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cel::common::ast::{CallExpr, Expr, IdedExpr};
use cel::common::types::{CelList, CelMap, DYN_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Context, Env, ExecutionError};

use super::functions::EACH;
use super::tree::children_mut;

/// Makes a loop within a loop pay for its turns; no name that a file could write.
const SPEND: &str = "@spend";
/// What it pays from.
const TURNS: &str = "@turns";
/// Turns of the loops that stand within another one, together. Two loops over the longest lists
/// would take a hundred times this: minutes, in which nothing else on the lane goes on.
const TURNS_MAX: usize = 1_000_000;

/// The turns that an evaluation has taken.
#[derive(Clone, Debug, Default)]
struct Turns(Arc<AtomicUsize>);

const TURNS_TYPE: Type = Type::new_unspecified_type("turns");

impl Val for Turns {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        static TYPE: Type = TURNS_TYPE;
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

impl StaticVal for Turns {}

pub(super) fn declare(env: &mut Env) {
    let spend = env.add_overload(SPEND, "spend", vec![DYN_TYPE, TURNS_TYPE], spend);
    assert!(spend.is_ok(), "{SPEND} is declared once");
}

fn spend<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let spent = args.pop();
    let spent = spent.as_ref().and_then(|turns| turns.downcast_ref::<Turns>());
    let (Some(range), Some(Turns(spent))) = (args.pop(), spent) else {
        return Err(ExecutionError::function_error(EACH, "nothing to go over"));
    };
    let turns = if let Some(list) = range.downcast_ref::<CelList>() {
        list.inner().len()
    } else if let Some(map) = range.downcast_ref::<CelMap>() {
        map.inner().len()
    } else {
        // No range at all, which is then said of it.
        0
    };
    if spent.fetch_add(turns, Ordering::Relaxed) + turns > TURNS_MAX {
        let reason = format!("its loops take more than {TURNS_MAX} turns");
        return Err(ExecutionError::function_error(EACH, reason));
    }
    Ok(range)
}

/// Rewrites a tree so that every loop goes over what [`EACH`] makes of its range: a list that is not
/// too long, and of a map the keys in order, since CEL's own order of them differs from run to run.
/// Whether a loop stands within another one, which [`bound`] is for.
pub(super) fn order(node: &mut IdedExpr) -> bool {
    order_within(node, false)
}

/// Gives one evaluation its turns.
pub(super) fn bound(context: &mut Context<'_, '_>) {
    context.add_variable_as_val(TURNS, Box::new(Turns::default()));
}

fn order_within(node: &mut IdedExpr, within: bool) -> bool {
    let Expr::Comprehension(loops) = &mut node.expr else {
        let below = children_mut(node).into_iter().map(|child| order_within(child, within));
        return below.fold(false, |nests, below| nests | below);
    };
    let mut nests = within | order_within(&mut loops.iter_range, within);
    let parts =
        [&mut loops.accu_init, &mut loops.loop_cond, &mut loops.loop_step, &mut loops.result];
    for part in parts {
        nests |= order_within(part, true);
    }
    if within {
        let id = loops.iter_range.id;
        wrap(&mut loops.iter_range, SPEND, vec![IdedExpr { id, expr: Expr::Ident(TURNS.into()) }]);
    }
    wrap(&mut loops.iter_range, EACH, Vec::new());
    nests
}

/// `name(node, more)` in the place of `node`.
fn wrap(node: &mut IdedExpr, name: &str, more: Vec<IdedExpr>) {
    let id = node.id;
    let args = std::iter::once(std::mem::take(node)).chain(more).collect();
    let call = CallExpr { func_name: name.into(), target: None, args };
    *node = IdedExpr { id, expr: Expr::Call(call) };
}
