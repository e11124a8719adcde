//! How a device stands, as it says: the last report is kept.

use axum::extract::State;
use axum::http::StatusCode;
use sync_protocol::wire::Report;

use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::problem::INVALID;
use crate::platform::http::{ApiError, JsonBody};

/// Longer words are no version, hash or code.
const LONGEST_WORD_BYTES: usize = 200;

/// Keeps how the device stands.
#[utoipa::path(
    post,
    path = "/sync/v1/report",
    tag = "sync",
    operation_id = "report",
    request_body(content_type = "application/json", description = "How the device stands, as the protocol specifies it."),
    responses((status = NO_CONTENT, description = "Kept.")),
)]
pub(super) async fn report(
    State(app): State<App>,
    caller: Caller,
    JsonBody(report): JsonBody<Report>,
) -> Result<StatusCode, ApiError> {
    let device = caller.expect_device()?;
    let words = [&report.app, &report.model, &report.problem, &report.digest];
    if words.into_iter().flatten().any(|word| word.len() > LONGEST_WORD_BYTES) {
        let detail = format!("`app`, `model`, `problem` and `digest` have at most {LONGEST_WORD_BYTES} bytes each.");
        return Err(ApiError::new(INVALID).detail(detail));
    }
    let body = serde_json::to_string(&report).map_err(ApiError::internal)?;
    let mut tx = app.db().write().await?;
    sqlx::query(
        "INSERT INTO device_report (device, received_ms, body) VALUES ($1, $2, $3)
         ON CONFLICT (device) DO UPDATE SET received_ms = excluded.received_ms, body = excluded.body",
    )
    .bind(device.num)
    .bind(app.clock().now_ms())
    .bind(body)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    app.metrics().device_report(&report);
    Ok(StatusCode::NO_CONTENT)
}
