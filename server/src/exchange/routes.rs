use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::value::RawValue;
use sync_protocol::cursor::Cursor;
use sync_protocol::id::MutationId;
use sync_protocol::wire::{ExchangeRequest, ExchangeResponse, MAX_MUTATIONS_PER_EXCHANGE, Order};
use sync_protocol::{OLDEST_PROTOCOL, PROTOCOL_VERSION};

use super::digest;
use super::first_syncs::{BUSY_RETRY, Place};
use super::known::{Known, with_known};
use super::page::Page;
use super::pull::Puller;
use crate::app::App;
use crate::entitlement::reason_to_defer;
use crate::platform::auth::{Caller, CallerDevice};
use crate::platform::http::JsonBody;
use crate::platform::http::problem::{self, ApiError, Kind, NO_DEVICE};
use crate::record::write::{Author, PushError, WriteError};
use crate::user::rights::Rights;

const UNSUPPORTED_PROTOCOL: Kind = Kind::new(
    StatusCode::BAD_REQUEST,
    "unsupported-protocol",
    "The server does not speak this version of the protocol.",
);
const RESTORE_UNDECLARED: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "restore-undeclared",
    "The server was restored from a backup, and nobody has said so.",
);
const TOO_MANY_MUTATIONS: Kind =
    Kind::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many-mutations", "The exchange carries too many mutations.");
const MUTATION_GAP: Kind = Kind::new(StatusCode::CONFLICT, "mutation-gap", "A mutation is missing before this one.");
const OUTCOME_FORGOTTEN: Kind =
    Kind::new(StatusCode::CONFLICT, "outcome-forgotten", "The outcome was acknowledged and is no longer kept.");
const ACKNOWLEDGED_AHEAD: Kind = Kind::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "acknowledged-ahead",
    "The device acknowledges what it was never told.",
);

/// The most bytes of operations that one answer carries, whatever the device asks for.
pub const MAX_PAGE_BYTES: u64 = 4 << 20;

/// The routes of this slice.
pub fn routes() -> Router<App> {
    Router::new().route("/sync/v1/exchange", post(exchange)).route("/sync/v1/digest", post(digest::digest))
}

/// How they are described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(exchange, digest::digest))]
pub struct Described;

/// Pushes the device's mutations, then pulls what it does not have.
#[utoipa::path(
    post,
    path = "/sync/v1/exchange",
    tag = "sync",
    operation_id = "exchange",
    request_body(content_type = "application/json", description = "Cursor and mutations, as the protocol specifies them."),
    responses((status = OK, description = "Outcomes, operations and the new cursor.", content_type = "application/json")),
)]
async fn exchange(
    State(app): State<App>,
    caller: Caller,
    JsonBody(request): JsonBody<ExchangeRequest>,
) -> Result<Response, ApiError> {
    let device = caller.expect_device()?;
    check_form(&request)?;
    let cursor = request.cursor.as_deref().map(|text| open_cursor(&app, text)).transpose()?;
    let exchanging = app.live_feed().exchanging(device.num);
    let acknowledged = acknowledged(&request, cursor.as_ref(), app.tenant().epoch);
    let outcomes = push(&app, &caller, device, &request, acknowledged).await?;

    // The push may have changed what its own author may see, so what is held is settled after it.
    let is_too_old = request.protocol < OLDEST_PROTOCOL;
    let orders = is_too_old.then_some(Order::Update { protocol: OLDEST_PROTOCOL }).into_iter().collect();
    let turn =
        if is_too_old { Turn::Later } else { turn(&app, cursor.as_ref(), &request, !outcomes.is_empty()).await? };
    let (page, rights) = pull(&app, &caller, device, cursor, &request, &turn).await?;
    app.metrics().exchange(page.count as u64, page.operations.len() as u64);
    let sealed = page.cursor.seal(&app.tenant().cursor_key, app.tenant().id);
    if request.limit_bytes > 0 && !page.more {
        exchanging.ends_at(&page.cursor, &sealed);
    }
    // It is of use to a device that has something to forget.
    let safe = (page.safe > 0 && !outcomes.is_empty()).then_some(page.safe);
    let answer = axum::Json(ExchangeResponse {
        protocol: request.protocol,
        model: rights.view.model.hash.clone(),
        outcomes,
        cursor: sealed,
        operations: RawValue::from_string(page.operations).map_err(ApiError::internal)?,
        more: page.more,
        head: page.head,
        orders,
        server_time_ms: app.clock().now_ms(),
        digest: page.digest,
        mend: page.mend,
        expected: page.expected,
        safe,
    });
    let response = answer.into_response();
    Ok(match turn {
        Turn::OfFirstSync(place) => response.map(|body| place.keep_until_sent(body)),
        Turn::Now | Turn::Later => response,
    })
}

