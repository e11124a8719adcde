//! A device: the engine of `sync-protocol` between a store, a transport and a person.
//!
//! Reads never wait for the network: they show the server's last known state with the outbox laid over it. Edits are
//! checked with the model's rules, queued durably, and sent by [`Device::sync`].

mod assignment;
mod blob;
mod change;
mod edit;
mod enrol;
mod error;
mod look;
mod record;
mod renaming;
mod rights;
mod sync;

use std::collections::VecDeque;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use crm::expr::Variables;
use crm::model::{Entity, Language, Model};
use sync_protocol::engine::{CommitFailure, Effect, Engine, Input, Settings, SyncState};
use sync_protocol::id::MutationId;
use sync_protocol::store::{ApplyError, Attention, Batch, Names, Query as StoreQuery, Saved, StoreOp};

use crate::host::Host;
use crate::storage::{BlobFolder, DeviceStore, Home, Identity, IndexPlan, StorageError, StoredModel};

pub use assignment::{Action, Assignment};
pub use blob::{BlobName, BlobReport, fetch as fetch_blob, hash_of};
pub use edit::{Checks, Queued};
pub use enrol::{NewDevice, enrol};
pub use error::{DeviceError, field_problem};
pub use look::{Query, Sum};
pub use record::Record;
pub use renaming::names;
pub use sync::{Arrival, Followed, Progress, SyncReport};

/// A device of one user.
pub struct Device {
    store: DeviceStore,
    engine: Engine,
    identity: Identity,
    model: Option<Arc<Model>>,
    /// Fetched, and to be kept with the batch that says so.
    fetched: Option<StoredModel>,
    /// Files beside the records, where the device has a folder.
    files: Option<BlobFolder>,
    host: Box<dyn Host>,
}

impl Device {
    /// Opens the device in a folder, and holds it until it is dropped.
    ///
    /// # Errors
    /// When there is none, another command holds it, or its data cannot be read.
    pub fn open(home: &Path, language: Language, host: Box<dyn Host>) -> Result<Self, DeviceError> {
        Self::within(home, || Home::hold(home), language, host)
    }

    fn within(
        path: &Path,
        enter: impl FnOnce() -> Result<Home, StorageError>,
        language: Language,
        host: Box<dyn Host>,
    ) -> Result<Self, DeviceError> {
        let nobody = || DeviceError::NotEnrolled { home: path.to_owned() };
        if !Home::has_device(path) {
            return Err(nobody());
        }
        let store = DeviceStore::open(enter()?)?;
        let identity = store.identity()?.ok_or_else(nobody)?;
        let device = Self::over(store, identity, language, host)?;
        Ok(Self { files: Some(BlobFolder::in_home(path)), ..device })
    }

    /// Looks at the device in a folder, also while another command holds it: all that is read is of one moment.
    ///
    /// # Errors
    /// When there is none, or its data cannot be read.
    pub fn look(home: &Path, language: Language, host: Box<dyn Host>) -> Result<Looking, DeviceError> {
        Self::within(home, || Ok(Home::visit(home)), language, host).map(Looking)
    }

    /// A device over a store that somebody else opened.
    ///
    /// # Errors
    /// When its data cannot be read.
    pub fn over(
        store: DeviceStore,
        identity: Identity,
        language: Language,
        host: Box<dyn Host>,
    ) -> Result<Self, DeviceError> {
        let model = store.model()?.map(|stored| read_model(&stored.json)).transpose()?;
        let settings = Settings {
            language: Some(code(language).to_owned()),
            chunks: true,
            jitter_seed: identity.device.0.as_u64_pair().1,
            ..Settings::default()
        };
        let engine = Engine::restore(store.saved()?, settings);
        Ok(Self { store, engine, identity, model: model.map(Arc::new), fetched: None, files: None, host })
    }

    /// Whose device this is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How the device stands.
    #[must_use]
    pub fn state(&self) -> SyncState {
        self.engine.state()
    }

    /// How far it has come, what waits, and what needs attention.
    #[must_use]
    pub fn saved(&self) -> &Saved {
        self.engine.saved()
    }

    /// What a person has to look at.
    #[must_use]
    pub fn attention(&self) -> &[Attention] {
        &self.engine.saved().attention
    }

