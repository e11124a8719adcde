//! The tenant's own row, the layers of its model, and the roles that an empty database starts with.

use std::sync::Arc;

use crm::model::{Language, Model, Overlay};
use serde_json::json;
use sqlx::SqliteConnection;
use sync_protocol::cursor::CursorKey;
use sync_protocol::id::{RecordId, Sequence, TenantId};
use sync_protocol::wire::MutationKind;
use uuid::Uuid;

use crate::app::App;
use crate::platform::db::Db;
use crate::platform::entropy::Entropy;
use crate::record::write::{Author, Change};
use crate::user::rights::Rights;

/// Whose data this is.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its identity.
    pub id: TenantId,
    /// Grows when the data is restored from a backup.
    pub epoch: u64,
    /// Seals cursors.
    pub cursor_key: CursorKey,
}

/// Reads the tenant's row, or makes it in an empty database; with the last sequence.
///
/// # Errors
/// When the database does not answer.
pub async fn open(
    connection: &mut SqliteConnection,
    now_ms: i64,
    entropy: &dyn Entropy,
) -> Result<(Tenant, Sequence), sqlx::Error> {
    let mut key = [0; 32];
    entropy.fill(&mut key);
    sqlx::query(
        "INSERT INTO tenant (only_row, id, epoch, head, cursor_key, created_ms) VALUES (1, $1, 1, 0, $2, $3)
         ON CONFLICT (only_row) DO NOTHING",
    )
    .bind(entropy.uuid_v7(now_ms))
    .bind(key.to_vec())
    .bind(now_ms)
    .execute(&mut *connection)
    .await?;
    let (id, epoch, head, key): (Uuid, i64, i64, Vec<u8>) =
        sqlx::query_as("SELECT id, epoch, head, cursor_key FROM tenant").fetch_one(connection).await?;
    let key = key.try_into().map_err(|key: Vec<u8>| {
        sqlx::Error::Decode(format!("tenant.cursor_key has {} bytes, not 32", key.len()).into())
    })?;
    let tenant = Tenant { id: TenantId(id), epoch: epoch.cast_unsigned(), cursor_key: CursorKey::new(key) };
    Ok((tenant, head.cast_unsigned()))
}

/// After a restore sequences go on from the time in seconds times this, which is more than a server gives out in a
/// second: the same backup may be restored twice, and what came of it the first time is a lost future too. Until the
/// year 2242 that stays below 2^53, up to where every reader of JSON counts exactly.
const SEQUENCES_PER_SECOND: i64 = 1 << 20;

/// How far a restore moves the last sequence on, at the least, where the machine's clock is behind the last restore: more
/// than can have been given out after the backup. The clock says nothing then that would tell two restores of one backup
/// apart; chance does, on top of it.
const RESTORE_LEAP: i64 = 1 << 32;

/// Up to 64 times the leap.
const LEAP_BY_CHANCE_BITS: u32 = 38;

/// Up to 12 days.
const EPOCH_BY_CHANCE_BITS: u32 = 20;

/// What [`declare_restored`] changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The new epoch.
    pub epoch: u64,
    /// The last sequence that the backup has.
    pub restored_head: Sequence,
    /// Where sequences go on.
    pub head: Sequence,
}

/// Begins a new epoch: the database was restored from a backup. The caller holds the folder's lock. No epoch is ever
/// begun twice, not even from the same backup: it is a time in seconds, or chance where the clock is behind.
///
/// # Errors
/// When the database does not answer, or belongs to no tenant yet.
pub async fn declare_restored(db: &Db, now_ms: i64, entropy: &dyn Entropy) -> anyhow::Result<Restored> {
    let mut tx = db.write().await?;
    let row: Option<(i64, i64)> = sqlx::query_as("SELECT epoch, head FROM tenant").fetch_optional(&mut *tx).await?;
    let Some((last_epoch, restored_head)) = row else {
        anyhow::bail!("the data folder has never been served, so nothing in it was restored: check --data");
    };
    let now_secs = now_ms.div_euclid(1_000);
    let by_time = now_secs.saturating_mul(SEQUENCES_PER_SECOND);
    let (epoch, head) = if now_secs > last_epoch && by_time > restored_head {
        (now_secs, by_time)
    } else {
        let by_chance = |bits: u32| {
            let mut random = [0; 8];
            entropy.fill(&mut random);
            i64::from_le_bytes(random) & ((1 << bits) - 1)
        };
        let epoch = now_secs.max(last_epoch) + 1 + by_chance(EPOCH_BY_CHANCE_BITS);
        (epoch, restored_head + RESTORE_LEAP + by_chance(LEAP_BY_CHANCE_BITS))
    };
    sqlx::query("UPDATE tenant SET epoch = $1, head = $2").bind(epoch).bind(head).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(Restored {
        epoch: epoch.cast_unsigned(),
        restored_head: restored_head.cast_unsigned(),
        head: head.cast_unsigned(),
    })
}

/// The core model with the tenant's overlays laid over it.
///
/// # Errors
/// When the database does not answer, or an overlay no longer fits this release's core model.
pub async fn model(connection: &mut SqliteConnection) -> anyhow::Result<Model> {
    Ok(Model::build(&layers(connection).await?)?)
}

/// The tenant's overlays, lowest first.
///
/// # Errors
/// When the database does not answer.
pub async fn layers(connection: &mut SqliteConnection) -> Result<Vec<Overlay>, sqlx::Error> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT name, yaml FROM model_layer ORDER BY position").fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(name, yaml)| Overlay { name, yaml }).collect())
}

/// Makes a record of each role that the model gives permissions to and that has none yet.
///
/// # Errors
/// When they cannot be written.
pub async fn make_roles(app: &App) -> anyhow::Result<()> {
    let snapshot = app.live().snapshot();
    let roles = snapshot.catalogue.model.roles();
    let missing = roles.into_iter().filter(|key| snapshot.directory.role_by_key(key).is_none());
    let changes: Vec<Change> = missing
        .map(|key| Change {
            kind: MutationKind::Create,
            entity: "role".into(),
            record: RecordId(app.entropy().uuid_v7(app.clock().now_ms())),
            base: None,
            set: [("key".to_owned(), json!(key)), ("name".to_owned(), json!(role_name(key)))].into(),
            ops: Vec::new(),
        })
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    let rights = Arc::new(Rights::of_operator(&snapshot.catalogue));
    let author = Author { user: None, device: 0, rights, language: Language::En };
    for decision in app.writer().write(author, changes, true).await? {
        if let (true, Some(reason)) = (decision.is_rejected(), decision.reason) {
            anyhow::bail!("could not make the records of the model's roles: {} {:?}", reason.message, reason.fields);
        }
    }
    Ok(())
}

fn role_name(key: &str) -> String {
    let mut name = key.replace('_', " ");
    if let Some(first) = name.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    name
}
