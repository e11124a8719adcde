//! What a device and this server say of themselves before they exchange.

use axum::Json;
use axum::extract::State;
use sync_protocol::wire::{HelloAnswer, HelloRequest, Limits, MAX_MUTATIONS_PER_EXCHANGE, Order};
use sync_protocol::{OLDEST_PROTOCOL, PROTOCOL_VERSION};

use crate::app::App;
use crate::exchange::MAX_PAGE_BYTES;
use crate::platform::auth::Caller;
use crate::platform::http::{ApiError, JsonBody};

/// Versions, what there is besides the exchange, limits, and what the device has to do.
#[utoipa::path(
    post,
    path = "/sync/v1/hello",
    tag = "sync",
    operation_id = "hello",
    request_body(content_type = "application/json", description = "What the device speaks and holds, as the protocol specifies it."),
    responses((status = OK, description = "What the server speaks, has and allows.", content_type = "application/json")),
)]
pub(super) async fn hello(
    State(app): State<App>,
    caller: Caller,
    JsonBody(request): JsonBody<HelloRequest>,
) -> Result<Json<HelloAnswer>, ApiError> {
    caller.expect_device()?;
    let model = caller.rights.view.model.hash.clone();
    let has_another = request.model.is_some_and(|held| held != model);
    let is_too_old = request.protocols.iter().max().is_some_and(|newest| *newest < OLDEST_PROTOCOL);
    let update = is_too_old.then_some(Order::Update { protocol: OLDEST_PROTOCOL });
    let upgrade = has_another.then(|| Order::Upgrade { model: model.clone() });
    let mut capabilities = ["live", "live-wait", "report"].map(str::to_owned).to_vec();
    capabilities.extend(app.wakes().key().map(|_| "wake".to_owned()));
    Ok(Json(HelloAnswer {
        protocols: vec![PROTOCOL_VERSION],
        server: env!("CARGO_PKG_VERSION").into(),
        model,
        capabilities,
        wake_key: app.wakes().key().map(str::to_owned),
        limits: Limits {
            mutations: MAX_MUTATIONS_PER_EXCHANGE as u64,
            body_bytes: app.config().limits.body_bytes as u64,
            page_bytes: MAX_PAGE_BYTES,
            wait_secs: app.config().live.wait.as_secs(),
        },
        orders: update.into_iter().chain(upgrade).collect(),
        server_time_ms: app.clock().now_ms(),
    }))
}
