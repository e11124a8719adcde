//! One moment of the database, as a page or a comparison sees it.

use sqlx::{Sqlite, Transaction};
use sync_protocol::cursor::Cursor;
use sync_protocol::id::{MutationId, ScopeId, Sequence};
use sync_protocol::wire::MendReason;

/// What one statement reads at the begin of a read.
#[derive(Debug)]
pub(super) struct Point {
    /// The tenant's last sequence.
    pub(super) head: Sequence,
    /// Everything up to here is in a backup; 0: nobody said so.
    pub(super) safe: Sequence,
    /// The device's mutation that is decided next.
    pub(super) expected: MutationId,
    horizon: Sequence,
}

impl Point {
    pub(super) async fn read(tx: &mut Transaction<'_, Sqlite>, device: i64) -> Result<Self, sqlx::Error> {
        let (head, horizon, safe, last): (i64, i64, i64, i64) = sqlx::query_as(
            "SELECT head, horizon, safe, coalesce((SELECT last_mutation FROM device WHERE num = $1), 0) FROM tenant",
        )
        .bind(device)
        .fetch_one(&mut **tx)
        .await?;
        Ok(Self {
            head: head.cast_unsigned(),
            safe: safe.cast_unsigned(),
            expected: last.cast_unsigned() + 1,
            horizon: horizon.cast_unsigned(),
        })
    }

    /// Why there are no news from this cursor, where there are none; `held` are the scopes that the device is to have,
    /// sorted.
    pub(super) fn why_mend(&self, cursor: &Cursor, epoch: u64, held: &[ScopeId]) -> Option<MendReason> {
        if cursor.epoch != epoch {
            return Some(MendReason::Epoch);
        }
        (begin_of_news(cursor, held) < self.horizon).then_some(MendReason::Horizon)
    }
}

/// From where on news are told. What came to stand in a scope that is lost now was to be told since the last consistent point,
/// and what it left then was passed over: they begin again there.
pub(super) fn begin_of_news(cursor: &Cursor, held: &[ScopeId]) -> Sequence {
    let loses = cursor.scopes.iter().any(|scope| held.binary_search(scope).is_err());
    if loses && cursor.from > 0 { cursor.from } else { cursor.seq }
}
