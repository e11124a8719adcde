//! A blob is fetched, whole or in part: always as an attachment, never as anything that a browser would run.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use sync_protocol::wire::BlobHash;
use sync_protocol::wire::blob::{
    ByteRange, content_disposition, content_range, content_range_out_of_reach, read_range,
};

use super::StoreError;
use super::ledger::{self, Upload};
use super::naming::{Named, named};
use super::refusal::{not_found, pending, read_hash};
use super::upload::progress;
use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::{ApiError, AsItIs, Path};

/// Nothing that a blob brings along is run, whatever it is.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");
/// Kept by whoever fetched it, and asked for again each time, for rights may have changed.
const ASKED_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");
const CROSS_ORIGIN: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));

/// A blob that some field names which the caller may see.
#[utoipa::path(
    get,
    path = "/sync/v1/blob/{hash}",
    tag = "sync",
    operation_id = "fetch_blob",
    params(
        ("hash" = String, Path, description = "SHA-256 of its bytes, in lowercase hex."),
        ("Range" = Option<String>, Header, description = "`bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-COUNT`."),
    ),
    responses(
        (status = OK, description = "All bytes, as an attachment.", content_type = "application/octet-stream"),
        (status = PARTIAL_CONTENT, description = "Those of the range.", content_type = "application/octet-stream"),
    ),
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let hash = read_hash(&hash)?;
    let Some((named, length)) = find(&app, &caller, hash).await? else { return Err(not_found(hash)) };
    let length = length.ok_or_else(|| pending(hash))?;
    let etag = etag(hash);
    if names(&headers, &header::IF_NONE_MATCH, &etag) {
        return Ok(
            (StatusCode::NOT_MODIFIED, [(header::ETAG, etag), (header::CACHE_CONTROL, ASKED_AGAIN)]).into_response()
        );
    }
    let is_same = !headers.contains_key(header::IF_RANGE) || names(&headers, &header::IF_RANGE, &etag);
    let range = headers.get(header::RANGE).filter(|_| is_same);
    let range = range.map_or(ByteRange::Whole, |value| read_range(value.as_bytes(), length));
    let (status, first, end) = match range {
        ByteRange::Whole => (StatusCode::OK, 0, length),
        ByteRange::Part(first, end) => (StatusCode::PARTIAL_CONTENT, first, end),
        ByteRange::OutOfReach => {
            let range = [(header::CONTENT_RANGE, content_range_out_of_reach(length))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
        }
    };
    let body = if first == end { Body::empty() } else { bytes(&app, hash, first, end).await? };
    let mut response = (status, described(&named, end - first, etag), body).into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        let range = HeaderValue::try_from(content_range(first, end, length)).map_err(ApiError::internal)?;
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    // Bytes that a range counts are these, not those of a compressed form.
    response.extensions_mut().insert(AsItIs);
    app.metrics().blob_sent(end - first);
    Ok(response)
}

/// How much of a blob is here: of one that the caller may fetch, or of an upload of the caller's own device.
#[utoipa::path(
    head,
    path = "/sync/v1/blob/{hash}",
    tag = "sync",
    operation_id = "look_for_blob",
    params(("hash" = String, Path, description = "SHA-256 of its bytes, in lowercase hex.")),
    responses((
        status = OK,
        description = "`Upload-Offset` says how many bytes are here, `Upload-Length` how many it has.",
    )),
)]
pub(super) async fn head(
    State(app): State<App>,
    caller: Caller,
    Path(hash): Path<String>,
) -> Result<Response, ApiError> {
    let hash = read_hash(&hash)?;
    let found = find(&app, &caller, hash).await?;
    // Who has the bytes asks before sending them: what the database alone knows of helps nobody.
    let is_lost = matches!(found, Some((_, Some(_)))) && !app.blobs().store().has(hash).await?;
    if is_lost {
        note_lost(&app, hash).await?;
    }
    if let Some((named, Some(length))) = &found
        && !is_lost
    {
        let mut response = progress(StatusCode::OK, *length, *length);
        response.headers_mut().extend(described(named, *length, etag(hash)));
        response.extensions_mut().insert(AsItIs);
        return Ok(response);
    }
    if let Some(device) = caller.device
        && let Some(upload) = Upload::find(app.db().readers(), device.num, hash).await?
    {
        let part = app.blobs().part(device.num, hash);
        let here = if upload.is_finished { upload.bytes } else { part.length().await.map_err(ApiError::internal)? };
        return Ok(progress(StatusCode::OK, here, upload.bytes));
    }
    Err(if found.is_some() { pending(hash) } else { not_found(hash) })
}

/// The blob as a field names it that the caller may see, and how long it is where its bytes are here.
async fn find(app: &App, caller: &Caller, hash: BlobHash) -> Result<Option<(Named, Option<u64>)>, ApiError> {
    // One transaction: who names it and whether it is here are one state of the database.
    let mut snapshot = app.db().readers().begin().await?;
    let Some(named) = named(app, caller, hash, &mut snapshot).await? else { return Ok(None) };
    let length = ledger::stored_bytes(&mut *snapshot, hash).await?;
    Ok(Some((named, length)))
}

/// Forgets a blob that the store does not have, as after a restore without the store.
async fn note_lost(app: &App, hash: BlobHash) -> Result<(), ApiError> {
    tracing::error!(blob.hash = %hash, "the store has lost a blob; a device that has it may send it again");
    let _settling = app.blobs().settle(hash).await;
    // It may have come again while others stored or removed it.
    if app.blobs().store().has(hash).await? {
        return Ok(());
    }
    let mut tx = app.db().write().await?;
    ledger::forget(&mut tx, hash).await?;
    tx.commit().await?;
    Ok(())
}

async fn bytes(app: &App, hash: BlobHash, first: u64, end: u64) -> Result<Body, ApiError> {
    match app.blobs().store().read(hash, first..end).await {
        Ok(stream) => Ok(Body::from_stream(stream.map(|chunk| {
            chunk.inspect_err(|error| tracing::error!(%error, "a blob broke off while it was read from the store"))
        }))),
        Err(StoreError::Missing(_)) => {
            note_lost(app, hash).await?;
            Err(pending(hash))
        }
        Err(error) => Err(error.into()),
    }
}

/// The type is the one that the field says, from a list that has none which a browser runs; nothing is guessed.
fn described(named: &Named, length: u64, etag: HeaderValue) -> HeaderMap {
    let text = |text: String, otherwise: &'static str| {
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(otherwise))
    };
    let media_type = if crm::model::Accept::Any.takes(&named.media_type) {
        named.media_type.clone()
    } else {
        "application/octet-stream".to_owned()
    };
    HeaderMap::from_iter([
        (header::CONTENT_TYPE, text(media_type, "application/octet-stream")),
        (header::CONTENT_DISPOSITION, text(content_disposition(&named.name), "attachment")),
        (header::CONTENT_LENGTH, HeaderValue::from(length)),
        (header::CONTENT_SECURITY_POLICY, SANDBOX),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::CACHE_CONTROL, ASKED_AGAIN),
        (header::ETAG, etag),
        CROSS_ORIGIN,
    ])
}

/// Bytes that have one hash are always the same.
fn etag(hash: BlobHash) -> HeaderValue {
    HeaderValue::try_from(format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn names(headers: &HeaderMap, header: &HeaderName, etag: &HeaderValue) -> bool {
    let named = headers.get(header).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let etag = etag.to_str().unwrap_or_default();
    named.split(',').any(|tag| matches!(tag.trim(), tag if tag == etag || tag == "*"))
}
