use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::BaseRecord;
use crate::wire::{FieldOperation, Fields, Mutation};

/// What a new model calls otherwise than the one before. The host knows models; what follows for the store is here.
pub trait Renaming: fmt::Debug + Send + Sync {
    /// What the field is called now; `None`: it is no more, or the user no longer sees it.
    fn name(&self, entity: &str, field: &str) -> Option<String>;

    /// Calls fields, and what they hold, as the new model does. What is no more is taken out and given back under its
    /// former name.
    fn follow(&self, entity: &str, fields: &mut Fields) -> Fields;
}

/// A [`Renaming`] as a step of a batch carries it; by default nothing is called otherwise.
#[derive(Clone, Debug, Default)]
pub struct Names(Option<Arc<dyn Renaming>>);

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Names {
    /// What `renaming` says.
    #[must_use]
    pub fn of(renaming: Arc<dyn Renaming>) -> Self {
        Self(Some(renaming))
    }

    /// Whether everything is called as before.
    pub(crate) fn are_the_same(&self) -> bool {
        self.0.is_none()
    }

    /// What a field is called now; one that is no more keeps its name.
    pub(super) fn name(&self, entity: &str, field: &str) -> String {
        self.0.as_ref().and_then(|names| names.name(entity, field)).unwrap_or_else(|| field.to_owned())
    }

    /// A base record as the new model calls it; `None` where nothing changes.
    pub(super) fn record(&self, record: &BaseRecord) -> Option<BaseRecord> {
        let mut fields = record.fields.clone();
        self.0.as_ref()?.follow(&record.entity, &mut fields);
        (fields != record.fields).then(|| BaseRecord { fields, ..record.clone() })
    }

    /// A mutation as the new model calls it; `None` where nothing changes. What it says of a field that is no more it
    /// keeps saying: the server decides about it.
    pub(crate) fn mutation(&self, mutation: &Mutation) -> Option<Mutation> {
        let names = self.0.as_ref()?;
        let mut set = mutation.set.clone();
        let gone = names.follow(&mutation.entity, &mut set);
        set.extend(gone);
        let ops = mutation.ops.iter().map(|operation| self.operation(&mutation.entity, operation)).collect();
        let renamed = Mutation { set, ops, ..mutation.clone() };
        (renamed != *mutation).then_some(renamed)
    }

    /// Values of the server as the new model calls them; what is no more keeps its name.
    pub(crate) fn values(&self, entity: &str, values: &Fields) -> Fields {
        let mut values = values.clone();
        let gone = self.0.as_ref().map(|names| names.follow(entity, &mut values)).unwrap_or_default();
        values.extend(gone);
        values
    }

    fn operation(&self, entity: &str, operation: &FieldOperation) -> FieldOperation {
        let mut operation = operation.clone();
        let (FieldOperation::Increment { field, .. }
        | FieldOperation::Add { field, .. }
        | FieldOperation::Remove { field, .. }
        | FieldOperation::Append { field, .. }) = &mut operation;
        let was = std::mem::take(field);
        *field = self.name(entity, &was);
        if let FieldOperation::Add { values, .. } | FieldOperation::Remove { values, .. } = &mut operation {
            let mut members = Fields::from([(was, Value::Array(std::mem::take(values)))]);
            let gone = self.0.as_ref().map(|names| names.follow(entity, &mut members)).unwrap_or_default();
            for member in members.into_values().chain(gone.into_values()) {
                if let Value::Array(members) = member {
                    values.extend(members);
                }
            }
        }
        operation
    }
}
