//! Everybody who works here, with who may sign in: what an administrator looks at.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sync_protocol::id::RecordId;
use uuid::Uuid;

use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::ApiError;

/// All users.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Users {
    users: Vec<ListedUser>,
}

/// One of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ListedUser {
    #[schema(value_type = String, format = "uuid")]
    id: RecordId,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// The role's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    team: Option<Uuid>,
    active: bool,
    /// She has an address, a password and a role, and is active.
    signs_in: bool,
}

/// Everybody, with who can sign in. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/users",
    tag = "users",
    operation_id = "list_sign_ins",
    responses((status = OK, description = "All users.", body = Users)),
)]
pub(super) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Users>, ApiError> {
    caller.expect_admin("list who may sign in")?;
    let with_password: Vec<Uuid> =
        sqlx::query_scalar("SELECT user FROM credential").fetch_all(app.db().readers()).await?;
    let with_password: HashSet<Uuid> = with_password.into_iter().collect();
    let snapshot = app.live().snapshot();
    let mut users: Vec<ListedUser> = snapshot
        .directory
        .users()
        .map(|(id, user)| {
            let role = snapshot.directory.viewer(id).map(|viewer| viewer.role);
            ListedUser {
                id: RecordId(id),
                name: user.name.clone(),
                email: user.email.clone(),
                team: user.team,
                active: user.active,
                signs_in: user.active && user.email.is_some() && role.is_some() && with_password.contains(&id),
                role,
            }
        })
        .collect();
    users.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    Ok(Json(Users { users }))
}
