//! What travels: requests, answers and problems, as JSON (RFC 8259).
//!
//! These types are frozen by snapshot tests: a change here is a change of the protocol. Unknown keys are skipped,
//! never an error, so that an older side understands a newer one.

pub mod blob;
pub mod chunk;
mod digest;
mod exchange;
mod hello;
mod live;
mod manifest;
mod mutation;
mod operation;
mod outcome;
mod problem;

pub use blob::BlobHash;
pub use digest::{
    DigestRange, DigestRequest, DigestResponse, MAX_DEEP_RANGE_RECORDS, MAX_RANGE_RECORDS, MAX_RANGES_PER_DIGEST,
    MAX_RECORDS_PER_DIGEST, MAX_SCOPES_PER_DIGEST, MendReason, RangeAnswer, ScopeDigest,
};
pub use exchange::{ExchangeRequest, ExchangeResponse, MAX_MUTATIONS_PER_EXCHANGE};
pub use hello::{HelloAnswer, HelloRequest, Limits, Report, WakeRequest};
pub use live::{Delta, LiveAnswer, LiveEvent, Order, Poke};
pub use manifest::{ChunkEntry, ChunksRequest, MAX_CHUNKS_PER_REQUEST, ManifestRequest, ManifestResponse};
pub use mutation::{FieldOperation, Fields, Mutation, MutationKind};
pub use operation::Operation;
pub use outcome::{FieldProblem, Outcome, Reason, Verdict};
pub use problem::Problem;
