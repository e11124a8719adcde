//! Devices: installations that keep a part of the data and exchange it.

mod enrol;
mod hello;
mod list;
mod report;
mod revoke;

use axum::Router;
use axum::routing::{delete, post};

use crate::app::App;

/// The routes of this slice.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/devices", post(enrol::enrol).get(list::list))
        .route("/api/v1/devices/{id}", delete(revoke::revoke))
        .route("/sync/v1/hello", post(hello::hello))
        .route("/sync/v1/report", post(report::report))
}

/// How they are described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(enrol::enrol, list::list, revoke::revoke, hello::hello, report::report))]
pub struct Described;
