//! One moment of the database, as a page or a comparison sees it.

use sqlx::types::Json;
use sqlx::{Sqlite, Transaction};
use sync_protocol::cursor::Cursor;
use sync_protocol::digest::{Hash, SetDigest, combine};
use sync_protocol::id::{MutationId, ScopeId, Sequence};
use sync_protocol::wire::MendReason;

use super::scope_digest::{self, DigestRow};

/// What one statement reads at the begin of a read.
#[derive(Debug)]
pub(super) struct Point {
    /// The tenant's last sequence.
    pub(super) head: Sequence,
    /// Everything up to here is in a backup; 0: nobody said so.
    pub(super) safe: Sequence,
    /// The device's mutation that is decided next.
    pub(super) expected: MutationId,
    /// Of the held scopes that have records.
    pub(super) digests: Vec<(ScopeId, SetDigest)>,
    horizon: Sequence,
}

impl Point {
    pub(super) async fn read(
        tx: &mut Transaction<'_, Sqlite>,
        held: &[ScopeId],
        device: i64,
    ) -> Result<Self, sqlx::Error> {
        let (head, horizon, safe, last, digests): (i64, i64, i64, i64, Json<Vec<DigestRow>>) = sqlx::query_as(
            "SELECT head, horizon, safe,
                    coalesce((SELECT last_mutation FROM device WHERE num = $2), 0),
                    (SELECT json_group_array(json_array(scope, records, hash)) FROM scope_digest
                     WHERE scope IN (SELECT value FROM json_each($1)) AND records > 0)
             FROM tenant",
        )
        .bind(Json(held))
        .bind(device)
        .fetch_one(&mut **tx)
        .await?;
        Ok(Self {
            head: head.cast_unsigned(),
            safe: safe.cast_unsigned(),
            expected: last.cast_unsigned() + 1,
            digests: digests.0.into_iter().map(scope_digest::read).collect(),
            horizon: horizon.cast_unsigned(),
        })
    }

    /// Of everything in the held scopes.
    pub(super) fn combined(&self) -> Hash {
        combine(self.digests.iter().copied())
    }

    /// Why there are no news from this cursor, where there are none.
    pub(super) fn why_mend(&self, cursor: &Cursor, epoch: u64) -> Option<MendReason> {
        if cursor.epoch != epoch {
            return Some(MendReason::Epoch);
        }
        (cursor.seq < self.horizon).then_some(MendReason::Horizon)
    }
}
