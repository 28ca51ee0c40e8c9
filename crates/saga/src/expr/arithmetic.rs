//! `+ - * / %`. CEL computes with two ints or with two doubles; here an int beside a double becomes one,
//! since JSON writes the double 2 as it writes the int.

use cel::common::ast::{Expr, IdedExpr, operators};
use cel::common::functions::Function;
use cel::common::types::{CelDouble, CelInt, DYN_TYPE};
use cel::common::value::CowVal;
use cel::{Env, ExecutionError};

use super::tree::children_mut;

/// CEL's operator, what stands for it in a compiled tree (no name that a file could write), what it does.
const SIGNS: [(&str, &str, Function); 5] = [
    (operators::ADD, "@add", |args| compute(operators::ADD, args)),
    (operators::SUBSTRACT, "@sub", |args| compute(operators::SUBSTRACT, args)),
    (operators::MULTIPLY, "@mul", |args| compute(operators::MULTIPLY, args)),
    (operators::DIVIDE, "@div", |args| compute(operators::DIVIDE, args)),
    (operators::MODULO, "@rem", |args| compute(operators::MODULO, args)),
];

pub(super) fn declare(env: &mut Env) {
    for (_, name, function) in SIGNS {
        let declared = env.add_overload(name, name, vec![DYN_TYPE, DYN_TYPE], function);
        assert!(declared.is_ok(), "{name} is declared once");
    }
}

/// Puts ours in the place of CEL's, but where a loop appends to what it makes, which CEL does in place.
pub(super) fn rewrite(node: &mut IdedExpr) {
    if let Expr::Call(call) = &mut node.expr
        && let [left, _] = call.args.as_slice()
        && !matches!(&left.expr, Expr::Ident(name) if name.starts_with('@'))
        && let Some((_, ours, _)) = SIGNS.iter().find(|(cels, ..)| *cels == call.func_name)
    {
        call.func_name = (*ours).to_owned();
    }
    children_mut(node).into_iter().for_each(rewrite);
}

/// CEL's name of an operator that may be ours.
pub(super) fn cels(name: &str) -> &str {
    SIGNS.iter().find(|(_, ours, _)| *ours == name).map_or(name, |(cels, ..)| cels)
}

fn compute<'b, 'v>(
    operator: &str,
    args: Vec<CowVal<'b, 'v>>,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let types = args.iter().map(|arg| arg.get_type().name().to_owned()).collect();
    let refused = || ExecutionError::no_such_overload(operator, types);
    let Ok([left, right]) = <[CowVal<'b, 'v>; 2]>::try_from(args) else {
        return Err(refused());
    };
    let (left, right) = if operator == operators::MODULO {
        (left, right)
    } else {
        let (is_left, is_right) = (is_double(&left), is_double(&right));
        (if is_right { widened(left) } else { left }, if is_left { widened(right) } else { right })
    };
    let right = right.as_ref();
    let result = match operator {
        operators::ADD => left.as_adder().map(|it| it.add(right)),
        operators::SUBSTRACT => left.as_subtractor().map(|it| it.sub(right)),
        operators::MULTIPLY => left.as_multiplier().map(|it| it.mul(right)),
        operators::DIVIDE => left.as_divider().map(|it| it.div(right)),
        _ => left.as_modder().map(|it| it.modulo(right)),
    };
    match result {
        None | Some(Err(ExecutionError::UnsupportedBinaryOperator(..))) => Err(refused()),
        Some(Err(failed)) => Err(failed),
        Some(Ok(value)) => Ok(CowVal::Owned(value.into_owned())),
    }
}

fn is_double(value: &CowVal<'_, '_>) -> bool {
    value.downcast_ref::<CelDouble>().is_some()
}

/// An int as the double nearest to it.
fn widened<'b, 'v>(value: CowVal<'b, 'v>) -> CowVal<'b, 'v> {
    match value.downcast_ref::<CelInt>() {
        Some(int) => CowVal::owned(CelDouble::from(*int.inner() as f64)),
        None => value,
    }
}
