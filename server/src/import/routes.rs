//! Imports over HTTP: ask for one, send its file, watch it, take it back.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use crm::model::{Language, Level};
use serde::Serialize;
use sync_protocol::id::RecordId;
use uuid::Uuid;

use super::job::{ImportJob, ImportRequest, Meter, OpenImport, OpenImports, State as JobState};
use super::run::Run;
use super::upload::{self, Upload};
use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::problem::{CONFLICT, NOT_FOUND, NOT_PERMITTED, TOO_MANY_REQUESTS, UNSUPPORTED_ENCODING};
use crate::platform::http::{ApiError, JsonBody, Path};
use crate::record::read::ReadError;
use crate::record::routes::{refuse, unwritten};

/// The routes of imports; they take as long as their files take.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/imports", get(list).post(ask))
        .route("/api/v1/imports/{id}", get(show))
        .route("/api/v1/imports/{id}/file", put(send_file))
        .route("/api/v1/imports/{id}/undo", post(take_back))
        .layer(Extension(OpenImports::default()))
}

/// How they are described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(ask, send_file, show, list, take_back))]
pub struct Described;

/// Imports, the latest first.
#[derive(Debug, Serialize)]
struct Imports {
    imports: Vec<Listed>,
}

/// One of them, without its report.
#[derive(Debug, Serialize)]
struct Listed {
    id: Uuid,
    state: String,
    entity: String,
    file_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<RecordId>,
    created_ms: i64,
}

/// Asks for an import: entity, file name, columns and policies. Its file follows.
#[utoipa::path(
    post,
    path = "/api/v1/imports",
    tag = "imports",
    operation_id = "ask_for_import",
    request_body(content_type = "application/json", description = "What to import, and how."),
    responses((status = CREATED, description = "The import, waiting for its file.", content_type = "application/json")),
)]
async fn ask(
    State(app): State<App>,
    Extension(open): Extension<OpenImports>,
    caller: Caller,
    JsonBody(mut request): JsonBody<ImportRequest>,
) -> Result<Response, ApiError> {
    expect_importer(&caller, &request.entity)?;
    request.file_name = plain_name(&request.file_name);
    let now_ms = app.clock().now_ms();
    let job = ImportJob::new(app.entropy().uuid_v7(now_ms), &request, caller.author().user, now_ms);
    let import = OpenImport { job: job.clone(), request, meter: Arc::new(Meter::default()) };
    if !open.admit(import) {
        return Err(ApiError::new(TOO_MANY_REQUESTS)
            .detail("Too many imports are running; wait until one has ended.")
            .retry_after(app.entropy().spread(std::time::Duration::from_secs(10))));
    }
    let location = format!("/api/v1/imports/{}", job.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(job)).into_response())
}

/// Sends the file of an import, which then runs.
#[utoipa::path(
    put,
    path = "/api/v1/imports/{id}/file",
    tag = "imports",
    operation_id = "send_import_file",
    params(("id" = String, Path, description = "The import.")),
    request_body(content_type = "application/octet-stream", description = "CSV, XLSX or vCard."),
    responses((status = ACCEPTED, description = "The import, running.", content_type = "application/json")),
)]
async fn send_file(
    State(app): State<App>,
    Extension(open): Extension<OpenImports>,
    caller: Caller,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    find(&app, &open, &caller, id).await?;
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::new(UNSUPPORTED_ENCODING).detail("Send the file as it is, without Content-Encoding."));
    }
    let import = open.start(id).ok_or_else(|| {
        ApiError::new(CONFLICT).detail(match caller.language {
            Language::Es => "La importación ya tiene su fichero; para enviar otro, pide otra importación.",
            Language::En => "The import has its file already; ask for another import to send another file.",
        })
    })?;
    let Upload { file, report } = match upload::receive(&app, body).await {
        Ok(upload) => upload,
        Err(error) => {
            open.wait_again(id);
            return Err(error);
        }
    };
    let OpenImport { mut job, request, meter } = import;
    job.state = JobState::Running;
    let run = Run { app, author: caller.author(), request, file, file_report: report, meter };
    let answer = Json(job.clone());
    tokio::spawn(async move {
        if let Err(error) = run.to_end(job).await {
            tracing::error!(error = &error as &dyn std::error::Error, import.id = %id, "an import's end is not stored");
        }
        open.close(id);
    });
    Ok((StatusCode::ACCEPTED, answer).into_response())
}

