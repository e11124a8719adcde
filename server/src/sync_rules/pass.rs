//! One pass over the records of an entity, as far as it has come.

use std::collections::HashMap;
use std::sync::Arc;

use crm::expr::{Dialect, Variables};
use crm::model::{Entity, Language};
use crm::rules::Gaps;
use sqlx::{AssertSqlSafe, SqliteConnection};
use sync_protocol::id::RecordId;
use uuid::Uuid;

use super::{Inner, SettleError};
use crate::record::catalogue::{Catalogue, EntityCode};
use crate::record::write::Author;
use crate::user::rights::Rights;

/// Where an entity's rule stands.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Settled {
    pub(super) entity: EntityCode,
    /// Under which rule; empty: none.
    pub(super) source: String,
    /// On which day the pass began.
    pub(super) day: i64,
    /// How far it is; `None`: done.
    pub(super) position: Option<i64>,
}

/// What there is about every rule that there is or was.
pub(super) async fn settled(connection: &mut SqliteConnection) -> Result<HashMap<EntityCode, Settled>, sqlx::Error> {
    let rows: Vec<Settled> =
        sqlx::query_as("SELECT entity, source, day, position FROM sync_rule").fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.entity, row)).collect())
}

/// Settles a batch of the first entity that needs it; nothing when none does. A rule that depends on the day is settled
/// where its last pass began before `due_day`.
pub(super) async fn step(inner: &Inner, due_day: i64) -> Result<Option<usize>, SettleError> {
    let catalogue = inner.live.snapshot().catalogue;
    let today = inner.calendar.day(inner.clock.now_ms());
    let mut connection = inner.db.readers().acquire().await?;
    let known = settled(&mut connection).await?;
    let passes = catalogue.model.entities.values().filter_map(|entity| {
        let (_, code) = catalogue.entity(&entity.name)?;
        Some((entity, due(entity, code, known.get(&code), today, due_day)?))
    });
    let Some((entity, mut pass)) = passes.into_iter().next() else { return Ok(None) };

    let differs = differs(entity, today)?;
    let rows: Vec<(i64, Uuid)> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT r.num, r.id FROM record AS r WHERE r.entity = $1 AND r.num > $2 AND {differs} ORDER BY r.num LIMIT $3"
    )))
    .persistent(false)
    .bind(pass.entity)
    .bind(pass.position.unwrap_or(0))
    .bind(i64::try_from(inner.batch).unwrap_or(i64::MAX))
    .fetch_all(&mut *connection)
    .await?;
    drop(connection);
    pass.position = rows.last().map(|(num, _)| *num).filter(|_| rows.len() >= inner.batch);
    if rows.is_empty() {
        let mut tx = inner.db.write().await?;
        store(pass, &mut tx).await?;
        tx.commit().await?;
        return Ok(Some(0));
    }
    let mut bulk = inner.writer.bulk(operator(&catalogue), Gaps::Keep).await?;
    let settled = bulk.settle(rows.into_iter().map(|(_, id)| RecordId(id)).collect()).await?;
    bulk.run(move |connection| Box::pin(async move { store(pass, connection).await })).await?;
    bulk.commit().await?;
    Ok(Some(settled))
}

/// The pass that an entity needs, begun or to be begun.
fn due(entity: &Entity, code: EntityCode, known: Option<&Settled>, today: i64, due_day: i64) -> Option<Settled> {
    let rule = entity.sync.condition.as_ref();
    let source = rule.map_or("", |rule| rule.source());
    let begun = || Settled { entity: code, source: source.to_owned(), day: today, position: Some(0) };
    match known {
        None => rule.map(|_| begun()),
        Some(known) if known.source != source => Some(begun()),
        Some(known) if known.position.is_some() => Some(known.clone()),
        Some(known) => (known.day < due_day && rule.is_some_and(|rule| rule.names("today"))).then(begun),
    }
}

/// SQL that is true for the records that devices carry and should not, or should and do not.
pub(super) fn differs(entity: &Entity, today: i64) -> Result<String, crm::expr::ExprError> {
    let Some(rule) = &entity.sync.condition else { return Ok("r.carried = 0".into()) };
    let variables = Variables { today, ..Variables::default() };
    let holds = rule.to_sql(entity, Dialect::Sqlite, "r.body", &variables)?;
    Ok(format!("r.carried <> CASE WHEN {holds} THEN 1 ELSE 0 END"))
}

fn operator(catalogue: &Catalogue) -> Author {
    Author { user: None, device: 0, rights: Arc::new(Rights::of_operator(catalogue)), language: Language::En }
}

async fn store(pass: Settled, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO sync_rule (entity, source, day, position) VALUES ($1, $2, $3, $4)
         ON CONFLICT (entity) DO UPDATE SET
             source = excluded.source, day = excluded.day, position = excluded.position",
    )
    .bind(pass.entity)
    .bind(pass.source)
    .bind(pass.day)
    .bind(pass.position)
    .execute(connection)
    .await?;
    Ok(())
}
