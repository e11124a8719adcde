use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::Label;
use super::blob::{Accept, default_bytes};
use crate::expr::Expr;

/// One field of an entity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Field {
    /// Unique in its entity; lower snake case.
    pub name: String,
    /// What people call it.
    pub labels: Label,
    /// What it holds.
    #[serde(flatten)]
    pub kind: FieldKind,
    /// A record is not made without it, and it is not cleared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// When true after a change that names this field or one that the expression names, the field must not be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_if: Option<Expr>,
    /// How two changes of it meet.
    #[serde(default)]
    pub merge: MergeClass,
    /// Only roles that list this level see the field; 0 is for everyone who reads the record.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub level: u8,
    /// Full-text search finds the record by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub search: bool,
    /// No two records of the entity hold the same value (compared trimmed, case and accents folded).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// Evaluated when a record is made without the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Expr>,
    /// A record that is made without the field gets the texts of these, one space between them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<String>,
    /// For `merge: derived`: what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expr: Option<Expr>,
    /// For links: what becomes of this record when the one it points to is deleted.
    #[serde(default)]
    pub on_delete: OnDelete,
    /// All that it was called before; none of these names is ever given again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub was: Vec<String>,
    /// For enums: keys that options had before, each with the option that it is now.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub was_options: IndexMap<String, String>,
    /// For enums: keys of options that are no longer chosen. Records that hold one keep it until they are changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_options: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the value over by reference")]
fn is_zero(level: &u8) -> bool {
    *level == 0
}

/// What a field holds, and how that looks in JSON. Every number in a record is an integer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FieldKind {
    /// One line: a string, trimmed, not empty, at most `max` characters (default 255).
    Text {
        /// Characters.
        #[serde(default = "default_text_max")]
        max: u32,
    },
    /// Several lines: a string of at most 65,536 characters.
    LongText,
    /// An integer.
    Integer {
        /// The least.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<i64>,
        /// The most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<i64>,
    },
    /// A decimal as an integer of its smallest unit: with `scale: 2`, 1250 is 12.50.
    Decimal {
        /// Digits after the point, 0 to 9.
        scale: u8,
    },
    /// Whole percent: an integer from 0 to 100.
    Percent,
    /// `true` or `false`.
    Boolean,
    /// `{"minor": 1250, "currency": "EUR"}`: ISO 4217; in expressions its `minor`.
    Money,
    /// `"2026-11-22"`; in expressions the number of days since 1970-01-01.
    Date,
    /// An instant: integer milliseconds since the Unix epoch; in expressions the same.
    Datetime,
    /// The key of one option.
    Enum {
        /// All that is allowed.
        options: Vec<EnumOption>,
    },
    /// A sorted array of distinct option keys.
    Enums {
        /// All that are allowed.
        options: Vec<EnumOption>,
    },
    /// To one of several entities: with one in `to`, the id as a string; with more, `{"entity": …, "id": …}`.
    Link {
        /// The entities.
        to: Vec<String>,
    },
    /// A sorted array of distinct ids of one entity.
    Links {
        /// The entity.
        to: String,
    },
    /// The key of a stage of the entity's pipeline; in expressions `stage.key`, `stage.kind`, `stage.probability`,
    /// `stage.category`, and bare `stage` is its key.
    Stage {
        /// The pipeline's name in the entity.
        pipeline: String,
        /// The entity that records each passage, made by the server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        history: Option<String>,
    },
    /// An e-mail address: a string.
    Email,
    /// `[{"address": …, "label": …}]`, label optional.
    Emails,
    /// `[{"raw": …, "e164": "+34…", "label": …}]`: `raw` as written; `e164` absent where there is none; label optional.
    Phones,
    /// `[{"street", "postcode", "city", "region", "country", "lat", "lon", "label"}]`, all optional, at least one of the
    /// texts; `country` is ISO 3166-1 alpha-2 or, where it could not be told, as written; coordinates in 1e-7 degrees.
    Addresses,
    /// An absolute `http` or `https` URL: a string.
    Url,
    /// A sorted array of distinct strings.
    Tags,
    /// A human number such as `OP-2026-00001`, assigned by the server.
    Number,
    /// An append-only array of `{"at": ms, "text": …}`.
    Log,
    /// A file, which lies beside the records: `{"hash", "name", "size", "type"}`: SHA-256 of its bytes in lowercase hex,
    /// a name without a path, its size in bytes, its media type.
    Blob {
        /// Bytes.
        #[serde(default = "default_bytes")]
        max: u64,
        /// Of which types.
        #[serde(default, skip_serializing_if = "Accept::is_any")]
        accept: Accept,
    },
    /// A sorted array of distinct files.
    Blobs {
        /// Bytes of each.
        #[serde(default = "default_bytes")]
        max: u64,
        /// Of which types.
        #[serde(default, skip_serializing_if = "Accept::is_any")]
        accept: Accept,
    },
}

fn default_text_max() -> u32 {
    255
}

/// One choice of an enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnumOption {
    /// What the record holds.
    pub key: String,
    /// What people read.
    pub labels: Label,
}

/// How two changes of one field meet. `sync_protocol::merge` has the laws; this is the model's name for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeClass {
    /// The one that reaches the server first stands; one made without knowledge of it stays in history and is told.
    #[default]
    Lww,
    /// Members are added and removed.
    Set,
    /// Entries are appended.
    Append,
    /// Increments add up.
    Counter,
    /// The larger stands.
    Max,
    /// The smaller stands.
    Min,
    /// Computed from other fields, never sent.
    Derived,
    /// Only the server writes it.
    Server,
    /// Compare and set: a change on an old base is a conflict.
    Guarded,
}

/// What becomes of a record when the one that it points to is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// The deletion is refused.
    #[default]
    Restrict,
    /// The link is cleared.
    Clear,
    /// The record is deleted too.
    Cascade,
}
