//! The model: every entity, field, rule and permission of one tenant, compiled from YAML and checked.
//!
//! A model is built in layers: the core definitions, a tenant's overlays over them ([`Model::build`]), and the part of
//! the result that one role may see ([`Model::for_role`]). `docs/model.md` says what a definition may contain.

mod assemble;
mod blob;
mod check;
mod column;
mod definition;
mod entity;
mod evolution;
mod field;
mod hash;
mod labels;
mod load;
mod overlay;
mod permission;
mod pipeline;
mod problem;
mod role;

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use blob::{Accept, DEFAULT_BLOB_BYTES, ending_of, media_type_of};
pub use column::fold_column;
pub use entity::{Entity, ImportSpec, NumberSeries, Rule, Severity, SyncSpec};
pub use evolution::Evolution;
pub use field::{EnumOption, Field, FieldKind, MergeClass, OnDelete};
pub use labels::{Label, Labels, Language};
pub use load::Overlay;
pub use permission::{Level, Permission};
pub use pipeline::{Pipeline, Stage, StageKind};
pub use problem::{ModelProblem, ModelProblems};

/// All that a tenant's records may be: the core definitions with the tenant's overlays laid over them, or the part of
/// that which one role may see.
///
/// Serializes to the JSON that devices fetch; deserializing compiles its expressions again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Model {
    /// Lowercase hex SHA-256 of the entities' JSON, as [`Model::to_json`] writes them.
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

    /// The keys of all roles that some entity names.
    #[must_use]
    pub fn roles(&self) -> BTreeSet<&str> {
        self.entities.values().flat_map(|entity| entity.permissions.keys()).map(String::as_str).collect()
    }

    /// The JSON that devices fetch and keep.
    ///
    /// # Panics
    ///
    /// Never: a model has text keys and no floats.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a model has text keys and no floats, so it always serializes")
    }

    /// Reads what [`Model::to_json`] wrote, here or in a newer release: keys that this release does not know are
    /// skipped, and the hash stays the one that the server gave.
    ///
    /// # Errors
    ///
    /// When it is not such JSON, or holds a field type or an expression that this release does not know.
    pub fn from_json(json: &str) -> Result<Self, ModelProblems> {
        serde_json::from_str(json).map_err(|error| ModelProblems {
            problems: vec![ModelProblem {
                file: "model JSON".to_owned(),
                path: format!("line {}, column {}", error.line(), error.column()),
                what: error.to_string(),
                advice: "fetch the model again, or update this program if the server is newer".to_owned(),
            }],
        })
    }

    fn of(entities: IndexMap<String, Entity>) -> Self {
        Self { hash: hash::of(&entities), entities }
    }
}
