//! Sessions: opaque tokens of which only the hash is kept, looked up in memory and slid on with use.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use sqlx::{Sqlite, Transaction};
use sync_protocol::id::{DeviceId, RecordId};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::CallerDevice;
use crate::live::Snapshot;
use crate::platform::config;
use crate::platform::db::Db;
use crate::platform::entropy::Entropy;
use crate::user::rights::Rights;

const TOKEN_BYTES: usize = 32;

/// Use is written down when this much of the lifetime has passed since it last was, so that reading stays free of writes.
const SAVE_AFTER_PARTS: i64 = 20;
const SAVE_AFTER_AT_MOST_MS: i64 = 10 * 60 * 1_000;

/// More sessions than these are not kept in memory; those that are left out are read again when used.
const MOST_REMEMBERED: usize = 50_000;

/// So many endings may wait for a listener that is busy.
const ENDINGS_REMEMBERED: usize = 256;

/// SHA-256 of a token: all that the server keeps of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of a token as its holder sends it.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// A session that was just opened: the one moment at which the token is known.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// To be sent as `Authorization: Bearer`.
    pub token: String,
    /// When it ends if it is not used before.
    pub expires_ms: i64,
}

/// A session that was found.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: RecordId,
    pub(super) device: Option<CallerDevice>,
    /// As of when the session was read; setting a password lets it be read again.
    pub(super) has_given_password: bool,
    lifetime_ms: i64,
    expires_ms: AtomicI64,
    saved_ms: AtomicI64,
    settled: Mutex<Option<(Snapshot, Option<Arc<Rights>>)>>,
}

impl Session {
    /// What the user may do as things are; worked out again only when people or model changed.
    pub(super) fn rights(&self, snapshot: &Snapshot) -> Option<Arc<Rights>> {
        let mut settled = self.settled.lock().expect("no holder of this lock panics");
        if let Some((known, rights)) = &*settled
            && Arc::ptr_eq(&known.directory, &snapshot.directory)
            && Arc::ptr_eq(&known.catalogue, &snapshot.catalogue)
        {
            return rights.clone();
        }
        let rights = snapshot.rights_of(self.user.0);
        *settled = Some((snapshot.clone(), rights.clone()));
        rights
    }

    /// Slides the session on; says when that should be written down.
    fn touch(&self, now_ms: i64) -> bool {
        self.expires_ms.store(now_ms + self.lifetime_ms, Ordering::Relaxed);
        let save_after_ms = (self.lifetime_ms / SAVE_AFTER_PARTS).min(SAVE_AFTER_AT_MOST_MS);
        let saved_ms = self.saved_ms.load(Ordering::Relaxed);
        now_ms - saved_ms >= save_after_ms
            && self.saved_ms.compare_exchange(saved_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Sessions that ended before their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// One.
    One(TokenHash),
    /// Those of a device, by its number.
    OfDevice(i64),
    /// Those of a user, except one.
    OfUser {
        /// The user.
        user: RecordId,
        /// The one that stays.
        except: Option<TokenHash>,
    },
}

impl Ended {
    /// Whether a session is among them.
    #[must_use]
    pub fn covers(&self, token: TokenHash, user: RecordId, device: i64) -> bool {
        match *self {
            Self::One(ended) => ended == token,
            Self::OfDevice(ended) => ended == device,
            Self::OfUser { user: ended, except } => ended == user && Some(token) != except,
        }
    }
}

/// Finds and ends sessions.
#[derive(Debug)]
pub struct Sessions {
    remembered: RwLock<Remembered>,
    endings: broadcast::Sender<Ended>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { remembered: RwLock::default(), endings: broadcast::Sender::new(ENDINGS_REMEMBERED) }
    }
}

#[derive(Debug, Default)]
struct Remembered {
    sessions: HashMap<TokenHash, Arc<Session>>,
    /// How often sessions were ended: who read the database before must not remember what it read.
    ended: u64,
}

impl Sessions {
    /// Opens a session within a transaction; it counts when that is committed.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn open(
        tx: &mut Transaction<'static, Sqlite>,
        user: RecordId,
        device: Option<CallerDevice>,
        config: &config::Auth,
        now_ms: i64,
        entropy: &dyn Entropy,
    ) -> Result<NewSession, sqlx::Error> {
        let mut secret = [0_u8; TOKEN_BYTES];
        entropy.fill(&mut secret);
        let token = URL_SAFE_NO_PAD.encode(secret);
        let expires_ms = now_ms + lifetime_ms(config, device);
        sqlx::query("DELETE FROM session WHERE expires_ms <= $1").bind(now_ms).execute(&mut **tx).await?;
        sqlx::query(
            "INSERT INTO session (token_hash, user, device, created_ms, expires_ms, used_ms)
             VALUES ($1, $2, $3, $4, $5, $4)",
        )
        .bind(TokenHash::of(&token).0.as_slice())
        .bind(user.0)
        .bind(device.map(|device| device.num))
        .bind(now_ms)
        .bind(expires_ms)
        .execute(&mut **tx)
        .await?;
        Ok(NewSession { token, expires_ms })
    }

