use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{MutationId, RecordId, Sequence};

/// Field values by field name; `null` clears a field.
pub type Fields = BTreeMap<String, Value>;

/// One intent of a device, safe to send any number of times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mutation {
    /// Contiguous per device, from 1.
    pub id: MutationId,
    /// What to do with the record.
    pub kind: MutationKind,
    /// The record's entity.
    pub entity: String,
    /// The record; on `create`, a UUID of version 7 that the device made.
    pub record: RecordId,
    /// The record's sequence that the device had when the person edited it; 0 on `create`.
    #[serde(default)]
    pub base: Sequence,
    /// Fields to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: Fields,
    /// Changes that say what to do instead of what to be; at most one per field, and none for a field in `set`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ops: Vec<FieldOperation>,
    /// Mutations of one exchange that share a group are applied whole or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u64>,
    /// A mutation of this device that must have been applied; else this one is rejected with `dependency-rejected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<MutationId>,
    /// When the person acted, by the device's clock, milliseconds since the Unix epoch: it annotates, it never decides.
    pub at_ms: i64,
    /// Hash of the model that the mutation was made under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl Mutation {
    /// A mutation that does nothing and is rejected: it stands in the place of one that is not to be done, or that the
    /// device no longer has, where a restored server asks for its number.
    #[must_use]
    pub fn void(id: MutationId) -> Self {
        Self {
            id,
            kind: MutationKind::Update,
            entity: String::new(),
            record: RecordId(uuid::Uuid::nil()),
            base: 0,
            set: Fields::new(),
            ops: Vec::new(),
            group: None,
            depends_on: None,
            at_ms: 0,
            model: None,
        }
    }

    /// Whether it is such a one: no entity has an empty name.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.entity.is_empty()
    }
}

/// What a mutation does with its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MutationKind {
    /// Makes a record that does not exist.
    Create,
    /// Changes some of its fields.
    Update,
    /// Removes it, leaving a tombstone.
    Delete,
}

/// A change relative to whatever the field holds when it is applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum FieldOperation {
    /// Adds to a counter.
    Increment {
        /// The field.
        field: String,
        /// May be negative.
        by: i64,
    },
    /// Adds members to a set.
    Add {
        /// The field.
        field: String,
        /// The members.
        values: Vec<Value>,
    },
    /// Removes members from a set.
    Remove {
        /// The field.
        field: String,
        /// The members.
        values: Vec<Value>,
    },
    /// Appends entries to a log.
    Append {
        /// The field.
        field: String,
        /// The entries, oldest first.
        values: Vec<Value>,
    },
}

impl FieldOperation {
    /// The field it changes.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Increment { field, .. }
            | Self::Add { field, .. }
            | Self::Remove { field, .. }
            | Self::Append { field, .. } => field,
        }
    }
}
