use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use sync_protocol::PROTOCOL_VERSION;
use sync_protocol::cursor::Cursor;
use sync_protocol::wire::chunk::{ChunkHash, MAX_CHUNK_BYTES};
use sync_protocol::wire::{ChunksRequest, MAX_CHUNKS_PER_REQUEST, ManifestRequest, ManifestResponse};

use super::answer;
use super::lookup::ChunksError;
use crate::app::App;
use crate::exchange::{Place, expect_protocol};
use crate::platform::auth::Caller;
use crate::platform::http::problem::INVALID_PATH;
use crate::platform::http::{ApiError, JsonBody, Kind, Path};
use crate::user::rights::Rights;

const CHUNK_GONE: Kind =
    Kind::new(StatusCode::GONE, "chunk-gone", "The chunk is not, or no longer, one that you may fetch.");
const TOO_MANY_CHUNKS: Kind =
    Kind::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many-chunks", "The request names too many chunks.");

/// The most bytes, compressed, of several chunks in one answer, the first one aside: what is left out is asked for again.
const TOGETHER_BYTES: usize = 4 << 20;

/// The routes of this slice.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/sync/v1/manifest", post(post_manifest))
        .route("/sync/v1/chunk/{hash}", get(chunk))
        .route("/sync/v1/chunks", post(chunks))
}

/// How they are described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(post_manifest, chunk, chunks))]
pub struct Described;

/// What a device without a cursor fetches first: chunks of all that its user may see, and where it goes on from then.
#[utoipa::path(
    post,
    path = "/sync/v1/manifest",
    tag = "sync",
    operation_id = "manifest",
    request_body(content_type = "application/json", description = "The version of the protocol."),
    responses((status = OK, description = "Chunks, the most urgent first, and a cursor.", content_type = "application/json")),
)]
async fn post_manifest(
    State(app): State<App>,
    caller: Caller,
    JsonBody(request): JsonBody<ManifestRequest>,
) -> Result<Json<ManifestResponse>, ApiError> {
    caller.expect_device()?;
    expect_protocol(request.protocol)?;
    manifest(&app, &caller.rights).await.map(Json).map_err(ApiError::internal)
}

/// The manifest of somebody with these rights.
///
/// # Errors
/// When its chunks cannot be built.
pub async fn manifest(app: &App, rights: &Rights) -> Result<ManifestResponse, ChunksError> {
    let snapshot = app.live().snapshot();
    let listing = app.chunks().list(app.db(), app.live().head(), &snapshot, rights).await?;
    let tenant = app.tenant();
    let cursor = Cursor {
        epoch: tenant.epoch,
        seq: listing.seq,
        // No consistent point yet: whatever happened since comes whole, for nobody knows what the device has of it.
        from: 0,
        scopes: listing.scopes,
        backfill: Vec::new(),
        first_sync: false,
        view: rights.view.hidden,
        gaining: None,
    };
    Ok(ManifestResponse {
        protocol: PROTOCOL_VERSION,
        model: rights.view.model.hash.clone(),
        chunks: listing.chunks,
        cursor: cursor.seal(&tenant.cursor_key, tenant.id),
        head: app.live().head(),
        server_time_ms: app.clock().now_ms(),
    })
}

/// One chunk, whole or a range of it.
#[utoipa::path(
    get,
    path = "/sync/v1/chunk/{hash}",
    tag = "sync",
    operation_id = "chunk",
    params(("hash" = String, Path, description = "The chunk's name, from a manifest.")),
    responses(
        (status = OK, description = "The chunk: a line of canonical JSON.", content_type = "application/x-ndjson"),
        (status = PARTIAL_CONTENT, description = "The range asked for, of the chunk compressed with zstd.", content_type = "application/x-ndjson"),
    ),
)]
async fn chunk(
    State(app): State<App>,
    caller: Caller,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.expect_device()?;
    let hash = ChunkHash::parse(&hash).ok_or_else(|| {
        ApiError::new(INVALID_PATH).detail("A chunk is named by 64 lowercase hexadecimal digits, as the manifest says.")
    })?;
    let place = app.first_syncs().enter().await?;
    let bytes = read(&app, &caller, &place, hash).await?.ok_or_else(gone)?;
    let answer = if answer::accepts_zstd(&headers) {
        answer::packed(hash, &bytes, &headers)?
    } else {
        answer::plain(unpack(vec![bytes]).await?)
    };
    Ok(answer.map(|body| place.keep_until_sent(body)))
}

/// Several chunks in one answer, in the order asked for. A chunk that is gone is left out.
#[utoipa::path(
    post,
    path = "/sync/v1/chunks",
    tag = "sync",
    operation_id = "chunks",
    request_body(content_type = "application/json", description = "The names of the chunks."),
    responses((status = OK, description = "The chunks, a line each.", content_type = "application/x-ndjson")),
)]
async fn chunks(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    JsonBody(request): JsonBody<ChunksRequest>,
) -> Result<Response, ApiError> {
    caller.expect_device()?;
    if request.chunks.len() > MAX_CHUNKS_PER_REQUEST {
        return Err(ApiError::new(TOO_MANY_CHUNKS)
            .detail(format!("{} chunks are named; name at most {MAX_CHUNKS_PER_REQUEST}.", request.chunks.len()))
            .fact("most", MAX_CHUNKS_PER_REQUEST));
    }
    let place = app.first_syncs().enter().await?;
    let mut read_bytes = 0;
    let mut packed = Vec::with_capacity(request.chunks.len());
    for hash in request.chunks {
        if let Some(bytes) = read(&app, &caller, &place, hash).await? {
            read_bytes += bytes.len();
            if read_bytes > TOGETHER_BYTES && !packed.is_empty() {
                break;
            }
            packed.push(bytes);
        }
    }
    if packed.is_empty() {
        return Err(gone());
    }
    let answer =
        if answer::accepts_zstd(&headers) { answer::together(packed) } else { answer::plain(unpack(packed).await?) };
    Ok(answer.map(|body| place.keep_until_sent(body)))
}

async fn read(app: &App, caller: &Caller, place: &Place, hash: ChunkHash) -> Result<Option<Bytes>, ApiError> {
    let snapshot = app.live().snapshot();
    let chunks = app.chunks();
    let may_have = chunks.may_have(app.db(), app.live().head(), &snapshot, &caller.rights, hash);
    // Reading the file needs none of the database's readers.
    let read = if place.read(may_have).await.map_err(ApiError::internal)? { chunks.read(hash).await } else { Ok(None) };
    read.map_err(ApiError::internal)
}

async fn unpack(packed: Vec<Bytes>) -> Result<Vec<u8>, ApiError> {
    let unpack = move || {
        let mut plain = Vec::new();
        for bytes in packed {
            plain.extend(zstd::bulk::decompress(&bytes, 2 * MAX_CHUNK_BYTES)?);
        }
        Ok::<_, std::io::Error>(plain)
    };
    tokio::task::spawn_blocking(unpack).await.map_err(ApiError::internal)?.map_err(ApiError::internal)
}

fn gone() -> ApiError {
    ApiError::new(CHUNK_GONE).detail(
        "Its records changed, or you may not see them any more. Ask for a new manifest with POST /sync/v1/manifest; chunks that are in stay good.",
    )
}
