//! The first sync by chunks: a manifest, its chunks, then an exchange from the manifest's cursor to the first checkpoint.
//!
//! A server without chunks, or one whose chunks are of no use here, is exchanged with from nothing instead.

use std::sync::Arc;

use super::answer::unreadable;
use super::{Answer, Cause, Effect, Engine, Work};
use crate::PROTOCOL_VERSION;
use crate::store::{Batch, Saved, StoreOp};
use crate::wire::chunk::ChunkHash;
use crate::wire::{ChunkEntry, MAX_CHUNKS_PER_REQUEST, ManifestRequest, ManifestResponse};

/// Chunks travel together up to this many bytes, compressed; a larger one travels alone, so that it can be resumed.
const TOGETHER_BYTES: u64 = 256 << 10;

/// What to fetch beside exchanges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// `POST /sync/v1/manifest`; answer with [`Answer::Manifest`].
    Manifest(ManifestRequest),
    /// One chunk with `GET /sync/v1/chunk/{hash}`, or several with `POST /sync/v1/chunks`; answer with
    /// [`Answer::Chunks`].
    Chunks(Vec<ChunkEntry>),
}

/// How far the first sync by chunks is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The server has no chunks, or none that this device can use: until the next start, it exchanges from nothing.
    avoids_chunks: bool,
    /// The manifest names chunks that the server no longer has.
    is_stale: bool,
    /// Manifests in a row that were of no use.
    renewals: u32,
}

/// What a device sends next.
pub(super) enum Next {
    Exchange {
        outcomes_only: bool,
    },
    Fetch(Fetch),
    /// Nothing, until the model is here: records are called and indexed by it.
    AfterModel,
}

impl Engine {
    pub(super) fn next(&self) -> Next {
        let position = &self.saved.position;
        if self.fetching_model.is_some() {
            return Next::AfterModel;
        }
        let has_position = position.cursor.is_some() || position.staged_cursor.is_some();
        if !self.settings.chunks || self.bootstrap.avoids_chunks || has_position {
            return Next::Exchange { outcomes_only: false };
        }
        let Some(bootstrap) = position.bootstrap.as_ref().filter(|_| !self.bootstrap.is_stale) else {
            return Next::Fetch(Fetch::Manifest(ManifestRequest { protocol: PROTOCOL_VERSION }));
        };
        if bootstrap.waiting.is_empty() {
            return Next::Exchange { outcomes_only: false };
        }
        if self.saved.outbox.iter().any(|mutation| !self.deferred.contains(&mutation.id)) {
            return Next::Exchange { outcomes_only: true };
        }
        if position.model.as_ref() != Some(&bootstrap.model) {
            return Next::Fetch(Fetch::Manifest(ManifestRequest { protocol: PROTOCOL_VERSION }));
        }
        Next::Fetch(Fetch::Chunks(together(&bootstrap.waiting)))
    }

    pub(super) fn take_fetched(&mut self, now_ms: i64, fetch: Fetch, answer: Answer, effects: &mut Vec<Effect>) {
        match (fetch, answer) {
            (Fetch::Manifest(_), Answer::Manifest(manifest)) => self.take_manifest(now_ms, manifest),
            (Fetch::Chunks(wanted), Answer::Chunks(bytes)) => self.take_chunks(now_ms, &wanted, bytes),
            (Fetch::Chunks(_), Answer::Problem { problem, .. }) if matches!(problem.status, 404 | 410) => {
                self.note_contact();
                self.renew_manifest(now_ms);
            }
            (_, Answer::Problem { problem, .. }) if is_refusal(problem.status) => {
                self.note_contact();
                self.avoid_chunks();
            }
            (_, answer @ (Answer::Problem { .. } | Answer::Failed)) => {
                self.take_answer(now_ms, answer, Vec::new(), false, effects);
            }
            (_, Answer::Response(_) | Answer::Digest(_) | Answer::Manifest(_) | Answer::Chunks(_)) => {
                let problem = unreadable("The host handed the answer of another request to the engine.".to_owned());
                self.stand_back(now_ms, Some(*problem), None);
            }
        }
    }

    fn take_manifest(&mut self, now_ms: i64, manifest: Box<ManifestResponse>) {
        self.note_contact();
        if manifest.protocol == PROTOCOL_VERSION {
            self.problem = None;
            self.work.push_back(Work::Manifest(manifest));
        } else {
            let versions = (manifest.protocol, PROTOCOL_VERSION);
            let problem =
                unreadable(format!("The server speaks version {} and this device version {}.", versions.0, versions.1));
            self.stand_back(now_ms, Some(*problem), None);
        }
    }

    /// Chunks that came damaged, or not at all, are asked for again; when none came whole, after a new manifest.
    fn take_chunks(&mut self, now_ms: i64, wanted: &[ChunkEntry], came: Vec<Arc<[u8]>>) {
        self.note_contact();
        let mut ops = Vec::new();
        for bytes in came {
            let hash = ChunkHash::of(&bytes);
            if wanted.iter().any(|chunk| chunk.hash == hash) {
                ops.push(StoreOp::Chunk { hash, bytes });
            }
        }
        if ops.is_empty() {
            self.renew_manifest(now_ms);
        } else {
            self.problem = None;
            self.work.push_back(Work::Chunks(Batch { ops }));
        }
    }

    /// At once the first time, after a pause when the new manifest was of no more use.
    fn renew_manifest(&mut self, now_ms: i64) {
        if self.bootstrap.renewals > 0 {
            self.backoff.fail(now_ms, None);
        }
        self.bootstrap.renewals += 1;
        self.bootstrap.is_stale = true;
        self.is_wanted = true;
    }

    /// Exchanges from nothing; what chunks have brought leaves at the checkpoint unless the exchange brings it too.
    pub(super) fn avoid_chunks(&mut self) {
        self.bootstrap.avoids_chunks = true;
        self.is_wanted = true;
        if self.saved.position.bootstrap.is_some() {
            self.work.push_back(Work::Reset);
        }
    }

    pub(super) fn follow_manifest(&mut self) {
        self.bootstrap.is_stale = false;
        self.is_wanted = true;
    }

    pub(super) fn follow_chunks(&mut self) {
        self.bootstrap.renewals = 0;
        self.is_wanted = true;
        self.backoff.succeed();
    }
}

/// The server does not do this for this device, and will not when asked again.
fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 401 | 408 | 425 | 429)
}

/// The batch of a manifest; it starts over where the first sync cannot go on with it.
pub(super) fn commit(saved: &Saved, manifest: ManifestResponse) -> (Batch, Cause) {
    let ManifestResponse { model, chunks, cursor, .. } = manifest;
    let bootstrap = saved.position.bootstrap.as_ref();
    let mut ops = Vec::new();
    if bootstrap.is_some_and(|bootstrap| !bootstrap.goes_on_with(&chunks)) {
        ops.push(StoreOp::Reset);
    }
    ops.push(StoreOp::Manifest { model: model.clone(), chunks, cursor });
    (Batch { ops }, Cause::Manifest { model })
}

/// The next chunks, as many small ones as go together.
fn together(waiting: &[ChunkEntry]) -> Vec<ChunkEntry> {
    let mut bytes = 0;
    let mut chosen = Vec::new();
    for chunk in waiting.iter().take(MAX_CHUNKS_PER_REQUEST) {
        bytes += chunk.packed_bytes;
        if bytes > TOGETHER_BYTES && !chosen.is_empty() {
            break;
        }
        chosen.push(chunk.clone());
    }
    chosen
}
