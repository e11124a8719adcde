//! Expressions: conditions and values that a consultant writes in the model, in a filter or in an automation.
//!
//! The language is a subset of [CEL](https://cel.dev): whole numbers, texts, true and false, dates as day numbers, and
//! the fields of one record. `docs/expressions.md` describes it. Everything outside of it is refused by
//! [`Expr::compile`], so that the two evaluators, in memory ([`Expr::eval`]) and in a database ([`Expr::to_sql`]),
//! can agree on every value and every error; `crm/vectors/expressions.json` holds both to it.
//!
//! Records are taken to be normalised (`crate::rules::normalise`): of a field that holds what its kind does not allow,
//! the evaluators may think differently.

mod calendar;
mod constant;
mod error;
mod eval;
mod guard;
mod item;
mod lower;
mod node;
mod number;
mod options;
mod parse;
mod record;
mod sql;
mod types;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

pub use calendar::{date_text, day_number, day_of_instant};
pub use error::{EvalError, ExprError};
pub use sql::{Dialect, body_column};
pub use types::{Member, Type};

use crate::Fields;
use crate::model::Entity;

/// A compiled expression; on the wire and in the model its source text. Cloning is cheap.
#[derive(Clone)]
pub struct Expr {
    inner: Arc<Compiled>,
}

struct Compiled {
    source: String,
    root: node::Node,
    fields: BTreeSet<String>,
}

/// What an expression knows beside the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// The day number of today, in the tenant's calendar.
    pub today: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub now_ms: i64,
    /// The user for whom it is evaluated; null where nobody is.
    pub me: Option<Uuid>,
}

impl Variables {
    fn year_and_month(&self) -> Option<(i64, i64)> {
        calendar::year_and_month(self.today)
    }
}

/// What an expression gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Unknown, because something it needs is empty.
    Null,
    /// True or false.
    Bool(bool),
    /// A number, a day number or an instant: [`Expr::result_type`] tells which.
    Int(i64),
    /// A text, a key or an id.
    Text(String),
    /// Several of them.
    List(Vec<Value>),
}

impl Expr {
    /// Reads an expression.
    ///
    /// # Errors
    /// When the text is not in the language: what, where, and what is allowed instead.
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        let (tree, info) = parse::parse(source)?;
        let (root, fields) = lower::lower(&tree, &info)?;
        let source = source.to_owned();
        Ok(Self { inner: Arc::new(Compiled { source, root, fields }) })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// The record fields that it names; not the variables, nor the members that `all` and `exists` name.
    #[must_use]
    pub fn fields(&self) -> &BTreeSet<String> {
        &self.inner.fields
    }

    /// Whether it names a variable: `today`, alone or with `.year` or `.month`, `now` or `me`.
    #[must_use]
    pub fn names(&self, variable: &str) -> bool {
        self.inner.root.variables().iter().any(|named| named.as_str() == variable)
    }

    /// Whether there may be a record for which it has no value but an error.
    ///
    /// # Errors
    /// As [`Expr::check`].
    pub fn can_fail(&self, entity: &Entity) -> Result<bool, ExprError> {
        let sql = sql::to_sql(&self.inner.root, entity, Dialect::Sqlite, "body", &Variables::default())?;
        Ok(sql.fails())
    }

    /// The values that it may give whatever the record: its literal, or those on the sides of its choices.
    #[must_use]
    pub fn literals(&self) -> Vec<Value> {
        constant::literals(&self.inner.root)
    }

    /// Whether it fits an entity.
    ///
    /// # Errors
    /// When a field does not exist, a type does not fit, or a literal is no option of the field that it is compared with.
    pub fn check(&self, entity: &Entity) -> Result<(), ExprError> {
        self.result_type(entity).map(|_| ())
    }

    /// What it gives for records of an entity; checks it like [`Expr::check`].
    ///
    /// # Errors
    /// As [`Expr::check`].
    pub fn result_type(&self, entity: &Entity) -> Result<Type, ExprError> {
        types::check(&self.inner.root, entity)
    }

    /// Its value for one record.
    ///
    /// # Errors
    /// On integer overflow and division by zero; and when the expression was not checked against the entity, or the
    /// record not normalised.
    pub fn eval(&self, entity: &Entity, fields: &Fields, vars: &Variables) -> Result<Value, EvalError> {
        eval::eval(&self.inner.root, entity, fields, vars)
    }

    /// Whether it is true for one record; unknown is false.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn holds(&self, entity: &Entity, fields: &Fields, vars: &Variables) -> Result<bool, EvalError> {
        eval::holds(&self.inner.root, entity, fields, vars)
    }

    /// SQL that gives, for the row whose body is the column `body` (`r.body`), what [`Expr::eval`] gives for the record,
    /// and fails where it fails. Dates are day numbers, lists JSON arrays. The variables are written into it.
    ///
    /// # Errors
    /// As [`Expr::check`].
    pub fn to_sql(&self, entity: &Entity, dialect: Dialect, body: &str, vars: &Variables) -> Result<String, ExprError> {
        sql::to_sql(&self.inner.root, entity, dialect, body, vars).map(|sql| sql.text)
    }

    /// SQL that is true for the rows for which both `permitted` (SQL, never null) and the expression are true.
    ///
    /// A database looks at the terms of an `AND` in any order; an expression that can fail would then tell of rows that
    /// its author may not read: `1 / (salary - 50000) > 0` fails where somebody earns that. So it is not evaluated for
    /// rows that are not permitted.
    ///
    /// # Errors
    /// As [`Expr::check`].
    pub fn to_sql_within(
        &self,
        permitted: &str,
        entity: &Entity,
        dialect: Dialect,
        body: &str,
        vars: &Variables,
    ) -> Result<String, ExprError> {
        let sql = sql::to_sql(&self.inner.root, entity, dialect, body, vars)?;
        Ok(if sql.fails() {
            format!("{permitted} AND CASE WHEN {permitted} THEN {} END", sql.text)
        } else {
            format!("{permitted} AND {}", sql.text)
        })
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Expr {}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.source()).finish()
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source())
    }
}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.source())
    }
}

impl<'de> Deserialize<'de> for Expr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = String::deserialize(deserializer)?;
        Self::compile(&source).map_err(|error| de::Error::custom(format_args!("expression `{source}`: {error}")))
    }
}
