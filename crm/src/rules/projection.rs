use std::collections::BTreeSet;

use crate::Fields;
use crate::model::{Entity, Permission};

/// The fields of an entity that one permission shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    shown: BTreeSet<String>,
    hidden: BTreeSet<String>,
}

impl Projection {
    /// What `permission` shows of `entity`.
    #[must_use]
    pub fn of(entity: &Entity, permission: &Permission) -> Self {
        let (shown, hidden) = entity
            .fields
            .values()
            .map(|field| {
                let is_listed = permission.fields.as_ref().is_none_or(|fields| fields.contains(&field.name));
                (field.name.clone(), is_listed && permission.levels.contains(&field.level))
            })
            .partition::<Vec<_>, _>(|(_, is_shown)| *is_shown);
        let names = |fields: Vec<(String, bool)>| fields.into_iter().map(|(name, _)| name).collect();
        Self { shown: names(shown), hidden: names(hidden) }
    }

    /// Whether the field is seen. One that the entity does not define (left by an overlay that is gone) is seen only
    /// by those who see everything, since nothing says how far it may go.
    #[must_use]
    pub fn shows(&self, field: &str) -> bool {
        self.is_whole() || self.shown.contains(field)
    }

    /// Whether nothing is hidden: the stored body may go out as it is.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.hidden.is_empty()
    }

    /// The names of the entity's fields that are not seen.
    pub fn hidden(&self) -> impl Iterator<Item = &str> {
        self.hidden.iter().map(String::as_str)
    }

    /// Takes out what is not seen.
    pub fn apply(&self, fields: &mut Fields) {
        if !self.is_whole() {
            fields.retain(|name, _| self.shown.contains(name));
        }
    }
}
