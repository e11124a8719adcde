//! Signing in without a device, and out.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sync_protocol::id::RecordId;

use crate::app::App;
use crate::platform::auth::{ClientAddress, Newcomer, Sessions, check_password};
use crate::platform::http::{ApiError, JsonBody};

/// Who wants in.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct SignIn {
    email: String,
    password: String,
}

/// The session that was opened.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SignedIn {
    /// To be sent as `Authorization: Bearer`; the server cannot tell it again.
    token: String,
    /// When the session ends if it is not used before; use moves it on.
    expires_at_ms: i64,
    /// The user record.
    #[schema(value_type = String, format = "uuid")]
    user: RecordId,
}

/// Opens a session for a user who has no device.
#[utoipa::path(
    post,
    path = "/api/v1/sessions",
    tag = "sessions",
    operation_id = "sign_in",
    request_body = SignIn,
    security(()),
    responses((status = CREATED, description = "The session.", body = SignedIn)),
)]
pub(super) async fn sign_in(
    State(app): State<App>,
    client: ClientAddress,
    JsonBody(SignIn { email, password }): JsonBody<SignIn>,
) -> Result<(StatusCode, Json<SignedIn>), ApiError> {
    let user = check_password(&app, client, &email, &password).await?;
    let mut tx = app.db().write().await?;
    let now_ms = app.clock().now_ms();
    let session = Sessions::open(&mut tx, user, None, &app.config().auth, now_ms, app.entropy()).await?;
    tx.commit().await?;
    tracing::info!(user.id = %user, "signed in");
    Ok((StatusCode::CREATED, Json(SignedIn { token: session.token, expires_at_ms: session.expires_ms, user })))
}

/// Ends the session that asks.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/current",
    tag = "sessions",
    operation_id = "sign_out",
    responses((status = NO_CONTENT, description = "Ended.")),
)]
pub(super) async fn sign_out(State(app): State<App>, Newcomer(caller): Newcomer) -> Result<StatusCode, ApiError> {
    // The operator has no session that could end.
    if let Some(session) = caller.session {
        app.auth().sessions.end(app.db(), session).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
