//! What devices are told while they are connected: `GET /sync/v1/live`.
//!
//! One task watches the commits. After each it finds out, from memory, whom the commit may concern; cuts one page for
//! all devices that stand at the same place with the same rights; and puts the encoded event into the queue of each,
//! sharing its bytes. A device whose user holds nothing that changed hears nothing, and an idle one costs no statement.
//!
//! An event is a delta only where the server knows exactly what the device has: its cursor is the last one that it was
//! given, by an exchange or here, so that it has written nothing since. Everybody else is poked and exchanges.

mod event;
mod exchanging;
mod queue;
mod registry;
mod routes;
mod settle;
mod stream;
mod task;

use std::sync::{Arc, Mutex, MutexGuard};

use sync_protocol::cursor::Cursor;
use tokio::sync::Notify;

pub use exchanging::Exchanging;
pub use registry::Presence;
pub use routes::{Described, routes};

use self::registry::{Newcomer, Registry};
use self::stream::Member;
use self::task::Task;
use crate::live::Live;
use crate::platform::auth::Sessions;
use crate::platform::config;
use crate::platform::db::Db;
use crate::platform::telemetry::metrics::Metrics;
use crate::tenant::Tenant;

/// Handle to the feed; cheap to clone.
#[derive(Clone, Debug)]
pub struct LiveFeed {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Mutex<Registry>,
    /// Somebody came, or stands elsewhere now.
    wake: Notify,
    /// A device went, or has exchanged.
    left: Notify,
}

impl LiveFeed {
    /// Starts the task; it ends with [`LiveFeed::close`].
    #[must_use]
    pub fn start(
        db: Db,
        live: Arc<Live>,
        tenant: &Tenant,
        config: config::Live,
        sessions: &Sessions,
        metrics: Metrics,
    ) -> Self {
        let registry = Registry::new(tenant.clone(), config, metrics);
        let feed = Self {
            inner: Arc::new(Inner { registry: Mutex::new(registry), wake: Notify::new(), left: Notify::new() }),
        };
        tokio::spawn(task::end_with_sessions(feed.clone(), sessions.endings()));
        tokio::spawn(Task { feed: feed.clone(), db, live, epoch: tenant.epoch }.run());
        feed
    }

    /// Notes that a device exchanges: until that has ended it is told nothing.
    pub fn exchanging(&self, device: i64) -> Exchanging {
        Exchanging::begin(self.clone(), device)
    }

    /// Where a device is.
    #[must_use]
    pub fn presence(&self, device: i64) -> Presence {
        self.registry().presence(device)
    }

    /// Waits until a device went, or has exchanged; for one listener.
    pub async fn left(&self) {
        self.inner.left.notified().await;
    }

    /// Ends every stream and lets nobody in any more.
    pub fn close(&self) {
        self.registry().close();
        self.inner.wake.notify_one();
    }

    /// Lets a device in; `None` when there are too many, or the feed is closed.
    fn join(&self, newcomer: Newcomer, cursor: Option<(String, Cursor)>, live: &Live) -> Option<Member> {
        let (id, queue) = self.registry().join(newcomer, cursor, live)?;
        self.inner.wake.notify_one();
        Some(Member::new(self.clone(), id, queue))
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.inner.registry.lock().expect("no holder of this lock panics")
    }

    fn wake(&self) {
        self.inner.wake.notify_one();
    }

    fn note_left(&self) {
        self.inner.left.notify_one();
    }
}
