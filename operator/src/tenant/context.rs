use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use super::build::OperatorIdentity;
use super::health::AskHealth;
use super::keys::Keys;
use crate::cluster::Kind;
use crate::cluster::api::Cluster;
use crate::cluster::capabilities::Capabilities;
use crate::cluster::clock::Clock;
use crate::cluster::entropy::Entropy;
use crate::cluster::fence::Fence;
use crate::cluster::index::Index;

/// What reconciling needs of the world.
pub struct Context {
    /// The API server.
    pub cluster: Cluster,
    /// What was last seen of it.
    pub index: Arc<Index>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// How servers are.
    pub health: Arc<dyn AskHealth>,
    /// Whether this replica still leads.
    pub fence: Arc<dyn Fence>,
    /// Who the operator is, where it runs as a pod.
    pub operator: Option<OperatorIdentity>,
    /// What the cluster can do, and what was read of Secrets.
    pub memory: Memory,
}

/// What is remembered so that it is not asked again. All of it can be lost.
#[derive(Default)]
pub struct Memory {
    capabilities: Mutex<Capabilities>,
    keys: Mutex<HashMap<String, Keys>>,
    offered: Mutex<HashSet<String>>,
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().expect("no holder of these locks panics")
}

impl Context {
    /// What the cluster can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        held(&self.memory.capabilities).clone()
    }

    /// Notes that a kind came or went. Whether that is news.
    pub fn note_capability(&self, kind: Kind, exists: bool) -> bool {
        held(&self.memory.capabilities).set(kind, exists)
    }

    pub(crate) fn known_keys(&self, uid: &str) -> Option<Keys> {
        held(&self.memory.keys).get(uid).cloned()
    }

    pub(crate) fn remember_keys(&self, uid: &str, keys: Keys) {
        held(&self.memory.keys).insert(uid.to_owned(), keys);
    }

    pub(super) fn has_offered(&self, uid: &str) -> bool {
        held(&self.memory.offered).contains(uid)
    }

    pub(super) fn note_offered(&self, uid: &str) {
        held(&self.memory.offered).insert(uid.to_owned());
    }

    /// Forgets what was read of a tenant's Secrets.
    pub fn forget_secrets(&self, uid: &str) {
        held(&self.memory.keys).remove(uid);
        held(&self.memory.offered).remove(uid);
    }
}
