use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sync_protocol::id::RecordId;

use super::refusal::{refuse, tags};
use super::{etag, reader};
use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::{ApiError, Path, Query};
use crate::record::read::history::{History, HistoryQuery};
use crate::record::read::list::{ListQuery, Page};
use crate::record::read::search::{Hits, SearchQuery};
use crate::record::read::summary::{Summary, SummaryQuery};

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(entity): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page>, ApiError> {
    let mut connection = app.db().readers().acquire().await?;
    let page = reader(&app, &caller).list(&mut connection, &entity, &query).await;
    page.map(Json).map_err(|error| refuse(error, caller.language))
}

pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path((entity, id)): Path<(String, RecordId)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut connection = app.db().readers().acquire().await?;
    let record = reader(&app, &caller).get(&mut connection, &entity, id).await;
    let record = record.map_err(|error| refuse(error, caller.language))?;
    let etag = [(header::ETAG, etag(record.seq))];
    if tags(&headers, &header::IF_NONE_MATCH).is_some_and(|known| known.contains(&record.seq)) {
        return Ok((StatusCode::NOT_MODIFIED, etag).into_response());
    }
    Ok((etag, Json(record)).into_response())
}

pub(super) async fn summary(
    State(app): State<App>,
    caller: Caller,
    Path(entity): Path<String>,
    Query(query): Query<SummaryQuery>,
) -> Result<Json<Summary>, ApiError> {
    let mut connection = app.db().readers().acquire().await?;
    let summary = reader(&app, &caller).summary(&mut connection, &entity, &query).await;
    summary.map(Json).map_err(|error| refuse(error, caller.language))
}

pub(super) async fn history(
    State(app): State<App>,
    caller: Caller,
    Path((entity, id)): Path<(String, RecordId)>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<History>, ApiError> {
    // One transaction: who may see the record and what happened to it are one state of the database.
    let mut snapshot = app.db().readers().begin().await?;
    let history = reader(&app, &caller).history(&mut snapshot, &entity, id, &query).await;
    history.map(Json).map_err(|error| refuse(error, caller.language))
}

/// Finds records of any entity by words.
#[utoipa::path(
    get,
    path = "/api/v1/search",
    tag = "search",
    params(
        ("q" = String, Query, description = "Words from their beginning, or a telephone number; accents and case do not matter."),
        ("entity" = Option<String>, Query, description = "Only these entities, comma-separated."),
        ("limit" = Option<u32>, Query, maximum = 50, description = "Hits."),
    ),
    responses(
        (status = OK, description = "Best first: records with their titles.", content_type = "application/json"),
    ),
)]
pub(super) async fn search(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Hits>, ApiError> {
    let mut snapshot = app.db().readers().begin().await?;
    let hits = reader(&app, &caller).search(&mut snapshot, &query).await;
    hits.map(Json).map_err(|error| refuse(error, caller.language))
}
