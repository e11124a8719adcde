//! Setting a password: one's own, or as an administrator anybody's.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use sync_protocol::id::RecordId;

use crate::app::App;
use crate::platform::auth::{ClientAddress, Newcomer, accept_password, check_own_password, set_password};
use crate::platform::http::problem::{INVALID_BODY, NOT_FOUND};
use crate::platform::http::{ApiError, JsonBody, Path};

/// The password to set.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct NewPassword {
    /// The new one.
    password: String,
    /// The one so far; needed for one's own, whoever one is.
    old_password: Option<String>,
}

/// Sets a password, one's own or as an administrator anybody's, and ends the user's other sessions.
#[utoipa::path(
    post,
    path = "/api/v1/users/{id}/password",
    tag = "users",
    operation_id = "set_password",
    params(("id" = String, Path, description = "The user.")),
    request_body = NewPassword,
    responses((status = NO_CONTENT, description = "Set.")),
)]
pub(super) async fn set(
    State(app): State<App>,
    Newcomer(caller): Newcomer,
    client: ClientAddress,
    Path(user): Path<RecordId>,
    JsonBody(NewPassword { password, old_password }): JsonBody<NewPassword>,
) -> Result<StatusCode, ApiError> {
    if user != caller.user {
        caller.expect_own_password()?;
        caller.expect_admin("set another user's password")?;
    }
    if app.live().snapshot().directory.user(user.0).is_none() {
        return Err(ApiError::new(NOT_FOUND).detail(format!("There is no user {user}.")));
    }
    accept_password(&app, &password)?;
    if user == caller.user {
        // Whoever finds an open session must not be able to keep the account.
        let old_password = old_password
            .ok_or_else(|| ApiError::new(INVALID_BODY).detail("Send the password so far too, as `old_password`."))?;
        check_own_password(&app, client, user, &old_password).await?;
    }
    set_password(&app, user, &password).await?;
    app.auth().sessions.end_of_user(app.db(), user, caller.session.filter(|_| user == caller.user)).await?;
    tracing::info!(user.id = %caller.user, target.id = %user, "a password was set");
    Ok(StatusCode::NO_CONTENT)
}
