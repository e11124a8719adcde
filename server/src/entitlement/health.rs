//! How the server is, for whoever runs many of them: they decide by it whether to go on with a roll-out.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use uuid::Uuid;

use super::{Power, token};
use crate::app::App;
use crate::platform::auth::bearer;
use crate::platform::config;
use crate::platform::http::ApiError;
use crate::platform::http::problem::UNAUTHENTICATED;
use crate::user::rights::OPERATOR_ROLE;

/// No route of the main address, and so in no description of it.
const HEALTH: &str = "/internal/health";

/// The route, where there are tokens by which to know who may ask.
pub fn routes(operator: &config::Operator) -> Router<App> {
    match operator.token_dir {
        Some(_) => Router::new().route(HEALTH, get(health)),
        None => Router::new(),
    }
}

/// How the server is.
#[derive(Debug, Serialize)]
struct Health {
    version: &'static str,
    /// The number of the database's last migration.
    schema_version: i64,
    /// The size of the database and its write-ahead log.
    database_bytes: u64,
    power: Power,
    /// Of the entitlements that are obeyed; `null`: none are.
    entitlements_sha256: Option<String>,
    /// An administrator can sign in with a password that nobody gave her.
    has_administrator: bool,
    /// Answered since the start, probes aside.
    requests: u64,
    /// Of those, how many failed (5xx); who was told that no changes are taken is not among them.
    errors: u64,
    /// 95 of 100 answers of the last minutes took no longer, imports, exports and live connections aside; `null`: there were
    /// none.
    p95_ms: Option<u64>,
}

async fn health(State(app): State<App>, headers: HeaderMap) -> Result<Json<Health>, ApiError> {
    expect_token(&app, &headers)?;
    let mut connection = app.db().readers().acquire().await?;
    let schema_version = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(&mut *connection)
        .await?;
    let with_own_password: Vec<Uuid> =
        sqlx::query_scalar("SELECT user FROM credential WHERE is_given = 0").fetch_all(&mut *connection).await?;
    let directory = app.directory();
    let is_administrator = |user: Uuid| {
        directory.may_sign_in(user) && directory.viewer(user).is_some_and(|viewer| viewer.role == OPERATOR_ROLE)
    };
    let entitlements = app.entitlements();
    let (requests, errors) = app.metrics().answered();
    Ok(Json(Health {
        version: env!("CARGO_PKG_VERSION"),
        schema_version,
        database_bytes: app.db().size_bytes(),
        power: entitlements.power,
        entitlements_sha256: entitlements.sha256.clone(),
        has_administrator: with_own_password.into_iter().any(is_administrator),
        requests,
        errors,
        p95_ms: app.metrics().p95().and_then(|p95| u64::try_from(p95.as_millis()).ok()),
    }))
}

fn expect_token(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    let sent = headers.get(header::AUTHORIZATION).and_then(bearer);
    let folder = app.config().operator.token_dir.as_deref();
    if sent.zip(folder).is_some_and(|(sent, folder)| token::is_accepted(folder, sent)) {
        return Ok(());
    }
    Err(ApiError::new(UNAUTHENTICATED)
        .detail("Send what is in `token` or `previous` of the folder `operator.token_dir`, as `Authorization: Bearer`.")
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"cartera\"")))
}
