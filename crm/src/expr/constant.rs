//! Arithmetic on nothing but literals that can only fail is refused when it is written: a database may compute it even
//! where the expression would never ask for it.

use super::node::{Arithmetic, Kind, Literal, Node};
use super::{ExprError, Value, number};

pub(super) fn refuse_failing(kind: &Kind, at: usize) -> Result<(), ExprError> {
    match value(kind) {
        Some(Err(error)) => Err(ExprError::at(at, format!("this is always an error: {error}"))),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// What an expression may give without asking a record or a variable: its literal, or those of its choices' sides.
pub(super) fn literals(node: &Node) -> Vec<Value> {
    match &node.kind {
        Kind::Choose(three) => three[1..].iter().flat_map(literals).collect(),
        Kind::Literal(Literal::Bool(value)) => vec![Value::Bool(*value)],
        Kind::Literal(Literal::Date(day)) => vec![Value::Int(*day)],
        Kind::Literal(Literal::Text(text)) => vec![Value::Text(text.clone())],
        kind => value(kind).and_then(Result::ok).map(Value::Int).into_iter().collect(),
    }
}

/// The value of an expression of integer literals.
fn value(kind: &Kind) -> Option<Result<i64, super::EvalError>> {
    let of = |node: &Node| value(&node.kind);
    // An operand that fails has been refused before.
    let pair = |pair: &[Node; 2]| Some((of(&pair[0])?.ok()?, of(&pair[1])?.ok()?));
    match kind {
        Kind::Literal(Literal::Int(value)) => Some(Ok(*value)),
        Kind::Negate(inner) => Some(number::negate(of(inner)?.ok()?)),
        Kind::Arithmetic(operation, operands) => {
            if *operation == Arithmetic::Divide || *operation == Arithmetic::Remainder {
                // Whatever is divided.
                if let Some(Ok(0)) = of(&operands[1]) {
                    return Some(Err(super::EvalError::DivisionByZero));
                }
            }
            pair(operands).map(|(left, right)| number::compute(*operation, left, right))
        }
        Kind::RoundHalfUp(operands) => {
            if let Some(Ok(0)) = of(&operands[1]) {
                return Some(Err(super::EvalError::DivisionByZero));
            }
            pair(operands).map(|(left, right)| number::round_half_up(left, right))
        }
        _ => None,
    }
}
