//! `POST /sync/v1/digest`: what differs between a device and the server, and what mends it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use sync_protocol::PROTOCOL_VERSION;
use sync_protocol::cursor::Cursor;
use sync_protocol::wire::{
    DigestRequest, DigestResponse, MAX_RANGES_PER_DIGEST, MAX_RECORDS_PER_DIGEST, MAX_SCOPES_PER_DIGEST,
};

use super::compare::Compared;
use super::known::{Known, with_known};
use super::mismatch;
use super::pull::Puller;
use super::routes::{MAX_PAGE_BYTES, expect_protocol, open_cursor};
use crate::app::App;
use crate::platform::auth::{Caller, CallerDevice};
use crate::platform::http::JsonBody;
use crate::platform::http::problem::{ApiError, Kind};

const DIGEST_TOO_LARGE: Kind =
    Kind::new(StatusCode::UNPROCESSABLE_ENTITY, "digest-too-large", "The digest request asks for too much at once.");

/// Compares what the device holds with what it should hold, and mends the ranges whose records it lists.
#[utoipa::path(
    post,
    path = "/sync/v1/digest",
    tag = "sync",
    operation_id = "digest",
    request_body(content_type = "application/json", description = "Digests of scopes and ranges, as the protocol specifies them."),
    responses((status = OK, description = "What differs, and operations that mend what was listed.", content_type = "application/json")),
)]
pub(super) async fn digest(
    State(app): State<App>,
    caller: Caller,
    JsonBody(request): JsonBody<DigestRequest>,
) -> Result<Response, ApiError> {
    let device = caller.expect_device()?;
    expect_protocol(request.protocol)?;
    check_size(&request)?;
    let cursor = open_cursor(&app, &request.cursor)?;
    // After a restore every device compares, all at once.
    let place = app.first_syncs().enter().await?;
    if let Some(why) = request.why {
        mismatch::count(&app, device.num, why);
    }
    let compared = place.read(compare(&app, &caller, device, &request, &cursor)).await?;
    if request.deep && compared.count > 0 {
        mismatch::found(&app, device.num);
    }
    app.metrics().exchange(compared.count as u64, compared.operations.len() as u64);
    let answer = axum::Json(DigestResponse {
        protocol: PROTOCOL_VERSION,
        cursor: compared.cursor.seal(&app.tenant().cursor_key, app.tenant().id),
        scopes: compared.scopes,
        ranges: compared.ranges,
        operations: RawValue::from_string(compared.operations).map_err(ApiError::internal)?,
    });
    Ok(answer.into_response().map(|body| place.keep_until_sent(body)))
}

async fn compare(
    app: &App,
    caller: &Caller,
    device: CallerDevice,
    request: &DigestRequest,
    cursor: &Cursor,
) -> Result<Compared, ApiError> {
    with_known(app, caller, |Known { head, snapshot, rights }| async move {
        let puller = Puller {
            snapshot: &snapshot,
            rights: &rights,
            device: device.num,
            epoch: app.tenant().epoch,
            limit_bytes: usize::try_from(request.limit_bytes.min(MAX_PAGE_BYTES)).unwrap_or(usize::MAX),
            compare: true,
            holds_model: false,
        };
        puller.compare(app.db(), head, request, cursor.clone()).await
    })
    .await
}

fn check_size(request: &DigestRequest) -> Result<(), ApiError> {
    let listed: usize = request.ranges.iter().filter_map(|range| range.records.as_ref()).map(Vec::len).sum();
    let scopes = request.scopes.as_ref().map_or(0, Vec::len);
    for (what, count, most) in [
        ("scopes", scopes, MAX_SCOPES_PER_DIGEST),
        ("ranges", request.ranges.len(), MAX_RANGES_PER_DIGEST),
        ("listed records", listed, MAX_RECORDS_PER_DIGEST),
    ] {
        if count > most {
            return Err(ApiError::new(DIGEST_TOO_LARGE)
                .detail(format!("{count} {what} came; send at most {most} in one request, the rest in the next."))
                .fact("most", most));
        }
    }
    Ok(())
}
