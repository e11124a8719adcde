//! Expressions: a subset of CEL.

use serde::{Deserialize, Serialize};

/// A compiled expression.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expr {
    source: String,
}
