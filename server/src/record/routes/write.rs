use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use crm::Fields;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sync_protocol::id::{RecordId, Sequence};
use sync_protocol::wire::{FieldOperation, FieldProblem, MutationKind, Reason, Verdict};

use super::refusal::{refuse, rejected, stale, tags, unwritten};
use super::{etag, reader};
use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::{ApiError, JsonBody, Path};
use crate::record::read::ReadError;
use crate::record::write::{Change, Decision};

/// A record to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    /// A `UUIDv7` of the caller's, so that a request may be repeated; the server makes one when absent.
    id: Option<RecordId>,
    #[serde(default)]
    fields: Fields,
}

/// A change of a record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    /// The sequence that the caller knew: what others changed since is merged by field. Whatever it is now when absent.
    base: Option<Sequence>,
    #[serde(default)]
    set: Fields,
    #[serde(default)]
    ops: Vec<FieldOperation>,
}

/// What a change came to.
#[derive(Debug, Serialize)]
struct Written {
    id: RecordId,
    entity: String,
    seq: Sequence,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<FieldProblem>,
    /// The record as it is now; absent where the change took it out of the caller's sight.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Box<RawValue>>,
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Path(entity): Path<String>,
    JsonBody(creation): JsonBody<Creation>,
) -> Result<Response, ApiError> {
    let record = creation.id.unwrap_or_else(|| RecordId(app.entropy().uuid_v7(app.clock().now_ms())));
    let change =
        Change { kind: MutationKind::Create, entity, record, base: None, set: creation.fields, ops: Vec::new() };
    let entity = change.entity.clone();
    let decision = write(&app, &caller, change).await?;
    let location = format!("/api/v1/{entity}/{record}");
    let written = written(&app, &caller, entity, decision).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], written).into_response())
}

pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path((entity, record)): Path<(String, RecordId)>,
    headers: HeaderMap,
    JsonBody(patch): JsonBody<Patch>,
) -> Result<Response, ApiError> {
    let known = if_match(&app, &caller, &entity, record, &headers).await?;
    let Patch { base, set, ops } = patch;
    let change = Change { kind: MutationKind::Update, entity: entity.clone(), record, base: known.or(base), set, ops };
    let decision = write(&app, &caller, change).await?;
    written(&app, &caller, entity, decision).await
}

pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path((entity, record)): Path<(String, RecordId)>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let base = if_match(&app, &caller, &entity, record, &headers).await?;
    let change = Change { kind: MutationKind::Delete, entity, record, base, set: Fields::new(), ops: Vec::new() };
    write(&app, &caller, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The sequence that `If-Match` confirms. What slips in between this look and the write is then merged on that base,
/// as a device's change would be: nothing is lost unseen.
async fn if_match(
    app: &App,
    caller: &Caller,
    entity: &str,
    record: RecordId,
    headers: &HeaderMap,
) -> Result<Option<Sequence>, ApiError> {
    let Some(known) = tags(headers, &header::IF_MATCH) else { return Ok(None) };
    let mut connection = app.db().readers().acquire().await?;
    let now = reader(app, caller).get(&mut connection, entity, record).await;
    let now = now.map_err(|error| refuse(error, caller.language))?.seq;
    if known.contains(&now) { Ok(Some(now)) } else { Err(stale(now, caller.language)) }
}

async fn write(app: &App, caller: &Caller, change: Change) -> Result<Decision, ApiError> {
    let mut decisions =
        app.writer().write(caller.author(), vec![change], true).await.map_err(|error| unwritten(app, error))?;
    let decision = decisions.pop().ok_or_else(|| ApiError::internal(anyhow::anyhow!("one change had no decision")))?;
    match decision.verdict {
        Verdict::Applied | Verdict::Merged => Ok(decision),
        Verdict::Rejected | Verdict::Deferred => Err(rejected(decision)),
    }
}

async fn written(app: &App, caller: &Caller, entity: String, decision: Decision) -> Result<Response, ApiError> {
    let mut connection = app.db().readers().acquire().await?;
    let record = match reader(app, caller).get(&mut connection, &entity, decision.record).await {
        Ok(record) => Some(record),
        Err(ReadError::NotFound { .. } | ReadError::UnknownEntity { .. }) => None,
        Err(error) => return Err(refuse(error, caller.language)),
    };
    let seq = record.as_ref().map_or(decision.seq, |record| record.seq);
    let written = Written {
        id: decision.record,
        entity,
        seq,
        verdict: decision.verdict,
        reason: decision.reason,
        warnings: decision.warnings,
        fields: record.map(|record| record.fields),
    };
    Ok(([(header::ETAG, etag(seq))], Json(written)).into_response())
}