    /// Takes an outcome off the list of what needs attention; false when it is not on it.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn dismiss(&mut self, mutation: MutationId) -> Result<bool, DeviceError> {
        let is_known = self.attention().iter().any(|attention| attention.mutation.id == mutation);
        if is_known {
            self.act_offline(Input::Dismiss { mutation })?;
        }
        Ok(is_known)
    }

    /// The model as the user may see it.
    ///
    /// # Errors
    /// When the device has none yet.
    pub fn model(&self) -> Result<&Arc<Model>, DeviceError> {
        self.model.as_ref().ok_or(DeviceError::NeverSynced)
    }

    /// An entity of the model.
    ///
    /// # Errors
    /// When the device has no model, or the model no such entity.
    pub fn entity(&self, name: &str) -> Result<&Entity, DeviceError> {
        self.model()?.entity(name).ok_or_else(|| DeviceError::UnknownEntity { name: name.to_owned() })
    }

    fn variables(&self) -> Variables {
        Variables { today: self.host.today(), now_ms: self.host.now_ms(), me: Some(self.identity.user.0) }
    }

    /// Lets the engine take what a person did, and makes it durable; nothing is sent.
    fn act_offline(&mut self, input: Input) -> Result<Vec<Effect>, DeviceError> {
        let mut inputs = VecDeque::from([Input::Offline, input]);
        let mut told = Vec::new();
        let mut failure = None;
        while let Some(input) = inputs.pop_front() {
            for effect in self.engine.handle(self.host.now_ms(), input) {
                match effect {
                    Effect::Commit { commit, batch } => inputs.push_back(self.commit(commit, &batch, &mut failure)),
                    Effect::LookUp { look, query } => inputs.push_back(self.look_up(look, &query, &mut failure)),
                    effect => told.push(effect),
                }
            }
        }
        failure.map_or(Ok(told), |failure| Err(failure.into()))
    }

    /// Carries out a batch; what went wrong is kept in `failure` for whoever reports it.
    fn commit(&mut self, commit: u64, batch: &Batch, failure: &mut Option<StorageError>) -> Input {
        // A server that has lost what it was sent may have lost files too.
        let is_offered_again = batch.ops.iter().any(|op| matches!(op, StoreOp::Reoffer { .. }));
        let files = self.files.as_ref().filter(|_| is_offered_again);
        if let Some(Err(error)) = files.map(BlobFolder::offer_again) {
            failure.get_or_insert(error);
            return Input::CommitFailed { commit, failure: CommitFailure::Storage };
        }
        match self.store.commit(batch, self.fetched.as_ref()) {
            Ok(()) => Input::Committed { commit },
            Err(ApplyError::BaseMissing { .. }) => Input::CommitFailed { commit, failure: CommitFailure::BaseMissing },
            Err(ApplyError::Chunk(_)) => Input::CommitFailed { commit, failure: CommitFailure::Chunk },
            Err(ApplyError::Store(error)) => {
                failure.get_or_insert(error);
                Input::CommitFailed { commit, failure: CommitFailure::Storage }
            }
        }
    }

    /// Asks the store; what went wrong is kept in `failure`.
    fn look_up(&self, look: u64, query: &StoreQuery, failure: &mut Option<StorageError>) -> Input {
        let found = match self.store.look_up(query) {
            Ok(found) => Some(found),
            Err(error) => {
                failure.get_or_insert(error);
                None
            }
        };
        Input::Found { look, found }
    }

    /// Takes a model that was fetched, to be kept when the engine says so.
    fn take_model(&mut self, hash: &str, json: String) -> Result<Names, DeviceError> {
        let model = read_model(&json)?;
        if model.hash != hash {
            return Err(DeviceError::Model { reason: format!("asked for {hash}, it is {}", model.hash) });
        }
        self.fetched = Some(StoredModel { hash: hash.to_owned(), json, plan: IndexPlan::of(&model) });
        // The stored one, and not that in memory: what is kept is called as it says. Without one nothing is kept.
        let before = self.store.model()?.map(|stored| read_model(&stored.json)).transpose()?;
        let names = before.map(|before| names(&before, &model)).unwrap_or_default();
        self.model = Some(Arc::new(model));
        Ok(names)
    }
}

/// A device that is only looked at.
pub struct Looking(Device);

impl Deref for Looking {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.0
    }
}

fn read_model(json: &str) -> Result<Model, DeviceError> {
    Model::from_json(json).map_err(|problems| DeviceError::Model { reason: problems.to_string() })
}

/// A language as the wire spells it.
#[must_use]
pub fn code(language: Language) -> &'static str {
    match language {
        Language::Es => "es",
        Language::En => "en",
    }
}
