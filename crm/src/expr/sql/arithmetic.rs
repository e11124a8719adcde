//! Numbers: PostgreSQL fails by itself where a result does not fit or a divisor is zero; SQLite would go on with a
//! floating-point number, or with null.

use super::{Dialect, Emit, Sql};
use crate::expr::calendar::DAY_MS;
use crate::expr::node::{Arithmetic, Node};
use crate::expr::types::{self, Type};
use crate::expr::{EvalError, ExprError};

/// Fails with `integer overflow`.
const OVERFLOW: &str = "abs(-9223372036854775807 - 1)";
/// Fails with `bad JSON path: 'division by zero'`: SQLite lets no other expression word its error.
const DIVISION_BY_ZERO: &str = "json_extract('{}', 'division by zero')";
const LEAST: &str = "(-9223372036854775807 - 1)";

impl Emit<'_> {
    pub(super) fn negate(&mut self, inner: &Node) -> Result<Sql, ExprError> {
        let inner = self.node(inner)?;
        Ok(Sql::compound(self.checked(&format!("(- {})", inner.text)), Type::Int, true))
    }

    pub(super) fn arithmetic(&mut self, operation: Arithmetic, pair: &[Node; 2]) -> Result<Sql, ExprError> {
        let (left, right) = self.both(pair)?;
        let (left, right) = match operation {
            Arithmetic::Subtract => self.on_one_calendar(left, right),
            _ => (left, right),
        };
        let kind = types::of_arithmetic(operation, left.kind, right.kind).unwrap_or(Type::Int);
        let operator = operation.as_str();
        let text = match (operation, self.dialect) {
            (Arithmetic::Divide, Dialect::Sqlite) => {
                self.bound([&left, &right], |[x, y]| format!("CASE {} ELSE {x} / {y} END", refuse_quotient(x, y)))
            }
            (Arithmetic::Remainder, Dialect::Sqlite) => self.bound([&left, &right], |[x, y]| {
                format!("CASE WHEN {y} = 0 AND {x} IS NOT NULL THEN {DIVISION_BY_ZERO} ELSE {x} % {y} END")
            }),
            _ => self.checked(&self.strict([&left, &right], |[x, y]| format!("{x} {operator} {y}"))),
        };
        Ok(Sql::compound(text, kind, true))
    }

    /// The quotient, and one further from zero when twice what remains reaches the divisor. Written with differences of
    /// magnitudes, because twice the remainder need not fit.
    pub(super) fn round_half_up(&mut self, pair: &[Node; 2]) -> Result<Sql, ExprError> {
        let (value, divisor) = self.both(pair)?;
        let text = self.bound([&value, &divisor], |[x, y]| {
            let rounded = format!(
                "{x} / {y} + CASE WHEN - abs({x} % {y}) <= (CASE WHEN {y} < 0 THEN {y} ELSE - {y} END) + abs({x} % {y}) \
                 THEN CASE WHEN ({x} < 0) = ({y} < 0) THEN 1 ELSE -1 END ELSE 0 END"
            );
            match self.dialect {
                Dialect::Sqlite => format!("CASE {} ELSE {rounded} END", refuse_quotient(x, y)),
                Dialect::Postgres => rounded,
            }
        });
        Ok(Sql::compound(text, Type::Int, true))
    }

    /// Where a date meets an instant, the instant counts as its day in UTC.
    pub(super) fn on_one_calendar(&self, left: Sql, right: Sql) -> (Sql, Sql) {
        match (left.kind, right.kind) {
            (Type::Date, Type::Instant) => (left, self.day_of(&right)),
            (Type::Instant, Type::Date) => (self.day_of(&left), right),
            _ => (left, right),
        }
    }

    fn day_of(&self, instant: &Sql) -> Sql {
        let text = self.bound([instant, &Sql::null()], |[ms, _]| self.day_of_ms(ms));
        Sql { text, kind: Type::Date, shape: instant.shape }
    }

    /// Division rounds towards zero, days before 1970 must not.
    pub(super) fn day_of_ms(&self, ms: &str) -> String {
        let borrow = match self.dialect {
            Dialect::Sqlite => format!("({ms} % {DAY_MS} < 0)"),
            Dialect::Postgres => format!("({ms} % {DAY_MS} < 0)::int"),
        };
        format!("{ms} / {DAY_MS} - {borrow}")
    }

    fn checked(&self, text: &str) -> String {
        match self.dialect {
            Dialect::Postgres => text.to_owned(),
            Dialect::Sqlite => {
                format!(
                    "(SELECT CASE typeof(arg_x) WHEN 'real' THEN {OVERFLOW} ELSE arg_x END FROM (SELECT {text} AS arg_x) AS args)"
                )
            }
        }
    }

    /// SQL that fails as `error` says, when it is evaluated and not before.
    pub(super) fn failure(&self, error: &EvalError) -> String {
        match (self.dialect, error) {
            (Dialect::Sqlite, EvalError::DivisionByZero) => DIVISION_BY_ZERO.to_owned(),
            (Dialect::Sqlite, _) => OVERFLOW.to_owned(),
            // PostgreSQL computes constants beforehand; this one depends on the record for its looks only.
            (Dialect::Postgres, EvalError::DivisionByZero) => {
                format!("(1::bigint / (length({}::text) * 0))", self.body)
            }
            (Dialect::Postgres, _) => format!("(9223372036854775807 + length({}::text))", self.body),
        }
    }
}

fn refuse_quotient(x: &str, y: &str) -> String {
    format!("WHEN {y} = 0 AND {x} IS NOT NULL THEN {DIVISION_BY_ZERO} WHEN {y} = -1 AND {x} = {LEAST} THEN {OVERFLOW}")
}
