use axum::Router;
use axum::routing::get;

use super::{serve, upload};
use crate::app::App;

/// The route of blobs: what it carries takes as long as it takes.
pub fn routes() -> Router<App> {
    Router::new().route("/sync/v1/blob/{hash}", get(serve::get).head(serve::head).put(upload::put))
}

/// How it is described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(serve::get, serve::head, upload::put))]
pub struct Described;