/// Which outcomes may be forgotten. An acknowledgement that was made before a restore speaks of one that the server has
/// lost since: a late request must not have it forget the one that it gave in its place.
pub(super) fn acknowledged(request: &ExchangeRequest, cursor: Option<&Cursor>, epoch: u64) -> MutationId {
    if cursor.is_some_and(|cursor| cursor.epoch == epoch) { request.acknowledged } else { 0 }
}

/// When a page may be cut.
enum Turn {
    Now,
    /// As one of the first syncs under way.
    OfFirstSync(Place),
    /// With the next exchange.
    Later,
}

async fn turn(
    app: &App,
    cursor: Option<&Cursor>,
    request: &ExchangeRequest,
    has_outcomes: bool,
) -> Result<Turn, ApiError> {
    if !is_arriving(cursor) || request.limit_bytes == 0 {
        return Ok(Turn::Now);
    }
    match app.first_syncs().enter().await {
        Ok(place) => Ok(Turn::OfFirstSync(place)),
        // What was pushed is done, and has to be told: the page waits for the next exchange.
        Err(_) if has_outcomes => Ok(Turn::Later),
        Err(error) => Err(error),
    }
}

/// Whether a device is still getting what it does not have at all, which is much; whoever has it is told changes only.
fn is_arriving(cursor: Option<&Cursor>) -> bool {
    cursor.is_none_or(|cursor| !cursor.backfill.is_empty() || cursor.from == 0)
}

/// The page, and the rights that it was cut for.
async fn pull(
    app: &App,
    caller: &Caller,
    device: CallerDevice,
    cursor: Option<Cursor>,
    request: &ExchangeRequest,
    turn: &Turn,
) -> Result<(Page, Arc<Rights>), ApiError> {
    let cursor = cursor.as_ref();
    with_known(app, caller, |Known { head, snapshot, rights }| async move {
        let model = &rights.view.model.hash;
        let puller = Puller {
            snapshot: &snapshot,
            rights: &rights,
            device: device.num,
            epoch: app.tenant().epoch,
            limit_bytes: usize::try_from(request.limit_bytes.min(MAX_PAGE_BYTES)).unwrap_or(usize::MAX),
            compare: request.compare,
            holds_model: request.model.as_ref() == Some(model),
        };
        let holds_another = request.model.as_ref().is_some_and(|held| held != model);
        let page = match cursor {
            // What is told in the words of one model would be kept under those of another.
            cursor if holds_another => puller.nothing_yet(head, cursor.cloned()),
            Some(cursor) if request.limit_bytes == 0 => Page::nothing_new(cursor.clone(), head),
            None if request.limit_bytes == 0 => puller.nothing_yet(head, None),
            cursor => match turn {
                Turn::Now => puller.pull(app.db(), head, cursor.cloned()).await?,
                Turn::OfFirstSync(place) => place.read(puller.pull(app.db(), head, cursor.cloned())).await?,
                Turn::Later => puller.nothing_yet(head, cursor.cloned()),
            },
        };
        Ok((page, rights))
    })
    .await
}

/// Refuses what speaks another version of the protocol.
///
/// # Errors
/// `unsupported-protocol`.
pub fn expect_protocol(version: u32) -> Result<(), ApiError> {
    if version == PROTOCOL_VERSION {
        return Ok(());
    }
    Err(ApiError::new(UNSUPPORTED_PROTOCOL)
        .detail(format!(
            "The request is of protocol version {version}; this server speaks version {PROTOCOL_VERSION}. Update the app."
        ))
        .fact("supported", vec![PROTOCOL_VERSION]))
}

