use serde::{Deserialize, Serialize};

/// How far a right reaches; each level includes the ones before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    #[default]
    None,
    /// Records that are shared with the user or a team of hers; only read.
    Shared,
    /// Records that the user owns, and records that stand open (no owner, no team, no territory).
    Own,
    /// And those of the user's teams.
    Team,
    /// And those of the user's territories and what lies below them.
    Territory,
    /// Every record.
    All,
}

/// What one role may do with one entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// May make records.
    #[serde(default)]
    pub create: bool,
    /// Which records it may read.
    #[serde(default)]
    pub read: Level,
    /// Which it may change.
    #[serde(default)]
    pub update: Level,
    /// Which it may delete.
    #[serde(default)]
    pub delete: Level,
    /// May export what it may read.
    #[serde(default)]
    pub export: bool,
    /// The field levels that it sees; `[0]` when absent.
    #[serde(default = "level_zero")]
    pub levels: Vec<u8>,
    /// When present, only these fields are seen, whatever their level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
}

fn level_zero() -> Vec<u8> {
    vec![0]
}
