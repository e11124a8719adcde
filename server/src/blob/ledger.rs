//! What the database knows of blobs and of uploads under way.

use sqlx::{SqliteConnection, SqliteExecutor};
use sync_protocol::wire::BlobHash;

/// How many bytes a blob has that is stored; `None` while its bytes are not here.
///
/// # Errors
/// When the database does not answer; likewise in every other function here.
pub async fn stored_bytes(executor: impl SqliteExecutor<'_>, hash: BlobHash) -> Result<Option<u64>, sqlx::Error> {
    let bytes: Option<i64> =
        sqlx::query_scalar("SELECT bytes FROM blob WHERE hash = $1").bind(&hash.0[..]).fetch_optional(executor).await?;
    Ok(bytes.map(i64::cast_unsigned))
}

/// Notes that a blob is stored; that it was already is no error. Returns whether it was not.
///
/// # Errors
/// When the database refuses.
pub async fn note_stored(
    connection: &mut SqliteConnection,
    hash: BlobHash,
    bytes: u64,
    now_ms: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO blob (hash, bytes, stored_ms, unnamed_ms, was_named)
         SELECT $1, $2, $3, CASE WHEN named THEN NULL ELSE $3 END, named
         FROM (SELECT EXISTS (SELECT 1 FROM blob_use WHERE hash = $1) AS named)
         WHERE true
         ON CONFLICT (hash) DO NOTHING",
    )
    .bind(&hash.0[..])
    .bind(bytes.cast_signed())
    .bind(now_ms)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The bytes of all that is stored and of all that is under way.
///
/// # Errors
/// When the database does not answer.
pub async fn total_bytes(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let total: i64 = sqlx::query_scalar(
        "SELECT (SELECT coalesce(sum(bytes), 0) FROM blob)
              + (SELECT coalesce(sum(bytes), 0) FROM blob_upload WHERE finished_ms IS NULL)",
    )
    .fetch_one(connection)
    .await?;
    Ok(total.cast_unsigned())
}

/// Forgets a blob whose bytes are gone: who has them may send them again.
pub(super) async fn forget(connection: &mut SqliteConnection, hash: BlobHash) -> Result<(), sqlx::Error> {
    for sql in ["DELETE FROM blob WHERE hash = $1", "DELETE FROM blob_upload WHERE hash = $1"] {
        sqlx::query(sql).bind(&hash.0[..]).execute(&mut *connection).await?;
    }
    Ok(())
}

/// An upload of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Upload {
    /// How many bytes it will have.
    pub(super) bytes: u64,
    /// Whether all of them came.
    pub(super) is_finished: bool,
}

impl Upload {
    pub(super) async fn find(
        executor: impl SqliteExecutor<'_>,
        device: i64,
        hash: BlobHash,
    ) -> Result<Option<Self>, sqlx::Error> {
        let row: Option<(i64, bool)> =
            sqlx::query_as("SELECT bytes, finished_ms IS NOT NULL FROM blob_upload WHERE device = $1 AND hash = $2")
                .bind(device)
                .bind(&hash.0[..])
                .fetch_optional(executor)
                .await?;
        Ok(row.map(|(bytes, is_finished)| Self { bytes: bytes.cast_unsigned(), is_finished }))
    }

    /// Begins an upload, or begins it again.
    pub(super) async fn begin(
        connection: &mut SqliteConnection,
        device: i64,
        hash: BlobHash,
        bytes: u64,
        now_ms: i64,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO blob_upload (device, hash, bytes, touched_ms, finished_ms) VALUES ($1, $2, $3, $4, NULL)
             ON CONFLICT (device, hash) DO UPDATE
             SET bytes = excluded.bytes, touched_ms = excluded.touched_ms, finished_ms = NULL",
        )
        .bind(device)
        .bind(&hash.0[..])
        .bind(bytes.cast_signed())
        .bind(now_ms)
        .execute(connection)
        .await?;
        Ok(())
    }

    pub(super) async fn finish(
        connection: &mut SqliteConnection,
        device: i64,
        hash: BlobHash,
        now_ms: i64,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE blob_upload SET finished_ms = $3 WHERE device = $1 AND hash = $2")
            .bind(device)
            .bind(&hash.0[..])
            .bind(now_ms)
            .execute(connection)
            .await?;
        Ok(())
    }

    pub(super) async fn give_up(
        connection: &mut SqliteConnection,
        device: i64,
        hash: BlobHash,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM blob_upload WHERE device = $1 AND hash = $2")
            .bind(device)
            .bind(&hash.0[..])
            .execute(connection)
            .await?;
        Ok(())
    }

    /// How many uploads of the device lack bytes, this one aside.
    pub(super) async fn others_open(
        connection: &mut SqliteConnection,
        device: i64,
        hash: BlobHash,
    ) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("SELECT count(*) FROM blob_upload WHERE device = $1 AND hash <> $2 AND finished_ms IS NULL")
            .bind(device)
            .bind(&hash.0[..])
            .fetch_one(connection)
            .await
    }
}