    /// The session of a token, slid on; `None` when there is none or it has ended.
    pub(super) async fn find(
        &self,
        db: &Db,
        token: TokenHash,
        config: &config::Auth,
        now_ms: i64,
    ) -> Result<Option<Arc<Session>>, sqlx::Error> {
        let Some(session) = self.look_up(db, token, config).await? else { return Ok(None) };
        if session.expires_ms.load(Ordering::Relaxed) <= now_ms {
            self.remembered.write().expect("no holder of this lock panics").sessions.remove(&token);
            return Ok(None);
        }
        if session.touch(now_ms) {
            let expires_ms = session.expires_ms.load(Ordering::Relaxed);
            tokio::spawn(save_use(db.clone(), token, expires_ms, now_ms));
        }
        Ok(Some(session))
    }

    /// Whether a session is there and has not ended; asking is use of it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stands(
        &self,
        db: &Db,
        token: TokenHash,
        config: &config::Auth,
        now_ms: i64,
    ) -> Result<bool, sqlx::Error> {
        Ok(self.find(db, token, config, now_ms).await?.is_some())
    }

    /// Keeps a session that is in use all the time, such as one with an open stream, from ending for want of use; false
    /// when it has ended. Asked now and then, it is written down once in half a lifetime.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub fn keep(&self, db: &Db, token: TokenHash, now_ms: i64) -> bool {
        let remembered = self.remembered.read().expect("no holder of this lock panics");
        // One that is not remembered was found when it was first used, and its ending is told to whoever listens.
        let Some(session) = remembered.sessions.get(&token) else { return true };
        let left_ms = session.expires_ms.load(Ordering::Relaxed) - now_ms;
        if left_ms > 0 && left_ms < session.lifetime_ms / 2 && session.touch(now_ms) {
            let expires_ms = session.expires_ms.load(Ordering::Relaxed);
            tokio::spawn(save_use(db.clone(), token, expires_ms, now_ms));
        }
        left_ms > 0
    }

    /// Tells of sessions that end before their time.
    pub fn endings(&self) -> broadcast::Receiver<Ended> {
        self.endings.subscribe()
    }

    async fn look_up(
        &self,
        db: &Db,
        token: TokenHash,
        config: &config::Auth,
    ) -> Result<Option<Arc<Session>>, sqlx::Error> {
        let ended = {
            let remembered = self.remembered.read().expect("no holder of this lock panics");
            if let Some(session) = remembered.sessions.get(&token) {
                return Ok(Some(session.clone()));
            }
            remembered.ended
        };
        let Some(session) = read(db, token, config).await?.map(Arc::new) else { return Ok(None) };
        let mut remembered = self.remembered.write().expect("no holder of this lock panics");
        if remembered.ended == ended && remembered.sessions.len() < MOST_REMEMBERED {
            remembered.sessions.insert(token, session.clone());
        }
        Ok(Some(session))
    }

    /// Ends one session.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn end(&self, db: &Db, token: TokenHash) -> Result<(), sqlx::Error> {
        let mut tx = db.write().await?;
        sqlx::query("DELETE FROM session WHERE token_hash = $1").bind(token.0.as_slice()).execute(&mut *tx).await?;
        tx.commit().await?;
        self.forget(Ended::One(token));
        Ok(())
    }

    /// Ends the sessions of a device.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn end_of_device(&self, db: &Db, device: CallerDevice) -> Result<(), sqlx::Error> {
        let mut tx = db.write().await?;
        sqlx::query("DELETE FROM session WHERE device = $1").bind(device.num).execute(&mut *tx).await?;
        tx.commit().await?;
        self.forget(Ended::OfDevice(device.num));
        Ok(())
    }

    /// Ends all sessions of a user except one.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn end_of_user(&self, db: &Db, user: RecordId, except: Option<TokenHash>) -> Result<(), sqlx::Error> {
        let mut tx = db.write().await?;
        let kept = except.map_or_else(Vec::new, |token| token.0.to_vec());
        sqlx::query("DELETE FROM session WHERE user = $1 AND token_hash <> $2")
            .bind(user.0)
            .bind(kept)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.forget(Ended::OfUser { user, except });
        Ok(())
    }

    fn forget(&self, ended: Ended) {
        let mut remembered = self.remembered.write().expect("no holder of this lock panics");
        remembered.ended += 1;
        remembered.sessions.retain(|token, session| {
            let device = session.device.map_or(0, |device| device.num);
            // The one of a user's that stays may be so because she chose a password: it is read again.
            let stays_unread = matches!(ended, Ended::OfUser { user, .. } if user == session.user);
            !stays_unread && !ended.covers(*token, session.user, device)
        });
        drop(remembered);
        // Nobody may be listening.
        let _ = self.endings.send(ended);
    }
}

