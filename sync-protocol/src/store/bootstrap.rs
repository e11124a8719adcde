use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::ScopeId;
use crate::wire::ChunkEntry;
use crate::wire::chunk::ChunkHash;

/// The most urgent priority: with all its chunks a device is of use.
const FIRST_PRIORITY: u8 = 1;

/// How far a first sync by chunks has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// The cursor of the run's first manifest. A later manifest changes what is to be fetched and not this: whatever
    /// happened to the records of chunks that came before, the exchange from here on tells.
    pub cursor: String,
    /// The model that the last manifest and its chunks speak in the words of.
    #[serde(default)]
    pub model: String,
    /// The scopes of the first manifest's chunks. Of others a later manifest may have chunks that the cursor knows nothing of:
    /// what stands there comes with the exchange, which also takes it away again.
    #[serde(default)]
    pub scopes: BTreeSet<ScopeId>,
    /// Chunks to fetch, in this order.
    pub waiting: Vec<ChunkEntry>,
    /// Chunks that are in.
    pub taken: BTreeSet<ChunkHash>,
    /// Records of the chunks that are in.
    pub taken_rows: u64,
}

impl Bootstrap {
    pub(super) fn new(model: &str, chunks: &[ChunkEntry], cursor: &str) -> Self {
        let mut waiting = chunks.to_vec();
        waiting.sort_by_key(|chunk| chunk.priority);
        let (cursor, model) = (cursor.to_owned(), model.to_owned());
        let scopes = chunks.iter().map(|chunk| chunk.scope).collect();
        Self { cursor, model, scopes, waiting, taken: BTreeSet::new(), taken_rows: 0 }
    }

    pub(super) fn renew(&mut self, model: &str, chunks: &[ChunkEntry]) {
        model.clone_into(&mut self.model);
        let is_wanted = |chunk: &&ChunkEntry| self.scopes.contains(&chunk.scope) && !self.taken.contains(&chunk.hash);
        self.waiting = chunks.iter().filter(is_wanted).cloned().collect();
        self.waiting.sort_by_key(|chunk| chunk.priority);
    }

    /// Whether a later manifest has chunks of every scope that is not in yet. Where it has none, the device's user lost
    /// the scope, or its last record: when she comes to hold it again, the exchange from the first manifest's cursor
    /// takes for delivered what never came, so that the first sync has to begin anew.
    pub(crate) fn goes_on_with(&self, chunks: &[ChunkEntry]) -> bool {
        let named: BTreeSet<ScopeId> = chunks.iter().map(|chunk| chunk.scope).collect();
        self.waiting.iter().all(|chunk| named.contains(&chunk.scope))
    }

    pub(super) fn take(&mut self, hash: ChunkHash) {
        let rows = self.waiting.iter().find(|chunk| chunk.hash == hash).map_or(0, |chunk| chunk.rows);
        self.taken_rows += rows;
        self.waiting.retain(|chunk| chunk.hash != hash);
        self.taken.insert(hash);
    }

    /// Whether what a person needs first is in.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.waiting.iter().all(|chunk| chunk.priority > FIRST_PRIORITY)
    }

    /// Records that are still to come.
    #[must_use]
    pub fn waiting_rows(&self) -> u64 {
        self.waiting.iter().map(|chunk| chunk.rows).sum()
    }
}
