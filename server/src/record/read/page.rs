//! Page tokens: where a list goes on.
//!
//! A token holds the sort values and the id of the last record given, so that a page starts right behind it however many
//! records were made, changed or deleted meanwhile. It is opaque, not secret: it holds what its reader was shown, and
//! every page applies the reader's rights anew.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crm::model::Label;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::ReadError;

/// The place behind one record of one list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Of which list.
    list: String,
    /// The last record's sort values.
    pub values: Vec<Value>,
    /// The last record.
    pub id: Uuid,
}

impl Position {
    /// Behind the record `id` of the list that `identity` tells apart from others.
    #[must_use]
    pub fn new(identity: &[&str], values: Vec<Value>, id: Uuid) -> Self {
        Self { list: fingerprint(identity), values, id }
    }

    /// As a client carries it.
    #[must_use]
    pub fn to_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a token of the list that `identity` tells apart.
    ///
    /// # Errors
    /// [`ReadError::Parameter`] for anything that this list did not give out with as many sort keys.
    pub fn from_token(token: &str, identity: &[&str], keys: usize) -> Result<Self, ReadError> {
        let position: Option<Self> =
            URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let scalar = |value: &Value| !value.is_array() && !value.is_object() && !value.is_f64();
        position
            .filter(|position| position.list == fingerprint(identity))
            .filter(|position| position.values.len() == keys && position.values.iter().all(scalar))
            .ok_or_else(|| ReadError::Parameter {
                parameter: "page",
                reason: Label {
                    es: "no es de esta lista; use el valor `next` de la página anterior con los mismos where y sort"
                        .into(),
                    en: "not of this list; use the `next` of the previous page with the same where and sort".into(),
                },
            })
    }
}

fn fingerprint(identity: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in identity {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..6])
}
