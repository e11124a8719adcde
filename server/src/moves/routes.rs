//! Moves over HTTP: ask for one, and see how far all of them are.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use crm::Fields;
use crm::model::Level;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, SqliteConnection};
use sync_protocol::wire::FieldProblem;
use uuid::Uuid;

use super::job::MoveJob;
use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::problem::{INVALID, NOT_FOUND, NOT_PERMITTED};
use crate::platform::http::{ApiError, JsonBody, Path};
use crate::record::read::{ReadError, Reader};
use crate::record::routes::refuse;

/// Where records may be moved to.
const PLACES: [&str; 3] = ["owner", "team", "territory"];

/// The routes of moves.
pub fn routes() -> Router<App> {
    Router::new().route("/api/v1/moves", get(list).post(ask)).route("/api/v1/moves/{id}", get(show))
}

/// How they are described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(ask, list, show))]
pub struct Described;

/// What somebody asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    entity: String,
    /// An expression: which records.
    #[serde(rename = "where")]
    condition: String,
    /// Where to: `owner`, `team`, `territory`.
    set: Fields,
    /// Only say how many records there are.
    #[serde(default)]
    dry_run: bool,
}

/// All that is to be moved.
#[derive(Debug, Serialize)]
struct Listed {
    /// The latest first.
    moves: Vec<MoveJob>,
    /// What follows a parent that moved; for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    following: Option<FollowingLeft>,
}

/// What waits to follow.
#[derive(Debug, Serialize)]
struct FollowingLeft {
    parents: i64,
    records: i64,
}

/// Gives many records another owner, team or territory, little by little. For whoever may change what her team owns.
#[utoipa::path(
    post,
    path = "/api/v1/moves",
    tag = "moves",
    operation_id = "ask_for_move",
    request_body(content_type = "application/json", description = "`entity`, `where` (an expression), `set` (`owner`, `team`, `territory`), and `dry_run` to learn only how many records that are."),
    responses(
        (status = OK, description = "With `dry_run`: `records`, how many there are that the caller may move.", content_type = "application/json"),
        (status = CREATED, description = "The move, open.", content_type = "application/json"),
    ),
)]
async fn ask(State(app): State<App>, caller: Caller, JsonBody(asked): JsonBody<Asked>) -> Result<Response, ApiError> {
    expect_mover(&caller, &asked.entity)?;
    check_target(&app, &caller, &asked)?;
    let now_ms = app.clock().now_ms();
    let reader = Reader::new(app.catalogue(), caller.rights.clone(), now_ms);
    let head = app.live().head();
    let mut connection = app.db().readers().acquire().await?;
    let records = count(&reader, &asked, &mut connection).await.map_err(|error| refuse(error, caller.language))?;
    drop(connection);
    if asked.dry_run {
        return Ok(Json(json!({ "records": records })).into_response());
    }
    let job = MoveJob {
        id: app.entropy().uuid_v7(now_ms),
        state: "open".into(),
        entity: asked.entity,
        condition: asked.condition,
        set: asked.set,
        who: caller.author().user,
        asked_ms: now_ms,
        records,
        moved: 0,
        refused: 0,
        left: records,
        problem: None,
        asked_seq: head.cast_signed(),
        position: 0,
    };
    let mut tx = app.db().write().await?;
    job.insert(&mut tx).await?;
    tx.commit().await?;
    app.moves().wake();
    let location = format!("/api/v1/moves/{}", job.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(job)).into_response())
}

/// The caller's moves and how far they are, the latest first; for administrators everybody's, and what follows parents.
#[utoipa::path(
    get,
    path = "/api/v1/moves",
    tag = "moves",
    operation_id = "list_moves",
    responses((status = OK, description = "`moves`, and `following`: how many records wait to follow how many parents.", content_type = "application/json")),
)]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Listed>, ApiError> {
    let mut connection = app.db().readers().acquire().await?;
    let only = (!caller.is_admin()).then_some(caller.user.0);
    let moves = MoveJob::list(only, &mut connection).await?;
    let following = if caller.is_admin() {
        let links = json!(app.catalogue().parent_links()).to_string();
        let (parents, records): (i64, i64) =
            sqlx::query_as(include_str!("sql/count_following.sql")).bind(links).fetch_one(&mut *connection).await?;
        Some(FollowingLeft { parents, records })
    } else {
        None
    };
    Ok(Json(Listed { moves, following }))
}

/// A move: how far it is.
#[utoipa::path(
    get,
    path = "/api/v1/moves/{id}",
    tag = "moves",
    operation_id = "read_move",
    params(("id" = String, Path, description = "The move.")),
    responses((status = OK, description = "The move.", content_type = "application/json")),
)]
async fn show(State(app): State<App>, caller: Caller, Path(id): Path<Uuid>) -> Result<Json<MoveJob>, ApiError> {
    let mut connection = app.db().readers().acquire().await?;
    let job = MoveJob::load(id, &mut connection).await?;
    let job = job.filter(|job| caller.is_admin() || job.who == Some(caller.user));
    job.map(Json).ok_or_else(|| ApiError::new(NOT_FOUND).detail(format!("There is no move {id} of yours.")))
}

async fn count(reader: &Reader, asked: &Asked, connection: &mut SqliteConnection) -> Result<i64, ReadError> {
    let condition = reader.writable(&asked.entity, &asked.condition)?;
    let sql = format!("SELECT count(*) FROM record r WHERE {condition}");
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false).fetch_one(connection).await?)
}

/// Who changes only what is her own gives it away record by record.
fn expect_mover(caller: &Caller, entity: &str) -> Result<(), ApiError> {
    let Some(permission) = caller.rights.permission(entity).filter(|permission| permission.read > Level::None) else {
        return Err(refuse(ReadError::UnknownEntity { entity: entity.to_owned() }, caller.language));
    };
    if permission.update >= Level::Team {
        return Ok(());
    }
    Err(ApiError::new(NOT_PERMITTED).detail(format!(
        "Moving many records of `{entity}` takes the right to change a team's; ask a manager or an administrator."
    )))
}

fn check_target(app: &App, caller: &Caller, asked: &Asked) -> Result<(), ApiError> {
    let directory = app.directory();
    let seen = caller.rights.view.model.entity(&asked.entity);
    let is_there = |name: &str, value: &Value| match value {
        Value::Null => true,
        value => {
            let id = value.as_str().and_then(|id| Uuid::parse_str(id).ok());
            id.is_some_and(|id| match name {
                "owner" => directory.user(id).is_some(),
                "team" => directory.has_team(id),
                _ => directory.has_territory(id),
            })
        }
    };
    let mut problems: Vec<FieldProblem> = Vec::new();
    let mut problem = |field: &str, code: &str, message: String| {
        problems.push(FieldProblem { field: field.to_owned(), code: code.to_owned(), message });
    };
    if asked.set.is_empty() {
        problem("set", "required", "Say where to: `owner`, `team` or `territory`.".into());
    }
    if asked.condition.trim().is_empty() {
        problem("where", "required", "Say which records; `true` is all of them.".into());
    }
    for (name, value) in &asked.set {
        let path = format!("set.{name}");
        if !PLACES.contains(&name.as_str()) || seen.is_none_or(|entity| entity.field(name).is_none()) {
            problem(
                &path,
                "unknown-field",
                "A move sets only the `owner`, `team` or `territory` that the entity has.".into(),
            );
        } else if !is_there(name, value) {
            problem(&path, "not-found", format!("There is no such {}.", if name == "owner" { "user" } else { name }));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(ApiError::new(INVALID).detail("Nothing is moved. Correct what is named and ask again.").fields(problems))
}
