//! What a YAML file may say. The same format serves the core entities and a tenant's overlays; an overlay leaves out
//! what it does not add. Unknown keys are refused here, so that a misspelt right is a problem and not a silent "none";
//! the types of the compiled model are lenient instead, because an older device reads a newer model.

use indexmap::IndexMap;
use serde::Deserialize;

use super::{
    Accept, Label, Labels, Level, MergeClass, NumberSeries, OnDelete, Permission, Severity, StageKind, SyncSpec,
};
use crate::expr::Expr;

/// One YAML document: a new entity, or what an overlay adds to one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    pub entity: String,
    pub labels: Option<Labels>,
    #[serde(default)]
    pub mixins: Vec<String>,
    pub title: Option<String>,
    pub module: Option<String>,
    pub parent: Option<String>,
    pub number: Option<NumberDefinition>,
    #[serde(default)]
    pub fields: IndexMap<String, FieldDefinition>,
    #[serde(default)]
    pub removed: Vec<String>,
    #[serde(default)]
    pub pipelines: IndexMap<String, Vec<StageDefinition>>,
    #[serde(default)]
    pub rules: Vec<RuleDefinition>,
    #[serde(default)]
    pub permissions: IndexMap<String, PermissionDefinition>,
    pub sync: Option<SyncDefinition>,
    #[serde(default)]
    pub import: ImportDefinition,
    #[serde(default)]
    pub layouts: IndexMap<String, Vec<String>>,
}

/// Fields that several entities share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MixinDefinition {
    pub fields: IndexMap<String, FieldDefinition>,
    #[serde(default)]
    pub aliases: IndexMap<String, Vec<String>>,
    #[serde(default, rename = "match")]
    pub keys: Vec<Vec<String>>,
}

/// A field, or what an overlay tightens in one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldDefinition {
    #[serde(rename = "type")]
    pub kind: Option<KindName>,
    pub labels: Option<Label>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub scale: Option<u8>,
    pub accept: Option<Accept>,
    #[serde(default)]
    pub options: IndexMap<String, Label>,
    #[serde(default)]
    pub was: Vec<String>,
    #[serde(default)]
    pub was_options: IndexMap<String, String>,
    #[serde(default)]
    pub removed_options: Vec<String>,
    pub to: Option<Targets>,
    pub pipeline: Option<String>,
    pub history: Option<String>,
    pub required: Option<bool>,
    pub required_if: Option<String>,
    pub merge: Option<MergeClass>,
    pub level: Option<u8>,
    pub search: Option<bool>,
    pub unique: Option<bool>,
    pub default: Option<String>,
    #[serde(default)]
    pub join: Vec<String>,
    pub expr: Option<String>,
    pub on_delete: Option<OnDelete>,
}

/// The name of a field's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindName {
    Text,
    LongText,
    Integer,
    Decimal,
    Percent,
    Boolean,
    Money,
    Date,
    Datetime,
    Enum,
    Enums,
    Link,
    Links,
    Stage,
    Email,
    Emails,
    Phones,
    Addresses,
    Url,
    Tags,
    Number,
    Log,
    Blob,
    Blobs,
}

/// `to: account` or `to: [account, contact]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Targets {
    One(String),
    Many(Vec<String>),
}

impl Targets {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(entity) => vec![entity],
            Self::Many(entities) => entities,
        }
    }
}

/// A stage; for one that exists, only `needs` and `labels`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StageDefinition {
    pub key: String,
    pub kind: Option<StageKind>,
    pub probability: Option<u8>,
    pub category: Option<String>,
    #[serde(default)]
    pub needs: Vec<String>,
    pub labels: Option<Label>,
    pub after: Option<String>,
}

/// A rule, with its expression still as text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleDefinition {
    pub id: String,
    pub valid_if: String,
    #[serde(default)]
    pub severity: Severity,
    pub message: Label,
}

/// What one role may do; what is left out is not allowed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PermissionDefinition {
    #[serde(default)]
    pub create: bool,
    #[serde(default)]
    pub read: Level,
    #[serde(default)]
    pub update: Level,
    #[serde(default)]
    pub delete: Level,
    #[serde(default)]
    pub export: bool,
    pub levels: Option<Vec<u8>>,
    pub fields: Option<Vec<String>>,
}

impl From<PermissionDefinition> for Permission {
    fn from(definition: PermissionDefinition) -> Self {
        let mut levels = definition.levels.unwrap_or_else(|| vec![0]);
        levels.sort_unstable();
        levels.dedup();
        Self {
            create: definition.create,
            read: definition.read,
            update: definition.update,
            delete: definition.delete,
            export: definition.export,
            levels,
            fields: definition.fields,
        }
    }
}

/// The series of an entity's number field.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumberDefinition {
    pub field: String,
    pub series: String,
}

impl From<NumberDefinition> for NumberSeries {
    fn from(definition: NumberDefinition) -> Self {
        Self { field: definition.field, series: definition.series }
    }
}

/// How records reach devices.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SyncDefinition {
    pub priority: Option<u8>,
    #[serde(rename = "where")]
    pub condition: Option<Expr>,
}

impl SyncDefinition {
    /// Lays what is said over `below`.
    pub fn over(self, below: &SyncSpec) -> SyncSpec {
        SyncSpec {
            priority: self.priority.unwrap_or(below.priority),
            condition: self.condition.or_else(|| below.condition.clone()),
        }
    }
}

/// How files are matched.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportDefinition {
    #[serde(default, rename = "match")]
    pub keys: Vec<Vec<String>>,
    #[serde(default)]
    pub aliases: IndexMap<String, Vec<String>>,
}
