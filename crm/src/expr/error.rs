use std::fmt;

/// Why a text is no expression, or not one of this entity: what, where, and what is allowed instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// The character at which it was noticed, counted from 1; absent where the whole expression is meant.
    pub position: Option<usize>,
    /// One sentence for the person who wrote the expression.
    pub message: String,
}

impl ExprError {
    pub(super) fn at(position: usize, message: impl Into<String>) -> Self {
        Self { position: Some(position), message: message.into() }
    }

    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self { position: None, message: message.into() }
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(f, "at character {position}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ExprError {}

/// Why an expression has no value for one record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A result does not fit 64 bits.
    #[error("integer overflow")]
    Overflow,
    /// A divisor is zero.
    #[error("division by zero")]
    DivisionByZero,
    /// The expression was not checked against this entity.
    #[error("there is no field {field} in {entity}")]
    UnknownField {
        /// As the expression names it.
        field: String,
        /// The entity's name.
        entity: String,
    },
    /// The expression was not checked against this entity.
    #[error("{operation} does not take {found}")]
    Mismatch {
        /// As the expression spells it.
        operation: &'static str,
        /// What it was given.
        found: &'static str,
    },
    /// The record was not normalised before.
    #[error("field {field} does not hold {expected}")]
    Malformed {
        /// The field's name.
        field: String,
        /// What it should hold.
        expected: &'static str,
    },
}