/// What can be told to be wrong before anything is looked up.
fn check_form(request: &ExchangeRequest) -> Result<(), ApiError> {
    // Whoever is older than what is served may still push: nobody's work is lost for want of an update.
    expect_protocol(request.protocol.max(OLDEST_PROTOCOL))?;
    if request.mutations.len() > MAX_MUTATIONS_PER_EXCHANGE {
        return Err(ApiError::new(TOO_MANY_MUTATIONS)
            .detail(format!(
                "{} mutations came; send at most {MAX_MUTATIONS_PER_EXCHANGE} in one exchange, lowest id first.",
                request.mutations.len()
            ))
            .fact("most", MAX_MUTATIONS_PER_EXCHANGE));
    }
    Ok(())
}

pub(super) fn open_cursor(app: &App, text: &str) -> Result<Cursor, ApiError> {
    let tenant = app.tenant();
    let cursor = Cursor::open(text, &tenant.cursor_key, tenant.id).map_err(|error| {
        ApiError::new(Kind::new(StatusCode::BAD_REQUEST, error.code(), "The cursor is not one of this server's."))
            .detail(format!(
                "The cursor is refused: {error}. Send that of the last answer, unchanged, or start over with none."
            ))
    })?;
    // A cursor that is authentic and from a later state proves that this state is an older one. To go on would give
    // sequences out a second time, for other changes.
    if cursor.epoch > tenant.epoch || (cursor.epoch == tenant.epoch && cursor.seq > app.live().head()) {
        tracing::error!(
            cursor.seq,
            "a device comes from a later state: stop the server and run `cartera restored`, see docs/operations.md"
        );
        return Err(ApiError::new(RESTORE_UNDECLARED)
            .detail("The operator of the server has to run `cartera restored` first. Keep everything and try later."));
    }
    Ok(cursor)
}

async fn push(
    app: &App,
    caller: &Caller,
    device: CallerDevice,
    request: &ExchangeRequest,
    acknowledged: MutationId,
) -> Result<Vec<sync_protocol::wire::Outcome>, ApiError> {
    // An acknowledgement alone is not worth a commit: it comes again with the next push.
    if request.mutations.is_empty() {
        return Ok(Vec::new());
    }
    let language = match request.language.as_deref() {
        Some("en") => crm::model::Language::En,
        Some("es") => crm::model::Language::Es,
        _ => caller.language,
    };
    let deferred = reason_to_defer(app, language);
    let author = Author { user: Some(caller.user), device: device.num, rights: caller.rights.clone(), language };
    app.writer().push(author, request.mutations.clone(), acknowledged, deferred).await.map_err(|error| match error {
        PushError::Gap { expected, got } => ApiError::new(MUTATION_GAP)
            .detail(format!(
                "Mutation {got} came where {expected} was expected. Send every mutation from {expected} on."
            ))
            .fact("expected", expected),
        PushError::Forgotten(mutation) => ApiError::new(OUTCOME_FORGOTTEN)
            .detail(format!("Mutation {mutation} was decided and its outcome acknowledged: do not send it again.")),
        PushError::AcknowledgedAhead(mutation) => ApiError::new(ACKNOWLEDGED_AHEAD).detail(format!(
            "Acknowledge only outcomes that the server gave: {mutation} is not one, or is sent again."
        )),
        PushError::UnknownDevice => ApiError::new(NO_DEVICE).detail("The device was removed. Enrol it again."),
        PushError::Write(WriteError::NoRights) => {
            ApiError::new(problem::UNAUTHENTICATED).detail("This user may no longer sign in.")
        }
        PushError::Write(WriteError::Stopped) => {
            ApiError::new(problem::UNAVAILABLE).detail("The server is shutting down. Send the same exchange again.")
        }
        PushError::Write(WriteError::Busy) => ApiError::new(problem::UNAVAILABLE)
            .detail("More changes wait to be written than the server takes at once. Send the same exchange again.")
            .retry_after(app.entropy().spread(BUSY_RETRY)),
        PushError::Write(error @ WriteError::Database(_)) => ApiError::internal(error),
    })
}
