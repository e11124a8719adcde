use std::fmt::Write;

use indexmap::IndexMap;
use sha2::{Digest, Sha256};

use super::Entity;

/// Lowercase hex SHA-256 of the entities as they are serialized. Their order counts too: forms and imports follow it,
/// so a model that only reorders fields must reach the devices like any other change.
pub(super) fn of(entities: &IndexMap<String, Entity>) -> String {
    let json = serde_json::to_vec(entities).expect("a model has text keys and no floats, so it always serializes");
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(&json) {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
    }
    hex
}
