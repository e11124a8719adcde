//! The host of the engine: carries out its effects one at a time, so that anything can come between two of them.

use std::collections::VecDeque;

use sync_protocol::engine::{Answer, CommitFailure, Effect, Engine, Input, Settings};
use sync_protocol::id::RecordId;
use sync_protocol::store::{ApplyError, BaseRecord, Batch, MemoryStore, Names, Store, StoreOp, look_up};
use sync_protocol::wire::{DigestRequest, ExchangeRequest};

pub struct Device {
    pub store: MemoryStore,
    pub engine: Engine,
    pub effects: VecDeque<Effect>,
    pub wake_at: Option<i64>,
    pub fails_commit: bool,
    /// Something but the engine has changed what is stored.
    pub is_damaged: bool,
    /// Edits that the engine has reported as stored.
    pub saved_tickets: Vec<u64>,
}

use super::steps::Damage;

/// What a device sends.
#[derive(Clone)]
pub enum Request {
    Exchange(ExchangeRequest),
    Digest(DigestRequest),
}

/// What the host did for one effect.
pub enum Done {
    Nothing,
    Sent { exchange: u64, request: Request },
    Checkpoint { cursor: String },
}

impl Device {
    pub fn new() -> Self {
        let store = MemoryStore::default();
        Self {
            engine: restore(&store),
            store,
            effects: VecDeque::new(),
            wake_at: None,
            fails_commit: false,
            is_damaged: false,
            saved_tickets: Vec::new(),
        }
    }

    pub fn give(&mut self, now_ms: i64, input: Input) {
        let effects = self.engine.handle(now_ms, input);
        self.effects.extend(effects);
    }

    /// Something but the engine changes what is stored of one record.
    pub fn damage(&mut self, which: u8, damage: Damage) {
        let held: Vec<(RecordId, BaseRecord)> = self
            .store
            .bases()
            .filter(|(_, record)| !record.scopes.is_empty())
            .map(|(id, record)| (id, record.clone()))
            .collect();
        let Some((id, mut record)) = held.get(usize::from(which) % held.len().max(1)).cloned() else { return };
        let Ok(()) = match damage {
            Damage::Loses => self.store.remove_base(id),
            Damage::Ages(by) => {
                record.seq = record.seq.saturating_sub(u64::from(by) + 1);
                self.store.put_base(id, record)
            }
            Damage::Strays(scope) => {
                record.scopes = vec![scope.into()];
                self.store.put_base(id, record)
            }
            Damage::Forgets => {
                record.fields.remove("place");
                record.fields.insert("name".to_owned(), "scrambled".into());
                self.store.put_base(id, record)
            }
        };
        self.is_damaged = true;
    }

    /// Everything that is not stored is gone.
    pub fn crash(&mut self, now_ms: i64) {
        self.effects.clear();
        self.wake_at = None;
        self.engine = restore(&self.store);
        self.give(now_ms, Input::Start);
    }

    pub fn run_one(&mut self, now_ms: i64) -> Done {
        match self.effects.pop_front() {
            Some(Effect::Send { exchange, request }) => Done::Sent { exchange, request: Request::Exchange(request) },
            Some(Effect::Digest { exchange, request }) => Done::Sent { exchange, request: Request::Digest(request) },
            Some(Effect::LookUp { look, query }) => {
                let found = look_up(&self.store, &query).ok();
                self.give(now_ms, Input::Found { look, found });
                Done::Nothing
            }
            Some(Effect::Commit { commit, batch }) => self.commit(now_ms, commit, &batch),
            Some(Effect::WakeAt { at_ms }) => {
                self.wake_at = Some(at_ms);
                Done::Nothing
            }
            Some(Effect::FetchModel { hash }) => {
                self.give(now_ms, Input::ModelStored { hash, names: Names::default() });
                Done::Nothing
            }
            Some(Effect::Saved { ticket, .. }) => {
                self.saved_tickets.push(ticket);
                Done::Nothing
            }
            Some(Effect::Fetch { .. }) => panic!("this device exchanges only"),
            Some(Effect::NotSaved { .. } | Effect::State(_)) | None => Done::Nothing,
        }
    }

    pub fn answer(&mut self, now_ms: i64, exchange: u64, answer: Answer) {
        self.give(now_ms, Input::Answered { exchange, answer });
    }

    fn commit(&mut self, now_ms: i64, commit: u64, batch: &Batch) -> Done {
        if std::mem::take(&mut self.fails_commit) {
            self.give(now_ms, Input::CommitFailed { commit, failure: CommitFailure::Storage });
            return Done::Nothing;
        }
        match self.store.commit(batch) {
            Ok(()) => self.give(now_ms, Input::Committed { commit }),
            Err(ApplyError::BaseMissing { record }) => {
                assert!(self.is_damaged, "the server knows its device, but not for {record}");
                self.give(now_ms, Input::CommitFailed { commit, failure: CommitFailure::BaseMissing });
                return Done::Nothing;
            }
            Err(ApplyError::Chunk(error)) => panic!("nothing here fetches chunks: {error}"),
            Err(ApplyError::Store(never)) => match never {},
        }
        let checkpoint = batch.ops.iter().find_map(|op| match op {
            StoreOp::Checkpoint { cursor, .. } => Some(cursor.clone()),
            _ => None,
        });
        checkpoint.map_or(Done::Nothing, |cursor| Done::Checkpoint { cursor })
    }
}

fn restore(store: &MemoryStore) -> Engine {
    Engine::restore(store.saved(), Settings { jitter_seed: 3, ..Settings::default() })
}
