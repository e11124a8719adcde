//! The digest of each scope, as the database keeps it.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use serde_json::json;
use sqlx::types::Json;
use sqlx::{Sqlite, SqliteConnection, Transaction};
use sync_protocol::digest::{Hash, SetDigest, leaf};
use sync_protocol::id::{RecordId, ScopeId};

use super::pull::sql;
use super::row::{COLUMNS, Row};
use crate::live::Snapshot;
use crate::scope::ScopeKey;

/// Of the held scopes that have records. A page that is not the last one of its run has no use for them.
pub(super) async fn read(
    tx: &mut Transaction<'_, Sqlite>,
    held: &[ScopeId],
) -> Result<Vec<(ScopeId, SetDigest)>, sqlx::Error> {
    // The hash as a signed number of the same bits.
    let Json(rows): Json<Vec<(ScopeId, i64, i64)>> = sqlx::query_scalar(
        "SELECT json_group_array(json_array(scope, records, hash)) FROM scope_digest
         WHERE scope IN (SELECT value FROM json_each($1)) AND records > 0",
    )
    .bind(Json(held))
    .fetch_one(&mut **tx)
    .await?;
    let digest =
        |records: i64, hash: i64| SetDigest { count: records.cast_unsigned(), hash: Hash(hash.cast_unsigned()) };
    Ok(rows.into_iter().map(|(scope, records, hash)| (scope, digest(records, hash))).collect())
}

/// Counts every scope from the records, in a database that has records and no digests: an older release wrote it.
///
/// # Errors
/// When the database does not answer.
pub async fn recount_where_missing(snapshot: &Snapshot, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let is_missing: bool =
        sqlx::query_scalar("SELECT NOT EXISTS (SELECT 1 FROM scope_digest) AND EXISTS (SELECT 1 FROM record)")
            .fetch_one(&mut *connection)
            .await?;
    if !is_missing {
        return Ok(());
    }
    let mut digests: BTreeMap<ScopeId, SetDigest> = BTreeMap::new();
    let mut rows = sqlx::query_as::<_, Row>(sql(format!("SELECT {COLUMNS} FROM record AS r"))).fetch(&mut *connection);
    while let Some(Row { id, entity, seq, place, is_carried, .. }) = rows.try_next().await? {
        let leaf = leaf(RecordId(id), seq);
        let keys = std::iter::once(ScopeKey::all(entity)).chain(snapshot.scopes.keys_of(entity, &place, is_carried));
        for scope in keys.filter_map(|key| snapshot.scopes.id(&key)) {
            digests.entry(scope).or_default().add(leaf);
        }
    }
    drop(rows);
    let rows: Vec<_> = digests
        .into_iter()
        .map(|(scope, digest)| json!([scope, digest.count.cast_signed(), digest.hash.0.cast_signed()]))
        .collect();
    sqlx::query(include_str!("../record/write/sql/put_scope_digests.sql"))
        .bind(json!(rows).to_string())
        .execute(connection)
        .await?;
    Ok(())
}
