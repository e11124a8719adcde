use std::fmt;

use crate::model::Label;

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

    /// What is wrong, as the end of a sentence. What the analyser says of it is English and quoted as such.
    #[must_use]
    pub fn reason(&self) -> Label {
        let es = match self.position {
            Some(position) => format!("hay un error en el carácter {position}; en inglés: «{}»", self.message),
            None => format!("hay un error; en inglés: «{}»", self.message),
        };
        Label { es, en: self.to_string() }
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

impl EvalError {
    /// What happened, as the end of a sentence.
    #[must_use]
    pub fn reason(&self) -> Label {
        let es = match self {
            Self::Overflow => "un resultado no cabe en 64 bits".to_owned(),
            Self::DivisionByZero => "hay una división por cero".to_owned(),
            Self::UnknownField { field, entity } => format!("{entity} no tiene ningún campo {field}"),
            Self::Mismatch { operation, .. } => format!("«{operation}» no admite el tipo de sus valores"),
            Self::Malformed { field, .. } => format!("el valor del campo {field} no es de su tipo"),
        };
        let en = match self {
            Self::Overflow => "a result does not fit 64 bits".to_owned(),
            Self::DivisionByZero => "there is a division by zero".to_owned(),
            other => other.to_string(),
        };
        Label { es, en }
    }

    /// The error that SQL made by [`Expr::to_sql`](super::Expr::to_sql) raised, by what the database says of it; nothing
    /// where the database says something else.
    #[must_use]
    pub fn told_by(said: &str) -> Option<Self> {
        if said.contains("integer overflow") || said.contains("bigint out of range") {
            Some(Self::Overflow)
        } else if said.contains("division by zero") {
            Some(Self::DivisionByZero)
        } else {
            None
        }
    }
}
