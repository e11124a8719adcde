//! SHA-256 as text: names of what was built, digests of images.

use sha2::{Digest, Sha256};

/// The hash of everything that it was given, in hexadecimal.
pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
