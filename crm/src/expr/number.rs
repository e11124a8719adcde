//! Integer arithmetic that says when it fails.

use super::EvalError;
use super::node::Arithmetic;

pub(super) fn compute(operation: Arithmetic, left: i64, right: i64) -> Result<i64, EvalError> {
    let result = match operation {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide | Arithmetic::Remainder if right == 0 => return Err(EvalError::DivisionByZero),
        Arithmetic::Divide => left.checked_div(right),
        // The least integer leaves nothing when divided by -1; both databases say so too.
        Arithmetic::Remainder => Some(left.wrapping_rem(right)),
    };
    result.ok_or(EvalError::Overflow)
}

pub(super) fn negate(value: i64) -> Result<i64, EvalError> {
    value.checked_neg().ok_or(EvalError::Overflow)
}

/// `value / divisor`, a half rounded away from zero.
pub(super) fn round_half_up(value: i64, divisor: i64) -> Result<i64, EvalError> {
    if divisor == 0 {
        return Err(EvalError::DivisionByZero);
    }
    let (value, divisor) = (i128::from(value), i128::from(divisor));
    let magnitude = (value.abs() * 2 + divisor.abs()) / (divisor.abs() * 2);
    let sign = value.signum() * divisor.signum();
    i64::try_from(magnitude * sign).map_err(|_| EvalError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::{EvalError, round_half_up};

    #[test]
    fn a_half_rounds_away_from_zero() {
        for (value, divisor, expected) in [
            (149, 100, 1),
            (150, 100, 2),
            (-149, 100, -1),
            (-150, 100, -2),
            (150, -100, -2),
            (-150, -100, 2),
            (0, 7, 0),
            (5, 3, 2),
            (4, 3, 1),
            (i64::MAX, 1, i64::MAX),
            (i64::MIN, 1, i64::MIN),
            (i64::MIN, i64::MIN, 1),
            (i64::MAX, i64::MIN, -1),
            (1, i64::MIN, 0),
        ] {
            assert_eq!(round_half_up(value, divisor), Ok(expected), "{value} / {divisor}");
        }
        assert_eq!(round_half_up(i64::MIN, -1), Err(EvalError::Overflow));
        assert_eq!(round_half_up(1, 0), Err(EvalError::DivisionByZero));
    }
}
