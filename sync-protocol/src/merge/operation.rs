use std::cmp::Ordering;

use serde_json::Value;

use super::Class;
use crate::wire::FieldOperation;

impl Class {
    /// The class of the fields that an operation is for.
    #[must_use]
    pub fn of_operation(operation: &FieldOperation) -> Self {
        match operation {
            FieldOperation::Increment { .. } => Self::Counter,
            FieldOperation::Add { .. } | FieldOperation::Remove { .. } => Self::Set,
            FieldOperation::Append { .. } => Self::Append,
        }
    }
}

/// Applies an operation to a field that holds `current`, and returns what it holds afterwards; `Null` where nothing
/// is left in it.
///
/// Increments commute with increments, additions with additions, removals with removals; sets come out sorted and
/// without repetition.
///
/// # Errors
///
/// [`OperationError`] when the field is not of the operation's class, holds something else than the class says, or
/// would overflow.
pub fn apply_operation(
    class: Class,
    current: Option<&Value>,
    operation: &FieldOperation,
) -> Result<Value, OperationError> {
    let field = || operation.field().to_owned();
    let needed = Class::of_operation(operation);
    if class != needed {
        return Err(OperationError::WrongClass { field: field(), needed, class });
    }
    let current = current.filter(|value| !value.is_null());
    match operation {
        FieldOperation::Increment { by, .. } => {
            let number = match current {
                None => 0,
                Some(value) => value.as_i64().ok_or_else(|| OperationError::WrongType { field: field() })?,
            };
            number.checked_add(*by).map(Value::from).ok_or_else(|| OperationError::Overflow { field: field() })
        }
        FieldOperation::Add { values, .. } => {
            let mut members = entries(current, operation)?;
            members.extend(values.iter().filter(|value| !value.is_null()).cloned());
            Ok(set_of(members))
        }
        FieldOperation::Remove { values, .. } => {
            let mut members = entries(current, operation)?;
            members.retain(|member| !values.contains(member));
            Ok(set_of(members))
        }
        FieldOperation::Append { values, .. } => {
            let mut log = entries(current, operation)?;
            log.extend(values.iter().cloned());
            Ok(if log.is_empty() { Value::Null } else { Value::Array(log) })
        }
    }
}

fn entries(current: Option<&Value>, operation: &FieldOperation) -> Result<Vec<Value>, OperationError> {
    match current {
        None => Ok(Vec::new()),
        Some(Value::Array(entries)) => Ok(entries.clone()),
        Some(_) => Err(OperationError::WrongType { field: operation.field().to_owned() }),
    }
}

fn set_of(mut members: Vec<Value>) -> Value {
    if members.is_empty() {
        return Value::Null;
    }
    members.sort_by(order);
    members.dedup();
    Value::Array(members)
}

/// A total order in which texts, of which nearly every set consists, sort by their bytes.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => a.to_string().cmp(&b.to_string()),
    }
}

/// Why an operation does not fit its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// The operation belongs to another class of fields.
    #[error("field {field} is of class {class:?} and takes no operation for class {needed:?}: set its value instead")]
    WrongClass {
        /// The field.
        field: String,
        /// The class that the operation is for.
        needed: Class,
        /// The field's class.
        class: Class,
    },
    /// The field holds something that the operation cannot work on.
    #[error("field {field} does not hold what the operation changes: set its value instead")]
    WrongType {
        /// The field.
        field: String,
    },
    /// The sum is beyond 64 bits.
    #[error("field {field} cannot hold the sum: increment it by less")]
    Overflow {
        /// The field.
        field: String,
    },
}
