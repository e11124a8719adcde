use serde::{Deserialize, Serialize};

use super::FieldProblem;

/// A problem (RFC 9457, `application/problem+json`): the body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:cartera:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// Stable and machine-readable, kebab-case.
    pub code: String,
    /// The same sentence for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was attempted, on what, and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The fields it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// Facts for machines, such as `{"expected": 12}`.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}
