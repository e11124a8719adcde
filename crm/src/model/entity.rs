use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Field, Label, Labels, Permission, Pipeline};
use crate::expr::Expr;

/// A kind of business thing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entity {
    /// Lower snake case, singular.
    pub name: String,
    /// What people call one and many of them.
    pub labels: Labels,
    /// The field that names a record.
    pub title: String,
    /// The module that it belongs to; none: the core, which every tenant has. Roles are not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Own fields and those of mixins, in the order of their definition.
    pub fields: IndexMap<String, Field>,
    /// Names of fields that it had; none is ever given again. Roles are not told them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// By name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub pipelines: IndexMap<String, Pipeline>,
    /// Checked at every change that names one of their fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// By the role's key; a role that is absent may do nothing.
    pub permissions: IndexMap<String, Permission>,
    /// The link field from which a record that is made without owner, team and territory copies them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// How its number field is filled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<NumberSeries>,
    /// How it reaches devices.
    #[serde(default)]
    pub sync: SyncSpec,
    /// How files are matched to it.
    #[serde(default)]
    pub import: ImportSpec,
    /// Names of fields by view: `list`, `card`, `quick`; what the app shows where.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub layouts: IndexMap<String, Vec<String>>,
}

impl Entity {
    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.get(name)
    }
}

/// A condition that records keep.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// Unique in its entity.
    pub id: String,
    /// Broken when this is false; empty fields leave it unbroken.
    pub valid_if: Expr,
    /// What breaking it means.
    #[serde(default)]
    pub severity: Severity,
    /// What to say.
    pub message: Label,
}

/// What breaking a rule means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The change is rejected.
    #[default]
    Error,
    /// The change is made and the person told.
    Warning,
}

/// How records reach devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSpec {
    /// How soon a new device gets them: 1 is what a person needs before she can work, larger numbers come later.
    pub priority: u8,
    /// Which of them devices carry; none: all. What a user may read elsewhere is not narrowed by it.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<Expr>,
}

impl Default for SyncSpec {
    fn default() -> Self {
        Self { priority: 2, condition: None }
    }
}

/// A series of human numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberSeries {
    /// The field that receives it.
    pub field: String,
    /// Text with `{yyyy}` (year of creation) and `{seq:5}` (next in the series of that year, zero-padded).
    pub series: String,
}

/// How rows of a file become records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSpec {
    /// Keys in order of preference: a row updates the record that equals it in every field of the first key of which
    /// the row has all fields.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Vec<String>>,
    /// Column names by field, beside its name and labels; compared with case, accents and separators folded.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub aliases: IndexMap<String, Vec<String>>,
}
