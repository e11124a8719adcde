//! Values while an expression runs: borrowed from the record and the tree, so that nothing is allocated.

use serde_json::Value as Json;

use super::node::{Arithmetic, Comparison};
use super::{EvalError, Value, calendar, number};

#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Date(i64),
    Instant(i64),
    Text(&'a str),
    /// The array of a field; an absent one is the empty array.
    List(&'a [Json]),
}

impl<'a> Item<'a> {
    pub fn is_empty(self) -> bool {
        matches!(self, Self::Null | Self::List([]))
    }

    pub fn describe(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a number",
            Self::Date(_) => "a date",
            Self::Instant(_) => "an instant",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
        }
    }

    /// True, false or unknown.
    pub fn truth(self, operation: &'static str) -> Result<Option<bool>, EvalError> {
        match self {
            Self::Bool(value) => Ok(Some(value)),
            Self::Null => Ok(None),
            other => Err(mismatch(operation, other)),
        }
    }

    pub fn int(self, operation: &'static str) -> Result<Option<i64>, EvalError> {
        match self {
            Self::Int(value) => Ok(Some(value)),
            Self::Null => Ok(None),
            other => Err(mismatch(operation, other)),
        }
    }

    pub fn text(self, operation: &'static str) -> Result<Option<&'a str>, EvalError> {
        match self {
            Self::Text(value) => Ok(Some(value)),
            Self::Null => Ok(None),
            other => Err(mismatch(operation, other)),
        }
    }

    pub fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) | Self::Date(value) | Self::Instant(value) => Value::Int(value),
            Self::Text(value) => Value::Text(value.to_owned()),
            Self::List(members) => {
                let text = |member: &Json| member.as_str().map_or(Value::Null, |text| Value::Text(text.to_owned()));
                Value::List(members.iter().map(text).collect())
            }
        }
    }
}

impl From<Option<bool>> for Item<'_> {
    fn from(truth: Option<bool>) -> Self {
        truth.map_or(Self::Null, Self::Bool)
    }
}

pub(super) fn mismatch(operation: &'static str, found: Item<'_>) -> EvalError {
    EvalError::Mismatch { operation, found: found.describe() }
}

/// Null when either side is null; a date and an instant by the instant's day.
pub(super) fn compare(comparison: Comparison, left: Item<'_>, right: Item<'_>) -> Result<Option<bool>, EvalError> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let order = match (left, right) {
        (Item::Null, _) | (_, Item::Null) => return Ok(None),
        (Item::Bool(a), Item::Bool(b)) => a.cmp(&b),
        (Item::Int(a), Item::Int(b)) | (Item::Date(a), Item::Date(b)) | (Item::Instant(a), Item::Instant(b)) => {
            a.cmp(&b)
        }
        (Item::Date(a), Item::Instant(b)) => a.cmp(&calendar::day_of_instant(b)),
        (Item::Instant(a), Item::Date(b)) => calendar::day_of_instant(a).cmp(&b),
        (Item::Text(a), Item::Text(b)) => a.cmp(b),
        (_, right) => return Err(mismatch(comparison.as_str(), right)),
    };
    Ok(Some(match comparison {
        Comparison::Equal => order == Equal,
        Comparison::NotEqual => order != Equal,
        Comparison::Less => order == Less,
        Comparison::LessEqual => order != Greater,
        Comparison::Greater => order == Greater,
        Comparison::GreaterEqual => order != Less,
    }))
}

pub(super) fn compute<'a>(operation: Arithmetic, left: Item<'a>, right: Item<'a>) -> Result<Item<'a>, EvalError> {
    use Arithmetic::{Add, Subtract};
    let result = |a, b| number::compute(operation, a, b);
    match (operation, left, right) {
        (_, Item::Null, _) | (_, _, Item::Null) => Ok(Item::Null),
        (_, Item::Int(a), Item::Int(b))
        | (Subtract, Item::Date(a), Item::Date(b))
        | (Subtract, Item::Instant(a), Item::Instant(b)) => result(a, b).map(Item::Int),
        (Subtract, Item::Date(a), Item::Instant(b)) => result(a, calendar::day_of_instant(b)).map(Item::Int),
        (Subtract, Item::Instant(a), Item::Date(b)) => result(calendar::day_of_instant(a), b).map(Item::Int),
        (Add | Subtract, Item::Date(a), Item::Int(b)) | (Add, Item::Int(a), Item::Date(b)) => {
            result(a, b).map(Item::Date)
        }
        (Add | Subtract, Item::Instant(a), Item::Int(b)) | (Add, Item::Int(a), Item::Instant(b)) => {
            result(a, b).map(Item::Instant)
        }
        (_, _, right) => Err(mismatch(operation.as_str(), right)),
    }
}
