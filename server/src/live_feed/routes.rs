use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use sync_protocol::cursor::Cursor;

use super::registry::Newcomer;
use super::stream::EventStream;
use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::problem::{UNAUTHENTICATED, UNAVAILABLE};
use crate::platform::http::{ApiError, Query};

/// Where the standard's event source, and any other client, says how far it has come.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Hash of the model that the device has.
const MODEL: HeaderName = HeaderName::from_static("cartera-model");
/// Tells a proxy that collects answers before it passes them on not to.
const UNBUFFERED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// Who was refused or dropped comes back after this and up to twice as long, so that not all come at once.
const RETRY: Duration = Duration::from_secs(2);

/// The routes of this slice: their answers take as long as they take.
pub fn routes() -> Router<App> {
    Router::new().route("/sync/v1/live", get(live))
}

/// How they are described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(live))]
pub struct Described;

#[derive(Debug, Deserialize)]
struct Asked {
    /// How many seconds a long poll waits; without it, the answer is a stream.
    wait: Option<u64>,
}

/// What concerns the device, as it comes: a stream of events, or with `wait` the first one.
#[utoipa::path(
    get,
    path = "/sync/v1/live",
    tag = "sync",
    operation_id = "live",
    params(
        ("wait" = Option<u64>, Query, description = "Seconds to wait for one event, which is then answered as JSON; without it the answer is a stream."),
        ("Last-Event-ID" = Option<String>, Header, description = "The device's cursor."),
        ("Cartera-Model" = Option<String>, Header, description = "Hash of the device's model."),
    ),
    responses(
        (status = OK, description = "Events `poke`, `delta` and `order`, as the protocol specifies them.", content((String = "text/event-stream"), (String = "application/json"))),
    ),
)]
async fn live(
    State(app): State<App>,
    caller: Caller,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let device = caller.expect_device()?;
    let session = caller.session.ok_or_else(|| ApiError::new(UNAUTHENTICATED))?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let tenant = app.tenant();
    // A cursor that is none of ours is no error here: the poke that follows leads to an exchange, which deals with it.
    let cursor = text(LAST_EVENT_ID)
        .and_then(|sealed| Some((Cursor::open(&sealed, &tenant.cursor_key, tenant.id).ok()?, sealed)))
        .map(|(cursor, sealed)| (sealed, cursor));
    let newcomer =
        Newcomer { device: device.num, user: caller.user, session, is_once: asked.wait.is_some(), model: text(MODEL) };
    let member = app.live_feed().join(newcomer, cursor, app.live()).ok_or_else(|| {
        ApiError::new(UNAVAILABLE)
            .detail("No more devices can be connected at the moment. Exchange now and then, and try again later.")
            .retry_after(retry(&app))
    })?;
    // A session that ended between its look-up and the joining was not there to be told.
    if !app.auth().sessions.stands(app.db(), session, &app.config().auth, app.clock().now_ms()).await? {
        return Err(ApiError::new(UNAUTHENTICATED).detail("The session has ended; sign in again."));
    }
    match asked.wait {
        None => {
            let retry_ms = u64::try_from(retry(&app).as_millis()).unwrap_or(u64::MAX);
            let stream = EventStream::new(member, app, session, retry_ms);
            let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            Ok(([content_type, UNBUFFERED], Body::from_stream(stream)).into_response())
        }
        Some(seconds) => {
            let wait = Duration::from_secs(seconds).min(app.config().live.wait);
            let event = tokio::time::timeout(wait, member.first_event()).await.ok().flatten();
            let answer = event.map_or_else(|| "{}".to_owned(), |event| event.answer());
            Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], answer).into_response())
        }
    }
}

fn retry(app: &App) -> Duration {
    app.entropy().spread(RETRY)
}
