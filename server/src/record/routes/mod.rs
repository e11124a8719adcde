//! Records over HTTP: `/api/v1/{entity}` and what lies below it. `docs/rest.md` is the guide.

mod read;
mod refusal;
mod write;

use axum::Router;
use axum::http::HeaderValue;
use axum::routing::get;
use sync_protocol::id::Sequence;

pub(crate) use refusal::{refuse, unwritten};

use crate::app::App;
use crate::platform::auth::Caller;
use crate::record::read::Reader;

/// The routes of records.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/search", get(read::search))
        .route("/api/v1/{entity}", get(read::list).post(write::create))
        .route("/api/v1/{entity}/summary", get(read::summary))
        .route("/api/v1/{entity}/{id}", get(read::get).patch(write::change).delete(write::delete))
        .route("/api/v1/{entity}/{id}/history", get(read::history))
}

/// How the fixed ones among them are described; those of entities follow from the model.
#[derive(utoipa::OpenApi)]
#[openapi(paths(read::search))]
pub struct Described;

fn reader(app: &App, caller: &Caller) -> Reader {
    Reader::new(app.live().snapshot().catalogue, caller.rights.clone(), app.clock().now_ms())
}

/// A record's sequence as its entity tag.
fn etag(seq: Sequence) -> HeaderValue {
    HeaderValue::try_from(format!("\"{seq}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

#[cfg(test)]
mod tests;
