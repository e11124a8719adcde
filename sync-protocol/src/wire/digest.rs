use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest::{Hash, SetDigest};
use crate::id::{RecordId, ScopeId, Sequence};

/// The most scopes that one digest request may name.
pub const MAX_SCOPES_PER_DIGEST: usize = 10_000;
/// The most ranges that one digest request may carry.
pub const MAX_RANGES_PER_DIGEST: usize = 256;
/// The most records that the ranges of one digest request may list together.
pub const MAX_RECORDS_PER_DIGEST: usize = 1_024;
/// A range that is said to hold more records than this is answered `differs` without a look.
pub const MAX_RANGE_RECORDS: u64 = 20_000;
/// The same of a deep digest, for which the server reads every field.
pub const MAX_DEEP_RANGE_RECORDS: u64 = 1_000;

/// Why a device compares what it holds with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MendReason {
    /// The digest of a checkpoint was another than the server's.
    Digest,
    /// An operation spoke of a record that is not on the device.
    BaseMissing,
    /// The server was restored from a backup.
    Epoch,
    /// The device was away for so long that the server no longer tells all that left meanwhile.
    Horizon,
    /// It is time to compare the contents too.
    Deep,
}

impl MendReason {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::BaseMissing => "base-missing",
            Self::Epoch => "epoch",
            Self::Horizon => "horizon",
            Self::Deep => "deep",
        }
    }
}

/// `POST /sync/v1/digest`: what the device holds, in as much detail as the last answer asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DigestRequest {
    /// [`crate::PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Of the last checkpoint; then that of the last answer.
    pub cursor: String,
    /// In the first request: why the device compares. The server counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<MendReason>,
    /// Leaves are deep ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deep: bool,
    /// Every scope in which the device has records; absent when it asks for ranges only. Never with `deep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<ScopeDigest>>,
    /// Parts of scopes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<DigestRange>,
    /// The most bytes of operations wanted in the answer; the server may send fewer, and those of at least one range.
    pub limit_bytes: u64,
}

/// A scope as the device has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeDigest {
    /// The scope.
    pub scope: ScopeId,
    /// Its records.
    #[serde(flatten)]
    pub digest: SetDigest,
}

/// The records of a scope whose sequence is above `after` and at most `until`, as the device has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestRange {
    /// The scope.
    pub scope: ScopeId,
    /// The range begins behind this sequence.
    #[serde(default)]
    pub after: Sequence,
    /// It ends with this one; absent: it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Sequence>,
    /// Its records.
    #[serde(flatten)]
    pub digest: SetDigest,
    /// The same one by one, with their leaves: the server mends what differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Vec<(RecordId, Hash)>>,
}

/// The answer to a [`DigestRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DigestResponse {
    /// [`crate::PROTOCOL_VERSION`].
    pub protocol: u32,
    /// For the next digest request, and when nothing differs any more for the exchange: from there on whole records
    /// come, and what the comparison left out because it is newer.
    pub cursor: String,
    /// Where `scopes` was sent: the scopes that differ, also those that it did not name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<ScopeId>,
    /// Of the first ranges of the request, in their order; those left over are to be sent again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<RangeAnswer>,
    /// An array of [`crate::wire::Operation`] that mends the listed ranges: whole `put` and `exit`.
    pub operations: Box<RawValue>,
}

/// What the server says of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RangeAnswer {
    /// Both have the same.
    Same,
    /// Something differs: to be asked in smaller ranges, or with a list.
    Differs,
    /// The operations mend it.
    Mended {
        /// Up to this sequence only, because the answer was full; absent: to its end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Sequence>,
    },
}
