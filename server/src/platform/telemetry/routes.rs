//! Health and measurements: what an operator's machinery asks, many times a minute.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::ApiError;
use crate::platform::http::problem::UNAVAILABLE;

const OPENMETRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The routes of the main address: measurements tell about a tenant's business, so they need an administrator.
pub fn guarded() -> Router<App> {
    health().route("/metrics", get(guarded_metrics))
}

/// The routes of an address that only the operator's machinery reaches.
pub fn open() -> Router<App> {
    health().route("/metrics", get(metrics))
}

/// How they are described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(alive, ready, guarded_metrics))]
pub struct Described;

fn health() -> Router<App> {
    Router::new().route("/livez", get(alive)).route("/readyz", get(ready))
}

/// Whether the process answers.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "health",
    operation_id = "livez",
    security(()),
    responses((status = OK, description = "It does.", content_type = "text/plain")),
)]
async fn alive() -> &'static str {
    "alive\n"
}

/// Whether requests make sense at this moment: the database answers and the writer lives.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    operation_id = "readyz",
    security(()),
    responses((status = OK, description = "They do.", content_type = "text/plain")),
)]
async fn ready(State(app): State<App>) -> Result<&'static str, ApiError> {
    let unready = |why: &str| ApiError::new(UNAVAILABLE).detail(why);
    if !app.writer().is_alive() {
        return Err(unready("The writer has stopped; restart the server."));
    }
    sqlx::query("SELECT head FROM tenant")
        .fetch_one(app.db().readers())
        .await
        .map_err(|error| unready("The database does not answer.").cause(error))?;
    Ok("ready\n")
}

/// Measurements, as `OpenMetrics`. For administrators.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    operation_id = "metrics",
    responses((status = OK, description = "OpenMetrics.", content_type = "text/plain")),
)]
async fn guarded_metrics(caller: Caller, app: State<App>) -> Result<impl IntoResponse, ApiError> {
    caller.expect_admin("read the server's measurements")?;
    Ok(metrics(app).await)
}

async fn metrics(State(app): State<App>) -> impl IntoResponse {
    app.metrics().writer_queue(app.writer().waiting_bytes());
    let head = app.live().head();
    ([(header::CONTENT_TYPE, OPENMETRICS)], app.metrics().encode(head, app.db().size_bytes()))
}
