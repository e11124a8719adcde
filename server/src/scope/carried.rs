//! The scope of what devices carry, made when an entity gets a sync rule for the first time.

use futures_util::TryStreamExt as _;
use serde_json::json;
use sqlx::SqliteConnection;
use sync_protocol::digest::{SetDigest, leaf};
use sync_protocol::id::{RecordId, ScopeId};
use uuid::Uuid;

use crate::record::catalogue::{Catalogue, EntityCode};

/// Makes the scope of each entity that has a rule and no such scope. Until then devices carry all of its records: all of
/// them stand in it, and leave it as the rule is settled. It stays when the rule goes, for a cursor may know it.
pub(super) async fn open_where_ruled(
    catalogue: &Catalogue,
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    for entity in catalogue.model.entities.values().filter(|entity| entity.sync.condition.is_some()) {
        let Some((_, code)) = catalogue.entity(&entity.name) else { continue };
        let scope: Option<ScopeId> = sqlx::query_scalar(
            "INSERT INTO scope (kind, entity, holder) VALUES ('carried', $1, $2)
             ON CONFLICT (kind, entity, holder) DO NOTHING RETURNING id",
        )
        .bind(code)
        .bind(Uuid::nil())
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(scope) = scope {
            fill(scope, code, connection).await?;
        }
    }
    Ok(())
}

async fn fill(scope: ScopeId, entity: EntityCode, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO scope_entry (scope, seq, record, entered, state)
         SELECT $1, seq, id, seq, 0 FROM record WHERE entity = $2 AND carried = 1",
    )
    .bind(scope)
    .bind(entity)
    .execute(&mut *connection)
    .await?;
    let mut digest = SetDigest::default();
    let mut rows = sqlx::query_as::<_, (Uuid, i64)>("SELECT record, seq FROM scope_entry WHERE scope = $1")
        .bind(scope)
        .fetch(&mut *connection);
    while let Some((id, seq)) = rows.try_next().await? {
        digest.add(leaf(RecordId(id), seq.cast_unsigned()));
    }
    drop(rows);
    let row = json!([[scope, digest.count.cast_signed(), digest.hash.0.cast_signed()]]);
    sqlx::query(include_str!("../record/write/sql/put_scope_digests.sql"))
        .bind(row.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
