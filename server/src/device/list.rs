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
    /// It can be woken while it is not connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    wake: Option<ListedWake>,
    /// It had to compare what it holds with the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    mended: Option<Mended>,
    /// How it stands, as it last said.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<LastReport>,
}

/// The push subscription of a device.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ListedWake {
    subscribed_at_ms: i64,
    /// When its push service last took a wake-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    woken_at_ms: Option<i64>,
}

/// Comparisons of a device with the server that were not the weekly one.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Mended {
    /// How many; those that follow within a minute count once.
    times: i64,
    /// Of the last: `digest`, `base-missing`, `epoch` (the server was restored) or `horizon` (it was away for long).
    why: String,
    last_at_ms: i64,
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

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    user: Uuid,
    name: String,
    platform: String,
    enrolled_ms: i64,
    seen_ms: i64,
    active: bool,
    received_ms: Option<i64>,
    body: Option<SqlJson<Report>>,
    subscribed_ms: Option<i64>,
    woken_ms: Option<i64>,
    times: Option<i64>,
    why: Option<String>,
    mended_ms: Option<i64>,
}

impl From<Row> for ListedDevice {
    fn from(row: Row) -> Self {
        let wake = row.subscribed_ms.map(|at_ms| ListedWake { subscribed_at_ms: at_ms, woken_at_ms: row.woken_ms });
        let mended = row.times.zip(row.why).zip(row.mended_ms);
        let report = row.received_ms.zip(row.body);
        Self {
            id: DeviceId(row.id),
            user: RecordId(row.user),
            name: row.name,
            platform: row.platform,
            enrolled_at_ms: row.enrolled_ms,
            seen_at_ms: row.seen_ms,
            active: row.active,
            wake,
            mended: mended.map(|((times, why), last_at_ms)| Mended { times, why, last_at_ms }),
            report: report.map(|(received_at_ms, said)| LastReport { received_at_ms, said: said.0 }),
        }
    }
}

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
    let rows: Vec<Row> = sqlx::query_as(include_str!("sql/list.sql"))
        .bind(only)
        .bind(app.clock().now_ms())
        .fetch_all(app.db().readers())
        .await?;
    Ok(Json(Devices { devices: rows.into_iter().map(ListedDevice::from).collect() }))
}
