//! Enrolment: a device is admitted and gets a session of its own.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sqlx::{Sqlite, Transaction};
use sync_protocol::id::{DeviceId, RecordId, TenantId};
use sync_protocol::wire::FieldProblem;
use uuid::Uuid;

use crate::app::App;
use crate::entitlement::LIMIT_DEVICES;
use crate::platform::auth::{CallerDevice, ClientAddress, Sessions, check_password, expect_own_password};
use crate::platform::http::problem::{INVALID, NOT_FOUND};
use crate::platform::http::{ApiError, JsonBody};

const LONGEST_NAME_CHARS: usize = 120;

/// The device and whose it is.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct Enrolment {
    email: String,
    password: String,
    /// What people call the device.
    name: String,
    /// What it runs on.
    platform: String,
    /// The device's id when it was enrolled before and its session has ended: it keeps its outbox and its numbers.
    #[schema(value_type = Option<String>, format = "uuid")]
    device: Option<DeviceId>,
}

/// The admitted device.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Enrolled {
    #[schema(value_type = String, format = "uuid")]
    device: DeviceId,
    /// To be sent as `Authorization: Bearer`; the server cannot tell it again.
    token: String,
    /// When the session ends if it is not used before; use moves it on.
    expires_at_ms: i64,
    /// The user record.
    #[schema(value_type = String, format = "uuid")]
    user: RecordId,
    #[schema(value_type = String, format = "uuid")]
    tenant: TenantId,
    /// Hash of the model as the user's role sees it.
    model: String,
}

/// Enrols a device of a user, or signs one in again.
#[utoipa::path(
    post,
    path = "/api/v1/devices",
    tag = "devices",
    operation_id = "enrol_device",
    request_body = Enrolment,
    security(()),
    responses((status = CREATED, description = "The device and its session.", body = Enrolled)),
)]
pub(super) async fn enrol(
    State(app): State<App>,
    client: ClientAddress,
    JsonBody(enrolment): JsonBody<Enrolment>,
) -> Result<(StatusCode, Json<Enrolled>), ApiError> {
    for (field, value) in [("name", &enrolment.name), ("platform", &enrolment.platform)] {
        check_length(field, value)?;
    }
    let user = check_password(&app, client, &enrolment.email, &enrolment.password).await?;
    expect_own_password(&app, user).await?;
    let rights = app.live().snapshot().rights_of(user.0).ok_or_else(|| anyhow::anyhow!("the user left meanwhile"))?;
    let now_ms = app.clock().now_ms();
    let known = match enrolment.device {
        Some(id) => find_again(&app, id, user).await?,
        None => None,
    };
    let mut tx = app.db().write().await?;
    let device = if let Some(device) = known {
        device
    } else {
        expect_room(&app, &mut tx, now_ms).await?;
        let id = enrolment.device.unwrap_or_else(|| DeviceId(app.entropy().uuid_v7(now_ms)));
        admit(&mut tx, id, user, &enrolment, now_ms).await?
    };
    let session = Sessions::open(&mut tx, user, Some(device), &app.config().auth, now_ms, app.entropy()).await?;
    tx.commit().await?;
    tracing::info!(user.id = %user, device.id = %device.id, "a device was enrolled");
    let enrolled = Enrolled {
        device: device.id,
        token: session.token,
        expires_at_ms: session.expires_ms,
        user,
        tenant: app.tenant().id,
        model: rights.view.model.hash.clone(),
    };
    Ok((StatusCode::CREATED, Json(enrolled)))
}

fn check_length(field: &str, value: &str) -> Result<(), ApiError> {
    if (1..=LONGEST_NAME_CHARS).contains(&value.trim().chars().count()) {
        return Ok(());
    }
    let message = format!("The device's {field} must have 1 to {LONGEST_NAME_CHARS} characters.");
    let problem = FieldProblem { field: field.into(), code: "length".into(), message: message.clone() };
    Err(ApiError::new(INVALID).detail(message).fields([problem]))
}

/// Refuses a device that is not known where as many have a session as the tenant is entitled to. A device that was revoked,
/// or whose session has ended for want of use, makes room for another.
async fn expect_room(app: &App, tx: &mut Transaction<'static, Sqlite>, now_ms: i64) -> Result<(), ApiError> {
    let Some(limit) = app.entitlements().limits.devices else { return Ok(()) };
    let count: i64 = sqlx::query_scalar("SELECT count(DISTINCT device) FROM session WHERE expires_ms > $1")
        .bind(now_ms)
        .fetch_one(&mut **tx)
        .await?;
    if usize::try_from(count).is_ok_and(|count| count < limit) {
        return Ok(());
    }
    Err(ApiError::new(LIMIT_DEVICES)
        .detail(format!(
            "Your company has a plan for {limit} devices, and {count} are enrolled. Revoke one that is no longer used, or \
             ask your administrator."
        ))
        .fact("limit", limit)
        .fact("count", count))
}

async fn admit(
    tx: &mut Transaction<'static, Sqlite>,
    id: DeviceId,
    user: RecordId,
    enrolment: &Enrolment,
    now_ms: i64,
) -> Result<CallerDevice, sqlx::Error> {
    let num = sqlx::query_scalar(
        "INSERT INTO device (id, user, name, platform, enrolled_ms, seen_ms, last_mutation, acknowledged)
         VALUES ($1, $2, $3, $4, $5, $5, 0, 0) RETURNING num",
    )
    .bind(id.0)
    .bind(user.0)
    .bind(enrolment.name.trim())
    .bind(enrolment.platform.trim())
    .bind(now_ms)
    .fetch_one(&mut **tx)
    .await?;
    Ok(CallerDevice { id, num })
}

/// A device that was enrolled before; the session that it had ends, for it has one at a time. Devices are never removed:
/// one that is not there was enrolled after the backup that the data was restored from, and is admitted again.
async fn find_again(app: &App, id: DeviceId, user: RecordId) -> Result<Option<CallerDevice>, ApiError> {
    let row: Option<(i64, Uuid)> = sqlx::query_as("SELECT num, user FROM device WHERE id = $1")
        .bind(id.0)
        .fetch_optional(app.db().readers())
        .await?;
    let Some((num, owner)) = row else { return Ok(None) };
    let num = Some(num).filter(|_| owner == user.0).ok_or_else(|| {
        ApiError::new(NOT_FOUND)
            .detail(format!("There is no device {id} of this user; leave `device` out to enrol anew."))
    })?;
    let device = CallerDevice { id, num };
    app.auth().sessions.end_of_device(app.db(), device).await?;
    Ok(Some(device))
}
