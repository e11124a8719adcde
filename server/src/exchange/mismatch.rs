//! How often devices had to compare, and why: for the administrator, and for the metrics.

use sync_protocol::wire::MendReason;

use crate::app::App;

/// A device that compares again and again is counted in the database once in this time: it costs a commit.
const COUNTED_EVERY_MS: i64 = 60_000;

/// Counts a device that begins to compare. That it comes to compare contents from time to time says nothing about it, until
/// something is [`found`].
pub(super) fn count(app: &App, device: i64, why: MendReason) {
    app.metrics().mend(why);
    if why != MendReason::Deep {
        note(app, device, why);
    }
}

/// Counts a device whose contents were compared and are not what they should be.
pub(super) fn found(app: &App, device: i64) {
    note(app, device, MendReason::Deep);
}

/// Beside the comparison, which would otherwise wait until an import lets others write.
fn note(app: &App, device: i64, why: MendReason) {
    let app = app.clone();
    tokio::spawn(async move {
        if let Err(error) = remember(&app, device, why).await {
            tracing::warn!(%error, device, "could not note that a device had to compare");
        }
    });
}

async fn remember(app: &App, device: i64, why: MendReason) -> Result<(), sqlx::Error> {
    let now_ms = app.clock().now_ms();
    let last: Option<i64> = sqlx::query_scalar("SELECT last_ms FROM digest_mismatch WHERE device = $1")
        .bind(device)
        .fetch_optional(app.db().readers())
        .await?;
    if last.is_some_and(|last| (last..last + COUNTED_EVERY_MS).contains(&now_ms)) {
        return Ok(());
    }
    let mut tx = app.db().write().await?;
    sqlx::query(
        "INSERT INTO digest_mismatch (device, times, why, last_ms) VALUES ($1, 1, $2, $3)
         ON CONFLICT (device) DO UPDATE SET times = digest_mismatch.times + 1, why = excluded.why, last_ms = excluded.last_ms",
    )
    .bind(device)
    .bind(why.as_str())
    .bind(now_ms)
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}