/// An import: how far it is, or its report.
#[utoipa::path(
    get,
    path = "/api/v1/imports/{id}",
    tag = "imports",
    operation_id = "read_import",
    params(("id" = String, Path, description = "The import.")),
    responses((status = OK, description = "The import.", content_type = "application/json")),
)]
async fn show(
    State(app): State<App>,
    Extension(open): Extension<OpenImports>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<ImportJob>, ApiError> {
    Ok(Json(find(&app, &open, &caller, id).await?))
}

/// The caller's imports, the latest first; everybody's for administrators.
#[utoipa::path(
    get,
    path = "/api/v1/imports",
    tag = "imports",
    operation_id = "list_imports",
    responses((status = OK, description = "The imports, without their reports.", content_type = "application/json")),
)]
async fn list(
    State(app): State<App>,
    Extension(open): Extension<OpenImports>,
    caller: Caller,
) -> Result<Json<Imports>, ApiError> {
    let mut imports: Vec<Listed> = open
        .all()
        .into_iter()
        .filter(|job| may_see(&caller, job.who))
        .map(|job| Listed {
            id: job.id,
            state: job.state.name().to_owned(),
            entity: job.entity,
            file_name: job.file_name,
            who: job.who,
            created_ms: job.created_ms,
        })
        .collect();
    let only = (!caller.is_admin()).then_some(caller.user.0);
    let rows: Vec<(Uuid, String, String, String, Option<Uuid>, i64)> = sqlx::query_as(
        "SELECT id, state, entity, file_name, who, created_ms FROM import_job
         WHERE $1 IS NULL OR who = $1 ORDER BY created_ms DESC LIMIT 200",
    )
    .bind(only)
    .fetch_all(app.db().readers())
    .await?;
    imports.extend(rows.into_iter().map(|(id, state, entity, file_name, who, created_ms)| Listed {
        id,
        state,
        entity,
        file_name,
        who: who.map(RecordId),
        created_ms,
    }));
    Ok(Json(Imports { imports }))
}

/// Takes a whole import back.
#[utoipa::path(
    post,
    path = "/api/v1/imports/{id}/undo",
    tag = "imports",
    operation_id = "undo_import",
    params(("id" = String, Path, description = "The import.")),
    responses((status = OK, description = "The import, undone.", content_type = "application/json")),
)]
async fn take_back(State(app): State<App>, caller: Caller, Path(id): Path<Uuid>) -> Result<Json<ImportJob>, ApiError> {
    let mut connection = app.db().readers().acquire().await?;
    let found = ImportJob::load(id, &mut connection).await?;
    drop(connection);
    let (job, from, to) = found.filter(|(job, ..)| may_see(&caller, job.who)).ok_or_else(|| no_import(id))?;
    expect_importer(&caller, &job.entity)?;
    if job.state != JobState::Done {
        return Err(ApiError::new(CONFLICT)
            .detail(format!("Only an import that is done can be taken back; this one is {}.", job.state.name())));
    }
    let undone = super::undo::undo(&app, caller.author(), job, from, to).await;
    Ok(Json(undone.map_err(|error| unwritten(&app, error))?))
}

async fn find(app: &App, open: &OpenImports, caller: &Caller, id: Uuid) -> Result<ImportJob, ApiError> {
    let job = if let Some(import) = open.find(id) {
        Some(import.job)
    } else {
        let mut connection = app.db().readers().acquire().await?;
        ImportJob::load(id, &mut connection).await?.map(|(job, ..)| job)
    };
    job.filter(|job| may_see(caller, job.who)).ok_or_else(|| no_import(id))
}

fn no_import(id: Uuid) -> ApiError {
    ApiError::new(NOT_FOUND)
        .detail(format!("There is no import {id} of yours; one that the server did not survive left nothing."))
}

fn may_see(caller: &Caller, who: Option<RecordId>) -> bool {
    caller.is_admin() || who == Some(caller.user)
}

/// An import makes and changes any record of its entity: only who may do that may import.
fn expect_importer(caller: &Caller, entity: &str) -> Result<(), ApiError> {
    let Some(permission) = caller.rights.permission(entity).filter(|permission| permission.read > Level::None) else {
        return Err(refuse(ReadError::UnknownEntity { entity: entity.to_owned() }, caller.language));
    };
    if permission.create && permission.read == Level::All && permission.update == Level::All {
        return Ok(());
    }
    Err(ApiError::new(NOT_PERMITTED).detail(match caller.language {
        Language::Es => format!(
            "Para importar «{entity}» hay que poder leer, crear y cambiar todos sus registros; pídeselo a un administrador."
        ),
        Language::En => format!(
            "Importing `{entity}` takes the right to read, make and change all its records; ask an administrator to import it."
        ),
    }))
}

fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars().filter(|c| !c.is_control()).take(255).collect()
}
