//! Subscriptions and what is owed to them, as they are kept.

use std::time::Duration;

use serde_json::json;
use sync_protocol::id::RecordId;
use uuid::Uuid;

use super::endpoint::Endpoint;
use super::roll::{Known, Note, Why};
use super::vapid::Vapid;
use crate::platform::config;
use crate::platform::db::Db;

/// The tenant's key pair, made where there is none.
pub(super) async fn key_pair(db: &Db, now_ms: i64) -> anyhow::Result<Vec<u8>> {
    let known: Option<Vec<u8>> = sqlx::query_scalar("SELECT pair FROM wake_key").fetch_optional(db.readers()).await?;
    if let Some(known) = known {
        return Ok(known);
    }
    let pair = Vapid::generate()?;
    let mut tx = db.write().await?;
    sqlx::query("INSERT INTO wake_key (only_row, pair, created_ms) VALUES (1, $1, $2)")
        .bind(&pair)
        .bind(now_ms)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(pair)
}

/// Device and user, endpoint, last wake-up, what is owed.
type Row = (i64, Uuid, String, Option<i64>, Option<String>);

/// Every subscription to a push service that may still be asked.
pub(super) async fn all(db: &Db, config: &config::Wake, now_ms: i64) -> Result<Vec<Known>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT w.device, d.user, w.endpoint, w.woken_ms, w.owed
         FROM wake_subscription AS w JOIN device AS d ON d.num = w.device",
    )
    .fetch_all(db.readers())
    .await?;
    let known = rows.into_iter().filter_map(|(device, user, endpoint, woken_ms, owed)| {
        let endpoint = Endpoint::parse(&endpoint, config)
            .inspect_err(|error| tracing::warn!(device.num = device, %error, "a device cannot be woken any more"))
            .ok()?;
        let since_woken = woken_ms.map(|at_ms| Duration::from_millis(u64::try_from(now_ms - at_ms).unwrap_or(0)));
        Some(Known { device, user: RecordId(user), endpoint, since_woken, owed: owed.as_deref().and_then(Why::parse) })
    });
    Ok(known.collect())
}

/// Keeps a device's subscription. An endpoint is one browser's: another device that had it was this one before it was
/// enrolled anew.
pub(super) async fn subscribe(db: &Db, device: i64, endpoint: &Endpoint, now_ms: i64) -> Result<(), sqlx::Error> {
    let mut tx = db.write().await?;
    sqlx::query("DELETE FROM wake_subscription WHERE endpoint = $1 AND device <> $2")
        .bind(endpoint.as_str())
        .bind(device)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "INSERT INTO wake_subscription (device, endpoint, subscribed_ms) VALUES ($1, $2, $3)
         ON CONFLICT (device) DO UPDATE SET endpoint = excluded.endpoint, subscribed_ms = excluded.subscribed_ms
         WHERE wake_subscription.endpoint <> excluded.endpoint",
    )
    .bind(device)
    .bind(endpoint.as_str())
    .bind(now_ms)
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// Forgets a device's subscription.
pub(super) async fn withdraw(db: &Db, device: i64) -> Result<(), sqlx::Error> {
    let mut tx = db.write().await?;
    sqlx::query("DELETE FROM wake_subscription WHERE device = $1").bind(device).execute(&mut *tx).await?;
    tx.commit().await
}

/// Writes down that a device has an order to hear of.
pub(super) async fn owe_order(db: &Db, device: i64) -> Result<(), sqlx::Error> {
    let mut tx = db.write().await?;
    sqlx::query("UPDATE wake_subscription SET owed = 'order' WHERE device = $1").bind(device).execute(&mut *tx).await?;
    tx.commit().await
}

/// Writes down what came of wake-ups and what is owed now, all of it in one transaction.
pub(super) async fn save(db: &Db, notes: &[Note], now_ms: i64) -> Result<(), sqlx::Error> {
    if notes.is_empty() {
        return Ok(());
    }
    let (gone, kept): (Vec<&Note>, Vec<&Note>) = notes.iter().partition(|note| note.is_gone);
    let gone: Vec<_> = gone.iter().map(|note| json!([note.device, note.endpoint])).collect();
    let kept: Vec<_> = kept
        .iter()
        .map(|note| json!([note.device, note.endpoint, note.owed.map(Why::as_str), note.is_woken.then_some(now_ms)]))
        .collect();
    let mut tx = db.write().await?;
    sqlx::query(
        "DELETE FROM wake_subscription
         WHERE (device, endpoint) IN (SELECT n.value ->> 0, n.value ->> 1 FROM json_each($1) AS n)",
    )
    .bind(json!(gone))
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "UPDATE wake_subscription SET owed = n.value ->> 2, woken_ms = coalesce(n.value ->> 3, woken_ms)
         FROM json_each($1) AS n
         WHERE wake_subscription.device = n.value ->> 0 AND wake_subscription.endpoint = n.value ->> 1",
    )
    .bind(json!(kept))
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// Those of the devices that have a session.
pub(super) async fn signed_in(db: &Db, devices: &[i64], now_ms: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT DISTINCT device FROM session
         WHERE device IN (SELECT value FROM json_each($1)) AND expires_ms > $2",
    )
    .bind(json!(devices))
    .bind(now_ms)
    .fetch_all(db.readers())
    .await
}
