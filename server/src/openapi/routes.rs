//! The API's description over HTTP.

use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use super::document;
use crate::app::App;
use crate::platform::auth::Caller;

/// The route of the description.
pub fn routes() -> Router<App> {
    Router::new().route("/api/v1/openapi.json", get(describe))
}

/// How it is described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(describe))]
pub struct Described;

/// This description, with the entities and fields that the caller's role sees.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "model",
    responses(
        (status = OK, description = "OpenAPI 3.1.", content_type = "application/json"),
    ),
)]
async fn describe(caller: Caller) -> Json<Value> {
    Json(document(&caller.rights.view.model, &caller.rights.viewer.role))
}
