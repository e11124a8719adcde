//! Revocation: the device's session ends; its data and its numbers stay.

use axum::extract::State;
use axum::http::StatusCode;
use sync_protocol::id::DeviceId;
use uuid::Uuid;

use crate::app::App;
use crate::platform::auth::{Caller, CallerDevice};
use crate::platform::http::problem::NOT_FOUND;
use crate::platform::http::{ApiError, Path};

/// Ends a device's session; its data stays.
#[utoipa::path(
    delete,
    path = "/api/v1/devices/{id}",
    tag = "devices",
    operation_id = "revoke_device",
    params(("id" = String, Path, description = "The device.")),
    responses((status = NO_CONTENT, description = "Revoked.")),
)]
pub(super) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<DeviceId>,
) -> Result<StatusCode, ApiError> {
    let row: Option<(i64, Uuid)> = sqlx::query_as("SELECT num, user FROM device WHERE id = $1")
        .bind(id.0)
        .fetch_optional(app.db().readers())
        .await?;
    // Somebody else's device is not even there for those who may not list it.
    let num = row.filter(|(_, owner)| caller.is_admin() || *owner == caller.user.0).map(|(num, _)| num);
    let num = num.ok_or_else(|| ApiError::new(NOT_FOUND).detail(format!("You have no device {id}.")))?;
    app.auth().sessions.end_of_device(app.db(), CallerDevice { id, num }).await?;
    tracing::info!(user.id = %caller.user, device.id = %id, "a device was revoked");
    app.wakes().order(num).await?;
    Ok(StatusCode::NO_CONTENT)
}
