//! An expression as SQL, with the value and the errors that it has in memory.
//!
//! Two rules carry the equality. What can fail and what is used twice is bound to a name by a subselect (`arg_x`,
//! `arg_y`), so that the text grows with the expression and not with the powers of two. And where the order of
//! evaluation can be seen, because one side can fail, `CASE` decides it: `AND` and `OR` promise none.
//!
//! In PostgreSQL every value is equal; an error can go unnoticed where the other operand is the constant null or `exists`
//! has found its member, and can be noticed where nothing asks for it, when constants alone lead to it.

mod arithmetic;
mod column;
mod logic;

use super::node::{Comparison, Kind, Literal, Node, TextTest, Variable};
use super::types::{self, Member, Type};
use super::{ExprError, Value, Variables, eval};
use crate::Fields;
use crate::model::Entity;

pub use column::body_column;

/// Whose SQL is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite 3.45 or later; the body is JSON text.
    Sqlite,
    /// PostgreSQL 15 or later; the body is `jsonb`.
    Postgres,
}

pub(super) fn to_sql(
    root: &Node,
    entity: &Entity,
    dialect: Dialect,
    body: &str,
    variables: &Variables,
) -> Result<Sql, ExprError> {
    types::check(root, entity)?;
    let mut emit = Emit { entity, dialect, body, variables, members: Vec::new() };
    emit.node(root)
}

/// A text in quotes; the one place where a text that a person wrote enters SQL.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The SQL of one node, closed: it can stand beside any operator.
pub(super) struct Sql {
    pub(super) text: String,
    kind: Type,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A literal that is not null.
    Known,
    /// A column, or otherwise cheap and short enough to be written twice.
    Atom,
    Compound,
    /// Compound, and evaluating it can end in an error.
    Failing,
}

impl Sql {
    fn known(text: String, kind: Type) -> Self {
        Self { text, kind, shape: Shape::Known }
    }

    fn atom(text: String, kind: Type) -> Self {
        Self { text, kind, shape: Shape::Atom }
    }

    /// Made of other SQL; `fails` when that can.
    fn compound(text: String, kind: Type, fails: bool) -> Self {
        Self { text, kind, shape: if fails { Shape::Failing } else { Shape::Compound } }
    }

    fn null() -> Self {
        Self::atom("NULL".to_owned(), Type::Null)
    }

    fn is_atom(&self) -> bool {
        matches!(self.shape, Shape::Known | Shape::Atom)
    }

    pub(super) fn fails(&self) -> bool {
        self.shape == Shape::Failing
    }
}

struct Emit<'a> {
    entity: &'a Entity,
    dialect: Dialect,
    body: &'a str,
    variables: &'a Variables,
    /// What the surrounding `all` and `exists` look at, outermost first.
    members: Vec<Member>,
}

