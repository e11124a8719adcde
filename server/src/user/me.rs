//! Who am I?

use axum::Json;
use axum::extract::State;
use crm::model::Language;
use serde::Serialize;
use sync_protocol::id::{DeviceId, RecordId, TenantId};
use uuid::Uuid;

use crate::app::App;
use crate::platform::auth::Newcomer;

/// The caller as the server sees her.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Me {
    /// The user record; absent for the operator of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    user: Option<RecordId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// The role's key.
    role: String,
    /// Her own team and those that she manages.
    #[schema(value_type = Vec<String>)]
    teams: Vec<Uuid>,
    /// The territories of her teams and all below them.
    #[schema(value_type = Vec<String>)]
    territories: Vec<Uuid>,
    #[schema(value_type = String)]
    language: Language,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    device: Option<DeviceId>,
    #[schema(value_type = String, format = "uuid")]
    tenant: TenantId,
    /// Hash of the model as her role sees it.
    model: String,
    /// She has only a password that was given to her: until she has chosen her own, she may do nothing else.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    password_change_required: bool,
}

/// The caller as the server sees her.
#[utoipa::path(
    get,
    path = "/api/v1/me",
    tag = "users",
    operation_id = "me",
    responses((status = OK, description = "The caller.", body = Me)),
)]
pub(super) async fn me(State(app): State<App>, Newcomer(caller): Newcomer) -> Json<Me> {
    let snapshot = app.live().snapshot();
    let user = snapshot.directory.user(caller.user.0);
    let viewer = &caller.rights.viewer;
    Json(Me {
        user: (!caller.is_operator()).then_some(caller.user),
        name: user.map(|user| user.name.clone()),
        email: user.and_then(|user| user.email.clone()),
        role: viewer.role.clone(),
        teams: viewer.teams.clone(),
        territories: viewer.territories.clone(),
        language: caller.language,
        device: caller.device.map(|device| device.id),
        tenant: app.tenant().id,
        model: caller.rights.view.model.hash.clone(),
        password_change_required: caller.has_given_password,
    })
}
