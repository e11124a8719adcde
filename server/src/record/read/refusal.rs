//! Why a read was refused, for callers to tell their callers.

use crm::expr::{EvalError, ExprError};
use crm::model::Label;
use sync_protocol::id::RecordId;

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No such entity, or none of its records are for this role: the caller does not learn which.
    #[error("the entity {entity:?} is unknown")]
    UnknownEntity {
        /// As it was named.
        entity: String,
    },
    /// No such record, or not one that the caller may read: the caller does not learn which.
    #[error("there is no {entity} {id}")]
    NotFound {
        /// The entity.
        entity: String,
        /// The record.
        id: RecordId,
    },
    /// No such field, or not one that the caller's role sees: the caller does not learn which.
    #[error("{parameter} names {field:?}, which {entity} does not have")]
    UnknownField {
        /// The entity.
        entity: String,
        /// The parameter.
        parameter: &'static str,
        /// As it was named.
        field: String,
    },
    /// A field that exists and cannot be used so.
    #[error("{parameter} cannot use {field:?}: {}", reason.en)]
    UnfitField {
        /// The parameter.
        parameter: &'static str,
        /// The field.
        field: String,
        /// What it would take.
        reason: Label,
    },
    /// The filter is not an expression over this entity's fields.
    #[error("where is not understood")]
    Filter {
        /// What is wrong, and where in it.
        source: ExprError,
    },
    /// The filter is an expression, but neither true nor false.
    #[error("where is not a condition")]
    NoCondition,
    /// The filter has no value for some record that the caller may read.
    #[error("where cannot be evaluated: {}", reason.en)]
    Evaluation {
        /// What happens in it.
        reason: Label,
    },
    /// A parameter out of its bounds.
    #[error("{parameter}: {}", reason.en)]
    Parameter {
        /// The parameter.
        parameter: &'static str,
        /// What it may be.
        reason: Label,
    },
    /// A sum that no longer fits a number.
    #[error("the sum of {field:?} is too large")]
    Overflow {
        /// The field.
        field: String,
    },
    /// A record whose stored body is not what the store writes.
    #[error("the stored body of {entity} {id} is damaged")]
    Damaged {
        /// The entity.
        entity: String,
        /// The record.
        id: RecordId,
        /// How.
        source: serde_json::Error,
    },
    /// The database did not answer.
    #[error("could not read records")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        let said = error.as_database_error().map(sqlx::error::DatabaseError::message).unwrap_or_default();
        match EvalError::told_by(said) {
            Some(told) => Self::Evaluation { reason: told.reason() },
            None => Self::Database(error),
        }
    }
}
