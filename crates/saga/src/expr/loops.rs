//! Loops: what they go over, in which order, and how often.

use std::sync::atomic::{AtomicUsize, Ordering};

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr};
use cel::{Context, ExecutionError, Value};

use super::functions::EACH;

/// Makes a loop within a loop pay for its turns; no name that a file could write.
const SPEND: &str = "@spend";
/// Turns of the loops that stand within another one, together. Two loops over the longest lists
/// would take a hundred times this: minutes, in which nothing else on the lane goes on.
const TURNS_MAX: usize = 1_000_000;

/// Rewrites a tree so that every loop goes over what [`EACH`] makes of its range: a list that is not
/// too long, and of a map the keys in order, since CEL's own order of them differs from run to run.
/// Whether a loop stands within another one, which [`bound`] is for.
pub(super) fn order(node: &mut IdedExpr) -> bool {
    order_within(node, false)
}

/// Gives one evaluation its turns.
pub(super) fn bound(context: &mut Context<'_, '_>) {
    let spent = AtomicUsize::new(0);
    let spend = move |range: Value| -> Result<Value, ExecutionError> {
        let turns = if let Value::List(list) = &range {
            list.len()
        } else if let Value::Map(map) = &range {
            map.map.len()
        } else {
            // No range at all, which is then said of it.
            0
        };
        if spent.fetch_add(turns, Ordering::Relaxed) + turns > TURNS_MAX {
            let reason = format!("its loops take more than {TURNS_MAX} turns");
            return Err(ExecutionError::function_error(EACH, reason));
        }
        Ok(range)
    };
    let declared = context.add_function(SPEND, spend);
    assert!(declared.is_ok(), "{SPEND} is declared once");
}

fn order_within(node: &mut IdedExpr, within: bool) -> bool {
    let mut nests = false;
    let mut visit = |node: &mut IdedExpr| nests |= order_within(node, within);
    match &mut node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
        Expr::Select(select) => visit(&mut select.operand),
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| visit(target));
            call.args.iter_mut().for_each(visit);
        }
        Expr::List(list) => list.elements.iter_mut().for_each(visit),
        Expr::Map(map) => map.entries.iter_mut().for_each(|entry| {
            if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                visit(&mut entry.key);
                visit(&mut entry.value);
            }
        }),
        Expr::Comprehension(loops) => {
            visit(&mut loops.iter_range);
            let parts = [
                &mut loops.accu_init,
                &mut loops.loop_cond,
                &mut loops.loop_step,
                &mut loops.result,
            ];
            for part in parts {
                nests |= order_within(part, true);
            }
            nests |= within;
            if within {
                wrap(&mut loops.iter_range, SPEND);
            }
            wrap(&mut loops.iter_range, EACH);
        }
    }
    nests
}

/// `name(node)` in the place of `node`.
fn wrap(node: &mut IdedExpr, name: &str) {
    let id = node.id;
    let call = CallExpr { func_name: name.into(), target: None, args: vec![std::mem::take(node)] };
    *node = IdedExpr { id, expr: Expr::Call(call) };
}
