//! Digests: what a device and its server compare, so that neither has to send what both have.
//!
//! A record counts with the **leaf** of its id and sequence; a set of records with the exclusive or of their leaves and
//! their number, so that a change costs the same however large the set is, in any order. Every change of a record gives
//! it a new sequence, and a device is told of each, also of one in a field that its user does not see: so the leaf needs
//! no field. A **deep** leaf has the fields too; it finds what was damaged without a change.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::id::{RecordId, ScopeId, Sequence};
use crate::wire::Fields;

mod canonical;

pub use canonical::canonical;

/// 64 bits of SHA-256; on the wire 16 lowercase hexadecimal digits, because JSON's readers lose bits of such numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub u64);

impl Hash {
    fn of(parts: &[&[u8]]) -> Self {
        let mut sha = Sha256::new();
        for part in parts {
            sha.update(part);
        }
        let bytes = sha.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&bytes[..8]);
        Self(u64::from_be_bytes(first))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text is not 16 lowercase hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest's hash is 16 lowercase hexadecimal digits")]
pub struct NoHash;

impl FromStr for Hash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        let is_hash = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hash {
            return Err(NoHash);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| NoHash)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a record at a sequence counts with: the first 8 bytes, highest first, of SHA-256 over the id's 16 bytes and the
/// sequence's 8, highest first.
#[must_use]
pub fn leaf(id: RecordId, seq: Sequence) -> Hash {
    Hash::of(&[id.as_bytes(), &seq.to_be_bytes()])
}

/// The same with the fields: the bytes of their [`canonical`] form follow the sequence's.
#[must_use]
pub fn deep_leaf(id: RecordId, seq: Sequence, fields: &Fields) -> Hash {
    let members = fields.iter().map(|(name, value)| (name.clone(), value.clone()));
    Hash::of(&[id.as_bytes(), &seq.to_be_bytes(), canonical(&Value::Object(members.collect())).as_bytes()])
}

/// Of a set of records: how many, and the exclusive or of their leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetDigest {
    /// Records in the set.
    pub count: u64,
    /// The exclusive or of their leaves; 0 of none.
    pub hash: Hash,
}

impl SetDigest {
    /// Of these leaves.
    #[must_use]
    pub fn of(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut digest = Self::default();
        for leaf in leaves {
            digest.add(leaf);
        }
        digest
    }

    /// A record comes into the set.
    pub fn add(&mut self, leaf: Hash) {
        self.count = self.count.wrapping_add(1);
        self.hash.0 ^= leaf.0;
    }

    /// A record leaves the set.
    pub fn remove(&mut self, leaf: Hash) {
        self.count = self.count.wrapping_sub(1);
        self.hash.0 ^= leaf.0;
    }
}

/// Of all that a device holds: the first 8 bytes, highest first, of SHA-256 over its scopes that have records,
/// ascending: the scope's number in 4 bytes, the count in 8, the hash in 8, each highest first.
///
/// An exclusive or of the scopes' hashes would not see a record that stands in two of them.
#[must_use]
pub fn combine(scopes: impl IntoIterator<Item = (ScopeId, SetDigest)>) -> Hash {
    let mut scopes: Vec<(ScopeId, SetDigest)> = scopes.into_iter().filter(|(_, digest)| digest.count > 0).collect();
    scopes.sort_unstable_by_key(|(scope, _)| *scope);
    let mut bytes = Vec::with_capacity(scopes.len() * 20);
    for (scope, digest) in scopes {
        bytes.extend_from_slice(&scope.to_be_bytes());
        bytes.extend_from_slice(&digest.count.to_be_bytes());
        bytes.extend_from_slice(&digest.hash.0.to_be_bytes());
    }
    Hash::of(&[&bytes])
}
