//! What does not go through with blobs, as problems.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use sync_protocol::wire::BlobHash;
use sync_protocol::wire::blob::UPLOAD_OFFSET;

use super::StoreError;
use crate::platform::http::problem::{INVALID_PATH, NOT_FOUND};
use crate::platform::http::{ApiError, Kind};

/// A record names it, and its bytes are not here yet.
pub(super) const PENDING: Kind =
    Kind::new(StatusCode::NOT_FOUND, "blob-pending", "The bytes of the blob are still on their way.");
/// The headers of an upload make no sense.
pub(super) const INVALID_UPLOAD: Kind =
    Kind::new(StatusCode::BAD_REQUEST, "invalid-upload", "The headers of the upload are not what this route reads.");
/// The bytes would not follow those that are here.
pub(super) const WRONG_OFFSET: Kind =
    Kind::new(StatusCode::CONFLICT, "blob-offset", "The bytes do not follow those that are here.");
/// The bytes are others than the name says.
pub(super) const WRONG_HASH: Kind =
    Kind::new(StatusCode::UNPROCESSABLE_ENTITY, "blob-hash", "The bytes do not have the hash that names them.");
/// It is larger than blobs may be.
pub(super) const TOO_LARGE: Kind =
    Kind::new(StatusCode::PAYLOAD_TOO_LARGE, "blob-too-large", "The blob is larger than blobs may be here.");
/// There is no room.
pub(super) const QUOTA: Kind =
    Kind::new(StatusCode::INSUFFICIENT_STORAGE, "blob-quota", "There is no room for more blobs.");

/// The name of a blob in an address.
pub(super) fn read_hash(text: &str) -> Result<BlobHash, ApiError> {
    text.parse().map_err(|error| ApiError::new(INVALID_PATH).detail(format!("{text:?} names no blob: {error}.")))
}

/// Nothing that the caller may see names it: whether there is such a blob is not told.
pub(super) fn not_found(hash: BlobHash) -> ApiError {
    ApiError::new(NOT_FOUND).detail(format!("There is no blob {hash} that you may see."))
}

pub(super) fn pending(hash: BlobHash) -> ApiError {
    ApiError::new(PENDING)
        .detail(format!("The device that attached the blob {hash} has not sent it yet; try again later."))
}

pub(super) fn wrong_offset(hash: BlobHash, offset: u64) -> ApiError {
    ApiError::new(WRONG_OFFSET)
        .detail(format!("Of the blob {hash}, {offset} bytes of yours are here: go on from there, or begin again at 0."))
        .fact("offset", offset)
        .header(HeaderName::from_static(UPLOAD_OFFSET), HeaderValue::from(offset))
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}
