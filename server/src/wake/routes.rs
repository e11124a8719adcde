use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::put;
use sync_protocol::wire::{FieldProblem, WakeRequest};

use super::endpoint::Endpoint;
use super::store;
use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::problem::{INVALID, NOT_FOUND};
use crate::platform::http::{ApiError, JsonBody};

/// The routes of this slice.
pub fn routes() -> Router<App> {
    Router::new().route("/sync/v1/wake", put(subscribe).delete(withdraw))
}

/// How they are described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(subscribe, withdraw))]
pub struct Described;

/// Lets the device be woken while it is not connected; an earlier subscription of it is replaced.
#[utoipa::path(
    put,
    path = "/sync/v1/wake",
    tag = "sync",
    operation_id = "subscribe_to_wakes",
    request_body(content_type = "application/json", description = "`endpoint`, as a browser's push subscription has it."),
    responses((status = NO_CONTENT, description = "Kept.")),
)]
async fn subscribe(
    State(app): State<App>,
    caller: Caller,
    JsonBody(subscription): JsonBody<WakeRequest>,
) -> Result<StatusCode, ApiError> {
    let device = caller.expect_device()?;
    let wakes = app.wakes();
    let inner = wakes.inner.as_ref().ok_or_else(|| {
        ApiError::new(NOT_FOUND).detail("This server wakes no devices: its administrator has to set `wake.contact`.")
    })?;
    let endpoint = Endpoint::parse(&subscription.endpoint, &inner.config).map_err(|error| {
        let message = error.to_string();
        let problem = FieldProblem { field: "endpoint".into(), code: "endpoint".into(), message: message.clone() };
        ApiError::new(INVALID).detail(message).fields([problem])
    })?;
    // What is committed from here on may be what the device has to be woken for.
    let head = app.live().head();
    store::subscribe(app.db(), device.num, &endpoint, app.clock().now_ms()).await?;
    inner.roll().subscribe(device.num, caller.user, endpoint, head);
    app.metrics().wake_subscriptions(inner.roll().len());
    Ok(StatusCode::NO_CONTENT)
}

/// The device is not woken any more.
#[utoipa::path(
    delete,
    path = "/sync/v1/wake",
    tag = "sync",
    operation_id = "withdraw_from_wakes",
    responses((status = NO_CONTENT, description = "There is no subscription of the device.")),
)]
async fn withdraw(State(app): State<App>, caller: Caller) -> Result<StatusCode, ApiError> {
    let device = caller.expect_device()?;
    store::withdraw(app.db(), device.num).await?;
    if let Some(inner) = &app.wakes().inner {
        inner.roll().withdraw(device.num);
        app.metrics().wake_subscriptions(inner.roll().len());
    }
    Ok(StatusCode::NO_CONTENT)
}
