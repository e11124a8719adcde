//! A device that does what the reference engine does: what it holds is what a client by the book holds.

use serde_json::Value;
use sync_protocol::engine::{Answer, CommitFailure, Draft, Edit, Effect, Engine, Input, Settings};
use sync_protocol::id::RecordId;
use sync_protocol::store::{ApplyError, MemoryStore, Names, View, look_up};
use sync_protocol::wire::{ExchangeRequest, ExchangeResponse};

use crate::check::{Unmet, broken};
use crate::machine;
use crate::phone::Phone;

/// Exchanges after which a device that is not in step never will be.
const MOST_EXCHANGES: usize = 10_000;

/// A device.
pub struct EnginePhone {
    phone: Phone,
    engine: Engine,
    store: MemoryStore,
    request: Option<(u64, ExchangeRequest)>,
}

impl EnginePhone {
    /// The session of a phone, from its beginning.
    pub fn new(phone: Phone) -> Self {
        let store = MemoryStore::default();
        let settings = Settings { limit_bytes: 64 << 10, ..Settings::default() };
        Self { phone, engine: Engine::restore(store.saved(), settings), store, request: None }
    }

    /// Edits without a network.
    pub fn edit(&mut self, drafts: Vec<Draft>) -> Result<(), Unmet> {
        self.give(Input::Offline)?;
        self.give(Input::Edit(Edit { ticket: 0, drafts }))
    }

    /// Exchanges until nothing waits and nothing more comes.
    pub fn sync(&mut self) -> Result<(), Unmet> {
        self.give(Input::Online)?;
        self.give(Input::SyncRequested)?;
        for _ in 0..MOST_EXCHANGES {
            let Some((exchange, request)) = self.request.take() else {
                if let Some(problem) = self.engine.state().problem {
                    return broken(format!("the engine stopped at a problem: {}", Value::from(problem.code)));
                }
                return Ok(());
            };
            let body = serde_json::to_vec(&request).or_else(broken)?;
            let answer = self.phone.send(&body, &[])?;
            let answer = if answer.is_ok() {
                let bytes = answer.decoded()?;
                let response: ExchangeResponse = serde_json::from_slice(&bytes)
                    .or_else(|error| broken(format!("the answer to an exchange cannot be read: {error}")))?;
                Answer::Response(Box::new(response))
            } else {
                Answer::Problem { problem: Box::new(answer.problem()?), retry_after_ms: None }
            };
            self.give(Input::Answered { exchange, answer })?;
        }
        broken(format!("after {MOST_EXCHANGES} exchanges the device is not in step"))
    }

    /// The record as a person sees it on this device.
    pub fn view(&self, record: RecordId) -> Option<View> {
        self.store.view(record)
    }

    fn give(&mut self, input: Input) -> Result<(), Unmet> {
        for effect in self.engine.handle(machine::now_ms(), input) {
            match effect {
                Effect::Send { exchange, request } => self.request = Some((exchange, request)),
                Effect::Commit { commit, batch } => {
                    let input = match self.store.commit(&batch) {
                        Ok(()) => Input::Committed { commit },
                        Err(ApplyError::BaseMissing { record }) => {
                            let failure = CommitFailure::BaseMissing;
                            self.give(Input::CommitFailed { commit, failure })?;
                            return broken(format!(
                                "the server took {record} for known, which the device does not have"
                            ));
                        }
                        Err(ApplyError::Chunk(error)) => return broken(format!("a chunk cannot be read: {error}")),
                        Err(ApplyError::Store(never)) => match never {},
                    };
                    self.give(input)?;
                }
                Effect::Fetch { .. } => return broken("the engine fetched chunks, which this device does not"),
                Effect::LookUp { look, query } => {
                    let Ok(found) = look_up(&self.store, &query);
                    self.give(Input::Found { look, found: Some(found) })?;
                }
                Effect::Digest { .. } => {
                    return broken("after an exchange the server's digest is not that of what it sent");
                }
                Effect::FetchModel { hash } => self.give(Input::ModelStored { hash, names: Names::default() })?,
                Effect::NotSaved { .. } => return broken("the engine did not take an edit"),
                Effect::WakeAt { .. } | Effect::Saved { .. } | Effect::State(_) => {}
            }
        }
        Ok(())
    }
}
