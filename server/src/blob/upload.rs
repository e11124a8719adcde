//! A device sends a blob, in as many requests as the network cuts it into.

use std::io;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use sync_protocol::wire::BlobHash;
use sync_protocol::wire::blob::{UPLOAD_LENGTH, UPLOAD_OFFSET, read_count};

use super::ledger::{self, Upload};
use super::part::Part;
use super::refusal::{INVALID_UPLOAD, QUOTA, TOO_LARGE, WRONG_HASH, read_hash, wrong_offset};
use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::problem::{TOO_MANY_REQUESTS, UNREADABLE_BODY, UNSUPPORTED_ENCODING};
use crate::platform::http::{ApiError, Path};
use crate::platform::telemetry::metrics::BlobOutcome;

/// Uploads that a device may have begun and not ended.
const MAX_OPEN: i64 = 64;

/// Takes bytes of a blob that follow those that are here. With the last of them, the blob is stored.
#[utoipa::path(
    put,
    path = "/sync/v1/blob/{hash}",
    tag = "sync",
    operation_id = "send_blob",
    params(
        ("hash" = String, Path, description = "SHA-256 of all its bytes, in lowercase hex."),
        ("Upload-Length" = u64, Header, description = "How many bytes the whole blob has."),
        ("Upload-Offset" = Option<u64>, Header, description = "How many of them are here already; 0, the default, begins again."),
    ),
    request_body(content_type = "application/octet-stream", description = "The bytes that follow."),
    responses(
        (status = CREATED, description = "All bytes are here, and are what the name says."),
        (status = NO_CONTENT, description = "Bytes are missing; `Upload-Offset` says how many are here."),
    ),
)]
pub(super) async fn put(
    State(app): State<App>,
    caller: Caller,
    Path(hash): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let device = caller.expect_device()?.num;
    let hash = read_hash(&hash)?;
    let asked = Asked::read(&headers)?;
    let part = app.blobs().part(device, hash);
    if asked.begin(&app, device, hash, &part).await? == Begun::FinishedBefore {
        return Ok(progress(StatusCode::CREATED, asked.length, asked.length));
    }
    let here = receive(&app, hash, &part, asked, body).await?;
    if here < asked.length {
        return Ok(progress(StatusCode::NO_CONTENT, here, asked.length));
    }
    finish(&app, device, hash, &part, asked.length).await?;
    Ok(progress(StatusCode::CREATED, asked.length, asked.length))
}

/// What the headers say of an upload.
#[derive(Clone, Copy, Debug)]
struct Asked {
    offset: u64,
    length: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// Bytes are missing.
    Open,
    /// The device sent all of it before, and did not hear so.
    FinishedBefore,
}

impl Asked {
    fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(ApiError::new(UNSUPPORTED_ENCODING).detail("Send a blob's bytes as they are."));
        }
        let count = |name: &'static str| match headers.get(name) {
            None => Ok(None),
            Some(value) => read_count(value.as_bytes()).map(Some).ok_or_else(|| {
                ApiError::new(INVALID_UPLOAD).detail(format!("{name} must be a number of bytes, in decimal digits."))
            }),
        };
        let length = count(UPLOAD_LENGTH)?.ok_or_else(|| {
            ApiError::new(INVALID_UPLOAD).detail("Say in Upload-Length how many bytes the whole blob has.")
        })?;
        let asked = Self { offset: count(UPLOAD_OFFSET)?.unwrap_or(0), length };
        let sent = headers.get(header::CONTENT_LENGTH).and_then(|value| read_count(value.as_bytes())).unwrap_or(0);
        if asked.offset.checked_add(sent).is_none_or(|end| end > length) {
            return Err(longer_than_said());
        }
        Ok(asked)
    }

    /// Opens the upload, or finds that it goes on where the device says.
    async fn begin(self, app: &App, device: i64, hash: BlobHash, part: &Part) -> Result<Begun, ApiError> {
        let mut tx = app.db().write().await?;
        let upload = Upload::find(&mut *tx, device, hash).await?;
        let now_ms = app.clock().now_ms();
        match upload {
            Some(Upload { bytes, is_finished: true }) if bytes == self.length => return Ok(Begun::FinishedBefore),
            Some(upload) if self.offset > 0 => {
                let here = part.length().await.map_err(ApiError::internal)?;
                if upload.bytes != self.length {
                    return Err(ApiError::new(INVALID_UPLOAD)
                        .detail("The Upload-Length is another than when the upload began: begin again at 0.")
                        .fact("length", upload.bytes));
                }
                if here != self.offset {
                    return Err(wrong_offset(hash, here));
                }
            }
            None if self.offset > 0 => return Err(wrong_offset(hash, 0)),
            _ => self.admit(app, device, hash, &mut tx).await?,
        }
        Upload::begin(&mut tx, device, hash, self.length, now_ms).await?;
        tx.commit().await?;
        Ok(Begun::Open)
    }

    /// Whether there is room for it.
    async fn admit(
        self,
        app: &App,
        device: i64,
        hash: BlobHash,
        connection: &mut sqlx::SqliteConnection,
    ) -> Result<(), ApiError> {
        let limits = &app.config().blob;
        if self.length > limits.max_bytes {
            return Err(ApiError::new(TOO_LARGE)
                .detail(format!("A blob has at most {} bytes here, this one {}.", limits.max_bytes, self.length))
                .fact("limit_bytes", limits.max_bytes));
        }
        if Upload::others_open(connection, device, hash).await? >= MAX_OPEN {
            return Err(ApiError::new(TOO_MANY_REQUESTS)
                .detail(format!("This device has begun {MAX_OPEN} uploads; end some of them first."))
                .retry_after(app.entropy().spread(std::time::Duration::from_secs(10))));
        }
        // What is begun again counts once.
        Upload::give_up(connection, device, hash).await?;
        let total = ledger::total_bytes(connection).await?;
        if total.saturating_add(self.length) > limits.quota_bytes {
            return Err(ApiError::new(QUOTA)
                .detail(format!(
                    "All blobs together may have {} bytes; an administrator can raise blob.quota_bytes or remove files.",
                    limits.quota_bytes
                ))
                .fact("quota_bytes", limits.quota_bytes));
        }
        Ok(())
    }
}

