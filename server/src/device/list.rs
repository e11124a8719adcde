//! The devices of a user, or as an administrator everybody's.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sqlx::types::Json as SqlJson;
use sync_protocol::id::{DeviceId, RecordId};
use sync_protocol::wire::Report;
use uuid::Uuid;

use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::ApiError;

/// Devices, the last seen first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Devices {
    devices: Vec<ListedDevice>,
}

/// One of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ListedDevice {
    #[schema(value_type = String, format = "uuid")]
    id: DeviceId,
    /// The user record.
    #[schema(value_type = String, format = "uuid")]
    user: RecordId,
    name: String,
    platform: String,
    enrolled_at_ms: i64,
    seen_at_ms: i64,
    /// Its session has neither ended nor been revoked.
    active: bool,
    /// How it stands, as it last said.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<LastReport>,
}

/// What a device last said of itself; times are ages at that moment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LastReport {
    received_at_ms: i64,
    /// As the protocol specifies it: `waiting`, `attention`, `lag_ms`, `oldest_ms`, `problem`, `digest`, `storage_bytes`,
    /// `model`, `app`.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    said: Report,
}

type Row = (Uuid, Uuid, String, String, i64, i64, bool, Option<i64>, Option<SqlJson<Report>>);

/// The caller's devices; everybody's for administrators.
#[utoipa::path(
    get,
    path = "/api/v1/devices",
    tag = "devices",
    operation_id = "list_devices",
    responses((status = OK, description = "The last seen first.", body = Devices)),
)]
pub(super) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Devices>, ApiError> {
    let only = if caller.is_admin() { None } else { Some(caller.user.0) };
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT d.id, d.user, d.name, d.platform, d.enrolled_ms,
                max(d.seen_ms, coalesce(max(s.used_ms), 0)) AS seen_ms, coalesce(max(s.expires_ms), 0) > $2,
                r.received_ms, r.body
         FROM device d LEFT JOIN session s ON s.device = d.num LEFT JOIN device_report r ON r.device = d.num
         WHERE $1 IS NULL OR d.user = $1
         GROUP BY d.num, d.id, d.user, d.name, d.platform, d.enrolled_ms, d.seen_ms, r.received_ms, r.body
         ORDER BY seen_ms DESC, d.num",
    )
    .bind(only)
    .bind(app.clock().now_ms())
    .fetch_all(app.db().readers())
    .await?;
    let listed = |(id, user, name, platform, enrolled_at_ms, seen_at_ms, active, received, said): Row| ListedDevice {
        id: DeviceId(id),
        user: RecordId(user),
        name,
        platform,
        enrolled_at_ms,
        seen_at_ms,
        active,
        report: received.zip(said).map(|(received_at_ms, said)| LastReport { received_at_ms, said: said.0 }),
    };
    Ok(Json(Devices { devices: rows.into_iter().map(listed).collect() }))
}
