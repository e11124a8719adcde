//! Sync rules over HTTP: how far they are settled, and settling them now.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use crm::expr::date_text;
use serde::Serialize;
use sqlx::AssertSqlSafe;

use super::pass;
use crate::app::App;
use crate::platform::auth::Caller;
use crate::platform::http::ApiError;

/// The routes of this slice: settling takes as long as it takes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/v1/sync-rules", get(list)).route("/api/v1/sync-rules/settle", post(settle))
}

/// How they are described.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, settle))]
pub struct Described;

/// Every rule that there is, or was.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ListedRules {
    rules: Vec<ListedRule>,
}

/// One of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ListedRule {
    entity: String,
    /// Which records devices carry; absent: the rule is gone, and they carry all.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    /// The day for which it was last settled, or is being settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    /// Records that devices carry.
    carried: i64,
    /// Records that are still to come or go, as things are now.
    left: i64,
}

/// The model's sync rules and how far they are settled. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/sync-rules",
    tag = "sync-rules",
    operation_id = "list_sync_rules",
    responses((status = OK, description = "In the order of the model.", body = ListedRules)),
)]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<ListedRules>, ApiError> {
    caller.expect_admin("see what devices carry")?;
    listed(&app).await.map(Json)
}

/// Settles every sync rule for today and answers when that is done. For administrators; by itself it is done each night.
#[utoipa::path(
    post,
    path = "/api/v1/sync-rules/settle",
    tag = "sync-rules",
    operation_id = "settle_sync_rules",
    responses((status = OK, description = "The rules, settled.", body = ListedRules)),
)]
async fn settle(State(app): State<App>, caller: Caller) -> Result<Json<ListedRules>, ApiError> {
    caller.expect_admin("settle what devices carry")?;
    let settled = app.sync_rules().settle_all().await.map_err(ApiError::internal)?;
    tracing::info!(user.id = %caller.user, records = settled, "sync rules were settled");
    listed(&app).await.map(Json)
}

async fn listed(app: &App) -> Result<ListedRules, ApiError> {
    let catalogue = app.catalogue();
    let today = app.sync_rules().today();
    let mut connection = app.db().readers().acquire().await?;
    let settled = pass::settled(&mut connection).await?;
    let mut rules = Vec::new();
    for entity in catalogue.model.entities.values() {
        let Some((_, code)) = catalogue.entity(&entity.name) else { continue };
        let condition = entity.sync.condition.as_ref().map(|rule| rule.source().to_owned());
        let known = settled.get(&code);
        if condition.is_none() && known.is_none() {
            continue;
        }
        let differs = pass::differs(entity, today).map_err(ApiError::internal)?;
        let (carried, left): (i64, i64) = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT coalesce(sum(r.carried), 0), coalesce(sum({differs}), 0) FROM record AS r WHERE r.entity = $1"
        )))
        .persistent(false)
        .bind(code)
        .fetch_one(&mut *connection)
        .await?;
        let day = known.and_then(|known| date_text(known.day));
        rules.push(ListedRule { entity: entity.name.clone(), condition, day, carried, left });
    }
    Ok(ListedRules { rules })
}
