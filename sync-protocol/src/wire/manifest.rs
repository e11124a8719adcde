use serde::{Deserialize, Serialize};

use super::chunk::ChunkHash;
use crate::id::{ScopeId, Sequence};

/// `POST /sync/v1/manifest`: what a device without a cursor fetches first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRequest {
    /// [`crate::PROTOCOL_VERSION`].
    pub protocol: u32,
}

/// The answer to a [`ManifestRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestResponse {
    /// [`crate::PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Hash of the model as this user may see it.
    pub model: String,
    /// In the order in which to fetch them.
    pub chunks: Vec<ChunkEntry>,
    /// To be sent with the exchange that follows when all chunks are in.
    pub cursor: String,
    /// The tenant's last sequence when the manifest was made.
    pub head: Sequence,
    /// The server's time, milliseconds since the Unix epoch: it annotates, it never decides.
    pub server_time_ms: i64,
}

/// A chunk that a device is to fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkEntry {
    /// Its name.
    pub hash: ChunkHash,
    /// The entity of its records.
    pub entity: String,
    /// The scope in which they stand.
    pub scope: ScopeId,
    /// How many there are.
    pub rows: u64,
    /// Its length, uncompressed.
    pub bytes: u64,
    /// Its length as it travels with zstd.
    pub packed_bytes: u64,
    /// What changed of its records up to here is in it.
    pub as_of: Sequence,
    /// 1 is what a person needs first; a device that has all chunks of 1 is of use.
    pub priority: u8,
}

/// `POST /sync/v1/chunks`: several chunks in one answer, for the many small ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunksRequest {
    /// Their names; at most [`MAX_CHUNKS_PER_REQUEST`].
    pub chunks: Vec<ChunkHash>,
}

/// The most chunks that one request may name.
pub const MAX_CHUNKS_PER_REQUEST: usize = 64;
