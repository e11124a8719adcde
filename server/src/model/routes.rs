//! The model over HTTP.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use crm::model::{Language, Model};
use serde::{Deserialize, Serialize};
use sync_protocol::wire::FieldProblem;

use super::apply::{self, Applied, ApplyError};
use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::problem::{INVALID, NOT_FOUND};
use crate::platform::http::{ApiError, JsonBody, Kind, Path, Query};
use crate::record::routes::unwritten;

/// An overlay with mistakes in it.
pub const INVALID_MODEL: Kind =
    Kind::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-model", "The overlay does not go with the model.");

/// The most characters of an overlay's name.
const MAX_NAME: usize = 64;

/// The routes of the model.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/model", get(show))
        .route("/api/v1/model/layers", get(layers).post(add_layer))
        .route("/sync/v1/model/{hash}", get(by_hash))
}

/// How they are described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(show, layers, add_layer, by_hash))]
pub struct Described;

/// An overlay to be applied.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    /// Letters, digits, `-`, `_` and `.`: an overlay of the same name is replaced.
    name: String,
    /// The definitions.
    yaml: String,
}

/// How to apply it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerQuery {
    /// Only say what would come of it.
    #[serde(default)]
    check: bool,
}

/// The overlays of the tenant.
#[derive(Debug, Serialize)]
struct Layers {
    items: Vec<LayerInForce>,
}

/// One overlay.
#[derive(Debug, Serialize, sqlx::FromRow)]
struct LayerInForce {
    name: String,
    yaml: String,
    applied_ms: i64,
}

/// The model as the caller's role sees it.
#[utoipa::path(
    get,
    path = "/api/v1/model",
    tag = "model",
    responses(
        (status = OK, description = "Entities, fields, pipelines, rules and the role's permissions.", content_type = "application/json"),
    ),
)]
async fn show(caller: Caller, headers: HeaderMap) -> Response {
    let model = &caller.rights.view.model;
    let etag = format!("\"{}\"", model.hash);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    json(model, HeaderValue::from_static("private, no-cache"))
}

/// The model as the caller's role sees it, by the hash that an exchange named: it never changes.
#[utoipa::path(
    get,
    path = "/sync/v1/model/{hash}",
    tag = "sync",
    params(("hash" = String, Path, description = "The `model` of an exchange's answer.")),
    responses(
        (status = OK, description = "The model.", content_type = "application/json"),
    ),
)]
async fn by_hash(caller: Caller, Path(hash): Path<String>) -> Result<Response, ApiError> {
    let model = &caller.rights.view.model;
    if model.hash == hash {
        return Ok(json(model, HeaderValue::from_static("private, max-age=31536000, immutable")));
    }
    let detail = match caller.language {
        Language::Es => "Este modelo no es, o ya no es, el de tu rol. Sincroniza otra vez: la respuesta dice cuál es.",
        Language::En => {
            "This model is not, or no longer, that of your role. Sync again: the answer tells which one is."
        }
    };
    Err(ApiError::new(NOT_FOUND).detail(detail).fact("model", model.hash.clone()))
}

/// The overlays that lie over the core model, lowest first. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/model/layers",
    tag = "model",
    responses(
        (status = OK, description = "Name, text and time of each.", content_type = "application/json"),
    ),
)]
async fn layers(State(app): State<App>, caller: Caller) -> Result<Json<Layers>, ApiError> {
    caller.expect_admin("change the model")?;
    let items = sqlx::query_as("SELECT name, yaml, applied_ms FROM model_layer ORDER BY position")
        .fetch_all(app.db().readers())
        .await?;
    Ok(Json(Layers { items }))
}

/// Applies an overlay, at once and for everybody; with `check`, only says what would come of it. For administrators.
#[utoipa::path(
    post,
    path = "/api/v1/model/layers",
    tag = "model",
    params(("check" = Option<bool>, Query, description = "Change nothing.")),
    request_body(content_type = "application/json", description = "`name` and `yaml`."),
    responses(
        (status = OK, description = "In force, or in order.", content_type = "application/json"),
    ),
)]
async fn add_layer(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<LayerQuery>,
    JsonBody(layer): JsonBody<Layer>,
) -> Result<Json<Applied>, ApiError> {
    caller.expect_admin("change the model")?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if layer.name.is_empty() || layer.name.len() > MAX_NAME || !layer.name.chars().all(allowed) {
        let message = match caller.language {
            Language::Es => format!("de 1 a {MAX_NAME} letras sin acento, cifras, «-», «_» y «.»"),
            Language::En => format!("1 to {MAX_NAME} unaccented letters, digits, \"-\", \"_\" and \".\""),
        };
        return Err(ApiError::new(INVALID).detail(format!("name: {message}.")).fields([FieldProblem {
            field: "name".into(),
            code: "form".into(),
            message,
        }]));
    }
    apply::apply(&app, &layer.name, &layer.yaml, query.check)
        .await
        .map(Json)
        .map_err(|error| refuse(&app, error, &caller))
}

fn refuse(app: &App, error: ApplyError, caller: &Caller) -> ApiError {
    match error {
        ApplyError::Refused(problems) => {
            let detail = match caller.language {
                Language::Es => "El modelo sigue como estaba. Corrige lo que se indica y aplica la capa otra vez.",
                Language::En => "The model is as it was. Correct what is named and apply the overlay again.",
            };
            let fields = problems.problems.into_iter().map(|problem| FieldProblem {
                field: problem.path,
                code: "model".into(),
                message: format!("{}: {}; {}", problem.file, problem.what, problem.advice),
            });
            ApiError::new(INVALID_MODEL).detail(detail).fields(fields)
        }
        ApplyError::Writer(error) => unwritten(app, error),
        ApplyError::Roles(_) | ApplyError::Database(_) => ApiError::internal(error),
    }
}

fn json(model: &Model, cache: HeaderValue) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, cache),
        (
            header::ETAG,
            HeaderValue::try_from(format!("\"{}\"", model.hash)).unwrap_or(HeaderValue::from_static("\"\"")),
        ),
    ];
    (headers, model.to_json()).into_response()
}
