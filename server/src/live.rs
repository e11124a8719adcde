//! What every request needs to know about the tenant, in memory, as of the last commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use sqlx::SqliteConnection;
use sync_protocol::id::{ScopeId, Sequence};
use tokio::sync::watch;
use uuid::Uuid;

use crm::model::Model;

use crate::entitlement::Entitlements;
use crate::recent::Recent;
use crate::record::catalogue::Catalogue;
use crate::scope::Scopes;
use crate::user::directory::Directory;
use crate::user::rights::Rights;

/// Model, people and scopes that belong together.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The model in force.
    pub catalogue: Arc<Catalogue>,
    /// Who is who.
    pub directory: Arc<Directory>,
    /// Which scopes have a number.
    pub scopes: Arc<Scopes>,
}

impl Snapshot {
    /// Reads it all, for `model` and what of it the tenant is entitled to.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load(
        model: Arc<Model>,
        entitlements: Arc<Entitlements>,
        connection: &mut SqliteConnection,
    ) -> Result<Self, sqlx::Error> {
        let catalogue = Arc::new(Catalogue::load(model, &mut *connection).await?.entitled_to(entitlements));
        let directory = Arc::new(Directory::load(&catalogue, &mut *connection).await?);
        let scopes = Arc::new(Scopes::load(&catalogue, connection).await?);
        Ok(Self { catalogue, directory, scopes })
    }

    /// What a user may do; `None` when she may not sign in.
    #[must_use]
    pub fn rights_of(&self, user: Uuid) -> Option<Arc<Rights>> {
        Rights::of_user(user, &self.directory, &self.catalogue).map(Arc::new)
    }
}

/// The current [`Snapshot`] and the last sequence; readers never wait for a commit.
#[derive(Debug)]
pub struct Live {
    snapshot: RwLock<Snapshot>,
    head: AtomicU64,
    recent: RwLock<Recent>,
    changes: watch::Sender<()>,
}

impl Live {
    /// Starts from what was loaded.
    #[must_use]
    pub fn new(snapshot: Snapshot, head: Sequence) -> Self {
        let recent = RwLock::new(Recent::since(head));
        Self { snapshot: RwLock::new(snapshot), head: AtomicU64::new(head), recent, changes: watch::Sender::new(()) }
    }

    /// Everything as of the last commit.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.read().expect("no holder of this lock panics").clone()
    }

    /// The last sequence that was committed.
    #[must_use]
    pub fn head(&self) -> Sequence {
        self.head.load(Ordering::Acquire)
    }

    /// Whether anything in `scopes` (ascending) may have changed after `seq`.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    #[must_use]
    pub fn may_concern(&self, scopes: &[ScopeId], seq: Sequence) -> bool {
        self.recent.read().expect("no holder of this lock panics").may_concern(scopes, seq)
    }

    /// Tells whenever something was published.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Makes a commit known: first who may see what, then that there is something to see, and in which scopes.
    pub(crate) fn publish(&self, snapshot: Snapshot, head: Sequence, touched: impl IntoIterator<Item = ScopeId>) {
        *self.snapshot.write().expect("no holder of this lock panics") = snapshot;
        self.recent.write().expect("no holder of this lock panics").note(head, touched.into_iter().collect());
        self.head.store(head, Ordering::Release);
        self.changes.send_replace(());
    }
}
