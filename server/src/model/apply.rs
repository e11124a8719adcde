//! Laying an overlay over the model while the server runs.

use std::fmt::Write as _;

use crm::model::{Model, ModelProblem, ModelProblems};
use serde::Serialize;
use sqlx::SqliteConnection;

use super::additive;
use super::step::{self, Step};
use crate::app::App;
use crate::record::catalogue::Catalogue;
use crate::record::refill::Collision;
use crate::record::write::WriteError;
use crate::tenant;

/// Values that are named where an overlay wants each record to have its own; further ones are counted.
const SHARED_VALUES_NAMED: usize = 20;
/// Records that are named for each of them.
const RECORDS_NAMED: usize = 5;

/// An overlay that was applied, or that could be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its name.
    pub name: String,
    /// Hash of the whole model with it.
    pub model: String,
    /// Whether the model is another one than before.
    pub changed: bool,
    /// Views and indexes that were made or dropped.
    pub views: Vec<String>,
}

/// Why the model stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The overlay does not go with the model below it, or takes something away.
    #[error("the overlay is not in order")]
    Refused(#[source] ModelProblems),
    /// The server does not write at the moment.
    #[error("could not stop the writer for a change of the model")]
    Writer(#[from] WriteError),
    /// The model is in force, but a role that it names has no record yet.
    #[error("the model is in force, but a record of one of its roles could not be made")]
    Roles(#[source] anyhow::Error),
    /// The database refused.
    #[error("could not store the overlay")]
    Database(#[from] sqlx::Error),
}

/// Applies an overlay: all of it, at once and for everybody, or nothing. One of the same name is replaced where it
/// stands; a new one is laid on top. A field that becomes unique or searched is so for the records that are there too.
///
/// With `only_check`, says what would come of it and changes nothing.
///
/// # Errors
/// [`ApplyError::Refused`] lists everything that is wrong with the overlay.
pub async fn apply(app: &App, name: &str, yaml: &str, only_check: bool) -> Result<Applied, ApplyError> {
    // No record is decided under the old model once the new one is in the database.
    let pause = app.writer().pause().await?;
    let Catalogue { model: before, entitlements, .. } = &*app.catalogue();
    let mut transaction = app.db().write().await?;
    put_layer(&mut transaction, name, yaml, app.clock().now_ms()).await?;
    let model = Model::build(&tenant::layers(&mut transaction).await?).map_err(ApplyError::Refused)?;
    let problems = additive::losses(before, &model, name);
    if !problems.is_empty() {
        return Err(ApplyError::Refused(ModelProblems { problems }));
    }
    let changed = model.hash != before.hash;
    let hash = model.hash.clone();
    let Step { snapshot, views, collisions } =
        step::take(before, model, entitlements.clone(), app.clock().now_ms(), &mut transaction).await?;
    if !collisions.is_empty() {
        return Err(ApplyError::Refused(ModelProblems { problems: shared_values(&collisions, name) }));
    }
    if only_check {
        transaction.rollback().await?;
    } else {
        transaction.commit().await?;
        app.live().publish(snapshot, app.live().head(), []);
        app.sync_rules().wake();
        tracing::info!(model.hash = hash, overlay.name = name, "the model is in force");
    }
    drop(pause);
    if !only_check {
        tenant::make_roles(app).await.map_err(ApplyError::Roles)?;
    }
    let views = views.made.into_iter().chain(views.dropped).collect();
    Ok(Applied { name: name.to_owned(), model: hash, changed, views })
}

/// The first values that several records have where each is to have its own.
fn shared_values(collisions: &[Collision], name: &str) -> Vec<ModelProblem> {
    let mut problems: Vec<ModelProblem> = Vec::new();
    for Collision { entity, field, value, records } in collisions.iter().take(SHARED_VALUES_NAMED) {
        let more = records.len().saturating_sub(RECORDS_NAMED);
        let mut holders = records[..records.len() - more].join(", ");
        if more > 0 {
            write!(holders, " and {more} more").expect("writing into a string does not fail");
        }
        problems.push(ModelProblem {
            file: name.to_owned(),
            path: format!("{entity}.{field}"),
            what: format!("{} records have the value “{value}”: {holders}", records.len()),
            advice: "give each a value of its own or delete what is there twice, then apply the overlay again"
                .to_owned(),
        });
    }
    let more = collisions.len().saturating_sub(SHARED_VALUES_NAMED);
    if let (Some(last), true) = (problems.last_mut(), more > 0) {
        write!(last.what, "; {more} more values are shared").expect("writing into a string does not fail");
    }
    problems
}

async fn put_layer(connection: &mut SqliteConnection, name: &str, yaml: &str, now_ms: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO model_layer (position, name, yaml, applied_ms)
         VALUES ((SELECT coalesce(max(position), 0) + 1 FROM model_layer), $1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET yaml = excluded.yaml, applied_ms = excluded.applied_ms",
    )
    .bind(name)
    .bind(yaml)
    .bind(now_ms)
    .execute(connection)
    .await?;
    Ok(())
}
