//! The host of the engine: carries out its effects one at a time, so that anything can come between two of them.

use std::collections::VecDeque;

use sync_protocol::engine::{Answer, CommitFailure, Effect, Engine, Input, Settings};
use sync_protocol::store::{ApplyError, Batch, MemoryStore, StoreOp};
use sync_protocol::wire::ExchangeRequest;

pub struct Device {
    pub store: MemoryStore,
    pub engine: Engine,
    pub effects: VecDeque<Effect>,
    pub wake_at: Option<i64>,
    pub fails_commit: bool,
    /// Edits that the engine has reported as stored.
    pub saved_tickets: Vec<u64>,
}

/// What the host did for one effect.
pub enum Done {
    Nothing,
    Sent { exchange: u64, request: ExchangeRequest },
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
            saved_tickets: Vec::new(),
        }
    }

    pub fn give(&mut self, now_ms: i64, input: Input) {
        let effects = self.engine.handle(now_ms, input);
        self.effects.extend(effects);
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
            Some(Effect::Send { exchange, request }) => Done::Sent { exchange, request },
            Some(Effect::Commit { commit, batch }) => self.commit(now_ms, commit, &batch),
            Some(Effect::WakeAt { at_ms }) => {
                self.wake_at = Some(at_ms);
                Done::Nothing
            }
            Some(Effect::FetchModel { hash }) => {
                self.give(now_ms, Input::ModelStored { hash });
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
            Err(ApplyError::BaseMissing { record }) => panic!("the server knows its device, but not for {record}"),
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
