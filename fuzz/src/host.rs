use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use sync_protocol::engine::{Answer, CommitFailure, Draft, Edit, Effect, Engine, Fetch, Input, Settings};
use sync_protocol::id::RecordId;
use sync_protocol::store::{ApplyError, Batch, MemoryStore, Names, StoreOp, look_up};
use sync_protocol::wire::chunk::ChunkHash;
use sync_protocol::wire::{FieldOperation, ManifestResponse, MutationKind};
use uuid::Uuid;

/// A device in memory, with an outbox that answers can be about.
#[derive(Debug)]
pub struct Host {
    engine: Engine,
    store: MemoryStore,
    now_ms: i64,
    /// What waits for its answer.
    flight: Option<Flight>,
    /// What the last manifests named.
    chunks: BTreeMap<ChunkHash, Arc<[u8]>>,
}

/// What was asked, by its number.
#[derive(Clone, Debug)]
enum Flight {
    Exchange(u64),
    Digest(u64),
    Manifest(u64),
    Chunks(u64, Vec<ChunkHash>),
}

impl Host {
    /// A device that has made a record, changed it with every operation there is, and deleted another; it begins by chunks, or
    /// exchanges from nothing.
    #[must_use]
    pub fn new(by_chunks: bool) -> Self {
        let mut store = MemoryStore::default();
        let model = StoreOp::Model { hash: "m".to_owned(), names: Names::default() };
        let Ok(()) = store.commit(&Batch { ops: vec![model] }) else { unreachable!("a model fits") };
        let engine = Engine::restore(store.saved(), Settings { chunks: by_chunks, ..Settings::default() });
        let mut host = Self { engine, store, now_ms: 1_000, flight: None, chunks: BTreeMap::new() };
        host.give(Input::Offline);
        let (one, other) = (RecordId(Uuid::from_u128(1)), RecordId(Uuid::from_u128(2)));
        let draft = |kind, record, ops| Draft {
            kind,
            entity: "opportunity".to_owned(),
            record,
            base: 0,
            set: BTreeMap::from([("name".to_owned(), json!("A"))]),
            ops,
            at_ms: 1,
        };
        let field = |name: &str| name.to_owned();
        let ops = vec![
            FieldOperation::Increment { field: field("score"), by: i64::MAX },
            FieldOperation::Add { field: field("tags"), values: vec![json!("a")] },
            FieldOperation::Remove { field: field("teams"), values: vec![json!("a")] },
            FieldOperation::Append { field: field("log"), values: vec![json!({"at": 1, "text": "x"})] },
        ];
        let drafts = vec![draft(MutationKind::Create, one, Vec::new()), draft(MutationKind::Update, one, ops)];
        host.give(Input::Edit(Edit { ticket: 1, drafts }));
        host.give(Input::Edit(Edit { ticket: 2, drafts: vec![draft(MutationKind::Delete, other, Vec::new())] }));
        host.give(Input::Online);
        host
    }

    /// Takes bytes as a server's answer to whatever it asks now, then looks at what it holds. What cannot be read never
    /// came. The chunks of a manifest are the `later` lines, whatever their names were: no input finds bytes of a hash.
    ///
    /// # Panics
    /// When engine and store no longer agree: that is the finding.
    pub fn answer(&mut self, body: &[u8], later: &[&[u8]]) {
        self.now_ms += 600_000;
        self.give(Input::SyncRequested);
        let read = match self.flight.clone() {
            None => return,
            Some(Flight::Exchange(exchange)) => {
                serde_json::from_slice(body).map(|response| (exchange, Answer::Response(Box::new(response))))
            }
            Some(Flight::Digest(exchange)) => {
                serde_json::from_slice(body).map(|response| (exchange, Answer::Digest(Box::new(response))))
            }
            Some(Flight::Manifest(exchange)) => serde_json::from_slice(body)
                .map(|manifest| (exchange, Answer::Manifest(Box::new(self.with_chunks(manifest, later))))),
            Some(Flight::Chunks(exchange, wanted)) => {
                let chunks = wanted.iter().filter_map(|hash| self.chunks.get(hash).cloned());
                Ok((exchange, Answer::Chunks(chunks.collect())))
            }
        };
        let Ok((exchange, answer)) = read else { return };
        self.flight = None;
        self.give(Input::Answered { exchange, answer });
        assert_eq!(self.engine.saved(), &self.store.saved(), "the engine knows what is durable");
        let ids: Vec<RecordId> = self.store.bases().map(|(id, _)| id).collect();
        for id in ids {
            let _ = self.store.view(id);
        }
    }

    fn with_chunks(&mut self, mut manifest: ManifestResponse, lines: &[&[u8]]) -> ManifestResponse {
        for (entry, line) in manifest.chunks.iter_mut().zip(lines) {
            let chunk: Arc<[u8]> = Arc::from([line, &b"\n"[..]].concat());
            entry.hash = ChunkHash::of(&chunk);
            self.chunks.insert(entry.hash, chunk);
        }
        manifest
    }

    fn give(&mut self, input: Input) {
        for effect in self.engine.handle(self.now_ms, input) {
            match effect {
                Effect::Send { exchange, .. } => self.flight = Some(Flight::Exchange(exchange)),
                Effect::Digest { exchange, .. } => self.flight = Some(Flight::Digest(exchange)),
                Effect::Commit { commit, batch } => {
                    let input = match self.store.commit(&batch) {
                        Ok(()) => Input::Committed { commit },
                        Err(ApplyError::BaseMissing { .. }) => {
                            Input::CommitFailed { commit, failure: CommitFailure::BaseMissing }
                        }
                        Err(ApplyError::Chunk(_)) => Input::CommitFailed { commit, failure: CommitFailure::Chunk },
                        Err(ApplyError::Store(never)) => match never {},
                    };
                    self.give(input);
                }
                Effect::LookUp { look, query } => {
                    let Ok(found) = look_up(&self.store, &query);
                    self.give(Input::Found { look, found: Some(found) });
                }
                Effect::Fetch { exchange, fetch } => {
                    self.flight = Some(match fetch {
                        Fetch::Manifest(_) => Flight::Manifest(exchange),
                        Fetch::Chunks(wanted) => {
                            Flight::Chunks(exchange, wanted.iter().map(|chunk| chunk.hash).collect())
                        }
                    });
                }
                Effect::FetchModel { hash } => self.give(Input::ModelStored { hash, names: Names::default() }),
                Effect::WakeAt { .. } | Effect::Saved { .. } | Effect::NotSaved { .. } | Effect::State(_) => {}
            }
        }
    }
}