/// User, device number and id, end, last use, whether the password was given.
type Row = (Uuid, Option<i64>, Option<Uuid>, i64, i64, bool);

async fn read(db: &Db, token: TokenHash, config: &config::Auth) -> Result<Option<Session>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT s.user, s.device, d.id, s.expires_ms, s.used_ms, coalesce(c.is_given, 0)
         FROM session s LEFT JOIN device d ON d.num = s.device LEFT JOIN credential c ON c.user = s.user
         WHERE s.token_hash = $1",
    )
    .bind(token.0.as_slice())
    .fetch_optional(db.readers())
    .await?;
    Ok(row.map(|(user, num, device, expires_ms, used_ms, has_given_password)| {
        let device = num.zip(device).map(|(num, id)| CallerDevice { id: DeviceId(id), num });
        Session {
            user: RecordId(user),
            device,
            has_given_password,
            lifetime_ms: lifetime_ms(config, device),
            expires_ms: AtomicI64::new(expires_ms),
            saved_ms: AtomicI64::new(used_ms),
            settled: Mutex::new(None),
        }
    }))
}

async fn save_use(db: Db, token: TokenHash, expires_ms: i64, used_ms: i64) {
    let save = async {
        let mut tx = db.write().await?;
        sqlx::query("UPDATE session SET expires_ms = $2, used_ms = $3 WHERE token_hash = $1")
            .bind(token.0.as_slice())
            .bind(expires_ms)
            .bind(used_ms)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    };
    if let Err(error) = save.await {
        // It counts in memory all the same; at worst the session ends a little early after a restart.
        tracing::warn!(error = %error, "could not write down that a session was used");
    }
}

fn lifetime_ms(config: &config::Auth, device: Option<CallerDevice>) -> i64 {
    let lifetime: Duration = if device.is_some() { config.device_session } else { config.session };
    i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX)
}
