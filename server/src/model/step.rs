//! From one model to the next: all that follows from it, in the caller's transaction.

use std::sync::Arc;

use crm::model::Model;
use sqlx::SqliteConnection;
use sqlx::types::Json;

use crate::entitlement::Entitlements;
use crate::live::Snapshot;
use crate::record::refill::{Collision, refill};
use crate::record::schema::{self, Changed};
use crate::record::write::evolve::evolve;

/// What a step came to.
#[derive(Debug)]
pub struct Step {
    /// The new model, and what goes with it.
    pub snapshot: Snapshot,
    /// Views and indexes that were made or dropped.
    pub views: Changed,
    /// Values that several records have where each is to have its own: then the caller rolls back.
    pub collisions: Vec<Collision>,
}

/// Puts `after` in the place of `before`: what records hold is called as it calls it, views, indexes, unique values and
/// search are as it wants them.
///
/// # Errors
/// When the database refuses.
pub async fn take(
    before: &Model,
    after: Model,
    entitlements: Arc<Entitlements>,
    now_ms: i64,
    connection: &mut SqliteConnection,
) -> Result<Step, sqlx::Error> {
    evolve(before, &after, now_ms, connection).await?;
    let snapshot = Snapshot::load(Arc::new(after), entitlements, &mut *connection).await?;
    let views = schema::apply(&snapshot.catalogue, &mut *connection).await?;
    let collisions = refill(before, &snapshot.catalogue, &mut *connection).await?;
    note(&snapshot, now_ms, connection).await?;
    Ok(Step { snapshot, views, collisions })
}

/// Takes the model of the release and the overlays at the start: as a step, where it is another than the records are
/// stored under.
///
/// # Errors
/// When the database refuses, or records collide under the new release's model.
pub async fn start(
    model: Model,
    entitlements: Arc<Entitlements>,
    now_ms: i64,
    connection: &mut SqliteConnection,
) -> anyhow::Result<Snapshot> {
    let known: Option<(String, String)> =
        sqlx::query_as("SELECT hash, json FROM model_in_force").fetch_optional(&mut *connection).await?;
    match known {
        Some((hash, json)) if hash != model.hash => {
            let before = Model::from_json(&json)?;
            let step = take(&before, model, entitlements, now_ms, connection).await?;
            if let Some(Collision { entity, field, value, records }) = step.collisions.first() {
                anyhow::bail!(
                    "in this release no two records may have the same {entity}.{field}, and {} have “{value}”: {}; \
                     start the former release and change all but one",
                    records.len(),
                    records.join(", ")
                );
            }
            Ok(step.snapshot)
        }
        known => {
            let snapshot = Snapshot::load(Arc::new(model), entitlements, &mut *connection).await?;
            schema::apply(&snapshot.catalogue, &mut *connection).await?;
            if known.is_none() {
                note(&snapshot, now_ms, connection).await?;
            }
            Ok(snapshot)
        }
    }
}

/// Remembers the model, and what each of its roles does not see.
async fn note(snapshot: &Snapshot, now_ms: i64, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let model = &snapshot.catalogue.model;
    sqlx::query(
        "INSERT INTO model_in_force (only_row, hash, json, since_ms) VALUES (1, $1, $2, $3)
         ON CONFLICT (only_row) DO UPDATE SET hash = excluded.hash, json = excluded.json, since_ms = excluded.since_ms",
    )
    .bind(&model.hash)
    .bind(model.to_json())
    .bind(now_ms)
    .execute(&mut *connection)
    .await?;
    for role in model.roles() {
        let view = snapshot.catalogue.role_view(role);
        sqlx::query("INSERT INTO hidden_view (view, hidden) VALUES ($1, $2) ON CONFLICT (view) DO NOTHING")
            .bind(view.hidden)
            .bind(Json(view.hidden_fields()))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