/// Writes what comes behind what is there; returns how many bytes are here then. What came before a cut is kept.
async fn receive(app: &App, hash: BlobHash, part: &Part, asked: Asked, mut body: Body) -> Result<u64, ApiError> {
    let mut open = part.open_at(asked.offset).await.map_err(ApiError::internal)?;
    let mut here = asked.offset;
    let received = loop {
        let frame = match tokio::time::timeout(app.config().http.request_timeout, body.frame()).await {
            Ok(None) => break Ok(()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => break Err(ApiError::new(UNREADABLE_BODY).cause(error)),
            Err(_) => break Err(ApiError::new(UNREADABLE_BODY)),
        };
        let Ok(data) = frame.into_data() else { continue };
        if here + data.len() as u64 > asked.length {
            drop(open);
            part.remove().await.map_err(ApiError::internal)?;
            return Err(longer_than_said());
        }
        open.write(&data).await.map_err(ApiError::internal)?;
        here += data.len() as u64;
    };
    open.flush().await.map_err(ApiError::internal)?;
    app.metrics().blob_received(here - asked.offset);
    received.map_err(|error| {
        error
            .detail(format!("The bytes of the blob {hash} broke off; ask by HEAD how many are here, and go on."))
            .fact("offset", here)
    })?;
    Ok(here)
}

/// Stores a blob whose bytes are all here, once they are what its name says.
async fn finish(app: &App, device: i64, hash: BlobHash, part: &Part, length: u64) -> Result<(), ApiError> {
    let _settling = app.blobs().settle(hash).await;
    let (found, bytes) = match part.hash().await {
        Ok(hashed) => hashed,
        // The same device sent it twice at once, and the other request was first.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let upload = Upload::find(app.db().readers(), device, hash).await?;
            return if upload.is_some_and(|upload| upload.is_finished) { Ok(()) } else { Err(wrong_offset(hash, 0)) };
        }
        Err(error) => return Err(ApiError::internal(error)),
    };
    if found != hash || bytes != length {
        part.remove().await.map_err(ApiError::internal)?;
        let mut tx = app.db().write().await?;
        Upload::give_up(&mut tx, device, hash).await?;
        tx.commit().await?;
        app.metrics().blob_upload(BlobOutcome::WrongHash);
        return Err(ApiError::new(WRONG_HASH).detail(format!(
            "The {bytes} bytes that came have the SHA-256 {found} and not {hash}; they were thrown away. Send the blob again from its first byte."
        )));
    }
    let is_known = ledger::stored_bytes(app.db().readers(), hash).await?.is_some();
    // A database may know of bytes that were lost, as after a restore without them.
    if !is_known || !app.blobs().store().has(hash).await? {
        app.blobs().store().put_file(hash, &part.path).await?;
    }
    let now_ms = app.clock().now_ms();
    let mut tx = app.db().write().await?;
    ledger::note_stored(&mut tx, hash, bytes, now_ms).await?;
    Upload::finish(&mut tx, device, hash, now_ms).await?;
    tx.commit().await?;
    part.remove().await.map_err(ApiError::internal)?;
    app.metrics().blob_upload(if is_known { BlobOutcome::Duplicate } else { BlobOutcome::Stored });
    Ok(())
}

/// How far an upload is.
pub(super) fn progress(status: StatusCode, offset: u64, length: u64) -> Response {
    let headers = [
        (HeaderName::from_static(UPLOAD_OFFSET), HeaderValue::from(offset)),
        (HeaderName::from_static(UPLOAD_LENGTH), HeaderValue::from(length)),
    ];
    (status, headers).into_response()
}

fn longer_than_said() -> ApiError {
    ApiError::new(INVALID_UPLOAD)
        .detail("The bytes go beyond the Upload-Length: send the blob again from its first byte.")
}