impl Emit<'_> {
    fn node(&mut self, node: &Node) -> Result<Sql, ExprError> {
        match &node.kind {
            Kind::Literal(literal) => Ok(self.literal(literal)),
            Kind::Variable(variable) => Ok(self.variable(*variable)),
            Kind::Field { name, part } => self.field(node.at, name, *part),
            Kind::Member(depth) => Ok(self.member(*depth)),
            Kind::List(members) => self.list(members),
            Kind::Negate(_) | Kind::Arithmetic(..) | Kind::RoundHalfUp(_) if is_constant(node) => {
                Ok(self.constant(node))
            }
            Kind::Negate(inner) => self.negate(inner),
            Kind::Arithmetic(operation, pair) => self.arithmetic(*operation, pair),
            Kind::RoundHalfUp(pair) => self.round_half_up(pair),
            Kind::Not(inner) => {
                let inner = self.node(inner)?;
                Ok(Sql::compound(format!("(NOT {})", inner.text), Type::Bool, inner.fails()))
            }
            Kind::Compare(comparison, pair) => self.compare(*comparison, pair),
            Kind::IsEmpty(inner) => self.is_empty(inner),
            Kind::In(pair) => self.in_list(pair),
            Kind::Logic(logic, pair) => self.logic(*logic, pair),
            Kind::Choose(three) => self.choose(three),
            Kind::TextTest(test, pair) => self.text_test(*test, pair),
            Kind::Size(inner) => {
                let inner = self.node(inner)?;
                let text = match inner.kind {
                    Type::List(_) | Type::Things => self.list_length(&inner),
                    _ => self.as_int(&format!("length({})", inner.text)),
                };
                Ok(Sql::compound(text, Type::Int, inner.fails()))
            }
            Kind::Quantify { quantifier, depth, list, predicate } => {
                self.quantify(*quantifier, *depth, list, predicate)
            }
        }
    }

    /// A pair of operands.
    fn both(&mut self, pair: &[Node; 2]) -> Result<(Sql, Sql), ExprError> {
        Ok((self.node(&pair[0])?, self.node(&pair[1])?))
    }

    fn literal(&self, literal: &Literal) -> Sql {
        match literal {
            Literal::Null => Sql::null(),
            Literal::Bool(value) => Sql::known(self.truth(*value).to_owned(), Type::Bool),
            Literal::Int(value) => Sql::known(self.int(*value), Type::Int),
            Literal::Date(day) => Sql::known(self.int(*day), Type::Date),
            Literal::Text(text) => Sql::known(self.text(text), Type::Text),
        }
    }

    fn variable(&self, variable: Variable) -> Sql {
        let year_and_month = self.variables.year_and_month();
        let (text, kind) = match variable {
            Variable::Today => (Some(self.int(self.variables.today)), Type::Date),
            Variable::Now => (Some(self.int(self.variables.now_ms)), Type::Instant),
            Variable::TodayYear => (year_and_month.map(|(year, _)| self.int(year)), Type::Int),
            Variable::TodayMonth => (year_and_month.map(|(_, month)| self.int(month)), Type::Int),
            Variable::Me => (self.variables.me.map(|id| self.text(&id.as_hyphenated().to_string())), Type::Text),
        };
        match text {
            Some(text) => Sql::known(text, kind),
            None => Sql { kind, ..Sql::null() },
        }
    }

    fn truth(&self, value: bool) -> &'static str {
        match (self.dialect, value) {
            (Dialect::Sqlite, true) => "1",
            (Dialect::Sqlite, false) => "0",
            (Dialect::Postgres, true) => "TRUE",
            (Dialect::Postgres, false) => "FALSE",
        }
    }

    fn text(&self, value: &str) -> String {
        match self.dialect {
            Dialect::Sqlite => quoted(value),
            // A bare literal has no type where nothing beside it gives it one.
            Dialect::Postgres => format!("{}::text", quoted(value)),
        }
    }

    fn int(&self, value: i64) -> String {
        match self.dialect {
            Dialect::Sqlite if value < 0 => format!("({value})"),
            Dialect::Sqlite => value.to_string(),
            Dialect::Postgres => format!("({value})::bigint"),
        }
    }

    /// A number that the database made, in the one integer type that the language has.
    fn as_int(&self, text: &str) -> String {
        match self.dialect {
            Dialect::Sqlite => text.to_owned(),
            Dialect::Postgres => format!("({text})::bigint"),
        }
    }

    /// What nothing in the record can change is computed here, so that `close_date > today - 180` compares with a number.
    fn constant(&self, node: &Node) -> Sql {
        let kind = types::of_constant(node);
        match eval::eval(node, self.entity, &Fields::new(), self.variables) {
            Ok(Value::Int(value)) => Sql::known(self.int(value), kind),
            Ok(_) => Sql { kind, ..Sql::null() },
            Err(error) => Sql::compound(self.failure(&error), kind, true),
        }
    }

    fn compare(&mut self, comparison: Comparison, pair: &[Node; 2]) -> Result<Sql, ExprError> {
        let (left, right) = self.both(pair)?;
        let (left, right) = self.on_one_calendar(left, right);
        let operator = match comparison {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            other => other.as_str(),
        };
        // Texts are ordered by their characters' code points, whatever the database's collation.
        let collation = match self.dialect {
            Dialect::Postgres if comparison.orders() && left.kind == Type::Text => " COLLATE \"C\"",
            _ => "",
        };
        let fails = left.fails() || right.fails();
        let text = self.strict([&left, &right], |[x, y]| format!("{x}{collation} {operator} {y}"));
        Ok(Sql::compound(text, Type::Bool, fails))
    }

    fn is_empty(&mut self, inner: &Node) -> Result<Sql, ExprError> {
        let inner = self.node(inner)?;
        let text = match inner.kind {
            Type::List(_) | Type::Things => format!("({} = 0)", self.list_length(&inner)),
            _ => format!("({} IS NULL)", inner.text),
        };
        Ok(Sql::compound(text, Type::Bool, inner.fails()))
    }

    fn text_test(&mut self, test: TextTest, pair: &[Node; 2]) -> Result<Sql, ExprError> {
        let (whole, part) = self.both(pair)?;
        let fails = whole.fails() || part.fails();
        let sql = self.bound([&whole, &part], |[whole, part]| match (test, self.dialect) {
            (TextTest::Contains, Dialect::Sqlite) => format!("instr({whole}, {part}) > 0"),
            (TextTest::Contains, Dialect::Postgres) => format!("strpos({whole}, {part}) > 0"),
            (TextTest::StartsWith, Dialect::Sqlite) => format!("substr({whole}, 1, length({part})) = {part}"),
            (TextTest::StartsWith, Dialect::Postgres) => format!("starts_with({whole}, {part})"),
            (TextTest::EndsWith, Dialect::Sqlite) => format!(
                "length({part}) <= length({whole}) AND substr({whole}, length({whole}) - length({part}) + 1) = {part}"
            ),
            (TextTest::EndsWith, Dialect::Postgres) => format!("right({whole}, length({part})) = {part}"),
        });
        Ok(Sql::compound(sql, Type::Bool, fails))
    }

    /// What `write` makes of two operands, both of which are evaluated: SQLite leaves one out when the other is null, and
    /// with it its error.
    fn strict(&self, [left, right]: [&Sql; 2], write: impl Fn([&str; 2]) -> String) -> String {
        let hides = |one: &Sql, other: &Sql| other.fails() && one.shape != Shape::Known;
        if self.dialect == Dialect::Sqlite && (hides(left, right) || hides(right, left)) {
            return self.bound([left, right], write);
        }
        format!("({})", write([&left.text, &right.text]))
    }

    /// What `write` makes of two operands that it may name more than once, in parentheses.
    fn bound(&self, [left, right]: [&Sql; 2], write: impl Fn([&str; 2]) -> String) -> String {
        if left.is_atom() && right.is_atom() {
            return format!("({})", write([&left.text, &right.text]));
        }
        // PostgreSQL would write the operands back to where they are named.
        let fence = match self.dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => " OFFSET 0",
        };
        format!(
            "(SELECT {} FROM (SELECT {} AS arg_x, {} AS arg_y{fence}) AS args)",
            write(["arg_x", "arg_y"]),
            left.text,
            right.text
        )
    }
}

/// Whether a node is computed from literals and variables alone.
fn is_constant(node: &Node) -> bool {
    match &node.kind {
        Kind::Literal(_) | Kind::Variable(_) => true,
        Kind::Negate(inner) => is_constant(inner),
        Kind::Arithmetic(_, pair) | Kind::RoundHalfUp(pair) => pair.iter().all(is_constant),
        _ => false,
    }
}
