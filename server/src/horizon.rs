//! The horizon: how far back the server tells what left. What is older is forgotten online, in small steps between the
//! writer's commits; a device that was away for longer compares digests instead.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Sqlite;
use sqlx::Transaction;
use tokio::sync::watch;

use crate::platform::clock::Clock;
use crate::platform::db::Db;
use crate::platform::telemetry::metrics::Metrics;
use crate::record::write::Commit;
use crate::snapshot::Chunks;

/// Rows that one transaction forgets: the writer waits for it as for any commit.
const ROWS_PER_STEP: i64 = 500;

/// How often the sequence is noted with the time, and what is old enough forgotten.
const EVERY: Duration = Duration::from_hours(1);

/// Statements that forget what is up to the horizon `$1`, at most `$2` rows each.
const FORGET: [(&str, &str); 2] = [
    (
        "tombstones",
        "DELETE FROM tombstone WHERE seq IN (SELECT seq FROM tombstone WHERE seq <= $1 ORDER BY seq LIMIT $2)",
    ),
    (
        "exits",
        "DELETE FROM scope_entry WHERE (scope, seq) IN
             (SELECT scope, seq FROM scope_entry WHERE state <> 0 AND seq <= $1 ORDER BY seq LIMIT $2)",
    ),
];

/// Keeps the horizon `age` behind the time until the writer ends.
pub(crate) async fn keep(
    db: Db,
    clock: Arc<dyn Clock>,
    age: Duration,
    chunks: Arc<Chunks>,
    metrics: Metrics,
    mut commits: watch::Receiver<Commit>,
) {
    loop {
        if let Err(error) = pass(&db, clock.now_ms(), age, &chunks, &metrics).await {
            tracing::warn!(%error, "could not forget what is older than the horizon; the next hour tries again");
        }
        let ended = async { while commits.changed().await.is_ok() {} };
        if tokio::time::timeout(EVERY, ended).await.is_ok() {
            return;
        }
    }
}

/// Notes the time of the last sequence, moves the horizon up to what was there `age` ago, and forgets what it passed.
///
/// # Errors
/// When the database does not answer; what was forgotten until then stays so.
pub async fn pass(db: &Db, now_ms: i64, age: Duration, chunks: &Chunks, metrics: &Metrics) -> Result<(), sqlx::Error> {
    let since_ms = now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    let mut tx = db.write().await?;
    let horizon = advance(&mut tx, now_ms, since_ms).await?;
    // Before anything is forgotten: a page that is cut meanwhile must not take what is left for all there was.
    tx.commit().await?;
    chunks.pass_horizon(horizon.cast_unsigned());
    for (what, statement) in FORGET {
        loop {
            let mut tx = db.write().await?;
            let forgotten =
                sqlx::query(statement).bind(horizon).bind(ROWS_PER_STEP).execute(&mut *tx).await?.rows_affected();
            tx.commit().await?;
            metrics.forgotten(what, forgotten);
            if forgotten < ROWS_PER_STEP.unsigned_abs() {
                break;
            }
        }
    }
    Ok(())
}

async fn advance(tx: &mut Transaction<'_, Sqlite>, now_ms: i64, since_ms: i64) -> Result<i64, sqlx::Error> {
    sqlx::query(
        "INSERT INTO sequence_time (at_ms, seq) SELECT $1, head FROM tenant
         WHERE NOT EXISTS (SELECT 1 FROM sequence_time WHERE seq = tenant.head)
         ON CONFLICT (at_ms) DO NOTHING",
    )
    .bind(now_ms)
    .execute(&mut **tx)
    .await?;
    let horizon: i64 = sqlx::query_scalar(
        "UPDATE tenant SET horizon = max(horizon, coalesce((SELECT max(seq) FROM sequence_time WHERE at_ms <= $1), 0))
         RETURNING horizon",
    )
    .bind(since_ms)
    .fetch_one(&mut **tx)
    .await?;
    sqlx::query("DELETE FROM sequence_time WHERE at_ms <= $1 AND seq < $2")
        .bind(since_ms)
        .bind(horizon)
        .execute(&mut **tx)
        .await?;
    Ok(horizon)
}
