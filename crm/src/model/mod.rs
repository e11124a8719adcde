//! The model: every entity, field, rule and permission of one tenant, compiled from YAML and checked.

mod entity;
mod field;
mod labels;
mod permission;
mod pipeline;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use entity::{Entity, ImportSpec, NumberSeries, Rule, Severity};
pub use field::{EnumOption, Field, FieldKind, MergeClass, OnDelete};
pub use labels::{Label, Labels, Language};
pub use permission::{Level, Permission};
pub use pipeline::{Pipeline, Stage, StageKind};

/// All that a tenant's records may be: the core definitions with the tenant's overlays laid over them, or the part of
/// that which one role may see.
///
/// Serializes to the JSON that devices fetch; deserializing compiles its expressions again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Model {
    /// Lowercase hex SHA-256 of the model's canonical JSON without this field.
    pub hash: String,
    /// In the order of their definition; that order is also the order in which imports and exports handle them.
    pub entities: IndexMap<String, Entity>,
}

impl Model {
    /// The entity of that name.
    #[must_use]
    pub fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities.get(name)
    }
}
