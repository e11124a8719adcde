use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// A digest of anything that is JSON: 32 hexadecimal digits. Keys of objects are in order, so equal values have equal ones.
///
/// # Panics
/// Never for values whose keys are strings.
#[must_use]
pub fn digest<T: serde::Serialize + ?Sized>(value: &T) -> String {
    let text = serde_json::to_value(value).expect("what is built here is JSON").to_string();
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
