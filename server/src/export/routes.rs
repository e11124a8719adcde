//! Exports over HTTP.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use crm::model::{Entity, Language};
use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::cell::Cell;
use super::csv::Lines;
use super::rows::Rows;
use super::xlsx::Book;
use super::{ExportQuery, Format, archive};
use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::problem::NOT_PERMITTED;
use crate::platform::http::{ApiError, Path, Query};
use crate::record::read::ReadError;
use crate::record::routes::refuse;

const CSV: &str = "text/csv; charset=utf-8";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const ZIP: &str = "application/zip";

/// What is sent of a file at once.
const PIECE_BYTES: usize = 64 * 1024;

/// The routes of exports; they take as long as their records take.
pub fn routes() -> Router<App> {
    Router::new().route("/api/v1/{entity}/export", get(export)).route("/api/v1/exports/all", get(export_all))
}

/// How the fixed one is described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(export_all))]
pub struct Described;

/// `GET /api/v1/{entity}/export`: described with the other routes of each entity.
async fn export(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, ApiError> {
    let refused = |error| refuse(error, caller.language);
    let Some(entity) = caller.rights.view.model.entity(&name) else {
        return Err(refused(ReadError::UnknownEntity { entity: name }));
    };
    expect_exporter(&caller, entity)?;
    let mut rows = Rows::open(&app, caller.rights.clone(), entity, &query, false).await.map_err(refused)?;
    // The first page is read before the answer begins: what the query gets wrong is a problem and no broken file.
    let first = rows.next().await.map_err(refused)?.unwrap_or_default();
    tracing::info!(entity.kind = %name, user.id = %caller.user, "an export begins");
    match query.format {
        Format::Csv => Ok(answer(&name, "csv", CSV, Body::from_stream(csv(rows, &first)?))),
        Format::Xlsx => {
            let title = query.language.map_or_else(|| name.clone(), |language| entity.labels.many(language).to_owned());
            let file = xlsx(&app, title, rows, first).await?;
            Ok(answer(&name, "xlsx", XLSX, pieces(file)))
        }
    }
}

/// Everything: records, model and overlays in one archive.
#[utoipa::path(
    get,
    path = "/api/v1/exports/all",
    tag = "exports",
    operation_id = "export_all",
    responses(
        (status = OK, description = "A ZIP archive with a `manifest.json`.", content_type = "application/zip"),
    ),
)]
async fn export_all(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    caller.expect_admin("export the whole tenant")?;
    tracing::info!(user.id = %caller.user, "an export of the whole tenant begins");
    let file = temporary(&app)?;
    let file = archive::write(app, caller.rights.clone(), file).await?;
    Ok(answer("cartera", "zip", ZIP, pieces(file)))
}

fn expect_exporter(caller: &Caller, entity: &Entity) -> Result<(), ApiError> {
    if caller.rights.permission(&entity.name).is_some_and(|permission| permission.export) {
        return Ok(());
    }
    let many = entity.labels.many(caller.language);
    Err(ApiError::new(NOT_PERMITTED).detail(match caller.language {
        Language::Es => {
            format!("Tu rol no permite exportar {many}; pide el fichero, o el permiso, a un administrador.")
        }
        Language::En => {
            format!("Your role may not export {many}; ask an administrator for the file, or for the right.")
        }
    }))
}

fn answer(name: &str, extension: &str, kind: &'static str, body: Body) -> Response {
    let disposition = format!("attachment; filename=\"{name}.{extension}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], body).into_response()
}

type Piece = Result<Bytes, anyhow::Error>;

/// The lines as they are read. A failure on the way breaks the answer off, so that nobody takes it for whole.
fn csv(
    mut rows: Rows,
    first: &[Vec<Cell>],
) -> Result<impl futures_util::Stream<Item = Piece> + Send + use<>, ApiError> {
    let lines = Lines::new(rows.style());
    let mut start = lines.head(rows.columns()).map_err(anyhow::Error::from)?;
    start.extend(lines.rows(first).map_err(anyhow::Error::from)?);
    let (sender, receiver) = mpsc::channel::<Piece>(1);
    tokio::spawn(async move {
        let mut piece: Piece = Ok(start.into());
        loop {
            let is_broken = piece.is_err();
            if sender.send(piece).await.is_err() || is_broken {
                break;
            }
            piece = match rows.next().await {
                Ok(Some(page)) => lines.rows(&page).map(Bytes::from).map_err(anyhow::Error::from),
                Ok(None) => break,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = &piece {
                tracing::error!(error = %error, "an export broke off");
            }
        }
    });
    // Fused: compression asks once more after the end.
    Ok(futures_util::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))).fuse())
}

async fn xlsx(app: &App, title: String, mut rows: Rows, first: Vec<Vec<Cell>>) -> Result<File, ApiError> {
    let file = temporary(app)?;
    let runtime = Handle::current();
    let written = tokio::task::spawn_blocking(move || -> anyhow::Result<File> {
        let mut book = Book::new(&title, rows.columns(), rows.style())?;
        let mut page = Some(first);
        while let Some(rows_of_page) = page {
            for row in &rows_of_page {
                book.row(row)?;
            }
            page = runtime.block_on(rows.next())?;
        }
        book.save(&file)?;
        let mut file = file;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    });
    Ok(written.await.map_err(anyhow::Error::from)??)
}

/// A file without a name, gone when nobody holds it any more.
fn temporary(app: &App) -> Result<File, ApiError> {
    Ok(tempfile::tempfile_in(&app.config().data_dir).map_err(anyhow::Error::from)?)
}

fn pieces(file: File) -> Body {
    let file = Arc::new(file);
    let pieces = futures_util::stream::unfold(Some(file), async |file| {
        let file = file?;
        let read = {
            let file = file.clone();
            tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; PIECE_BYTES];
                (&*file).read(&mut piece).map(|count| {
                    piece.truncate(count);
                    piece
                })
            })
        };
        match read.await.map_err(std::io::Error::other).flatten() {
            Ok(piece) if piece.is_empty() => None,
            Ok(piece) => Some((Ok(Bytes::from(piece)), Some(file))),
            Err(error) => Some((Err(error), None)),
        }
    });
    // Fused: compression asks once more after the end.
    Body::from_stream(pieces.fuse())
}
