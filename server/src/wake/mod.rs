//! Devices that are not connected are woken by Web Push (RFC 8030, RFC 8292): a request without any content to the push
//! service of the device's browser, so that the app asks here what there is.
//!
//! Nobody else learns anything by it: neither what changed nor whose it is. One task looks, from memory, whom a commit
//! concerns and who is neither connected nor exchanging; a device is woken once in a while at the most, so that many
//! changes make one wake-up. What is owed is written down, for a restart to go on from. A push service that fails or is
//! slow keeps nobody waiting but the devices that it serves.

mod address;
pub mod endpoint;
mod push_service;
mod roll;
mod routes;
mod standing;
mod store;
mod task;
mod vapid;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

pub use routes::{Described, routes};

use self::push_service::PushService;
use self::roll::Roll;
use self::task::Task;
use self::vapid::Vapid;
use crate::live::Live;
use crate::live_feed::LiveFeed;
use crate::platform::clock::Clock;
use crate::platform::config;
use crate::platform::db::Db;
use crate::platform::entropy::Entropy;
use crate::platform::telemetry::metrics::Metrics;

/// Handle to what wakes devices; cheap to clone.
#[derive(Clone)]
pub struct Wakes {
    db: Db,
    /// None where nobody is woken.
    inner: Option<Arc<Inner>>,
}

struct Inner {
    config: config::Wake,
    key: String,
    roll: Mutex<Roll>,
    /// There is something to do.
    wake: Notify,
    is_closed: AtomicBool,
}

impl Inner {
    fn roll(&self) -> MutexGuard<'_, Roll> {
        self.roll.lock().expect("no holder of this lock panics")
    }
}

impl Wakes {
    /// Starts the task where a contact is configured; it ends with [`Wakes::close`].
    ///
    /// # Errors
    /// When the database does not answer, or holds a key that is none.
    pub async fn start(
        config: &config::Wake,
        db: &Db,
        live: &Arc<Live>,
        live_feed: &LiveFeed,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let Some(contact) = &config.contact else { return Ok(Self { db: db.clone(), inner: None }) };
        let now_ms = clock.now_ms();
        let vapid = Vapid::new(&store::key_pair(db, now_ms).await?, contact)?;
        let roll = Roll::new(store::all(db, config, now_ms).await?, live.head(), config.interval);
        metrics.wake_subscriptions(roll.len());
        let inner = Arc::new(Inner {
            config: config.clone(),
            key: vapid.public_key(),
            roll: Mutex::new(roll),
            wake: Notify::new(),
            is_closed: AtomicBool::new(false),
        });
        let task = Task {
            inner: inner.clone(),
            service: Arc::new(PushService::new(vapid, config)),
            db: db.clone(),
            live: live.clone(),
            live_feed: live_feed.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            metrics: metrics.clone(),
        };
        tokio::spawn(task.run());
        Ok(Self { db: db.clone(), inner: Some(inner) })
    }

    /// The public key that a device's subscription has to name, in base64url; `None` where nobody is woken.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        Some(&self.inner.as_ref()?.key)
    }

    /// Wakes a device at once, whether it is connected or not: it has an order to hear of. Once this has returned, a
    /// restart does not lose it. Nothing happens where the device has no subscription.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn order(&self, device: i64) -> Result<(), sqlx::Error> {
        let Some(inner) = &self.inner else { return Ok(()) };
        if !inner.roll().holds(device) {
            return Ok(());
        }
        store::owe_order(&self.db, device).await?;
        inner.roll().order(device);
        inner.wake.notify_one();
        Ok(())
    }

    /// Ends the task; requests that are under way are not waited for.
    pub fn close(&self) {
        if let Some(inner) = &self.inner {
            inner.is_closed.store(true, Ordering::Release);
            inner.wake.notify_one();
        }
    }
}
