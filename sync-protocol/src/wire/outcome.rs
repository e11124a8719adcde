use serde::{Deserialize, Serialize};

use super::Fields;
use crate::id::{MutationId, Sequence};

/// The server's answer to one mutation; stored with the mutation's effect, so that any number of retries gets it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The mutation it answers.
    pub mutation: MutationId,
    /// What became of it.
    pub verdict: Verdict,
    /// The record's sequence after the mutation; the sequence that stood in its way, where it was rejected.
    pub seq: Sequence,
    /// Why, where it was merged, rejected or deferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The server's values of every field that the mutation named and that ended otherwise than it said (of one that an
    /// operation changed, wherever somebody else had changed it after the base), and of every field that a rule derived
    /// from it; `null` where a field is empty. To be laid over the device's base. Only fields that the user may see.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub server: Fields,
}

/// What became of a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Done as said.
    Applied,
    /// Done in part or in another form: `server` has what differs, the lost values are in the record's history.
    Merged,
    /// Nothing was done; `reason` says what to do about it.
    Rejected,
    /// Not decided yet: keep it and send it again later.
    Deferred,
}

/// Why a mutation did not end as it was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable and machine-readable, kebab-case: `conflict`, `forbidden`, `invalid`, `not-found`, `already-exists`,
    /// `restricted`, `dependency-rejected`, `group-rejected`, `unknown-entity`, `read-only`.
    pub code: String,
    /// One sentence in the user's language: what happened, and what to do about it.
    pub message: String,
    /// The fields it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldProblem {
    /// The field's name, or a path below it: `phones[1].e164`.
    pub field: String,
    /// Stable and machine-readable: `required`, `type`, `conflict`, `forbidden`, …
    pub code: String,
    /// One sentence in the user's language.
    pub message: String,
}
