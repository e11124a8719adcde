//! The routes about users that records alone cannot answer: signing in and out, passwords, adding people who sign in.

use axum::Router;
use axum::routing::{delete, get, post};

use super::{add, list, me, password, session};
use crate::app::App;

/// The routes of this slice.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/sessions", post(session::sign_in))
        .route("/api/v1/sessions/current", delete(session::sign_out))
        .route("/api/v1/me", get(me::me))
        .route("/api/v1/users", get(list::list).post(add::add))
        .route("/api/v1/users/{id}/password", post(password::set))
}

/// How they are described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(session::sign_in, session::sign_out, me::me, list::list, add::add, password::set))]
pub struct Described;
