//! Blobs: files that records name by the SHA-256 of their bytes, such as attachments and photos.
//!
//! A record names a blob in a field of type `blob` or `blobs`, and may do so before its bytes are here. Devices send the
//! bytes in parts; a part that was cut goes on where it ended. What is complete and has the right hash is stored once,
//! however often it is sent. Who may see a field that names a blob may fetch it, as an attachment of the type that the
//! field says and never as anything that a browser would run.
//!
//! | file | |
//! |---|---|
//! | `routes` | `/sync/v1/blob/{hash}` |
//! | `upload`, `part` | what a device sends, and where it lies until it is complete |
//! | `serve`, `naming` | what is fetched, and who may |
//! | `store` | where complete blobs lie: a folder, or S3 |
//! | `ledger` | the tables `blob` and `blob_upload`; the writer keeps `blob_use` |
//! | `sweep` | the job that removes what no record names |

mod ledger;
mod naming;
mod part;
mod refusal;
mod routes;
mod serve;
mod store;
mod sweep;
mod upload;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use anyhow::Context;
use sync_protocol::wire::BlobHash;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

pub use ledger::{note_stored, stored_bytes, total_bytes};
pub use routes::{Described, routes};
pub use store::{BlobStore, StoreError};
pub use sweep::{SweepError, Swept, keep_swept, remove_unrecorded, sweep};

use crate::platform::config::Config;

/// Where the blobs of the tenant lie; cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: BlobStore,
    parts: Arc<PathBuf>,
    settling: Settling,
}

/// By blob: held by whoever stores or removes it.
type Settling = Arc<Mutex<HashMap<BlobHash, Weak<AsyncMutex<()>>>>>;

impl Blobs {
    /// Opens what the configuration names, making folders where they are missing.
    ///
    /// # Errors
    /// When a folder cannot be made, or the configuration asks for a storage that this build does not have.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let folder = config.data_dir.join("blobs");
        let parts = folder.join("parts");
        std::fs::create_dir_all(&parts).with_context(|| format!("could not make the folder {}", parts.display()))?;
        let store = BlobStore::open(&config.blob, &folder.join("whole"))?;
        Ok(Self { store, parts: Arc::new(parts), settling: Settling::default() })
    }

    /// Where complete blobs lie.
    #[must_use]
    pub fn store(&self) -> &BlobStore {
        &self.store
    }

    /// Waits until nobody else stores or removes this blob. Whoever holds this may begin a writing transaction; whoever
    /// has one must not wait for this.
    async fn settle(&self, hash: BlobHash) -> OwnedMutexGuard<()> {
        let lock = {
            let mut settling = self.settling.lock().expect("no holder of this lock panics");
            settling.retain(|_, lock| lock.strong_count() > 0);
            if let Some(lock) = settling.get(&hash).and_then(Weak::upgrade) {
                lock
            } else {
                let lock = Arc::new(AsyncMutex::new(()));
                settling.insert(hash, Arc::downgrade(&lock));
                lock
            }
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests;
