//! JSON in columns.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StorageError;

/// What a type of this program or of the protocol looks like in a column.
pub fn write(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("these types have no keys but texts and no floats")
}

/// The other way round; `what` names table, column and row for whoever has to look for the damage.
pub fn read<T: DeserializeOwned>(text: &str, what: impl FnOnce() -> String) -> Result<T, StorageError> {
    serde_json::from_str(text).map_err(|error| StorageError::Unreadable { what: what(), reason: error.to_string() })
}

/// Appends a member's name to an object in the making.
pub fn push_name(object: &mut String, name: &str) {
    // As every name in a model of ours is: nothing to escape.
    if name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
        object.push('"');
        object.push_str(name);
        object.push('"');
    } else {
        object.push_str(&write(&name));
    }
}
