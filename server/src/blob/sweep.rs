//! The job that removes what nobody needs any more: uploads that were given up, blobs that no record names, and what a
//! crash left behind.

use std::sync::Arc;
use std::time::Duration;

use sync_protocol::wire::BlobHash;
use tokio::sync::watch;

use super::{Blobs, ledger};
use crate::platform::clock::Clock;
use crate::platform::config;
use crate::platform::db::Db;
use crate::platform::telemetry::metrics::Metrics;
use crate::record::write::Commit;

/// Between two runs. What is to go has been waiting for days.
const PERIOD: Duration = Duration::from_hours(1);
/// What one run removes at the most; the rest waits for the next, so that writers wait little.
const AT_ONCE: i64 = 1_000;

/// What a run removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Uploads that their device does not go on with.
    pub uploads: usize,
    /// Blobs that no record names.
    pub blobs: usize,
    /// Stored bytes that the database knows nothing of.
    pub strays: usize,
}

/// Why a run ended early; the next goes on.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The database did not answer.
    #[error("could not find out which blobs nobody needs")]
    Database(#[from] sqlx::Error),
    /// The store did not do it.
    #[error("could not remove blobs that nobody needs")]
    Store(#[from] super::StoreError),
    /// Parts of uploads could not be removed.
    #[error("could not remove the parts of uploads that were given up")]
    Parts(#[from] std::io::Error),
}

/// Runs now and then until the writer is gone.
pub async fn keep_swept(
    blobs: Blobs,
    db: Db,
    clock: Arc<dyn Clock>,
    limits: config::Blob,
    metrics: Metrics,
    mut commits: watch::Receiver<Commit>,
) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick is at once: a server that has just started has other things to do.
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => match sweep(&blobs, &db, &limits, clock.now_ms()).await {
                Ok(swept) => metrics.blobs_removed(swept.blobs + swept.strays),
                Err(error) => tracing::warn!(error = %crate::platform::error_chain(&error), "blobs were not all swept"),
            },
            () = ended(&mut commits) => return,
        }
    }
}

async fn ended(commits: &mut watch::Receiver<Commit>) {
    while commits.changed().await.is_ok() {}
}

/// Removes what is due at `now_ms`.
///
/// # Errors
/// [`SweepError`]; what was removed before stays removed.
pub async fn sweep(blobs: &Blobs, db: &Db, limits: &config::Blob, now_ms: i64) -> Result<Swept, SweepError> {
    let before = |period: Duration| now_ms.saturating_sub(i64::try_from(period.as_millis()).unwrap_or(i64::MAX));
    let (unnamed, horizon) = (before(limits.unnamed), before(limits.horizon));
    let mut swept = Swept { uploads: give_up_uploads(blobs, db, unnamed).await?, ..Swept::default() };
    let due: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT hash FROM blob
         WHERE unnamed_ms IS NOT NULL AND unnamed_ms < CASE was_named WHEN 0 THEN $1 ELSE $2 END LIMIT $3",
    )
    .bind(unnamed)
    .bind(horizon)
    .bind(AT_ONCE)
    .fetch_all(db.readers())
    .await?;
    for hash in due.iter().filter_map(|hash| read(hash)) {
        swept.blobs += usize::from(remove(blobs, db, hash).await?);
    }
    for hash in blobs.store().older_than(unnamed).await? {
        if ledger::stored_bytes(db.readers(), hash).await?.is_none() {
            swept.strays += usize::from(remove(blobs, db, hash).await?);
        }
    }
    Ok(swept)
}

async fn give_up_uploads(blobs: &Blobs, db: &Db, before_ms: i64) -> Result<usize, SweepError> {
    let mut tx = db.write().await?;
    let given_up: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("DELETE FROM blob_upload WHERE touched_ms < $1 RETURNING device, hash")
            .bind(before_ms)
            .fetch_all(&mut *tx)
            .await?;
    tx.commit().await?;
    // Parts without an upload: of those just given up, and of blobs that were forgotten.
    for (device, hash) in blobs.parts()? {
        if ledger::Upload::find(db.readers(), device, hash).await?.is_none() {
            blobs.part(device, hash).remove().await?;
        }
    }
    Ok(given_up.len())
}

/// Removes a blob unless a record names it. The bytes go inside the transaction: whoever would name or store it waits.
async fn remove(blobs: &Blobs, db: &Db, hash: BlobHash) -> Result<bool, SweepError> {
    let _settling = blobs.settle(hash).await;
    let mut tx = db.write().await?;
    let is_named: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM blob_use WHERE hash = $1)
                               AND EXISTS (SELECT 1 FROM blob WHERE hash = $1)",
    )
    .bind(&hash.0[..])
    .fetch_one(&mut *tx)
    .await?;
    if is_named {
        return Ok(false);
    }
    ledger::forget(&mut tx, hash).await?;
    blobs.store().remove(hash).await?;
    tx.commit().await?;
    Ok(true)
}

/// Removes bytes that were stored and never came to be recorded.
///
/// # Errors
/// [`SweepError`].
pub async fn remove_unrecorded(blobs: &Blobs, db: &Db, hash: BlobHash) -> Result<(), SweepError> {
    let _settling = blobs.settle(hash).await;
    // Whoever records it meanwhile waits for this transaction, which writes nothing.
    let mut tx = db.write().await?;
    if ledger::stored_bytes(&mut *tx, hash).await?.is_none() {
        blobs.store().remove(hash).await?;
    }
    Ok(tx.rollback().await?)
}

fn read(hash: &[u8]) -> Option<BlobHash> {
    hash.try_into().ok().map(BlobHash)
}
